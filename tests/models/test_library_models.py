"""Image classifiers of timm and Hugging Face: their own preprocessing and classes, weights from files, clear errors."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from probatum.engine import all_logits, prepare
from probatum.errors import InvalidInput, ModelError, UnknownName
from probatum.models import load_model, model_spec, save_checkpoint

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (150, 211, 3), dtype=np.uint8))


@pytest.mark.parametrize(("name", "extra"), [("timm:resnet18", "timm"), ("hf:folder", "vision")])
def test_a_library_that_is_not_installed_is_named_with_its_extra(name, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelError, match=rf"probatum\[{extra}\]"):
        model_spec(name)


# --- timm ---


@pytest.fixture(scope="module")
def timm():
    return pytest.importorskip("timm", reason="the extra timm is not installed")


@pytest.mark.extra
@pytest.mark.parametrize(
    "name", ["tf_efficientnet_lite0", "vit_tiny_patch16_224", "efficientvit_b0", "resnet18.a1_in1k"]
)
def test_the_preprocessing_of_timm_is_read(timm, name):
    config = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    theirs = timm.data.create_transform(**config)(PICTURE)
    assert torch.equal(model_spec(f"timm:{name}").preprocessing.apply(PICTURE), theirs)


@pytest.mark.extra
def test_preprocessings_of_timm_of_every_kind(timm):
    specs = {
        name: model_spec(f"timm:{name}")
        for name in ("vit_base_patch16_siglip_256", "resnetv2_50x1_bit", "naflexvit_base_patch16_gap")
    }
    assert all(spec.num_classes > 0 for spec in specs.values())
    squashed = next(
        name for name in timm.list_models(pretrained=True) if timm.get_pretrained_cfg(name).crop_mode == "squash"
    )
    preprocessing = model_spec(f"timm:{squashed}").preprocessing
    assert preprocessing is None or not preprocessing.keep_ratio


@pytest.mark.extra
def test_a_network_of_timm_takes_the_classes_of_a_file(timm, tmp_path):
    tuned = load_model("timm:tf_efficientnet_lite0", "none", num_classes=7, seed=2)
    save_checkpoint(tuned, tmp_path / "seven.pt")
    loaded = load_model("timm:tf_efficientnet_lite0", tmp_path / "seven.pt")
    assert torch.equal(loaded.get_classifier().weight, tuned.get_classifier().weight)
    spec = model_spec("timm:tf_efficientnet_lite0")
    assert spec.num_classes == len(spec.class_names) == 1000
    assert spec.class_names[1].startswith("goldfish")


@pytest.mark.extra
def test_mistakes_with_timm(timm, monkeypatch):
    with pytest.raises(UnknownName, match="resnet18"):
        model_spec("timm:resnet-18")
    with pytest.raises(InvalidInput, match="nope"):
        model_spec("timm:resnet18.nope")

    def refuse(*_args, **_options):
        raise OSError("no network")

    monkeypatch.setattr(timm, "create_model", refuse)
    with pytest.raises(ModelError, match=r"no network.*give a checkpoint file, or 'none'"):
        load_model("timm:resnet18")


# --- Hugging Face ---

PROCESSORS = {
    "ViT": {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}, "resample": 2},
    "CLIP": {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": 40},
        "crop_size": {"height": 32, "width": 32},
        "resample": 3,
        "do_center_crop": True,
    },
    "ConvNeXt": {
        "image_processor_type": "ConvNextImageProcessor",
        "size": {"shortest_edge": 32},
        "crop_pct": 0.8,
        "resample": 3,
    },
}


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    """A folder with a tiny vision transformer of three classes."""
    transformers = pytest.importorskip("transformers", reason="the extra vision is not installed")
    names = {0: "cat", 1: "dog", 2: "owl"}
    config = transformers.ViTConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        image_size=32,
        patch_size=8,
        id2label=names,
        label2id={name: index for index, name in names.items()},
    )
    folder = tmp_path_factory.mktemp("hub") / "tiny-vit"
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        transformers.ViTForImageClassification(config).save_pretrained(folder)
    return folder


def with_processor(folder, values):
    facts = {"do_resize": True, "do_rescale": True, "do_normalize": True, "rescale_factor": 1 / 255}
    facts |= {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.25, 0.3]} | values
    (folder / "preprocessor_config.json").write_text(json.dumps(facts))
    return f"hf:{folder}"


@pytest.mark.extra
@pytest.mark.parametrize("kind", PROCESSORS)
def test_the_preprocessing_of_an_image_processor_is_read(vit, kind):
    transformers = pytest.importorskip("transformers")
    name = with_processor(vit, PROCESSORS[kind])
    own = model_spec(name).preprocessing.apply(PICTURE)
    theirs = transformers.AutoImageProcessor.from_pretrained(vit)(PICTURE, return_tensors="pt")["pixel_values"][0]
    # Theirs resizes tensors where ours resizes pictures; the two round pixels differently.
    torch.testing.assert_close(own, theirs, atol=2 / 255 / 0.2, rtol=0)


@pytest.mark.extra
def test_an_image_processor_that_does_something_else_is_not_guessed(vit):
    other = PROCESSORS["ViT"] | {"image_processor_type": "VivitImageProcessor"}
    assert model_spec(with_processor(vit, other)).preprocessing is None


@pytest.mark.extra
def test_a_folder_of_hugging_face_is_a_model(vit, tmp_path):
    name = with_processor(vit, PROCESSORS["ViT"])
    spec, model = model_spec(name), load_model(name)
    assert (spec.title, spec.class_names) == ("tiny-vit", ("cat", "dog", "owl"))
    images = spec.preprocessing.apply(PICTURE)[None]
    assert all_logits(prepare(model), images).shape == (1, 3)
    random = load_model(name, "none", seed=1)
    assert not torch.equal(random.classifier.weight, model.classifier.weight)
    tuned = load_model(name, "none", num_classes=5, seed=2)
    save_checkpoint(tuned, tmp_path / "five.pt")
    assert torch.equal(load_model(name, tmp_path / "five.pt").classifier.weight, tuned.classifier.weight)


@pytest.mark.extra
def test_mistakes_with_hugging_face(vit, tmp_path):
    with pytest.raises(InvalidInput, match="no folder"):
        model_spec(f"hf:{tmp_path / 'nowhere'}")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="broken cannot be loaded"):
        model_spec(f"hf:{tmp_path / 'broken'}")

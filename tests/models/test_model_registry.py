import os
import re
from pathlib import Path

import pytest
import torch
import torchvision

from probatum.data import IMAGENET, IMAGENET_INCEPTION
from probatum.errors import InvalidInput, ModelError, UnknownName
from probatum.models import MODELS, load_model, model_spec


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty cache of downloaded weights, and no network behind it."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def refuse(*_args, **_kwargs):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def publish(hub: Path, name: str, state: dict[str, torch.Tensor]) -> Path:
    """Put a state dict where torchvision looks for its published weights."""
    path = hub / os.path.basename(torchvision.models.get_model_weights(name).DEFAULT.url)
    torch.save(state, path)
    return path


def torchvisions_own(name: str, **options) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(5)
        model = torchvision.models.get_model(name, **options)
        for key, value in model.state_dict().items():
            if key.endswith("running_mean"):
                value.normal_(0, 0.1)
    return model.eval()


def images(name: str, size: int | None = None) -> torch.Tensor:
    spec = model_spec(name)
    side = size or spec.input_size
    return torch.randn(2, spec.channels, side, side, generator=torch.Generator().manual_seed(0))


def test_every_torchvision_classifier_is_there():
    assert set(torchvision.models.list_models(module=torchvision.models)) | {"basic_cnn", "mlp"} == set(MODELS)
    for name, spec in MODELS.items():
        assert spec.name == name
        assert spec.where.startswith(("torchvision.models.", "probatum.models."))
        assert spec.channels in (1, 3)
        assert spec.input_size <= spec.preprocessing.resize
        assert spec.class_names is None or len(spec.class_names) == spec.num_classes == 1000


def test_facts_of_the_papers_models():
    assert MODELS["inception_v3"].preprocessing == IMAGENET_INCEPTION
    assert MODELS["resnet18"].preprocessing == IMAGENET
    assert MODELS["resnet18"].class_names[13] == "junco"
    assert MODELS["basic_cnn"].preprocessing.mean == (0.1307,)


def test_unknown_name():
    with pytest.raises(UnknownName, match="did you mean 'resnet18'"):
        load_model("resnet-18")


def test_random_weights_depend_on_the_seed_alone_and_leave_the_global_state():
    before = torch.get_rng_state()
    first = load_model("basic_cnn", "none", seed=1)
    torch.rand(3)
    second, other = load_model("basic_cnn", "none", seed=1), load_model("basic_cnn", "none", seed=2)
    assert not first.training
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key])
        assert not torch.equal(value, other.state_dict()[key])
    torch.set_rng_state(before)
    load_model("squeezenet1_1", "none", seed=3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", ["inception_v3", "googlenet"])
def test_auxiliary_networks_give_the_same_logits_from_published_and_from_own_files(name, hub, tmp_path):
    reference = torchvisions_own(name, init_weights=False, transform_input=True, aux_logits=True)
    path = publish(hub, name, reference.state_dict())
    inputs = images(name, 96)
    with torch.no_grad():
        expected = reference(inputs)
        assert torch.equal(load_model(name)(inputs), expected)
        from_file = load_model(name, path)
        assert torch.equal(from_file(inputs), expected)
        if name == "googlenet":  # the smaller one stands for both: the code is the same
            torch.save(from_file.state_dict(), tmp_path / "own.pt")
            assert torch.equal(load_model(name, tmp_path / "own.pt")(inputs), expected)
    assert not any(key.startswith(MODELS[name].auxiliary) for key in from_file.state_dict())


def test_published_densenet_with_its_old_key_names(hub):
    reference = torchvisions_own("densenet121")
    state = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key): value
        for key, value in reference.state_dict().items()
        if not key.endswith("num_batches_tracked")  # younger than these files
    }
    path = publish(hub, "densenet121", state)
    inputs = images("densenet121", 64)
    with torch.no_grad():
        for weights in ("default", path):
            assert torch.equal(load_model("densenet121", weights)(inputs), reference(inputs))


def test_published_weights_with_another_number_of_classes(hub):
    reference = torchvisions_own("squeezenet1_1")
    publish(hub, "squeezenet1_1", reference.state_dict())
    before = torch.get_rng_state()
    model, again = (load_model("squeezenet1_1", num_classes=5, seed=1) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    for key, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[key])
        assert key.startswith("classifier.1.") or torch.equal(value, reference.state_dict()[key])
    assert model(images("squeezenet1_1", 64)).shape == (2, 5)


def test_versioned_networks_load(hub):
    # torchvision's MNASNet refuses a state dict that has lost its version number
    reference = torchvisions_own("mnasnet0_5")
    path = publish(hub, "mnasnet0_5", reference.state_dict())
    inputs = images("mnasnet0_5", 64)
    with torch.no_grad():
        assert torch.equal(load_model("mnasnet0_5")(inputs), reference(inputs))
        assert torch.equal(load_model("mnasnet0_5", path)(inputs), reference(inputs))


def test_no_network(hub, capsys):
    before = torch.get_rng_state()
    with pytest.raises(ModelError, match="give a checkpoint file, or 'none'"):
        load_model("resnet18")
    assert torch.equal(torch.get_rng_state(), before)
    assert capsys.readouterr().out == ""


def test_truncated_download(hub):
    path = publish(hub, "squeezenet1_1", torchvisions_own("squeezenet1_1").state_dict())
    path.write_bytes(path.read_bytes()[:10_000])
    with pytest.raises(ModelError, match="SqueezeNet"):
        load_model("squeezenet1_1")


def test_small_networks_have_no_published_weights():
    with pytest.raises(InvalidInput, match="no published weights"):
        load_model("mlp")


def test_num_classes_below_one():
    with pytest.raises(InvalidInput, match="num_classes"):
        load_model("mlp", "none", num_classes=0)

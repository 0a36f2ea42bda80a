"""Variants of the papers' protocols: what each changes, by values computed by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from probatum.data import UNIT_RANGE, ImageSet
from probatum.errors import UnknownName
from probatum.models import TrainingReport
from probatum.reproductions import Context, ReproductionConfig, digits, run_reproduction, subjects
from probatum.reproductions.adebayo2018 import photographs, setting
from probatum.reproductions.digits import Digits
from probatum.reproductions.yona2021 import halves, studies


def numbered(name: str, images: torch.Tensor) -> ImageSet:
    names = tuple(map(str, range(len(images))))
    return ImageSet(name, images, torch.zeros(len(images), dtype=torch.long), None, names, UNIT_RANGE)


def context(paper: str, *variants: str, **options) -> Context:
    return Context(ReproductionConfig(paper, variants=variants, device="cpu", **options))


def test_a_variant_that_is_not_known_is_refused_before_any_work(tmp_path):
    with pytest.raises(UnknownName, match="l3") as refused:
        run_reproduction(ReproductionConfig("adebayo2018", variants=("l3",), device="cpu"), tmp_path / "run")
    assert "l2" in str(refused.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("preset", "variants", "biases"),
    [
        ("quick", (), None),
        ("quick", ("initializer-adebayo",), 0.1),
        ("cpu", (), 0.1),
        ("cpu", ("initializer-pytorch",), None),
    ],
)
def test_the_first_weights_are_those_that_were_asked_for(preset, variants, biases):
    network = setting.untrained(context("adebayo2018", *variants, preset=preset), "mlp", seed=0)
    found = {
        float(value) for module in network.modules() if hasattr(module, "bias") for value in module.bias.detach()[:9]
    }
    assert (found == {float(np.float32(0.1))}) == (biases is not None)


@pytest.mark.parametrize(("variants", "decay"), [((), 0.0), (("l2",), 0.001)])
def test_l2_enters_the_training(variants, decay, monkeypatch):
    used = []

    def train_once(*arguments, **options) -> TrainingReport:
        used.append(arguments[5])
        raise KeyboardInterrupt

    monkeypatch.setattr(digits, "train_once", train_once)
    images = numbered("digits", torch.zeros(2, 1, 28, 28))
    with pytest.raises(KeyboardInterrupt):
        setting.trained(
            context("adebayo2018", *variants),
            "mlp",
            Digits("digits", images, images),
            setting.SIZES["quick"].training,
            "an MLP",
        )
    assert [config.weight_decay for config in used] == [decay]


def test_the_first_5000_training_images_are_held_back(monkeypatch):
    numbers = torch.arange(5004.0)[:, None, None, None]

    def load_small(context: Context, name: str, split: str, count: int | None) -> ImageSet:
        rows = numbers[:count] if split == "train" else -1 - numbers[:3]
        return numbered(name, rows)

    monkeypatch.setattr(setting, "load_small", load_small)
    split = setting.load_split(context("adebayo2018"), "mnist", 2)
    training, test = split.train, split.test
    assert (training.images.flatten().tolist(), test.images.flatten().tolist()) == ([0, 1], [-1, -2, -3])
    held = context("adebayo2018", "validation-split")
    for count, expected in ((2, [5000, 5001]), (55_000, [5000, 5001, 5002, 5003]), (None, [5000, 5001, 5002, 5003])):
        split = setting.load_split(held, "mnist", count)
        training, test = split.train, split.test
        assert training.images.flatten().tolist() == expected
        assert test.images.flatten().tolist() == list(range(5000))


def test_photographs_are_squashed_as_for_inception(tmp_path, monkeypatch):
    picture = np.zeros((20, 60, 3), dtype=np.uint8)
    picture[:, 30:] = 255  # the right half is white
    Image.fromarray(picture).save(tmp_path / "a.png")
    monkeypatch.setattr(subjects, "before_last_relu", lambda model, images: (model, ""))
    options = {"photographs": str(tmp_path), "model": "resnet18", "weights": "none"}
    plain = photographs.imagenet_subject(context("adebayo2018", **options))
    task = photographs.imagenet_subject(context("adebayo2018", "inception-preprocessing", **options))
    assert plain.data.images.shape == (1, 3, 224, 224)
    (image,) = task.data.images
    assert image.shape == (3, 299, 299)  # the whole width is there: nothing is cropped
    assert image[:, :, :130].unique().tolist() == [-1.0]
    assert image[:, :, 170:].unique().tolist() == [1.0]


@pytest.mark.parametrize(("variants", "deleted"), [((), "bottom"), (("top-half",), "top")])
def test_the_half_that_the_caption_names_can_be_deleted(variants, deleted, monkeypatch, tmp_path):
    monkeypatch.setenv("PROBATUM_CACHE", str(tmp_path))
    small = studies.YonaSizes(48, 24, 1, 1, 12, 8, 2, 1, 6, 4, 2)
    monkeypatch.setitem(studies.SIZES, "quick", replace(small, trainings=1))
    study = halves.half_study(context("yona2021", *variants), False)
    (region,) = study.regions.values()
    assert list(study.regions) == [f"{deleted} half"]
    rows = torch.arange(28) < 14 if deleted == "top" else torch.arange(28) >= 14
    assert torch.equal(region[0], rows[:, None].expand(28, 28))
    halved = study.pictures[1, 0]
    assert not halved[rows].any()
    assert halved[~rows].any()

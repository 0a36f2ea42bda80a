"""The study of transformers: a small run, and what its rules say of shares on either side of the bound."""

from dataclasses import replace

import pytest

from probatum.experiments.levels import read_levels
from probatum.reproductions.base import Context, ReproductionConfig
from probatum.reproductions.transformers import images, sentences
from probatum.reproductions.transformers.methods import CONTROL, TITLES, TOKEN_TITLES
from probatum.reproductions.transformers.networks import VisionSizes, digits_subject, photographs_subject
from probatum.runs.files import write_table

SMALL = VisionSizes(train=64, epochs=1, images=5, trials=2, samples=2, steps=2, window=14)
METRICS = ("ssim", "spearman-abs")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vit")
    context = Context(ReproductionConfig("transformers", seed=1))
    images.compute(digits_subject, {"quick": SMALL}, METRICS, context, folder)
    return folder


def by_name(found):
    return {finding.claim.name: finding for finding in found}


def test_the_control_and_the_claims_on_every_method(folder):
    found = by_name(images.claims_on("here").judge(folder))
    assert found["here-control"].verdict == "reproduced"
    assert {name.removeprefix("here-sensitive-") for name in found if "sensitive" in name} == {*TITLES} - {CONTROL}
    assert "rendered digits instead of MNIST" in found["here-below-input-x-gradient"].why


def test_each_block_is_a_stage_and_every_method_has_a_curve(folder):
    stages = images.Cascade(folder).facts["stages"]
    assert stages == ["head", "block 4", "block 3", "block 2", "block 1", "embedding"]
    figures = images.draw(images.Cascade(folder))
    assert list(figures) == ["maps", *METRICS]


@pytest.mark.parametrize(
    ("low", "high", "word"), [(0.0, 0.2, "reproduced"), (0.3, 0.6, "not reproduced"), (0.1, 0.3, "undecided")]
)
def test_the_interval_of_the_share_decides(folder, tmp_path, low, high, word):
    for file in folder.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    levels = [replace(each, share=(low + high) / 2, low=low, high=high) for each in read_levels(folder / "levels.csv")]
    columns = tuple(vars(levels[0]))
    write_table(tmp_path / "levels.csv", columns, ([getattr(each, name) for name in columns] for each in levels))
    found = by_name(images.claims_on("here").judge(tmp_path))
    assert found["here-sensitive-gradient"].verdict == word


def test_missing_photographs_are_named(tmp_path):
    context = Context(ReproductionConfig("transformers"))
    images.compute(photographs_subject, {"quick": SMALL}, METRICS, context, tmp_path)
    found = images.claims_on("there").judge(tmp_path)
    assert {finding.verdict for finding in found} == {"not comparable"}
    assert all("tiny-imagenet-200" in finding.why for finding in found)


@pytest.mark.long
def test_sentences(tmp_path):
    sentences.compute(Context(ReproductionConfig("transformers")), tmp_path)
    found = by_name(sentences.claims.judge(tmp_path))
    assert {name.removeprefix("sentences-sensitive-") for name in found if "sensitive" in name} == {*TOKEN_TITLES}
    assert list(sentences.draw(sentences.Scores(tmp_path))) == list(sentences.COMPARED)

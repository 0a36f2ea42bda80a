"""Kokhlikyan et al. 2021: the network's stages, the rules of the judges, and both experiments on tiny sizes."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import structural_similarity

from probatum.errors import InvalidInput
from probatum.experiments import SanityResult
from probatum.maps import diverging
from probatum.models import TrainingConfig, load_model, model_spec
from probatum.randomization import stages_from_table
from probatum.report import save_figure
from probatum.reproductions import PAPERS
from probatum.reproductions.base import Context, ReproductionConfig, store_arrays, write_facts
from probatum.reproductions.kokhlikyan2021 import PAPER, cascade, digits_cnn, labels, subjects
from probatum.reproductions.setting import PRETRAINED, Setting

TINY = digits_cnn.DigitSizes(
    120, 60, TrainingConfig(2, 20, 1e-3), TrainingConfig(1, 20, 1e-3, monitor="train", target_accuracy=0.95), 40, 2
)
STAGES = ("fc", "a", "b", "c")
SHAPE = (2, len(cascade.METRICS), len(STAGES), 10, 3)  # method, metric, stage, image, trial


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(digits_cnn.SIZES, "quick", TINY)
    monkeypatch.setattr(cascade, "DIGIT_SIZES", cascade.CascadeSizes(images=3, trials=2, steps=2))
    monkeypatch.setitem(cascade.PHOTOGRAPH_SIZES, "quick", cascade.CascadeSizes(images=2, trials=1, steps=1))
    monkeypatch.setitem(labels.SIZES, "quick", labels.LabelSizes(per_class=1, steps=2, samples=2, shown=2))


def context(**options):
    return Context(ReproductionConfig("kokhlikyan2021", **options))


def verdicts(findings):
    return {finding.claim.name: finding.verdict for finding in findings}


def test_it_is_listed():
    assert PAPERS["kokhlikyan2021"] is PAPER
    assert {"figure1", "data-randomization"} <= {experiment.name for experiment in PAPER.experiments}


def test_the_stages_of_inception_are_those_of_table_1():
    model = load_model("inception_v3", "none")
    plan = stages_from_table(model, subjects.INCEPTION_STAGES)  # refuses a parameter that no stage holds
    assert [stage.name for stage in plan.stages][:4] == ["fc", "Mixed_7", "Mixed_6", "Mixed_5"]
    assert len(plan.stages) == 9


def test_the_presets_of_the_paper():
    assert cascade.CascadeSizes(images=10, trials=10, steps=50) == cascade.PHOTOGRAPH_SIZES["paper"]
    assert digits_cnn.SIZES["paper"].train_images is digits_cnn.SIZES["paper"].memorized is None
    assert digits_cnn.SIZES["paper"].permuted.target_accuracy == 0.95
    assert digits_cnn.SIZES["paper"].permuted.monitor == "train"
    made = labels.methods(labels.SIZES["paper"])
    assert list(made) == list(labels.METHODS)
    assert made["ig-global"] == replace(made["ig-local"], multiply_by_inputs=True)
    assert made["ig-sg-local"].method == made["ig-local"]
    assert made["ig-sg-local"].noise_fraction == 0.15


def test_strangers_are_the_other_images():
    generator = np.random.default_rng(0)
    maps = {name: {"global": generator.normal(size=(3, 1, 12, 12)).astype(np.float32)} for name in "xyz"}
    scores = np.zeros((1, 2, 2, 3, 1))
    result = SanityResult(
        ("global",), ("ssim-adebayo-issue", "spearman"), ("s", "t"), tuple("xyz"), (0, 0, 0), scores,
        np.zeros((1, 2, 3, 1), dtype=np.int8), np.full((1, 2, 3), np.nan), np.zeros_like(scores), maps,
    )  # fmt: skip
    found = cascade.cross_image_similarity(result)
    assert found.shape == (1, 2, 2, 3)
    reduced = {name: diverging(torch.from_numpy(stored["global"]))[:, 0].numpy() for name, stored in maps.items()}
    others = [structural_similarity(reduced["y"][2], reduced[name][0], win_size=5, data_range=2) for name in ("x", "z")]
    assert found[0, 0, 1, 1] == pytest.approx(np.mean(others), abs=1e-6)  # maps are float32


def store_cascade(folder, place=np.s_[:0], score=0.0, cross_image_similarity=0.0, constant=0, setting=None):
    """Results under which every claim holds, with the scores at one place replaced."""
    table = np.zeros(SHAPE)
    table[0, :2], table[1, :2] = 0.4, 0.2
    table[0, 3], table[1, 3] = 0.5, 0.05
    table[place] = score
    codes = np.zeros((2, *SHAPE[2:]), dtype=np.int8)
    codes.flat[:constant] = 2
    store_arrays(
        folder, scores=table, constant=codes, cross_image_similarity=np.full(SHAPE[:-1], cross_image_similarity)
    )
    write_facts(folder, setting=(setting or Setting()).to_json(), stages=STAGES)


def test_the_cascade_can_be_reproduced(tmp_path):
    store_cascade(tmp_path)
    findings = cascade.CASCADE.judge(tmp_path)
    assert set(verdicts(findings).values()) == {"reproduced"}
    assert "0.50 [0.50, 0.50] (10 images, 3 trials)" in findings[0].ours
    assert not any("judged on" in finding.why or "constant" in finding.notes for finding in findings)
    store_cascade(tmp_path, constant=7)
    assert all(
        "7 of 240 comparisons had a constant map" in finding.notes for finding in cascade.CASCADE.judge(tmp_path)
    )


@pytest.mark.parametrize(
    ("place", "score", "failed"),
    [
        (np.s_[0, 0], 0.25, {"cascade-ssim-half"}),  # 0.2 / 0.25 is more than two thirds
        (np.s_[0, 0], 0.9, {"cascade-ssim-half"}),
        (np.s_[1, 3, 3], 0.2, {"cascade-local-looks-random"}),
        (np.s_[0, 3, 2], 0.09, {"cascade-global-keeps-structure"}),
        (np.s_[1, 3, 1, :, 0], 0.9, set()),  # before the third layer
        (np.s_[1, 2, 3], -0.11, {"cascade-spearman-zero-local"}),
        (np.s_[0, 2, 0], 0.11, {"cascade-spearman-zero-global"}),
        (np.s_[0, 0, :, :9], 0.19, {"cascade-ssim-half", "cascade-ten-images"}),
    ],
)
def test_each_claim_of_the_cascade_can_fail(place, score, failed, tmp_path):
    store_cascade(tmp_path, place, score)
    found = verdicts(cascade.CASCADE.judge(tmp_path))
    assert {name for name, verdict in found.items() if verdict == "not reproduced"} == failed
    assert set(found.values()) <= {"reproduced", "not reproduced"}


def test_what_maps_share_with_other_images_is_no_structure(tmp_path):
    store_cascade(tmp_path, cross_image_similarity=0.45)
    assert verdicts(cascade.CASCADE.judge(tmp_path))["cascade-global-keeps-structure"] == "not reproduced"


def test_another_network_is_named_and_random_weights_are_not_judged(tmp_path):
    store_cascade(tmp_path, setting=Setting(("X instead of Inception v3",)))
    assert all("judged on X instead of Inception v3" in finding.why for finding in cascade.CASCADE.judge(tmp_path))
    store_cascade(tmp_path, setting=Setting(lacks={PRETRAINED: "the weights are random"}))
    assert set(verdicts(cascade.CASCADE.judge(tmp_path)).values()) == {"not comparable"}


def store_labels(folder, structure=(0.6, 0.6, 0.1, -0.1), ssim=(0.5, 0.5, 0.2, 0.2), test=0.97, train=0.96,
                 memorized=60_000, data="MNIST"):  # fmt: skip
    images, trainings = 8, 3
    scores = np.zeros((trainings, 2, len(labels.METRICS), 4, images))
    scores[:, 1, 0] = np.array(ssim)[:, None] + np.linspace(-0.01, 0.01, images)
    store_arrays(
        folder,
        scores=scores,
        constant=np.zeros((trainings, 2, 4, images), dtype=bool),
        input=np.broadcast_to(np.array(structure)[:, None], (trainings, 2, 4, images)),
    )
    both = {"train": 1.0, "test": test}
    turn = [both, both, {"train": train, "test": 0.1}]
    write_facts(folder, accuracies=[turn] * trainings, setting=labels.setting_of(data, memorized).to_json())


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        ({}, set()),
        ({"test": 0.94}, {"labels-learnt"}),
        ({"train": 0.94}, {"labels-memorized"}),
        ({"structure": (0.6, 0.39, 0.1, 0.1)}, {"labels-ig-sg-global-input"}),
        ({"structure": (0.6, 0.6, 0.1, -0.21)}, {"labels-ig-sg-local-input"}),
        ({"ssim": (0.1, 0.5, 0.2, 0.2)}, {"labels-multiplier-ig"}),
    ],
)
def test_each_claim_of_the_labels_can_hold_and_fail(change, failed, tmp_path):
    store_labels(tmp_path, **change)
    findings = labels.LABELS.judge(tmp_path)
    assert {name for name, verdict in verdicts(findings).items() if verdict == "not reproduced"} == failed
    missed = bool(failed & {"labels-learnt", "labels-memorized"})
    assert all(("required accuracy" in finding.notes) == missed for finding in findings)
    assert all(finding.verdict != "undecided" for finding in findings)


def test_digits_instead_of_mnist_and_few_labels_are_named(tmp_path):
    store_labels(tmp_path, data="rendered digits")
    assert {finding.verdict for finding in labels.LABELS.judge(tmp_path)} == {"not comparable"}
    store_labels(tmp_path, structure=(0.6, 0.39, 0.1, 0.1), memorized=300)
    found = {finding.claim.name: finding for finding in labels.LABELS.judge(tmp_path)}
    assert found["labels-ig-sg-global-input"].verdict == "not comparable"
    assert "300 instead of 60,000" in found["labels-ig-sg-global-input"].why
    assert found["labels-ig-global-input"].verdict == "reproduced"


def assert_drawn(experiment, folder, names):
    """All figures are there, and the main one has the same bytes when it is drawn again."""
    once, again = experiment.draw(folder), experiment.draw(folder)
    assert set(once) == names
    first, second = (save_figure(figures[""], folder / "figure")[0].read_bytes() for figures in (once, again))
    assert first == second


def test_the_cascade_on_digits(whole_run, tmp_path):
    calls = []
    config = ReproductionConfig("kokhlikyan2021", figures=("figure1",))
    cascade.compute(Context(config, lambda *facts: calls.append(facts)), tmp_path)
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert facts["stages"] == ["linear2", "linear1", "conv2", "conv1"]
    assert facts["setting"]["stand_ins"] == ["the basic CNN on rendered digits instead of Inception v3 on photographs"]
    assert len(facts["images"]) == 3
    assert calls[-1][0] == calls[-1][1]
    names = {"", "diverging", "ssim-notebook", "spearman", "spearman-abs", "ssim-mean"}
    assert_drawn(cascade.CASCADE, tmp_path, names)
    findings = cascade.CASCADE.judge(tmp_path)
    assert len(findings) == 6
    assert set(verdicts(findings).values()) == {"not comparable"}
    with np.load(tmp_path / "arrays.npz") as stored:
        assert np.isfinite(stored["scores"]).all()
        assert stored["scores"].shape == (2, 4, 4, 3, 2)


def test_the_label_randomization(whole_run, tmp_path):
    labels.compute(context(), tmp_path)
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert facts["images"] == 10
    assert facts["shown"] == [0, 5]
    assert [len(turn) for turn in facts["accuracies"]] == [3, 3]
    assert facts["memorized"] == 40
    assert_drawn(labels.LABELS, tmp_path, {"", "diverging", "ssim", "spearman", "spearman-abs", "input"})
    with np.load(tmp_path / "arrays.npz") as stored:
        assert np.isfinite(stored["scores"]).all()
        assert np.abs(stored["input"]).max() <= 1
        assert stored["abs-normalized"].shape == (2, 2, 4, 28, 28)  # network, image, method
    assert set(verdicts(labels.LABELS.judge(tmp_path)).values()) == {"not comparable"}  # rendered digits


def photographs(folder, count):
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(count):
        pixels = generator.integers(0, 256, size=(256, 256, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return str(folder)


def test_a_network_with_random_weights_is_called_that(whole_run, tmp_path, monkeypatch):
    monkeypatch.setattr(subjects, "model_spec", lambda name: model_spec(name).with_inputs(64))
    folder = tmp_path / "results"
    folder.mkdir()
    options = {"model": "squeezenet1_1", "weights": "none", "photographs": photographs(tmp_path / "photographs", 3)}
    cascade.compute(context(**options), folder)
    facts = json.loads((folder / "facts.json").read_text())
    assert "random weights" in facts["network"]
    assert len(facts["images"]) == 2
    assert set(verdicts(cascade.CASCADE.judge(folder)).values()) == {"not comparable"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "basic_cnn"}, "takes no photographs"),
        ({"model": "squeezenet1_1"}, "give a folder of them with --photographs"),
        ({"preset": "paper"}, "needs the folder imagenet-samples/"),
        ({"weights": "somewhere.pth"}, "Inception v3 needs photographs"),
    ],
)
def test_missing_photographs_are_named(options, message, tmp_path):
    with pytest.raises(InvalidInput, match=message):
        cascade.compute(context(**options), tmp_path)


def test_too_few_photographs_are_named(tmp_path):
    given = photographs(tmp_path / "one", 1)
    with pytest.raises(InvalidInput, match="1 photographs; 2 are needed"):
        cascade.compute(context(model="squeezenet1_1", photographs=given), tmp_path)


def test_the_paper_preset_needs_mnist(tmp_path):
    with pytest.raises(InvalidInput, match="needs the folder MNIST/"):
        labels.compute(context(preset="paper"), tmp_path)

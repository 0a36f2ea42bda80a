"""Wienecke & Hinrichs 2021: what is computed is what the paper says, every verdict can be reached, figures redraw."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from probatum.data import IMAGENET, ImageSet
from probatum.errors import InvalidInput
from probatum.experiments.run_folder import write_results
from probatum.experiments.sanity import SanityResult
from probatum.models import PAPER_MNIST, TrainingConfig, load_model, model_spec
from probatum.randomization import preset
from probatum.reproductions import ReproductionConfig, get_paper, redraw_reproduction, run_reproduction, subjects
from probatum.reproductions.base import Context, read_facts, store_arrays, write_facts
from probatum.reproductions.setting import PRETRAINED, Setting
from probatum.reproductions.wienecke2021 import PAPER, cascade, digits, failures, photographs
from probatum.reproductions.wienecke2021.cascade import SIZES, TITLES, Effort
from probatum.runs.files import write_json

STAGES = ("linear2", "linear1", "conv2", "conv1")
BLOCKS = ("fc", "layer4.1", "layer4.0", "layer3.1", "layer3.0", "layer2.1", "layer2.0", "layer1.1", "layer1.0", "conv1")


def context(**options) -> Context:
    return Context(ReproductionConfig(**({"paper": "wienecke2021", "device": "cpu"} | options)))


def small_spec(name):
    """A network for photographs of 64 pixels; SqueezeNet has two stages, for each costs seconds."""
    spec = model_spec(name).with_inputs(64)
    return replace(spec, stages=(("head", ("classifier",)), ("body", ("features",)))) if "squeeze" in name else spec


@pytest.fixture
def tiny(whole_run, monkeypatch):
    """Everything small: a few digits, photographs of 64 pixels, two points a method."""
    few = Effort(2, samples=2, steps=2, nested=2)
    sizes = replace(
        SIZES["quick"],
        train_images=300,
        test_images=60,
        training=TrainingConfig(epochs=2, batch_size=50, learning_rate=3e-4),
        gradient_digits=6,
        digits=replace(few, images=4),
        overlays=few,
        photograph=replace(few, images=1),
        curves=few,
        guided=2,
        nested=replace(few, images=1),
    )
    monkeypatch.setitem(SIZES, "quick", sizes)
    monkeypatch.setattr(subjects, "model_spec", small_spec)
    monkeypatch.setattr(failures, "model_spec", small_spec)
    return sizes


@pytest.fixture
def folder_of_photographs(tmp_path):
    """Four pictures, among them one that is named after the junco."""
    from PIL import Image

    place = tmp_path / "photographs"
    place.mkdir()
    noise = np.random.default_rng(0)
    for name in ("a.png", "b.png", "c.png", "n01534433_junco.png"):
        Image.fromarray(noise.integers(0, 256, (80, 90, 3), dtype=np.uint8)).save(place / name)
    return place


def run(config, tmp_path):
    """The folder and findings of a reproduction."""
    out = tmp_path / "out"
    out.mkdir()
    return out, run_reproduction(config, out)


def assert_redraws(out, figures):
    """The figures are these, and drawn again from the stored results they are the same files."""
    assert sorted(path.name for path in (out / "figures").iterdir()) == figures
    first = [(out / "figures" / name).read_bytes() for name in figures]
    redraw_reproduction(out)
    assert [(out / "figures" / name).read_bytes() for name in figures] == first


# What is computed


def test_the_paper_preset_is_the_paper():
    sizes = SIZES["paper"]
    assert sizes.training == PAPER_MNIST
    assert (PAPER_MNIST.epochs, PAPER_MNIST.batch_size, PAPER_MNIST.learning_rate) == (50, 50, 1e-4)
    assert sizes.train_images is None
    assert sizes.curves.images == 20
    for effort in (sizes.digits, sizes.overlays, sizes.photograph, sizes.curves):
        assert effort.samples == effort.nested == 50
    made = cascade.methods(sizes.curves)
    assert list(made) == list(TITLES)
    for name in ("smoothgrad", "input-x-gradient-sg", "integrated-gradients-sg"):
        assert (made[name].samples, made[name].noise_std) == (50, 0.15)
    assert (sizes.nested.nested, sizes.nested.steps) == (50, 50)


def test_the_gradient_is_without_sign_also_under_noise():
    model = load_model("basic_cnn", "none").double()
    images = torch.randn(2, 1, 28, 28, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    made = cascade.methods(Effort(2, samples=4, steps=2, nested=2))
    leaf = images.clone().requires_grad_()
    logits = model(leaf)
    (gradient,) = torch.autograd.grad(logits.max(1).values.sum(), leaf)
    torch.testing.assert_close(made["gradient"](model, images), gradient.abs(), rtol=1e-12, atol=1e-15)
    smooth = made["smoothgrad"](model, images)
    signed = replace(made["smoothgrad"], method=photographs.Gradient())(model, images)
    assert (smooth >= signed.abs() - 1e-15).all()
    assert (smooth > 1.01 * signed.abs()).any()


def test_resnet18_is_randomized_by_block_with_its_batch_norm():
    model = load_model("resnet18", "none")
    with torch.no_grad():  # what is constant has no spread to draw from
        for name, parameter in model.named_parameters():
            if "bn" in name or "downsample.1" in name:
                parameter.add_(torch.linspace(-0.1, 0.1, len(parameter)))
    data = ImageSet("black", torch.zeros(1, 3, 64, 64), None, None, ("a",), IMAGENET)
    subject = subjects.Subject("resnet18", "ResNet-18", model, data, Setting(), model_spec("resnet18").stages)
    randomizer = subject.randomizer(context(), preset("wienecke"))
    assert tuple(stage.name for stage in randomizer.stages) == BLOCKS
    assert randomizer.redraw
    states = {entry.name: entry.state for entry in randomizer.account()}
    assert all(states[name] == "re-drawn" for name, _ in model.named_parameters())
    assert next(e.stage for e in randomizer.account() if e.name == "layer3.0.downsample.1.bias") == "layer3.0"


def test_the_experiments_are_those_of_the_paper():
    assert get_paper("wienecke2021") is PAPER
    names = [experiment.name for experiment in PAPER.experiments]
    assert names == ["table2_2", "figure1", "figure3", "figure4", "figure6", "figure8", "failures"]


# The digits, from training to verdict


def test_digits_compute_draw_and_judge(tiny, tmp_path):
    config = ReproductionConfig("wienecke2021", ("table2_2", "figure1", "figure3"), device="cpu")
    out, findings = run(config, tmp_path)
    found = {finding.claim.name: finding for finding in findings}
    assert found["basic-cnn"].verdict == "reproduced"
    assert "3,274,634 parameters" in found["basic-cnn"].ours
    assert found["accuracy"].verdict == "not comparable"
    assert found["table-2.2"].verdict == found["redrawn"].verdict == "reproduced"
    assert {"gradient", "smoothgrad", "background", "input-sg", "guided", "ig-sg"} <= set(found)
    steps = (out / "table2_2" / "table2_2.md").read_text().splitlines()
    assert steps[-1].startswith("| 4 | linear2, linear1, conv2, conv1 | ")
    stored = cascade.Cascade(out / "figure1").run
    assert stored.config["data_title"] == "rendered digits"
    assert (len(stored.result.image_names), len(stored.result.maps)) == (6, 5)
    assert_redraws(out, ["figure1.png", "figure3.png"])


def table_facts(**changes):
    steps = [
        {
            "stage": stage,
            "randomized": list(STAGES[: number + 1]),
            "drawn_again": list(STAGES[: number + 1]),
            "deviation": 2.0,
            "accuracy": 0.1,
        }
        for number, stage in enumerate(STAGES)
    ]
    facts = {"data_title": "MNIST", "train_images": 60_000, "test_images": 10_000, "accuracy": 0.9938, "epochs": 50}
    facts |= {"layers": digits.ARCHITECTURE, "parameters": 3_274_634, "steps": steps} | changes
    setting = digits.setting_of(facts["data_title"], facts["epochs"], facts["train_images"])
    return facts | {"setting": setting.to_json()}


def verdicts(findings):
    return {finding.claim.name: finding.verdict for finding in findings}


@pytest.mark.parametrize(
    ("change", "claim", "verdict"),
    [
        ({}, "accuracy", "reproduced"),
        ({"accuracy": 0.987}, "accuracy", "not reproduced"),
        ({"accuracy": 0.9905}, "accuracy", "undecided"),
        ({"accuracy": 0.987, "epochs": 3}, "accuracy", "not comparable"),
        ({"data_title": "rendered digits"}, "accuracy", "not comparable"),
        ({}, "basic-cnn", "reproduced"),
        ({"layers": {"conv1": "Conv2d(1, 32)"}}, "basic-cnn", "not reproduced"),
        ({}, "table-2.2", "reproduced"),
        ({}, "redrawn", "reproduced"),
    ],
)
def test_verdicts_on_the_network(tmp_path, change, claim, verdict):
    write_facts(tmp_path, **table_facts(**change))
    assert verdicts(digits.TABLE_2_2.judge(tmp_path))[claim] == verdict


@pytest.mark.parametrize(
    ("field", "value", "claim"),
    [("randomized", ["linear2"], "table-2.2"), ("drawn_again", ["conv1"], "redrawn"), ("deviation", 9.0, "redrawn")],
)
def test_a_cascade_that_skips_or_keeps_layers_is_not_the_papers(tmp_path, field, value, claim):
    facts = table_facts()
    facts["steps"][-1][field] = value
    write_facts(tmp_path, **facts)
    assert verdicts(digits.TABLE_2_2.judge(tmp_path))[claim] == "not reproduced"


# Hand-made runs


def hand_made(folder, scores, maps, *, stages=STAGES, constant=None, **facts):
    """A run folder: scores {method: (stage, image)} of both metrics, maps {method: (image, 1 + stage, side, side)}."""
    methods = tuple(scores)
    images = next(iter(scores.values())).shape[1]
    names = tuple(f"{index}.png" for index in range(images))
    table = np.stack([np.stack([values, values]) for values in scores.values()])[..., None]
    result = SanityResult(
        methods,
        ("ssim-wienecke", "spearman-abs"),
        tuple(stages),
        names,
        (0,) * images,
        table,
        np.zeros((len(methods), len(stages), images, 1), dtype=np.int8) if constant is None else constant,
        np.full((len(methods), 2, images), np.nan),
        np.zeros_like(table),
        {names[index]: {method: maps[method][index][:, None] for method in maps} for index in range(images)}
        if maps
        else {},
    )
    write_results(folder, result)
    config = {
        "classes": ["junco"] * images,
        "confidences": [0.42] * images,
        "data_title": "rendered digits",
        "network": "a network",
        "trained": True,
        "setting": Setting().to_json(),
        "relu_calls": 17,
        "kept_images": list(result.maps),
    }
    write_json(folder / "config.json", config | facts)
    # A digit is the left half of its picture.
    pictures = np.zeros((images, 1, 12, 12), dtype=np.float32)
    pictures[..., :6] = 1
    np.savez(folder / "images.npz", pictures=pictures)


def levels(*means):
    """Scores of six images about the given mean of each stage."""
    return np.array(means)[:, None] + np.linspace(-0.01, 0.01, 6)


@pytest.mark.parametrize(
    ("means", "verdict"),
    [((0.8, 0.6, 0.3, 0.1), "reproduced"), ((0.8, 0.7, 0.6, 0.6), "not reproduced"), ((0.5,) * 4, "undecided")],
)
def test_verdicts_on_figure_1(tmp_path, means, verdict):
    hand_made(tmp_path, {"gradient": levels(*means)}, {})
    assert verdicts(digits.FIGURE_1.judge(tmp_path)) == {"gradient": verdict}


def test_constant_maps_do_not_count_as_scrambled(tmp_path):
    constant = np.zeros((1, 4, 6, 1), dtype=np.int8)
    constant[:, 2:] = 2
    hand_made(tmp_path, {"gradient": levels(0.8, 0.6, 0.0, 0.0)}, {}, constant=constant)
    (finding,) = digits.FIGURE_1.judge(tmp_path)
    assert finding.verdict == "undecided"
    assert "0 of 6 images" in finding.ours


def seven_maps(noise, outside):
    """Maps of all methods: each pair that should look alike does, up to noise of the given size at each stage."""
    generator = np.random.default_rng(0)
    shape = (6, 5, 12, 12)
    base = {kind: generator.random(shape) for kind in ("gradient", "input-x-gradient", "integrated-gradients")}
    base["input-x-gradient"][..., 6:] *= np.reshape(outside, (1, 5, 1, 1))
    size = np.reshape(noise, (1, 5, 1, 1))
    pairs = {
        "gradient": "smoothgrad",
        "input-x-gradient": "input-x-gradient-sg",
        "integrated-gradients": "integrated-gradients-sg",
    }
    maps = dict(base)
    for kind, smooth in pairs.items():
        maps[smooth] = (1 - size) * base[kind] + size * generator.random(shape)
    return maps | {"guided-backprop": generator.random(shape)}


@pytest.mark.parametrize(
    ("noise", "outside", "guided", "expected"),
    [
        ((0.1, 0.1, 0.1, 0.9, 0.9), (0.1, 0.1, 0.1, 0.9, 0.9), (0.9, 0.8, 0.6, 0.2), "rr?rnrrn"),
        ((0.1,) * 5, (0.1,) * 5, (0.9, 0.8, 0.3, 0.2), "r???rnrr"),
        ((0.9,) * 5, (0.9, 0.1, 0.1, 0.1, 0.1), (0.5, 0.6, 0.7, 0.8), "n??nnrnn"),
    ],
)
def test_verdicts_on_figure_3(tmp_path, noise, outside, guided, expected):
    maps = {name: values.astype(np.float32) for name, values in seven_maps(noise, outside).items()}
    scores = {name: levels(*guided) for name in TITLES}
    hand_made(tmp_path, scores, maps)
    found = verdicts(digits.FIGURE_3.judge(tmp_path))
    order = ("smoothgrad", "smoothgrad-parts", "smoothgrad-brighter", "background", "input-sg", "guided")
    known = {"r": "reproduced", "n": "not reproduced"}
    letters = dict(zip((*order, "guided-noisy", "ig-sg"), expected, strict=True))
    assert {name: found[name] for name, letter in letters.items() if letter in known} == {
        name: known[letter] for name, letter in letters.items() if letter in known
    }
    assert set(found) == set(letters)


UNTRAINED = Setting(lacks={PRETRAINED: "the weights are random: give --weights"})
CURVES = {
    "gradient": (0.8, 0.3),
    "smoothgrad": (0.7, 0.2),
    "input-x-gradient": (0.75, 0.65),
    "input-x-gradient-sg": (0.75, 0.7),
    "guided-backprop": (0.95, 0.9),
    "integrated-gradients": (0.7, 0.7),
    "integrated-gradients-sg": (0.7, 0.7),
    "gradient-signed": (0.9, 0.8),
    "smoothgrad-signed": (0.9, 0.8),
}


@pytest.mark.parametrize(
    ("changes", "failing"),
    [
        ({}, set()),
        ({"guided-backprop": (0.7, 0.6)}, {"guided-highest"}),
        ({"integrated-gradients": (0.85, 0.85)}, {"around-0.7-integrated-gradients"}),
        ({"gradient": (0.8, 0.5)}, {"gradient-low"}),
        ({"gradient": (0.95, 0.35), "input-x-gradient": (0.65, 0.62)}, {"input-steady"}),
        ({"smoothgrad": (0.9, 0.74)}, {"smoothgrad-low"}),
    ],
)
def test_verdicts_on_figure_8(tmp_path, changes, failing):
    scores = {name: levels(*means) for name, means in (CURVES | changes).items()}
    hand_made(tmp_path, scores, {}, stages=("fc", "conv1"))
    found = verdicts(photographs.FIGURE_8.judge(tmp_path))
    assert {name for name, verdict in found.items() if verdict == "not reproduced"} == failing
    assert len(found) == 7


def test_methods_are_compared_on_the_same_live_maps(tmp_path):
    scores = {name: levels(*means) for name, means in CURVES.items()}
    constant = np.zeros((len(scores), 2, 6, 1), dtype=np.int8)
    constant[0, 1, :2] = 2  # two maps of the Gradient
    hand_made(tmp_path, scores, {}, stages=("fc", "conv1"), constant=constant)
    found = photographs.Photographs(tmp_path).paired
    assert all(np.isnan(table[1, :2]).all() and np.isfinite(table[0]).all() for table in found.values())


def test_random_weights_get_no_verdict(tmp_path):
    scores = {name: levels(*means) for name, means in CURVES.items()}
    hand_made(tmp_path, scores, {}, stages=("fc", "conv1"), setting=UNTRAINED.to_json())
    assert set(verdicts(photographs.FIGURE_8.judge(tmp_path)).values()) == {"not comparable"}


def test_verdicts_on_figure_4(tmp_path):
    generator = np.random.default_rng(0)
    edges = generator.random((6, 1, 12, 12)).repeat(3, axis=1)
    maps = generator.random((6, 3, 12, 12))
    turned, away = maps.copy(), maps.copy()
    turned[:, 2], away[:, 0] = edges[:, 2], edges[:, 0]
    scores = {"input-x-gradient-sg": levels(0.5, 0.5), "edge-detector": levels(0.9, 0.9)}
    for number, (values, verdict) in enumerate(((turned, "reproduced"), (away, "not reproduced"))):
        place = tmp_path / str(number)
        place.mkdir()
        both = {"input-x-gradient-sg": values.astype(np.float32), "edge-detector": edges.astype(np.float32)}
        hand_made(place, scores, both, stages=("fc", "conv1"))
        assert verdicts(photographs.FIGURE_4.judge(place)) == {"junco": "not comparable", "edges": verdict}


@pytest.mark.parametrize(("predicted", "verdict"), [("junco", "reproduced"), ("jay", "not reproduced")])
def test_the_junco_is_found_by_its_name(tmp_path, predicted, verdict):
    maps = {name: np.random.default_rng(0).random((6, 3, 12, 12)) for name in ("input-x-gradient-sg", "edge-detector")}
    scores = {name: levels(0.5, 0.5) for name in maps}
    hand_made(tmp_path, scores, maps, stages=("fc", "conv1"), classes=[predicted] * 6)
    for name in ("results.csv", "ceiling.csv", "chance.csv", "config.json"):
        path = tmp_path / name
        path.write_text(path.read_text().replace("0.png", "n01534433_junco.png"))
    finding = photographs.FIGURE_4.judge(tmp_path)[0]
    assert (finding.verdict, finding.ours) == (verdict, f"{predicted} (0.42)")


def test_verdicts_on_figure_6(tmp_path):
    generator = np.random.default_rng(0)
    maps = {name: generator.random((6, 3, 12, 12)).astype(np.float32) for name in TITLES}
    maps["gradient"] **= 8  # few bright pixels
    scores = {name: levels(0.6, 0.6) for name in TITLES} | {"gradient": levels(0.4, 0.4)}
    hand_made(tmp_path, scores, maps, stages=("fc", "conv1"))
    names = ("seven-rows", "brightness")
    # The paper's failure does not occur.
    expected = dict.fromkeys(names, "reproduced") | {"seven-rows": "not reproduced"}
    assert verdicts(photographs.FIGURE_6.judge(tmp_path)) == expected
    maps["guided-backprop"][0, 1] = 0
    maps["smoothgrad"], maps["gradient"] = maps["gradient"], maps["smoothgrad"]
    scores["gradient"] = levels(0.8, 0.8)
    (tmp_path / "again").mkdir()
    hand_made(tmp_path / "again", scores, maps, stages=("fc", "conv1"))
    expected = dict.fromkeys(names, "not reproduced") | {"seven-rows": "reproduced"}
    assert verdicts(photographs.FIGURE_6.judge(tmp_path / "again")) == expected


# Photographs and ResNet-18


def test_without_network_or_photographs_the_scorecard_says_what_to_give(tiny, tmp_path, folder_of_photographs):
    for options, lacks, has in (
        ({}, "--model resnet18", "--photographs"),
        ({"photographs": str(folder_of_photographs)}, "--model resnet18", None),
    ):
        out = tmp_path / f"out-{len(list(tmp_path.iterdir()))}"
        out.mkdir()
        config = ReproductionConfig("wienecke2021", ("figure4", "figure6", "figure8"), device="cpu", **options)
        findings = run_reproduction(config, out)
        assert len(findings) == 11
        for finding in findings:
            assert finding.verdict == "not comparable"
            assert lacks in finding.why
            assert ("--photographs" in finding.why and "--model" in finding.why) is (has is not None)
        assert not (out / "figures").exists()
    named = ReproductionConfig("wienecke2021", ("figure4",), model="resnet18", weights="none", device="cpu")
    with pytest.raises(InvalidInput, match="--photographs"):
        run_reproduction(named, tmp_path / "named")


def test_photographs_compute_draw_and_judge(tiny, tmp_path, folder_of_photographs):
    config = ReproductionConfig(
        "wienecke2021",
        ("figure4", "figure6", "figure8"),
        photographs=str(folder_of_photographs),
        model="squeezenet1_1",
        weights="none",
        device="cpu",
    )
    out, findings = run(config, tmp_path)
    assert {finding.verdict for finding in findings} == {"not comparable"}
    assert all("give --weights" in finding.why for finding in findings)
    assert "values before the last ReLU" in cascade.Cascade(out / "figure4").run.config["network"]
    stored = cascade.Cascade(out / "figure4").run
    assert stored.result.stages == ("head", "body")
    assert stored.result.image_names[0] == "n01534433_junco.png"
    assert set(TITLES) | {"gradient-signed", "smoothgrad-signed"} == set(
        cascade.Cascade(out / "figure8").run.result.methods
    )
    assert_redraws(out, ["figure4.png", "figure6.png", "figure8.png"])


def test_the_two_failures_work_and_would_be_told(tiny, tmp_path):
    out, findings = run(ReproductionConfig("wienecke2021", ("failures",), device="cpu"), tmp_path)
    assert [finding.verdict for finding in findings] == ["not reproduced", "not reproduced"]
    assert "17 ReLU calls" in findings[0].ours
    assert "ResNet-18 with random weights" in cascade.Cascade(out / "failures" / "guided").run.config["network"]
    assert cascade.Cascade(out / "failures" / "guided").run.result.stages == BLOCKS
    assert_redraws(out, ["failures-guided-backprop.png", "failures-ig-sg.png"])

    maps = out / "failures" / "guided" / "maps" / "000.npz"
    with np.load(maps) as held:
        values = {name: held[name] for name in held.files}
    values["guided-backprop"][3] = 0
    np.savez(maps, **values)
    facts = read_facts(out / "failures" / "nested")
    write_facts(out / "failures" / "nested", **(facts | {"grown": facts["budget"] + 1}))
    guided, nested = failures.FAILURES.judge(out / "failures")
    assert (guided.verdict, nested.verdict) == ("reproduced", "not reproduced")  # on the CPU it is told, not judged
    write_facts(out / "failures" / "nested", **(facts | {"grown": facts["budget"] + 1, "device": "cuda"}))
    assert failures.FAILURES.judge(out / "failures")[1].verdict == "reproduced"
    assert "50 % of the maps of a stage vanish (layer4.0)" in guided.ours
    values["gradient"][3] = 0  # a network that is dead there is not the method's failure
    np.savez(maps, **values)
    guided = failures.FAILURES.judge(out / "failures")[0]
    assert guided.verdict == "not reproduced"
    assert "the Gradient is zero for 1 of 22 maps" in guided.ours
    write_facts(out / "failures" / "nested", **(facts | {"grown": None, "device": "cuda"}))
    assert failures.FAILURES.judge(out / "failures")[1].verdict == "not reproduced"
    store_arrays(out / "failures" / "nested", **{"integrated-gradients-sg": np.zeros((1, 3, 8, 8))})
    assert failures.FAILURES.judge(out / "failures")[1].verdict == "reproduced"


def test_photographs_are_spread_over_the_folder_and_the_named_one_leads(folder_of_photographs):
    files = sorted(folder_of_photographs.iterdir())
    assert photographs.choose([folder_of_photographs], 2) == [files[0], files[-1]]
    leading = photographs.choose([folder_of_photographs], 3, ("nothing", "JUNCO"))
    assert [path.name for path in leading] == ["n01534433_junco.png", "a.png", "c.png"]


# Bad input


def test_too_few_photographs(folder_of_photographs):
    with pytest.raises(InvalidInput, match="holds 4 photographs where 9 are needed"):
        photographs.choose([folder_of_photographs], 9)


def test_the_failures_are_those_of_resnet18_whatever_network_is_named(tiny, folder_of_photographs):
    named = context(model="squeezenet1_1", weights="none", photographs=str(folder_of_photographs))
    subject, source = failures._subject(named, 2)
    assert (subject.name, subject.trained, len(subject.data), source) == ("resnet18", False, 2, "photographs")


def test_the_papers_own_photographs_come_before_the_samples(tmp_path, folder_of_photographs):
    data = tmp_path / "data"
    data.mkdir()
    folder_of_photographs.rename(data / "imagenet-samples")
    (data / "imagenet-demo").mkdir()
    (data / "imagenet-samples" / "a.png").rename(data / "imagenet-demo" / "ILSVRC2012_val_00032239.png")
    (data / "imagenet-samples" / "b.png").rename(data / "imagenet-samples" / "n02098105_terrier.png")
    folders = subjects.photograph_folders(context(data_dir=str(data)))
    assert [folder.name for folder in folders] == ["imagenet-demo", "imagenet-samples"]
    (chosen,) = photographs.choose(folders, 1, photographs.BUCKET)
    assert chosen.name == "ILSVRC2012_val_00032239.png"
    with pytest.raises(InvalidInput, match="no folder of photographs"):
        subjects.photograph_folders(context(photographs=str(tmp_path / "nowhere")))


def test_a_network_of_digits_cannot_see_photographs():
    with pytest.raises(InvalidInput, match="basic CNN takes no photographs"):
        photographs.network(context(model="basic_cnn"), "none", [])


@pytest.mark.parametrize(
    ("figure", "folder"), [("table2_2", "MNIST/"), ("figure1", "MNIST/"), ("figure8", "imagenet-samples/")]
)
def test_the_paper_preset_misses_its_data(tmp_path, figure, folder):
    config = ReproductionConfig("wienecke2021", (figure,), preset="paper", data_dir=str(tmp_path), device="cpu")
    with pytest.raises(InvalidInput, match=folder):
        run_reproduction(config, tmp_path / "run")


def test_an_incomplete_run_is_named(tmp_path):
    write_json(tmp_path / "config.json", {"kept_images": []})
    with pytest.raises(InvalidInput, match="no complete run"):
        digits.FIGURE_1.judge(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text()) == {"kept_images": []}

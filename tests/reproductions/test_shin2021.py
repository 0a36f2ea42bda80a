"""Shin & Nemeth 2021: what is computed is what the paper says, every verdict can be reached, figures redraw."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from probatum.attributions import Gradient
from probatum.data import IMAGENET, MNIST_RGB_64, Preprocessing
from probatum.data.confounded import confounded_digits
from probatum.errors import InvalidInput
from probatum.models import EpochRecord, TrainingConfig, TrainingReport, load_model, model_spec
from probatum.reproductions import ReproductionConfig, get_paper, redraw_reproduction, run_reproduction, subjects
from probatum.reproductions.base import Context, read_facts, store_arrays, stored_arrays, write_facts
from probatum.reproductions.setting import PRETRAINED, Setting
from probatum.reproductions.shin2021 import PAPER, bias, cascade, labels, pictures, setting

ONE_EPOCH = TrainingConfig(1, 10, 1e-3, "sgd", monitor="train", target_accuracy=0.95)


def context(**options):
    return Context(ReproductionConfig(**({"paper": "shin2021", "device": "cpu"} | options)))


@pytest.fixture
def tiny(whole_run, monkeypatch):
    """Everything small: networks of a few channels, a dozen digits and photographs of 64 pixels."""
    monkeypatch.setattr(setting, "SAMPLES", 2)
    recipes = {"alexnet": ONE_EPOCH, "vgg11": ONE_EPOCH}
    monkeypatch.setitem(labels.SIZES, "quick", labels.LabelSizes(1 / 32, 20, 10, 20, recipes))
    monkeypatch.setitem(cascade.SIZES, "quick", cascade.CascadeSizes(2, 3))
    monkeypatch.setitem(pictures.SIZES, "quick", pictures.PictureSizes(2, 2, 2, (1, 3), (0, 32)))
    sizes = replace(
        bias.SIZES["quick"], preprocessing=replace(bias.SIZES["quick"].preprocessing, resize=64), train_images=10
    )
    monkeypatch.setitem(
        bias.SIZES, "quick", replace(sizes, test_images=6, explained=4, training=replace(sizes.training, epochs=1))
    )
    monkeypatch.setattr(subjects, "model_spec", lambda name: model_spec(name).with_inputs(64))


@pytest.fixture
def photographs(tmp_path):
    """Five pictures, one of them named after broccoli."""
    place = tmp_path / "photographs"
    place.mkdir()
    noise = np.random.default_rng(0)
    for name in ("a.png", "b.png", "c.png", "d.png", "n07714990_broccoli.png"):
        Image.fromarray(noise.integers(0, 256, (80, 90, 3), dtype=np.uint8)).save(place / name)
    return place


def run(config, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    return out, {finding.claim.name: finding for finding in run_reproduction(config, out)}


def assert_redraws(out, figures):
    """The figures are these, and drawn again from the stored results they are the same files."""
    assert sorted(path.stem for path in (out / "figures").iterdir()) == sorted(figures)
    first = [(out / "figures" / f"{name}.png").read_bytes() for name in figures]
    redraw_reproduction(out)
    assert [(out / "figures" / f"{name}.png").read_bytes() for name in figures] == first


# What is computed


def test_the_experiments_are_those_of_the_paper():
    assert get_paper("shin2021") is PAPER
    names = [experiment.name for experiment in PAPER.experiments]
    assert names == ["figure1", "figure2", "figures3-4", "figures5-6", "figure7"]


def test_the_paper_preset_is_the_paper():
    sizes = labels.SIZES["paper"]
    assert (sizes.width, sizes.train_images, sizes.explained, sizes.tested) == (1.0, 200, 100, 10_000)
    for recipe in sizes.training.values():
        assert (recipe.optimizer, recipe.learning_rate, recipe.momentum, recipe.batch_size) == ("sgd", 0.001, 0.9, 16)
        assert (recipe.monitor, recipe.target_accuracy) == ("train", 0.95)
        assert recipe.epochs >= 203
    assert cascade.SIZES["paper"].photographs == 20
    assert bias.SHARES == {"biased": (0.96, 0.82), "balanced": (0.5, 0.5)}
    assert 150 <= bias.SIZES["paper"].train_images <= 200
    assert bias.SIZES["paper"].network == "pretrained"


@pytest.mark.parametrize("preprocessing", [MNIST_RGB_64, IMAGENET])
def test_the_noise_is_20_of_255_pixel_values(preprocessing):
    made = setting.methods(preprocessing, "features.11")
    assert list(made) == list(setting.METHODS)
    smooth = made["smoothgrad"]
    assert smooth.samples == 20
    in_pixels = [smooth.noise_std * std * 255 for std in preprocessing.std]
    assert in_pixels == pytest.approx([20] * 3, rel=1e-12 if preprocessing is MNIST_RGB_64 else 0.014)
    assert made["grad-cam"].layer == "features.11"


def test_the_correlation_is_that_of_the_appendix():
    metric = setting.METRICS["magnitude"]
    a, b = torch.rand(2, 1, 1, 6, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ranks = [values.flatten().argsort().argsort().double() for values in (a, b)]
    count = 42
    expected = 1 - 6 * float(((ranks[0] - ranks[1]) ** 2).sum()) / (count * (count**2 - 1))
    assert float(metric(a, b)) == pytest.approx(expected, abs=1e-12)


def test_networks_of_one_start_differ_in_labels_alone(tiny, monkeypatch):
    seen = []

    def not_trained(model, images, given, *rest, what, progress):
        seen.append((model, given, rest[2]))
        record = EpochRecord(1, 0.0, 0.0, 0.0)
        return TrainingReport((record,), record, None)

    monkeypatch.setattr("probatum.reproductions.digits.train_once", not_trained)
    data = labels.digits(context(), labels.SIZES["quick"])
    for key in labels.MODELS:  # true and permuted labels in turn
        labels.network(context(), "vgg11", key, labels.SIZES["quick"], data)
    first = [model.features[0].weight for model, _, _ in seen]
    assert torch.equal(first[0], first[1])
    assert torch.equal(first[2], first[3])
    assert not torch.equal(first[0], first[2])
    given = [each for _, each, _ in seen]
    assert torch.equal(given[0], data.train.labels)
    assert torch.equal(given[1], given[3])
    assert not torch.equal(given[0], given[1])
    assert torch.equal(given[1].bincount(minlength=10), data.train.labels.bincount(minlength=10))
    assert [recipe.seed for *_, recipe in seen] == [0, 0, 1, 1, 2, 2]


# Computed, drawn and judged


def test_label_randomization(tiny, tmp_path):
    out, found = run(ReproductionConfig("shin2021", ("figures3-4",), device="cpu"), tmp_path)
    assert {finding.verdict for finding in found.values()} == {"not comparable"}  # rendered digits
    assert len(found) == 13
    assert_redraws(out, ["figures3-4-figure3", "figures3-4-figure4"])
    arrays = stored_arrays(out / "figures3-4")
    assert arrays["scores"].shape == (2, 2, 3, 3, 2, 10)  # metric, network, comparison, training, method, image
    assert np.isfinite(arrays["scores"][..., 0, :]).all()
    np.testing.assert_allclose(arrays["scores"][0, ..., 1, :], arrays["scores"][1, ..., 1, :], atol=1e-12)  # Grad-CAM


def test_the_cascade_on_digits_where_no_network_is_given(tiny, tmp_path):
    out, found = run(ReproductionConfig("shin2021", ("figures5-6",), device="cpu"), tmp_path)
    assert {finding.verdict for finding in found.values()} == {"not comparable"}
    assert all("--photographs" in finding.why for finding in found.values())
    assert_redraws(
        out, [f"figures5-6-{figure}-{name}" for figure in ("figure5", "figure6") for name in ("alexnet", "vgg11")]
    )
    networks = read_facts(out / "figures5-6")["networks"]
    assert [(network["head"], len(network["stages"])) for network in networks] == [(3, 8), (3, 11)]


def test_the_cascade_on_photographs_under_random_weights_is_not_comparable(tiny, photographs, tmp_path):
    config = ReproductionConfig(
        "shin2021",
        ("figure1", "figures5-6"),
        photographs=str(photographs),
        model="squeezenet1_0",
        weights="none",
        device="cpu",
    )
    out, found = run(config, tmp_path)
    assert found.pop("last-map-alexnet").verdict == "not reproduced"
    assert found.pop("last-map-vgg11").verdict == "reproduced"
    assert {finding.verdict for finding in found.values()} == {"not comparable"}
    assert_redraws(out, ["figure1", "figures5-6-figure5-squeezenet1_0", "figures5-6-figure6-squeezenet1_0"])
    (network,) = read_facts(out / "figures5-6")["networks"]
    assert network["title"] == "SqueezeNet 1.0 with random weights"
    assert network["head"] == 1


def test_figure_1_needs_a_network(tmp_path):
    out, found = run(ReproductionConfig("shin2021", ("figure1",), device="cpu"), tmp_path)
    assert found["two-classes"].verdict == "not comparable"
    assert "--model" in found["two-classes"].why
    assert found["last-map-alexnet"].ours == "13 by 13"
    assert not (out / "figures").exists()


def test_the_halves_of_a_joined_image_belong_to_their_photographs(tiny, photographs):
    config = {"photographs": str(photographs), "model": "squeezenet1_0", "weights": "none"}
    (subject,) = setting.photograph_subjects(context(**config), 4)
    pairs = pictures._joined(context(**config), subject)
    images = subject.data.images
    assert pairs.targets.shape == (4,)
    assert pairs.images.shape == (2, 3, 64, 64)
    assert torch.equal(pairs.images[..., :32], images[0::2][..., 16:48])
    assert torch.equal(pairs.images[..., 32:], images[1::2][..., 16:48])
    on_the_left = torch.zeros(2, 1, 64, 64)
    on_the_left[..., :32] = 1
    assert pairs.share(0, on_the_left).tolist() == [1, 1]
    assert pairs.share(1, on_the_left).tolist() == [0, 0]


def test_the_grid_of_samples_and_noise(tiny, tmp_path):
    out, found = run(ReproductionConfig("shin2021", ("figure2",), device="cpu"), tmp_path)
    assert found["plain"].verdict == "reproduced"
    assert found["more-samples"].verdict == "not comparable"
    assert_redraws(out, ["figure2"])
    arrays = stored_arrays(out / "figure2")
    assert found["best-noise"].verdict == "not comparable"
    assert arrays["agreement"].shape == (2, 2, 2)
    np.testing.assert_allclose(arrays["agreement"][0], 1, atol=1e-12)  # without noise nothing differs
    assert np.array_equal(arrays["maps"][0, 0], arrays["maps"][0, 1])


def test_the_bias(tiny, tmp_path):
    out, found = run(ReproductionConfig("shin2021", ("figure7",), device="cpu"), tmp_path)
    assert len(found) == 7
    assert_redraws(out, ["figure7", "figure7-shares"])
    facts, arrays = read_facts(out / "figure7"), stored_arrays(out / "figure7")
    assert facts["networks"]["biased"]["agree"] == [1.0, 0.8]  # of ten images
    assert facts["networks"]["balanced"]["agree"] == [0.5, 0.5]
    assert not arrays["labels"][arrays["explained"]].any()
    assert arrays["biased-shares"].shape == (3, 2, 4)  # training, method, image
    assert not np.array_equal(*arrays["biased-shares"][:2])


def test_enlarged_regions_cover_their_share_of_the_input():
    digits = torch.zeros(3, 1, 28, 28, dtype=torch.uint8)
    data = confounded_digits(digits, torch.tensor([0, 1, 0]), (0.5, 0.5))
    for side in (64, 128, 224):
        enlarged = bias._enlarged(data.regions, side)
        assert enlarged.shape == (3, side, side)
        # A border of the region may be moved by half a pixel of the input.
        assert enlarged.double().mean((1, 2)).tolist() == pytest.approx([bias.AREA] * 3, abs=1 / side)
    white = Preprocessing((0.0,), (1.0,), resize=128).apply(data.images)
    assert float(white[~bias._enlarged(data.regions, 128)[:, None]].mean()) < 0.01  # resizing smears the rim a little


def test_a_network_of_two_classes_begins_with_given_weights(tmp_path):
    trained = load_model("squeezenet1_0", "none", seed=3)
    torch.save(trained.state_dict(), tmp_path / "weights.pt")
    given = context(model="squeezenet1_0", weights=str(tmp_path / "weights.pt"))
    example = torch.zeros(1, 3, 64, 64)
    model, layer, title = bias._network(given, bias.SIZES["paper"], 0, example)
    assert torch.equal(model.features[0].weight, trained.features[0].weight)
    assert model(example).shape == (1, 2)
    model.classifier[1].bias.data.fill_(-5.0)
    assert (model(example) < 0).all()  # a class that is never positive still learns: no ReLU follows
    assert layer == "features.12"
    assert title == "SqueezeNet 1.0 finetuned from ImageNet weights, values before the last ReLU, classifier.2"


def test_broccoli_comes_first_and_the_others_are_spread(photographs):
    given = context(photographs=str(photographs))
    assert [path.stem for path in setting.photographs(given, 3)] == ["n07714990_broccoli", "a", "c"]
    assert len(setting.photographs(given, 20)) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "squeezenet1_0"}, "--photographs"),
        ({"model": "squeezenet1_0", "photographs": "nowhere"}, "no photographs at nowhere"),
        ({"preset": "paper"}, "imagenet-samples/"),
    ],
)
def test_missing_photographs_are_named(options, message):
    with pytest.raises(InvalidInput, match=message):
        setting.photograph_subjects(context(**options), 3)


def test_a_network_without_photographs_is_refused(photographs):
    with pytest.raises(InvalidInput, match="basic CNN takes no photographs"):
        setting.photograph_subjects(context(model="basic_cnn", photographs=str(photographs)), 3)


# The rules of the verdicts


def verdicts(findings):
    return {finding.claim.name: finding.verdict for finding in findings}


def write_labels(folder, smooth, cam, train=0.96, true=0.9, permuted=0.12, slow=50, width=1):
    """Correlations of AlexNet and VGG-11 under both methods, with a little spread over images."""
    spread = np.linspace(-0.05, 0.05, 11)
    scores = np.zeros((2, 2, 3, 3, 2, 11))
    scores[..., 0, :] = np.array(smooth)[None, :, None, None, None] + spread
    scores[..., 1, :] = np.array(cam)[None, :, None, None, None] + spread
    store_arrays(folder, scores=scores, ceiling=np.ones((2, 2, 11)))
    own = {"epochs": 10, "train": train, "test": true}
    other = {"epochs": slow, "train": train, "test": permuted}
    runs = {key: own if key.startswith("true") else other for key in labels.MODELS}
    training = {"alexnet": runs, "vgg11": runs}
    write_facts(folder, data="MNIST", width=width, tested=10_000, agreement=0.1, training=training)
    return verdicts(labels.LABELS.judge(folder))


def test_labels_as_in_the_paper(tmp_path):
    found = write_labels(tmp_path, smooth=(0.85, 0.7), cam=(0.1, 0.0))
    assert set(found.values()) == {"reproduced"}


@pytest.mark.parametrize(
    ("change", "fallen"),
    [
        ({"smooth": (0.85, 0.5)}, {"smoothgrad-vgg11"}),
        ({"cam": (0.3, 0.0)}, {"grad-cam-alexnet"}),
        ({"smooth": (0.7, 0.65), "cam": (0.75, 0.1)}, {"grad-cam-alexnet", "grad-cam-below-alexnet"}),
        ({"smooth": (0.7, 0.85)}, {"vgg-below-smoothgrad"}),
        ({"train": 0.94}, {"memorized-true", "memorized-permuted"}),
        ({"true": 0.7}, {"generalized"}),
        ({"permuted": 0.3}, {"guessed"}),
        ({"slow": 10}, {"slower"}),
    ],
)
def test_each_rule_of_labels_can_fail(tmp_path, change, fallen):
    found = write_labels(tmp_path, **({"smooth": (0.85, 0.7), "cam": (0.1, 0.0)} | change))
    assert {name for name, verdict in found.items() if verdict == "not reproduced"} == fallen


def test_narrow_networks_cannot_refute_the_paper(tmp_path):
    found = write_labels(tmp_path, smooth=(0.85, 0.5), cam=(0.1, 0.0), train=0.94, width=0.125)
    open_ = {"smoothgrad-vgg11", "memorized-true", "memorized-permuted"}
    assert {name for name, verdict in found.items() if verdict == "not comparable"} == open_


def write_cascade(folder, curves):
    """`curves[network]` holds, for each method, the mean score after two classifier stages and three convolutions."""
    spread = np.linspace(-0.02, 0.02, 6)
    arrays, networks = {}, []
    for name, rows in curves.items():
        scores = np.array(rows)[:, None, :, None] + spread  # (method, 1, stage, image)
        arrays[f"{name}-scores"] = np.repeat(scores, 2, axis=1)
        networks.append({"name": name, "title": name, "head": 2, "setting": Setting().to_json()})
    store_arrays(folder, **arrays)
    write_facts(folder, networks=networks)
    return verdicts(cascade.CASCADE.judge(folder))


AS_IN_THE_PAPER = {
    "alexnet": [[0.9, 0.8, 0.5, 0.3, 0.15], [0.9, 0.75, 0.2, 0.1, 0.0]],
    "vgg11": [[0.9, 0.8, 0.5, 0.3, 0.05], [0.9, 0.75, 0.2, 0.1, 0.0]],
}


def test_the_cascade_as_in_the_paper(tmp_path):
    assert set(write_cascade(tmp_path, AS_IN_THE_PAPER).values()) == {"reproduced"}


@pytest.mark.parametrize(
    ("smooth", "cam", "fallen"),
    [
        ([0.9, 0.8, 0.5, 0.3, 0.3], None, {"towards-0-smoothgrad", "vgg-lower"}),
        (None, [0.5, 0.2, 0.1, 0.1, 0.0], {"grad-cam-late"}),
        ([0.5, 0.3, 0.2, 0.1, 0.05], None, {"smoothgrad-late", "grad-cam-below"}),
        (None, [0.95, 0.9, 0.8, 0.6, 0.1], {"grad-cam-below"}),
    ],
)
def test_each_rule_of_the_cascade_can_fail(tmp_path, smooth, cam, fallen):
    paper = AS_IN_THE_PAPER["vgg11"]
    found = write_cascade(tmp_path, AS_IN_THE_PAPER | {"vgg11": [smooth or paper[0], cam or paper[1]]})
    assert {name for name, verdict in found.items() if verdict == "not reproduced"} == fallen


def test_one_network_alone_cannot_be_compared_with_another(tmp_path):
    found = write_cascade(tmp_path, {"vgg11": AS_IN_THE_PAPER["vgg11"]})
    assert found.pop("vgg-lower") == "not comparable"
    assert set(found.values()) == {"reproduced"}


def test_a_network_of_convolutions_alone_has_no_classifier_to_compare_them_with(tiny, photographs):
    chosen = context(model="squeezenet1_1", weights="none", photographs=str(photographs))
    (subject,) = setting.photograph_subjects(chosen, 1)
    assert "convolution" in cascade._setting(chosen, subject).lacks[cascade.DENSE]
    dense = labels.digit_subjects(context(), 1)
    assert all(cascade.DENSE not in cascade._setting(context(), one).lacks for one in dense)


def test_constant_maps_are_left_out_and_too_few_others_decide_nothing(tmp_path):
    write_cascade(tmp_path, AS_IN_THE_PAPER)
    arrays = stored_arrays(tmp_path)
    arrays["alexnet-scores"][1, :, 3:, :2] = np.nan
    store_arrays(tmp_path, **arrays)
    found = {finding.claim.name: finding for finding in cascade.CASCADE.judge(tmp_path)}
    assert "4 of 6 images" in found["towards-0-grad-cam"].ours
    assert found["towards-0-grad-cam"].verdict == "undecided"
    assert found["towards-0-smoothgrad"].verdict == "reproduced"


def test_the_range_holds_95_percent_of_the_images():
    scores = np.append(np.arange(101.0), np.nan)
    assert [float(value) for value in setting.percentile_range(scores)] == [50.0, 2.5, 97.5]
    assert np.isnan(setting.percentile_range(np.array([np.nan])).mean)


def write_bias(folder, accuracies=(0.55, 0.8), shares=((0.3, 0.1), (0.4, 0.1)), validation=0.9):
    """Accuracies and shares, in the order biased, balanced; shares for SmoothGrad and Grad-CAM."""
    arrays = {"labels": np.repeat([0, 1], 100), "explained": np.arange(11)}
    for column, name in enumerate(bias.SHARES):
        said = arrays["labels"].copy()
        said[: 100 - round(100 * accuracies[column])] = 1
        values = np.array([pair[column] for pair in shares])[:, None] + np.linspace(-0.02, 0.02, 11)
        arrays |= {f"{name}-said": np.stack([said] * 3), f"{name}-shares": np.stack([values] * 3)}
    store_arrays(folder, **arrays)
    networks = {name: {"validation": [validation] * 3} for name in bias.SHARES}
    write_facts(folder, networks=networks, setting=Setting().to_json())
    return verdicts(bias.BIAS.judge(folder))


@pytest.mark.parametrize(
    ("change", "fallen"),
    [
        ({}, set()),
        ({"accuracies": (0.9, 0.99)}, {"broken-bond-biased"}),
        ({"accuracies": (0.5, 0.2)}, {"broken-bond"}),
        ({"validation": 0.8}, {"validation"}),
        ({"shares": ((0.1, 0.05), (0.4, 0.1))}, {"smoothgrad-bias"}),
        ({"shares": ((0.3, 0.1), (0.3, 0.4))}, {"grad-cam-unbiased"}),
    ],
)
def test_each_rule_of_the_bias_can_fail(tmp_path, change, fallen):
    found = write_bias(tmp_path, **change)
    assert {name for name, verdict in found.items() if verdict == "not reproduced"} == fallen


@pytest.mark.parametrize(
    ("own", "lacks", "verdict"),
    [
        (0.7, {}, "reproduced"),
        (0.4, {}, "not reproduced"),
        (np.nan, {}, "undecided"),
        (0.7, {PRETRAINED: "random weights"}, "not comparable"),
    ],
)
def test_the_rule_of_two_classes(tmp_path, own, lacks, verdict):
    shares = np.full((2, 6), own) + np.linspace(-0.02, 0.02, 6)
    store_arrays(tmp_path, shares=shares)
    grains = {"alexnet": 13, "vgg11": 14}
    write_facts(tmp_path, grains=grains, network="VGG-11", setting=Setting(lacks=lacks).to_json())
    found = verdicts(pictures.FIGURE_1.judge(tmp_path))
    assert found == {
        "two-classes": verdict,
        "last-map-alexnet": "not reproduced",
        "last-map-vgg11": "reproduced",
    }


@pytest.mark.parametrize(
    ("many", "error", "best", "expected"),
    [(0.8, 1e-6, 0.8, "reproduced"), (0.2, 1e-2, 0.5, "not reproduced")],
)
def test_the_rules_of_the_grid(tmp_path, many, error, best, expected):
    spread = np.linspace(-0.02, 0.02, 6)
    agreement = np.zeros((3, 2, 6)) + spread
    agreement[1] += [[0.3], [many]]
    inside = np.array([0.6, 0.6, best])[:, None, None] + np.stack([spread, spread[::-1]])  # noise, side, pair
    store_arrays(tmp_path, agreement=agreement, inside=inside)
    write_facts(tmp_path, noises=[0, 20, 32], samples=[1, 20], error=error, setting=Setting().to_json())
    found = verdicts(pictures.FIGURE_2.judge(tmp_path))
    assert found == dict.fromkeys(("plain", "more-samples", "best-noise"), expected)


def test_smoothgrad_without_noise_is_the_gradient():
    model = load_model("basic_cnn", "none").double()
    images = torch.randn(2, 1, 28, 28, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    smooth = replace(setting.methods(MNIST_RGB_64, None)["smoothgrad"], samples=1, noise_std=0.0)
    torch.testing.assert_close(smooth(model, images), Gradient()(model, images), rtol=1e-12, atol=1e-15)

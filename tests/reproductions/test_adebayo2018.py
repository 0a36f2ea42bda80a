"""Adebayo et al. 2018: sizes as the paper says, every rule both ways, every experiment on little data."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from probatum.data import IMAGENET
from probatum.errors import InvalidInput
from probatum.experiments.run_folder import read_run
from probatum.experiments.sanity import SanityResult
from probatum.models import TrainingConfig, model_spec
from probatum.models.analytic import LinearModel
from probatum.report import save_figure
from probatum.reproductions import Context, ReproductionConfig, get_paper, subjects
from probatum.reproductions.adebayo2018 import imagenet, labels, photographs, rules, setting, simple
from probatum.reproductions.adebayo2018.setting import CONTROL, METRICS, SIZES, Points
from probatum.reproductions.base import store_arrays, write_facts
from probatum.reproductions.setting import Setting

BRIEF = TrainingConfig(epochs=2, batch_size=20, learning_rate=1e-3)
TINY = replace(
    SIZES["quick"],
    train_images=40,
    test_images=30,
    training=BRIEF,
    memorized=20,
    label_trainings=2,
    memorizing=replace(BRIEF, monitor="train", target_accuracy=0.95),
    true_labels=BRIEF,
    per_class=1,
    trials=1,
    filters=2,
    photographs=2,
    drawn=1,
    photographs_drawn=1,
    points=Points(2, 2, 2, 1),
    photograph_points=Points(2, 2, 2, 1),
)


@pytest.fixture
def context(whole_run, monkeypatch):
    monkeypatch.setitem(setting.SIZES, "quick", TINY)
    return Context(ReproductionConfig("adebayo2018", device="cpu"))


@pytest.fixture
def small_photographs(monkeypatch):
    """Photographs of 64 pixels a side instead of 224."""
    monkeypatch.setattr(subjects, "preprocessing_of", lambda spec: replace(IMAGENET, resize=64, crop=64))


@pytest.fixture
def photograph_folder(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", *reversed(photographs.SHOWN_FIRST)):
        pixels = rng.integers(0, 256, (8, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((90, 80)).save(folder / f"{name}.png")
    return folder


def experiment(name):
    (found,) = get_paper("adebayo2018").chosen((name,))
    return found


def computed(name, context, tmp_path):
    """An experiment's folder, its figures and its findings."""
    chosen, folder = experiment(name), tmp_path / name
    folder.mkdir()
    chosen.compute(context, folder)
    return folder, chosen.draw(folder), chosen.judge(folder)


def test_the_paper_preset_has_the_papers_sizes():
    sizes = SIZES["paper"]
    assert sizes.points == sizes.photograph_points == Points(50, 50, 25, 50)
    assert (sizes.training.epochs, sizes.training.batch_size, sizes.training.learning_rate) == (50, 50, 1e-4)
    assert sizes.train_images == sizes.memorized == 55_000
    assert sizes.weights == "adebayo"
    for recipe in (sizes.memorizing, SIZES["quick"].memorizing):
        assert (recipe.monitor, recipe.target_accuracy) == ("train", 0.95)


def test_inception_has_seventeen_stages_without_its_auxiliary_head():
    stages = model_spec("inception_v3").stages
    assert [name for name, _ in stages][:2] == ["Logits", "Mixed_7c"]
    assert len(stages) == 17
    assert not any("Aux" in path for _, paths in stages for path in paths)


def test_methods_are_the_papers():
    methods = setting.methods_for("basic_cnn", Points())
    assert len(methods) == 11
    for pair, plain in setting.PAIR.items():
        assert methods[pair] == replace(methods[plain], offset=1.0)
        assert methods[plain].offset == 0
    assert methods["smoothgrad"].noise_fraction == 0.15
    assert methods["integrated-gradients"].baseline == "zero"
    nested = methods["integrated-gradients-sg"]
    assert (nested.samples, nested.method.steps) == (25, 50)
    assert set(methods) - set(setting.methods_for("mlp", Points())) == {*setting.PAIR, *setting.PAIR.values()}


def test_the_authors_first_weights_are_truncated_normal_with_biases_of_a_tenth(context, monkeypatch):
    monkeypatch.setitem(setting.SIZES, "quick", replace(TINY, weights="adebayo"))
    model = setting.untrained(context, "basic_cnn", 0)
    assert all(bool((module.bias == 0.1).all()) for module in model.modules() if hasattr(module, "bias"))
    weight = model.linear1.weight.detach()
    assert float(weight.abs().max()) <= 0.2
    assert float(weight.std()) == pytest.approx(0.0880, rel=0.01)  # of N(0, 0.1²) within two deviations
    again, other = (setting.untrained(context, "basic_cnn", seed).linear1.weight for seed in (0, 1))
    assert torch.equal(weight, again)
    assert not torch.equal(weight, other)


def test_black_is_zero(context):
    images = setting.load_small(context, "digits", "test", 20).images
    assert float(images.min()) == 0
    assert float(images.max()) <= 1


def test_data_are_what_is_there(tmp_path):
    def named(preset, **config):
        return setting.datasets(Context(ReproductionConfig("adebayo2018", preset=preset, **config)))

    assert named("quick") == ["digits"]
    for name in ("MNIST", "FashionMNIST"):
        (tmp_path / name).mkdir()
    assert (
        named("quick", data_dir=str(tmp_path)) == named("paper", data_dir=str(tmp_path)) == ["mnist", "fashion-mnist"]
    )
    with pytest.raises(InvalidInput, match="MNIST/"):
        named("paper")
    assert "rendered digits" in setting.setting_of(["digits"], 40).stand_ins[0]
    assert setting.setting_of(["digits"], 40).smaller == {setting.TRAINING_IMAGES: "40"}
    assert setting.setting_of(["mnist", "fashion-mnist"], 55_000) == Setting()


# -- rules ----------------------------------------------------------------------------------------------------------


def run_of(scores, stages=4):
    """A check in which `scores[method][metric]` is the score at every stage, or one for each; otherwise 1."""
    methods = (
        *("gradient", "input-x-gradient", "integrated-gradients"),
        *("guided-backprop", "grad-cam-pair", "grad-cam", CONTROL),
    )
    spread = np.linspace(-0.001, 0.001, 6)[:, None]  # of six images
    table = np.ones((len(methods), len(METRICS), stages, 6, 2))
    for method, metrics in scores.items():
        for metric, values in metrics.items():
            column = np.broadcast_to(np.asarray(values, dtype=np.float64), stages)
            table[methods.index(method), METRICS.index(metric)] = column[:, None, None] + spread
    constant = np.zeros((len(methods), stages, 6, 2), dtype=np.int8)
    names = tuple(f"stage {number}" for number in range(stages))
    ceiling = np.full((len(methods), len(METRICS), 6), np.nan)
    result = SanityResult(
        methods, METRICS, names, tuple("abcdef"), tuple(range(6)), table, constant, ceiling, np.zeros_like(table)
    )
    return rules.Check("a net", result)


class Found(rules.Checks):
    """One check."""

    def __init__(self, check):
        self._check = check

    @property
    def checks(self):
        return [self._check]


def words(rule, check, *given):
    return rule(*given, Found(check)).verdict


@pytest.mark.parametrize(("last", "verdict"), [(0.49, "reproduced"), (0.5, "undecided"), (0.51, "not reproduced")])
def test_changed_looks_at_the_last_stage_by_the_authors_definition(last, verdict):
    run = run_of({"gradient": {"spearman-abs": [1, 1, 1, 0.1]}, "grad-cam-pair": {"spearman-abs": [0, 0, 0, last]},
                  "grad-cam": {"spearman-abs": 0.9}})  # fmt: skip
    assert words(rules.changed, run, "gradient") == "reproduced"
    found = rules.changed("grad-cam", Found(run))
    assert found.verdict == verdict
    assert "Grad-CAM (PAIR)" in found.ours
    assert "6 images, 2 trials" in found.ours
    assert "by the published definition 0.90 [" in "; ".join(found.notes)


@pytest.mark.parametrize(
    ("guided", "plain", "verdicts"),
    [
        ([0.9, 0.8, 0, 0], 0.2, ("reproduced", "reproduced")),
        ([0.9, 0.6, 1, 1], 0.2, ("not reproduced", "reproduced")),
        ([0.9, 0.8, 0, 0], 0.9, ("reproduced", "not reproduced")),
    ],
)
def test_what_stays_is_judged_in_the_middle_by_its_height_and_by_its_gain(guided, plain, verdicts):
    run = run_of({"guided-backprop": {"ssim": guided}, "gradient": {"ssim": plain}})
    assert (words(rules.stays, run, "guided-backprop"), words(rules.stays_more, run, "guided-backprop")) == verdicts


@pytest.mark.parametrize(("last", "verdict"), [(0.1, "reproduced"), (0.3, "not reproduced"), (-0.3, "not reproduced")])
def test_sign_lost_means_near_zero_on_both_sides(last, verdict):
    run = run_of({"input-x-gradient": {"spearman": [1, 1, 1, last]}, "integrated-gradients": {"spearman": 0}})
    assert words(rules.sign_lost, run) == verdict


def test_structure_is_judged_by_one_metric_at_a_time():
    products = {name: {"spearman-abs": 0.99, "ssim": 0.3} for name in rules.PRODUCTS}
    run = run_of({"gradient": {"spearman-abs": 0.4, "ssim": 0.2}} | products)
    assert words(rules.kept, run, "spearman-abs") == "reproduced"
    assert words(rules.kept, run, "ssim") == "not reproduced"
    assert words(rules.kept_more, run, "ssim") == "reproduced"


@pytest.mark.parametrize(("score", "verdict"), [(1.0, "reproduced"), (0.999, "not reproduced")])
def test_the_control_must_be_exact(score, verdict):
    run = run_of({})
    run.result.scores[run.result.methods.index(CONTROL), METRICS.index("ssim"), 1] = score
    assert words(rules.controlled, run) == verdict


def test_maps_that_explain_nothing_are_left_out_and_counted():
    run = run_of({"guided-backprop": {"ssim": 0.9}, "gradient": {"ssim": 0.2}})
    row = run.result.methods.index("gradient")
    run.result.constant[row, :, 0] = 2
    run.result.scores[:, :, :, 0] = 0
    found = rules.stays("guided-backprop", Found(run))
    assert found.verdict == "reproduced"
    assert "0.90 [0.90, 0.90] (5 of 6 images" in found.ours
    run.result.constant[row, :, 1] = 2
    assert words(rules.stays, run, "guided-backprop") == "undecided"


def test_independent_rules_look_at_every_layer():
    run = run_of({"gradient": {"spearman-abs": [0.1, 0.2, 0.3, 0.4], "ssim": 0.1}, "guided-backprop": {"ssim": 0.8}})
    assert words(rules.each_layer, run) == "reproduced"
    assert words(rules.upper_layers, run) == words(rules.upper_layers_more, run) == "reproduced"
    run = run_of({"gradient": {"spearman-abs": [0.1, 0.6, 0.3, 0.4], "ssim": [0.1, 0.9, 0.1, 0.1]},
                  "guided-backprop": {"ssim": [0.9, 0.8, 0.9, 0.9]}})  # fmt: skip
    found = rules.each_layer(Found(run))
    assert found.verdict == "not reproduced"
    assert "stage 1" in found.ours
    assert words(rules.upper_layers_more, run) == "not reproduced"
    run = run_of({"gradient": {"ssim": 0.1}, "guided-backprop": {"ssim": [0.9, 0.6, 0.9, 0.9]}})
    assert words(rules.upper_layers, run) == "not reproduced"


def stored_labels(context, folder, scores, accuracy=0.97, smaller=None):
    """A data randomization whose ABS and signed scores are given for each method; three pairs of trainings."""
    conditions, arrays = [], {}
    for network in ("basic_cnn", "mlp"):
        methods = list(labels.methods_of(context, network))
        own = (scores if network == "basic_cnn" else labels.PAPER["mlp"]) | {CONTROL: (1.0, 1.0)}
        table = np.ones((3, len(methods), len(METRICS), 6))
        for row, method in enumerate(methods):
            for metric, value in zip(("spearman-abs", "spearman"), own[method], strict=True):
                table[:, row, METRICS.index(metric)] = value + np.linspace(-0.01, 0.01, 6)
        arrays[f"{network}-scores"] = table
        conditions.append(
            {"name": network, "title": network, "network": network, "dataset": "mnist", "methods": methods}
            | {"images": 20, "random_accuracy": [accuracy] * 3, "random_epochs": [3] * 3}
        )
    store_arrays(folder, **arrays)
    write_facts(folder, conditions=conditions, setting=Setting(smaller=smaller or {}).to_json())


AS_IN_THE_PAPER = {rules.authors(method): numbers for method, numbers in labels.PAPER["basic_cnn"].items()} | {
    "grad-cam": (0.25, 0.2),
    "guided-grad-cam": (0.22, 0.2),
}


def test_the_papers_own_numbers_are_reproduced(context, tmp_path):
    stored_labels(context, tmp_path, AS_IN_THE_PAPER)
    found = labels.claims.judge(tmp_path)
    assert {finding.verdict for finding in found} == {"reproduced"}
    (guided,) = (finding for finding in found if finding.claim.name == "labels-guided-grad-cam")
    assert "0.57" in guided.ours  # by PAIR's code, which the authors used
    assert "by the published definition 0.22" in guided.notes


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({"gradient": (0.6, 0.1)}, {"labels-gradient", "labels-guided-backprop-above", "labels-guided-grad-cam-above"}),
        ({"integrated-gradients": (0.7, 0.1)}, {"labels-integrated-gradients"}),
        ({"guided-backprop": (0.57, 0.47)}, {"labels-sign-guided"}),
        ({"smoothgrad": (0.2, 0.4)}, {"labels-sign"}),
    ],
)
def test_each_number_can_miss_its_rule(context, tmp_path, change, missed):
    stored_labels(context, tmp_path, AS_IN_THE_PAPER | change)
    found = {finding.claim.name for finding in labels.claims.judge(tmp_path) if finding.verdict == "not reproduced"}
    assert found == missed


def test_a_number_missed_with_few_training_images_is_not_comparable(context, tmp_path):
    small = {setting.TRAINING_IMAGES: "300"}
    stored_labels(context, tmp_path, AS_IN_THE_PAPER | {"smoothgrad": (0.6, 0.1)}, smaller=small)
    found = {finding.claim.name: finding for finding in labels.claims.judge(tmp_path)}
    assert found["labels-smoothgrad"].verdict == "not comparable"
    assert "300 instead of 55,000" in found["labels-smoothgrad"].why
    assert found["labels-gradient"].verdict == "reproduced"


def test_labels_that_were_not_learnt_are_a_finding(context, tmp_path):
    stored_labels(context, tmp_path, AS_IN_THE_PAPER, accuracy=0.9)
    first, second, *_ = labels.claims.judge(tmp_path)
    assert first.verdict == "not reproduced"
    assert "0.90" in first.ours
    assert "were learned" in second.notes


def test_edge_ratio_compares_where_the_gradient_changes_with_elsewhere():
    weight = torch.tensor([[[1.0, -0.25]]])  # Σ w = 0.75
    gradient = torch.tensor([[[[0.0, 0.75, 1.0, -0.25]]], [[[0.0, 0.75, 0.0, 0.75]]]])
    strength = torch.tensor([[[[1.0, 3.0, 5.0, 7.0]]], [[[1.0, 1.0, 1.0, 1.0]]]])
    ratios = simple._edge_ratio(gradient, weight, strength)
    assert ratios[0] == pytest.approx(6 / 2)
    assert np.isnan(ratios[1])


def test_random_weights_come_from_their_seed_alone():
    state = torch.get_rng_state()
    first, again, other = (simple.drawn(LinearModel(2, 1, 20), seed, "linear").linear for seed in (0, 0, 1))
    assert torch.equal(first.weight, again.weight)
    assert not torch.equal(first.weight, other.weight)
    assert float(first.weight.detach().std()) == pytest.approx(1 / 20, rel=0.1)  # of 800 draws
    assert not first.bias.any()
    torch.set_rng_state(state)


# -- photographs ----------------------------------------------------------------------------------------------------


def test_the_photographs_of_the_figures_come_first(context, photograph_folder):
    config = replace(context.config, photographs=str(photograph_folder))
    names = [file.stem for file in photographs.photograph_files(Context(config))]
    assert names == [*photographs.SHOWN_FIRST, "a"]


def test_what_is_missing_is_named(context, tmp_path):
    config = context.config
    assert photographs.imagenet_subject(context) == photographs.MISSING_NETWORK
    for wrong, what in (
        ({"model": "squeezenet1_1"}, "--photographs"),
        ({"preset": "paper"}, "imagenet-samples"),
        ({"model": "squeezenet1_1", "photographs": str(tmp_path / "none")}, "no folder of photographs"),
    ):
        with pytest.raises(InvalidInput, match=what):
            photographs.imagenet_subject(Context(replace(config, **wrong)))


def test_a_network_of_digits_takes_no_photographs(context, photograph_folder):
    config = replace(context.config, photographs=str(photograph_folder), model="mlp")
    with pytest.raises(InvalidInput, match="takes no photographs"):
        photographs.imagenet_subject(Context(config))


# -- experiments ----------------------------------------------------------------------------------------------------


def test_cascading_and_independent(context, tmp_path):
    folder, figures, findings = computed("cascading", context, tmp_path)
    assert len(findings) == 11
    assert {"basic_cnn-digits-grid-0-abs-normalized", "mlp-digits-hog-pearson"} <= set(figures)
    run = read_run(folder / "basic_cnn-digits")
    assert run.result.stages == ("linear2", "linear1", "conv2", "conv1")
    assert run.result.scores.shape == (11, 5, 4, 10, 1)
    by_name = {finding.claim.name: finding for finding in findings}
    assert by_name["edge-control"].verdict == "reproduced"
    assert by_name["trained-networks"].verdict == "not comparable"  # two epochs on forty rendered digits
    assert "published definition" in by_name["cascading-grad-cam"].notes
    chosen, other = experiment("independent"), tmp_path / "independent"
    other.mkdir()
    chosen.compute(context, other)
    assert len(chosen.judge(other)) == 3
    independent = read_run(other / "basic_cnn-digits").result
    # The first stage re-draws the same layer, with the same weights, in both orders.
    np.testing.assert_allclose(independent.scores[:, :, 0], run.result.scores[:, :, 0], atol=1e-6)
    assert not np.allclose(independent.scores[0, :, 3], run.result.scores[0, :, 3], atol=1e-3)


def test_data_randomization(context, tmp_path):
    folder, figures, findings = computed("data-randomization", context, tmp_path)
    assert len(figures) == 6
    conditions = json.loads((folder / "facts.json").read_text(encoding="utf-8"))["conditions"]
    least = min(accuracy for condition in conditions for accuracy in condition["random_accuracy"])
    assert findings[0].claim.name == "labels-memorized"
    assert findings[0].verdict == ("reproduced" if least >= 0.95 else "not reproduced")
    assert len(findings) == 1 + 12 + 8


def test_simple_models_and_byte_identical_figures(context, tmp_path, monkeypatch):
    monkeypatch.setattr(simple, "GRAY", replace(simple.GRAY, resize=48, crop=48))
    folder, figures, findings = computed("simple-models", context, tmp_path)
    verdicts = {finding.claim.name: finding.verdict for finding in findings}
    assert {verdicts[name] for name in verdicts if name.startswith("linear")} == {"reproduced"}
    assert set(figures) == {"linear", "sum-pooling", "likeness"}
    again = experiment("simple-models").draw(folder)
    for name, figure in figures.items():
        (one,), (other,) = (save_figure(f, tmp_path / f"{name}-{n}") for n, f in enumerate((figure, again[name])))
        assert one.read_bytes() == other.read_bytes()


def test_edge_detector_on_digits_where_no_network_was_given(context, tmp_path):
    folder, figures, findings = computed("edge-detector", context, tmp_path)
    assert set(figures) == {"methods", "likeness"}
    assert "--model" in findings[0].why
    assert json.loads((folder / "facts.json").read_text(encoding="utf-8"))["rows"][0].endswith(")")


def test_imagenet_without_a_network_is_said_to_be_missing(context, tmp_path):
    _, figures, findings = computed("imagenet", context, tmp_path)
    assert figures == {}
    assert {finding.verdict for finding in findings} == {"not comparable"}
    assert "--model" in findings[0].why


@pytest.mark.usefixtures("small_photographs")
def test_photographs_under_an_untrained_network_are_not_comparable(context, photograph_folder, tmp_path):
    config = replace(context.config, photographs=str(photograph_folder), model="squeezenet1_1", weights="none")
    folder, figures, findings = computed("imagenet", Context(config), tmp_path)
    *judged, control = findings
    assert {finding.verdict for finding in judged} == {"not comparable"}
    assert all("weights are random" in finding.why for finding in judged)
    assert control.verdict == "reproduced"
    assert "values before the last ReLU" in control.why
    assert "squeezenet1_1-guided-backprop" in figures
    assert len(read_run(folder / "squeezenet1_1").result.stages) == len(model_spec("squeezenet1_1").stages)
    _, _, found = computed("edge-detector", Context(config), tmp_path)
    assert {finding.verdict for finding in found} == {"not comparable"}


@pytest.mark.long
def test_inception_is_staged_and_explained(context, photograph_folder, monkeypatch, tmp_path):
    """Random weights, photographs of 96 pixels: the 17 stages run and Guided Backprop is not Gradient."""
    monkeypatch.setattr(subjects, "preprocessing_of", lambda spec: replace(IMAGENET, resize=96, crop=96))
    config = replace(context.config, photographs=str(photograph_folder), model="inception_v3", weights="none")
    folder = tmp_path / "imagenet"
    folder.mkdir()
    imagenet.compute(Context(config), folder)
    run = read_run(folder / "inception_v3")
    assert len(run.result.stages) == 17
    maps = next(iter(run.result.maps.values()))
    assert not np.allclose(maps["guided-backprop"][0], maps["gradient"][0], atol=0.01)

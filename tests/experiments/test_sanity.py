"""The sanity check is itself checked: controls score what they must, and results do not depend on how work is cut."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from nets import ConvNet, images, seeded
from torch import nn

from probatum.attributions import EdgeDetector, GradCAM, Gradient, GuidedBackprop, SmoothGrad
from probatum.errors import InvalidInput, ModelError
from probatum.experiments import sanity, sanity_check
from probatum.metrics import METRICS, get_metric
from probatum.randomization import Identity, Moments, Randomizer, Reset, automatic_stages

SHAPE = (2, 24, 23)
SEVERAL_BLOCKS = sanity.IMAGES_AT_ONCE + 2  # images
METHODS = {
    "gradient": Gradient(),
    "smoothgrad": SmoothGrad(samples=3),
    "guided": GuidedBackprop(),
    "cam": GradCAM(),
    "edges": EdgeDetector(),
}
SMALL_METRICS = {
    name: replace(metric, measure=replace(metric.measure, cell_size=4)) if name.startswith("hog") else metric
    for name, metric in METRICS.items()
}


@pytest.fixture(scope="module")
def net() -> nn.Module:
    return seeded(ConvNet)


def randomizer(net, initializer, **options):
    return Randomizer(net, automatic_stages(net, images(1, SHAPE)), initializer, **options)


def test_the_edge_detector_scores_perfectly_at_every_stage(net):
    result = sanity_check(net, images(3, SHAPE), methods={"edges": EdgeDetector()}, metrics=SMALL_METRICS)
    for metric in result.metrics:
        np.testing.assert_allclose(result.of("edges", metric), METRICS[metric].perfect, atol=1e-9)
    assert result.stages == ("head", "conv3", "conv2", "conv1")


def test_an_identity_randomizer_scores_perfectly_for_every_method(net):
    result = sanity_check(
        net, images(3, SHAPE), methods=METHODS, metrics=SMALL_METRICS, randomizer=randomizer(net, Identity())
    )
    for metric in result.metrics:
        for method in METHODS:
            np.testing.assert_allclose(result.of(method, metric), METRICS[metric].perfect, atol=1e-6)


def test_maps_of_unrelated_models_score_about_zero():
    # A linear model's gradient is its weight matrix: independent normal draws before and after the randomization.
    model = nn.Sequential(nn.Flatten(), nn.Linear(2 * 40 * 40, 4, dtype=torch.float64))
    nn.init.normal_(model[1].weight, generator=torch.Generator().manual_seed(0))
    x = images(4, (2, 40, 40))
    table = {"gradient": Gradient()}
    result = sanity_check(
        model,
        x,
        methods=table,
        metrics=("spearman", "spearman-abs", "pearson", "cosine"),
        randomizer=Randomizer(model, automatic_stages(model, x), Moments()),
        trials=5,
    )
    # The standard deviation of a correlation of 1600 independent pairs is 1/40; the mean of 5 trials has about 0.011.
    assert np.abs(result.scores.mean(axis=-1)).max() < 0.06


def test_scores_are_those_of_the_metric_on_the_maps(net):
    x = images(2, SHAPE)
    result = sanity_check(
        net, x, torch.tensor([1, 2]), methods={"gradient": Gradient()}, metrics=("spearman",), trials=2, keep_maps=2
    )
    walk = randomizer(net, Reset())
    metric = get_metric("spearman")
    reduce = sanity.get_reduction(metric.reduction)
    trained = Gradient()(net, x, torch.tensor([1, 2]))
    for trial in range(2):
        for step in range(1, 5):
            maps = Gradient()(walk.model(step, trial), x, torch.tensor([1, 2]))
            expected = metric(reduce(trained), reduce(maps))
            np.testing.assert_allclose(result.of("gradient", "spearman")[step - 1, :, trial], expected, atol=1e-12)
            if trial == 0:
                stored = np.stack([maps_["gradient"][step] for maps_ in result.maps.values()])
                np.testing.assert_allclose(stored, maps, rtol=1e-6)
    assert list(result.maps) == ["image-000", "image-001"]


def test_in_order_logit_the_maps_are_those_of_the_drawn_classes(net):
    x, targets = images(SEVERAL_BLOCKS, SHAPE), torch.arange(SEVERAL_BLOCKS) % 4
    walk = randomizer(net, Identity(), order="logit", seed=6)
    methods = {"gradient": Gradient(), "edges": EdgeDetector()}
    result = sanity_check(net, x, targets, methods=methods, metrics=("cosine",), randomizer=walk, trials=3)
    assert result.stages == ("another class",)
    np.testing.assert_allclose(result.of("edges", "cosine"), 1, rtol=0, atol=1e-12)
    trained = Gradient()(net, x, targets)
    for trial in range(3):
        drawn = walk.targets(x, targets, trial)
        expected = get_metric("cosine")(trained, Gradient()(net, x, drawn))
        np.testing.assert_allclose(result.of("gradient", "cosine")[0, :, trial], expected, atol=1e-12)


def test_results_do_not_depend_on_which_images_are_worked_on_at_once(net):
    x = images(SEVERAL_BLOCKS, SHAPE)
    options = {"methods": METHODS, "metrics": ("ssim", "spearman"), "trials": 2, "seed": 7}
    whole = sanity_check(net, x, keep_maps=SEVERAL_BLOCKS, **options)
    for part in (slice(0, 5), slice(5, SEVERAL_BLOCKS)):
        names = whole.image_names[part]
        found = sanity_check(net, x[part], image_names=names, keep_maps=SEVERAL_BLOCKS, **options)
        np.testing.assert_allclose(found.scores, whole.scores[:, :, :, part], atol=1e-12)
        np.testing.assert_array_equal(found.constant, whole.constant[:, :, part])
        for image in names:
            for method, values in whole.maps[image].items():
                np.testing.assert_allclose(found.maps[image][method], values, rtol=1e-5, atol=1e-9)


def test_a_block_gives_the_same_scores_wherever_a_run_is_resumed(net):
    x, targets = images(SEVERAL_BLOCKS, SHAPE), torch.arange(SEVERAL_BLOCKS) % 4
    options = {"methods": METHODS, "metrics": ("spearman",), "randomizer": randomizer(net, Reset()), "seed": 7}
    whole = sanity_check(net, x, targets, **options)
    second = slice(sanity.IMAGES_AT_ONCE, None)
    rest = sanity_check(net, x[second], targets[second], **options)
    np.testing.assert_array_equal(rest.scores, whole.scores[..., second, :])


def test_blocks_are_a_matter_of_the_maps_sizes_alone():
    photographs = torch.empty(50, 3, 224, 224, device="meta")
    assert sanity.block_size(photographs, methods=10, stages=10) == 8
    assert sanity.block_size(photographs[:3], methods=10, stages=10) == 8
    assert sanity.block_size(photographs, methods=1, stages=10) == sanity.IMAGES_AT_ONCE
    assert sanity.block_size(torch.empty(1, 3, 2048, 2048, device="meta"), methods=20, stages=50) == 1


@pytest.mark.parametrize("options", [{"channels_last": True}, {"fold_batch_norm": True}], ids=str)
def test_layout_and_folding_do_not_change_the_scores(net, options):
    x, methods = images(2, SHAPE), {"gradient": Gradient(), "cam": GradCAM("conv3")}
    expected = sanity_check(net, x, methods=methods, metrics=("ssim", "pearson"))
    found = sanity_check(net, x, methods=methods, metrics=("ssim", "pearson"), **options)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-10)


def test_trials_and_seeds_differ_and_repeat(net):
    options = {"methods": {"gradient": Gradient()}, "metrics": ("spearman",), "trials": 2}
    x = images(2, SHAPE)
    first = sanity_check(net, x, randomizer=randomizer(net, Reset(), seed=1), **options)
    again = sanity_check(net, x, randomizer=randomizer(net, Reset(), seed=1), **options)
    other = sanity_check(net, x, randomizer=randomizer(net, Reset(), seed=2), **options)
    np.testing.assert_array_equal(first.scores, again.scores)
    assert not np.isclose(first.scores[..., 0], first.scores[..., 1]).any()
    assert not np.isclose(first.scores, other.scores).any()


class _Dying(nn.Module):
    """Its logits pass a ReLU; with all weights negative the gradient is exactly zero."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * 24 * 23, 4, dtype=torch.float64)

    def forward(self, x):
        return self.linear(x.abs().flatten(1)).relu()


def test_constant_maps_are_counted_and_scored_by_the_rule():
    model = _Dying()
    nn.init.uniform_(model.linear.weight, 0.1, 1.0, generator=torch.Generator().manual_seed(0))
    nn.init.zeros_(model.linear.bias)
    x = images(3, SHAPE)

    class Negative(Moments):
        def _draw(self, module, name, trained, generator):
            return -trained.abs()

    result = sanity_check(
        model,
        x,
        methods={"gradient": Gradient(), "edges": EdgeDetector()},
        metrics=("spearman", "ssim"),
        randomizer=Randomizer(model, automatic_stages(model, x), Negative()),
    )
    assert (result.constant[0] == 2).all()  # the randomized map alone
    assert (result.constant[1] == 0).all()
    assert (result.of("gradient", "spearman") == 0).all()
    assert np.isfinite(result.scores).all()


def test_nan_maps_stop_the_check_and_name_themselves(net):
    class Infinite(Moments):
        def _draw(self, module, name, trained, generator):
            return torch.full_like(trained, 1e200)

    with pytest.raises((ModelError, InvalidInput), match=r"NaN or infinite"):
        sanity_check(
            net,
            images(2, SHAPE),
            methods={"gradient": Gradient()},
            randomizer=randomizer(net, Infinite()),
            metrics=("ssim",),
        )


def test_the_noise_ceiling_is_the_trained_model_against_itself_under_the_next_seed(net):
    x = images(3, SHAPE)
    result = sanity_check(net, x, torch.tensor([0, 1, 2]), methods=METHODS, metrics=("pearson",), seed=4)
    metric = get_metric("pearson")
    first, second = (METHODS["smoothgrad"](net, x, torch.tensor([0, 1, 2]), seed=seed) for seed in (4, 5))
    expected = metric(sanity.get_reduction(metric.reduction)(first), sanity.get_reduction(metric.reduction)(second))
    row = result.methods.index("smoothgrad")
    np.testing.assert_allclose(result.ceiling[row, 0], expected, atol=1e-12)
    assert np.isnan(np.delete(result.ceiling, row, axis=0)).all()


def test_progress_reaches_its_total(net):
    seen = []
    sanity_check(
        net,
        images(SEVERAL_BLOCKS, SHAPE),
        methods={"smoothgrad": SmoothGrad(samples=3)},
        metrics=("pearson",),
        progress=lambda done, total, what: seen.append((done, total, what)),
    )
    every = SEVERAL_BLOCKS * 3 * 6  # three samples; the trained model under two seeds and four stages
    assert {total for _, total, _ in seen} == {every}
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    assert seen[-1][:2] == (every, every)
    assert seen[-1][2] == "randomized models"


def test_a_wrong_number_of_names_is_refused(net):
    with pytest.raises(InvalidInput, match="2 image names for 3 images"):
        sanity_check(net, images(3, SHAPE), methods=METHODS, image_names=["a", "b"])


@pytest.mark.parametrize(
    ("metric", "shape", "reason"),
    [("ssim", (3, 40), "height"), ("ssim", (1, 6, 6), "window"), ("hog-pearson", (3, 40), "height")],
)
def test_a_metric_that_cannot_score_the_maps_is_refused_before_the_first_gradient(metric, shape, reason):
    class Untouched(Gradient):
        def request(self, prepared, images):
            raise AssertionError("a map was computed")

    model = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), 3))
    with pytest.raises(InvalidInput, match=f"{metric}.*{reason}"):
        sanity_check(model, torch.ones(2, *shape), methods={"gradient": Untouched()}, metrics=(metric,))

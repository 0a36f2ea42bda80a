import numpy as np
import pytest
import torch
from captum.attr import IntegratedGradients as CaptumIG
from captum.metrics import infidelity as captum_infidelity
from captum.metrics import sensitivity_max
from nets import PROBE, CallCounter, ConvNet, Linear, Perceptron, Power, images, seeded
from torch import nn

from probatum.attributions import (
    Gradient,
    GradientSHAP,
    GuidedBackprop,
    InputXGradient,
    IntegratedGradients,
    SmoothGrad,
)
from probatum.errors import InvalidInput, UnknownName
from probatum.experiments.quality import product_of, quality_scores
from probatum.metrics.quality import QUALITY, GaussianNoise, infidelity
from probatum.models.smooth import smoothed
from probatum.randomization import Identity, Randomizer, Xavier, automatic_stages

METHODS = {
    "gradient": Gradient(),
    "ig": IntegratedGradients(steps=8),
    "ig-local": IntegratedGradients(steps=8, multiply_by_inputs=False),
}


def model():
    return seeded(ConvNet).eval()


def test_a_linear_model_is_explained_without_fault():
    result = quality_scores(seeded(Linear), images(), methods=METHODS, metrics=tuple(QUALITY))
    assert result.scores.shape == (3, len(QUALITY), 1, 5, 1)
    for name in METHODS:
        for metric in ("infidelity", "infidelity-subsets", "infidelity-scaled"):
            assert result.of(name, metric).max() < 1e-20
        assert result.of(name, "sensitivity-n").min() > 1 - 1e-9
    assert result.of("gradient", "max-sensitivity").max() == 0
    assert result.of("ig-local", "max-sensitivity").max() < 1e-14
    assert result.of("ig", "max-sensitivity").min() > 1e-4  # its factor is the image, which did move
    assert result.local_or_global == {"gradient": "local", "ig": "global", "ig-local": "local"}


def test_global_infidelity_is_the_square_of_the_convergence_delta():
    network, x, targets = model(), images(), torch.tensor([0, 1, 2, 3, 0])
    method = METHODS["ig"]
    result = quality_scores(network, x, targets, methods={"ig": method}, metrics=["infidelity"])
    delta = method.convergence_delta(network, x, targets, method(network, x, targets))
    assert result.of("ig", "infidelity")[0, :, 0] == pytest.approx(delta.square().numpy(), rel=1e-9)


def test_scores_are_those_of_the_plain_functions():
    network, x, targets = model(), images(), torch.tensor([0, 1, 2, 3, 0])
    result = quality_scores(network, x, targets, methods=METHODS, seed=5)
    maps = METHODS["ig-local"](network, x, targets)
    expected = infidelity(lambda p, i: network(p).gather(1, targets[i, None])[:, 0], x, maps, GaussianNoise(), seed=5)
    assert result.of("ig-local", "infidelity")[0, :, 0] == pytest.approx(expected.numpy(), rel=1e-10)


def test_captums_pipeline_agrees_up_to_the_samples():
    network, x = seeded(lambda: Power(3)), images(2)
    targets = torch.tensor([1, 2])
    ours = quality_scores(
        network,
        x,
        targets,
        methods={"ig": IntegratedGradients(steps=4, rule="gauss-legendre", multiply_by_inputs=False)},
        metrics={
            "infidelity": QUALITY["infidelity"],
            "max-sensitivity": QUALITY["max-sensitivity"],
        },
    )
    theirs = CaptumIG(network, multiply_by_inputs=False)

    def explain(inputs, target):  # Captum hands over the images in a tuple, the disturbed ones alone
        return theirs.attribute(inputs, target=target, n_steps=4)

    with torch.random.fork_rng():
        torch.manual_seed(0)

        def perturb(inputs):
            noise = 0.03 * torch.randn_like(inputs)
            return noise, inputs - noise

        wanted = captum_infidelity(
            network, perturb, x, explain(x, targets), target=targets, n_perturb_samples=4000, normalize=False
        )
        moved = sensitivity_max(explain, x, target=targets, n_perturb_samples=5)
    # 50 samples of a squared normal number: five standard errors of √(2/50)
    assert ours.of("ig", "infidelity")[0, :, 0] == pytest.approx(wanted.numpy(), rel=5 * (2 / 50) ** 0.5)
    # The largest of five norms of 198 random numbers varies by some percent.
    assert ours.of("ig", "max-sensitivity")[0, :, 0] == pytest.approx(moved.detach().numpy(), rel=0.15)


def test_stages_and_trials():
    network, x = model(), images(3)
    randomizer = Randomizer(network, automatic_stages(network, x), Xavier(), seed=2)
    result = quality_scores(network, x, methods=METHODS, randomizer=randomizer, trials=2)
    assert result.stages == ("trained", *(stage.name for stage in randomizer.stages))
    assert result.scores.shape == (3, 2, len(result.stages), 3, 2)
    assert not np.isnan(result.scores).any()
    assert (result.scores[:, :, 0, :, 0] == result.scores[:, :, 0, :, 1]).all()
    assert (result.scores[:, :, 1:, :, 0] != result.scores[:, :, 1:, :, 1]).mean() > 0.9
    alone = quality_scores(
        randomizer.model(2, trial=1), x, torch.tensor(result.targets), methods=METHODS
    )  # another step, by itself
    assert result.scores[:, :, 2, :, 1] == pytest.approx(alone.scores[:, :, 0, :, 0], rel=1e-9)


def test_a_randomizer_that_changes_nothing_changes_no_score():
    network, x = model(), images(2)
    randomizer = Randomizer(network, automatic_stages(network, x), Identity())
    result = quality_scores(network, x, methods=METHODS, randomizer=randomizer)
    assert result.scores == pytest.approx(np.broadcast_to(result.scores[:, :, :1], result.scores.shape), rel=1e-12)


def test_images_are_scored_one_by_one():
    network, x, targets = model(), images(18), torch.arange(18) % 4
    names = ("infidelity", "max-sensitivity", "sensitivity-n", "deletion", "insertion")
    methods = {"sg": SmoothGrad(samples=3), "ixg": InputXGradient()}
    state = torch.get_rng_state()
    whole = quality_scores(network, x, targets, methods=methods, metrics=names)
    assert torch.equal(torch.get_rng_state(), state)
    some = quality_scores(network, x[15:18], targets[15:18], methods=methods, metrics=names, memory_budget="1 MiB")
    assert whole.scores[:, :, :, 15:18] == pytest.approx(some.scores, rel=1e-9)


def test_model_calls_are_shared():
    counter = CallCounter(seeded(Perceptron))
    x = images(4)
    quality_scores(counter, x, torch.zeros(4, dtype=torch.long), methods={"a": Gradient()})
    alone = sum(counter.calls)
    counter = CallCounter(seeded(Perceptron))
    both = {"a": Gradient(), "b": GuidedBackprop()}
    quality_scores(counter, x, torch.zeros(4, dtype=torch.long), methods=both)
    assert sum(counter.calls) == alone  # one forward pass serves both methods, and both metrics' disturbances
    wanted = sum(PROBE) + 4 + (4 + 4 * 50) + 4 * 5  # maps; f(x) and 50 disturbances; 5 maps of neighbors
    assert wanted <= alone <= wanted + 2  # the memory of a row with a gradient and of one without is measured on one


def test_tokens():
    class Bag(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(6, 2)

        def forward(self, embeddings):
            return self.head(embeddings.mean(1).tanh())

    x = images(3, (5, 6))
    metrics = ("infidelity", "max-sensitivity", "sensitivity-n", "deletion")
    result = quality_scores(
        seeded(Bag), x, methods=METHODS, metrics=metrics, feature_dim=-1, reduce=lambda maps: maps.sum(-1)
    )
    assert result.scores.shape == (3, 4, 1, 3, 1)
    assert np.isfinite(result.scores).all()
    whole = quality_scores(seeded(Bag), x, methods=METHODS, metrics=metrics, feature_dim=-1)
    column = metrics.index("max-sensitivity")
    assert (result.scores[:, column] != whole.scores[:, column]).all()  # the only one that sees the reduction
    rest = [row for row in range(4) if row != column]
    assert np.array_equal(result.scores[:, rest], whole.scores[:, rest])


def test_a_zero_map_is_counted():
    class Dead(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1, dtype=torch.float64))

        def forward(self, x):
            total = x.flatten(1).sum(1)
            alive = total * self.weight * (torch.arange(len(x)) * 0 + (x[:, 0, 0, 0] < 100))
            return torch.stack([alive, -alive], 1)

    x = images(3)
    x[1, 0, 0, 0] = 200.0
    result = quality_scores(Dead(), x, torch.zeros(3, dtype=torch.long), methods={"gradient": Gradient()})
    assert result.undefined("gradient", "max-sensitivity") == 1
    assert np.isnan(result.of("gradient", "max-sensitivity")[0, 1, 0])
    assert result.undefined("gradient", "infidelity") == 0


def test_smoothing_lowers_the_infidelity_of_a_rough_function():
    class Sawtooth(nn.Module):
        def forward(self, x):
            kinks = (40 * x.flatten(1)).sin().relu()  # whose slope changes within the reach of the noise
            return torch.stack([kinks.sum(1), -kinks.sum(1)], 1)

    x = images(3)
    scores = [
        quality_scores(network, x, 0 * torch.arange(3), methods={"gradient": Gradient()}).scores.mean()
        for network in (Sawtooth(), smoothed(Sawtooth(), beta=0.5))
    ]
    assert scores[1] < scores[0]


def test_products_follow_the_method():
    assert product_of(SmoothGrad(InputXGradient())) == "global"
    assert product_of(SmoothGrad(IntegratedGradients(multiply_by_inputs=False))) == "local"
    assert product_of(GradientSHAP()) == "global"
    assert product_of(GuidedBackprop()) == "local"
    x = images(2)
    given = quality_scores(
        model(), x, methods={"g": Gradient()}, metrics=["infidelity"], local_or_global={"g": "global"}, baseline="mean"
    )
    assert given.local_or_global == {"g": "global"}


def test_progress_counts_versions():
    calls = []
    network, x = model(), images(18)
    randomizer = Randomizer(network, automatic_stages(network, x), Xavier())
    quality_scores(
        network,
        x,
        methods={"g": Gradient()},
        metrics=["max-sensitivity"],
        randomizer=randomizer,
        progress=lambda *call: calls.append(call),
    )
    total = 2 * (1 + len(randomizer.stages))
    assert [call[0] for call in calls] == list(range(total))
    assert {call[1] for call in calls} == {total}
    assert calls[0][2] == "trained"


def test_bad_input():
    x, methods = images(2), {"g": Gradient()}
    for options, message in (
        ({"image_names": ["one"]}, "1 image names for 2 images"),
        ({"trials": 0}, "trials is 0"),
        ({"local_or_global": {"h": "local"}}, "local_or_global names h"),
        ({"baseline": torch.zeros(3)}, "the baseline has shape"),
    ):
        with pytest.raises(InvalidInput, match=message):
            quality_scores(model(), x, methods=methods, **options)
    with pytest.raises(UnknownName, match="max-sensitivity"):
        quality_scores(model(), x, methods=methods, metrics=["maxsensitivity"])


def test_folded_and_channels_last_scores_are_the_same_up_to_rounding():
    network, x = model(), images()
    randomizer = Randomizer(network, automatic_stages(network, x), Xavier(), "full")
    options = {"methods": {"gradient": Gradient()}, "metrics": ("infidelity",), "randomizer": randomizer}
    plain = quality_scores(network, x, **options).scores
    other = quality_scores(network, x, **options, channels_last=True, fold_batch_norm=True).scores
    assert not np.array_equal(other, plain)  # it did compute in another order
    np.testing.assert_allclose(other, plain, rtol=1e-9)

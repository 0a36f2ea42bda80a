"""DeepLiftSHAP and GradientSHAP: their baselines, their draws, their completeness."""

import pytest
import torch
from nets import PROBE, SHAPE, CallCounter, ConvNet, Linear, Power, images, seeded
from scipy import stats

from probatum import attribute
from probatum.attributions import DeepLIFT, DeepLiftSHAP, GradientSHAP, Mean, NoisyBaselines, SmoothGrad, Zero
from probatum.engine import PointStream, RandomPath, image_keys
from probatum.engine.noise import standard_normal
from probatum.engine.references import EachBaseline, GivenBaselines
from probatum.errors import InvalidInput

TARGETS = torch.tensor([0, 3, 1, 2, 1])
GIVEN = images(3, seed=9)


def spread(x):
    return (x.flatten(1).amax(1) - x.flatten(1).amin(1)).reshape(-1, 1, 1, 1)


# ---------------------------------------------------------------- DeepLiftSHAP


@pytest.mark.parametrize("multiply", [True, False])
def test_is_the_mean_of_deeplift_over_the_baselines(multiply):
    model, x = seeded(ConvNet), images()
    single = [DeepLIFT(start, multiply)(model, x, TARGETS) for start in GIVEN]
    maps = DeepLiftSHAP(GIVEN, multiply)(model, x, TARGETS)
    torch.testing.assert_close(maps, torch.stack(single).mean(0), rtol=1e-12, atol=1e-15)


def test_a_function_makes_baselines_of_each_image():
    model, x = seeded(ConvNet), images()

    def two(x):
        return torch.stack([x.flip(2), torch.ones_like(x)], 1)

    single = [DeepLIFT(start)(model, x, TARGETS) for start in (x.flip(2), torch.ones_like(x))]
    maps = DeepLiftSHAP(two)(model, x, TARGETS, chunk=3)
    torch.testing.assert_close(maps, (single[0] + single[1]) / 2, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("baselines", [GIVEN, NoisyBaselines(Mean(), 6)], ids=["given", "noisy"])
def test_deeplift_shap_is_complete(baselines):
    model, x = seeded(ConvNet), images()
    method = DeepLiftSHAP(baselines)
    maps = method(model, x, None, seed=5)
    delta = method.convergence_delta(model, x, None, maps, seed=5)
    assert float(delta.abs().max()) < 1e-14
    maps[3, 1, 2, 3] += 1
    torch.testing.assert_close(method.convergence_delta(model, x, None, maps, seed=5) - delta, torch.eye(5).double()[3])


def test_noisy_baselines_lie_around_their_center_by_a_share_of_the_images_range():
    model, x = seeded(Linear), images()
    weights = model.linear.weight[TARGETS].detach().reshape(x.shape)
    method = DeepLiftSHAP(NoisyBaselines(Mean(), 400, 0.3))
    mean = x - method(model, x, TARGETS) / weights  # of the baselines
    z = (mean - x.mean((2, 3), keepdim=True)) / (0.3 * spread(x) / 20)
    assert stats.kstest(z.flatten().numpy(), "norm").pvalue > 1e-3


def test_default_baselines_are_ten_around_zero():
    model, x = seeded(ConvNet), images()
    explicit = DeepLiftSHAP(NoisyBaselines(Zero(), 10, 0.2))
    assert DeepLiftSHAP() == explicit
    counter = CallCounter(model)
    DeepLiftSHAP()(counter, x, TARGETS, chunk=50)
    assert counter.calls == [*PROBE, 50, 50]


def test_the_baselines_noise_is_not_smoothgrads():
    x = images()
    keys = image_keys(x, 0)
    noise = standard_normal(keys, torch.zeros(5, dtype=torch.long), torch.Size(SHAPE), torch.float64)
    rows = PointStream.of(x, keys, (EachBaseline(NoisyBaselines(Zero(), 1, 1.0)),)).rows(0, 5)
    own = rows.baselines / spread(x)
    assert abs(float(torch.corrcoef(torch.stack([noise.flatten(), own.flatten()]))[0, 1])) < 0.15


def test_memory_does_not_grow_with_the_number_of_baselines():
    counter, x = CallCounter(seeded(ConvNet)), images(2)
    many = images(150, seed=3)
    maps = DeepLiftSHAP(many)(counter, x, 1, chunk=16)
    assert max(counter.calls) == 16
    assert len(counter.calls) == len(PROBE) + 2 * -(-2 * 150 // 16)
    torch.testing.assert_close(DeepLiftSHAP(many)(counter, x, 1, memory_budget="1 MiB"), maps, rtol=1e-11, atol=1e-15)


def test_methods_with_the_same_baselines_share_their_model_calls():
    counter, x = CallCounter(seeded(ConvNet)), images()
    DeepLIFT()(counter, x, TARGETS)
    for baselines, count in [(GIVEN, 3), (NoisyBaselines(Zero(), 4), 4)]:
        counter.calls.clear()
        methods = {str(flag): DeepLiftSHAP(baselines, multiply_by_inputs=flag) for flag in (True, False)}
        attribute(counter, x, TARGETS, methods, chunk=5 * count)
        assert counter.calls == [5 * count] * 2
    assert GivenBaselines(GIVEN[None]) == GivenBaselines(GIVEN[None])
    assert GivenBaselines(GIVEN[None]) != GivenBaselines(GIVEN[None].clone())


# ---------------------------------------------------------------- GradientSHAP


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_points_lie_uniformly_between_random_baselines_and_the_image(noise):
    x, given = images(2, (3,)), images(4, (3,), seed=2)
    stream = PointStream.of(x, image_keys(x, 1), (RandomPath(2000, GivenBaselines(given[None]), noise),))
    rows = stream.rows(0, 4000)
    alpha = ((rows.points - rows.baselines) / (rows.origins - rows.baselines)).mT
    torch.testing.assert_close(alpha[0], alpha[2], rtol=1e-6, atol=1e-8)
    for image in range(2):
        own = rows.image == image
        assert stats.kstest(alpha[0, own].numpy(), "uniform").pvalue > 1e-3
        chosen = (rows.baselines[own, None] - given).abs().sum(2).argmin(1).bincount()
        assert stats.chisquare(chosen.numpy()).pvalue > 1e-3
        away = (rows.origins[own] - x[image]) / (x[image].max() - x[image].min())
        if noise:
            assert stats.kstest((away / noise).flatten().numpy(), "norm").pvalue > 1e-3
        else:
            assert not away.any()
    assert float(torch.corrcoef(alpha[0].reshape(2, -1))[0, 1].abs()) < 0.1  # each image draws for itself
    torch.testing.assert_close(rows.weights, torch.full((4000,), 1 / 2000, dtype=torch.float64))


def test_of_a_linear_model_with_one_baseline_is_exact():
    model, x = seeded(Linear), images()
    weights = model.linear.weight[TARGETS].detach().reshape(x.shape)
    method = GradientSHAP(3, GIVEN[:1])
    maps = method(model, x, TARGETS)
    torch.testing.assert_close(maps, (x - GIVEN[0]) * weights, rtol=1e-13, atol=1e-15)
    assert float(method.convergence_delta(model, x, TARGETS, maps).abs().max()) < 1e-12
    local = GradientSHAP(3, GIVEN, multiply_by_inputs=False)(model, x, TARGETS)
    torch.testing.assert_close(local, weights, rtol=1e-13, atol=0)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_deterministic_part_agrees_with_captum():
    attr = pytest.importorskip("captum.attr")
    model, x = seeded(Linear), images()
    with torch.random.fork_rng([]):
        expected = attr.GradientShap(model).attribute(x, GIVEN[:1], n_samples=4, stdevs=0.0, target=TARGETS)
        shap = attr.DeepLiftShap(model).attribute(x, GIVEN, TARGETS)
    torch.testing.assert_close(GradientSHAP(4, GIVEN[:1])(model, x, TARGETS), expected.detach(), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(DeepLiftSHAP(GIVEN)(model, x, TARGETS), shap.detach(), rtol=1e-12, atol=1e-14)


def test_its_expectation_is_the_mean_path_integral():
    model, x = seeded(lambda: Power(3)), images()
    a = model.coefficients[TARGETS].detach().reshape(x.shape)
    exact = a * (x**3 - (GIVEN**3).mean(0))
    found = torch.stack([GradientSHAP(100, GIVEN)(model, x, TARGETS, seed=seed) for seed in range(30)])
    error = found.std(0) / 30**0.5
    # Student's t with 29 degrees of freedom over 990 entries: a value beyond 6 has a chance of 1e-3.
    assert float(((found.mean(0) - exact) / error).abs().max()) < 6


def test_completeness_holds_in_expectation_and_the_delta_tells_what_lacks():
    model, x = seeded(ConvNet), images()
    method, deltas = GradientSHAP(10, GIVEN, noise_fraction=0.05), []
    for seed in range(20):
        maps = method(model, x, TARGETS, seed=seed)
        deltas.append(method.convergence_delta(model, x, TARGETS, maps, seed=seed))
        ends = PointStream.of(x, image_keys(x, seed), method.endpoints(x)).rows(0, 50)
        change = (model.eval()(ends.origins) - model(ends.baselines)).gather(1, TARGETS[ends.image, None])
        expected = maps.flatten(1).sum(1) - change.reshape(5, 10).mean(1).detach()
        torch.testing.assert_close(deltas[-1], expected, rtol=0, atol=1e-12)
    deltas = torch.stack(deltas)
    assert float(deltas.std(0).min()) > 1e-4
    # Student's t with 19 degrees of freedom: a value beyond 5 has a chance of 1e-4.
    assert float((deltas.mean(0) / (deltas.std(0) / 20**0.5)).abs().max()) < 5


def test_both_methods_draw_the_same_noisy_baselines():
    model, x = seeded(Linear), images()
    one = NoisyBaselines(Zero(), 1)
    maps = GradientSHAP(2, one)(model, x, TARGETS, seed=8)
    torch.testing.assert_close(maps, DeepLiftSHAP(one)(model, x, TARGETS, seed=8), rtol=1e-12, atol=1e-14)


def test_every_noisy_image_of_smoothgrad_has_draws_of_its_own():
    model, x = seeded(lambda: Power(3)), images()
    smooth = SmoothGrad(GradientSHAP(1, GIVEN), samples=6, noise_std=0.0)
    torch.testing.assert_close(
        smooth(model, x, TARGETS), GradientSHAP(6, GIVEN)(model, x, TARGETS), rtol=1e-12, atol=1e-14
    )


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize("method", [DeepLiftSHAP, lambda **options: GradientSHAP(3, **options)])
@pytest.mark.parametrize(
    ("baselines", "message"),
    [
        (torch.zeros(SHAPE), r"the baselines have shape \(2, 11, 9\); give \(K, 2, 11, 9\)"),
        (torch.zeros(0, *SHAPE), r"shape \(0, 2, 11, 9\); give \(K, 2, 11, 9\)"),
        (torch.zeros(3, 2, 9, 11), r"shape \(3, 2, 9, 11\); give"),
        (lambda x: x, r"shape \(2, 11, 9\); give .* or a function that makes \(batch, K, ...\)"),
        (lambda x: x[:2, None], r"the baselines have shape \(2, 1, 2, 11, 9\), the images \(5, 1, 2, 11, 9\)"),
        (torch.full((2, *SHAPE), torch.inf), "NaN or infinite"),
        (NoisyBaselines(lambda x: x / 0), "NaN or infinite"),
    ],
)
def test_baselines_that_do_not_fit_are_refused(method, baselines, message):
    with pytest.raises(InvalidInput, match=message):
        method(baselines=baselines)(seeded(ConvNet), images(), 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GradientSHAP(0), "samples of GradientSHAP is 0"),
        (lambda: GradientSHAP(noise_fraction=-0.1), "is -0.1; it is at least 0"),
        (lambda: GradientSHAP(noise_fraction=float("nan")), "is nan; it is at least 0"),
        (lambda: NoisyBaselines(Zero(), 0), "count of .* at least 1"),
        (lambda: NoisyBaselines(Zero(), 3, -1.0), "fraction of at least 0"),
    ],
)
def test_impossible_numbers_are_refused_when_the_method_is_made(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()


@pytest.mark.parametrize("method", [DeepLiftSHAP(GIVEN, False), GradientSHAP(4, GIVEN, multiply_by_inputs=False)])
def test_local_maps_of_several_baselines_have_no_delta(method):
    model, x = seeded(ConvNet), images()
    with pytest.raises(InvalidInput, match=r"local maps of .* are a mean over several .*multiply_by_inputs=True"):
        method.convergence_delta(model, x, 0, x)

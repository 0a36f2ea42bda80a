"""Quality metrics: closed forms, slow literal replicas and Captum's functions on the same disturbances."""

import math

import pytest
import torch
from attributions.unchecked import unchecked
from captum.metrics import infidelity as captum_infidelity
from captum.metrics import infidelity_perturb_func_decorator, sensitivity_max
from scipy.optimize import minimize_scalar
from scipy.stats import kstest, pearsonr

from probatum.errors import InvalidInput, ModelError, UnknownName
from probatum.metrics.quality import (
    QUALITY,
    Case,
    GaussianNoise,
    Perturbed,
    Removal,
    SubsetInfidelity,
    SubsetRemoval,
    deletion,
    exchange_curve,
    get_quality,
    infidelity,
    insertion,
    max_sensitivities,
    max_sensitivity,
    responses,
    sensitivity_n,
)

SHAPE = (2, 3, 4)


def tensor(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def images(batch=3):
    return tensor(batch, *SHAPE, seed=1)


WEIGHTS = tensor(*SHAPE, seed=2)
BASELINE = tensor(*SHAPE, seed=3)


def linear(points, image):
    """f(x) = w · x + 7, scaled by the number of the image so that a mixed-up row shows."""
    return (image + 1) * ((points * WEIGHTS.to(points)).flatten(1).sum(1) + 7)


def slopes(x):
    return torch.stack([(number + 1) * WEIGHTS for number in range(len(x))])


def cubic(points, image):
    return (image + 1) * (points**3 * WEIGHTS.to(points)).flatten(1).sum(1)


def cubic_gradient(points, image):
    return (image + 1).reshape(-1, 1, 1, 1) * 3 * points**2 * WEIGHTS.to(points)


PERTURBATIONS = {
    "noise": GaussianNoise(0.3, 6),
    "removal": Removal(),
    "pixels": SubsetRemoval(5, 6),
    "numbers": SubsetRemoval(5, 6, feature_dim=None),
}


def drawn(perturbation, x, seed=0):
    """What the metric draws: the perturbations of every image, (batch, samples, ...), seen by the function itself."""
    seen = []

    def spy(points, image):
        seen.append(points)
        return linear(points, image)

    responses(spy, x, {}, perturbation, baseline=BASELINE, seed=seed)
    return seen[-1].reshape(len(x), perturbation.samples, *SHAPE)


# ---- infidelity


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_the_gradient_of_a_linear_function_has_no_infidelity(name):
    x = images()
    score = infidelity(linear, x, slopes(x), PERTURBATIONS[name], baseline=BASELINE)
    torch.testing.assert_close(score, torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-24)


@pytest.mark.parametrize("name", ["removal", "pixels"])
def test_contributions_to_a_linear_function_have_none_as_global_maps(name):
    x = images()
    contributions = slopes(x) * (x - BASELINE)
    for maps in (contributions, contributions.sum(1, keepdim=True), contributions.sum(1)):  # channels may be summed
        score = infidelity(linear, x, maps, PERTURBATIONS[name], product="global", baseline=BASELINE)
        torch.testing.assert_close(score, torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-24)


def test_a_global_map_taken_for_a_local_one_is_multiplied_twice():
    x = images()
    step = x - BASELINE
    found = infidelity(linear, x, slopes(x) * step, Removal(), baseline=BASELINE)
    expected = ((slopes(x) * (step.square() - step)).flatten(1).sum(1)).square()
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_under_removal_a_global_map_is_judged_by_the_square_of_its_missing_completeness():
    x, maps = images(), tensor(3, *SHAPE, seed=5)
    number = torch.arange(3)
    missing = maps.flatten(1).sum(1) - (cubic(x, number) - cubic(BASELINE.expand_as(x), number))
    found = infidelity(cubic, x, maps, Removal(), product="global", baseline=BASELINE)
    torch.testing.assert_close(found, missing.square(), rtol=1e-12, atol=0)


def test_a_constant_error_costs_the_variance_of_the_noise_times_its_square():
    x, error = images(1), tensor(1, *SHAPE, seed=6)
    samples = 20_000
    found = infidelity(linear, x, slopes(x) + error, GaussianNoise(0.03, samples))
    expected = 0.03**2 * float(error.square().sum())
    # (I · d)² is σ²‖d‖² times a χ² variable of one degree, whose standard deviation is √2; four standard errors
    assert float(found) == pytest.approx(expected, rel=4 * math.sqrt(2 / samples))


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("name", ["noise", "pixels", "numbers"])
def test_infidelity_is_the_literal_sum(name, scaled):
    x, maps = images(), tensor(3, *SHAPE, seed=7)
    perturbation = PERTURBATIONS[name]
    found = infidelity(cubic, x, maps, perturbation, scaled=scaled, baseline=BASELINE, seed=4)
    points = drawn(perturbation, x, seed=4)
    for image in range(3):
        number = torch.tensor([image])
        a, b = [], []
        for point in points[image]:
            a.append(float(((x[image] - point) * maps[image]).sum()))
            b.append(float(cubic(x[image : image + 1], number) - cubic(point[None], number)))
        beta = sum(p * q for p, q in zip(a, b, strict=True)) / sum(p * p for p in a) if scaled else 1.0
        expected = sum((beta * p - q) ** 2 for p, q in zip(a, b, strict=True)) / len(a)
        assert float(found[image]) == pytest.approx(expected, rel=1e-12)
        if scaled:
            best = minimize_scalar(lambda s, a=a, b=b: sum((s * p - q) ** 2 for p, q in zip(a, b, strict=True)))
            assert beta == pytest.approx(best.x, rel=1e-6)  # the precision of the search


def test_scaling_forgives_the_unit_of_a_map_and_nothing_of_a_zero_map():
    x = images()
    noise = GaussianNoise(0.3, 6)
    assert float(infidelity(linear, x, -3 * slopes(x), noise, scaled=True).max()) < 1e-24
    zero = torch.zeros_like(x)
    torch.testing.assert_close(
        infidelity(cubic, x, zero, noise, scaled=True), infidelity(cubic, x, zero, noise), rtol=0, atol=0
    )


@pytest.mark.parametrize("normalize", [False, True])
def test_captum_agrees_on_local_maps(normalize):
    x, maps, noise = images(), tensor(3, *SHAPE, seed=7), GaussianNoise(0.3, 6)
    points = drawn(noise, x).flatten(0, 1)
    number = torch.arange(3).repeat_interleave(6)

    def perturb(inputs):
        return inputs - points, points

    def forward(inputs):
        return cubic(inputs, number if len(inputs) == 18 else torch.arange(3))

    theirs = captum_infidelity(forward, perturb, x, maps, n_perturb_samples=6, normalize=normalize)
    torch.testing.assert_close(infidelity(cubic, x, maps, noise, scaled=normalize), theirs, rtol=1e-11, atol=0)


@pytest.mark.parametrize("name", ["removal", "pixels"])
def test_captum_agrees_on_global_maps(name):
    x, maps, perturbation = images(), tensor(3, *SHAPE, seed=7), PERTURBATIONS[name]
    x[0, :, 0] = BASELINE[:, 0]  # where x = x₀ their quotient is 0 by rule; a contribution there is none
    maps[0, :, 0] = 0
    samples = perturbation.samples
    points = drawn(perturbation, x).flatten(0, 1)
    number = torch.arange(3).repeat_interleave(samples)

    def perturb(inputs, baselines):
        return points

    def forward(inputs):
        return cubic(inputs, number if len(inputs) == len(number) else torch.arange(3))

    theirs = captum_infidelity(
        forward,
        infidelity_perturb_func_decorator(multiply_by_inputs=True)(perturb),
        x,
        maps,
        baselines=BASELINE[None],
        n_perturb_samples=samples,
    )
    found = infidelity(cubic, x, maps, perturbation, product="global", baseline=BASELINE)
    torch.testing.assert_close(found, theirs, rtol=1e-11, atol=0)


def test_several_methods_share_the_calls_of_the_function():
    calls = []

    def counted(points, image):
        calls.append(len(points))
        return cubic(points, image)

    x = images()
    maps = {"a": tensor(3, *SHAPE, seed=7), "b": tensor(3, *SHAPE, seed=8)}
    found = responses(counted, x, maps, SubsetRemoval(4, 6), product={"a": "local", "b": "global"}, baseline=BASELINE)
    assert calls == [3, 18]
    for name, product in (("a", "local"), ("b", "global")):
        alone = infidelity(cubic, x, maps[name], SubsetRemoval(4, 6), product=product, baseline=BASELINE)
        expected = (found.predicted[name] - found.measured).square().mean(1)
        torch.testing.assert_close(alone, expected, rtol=0, atol=0)


# ---- what is drawn


def test_noise_is_normal_and_each_image_and_sample_has_its_own():
    x = images()
    noise = (x[:, None] - drawn(GaussianNoise(0.5, 400), x)) / 0.5
    assert kstest(noise.flatten().numpy(), "norm").pvalue > 1e-3
    assert len(torch.unique(noise.reshape(1200, -1), dim=0)) == 1200


def test_subsets_have_their_size_and_every_pixel_the_same_chance():
    x = images(1)
    removed = (drawn(SubsetRemoval(5, 4000), x) != x[:, None])[0]
    assert torch.equal(removed[:, 0], removed[:, 1])  # both channels
    assert removed[:, 0].flatten(1).sum(1).eq(5).all()
    share = removed[:, 0].double().mean(0)
    error = math.sqrt(5 / 12 * 7 / 12 / 4000)
    assert (share - 5 / 12).abs().max() < 4 * error


def test_what_is_removed_is_exactly_the_baseline():
    x = images()
    points = drawn(SubsetRemoval(5, 6, feature_dim=None), x)
    assert ((points == x[:, None]) | (points == BASELINE)).all()
    assert torch.equal(drawn(Removal(), x)[:, 0], BASELINE.expand_as(x))


def test_a_perturbation_of_the_users_own():
    class Halve:
        samples = 1

        def draw(self, x, baselines, keys, sample):
            return Perturbed(x / 2, x / 2, None)

    x = images()
    assert float(infidelity(linear, x, slopes(x), Halve()).max()) < 1e-24


# ---- max-sensitivity


def test_the_gradient_of_a_linear_function_does_not_move():
    x = images()
    assert torch.equal(max_sensitivity(lambda points, image: slopes(x)[image], x), torch.zeros(3, dtype=torch.float64))


def test_of_one_number_it_is_the_radius_over_the_number():
    # The gradient of a x²/2 is a x, which moves by a δ: the ratio is |δ| / |x|, and at most radius / |x|.
    x = torch.tensor([[0.5], [-2.0], [10.0]], dtype=torch.float64)
    found = max_sensitivity(lambda points, image: 3 * points, x, radius=0.1, samples=2000)
    bound = 0.1 / x.abs()[:, 0]
    assert (found <= bound * (1 + 1e-12)).all()
    assert (found > bound * (1 - 0.01)).all()  # the largest of 2000 uniform numbers; fails once in 1e8


def test_the_ball_is_uniform():
    seen = []
    x = images(1)
    max_sensitivity(lambda points, image: seen.append(points) or points, x, radius=0.5, samples=500)
    offsets = ((seen[-1] - x) / 0.5).flatten()
    assert offsets.abs().max() <= 1
    assert kstest(offsets.numpy(), "uniform", args=(-1, 2)).pvalue > 1e-3


def test_max_sensitivity_is_the_literal_maximum_and_captums():
    seen = []

    def explain(points, image):
        seen.append((points, image))
        return cubic_gradient(points, image)

    x = images()
    found = max_sensitivity(explain, x, radius=0.2, samples=5, seed=3)
    reference, (points, image) = cubic_gradient(x, torch.arange(3)), seen[-1]
    ratios = [
        float((cubic_gradient(p[None], i[None])[0] - reference[i]).norm() / reference[i].norm())
        for p, i in zip(points, image, strict=True)
    ]
    for row in range(3):
        assert float(found[row]) == pytest.approx(max(ratios[5 * row : 5 * row + 5]), rel=1e-13)

    def of_captum(inputs):  # Captum hands over the images in a tuple, the disturbed ones alone
        if isinstance(inputs, tuple):
            return (cubic_gradient(inputs[0], torch.arange(3)),)
        return cubic_gradient(inputs, image)

    theirs = sensitivity_max(of_captum, x, perturb_func=lambda inputs: points, n_perturb_samples=5)
    torch.testing.assert_close(found, theirs, rtol=1e-12, atol=0)


def test_no_change_can_be_related_to_a_zero_map():
    x = images()

    def explain(points, image):
        return cubic_gradient(points, image) * (image != 1).reshape(-1, 1, 1, 1)

    assert max_sensitivity(explain, x).isnan().tolist() == [False, True, False]


def test_known_maps_are_not_computed_again():
    rows = []

    def explain(points, image):
        rows.append(len(points))
        return {"a": points, "b": -points}

    x = images()
    found = max_sensitivities(explain, x, reference={"a": x, "b": -x})
    assert rows == [15]
    assert torch.equal(found["a"], found["b"])


# ---- sensitivity-n, deletion, insertion


@pytest.mark.parametrize("n", [1, 6, 11])
def test_sensitivity_n_of_a_linear_function_is_one(n):
    x = images()
    one = torch.ones(3, dtype=torch.float64)
    found = sensitivity_n(linear, x, slopes(x) * (x - BASELINE), n, baseline=BASELINE)
    torch.testing.assert_close(found, one, rtol=0, atol=1e-12)
    local = sensitivity_n(linear, x, -slopes(x), n, product="local", baseline=BASELINE)
    torch.testing.assert_close(local, -one, rtol=0, atol=1e-12)


def test_sensitivity_n_is_scipys_correlation():
    x, maps = images(), tensor(3, *SHAPE, seed=7)
    found = sensitivity_n(cubic, x, maps, 4, samples=20, baseline=BASELINE, seed=2)
    points = drawn(SubsetRemoval(4, 20), x, seed=2)
    for image in range(3):
        number = torch.tensor([image])
        a = [float((maps[image] * (point != x[image])).sum()) for point in points[image]]
        b = [-float(cubic(point[None], number)) for point in points[image]]
        assert float(found[image]) == pytest.approx(pearsonr(a, b)[0], rel=1e-10)


def test_sensitivity_n_of_a_constant_map_is_undefined():
    x = images()
    assert sensitivity_n(linear, x, torch.zeros_like(x), 3).isnan().all()


def test_curves_by_hand():
    x = torch.ones(1, 1, 2, 2, dtype=torch.float64)
    weights = torch.tensor([[4.0, 1.0], [3.0, 2.0]], dtype=torch.float64)

    def forward(points, image):
        return (points * weights).flatten(1).sum(1)

    maps = weights.expand(1, 1, 2, 2)
    shares, curve = exchange_curve(forward, x, maps)
    assert shares.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert curve.tolist() == [[10, 6, 3, 1, 0]]
    assert exchange_curve(forward, x, maps, insert=True)[1].tolist() == [[0, 4, 7, 9, 10]]
    assert deletion(forward, x, maps).tolist() == [(10 / 2 + 6 + 3 + 1 + 0) / 4]
    assert insertion(forward, x, maps).tolist() == [(0 + 4 + 7 + 9 + 10 / 2) / 4]
    assert deletion(forward, x, -maps).tolist() == [(10 / 2 + 9 + 7 + 4 + 0) / 4]
    shares, curve = exchange_curve(forward, x, torch.zeros_like(x), 2 * x, steps=3)  # ties go in order of place
    assert shares.tolist() == [0, 0.25, 0.75, 1]
    assert curve.tolist() == [[10, 14, 18, 20]]
    area = 0.25 * 12 + 0.5 * 16 + 0.25 * 19  # by trapezoids of unequal width
    assert deletion(forward, x, torch.zeros_like(x), 2 * x, steps=3).tolist() == [area]


def test_pixels_go_with_all_their_channels_by_the_sum_of_their_attributions():
    x = images()
    maps = tensor(3, *SHAPE, seed=7)
    seen = []

    def spy(points, image):
        seen.append(points)
        return linear(points, image)

    exchange_curve(spy, x, maps, BASELINE, steps=12)
    points = seen[-1].reshape(3, 13, *SHAPE)
    for image in range(3):
        order = maps[image].sum(0).flatten().argsort(descending=True)
        expected = x[image].clone()
        for step, pixel in enumerate(order):
            assert torch.equal(points[image, step], expected)
            expected.flatten(1)[:, pixel] = BASELINE.flatten(1)[:, pixel]
        assert torch.equal(points[image, 12], expected)


# ---- the table


def case(x, **options):
    maps = {"local": cubic_gradient(x, torch.arange(len(x))), "global": slopes(x) * (x - BASELINE)}
    return Case(
        forward=cubic,
        explain=lambda points, image: {"local": cubic_gradient(points, image), "global": points * WEIGHTS},
        images=x,
        maps=maps,
        local_or_global={"local": "local", "global": "global"},
        baseline=BASELINE,
        **options,
    )


@pytest.mark.parametrize("name", QUALITY)
def test_every_measure_scores_every_method_alike_in_any_company_and_chunk(name):
    x = images()
    state = torch.get_rng_state()
    whole = QUALITY[name].measure.scores(case(x))
    assert torch.equal(torch.get_rng_state(), state)
    assert sorted(whole) == ["global", "local"]
    for chunk in (1, 7):
        for method, scores in QUALITY[name].measure.scores(case(x, chunk=chunk)).items():
            torch.testing.assert_close(scores, whole[method], rtol=1e-12, atol=0)
    first = QUALITY[name].measure.scores(case(x[:1]))
    for method, scores in first.items():  # the first image, as the functions here know images by number
        torch.testing.assert_close(scores, whole[method][:1], rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", ["infidelity", "infidelity-subsets", "max-sensitivity", "sensitivity-n"])
def test_the_seed_decides(name):
    x = images()
    one, same, other = (QUALITY[name].measure.scores(case(x, seed=seed))["local"] for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_the_table():
    assert all(get_quality(name).name == name for name in QUALITY)
    with pytest.raises(UnknownName, match="did you mean 'infidelity'"):
        get_quality("infidelty")


def test_deletion_looks_at_the_probability_where_there_is_one():
    x = images()
    measure = QUALITY["deletion"].measure
    with_probability = measure.scores(case(x, probability=linear))["local"]
    torch.testing.assert_close(with_probability, deletion(linear, x, case(x).maps["local"], BASELINE))


def test_tokens_are_features_over_the_embedding():
    sentences = tensor(2, 5, 7)  # (batch, token, embedding)
    weights = tensor(5, 7, seed=4)

    def forward(points, image):
        return (points * weights).sum((1, 2))

    tokens = (sentences * weights).sum(-1)  # (batch, token)
    for perturbation in (Removal(), SubsetRemoval(2, 8, feature_dim=-1)):
        found = infidelity(forward, sentences, tokens, perturbation, product="global", feature_dim=-1)
        assert float(found.max()) < 1e-24
    shares, curve = exchange_curve(forward, sentences, tokens, feature_dim=-1)
    assert len(shares) == 6
    steps = tokens.sort(dim=1, descending=True).values
    torch.testing.assert_close(curve[:, 0] - curve[:, -1], steps.sum(1), rtol=1e-12, atol=0)
    torch.testing.assert_close(-curve.diff(dim=1), steps, rtol=1e-10, atol=1e-13)


def test_float32_is_summed_in_float64():
    x = images().float()
    found = infidelity(linear, x, slopes(x).float(), GaussianNoise(0.3, 6))
    assert found.dtype == torch.float64
    assert 0 < float(found.max()) < 1e-9  # rounding of the function alone


# ---- bad input

X = images()
BAD = {
    "integers": (lambda: infidelity(linear, X.long(), X), "images must be floating point"),
    "NaN": (lambda: infidelity(linear, X * torch.nan, X), "image 0 of the batch has NaN"),
    "NaN map": (lambda: infidelity(linear, X, X * torch.nan), "map 0 of the batch has NaN"),
    "map of one channel": (lambda: infidelity(linear, X, X[:, :1]), "local maps 'given' have shape"),
    "map of another size": (lambda: infidelity(linear, X, X[..., :2], Removal(), product="global"), "do not fit"),
    "noise with a global map": (lambda: infidelity(linear, X, X, product="global"), "noise"),
    "unknown product": (lambda: infidelity(linear, X, X, product="localy"), "no product is called"),
    "pixels and numbers": (
        lambda: infidelity(linear, X, X[:, :1], SubsetRemoval(3, feature_dim=None), product="global"),
        "one value where the perturbation",
    ),
    "one scaled sample": (lambda: infidelity(linear, X, X, Removal(), scaled=True), "scaled infidelity"),
    "baseline": (lambda: infidelity(linear, X, X, Removal(), baseline=X[..., :2]), "the baseline has shape"),
    "chunk": (lambda: infidelity(linear, X, X, chunk=0), "chunk is 0"),
    "samples": (lambda: GaussianNoise(samples=0), "samples is 0"),
    "sigma": (lambda: GaussianNoise(sigma=math.nan), "sigma is nan"),
    "all features": (lambda: sensitivity_n(linear, X, X, 12), "a subset of 12 out of 12 features"),
    "one subset": (lambda: sensitivity_n(linear, X, X, 3, samples=1), "at least two"),
    "feature_dim": (lambda: sensitivity_n(linear, X, X, 3, feature_dim=4), "feature_dim is 4"),
    "share": (lambda: SubsetInfidelity(share=1.0).scores(case(X)), "share is 1.0"),
    "radius": (lambda: max_sensitivity(cubic_gradient, X, radius=0.0), "radius is 0"),
    "no samples": (lambda: max_sensitivity(cubic_gradient, X, samples=0), "samples is 0"),
    "maps of another number": (lambda: max_sensitivity(lambda p, i: p[:2], X), "explain returned given maps of shape"),
    "steps": (lambda: deletion(linear, X, X, steps=0), "steps is 0"),
    "a forward of logits": (lambda: deletion(lambda p, i: p.flatten(1), X, X), "one number per point"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named(name):
    call, message = BAD[name]
    with unchecked(), pytest.raises(InvalidInput, match=message):
        call()


def test_a_function_that_is_not_finite():
    with pytest.raises(ModelError, match="NaN or infinite values at a perturbed point"):
        infidelity(lambda points, image: points.flatten(1).sum(1) / 0, X, X)

import numpy as np
import pytest
import torch
from torch import nn

from probatum.attributions import Gradient, GuidedBackprop
from probatum.errors import InvalidInput
from probatum.experiments.effects import Subject, measure_effects
from probatum.maps import get_reduction

METHODS = {"gradient": Gradient(), "guided": GuidedBackprop()}


def network(seed):
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)).double().eval()


def images(count=5):
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def measured(trained, untrained, weights, count=5, **options):
    regions = {"left": torch.arange(8).lt(4).expand(count, 8, 8), "nowhere": torch.zeros(count, 8, 8, dtype=torch.bool)}
    return measure_effects(
        trained, untrained, images(count), torch.tensor(weights).expand(count, -1), regions, METHODS, shown=2, **options
    )


def unit(model, method, reduction, targets=None):
    maps = get_reduction(reduction)(METHODS[method](model, images(), targets))
    return (maps / maps.flatten(1).norm(dim=1)[:, None, None, None]).numpy()


def test_scores_are_those_of_a_plain_computation():
    trained = {"a": Subject(network(1)), "b": Subject(network(2), torch.tensor([0, 1, 2, 0, 1]))}
    untrained = [Subject(network(seed)) for seed in (10, 11, 12, 13)]
    found = measured(trained, untrained, [0.25, 0.75])
    for r, reduction in enumerate(("abs-normalized", "signed")):
        for m, method in enumerate(METHODS):
            own = [unit(subject.model, method, reduction, subject.targets) for subject in trained.values()]
            others = [unit(subject.model, method, reduction) for subject in untrained]
            for image in range(5):
                for k in range(4):
                    one, two = others[(k + 1) % 4][image], others[(k + 2) % 4][image]
                    here = others[k][image]
                    wanted = {
                        "effect": 0.25 * own[0][image] + 0.75 * own[1][image] - here,
                        "effect_floor": 0.25 * one + 0.75 * two - here,
                        "distance_floor": one - here,
                    }
                    for name, difference in wanted.items():
                        score = getattr(found, name)[r, m, image, k]
                        assert score == pytest.approx(np.linalg.norm(difference), rel=1e-12), name
                    for t in range(2):
                        expected = np.linalg.norm(own[t][image] - here)
                        assert found.distance[r, m, t, image, k] == pytest.approx(expected, rel=1e-12)


def test_shares_and_panels():
    trained = {"a": Subject(network(1))}
    untrained = [Subject(network(seed)) for seed in (10, 11)]
    found = measured(trained, untrained, [1.0])
    for m, method in enumerate(METHODS):
        raw = METHODS[method](network(1), images()).abs().numpy()
        np.testing.assert_allclose(found.share[m, 0, 0], raw[..., :4].sum((1, 2, 3)) / raw.sum((1, 2, 3)), rtol=1e-12)
        raw = METHODS[method](network(11), images()).abs().numpy()
        share = raw[..., :4].sum((1, 2, 3)) / raw.sum((1, 2, 3))
        np.testing.assert_allclose(found.untrained_share[m, 0, :, 1], share, rtol=1e-12)
        for place, seed in enumerate((10, 1)):
            panel = get_reduction("abs-normalized")(METHODS[method](network(seed), images()))[:2, 0]
            np.testing.assert_allclose(found.panels[m, place], panel.numpy(), rtol=1e-12)
    assert np.isnan(found.share[:, :, 1]).all()  # the empty region
    assert found.panels.shape == (2, 2, 2, 8, 8)


def test_a_trained_model_that_is_the_untrained_one_has_no_effect():
    found = measured({"a": Subject(network(10))}, [Subject(network(10)), Subject(network(11))], [1.0])
    np.testing.assert_array_equal(found.effect[..., 0], 0)
    np.testing.assert_array_equal(found.distance[:, :, 0, :, 0], 0)
    assert (found.effect[..., 1] > 0).all()
    np.testing.assert_array_equal(found.effect[..., 1], found.effect_floor[..., 1])


def test_too_few_untrained_models_are_refused():
    with pytest.raises(InvalidInput, match="need 3 untrained"):
        measured({"a": Subject(network(1)), "b": Subject(network(2))}, [Subject(network(3))] * 2, [0.5, 0.5])


def test_progress_counts_the_models():
    seen = []
    measured(
        {"a": Subject(network(1))},
        [Subject(network(2)), Subject(network(3))],
        [1.0],
        progress=lambda *step: seen.append(step),
    )
    assert [(done, total) for done, total, _ in seen] == [(0, 3), (1, 3), (2, 3)]

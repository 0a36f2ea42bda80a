"""Occlusion by hand, beside Captum in every number of dimensions, and on models that have no gradient."""

import pytest
import torch
from nets import CLASSES, Linear, images, seeded
from torch import nn

from probatum import attribute
from probatum.attributions import Gradient, GradientSHAP, Mean, Occlusion, SmoothGrad, attribute_variants
from probatum.engine import LOGIT, PLAIN, Request, Variant, prepare, run
from probatum.errors import InvalidInput

# Captum adds up in float32, whatever the model's type is.
CAPTUM_ROUNDING = 1e-6


def _with_convolution(kind, channels: int, length: int) -> nn.Module:
    return nn.Sequential(kind(channels, 3, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(3 * length, CLASSES))


CASES = {  # model, shape of an image, window and stride as ours, and as Captum's, which have all axes
    "vectors": (lambda: nn.Sequential(nn.Linear(7, 5), nn.Tanh(), nn.Linear(5, CLASSES)), (7,), 3, 2, (3,), (2,)),
    "series": (lambda: _with_convolution(nn.Conv1d, 2, 12), (2, 12), 5, 2, (2, 5), (2, 2)),
    "images": (lambda: _with_convolution(nn.Conv2d, 2, 99), (2, 11, 9), (4, 3), (3, 2), (2, 4, 3), (2, 3, 2)),
    "channels": (lambda: _with_convolution(nn.Conv2d, 2, 99), (2, 11, 9), (1, 5, 4), (1, 5, 3), (1, 5, 4), (1, 5, 3)),
    "volumes": (lambda: _with_convolution(nn.Conv3d, 1, 120), (1, 6, 5, 4), 3, (2, 1, 3), (1, 3, 3, 3), (1, 2, 1, 3)),
}


@pytest.mark.parametrize("baseline", [0.0, 0.7])
@pytest.mark.parametrize("name", CASES)
def test_equals_captum(name, baseline):
    captum = pytest.importorskip("captum.attr")
    build, shape, window, stride, all_axes, all_strides = CASES[name]
    model, x = seeded(build).eval(), images(3, shape)
    targets = torch.tensor([0, 3, 1])
    expected = captum.Occlusion(model).attribute(x, all_axes, all_strides, baseline, targets)
    maps = Occlusion(window, stride, torch.full(shape, baseline, dtype=x.dtype))(model, x, targets)
    assert float((maps - expected).abs().max() / expected.abs().max()) < CAPTUM_ROUNDING


def test_of_a_linear_model_and_windows_of_one_value_is_the_input_times_its_weight():
    model, x = seeded(Linear), images()
    maps = Occlusion((1, 1, 1), 1, Mean())(model, x, 2)
    weight = model.linear.weight[2].reshape(1, *x.shape[1:])
    torch.testing.assert_close(maps, weight * (x - Mean()(x)), rtol=1e-10, atol=1e-12)


def test_one_window_over_everything_is_the_fall_to_the_baseline():
    model, x = seeded(Linear), images()
    fall = model(x)[:, 1] - model(torch.zeros_like(x))[:, 1]
    torch.testing.assert_close(Occlusion((11, 9))(model, x, 1), fall.reshape(-1, 1, 1, 1).expand_as(x))


class Voting(nn.Module):
    """Counts pixels over thresholds, which has no gradient at all."""

    def forward(self, x):
        return torch.stack([(x.flatten(1) > threshold).sum(1).to(x.dtype) for threshold in range(CLASSES)], 1)


def test_a_model_without_a_gradient_is_explained():
    x = images()
    maps = Occlusion((1, 1, 1), 1)(Voting(), x, 0)
    assert torch.equal(maps, (x > 0).to(x.dtype))
    targets = Voting()(x).argmax(1)
    assert torch.equal(Occlusion(4)(Voting(), x), Occlusion(4)(Voting(), x, targets))


def test_builds_no_graph_once_a_row_is_measured():
    class Watching(Linear):
        def forward(self, x):
            seen.append(x.requires_grad)
            return super().forward(x)

    seen: list[bool] = []
    prepared = prepare(seeded(Watching))
    Occlusion(4)(prepared, images(), 0, memory_budget="1 MiB")
    assert len(seen) > 3
    assert seen.count(True) == 1


def test_logits_and_gradients_at_the_same_points_share_a_forward_pass():
    calls = []

    class Counting(Linear):
        def forward(self, x):
            calls.append(len(x))
            return super().forward(x)

    model, x = seeded(Counting), images()
    found = run(
        prepare(model, chunk=5),
        x,
        2,
        {
            "logit": Request(lambda at: at.logit.expand_as(at.points), frozenset({LOGIT})),
            "gradient": Request(lambda at: at.gradient, frozenset({PLAIN})),
        },
    )
    assert calls.count(5) == 1
    assert torch.equal(found["gradient"], Gradient()(model, x, 2))
    assert torch.equal(found["logit"][:, 0, 0, 0], model(x)[:, 2])


def test_versions_of_a_model_are_occluded_together():

    x, models = images(), [seeded(Linear, seed) for seed in (0, 1)]
    methods = {"occlusion": Occlusion(4), "gradient": Gradient()}
    together = attribute_variants([Variant(prepare(model), 1) for model in models], x, methods)
    for maps, model in zip(together, models, strict=True):
        assert torch.equal(maps["occlusion"], Occlusion(4)(model, x, 1))


def test_default_window_and_stride_are_an_eighth_and_half_of_that():
    (sliding,) = Occlusion().request(prepare(seeded(Linear)), images(2, (3, 64, 40))).chain
    assert (sliding.window, sliding.stride) == ((3, 8, 5), (3, 4, 3))
    assert sliding.places == (1, 15, 13)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"window": 12}, "window"),
        ({"window": 0}, "window"),
        ({"window": (3, 3, 3)}, "window"),
        ({"window": (2, 2, 3, 3)}, "window"),
        ({"window": (3,)}, "window"),
        ({"window": 3, "stride": 4}, "stride"),
        ({"window": 3, "stride": 0}, "stride"),
    ],
    ids=str,
)
def test_a_window_that_does_not_fit_is_refused(options, word):
    with pytest.raises(InvalidInput, match=word):
        Occlusion(**options)(seeded(Linear), images(), 0)


def test_the_joint_estimator_needs_a_path():
    with pytest.raises(InvalidInput, match="no path"):
        SmoothGrad(Occlusion(4), estimator="joint")(seeded(Linear), images(), 0)


def test_beside_other_methods():
    model, x = seeded(Linear), images()
    both = attribute(model, x, 1, [Occlusion(4), GradientSHAP(3)], seed=2)
    assert torch.equal(both["Occlusion"], Occlusion(4)(model, x, 1))

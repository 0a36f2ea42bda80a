"""Each law passes for a plain gradient and fails for an explainer that breaks it."""

import itertools
import json

import numpy as np
import pytest
import torch
from attributions.unchecked import unchecked
from docs.code_blocks import python_blocks
from torch import nn

from probatum.attributions import DeepLIFT, Explainer, GuidedGradCAM, InputXGradient, Occlusion
from probatum.cli import main
from probatum.conformance import LAWS, Claims, NotConforming, check_explainer, parametrize_with_checks
from probatum.errors import UnknownName

COUNTER = itertools.count(1)


def gradient(model, images, targets, of=lambda logits: logits):
    """∂ of(S)_c / ∂ x, which leaves everything as it is."""
    with torch.enable_grad():
        points = images.detach().clone().requires_grad_()
        logits = of(model(points))
        return torch.autograd.grad(logits.gather(1, targets[:, None]).sum(), points)[0]


def times(factor):
    """The gradient times a number of (model, images, targets)."""
    return lambda model, images, targets: gradient(model, images, targets) * factor(model, images, targets)


def after(change):
    """The gradient, and then a change of (model, images, targets)."""

    def explain(model, images, targets):
        maps = gradient(model, images, targets)
        change(model, images, targets)
        return maps

    return explain


def relu_calls(model, images, targets):
    calls = []
    hooks = [m.register_forward_hook(lambda *args: calls.append(1)) for m in model.modules() if isinstance(m, nn.ReLU)]
    model(images)
    for hook in hooks:
        hook.remove()
    return len(calls)


def nodes(model, images, targets):
    def count(node):
        return 1 + sum(count(parent) for parent, _ in node.next_functions if parent is not None)

    with torch.enable_grad():
        return count(model(images).grad_fn)


def leaves_hooks_after_an_error(model, images, targets):
    hook = model.conv1.register_forward_hook(lambda *args: None)
    maps = gradient(model, images, targets)
    hook.remove()
    return maps


def leaves_gradients(model, images, targets):
    points = images.clone().requires_grad_()
    model(points).gather(1, targets[:, None]).sum().backward()
    return points.grad


def needs_parameters(model, images, targets):
    torch.autograd.grad(model(images).sum(), list(model.parameters()))
    return gradient(model, images, targets)


def without_enable_grad(model, images, targets):
    points = images.clone().requires_grad_()
    return torch.autograd.grad(model(points).gather(1, targets[:, None]).sum(), points)[0]


def remembers(model, images, targets):
    factor = 2.0 if hasattr(model, "seen") else 1.0
    model.seen = True
    return factor * gradient(model, images, targets)


def refuses_bfloat16(model, images, targets):
    return torch.from_numpy(gradient(model, images, targets).numpy())


def order(model, images, targets):
    return torch.arange(1, len(images) + 1, dtype=images.dtype)[:, None, None, None]


def product(model, images, targets):
    return images * gradient(model, images, targets)


EXACT = Claims("global", 1e-10)
BREAKS = {
    "batch-independence": times(lambda model, images, targets: len(images)),
    "order-equivariance": times(order),
    "neighbor-independence": times(lambda model, images, targets: images.abs().mean()),
    "equal-images": times(order),
    "target-independence": times(lambda model, images, targets: 1 + targets.sum()),
    "determinism-under-a-seed": times(lambda *args: next(COUNTER)),
    "randomness-as-declared": times(lambda *args: 1 + torch.rand(()).double()),
    "global-generators-left": after(lambda *args: np.random.rand()),  # noqa: NPY002
    "weights-left": after(lambda model, images, targets: model.bn1.running_mean.add_(1)),
    "eval-mode-left": after(lambda model, images, targets: model.bn1.train()),
    "training-mode-left": after(lambda model, images, targets: model.eval()),
    "hooks-left": after(lambda model, images, targets: model.pool.register_forward_hook(print)),
    "layers-left": after(lambda model, images, targets: setattr(model, "relu1", nn.ReLU6())),
    "requires-grad-left": after(lambda model, images, targets: model.requires_grad_(True)),
    "attributes-left": after(lambda model, images, targets: setattr(model, "kept", images)),
    "restored-after-an-error": leaves_hooks_after_an_error,
    "no-gradient-left": leaves_gradients,
    "images-left": after(lambda model, images, targets: images.requires_grad_()),
    "targets-left": after(lambda model, images, targets: targets.zero_()),
    "settings-left": after(lambda *args: torch.set_grad_enabled(False)),
    "frozen-model": needs_parameters,
    "inside-no-grad": without_enable_grad,
    "repeated-calls": remembers,
    "linear-closed-form": (times(lambda *args: 2.0), Claims("local")),
    "completeness": (product, EXACT),
    "completeness-of-separated-layers": (product, EXACT),
    "completeness-of-overlapping-windows": (product, EXACT),
    "completeness-of-reused-layers": (product, EXACT),
    "float64-replica": (gradient, Claims(replica=lambda model, image, target, seed: 2 * image)),
    "shape-of-maps": lambda model, images, targets: gradient(model, images, targets)[:, :2],
    "uses-the-model": lambda model, images, targets: images,
    "uses-the-target": lambda model, images, targets: images,
    "other-classes": lambda *args: gradient(*args, of=lambda logits: logits.softmax(1)),
    "unread-channel": lambda model, images, targets: images,
    "finite-on-constant-images": times(lambda model, images, targets: 1 / images.std((1, 2, 3), keepdim=True)),
    "functional-relu": times(relu_calls),
    "in-place-relu": times(lambda model, *args: 1 + model.relu1.inplace),
    "reused-relu": times(lambda model, *args: len(list(model.modules()))),
    "multiplication-by-one": times(nodes),
    "rescaled-layers": times(lambda model, *args: model.conv1.weight.detach().norm()),
    "shift-of-the-logit": times(lambda model, images, targets: model(images).detach().mean()),
    "scale-of-the-logit": times(lambda model, images, targets: model(images).detach().square().mean()),
    "shift-of-the-input": product,
    "type-of-maps": lambda *args: gradient(*args).float(),
    "float32-agrees": times(lambda model, images, targets: 1 + (images.dtype == torch.float32)),
    "bfloat16-runs": refuses_bfloat16,
    "strides-of-images": times(lambda model, images, targets: images.stride(1)),
}


def explainer(call, *, stochastic=False):
    return Explainer(call, "mine", stochastic, images_at_once=16)


def test_a_plain_gradient_keeps_all_laws():
    found = check_explainer(
        explainer(gradient),
        claims=Claims("local", replica=lambda m, x, c, _: gradient(m, x[None], torch.tensor([c]))[0]),
    )
    assert {each.status for each in found.outcomes} == {"passed", "not applicable"}
    assert found.count("not applicable") == 4 + (not torch.cuda.is_available())  # completeness


def test_every_law_has_an_explainer_that_breaks_it():
    assert BREAKS.keys() == LAWS.keys() - {"maps-on-cuda"}


@pytest.mark.parametrize("law", BREAKS)
def test_a_law_can_be_broken(law):
    call, claims = BREAKS[law] if isinstance(BREAKS[law], tuple) else (BREAKS[law], None)
    with torch.enable_grad(), pytest.raises(NotConforming, match=rf"mine breaks 1 of 1 laws: {law}"):
        check_explainer(explainer(call), claims=claims, laws=[law])


@pytest.mark.parametrize("method", [InputXGradient(), DeepLIFT(), GuidedGradCAM("conv2")], ids=lambda each: each.title)
def test_our_methods_keep_all_laws(method):
    with unchecked():  # the type checks of the tests draw from Python's generator
        assert check_explainer(method).count("failed") == 0


def test_expected_failures():
    laws = ["unread-channel", "shift-of-the-input", "equal-images"]
    reasons = dict.fromkeys(laws[:2], "windows hide all channels, and show zero")
    found = check_explainer(Occlusion(), laws=laws, expected_failed_checks=reasons)
    assert (found.count("failed"), found.count("passed"), found.broken) == (2, 1, ())
    assert "failed as expected" in repr(found)
    with pytest.raises(NotConforming, match="unread-channel"):
        check_explainer(Occlusion(), laws=laws, expected_failed_checks={"shift-of-the-input": ""})
    with pytest.raises(UnknownName, match="equal-images"):
        check_explainer(Occlusion(), laws=["equal-image"])


def test_a_function_alone_need_not_be_random():
    (outcome,) = check_explainer(Explainer(gradient), laws=["randomness-as-declared"]).outcomes
    assert outcome.status == "not applicable"
    assert "stochastic=False" in outcome.words


def test_checks_become_tests():
    mark = parametrize_with_checks(
        [explainer(gradient)], expected_failed_checks=lambda method: {"weights-left": "why"}
    ).mark
    assert mark.args[0] == ("explainer", "check")
    by_law = {parameter.id: parameter for parameter in mark.args[1]}
    assert len(by_law) == len(LAWS)
    method, check = by_law["mine-equal-images"].values
    assert check(method).status == "passed"
    (xfail,) = by_law["mine-weights-left"].marks
    assert (xfail.name, xfail.kwargs["reason"]) == ("xfail", "why")
    assert not by_law["mine-equal-images"].marks


def test_the_code_of_the_page_runs():
    names = {}
    with unchecked():
        for block in python_blocks("conformance.md"):
            exec(block, names)
    assert names["result"].count("failed") == 2
    assert len(names["test_it_conforms"].pytestmark[0].args[1]) == len(LAWS)


@pytest.mark.parametrize(
    ("name", "law", "code"), [("gradient", "equal-images", 0), ("edge-detector", "uses-the-model", 1)]
)
@pytest.mark.parametrize("as_json", [False, True])
def test_the_terminal_checks_explainers(name, law, code, as_json, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["conform", name, "--laws", law, *(["--json"] if as_json else [])])
    assert stopped.value.code == code
    shown = capsys.readouterr()
    status = json.loads(shown.out)[0]["outcomes"][0]["status"] if as_json else shown.out
    assert ("failed" if code else "passed") in status
    assert (law in shown.err) == bool(code)

"""Explainers: functions as methods, their randomness, their errors, and what they must leave alone."""

import random

import numpy as np
import pytest
import torch
from attributions.unchecked import unchecked
from nets import CLASSES, ConvNet, images, seeded
from torch import nn

from probatum.attributions import Explainer, Gradient, SmoothGrad, attribute, get_method
from probatum.errors import InvalidInput, ModelError
from probatum.experiments import quality_scores, sanity_check

IMAGES, TARGETS = images(4), [1, 0, 3, 2]


def own_gradient(model, images, targets):
    images.requires_grad_()
    return torch.autograd.grad(model(images).gather(1, targets[:, None]).sum(), images)[0]


def drawn(model, images, targets):
    """One number of each global generator."""
    numbers = [random.random(), np.random.rand(), float(torch.rand(()))]  # noqa: NPY002
    return images.new_tensor(numbers + [0.0] * 6).expand(len(images), 11, 9)


def fails_on_bright(model, images, targets):
    if float(images.mean()) > 0:
        raise ValueError("too bright")
    return own_gradient(model, images, targets).sum(1)


@pytest.fixture
def net():
    return seeded(ConvNet).eval()


@pytest.mark.parametrize("images_at_once", [1, 3])
def test_a_function_is_explained_like_a_method(net, images_at_once):
    mine = Explainer(own_gradient, images_at_once=images_at_once)
    methods = {"ours": Gradient(), "mine": mine, "smooth": SmoothGrad(samples=3), "mine smooth": SmoothGrad(mine, 3)}
    maps = attribute(net, IMAGES, TARGETS, methods)
    for ours, theirs in (("ours", "mine"), ("smooth", "mine smooth")):
        torch.testing.assert_close(maps[theirs], maps[ours], rtol=1e-12, atol=1e-15)


def test_a_function_sees_each_randomized_model(net):
    result = sanity_check(net, IMAGES, methods={"ours": "gradient", "mine": own_gradient}, metrics=["spearman"])
    scores = [torch.from_numpy(result.of(name, "spearman")) for name in result.methods]
    torch.testing.assert_close(*scores, rtol=1e-12, atol=1e-12)


def test_a_function_has_quality_scores(net):
    result = quality_scores(net, IMAGES, methods=["gradient", own_gradient], metrics=["max-sensitivity"])
    ours, mine = (result.of(name, "max-sensitivity") for name in result.methods)
    np.testing.assert_allclose(mine, ours, rtol=1e-10)


def test_random_numbers_depend_on_the_image_and_the_seed_alone(net):
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    with unchecked():  # the type checks of the tests draw from Python's generator
        maps, again = (attribute(net, IMAGES, TARGETS, drawn, seed=5)["drawn"] for _ in range(2))
        alone = attribute(net, IMAGES[2:3], TARGETS[2:3], drawn, seed=5)["drawn"]
        other = attribute(net, IMAGES, TARGETS, drawn, seed=6)["drawn"]
    assert torch.equal(maps, again)
    assert torch.equal(maps[2:3], alone)
    numbers = torch.cat([maps, other])[:, 0, 0, :3].flatten()
    assert len(numbers.unique()) == 2 * 4 * 3
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])


@pytest.mark.parametrize("images_at_once", [1, 2])
def test_an_error_for_some_images_is_counted(net, images_at_once):
    explainer = Explainer(fails_on_bright, images_at_once=images_at_once)
    methods = {"gradient": "gradient", "failing": explainer}
    result = sanity_check(net, IMAGES, methods=methods, metrics=["spearman"], on_nan="record", keep_maps=4)
    bright = [float(each.mean()) > 0 for each in IMAGES.split(images_at_once)]
    failing = [name for name, bad in zip(result.image_names, np.repeat(bright, images_at_once), strict=True) if bad]
    assert 0 < len(failing) < 4
    scores = result.of("failing", "spearman")
    assert [
        name for name, column in zip(result.image_names, scores[..., 0].T, strict=True) if np.isnan(column).all()
    ] == failing
    assert {each.image for each in result.failures} == set(failing)
    assert len(result.failures) == len(failing) * (2 + len(result.stages))  # the ceiling's second maps, too
    assert result.maps[failing[0]]["failing"].shape == (1 + len(result.stages), 1, 11, 9)
    with pytest.raises(ModelError, match=r"fails_on_bright.*image.*ValueError: too bright"):
        attribute(net, IMAGES, TARGETS, explainer)


def test_an_explainer_that_fails_everywhere_has_no_score(net):
    def broken(model, images, targets):
        raise RuntimeError("never")

    result = sanity_check(net, IMAGES, methods=[broken], metrics=["spearman"], on_nan="record", keep_maps=1)
    assert np.isnan(result.scores).all()


class TwoInputs(nn.Module):
    """One logit in a dict, of an image and a number of its own."""

    def __init__(self):
        super().__init__()
        self.net = ConvNet()

    def forward(self, images, factors):
        return {"y": self.net(images)[:, 0] * factors}


def test_models_of_other_outputs_and_inputs():
    net = seeded(TwoInputs).eval()
    options = {"output": "y", "extra": (torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64),)}
    maps = attribute(
        net, IMAGES, [0, 1, 0, 1], {"ours": "gradient", "mine": Explainer(own_gradient, images_at_once=4)}, **options
    )
    torch.testing.assert_close(maps["mine"], maps["ours"], rtol=1e-12, atol=1e-15)


def writes_weights(model, images, targets):
    model.conv1.weight.data += 1
    return images.clone()


def leaves_a_hook(model, images, targets):
    model.conv2.register_forward_hook(lambda *args: None)
    return images.clone()


def replaces_a_layer(model, images, targets):
    model.relu = nn.Identity()
    return images.clone()


def trains(model, images, targets):
    model.train()
    return images.clone()


BAD = {
    "weights": (writes_weights, "conv1.weight"),
    "hook": (leaves_a_hook, "conv2.*hooks"),
    "layer": (replaces_a_layer, "layer 'relu'"),
    "mode": (trains, "training mode"),
    "images": (lambda model, images, targets: images.mul_(2), "images"),
    "targets": (lambda model, images, targets: images * targets.add_(1), "targets"),
    "shape": (lambda model, images, targets: images[..., 1:], "shape"),
    "rows": (lambda model, images, targets: images[:0], "shape"),
    "device": (lambda model, images, targets: torch.empty_like(images, device="meta"), "on meta"),
    "nothing": (lambda model, images, targets: None, "NoneType"),
    "complex": (lambda model, images, targets: images.cfloat(), "complex"),
    "objects": (lambda model, images, targets: np.array([None]), "object"),
    "nan": (lambda model, images, targets: images / 0, "NaN"),
}


@pytest.mark.parametrize(("function", "words"), BAD.values(), ids=BAD)
def test_what_a_function_must_not_do(net, function, words):
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(ModelError, match=rf"theirs.*{words}"):
        attribute(net, IMAGES, TARGETS, {"theirs": function})
    assert all(torch.equal(value, weights[name]) for name, value in net.state_dict().items())
    assert not net.training
    assert not net.conv2._forward_hooks


def test_targets_out_of_range(net):
    with pytest.raises(InvalidInput, match="out of range"):
        attribute(net, IMAGES, CLASSES, own_gradient)


def test_a_file_and_a_module_name_explainers(tmp_path, monkeypatch, net):
    (tmp_path / "own_explainers.py").write_text(
        "import torch\n"
        "from probatum.attributions import Explainer\n"
        "def mine(model, images, targets):\n"
        "    return images.abs()\n"
        "listed = Explainer(mine, 'Listed', stochastic=False)\n"
    )
    monkeypatch.chdir(tmp_path)
    maps = attribute(net, IMAGES, TARGETS, ["./own_explainers.py:mine", "own_explainers:listed"])
    assert list(maps) == ["./own_explainers.py:mine", "own_explainers:listed"]
    assert all(torch.equal(each, IMAGES.abs()) for each in maps.values())
    assert get_method("own_explainers:listed").title == "Listed"


@pytest.mark.parametrize("wrong", [Gradient, 3, object()])
def test_what_is_no_explainer(net, wrong):
    with unchecked(), pytest.raises(InvalidInput, match="an instance"):
        attribute(net, IMAGES, TARGETS, {"wrong": wrong})


def test_facts_of_an_explainer():
    found = Explainer(torch.relu, package="numpy")
    assert (found.title, found.version) == ("relu", np.__version__)
    assert Explainer(np.linalg.norm).package == "numpy"
    assert Explainer(own_gradient).source.endswith(":own_gradient")


@pytest.mark.parametrize("option", [{"package": "no-such-package"}, {"images_at_once": 0}, {"on_error": "go"}])
def test_wrong_facts_of_an_explainer(option):
    with unchecked(), pytest.raises(InvalidInput, match=next(iter(option))):
        Explainer(own_gradient, **option)

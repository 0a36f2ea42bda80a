"""Images, targets and models as people bring them: they get the maps of the plain ones, or one line that helps."""

from collections import deque
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from attributions.unchecked import unchecked
from nets import ConvNet, Linear, images, seeded
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from probatum.attributions import (
    DeepLIFT,
    DeepLiftSHAP,
    GradCAM,
    Gradient,
    GradientSHAP,
    GuidedBackprop,
    GuidedGradCAM,
    InputXGradient,
    IntegratedGradients,
    NoisyBaselines,
    SmoothGrad,
    Zero,
    attribute,
)
from probatum.engine import copy_model
from probatum.engine.precision import cudnn_off_for_recurrent
from probatum.errors import InvalidInput, ModelError, UnknownName
from probatum.experiments import quality_scores, sanity_check

METHODS = [
    Gradient(),
    GuidedBackprop(),
    GradCAM("conv2"),
    GuidedGradCAM("conv2"),
    DeepLIFT(),
    DeepLiftSHAP(),
    GradientSHAP(samples=3),
    IntegratedGradients(steps=3),
    SmoothGrad(samples=2),
]


class Tagged(torch.Tensor):
    """A subclass that keeps its type in operations, as those of fastai and MONAI do."""


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.title)
def test_a_subclass_of_tensor_gets_the_maps_of_the_plain_one(method):
    model, x = seeded(ConvNet), images()
    maps = method(model, x.as_subclass(Tagged), torch.tensor([0, 1, 2, 3, 0]).as_subclass(Tagged))
    assert type(maps) is torch.Tensor
    assert torch.equal(maps, method(model, x, torch.tensor([0, 1, 2, 3, 0])))


def test_baselines_of_a_subclass_are_plain_ones():
    model, x = seeded(ConvNet), images()
    found, plain = (IntegratedGradients(3, baseline)(model, x, 0) for baseline in ((x / 2).as_subclass(Tagged), x / 2))
    assert type(found) is torch.Tensor
    assert torch.equal(found, plain)


class Keeps(ConvNet):
    """Keeps its last activation, which has a graph."""

    def __init__(self, keep):
        super().__init__()
        self.keep = keep

    def forward(self, x):
        kept = F.relu(self.conv1(x))
        self.keep(self, kept)
        return super().forward(x)


KEEPERS = {
    "attribute": lambda model, x: setattr(model, "kept", x),
    "list": lambda model, x: setattr(model, "kept", [x, [x + 1]]),
    "tuple": lambda model, x: setattr(model, "kept", (x, x.mean())),
    "dict": lambda model, x: setattr(model, "kept", {"a": {"b": x}}),
    "set": lambda model, x: setattr(model, "kept", {x}),
    "deque": lambda model, x: setattr(model, "kept", deque([x], maxlen=3)),
    "object": lambda model, x: setattr(model, "kept", SimpleNamespace(inner=SimpleNamespace(x=x))),
}


@pytest.mark.parametrize("where", KEEPERS)
def test_activations_kept_by_the_model_do_not_matter(where):
    model = seeded(partial(Keeps, KEEPERS[where]))
    fresh = Gradient()(model, images(), 0)
    model.eval()(images())
    assert torch.equal(Gradient()(model, images(), 0), fresh)
    assert copy_model(model, own=lambda name: True).kept is not model.kept


def test_a_kept_tensor_that_the_copy_writes_into_stays_as_it_was():
    class Counts(ConvNet):
        def __init__(self):
            super().__init__()
            self.calls = {"count": torch.zeros(1)}

        def forward(self, x):
            self.calls["count"].add_(1)
            return super().forward(x)

    model = seeded(Counts)
    Gradient()(model, images(), 0)
    assert model.calls["count"].item() == 0


def test_a_model_made_in_inference_mode_is_explained():
    with torch.inference_mode():
        model, x = seeded(ConvNet), images()
    for method in METHODS:
        torch.testing.assert_close(method(model, x, 0), method(seeded(ConvNet), images(), 0))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_sanity_check_takes_models_and_images_of_any_floating_point_type(dtype):
    model = seeded(ConvNet, dtype=dtype)
    for x in (images(2, dtype=dtype), images(2), images(2).as_subclass(Tagged)):
        result = sanity_check(model, x, methods={"gradient": Gradient()}, metrics=["spearman"], keep_maps=1)
        assert np.isfinite(result.scores).all()


class Checkpointed(ConvNet):
    def __init__(self, use_reentrant):
        super().__init__()
        self.use_reentrant = use_reentrant

    def forward(self, x):
        return checkpoint(super().forward, x, use_reentrant=self.use_reentrant)


def test_reentrant_checkpointing_is_named_and_the_other_kind_works():
    for method in (Gradient(), SmoothGrad(samples=2), IntegratedGradients(steps=2)):
        with pytest.raises(ModelError, match="use_reentrant=False"):
            method(seeded(partial(Checkpointed, True)), images(), 0)
    maps = Gradient()(seeded(partial(Checkpointed, False)), images(), 0)
    torch.testing.assert_close(maps, Gradient()(seeded(ConvNet), images(), 0))


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_cudnn_is_off_for_recurrent_layers_on_cuda_alone(device):
    before = torch.backends.cudnn.enabled
    with cudnn_off_for_recurrent(nn.Sequential(nn.GRU(2, 2)), torch.device(device)):
        assert torch.backends.cudnn.enabled is (before and device == "cpu")
    with cudnn_off_for_recurrent(nn.Sequential(nn.GRUCell(2, 2), nn.Conv2d(1, 1, 1)), torch.device(device)):
        assert torch.backends.cudnn.enabled is before
    assert torch.backends.cudnn.enabled is before


# ---------------------------------------------------------------- first guesses


@pytest.mark.parametrize("targets", [[0, 3, 1, 2, 1], (0, 3, 1, 2, 1)])
def test_targets_may_be_a_list(targets):
    model = seeded(ConvNet)
    assert torch.equal(Gradient()(model, images(), targets), Gradient()(model, images(), torch.tensor(targets)))


@pytest.mark.parametrize(
    ("targets", "named"),
    [
        (True, "bool"),
        (2**70, "out of range"),
        (-(2**70), "out of range"),
        ([0, 1, 2, 3, 2**70], "out of range"),
        ([0, 1, 2, 3, True], "list"),
        ([0, 1, 2, 3, 1.0], "list"),
        ([0, 1], "5 class indices"),
        ([], "5 class indices"),
        ("cat", "str"),
        (torch.zeros(5, dtype=torch.long, device="meta"), "meta"),
        (torch.zeros(5), "class indices"),
    ],
    ids=str,
)
def test_targets_of_another_kind_get_one_line(targets, named):
    with unchecked(), pytest.raises(InvalidInput, match=named) as caught:
        Gradient()(seeded(ConvNet), images(), targets)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("x", "named"),
    [
        (images()[0], r"images\[None\]"),
        (images().to_sparse(), "to_dense"),
        (images().to("meta"), "meta"),
    ],
    ids=["no batch axis", "sparse", "meta"],
)
def test_images_of_another_kind_get_one_line(x, named):
    with pytest.raises(InvalidInput, match=named) as caught:
        Gradient()(seeded(ConvNet), x, 0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("chunk", ["2", 2.0, True])
def test_a_chunk_is_a_whole_number(chunk):
    with unchecked(), pytest.raises(InvalidInput, match="chunk"):
        Gradient()(seeded(ConvNet), images(), 0, chunk=chunk)


def test_a_module_that_cannot_be_hashed_is_named():
    class Compares(Linear):
        def __eq__(self, other):
            return self is other

    with pytest.raises(ModelError, match="__hash__"):
        Gradient()(nn.Sequential(Compares()), images(), 0)


@pytest.mark.parametrize(
    ("methods", "name", "same"),
    [
        ("gradient", "gradient", Gradient()),
        (["gradient"], "gradient", Gradient()),
        (Gradient(), "Gradient", Gradient()),
        ([InputXGradient()], InputXGradient.title, InputXGradient()),
        ({"mine": "input-x-gradient"}, "mine", InputXGradient()),
        (("gradient", InputXGradient()), InputXGradient.title, InputXGradient()),
    ],
    ids=str,
)
def test_methods_may_be_names_or_objects_one_or_several(methods, name, same):
    model = seeded(ConvNet)
    assert torch.equal(attribute(model, images(), 0, methods)[name], same(model, images(), 0))


@pytest.mark.parametrize("methods", [Gradient, [Gradient], [3], {"mine": None}, ["gradiant"], []], ids=str)
def test_methods_of_another_kind_get_one_line(methods):
    with unchecked(), pytest.raises(InvalidInput, match=r"instance|did you mean|no methods") as caught:
        attribute(seeded(ConvNet), images(), 0, methods)
    assert "\n" not in str(caught.value)


def test_checks_take_names_and_lists_as_attribute_does():
    model, x = seeded(ConvNet), images(2)
    for check, metrics in ((sanity_check, ["spearman"]), (quality_scores, ["max-sensitivity"])):
        listed = check(model, x, [0, 1], methods=["gradient"], metrics=metrics)
        plain = check(model, x, torch.tensor([0, 1]), methods={"gradient": Gradient()}, metrics=metrics)
        assert np.array_equal(listed.scores, plain.scores)
        assert np.array_equal(listed.of("gradient", metrics[0]), plain.scores[0, 0])
        with pytest.raises(UnknownName, match=r"did you mean 'gradient'"):
            listed.of("gradeint", metrics[0])
        with pytest.raises(UnknownName, match="metric of this result"):
            listed.of("gradient", "ssim")


@pytest.mark.parametrize("count", [2.5, "5", True, 0, -1, np.float64(3)], ids=repr)
def test_numbers_of_samples_and_steps_are_whole(count):
    makers = (
        lambda: SmoothGrad(samples=count),
        lambda: IntegratedGradients(steps=count),
        lambda: GradientSHAP(samples=count),
        lambda: NoisyBaselines(Zero(), count),
        lambda: sanity_check(seeded(ConvNet), images(2), methods=["gradient"], trials=count),
    )
    for make in makers:
        with unchecked(), pytest.raises(InvalidInput, match="give"):
            make()


def test_an_exported_module_has_the_maps_of_its_source():
    model, x = seeded(ConvNet).eval(), images()
    exported = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},)).module()
    for method in (Gradient(), GuidedBackprop(), IntegratedGradients(steps=3)):
        torch.testing.assert_close(method(exported, x, 1), method(model, x, 1), rtol=1e-12, atol=1e-15)
    with pytest.raises(ModelError, match="name one yourself"):  # it has no modules that compute anything
        GradCAM()(exported, x, 1)

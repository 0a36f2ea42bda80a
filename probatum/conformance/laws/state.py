"""Model, images and global settings are left as found, also after an error."""

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from probatum.conformance.law import ROUNDING, NotApplicable, distance, law, targets
from probatum.conformance.networks import BatchNormNet, ConvNet, FailingHead, images, seeded
from probatum.conformance.subject import Subject
from probatum.engine import copy_model
from probatum.engine.state import Aspect, differences


def _left(subject: Subject, aspect: Aspect, model: nn.Module) -> int:
    """How many differences of one kind an explanation leaves in a model."""
    original = copy_model(model, own=lambda name: True)
    subject.call(model, images(), targets())
    return sum(each.aspect == aspect for each in differences(model, original))


@law("state")
def weights_left(subject: Subject) -> int:
    """Parameters and buffers keep their values, running statistics among them: the number of those that changed."""
    return _left(subject, "weights", seeded(BatchNormNet))


@law("state")
def eval_mode_left(subject: Subject) -> int:
    """A model in eval mode is in eval mode afterwards: the number of layers that are not."""
    return _left(subject, "mode", seeded(BatchNormNet))


@law("state")
def training_mode_left(subject: Subject) -> int:
    """A model in training mode is in training mode afterwards: the number of layers that are not."""
    return _left(subject, "mode", seeded(ConvNet).train())


@law("state")
def hooks_left(subject: Subject) -> int:
    """No hook is added and none is lost: the number of layers with more or fewer."""
    return _left(subject, "hooks", seeded(ConvNet))


@law("state")
def layers_left(subject: Subject) -> int:
    """No layer is added, removed or replaced: the number of those that are."""
    return _left(subject, "layers", seeded(ConvNet))


@law("state")
def requires_grad_left(subject: Subject) -> int:
    """Each parameter requires gradients afterwards if it did before: the number of those that differ."""
    model = seeded(ConvNet)
    model.requires_grad_(False).get_submodule("head").requires_grad_(True)
    return _left(subject, "requires_grad", model)


@law("state")
def attributes_left(subject: Subject) -> int:
    """No layer has attributes afterwards that it did not have before: the number of those."""
    model = seeded(ConvNet)
    before = {path: set(vars(module)) for path, module in model.named_modules()}
    subject.call(model, images(), targets())
    return sum(len(set(vars(module)) - before.get(path, set())) for path, module in model.named_modules())


@law("state")
def restored_after_an_error(subject: Subject) -> int:
    """A model that raises an error in its forward pass keeps hooks, layers, modes and weights: the differences."""
    model = seeded(FailingHead)
    original = copy_model(model, own=lambda name: True)
    try:
        subject.call(model, images(), targets())
    except Exception:
        return len(list(differences(model, original)))
    raise NotApplicable("it does not call the model, or hides its error")


@law("state")
def no_gradient_left(subject: Subject) -> int:
    """No parameter has a gradient afterwards: the number of those that have one."""
    model = seeded(ConvNet)
    subject.call(model, images(), targets())
    return sum(parameter.grad is not None for parameter in model.parameters())


@law("state")
def images_left(subject: Subject) -> int:
    """The images keep values, version, `requires_grad` and `grad`: the number of those that changed."""
    batch = images()
    before = batch.clone()
    subject.call(seeded(ConvNet), batch, targets())
    changed = (not torch.equal(batch, before), batch._version > 0, batch.requires_grad, batch.grad is not None)
    return sum(changed)


@law("state")
def targets_left(subject: Subject) -> float:
    """The targets keep their values: 1 where one changed."""
    classes = targets()
    subject.call(seeded(ConvNet), images(), classes)
    return float(not torch.equal(classes, targets()))


@law("state")
def settings_left(subject: Subject) -> int:
    """Gradient mode, default type, determinism, anomaly detection and threads are left: the number of those changed."""
    with _restored():
        before = [read() for read in _SETTINGS]
        subject.call(seeded(ConvNet), images(), targets())
        return sum(read() != old for read, old in zip(_SETTINGS, before, strict=True))


_SETTINGS: tuple[Callable[[], object], ...] = (
    torch.is_grad_enabled,
    torch.get_default_dtype,
    torch.are_deterministic_algorithms_enabled,
    torch.is_anomaly_enabled,
    torch.get_num_threads,
)


@contextlib.contextmanager
def _restored() -> Iterator[None]:
    """Puts gradient mode and default type back, so that one explainer cannot spoil the laws that follow."""
    grad, dtype = torch.is_grad_enabled(), torch.get_default_dtype()
    try:
        yield
    finally:
        torch.set_grad_enabled(grad)
        torch.set_default_dtype(dtype)


@law("state", ROUNDING)
def frozen_model(subject: Subject) -> float:
    """A model whose parameters require no gradients has the same maps."""
    frozen = seeded(ConvNet).requires_grad_(False)
    return _same(subject, frozen)


@law("state", ROUNDING)
def inside_no_grad(subject: Subject) -> float:
    """A caller that has switched gradients off gets the same maps."""
    expected = subject.explain(seeded(ConvNet), images(), targets())
    with torch.no_grad():
        return distance(subject.explain(seeded(ConvNet), images(), targets()), expected)


@law("state", ROUNDING)
def repeated_calls(subject: Subject) -> float:
    """A second explanation of the same model gives the same maps: nothing of the first is left in the way."""
    model = seeded(ConvNet)
    subject.explain(model, images(), targets())
    return _same(subject, model)


def _same(subject: Subject, model: nn.Module) -> float:
    expected: Tensor = subject.explain(seeded(ConvNet), images(), targets())
    return distance(subject.explain(model, images(), targets()), expected)

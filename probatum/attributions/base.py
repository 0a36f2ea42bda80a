"""Base class of attribution methods: frozen hyperparameters that turn into a request to the engine.

Terms that all methods share:

- *images*: (batch, ...) floating point, preprocessed as the model expects; Grad-CAM and the edge detector need
  (batch, channel, height, width).
- *targets*: class indices (batch,), one index for all images, or None for the predicted classes. What is explained is
  the target's logit, before any softmax.
- *map*: of the shape of the images ((batch, 1, height, width) for Grad-CAM). Gradients are positive where more of the
  input raises the logit, products with x − x′ where this input raises it above the baseline's; Grad-CAM, SmoothGrad²,
  VarGrad and the edge detector are not negative. Nothing is made absolute, summed over channels or normalized: that is
  `probatum.maps`.
- *baseline*: the input that stands for "nothing there".
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from torch import Tensor, nn
from torch.utils.data import DataLoader

from probatum.engine import (
    Compute,
    Effort,
    Extra,
    Maps,
    Output,
    PreparedModel,
    Request,
    TargetsLike,
    Tick,
    Variant,
    prepare_with,
    run_variants,
)
from probatum.errors import EffortWarning, InvalidInput, warn
from probatum.progress import shows_progress


class Method(ABC):
    """An attribution method; subclasses are frozen dataclasses whose fields are the hyperparameters."""

    title: str
    stochastic: bool = False  # whether the maps depend on the seed

    @abstractmethod
    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """States what the method needs at which points, and its formula for one point."""

    def resolve(self, prepared: PreparedModel, images: Tensor) -> "Method":
        """The method with every setting stated that depends on the model, as results record it."""
        return self

    def __call__(
        self,
        model: nn.Module | PreparedModel,
        images: Tensor,
        targets: TargetsLike | None = None,
        *,
        seed: int = 0,
        memory_budget: int | str | None = None,
        chunk: int | None = None,
        precision: str | None = None,
        channels_last: bool = False,
        fold_batch_norm: bool = False,
        output: Output | None = None,
        extra: Extra | None = None,
        progress: Tick | None = None,
    ) -> Tensor:
        """Computes the maps of this method alone; the arguments are those of `attribute`.

        Returns:
            (batch, ...) as the images, (batch, 1, height, width) for Grad-CAM; on their device.

        Raises:
            InvalidInput, ModelError, MemoryBudgetError: as `attribute`, and what the method's own page names.
        """
        compute = Compute(precision, channels_last, fold_batch_norm, memory_budget, chunk)
        prepared = _prepared(model, compute, images, output, extra)
        return attribute(prepared, images, targets, {self.title: self}, seed=seed, progress=progress)[self.title]


MethodLike: TypeAlias = Method | str | Callable[..., Any]
MethodsLike: TypeAlias = (
    Mapping[str, Method] | Mapping[str, str] | Mapping[str, MethodLike] | Iterable[MethodLike] | MethodLike
)


@shows_progress
def attribute(
    model: nn.Module | PreparedModel,
    images: Tensor,
    targets: TargetsLike | None = None,
    methods: MethodsLike = (),
    *,
    seed: int = 0,
    memory_budget: int | str | None = None,
    chunk: int | None = None,
    precision: str | None = None,
    channels_last: bool = False,
    fold_batch_norm: bool = False,
    output: Output | None = None,
    extra: Extra | None = None,
    progress: Tick | None = None,
) -> Maps:
    """Computes the maps of several methods at once, sharing the model calls that they have in common.

    An image's map depends on the model, the image, the target, the method and the seed alone: not on the other images,
    the other methods, the budget or the chunk (up to rounding).

    Args:
        model: any module that maps (batch, ...) to (batch, classes) logits; it is evaluated in eval mode and left as it
            was. Or a prepared model from `engine.prepare`, which is copied and measured once for many calls.
        images: (batch, ...), finite, floating point, on the model's device.
        targets: class indices (batch,), as a tensor or a list, one index for all, or None for the predicted classes. A
            model of one logit f has two classes: target 1 explains f, target 0 explains −f.
        methods: by name; or one method or a sequence of them, named by their titles. A name of the table of methods
            stands for the method with the paper's defaults, `package.module:name` or `./file.py:name` for one of your
            own, and a function (model, images, targets) -> maps for an `Explainer` of it.
        seed: of the noise; the global random state is neither used nor changed.
        memory_budget: bytes, or a text such as "2 GiB", for the points and activations of one model call; None is 512
            MiB on the CPU and half of the free memory on CUDA.
        chunk: most points in one model call; alone, it replaces the budget.
        precision: "float32", "tf32" (on CUDA), "bfloat16", "float64", or None for the model's own floating-point type;
            see `engine.prepare`, also for the next two.
        channels_last: compute with the channels of each pixel next to each other.
        fold_batch_norm: compute each convolution and the batch norm that follows it as one.
        output: where the logits are in what the model returns: a key, an index or a function; see `engine.prepare`.
        extra: further inputs of the model, `model(images, *extra)`: a tuple of tensors with one row an image. Each row
            goes unchanged with its image into every model call, to noisy images, paths and baselines too, and is not
            explained.
        progress: called with (points done, points in all) after each model call; None shows a bar in a notebook, see
            `Progress`.

    Returns:
        {name: maps}, each (batch, ...) in the order of `methods`, on the images' device; in the computation's type, but
        float32 for a half-precision one, in which products of gradients and inputs would vanish or overflow. Its
        `efforts` hold, by name, what the maps of methods with a tolerance or a ceiling took; where the most points did
        not suffice, an `EffortWarning` says so.

    Raises:
        InvalidInput: images, targets or options are not usable.
        ModelError: the model cannot be explained by one of the methods; nothing is returned for the others.
        MemoryBudgetError: one row needs more than the budget.
    """
    compute = Compute(precision, channels_last, fold_batch_norm, memory_budget, chunk)
    named = named_methods(methods)
    prepared = _prepared(model, compute, images, output, extra)
    (maps,) = attribute_variants([Variant(prepared, targets)], images, named, seed=seed, progress=progress)
    warn_of_efforts(maps.efforts)
    return maps


def warn_of_efforts(efforts: Mapping[str, Effort]) -> None:
    """Warns of images whose maps are not as good as was asked for, although the most points were spent on them."""
    for name, effort in efforts.items():
        lacking = (~effort.enough).nonzero()[:, 0].tolist()
        if lacking:
            figures = ", ".join(f"{float(effort.figure[image]):.3g} for image {image}" for image in lacking[:3])
            warn(
                EffortWarning(
                    f"{name} spent its most points, {int(effort.points.max())}, on {len(lacking)} of "
                    f"{len(effort.enough)} images, and did not reach what was asked for ({figures}): give more steps "
                    "or samples, or ask for less"
                )
            )


def _prepared(
    model: nn.Module | PreparedModel, compute: Compute, images: Tensor, output: Output | None, extra: Extra | None
) -> PreparedModel:
    """Prepares a model for the images of one call."""
    if isinstance(images, DataLoader):
        raise InvalidInput("the images come from a DataLoader; attribute_stream takes it and gives maps batch by batch")
    return prepare_with(model, compute, example=images, output=output, extra=extra)


def named_methods(methods: MethodsLike) -> dict[str, Method]:
    """Methods by name: those of a dict, or one or several that are named by title or looked up in the table.

    Raises:
        InvalidInput: there are none, one is no method, or two have the same title.
        UnknownName: a name is not in the table.
    """
    if isinstance(methods, Mapping):
        named = [(name, _method(method, name)) for name, method in methods.items()]
    else:
        listed = [methods] if isinstance(methods, str) or callable(methods) else list(methods)
        made = [(each, _method(each)) for each in listed]
        named = [(each if isinstance(each, str) else method.title, method) for each, method in made]
    names = [name for name, _ in named]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidInput(f"two methods are called {twice!r}; leave one out, or in Python give them names in a dict")
    if not named:
        raise InvalidInput("no methods given")
    return dict(named)


def _method(method: MethodLike, title: str = "") -> Method:
    from probatum.attributions.registry import as_method  # here, because its methods import this module

    return as_method(method, title)


def resolved(methods: Mapping[str, Method], prepared: PreparedModel, images: Tensor) -> dict[str, Method]:
    """Methods by name with every setting stated that depends on the model: the layer of Grad-CAM and its layout.

    `resolved({"cam": GradCAM()}, prepare(model), images)["cam"].layer` is the layer that `attribute` reads. Checks and
    stored maps record these settings in `config.json`, and reports show them.
    """
    return {name: method.resolve(prepared, images) for name, method in methods.items()}


def attribute_variants(
    variants: Sequence[Variant],
    images: Tensor,
    methods: Mapping[str, Method],
    *,
    seed: int = 0,
    finite: bool = True,
    progress: Tick | None = None,
) -> list[Maps]:
    """Computes the maps of several versions of a model at once: those of `attribute`, bit for bit for equal chunks.

    On CUDA sums of rows have no fixed order, so there, as between any two runs, they are equal up to rounding.

    The versions meet the same points and noise, and what they compute alike before the first layer that differs is
    computed once, as long as the version given first has it.

    Args:
        variants: prepared models that differ in their weights alone, each with the targets explained there. The first
            one's memory budget bounds each model call and the graph that versions share.
        images: as in `attribute`, like all that follows.
        methods: by name.
        seed: of the noise.
        finite: whether maps with NaN or infinite values are refused; else they are returned as they are.
        progress: called with (points done, points in all) after each model call.

    Returns:
        for each version, {name: maps} with `efforts`, as `attribute` returns them; no warning is given.
    """
    prepared = variants[0].prepared
    images = prepared.accept(images)
    requests = {name: method.request(prepared, images) for name, method in methods.items()}
    return run_variants(variants, images, requests, seed=seed, finite=finite, progress=progress)

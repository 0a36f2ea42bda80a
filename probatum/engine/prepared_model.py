"""The prepared copy of a model: frozen, in eval mode, in one precision, free to write into its buffers."""

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

from probatum.engine.calls import raised_in, raising_module
from probatum.engine.compute import Compute
from probatum.engine.copying import frozen_copy, written_module
from probatum.engine.extra import Extra, accepted_extra, require_call, require_rows
from probatum.engine.folding import Fold, find_folds, fold
from probatum.engine.outputs import Output, class_logits, find_logits
from probatum.engine.positions import checked_tables, misfit, require_positions
from probatum.engine.precision import dtype_of, require_precision
from probatum.engine.versions import Versions
from probatum.errors import InvalidInput, ModelError

# What is found out once about the caller's model, however often it is prepared: what a row needs, by layers and
# options, what layers return, likewise, and which calls were probed, by weights as well.
_FINDINGS: MutableMapping[nn.Module, dict[object, Any]] = WeakIdKeyDictionary()


@dataclass(frozen=True, eq=False)
class PreparedModel:
    """A model as the engine sees it; made by `prepare`.

    Args:
        model: the frozen copy; it shares the caller's weights (unless an option changes them) and nothing else.
        name: the class name of the caller's model, for messages.
        dtype: floating-point type of the computation.
        device: where the weights are.
        compute: how it computes, as asked for.
        folds: the batch norms that are part of the convolution before them.
        row_bytes: what the memory budget has measured, kept from call to call.
        source: the parameters and buffers of the caller's model when it was prepared.
        probed: the kinds of calls in which rows were found independent and forward passes repeatable, and the shapes
            of inputs that embeddings have rows for.
        seen_layers: what `feature_maps` saw of the layers, by shape of the inputs, kept likewise.
        unseen: what backward rules cannot look into, such as a custom autograd function, by name and module.
        output: where the logits are in what the model returns; None finds them.
        extra: what the model takes after the images, one row an image.
        compiled: the frozen copy as `torch.compile` has it, for calls that nothing looks into.
    """

    model: nn.Module
    name: str
    dtype: torch.dtype
    device: torch.device
    compute: Compute
    folds: tuple[Fold, ...] = ()
    row_bytes: dict[object, int] = field(default_factory=dict)
    source: Versions | None = field(default=None, repr=False)
    probed: set[object] = field(default_factory=set)
    seen_layers: dict[object, Any] = field(default_factory=dict)
    unseen: set[str] = field(default_factory=set)
    output: Output | None = None
    extra: tuple[Tensor, ...] = ()
    compiled: Callable[..., Any] | None = field(default=None, repr=False)

    @property
    def resolution(self) -> float:
        """The relative distance of neighboring numbers among the factors of products."""
        short = {"tf32": 2.0**-10, "bfloat16": torch.finfo(torch.bfloat16).eps}
        return short.get(self.compute.precision or "", torch.finfo(self.dtype).eps)

    def logits(
        self,
        points: Float[Tensor, "rows *shape"],
        image: Int64[Tensor, " rows"] | None = None,
        *,
        closed: bool = False,
    ) -> Float[Tensor, "rows classes"]:
        """Runs the model.

        Args:
            points: the inputs that are explained.
            image: the image that each row belongs to, whose further inputs go with it; None for images 0, 1, ....
            closed: whether nothing looks into the call, neither hooks nor rules, so that compiled code may run.

        Raises:
            ModelError: the model returns nothing that is one vector of logits a row, or takes other inputs.
        """
        if self.compute.channels_last:
            points = points.contiguous(memory_format=torch.channels_last)
        inputs = (points, *self.extra_of(len(points), image)) if self.extra else (points,)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.compute.precision == "bfloat16"):
            try:
                if closed and self.compiled is not None:
                    answer = self.compiled(*inputs)
                else:
                    with self._tables_of(points.shape[1:]):
                        answer = self.model(*inputs)
            except TypeError:
                require_call(self.model, inputs, self.name)
                raise
            except Exception as error:
                if isinstance(error, NotImplementedError) or raised_in("torch.nn.attention.flex_attention", error):
                    reason = (str(error) or type(error).__name__).splitlines()[0]
                    raise ModelError(
                        f"{raising_module(error)} of {self.name} is not implemented for this pass ({reason}); if it is "
                        "flex_attention or another fused kernel, load the model with attn_implementation='sdpa' or "
                        "'eager'"
                    ) from error
                if (refused := misfit(self.model, points.shape[1:], self.name, error)) is not None:
                    raise refused from error
                raise
            logits = find_logits(answer, self.output, self.name)
        return class_logits(logits, len(points), self.name).to(self.dtype)  # bfloat16's come back to float32

    @contextmanager
    def _tables_of(self, shape: torch.Size) -> Iterator[None]:
        """Checks what embeddings are asked for, in the first pass on inputs of a shape."""
        key = ("tables", shape)
        with nullcontext() if key in self.probed else checked_tables(self.model, shape, self.name):
            yield
        self.probed.add(key)

    def extra_of(self, rows: int, image: Int64[Tensor, " rows"] | None = None) -> tuple[Tensor, ...]:
        """Copies of the further inputs of so many rows, which the model may overwrite; `image` as in `logits`."""
        return tuple(each[:rows].clone() if image is None else each[image] for each in self.extra)

    def with_extra(self, extra: Extra) -> "PreparedModel":
        """The model with these further inputs, in its floating-point type; InvalidInput where they are not usable."""
        accepted = accepted_extra(extra, self.device)
        return replace(
            self, extra=tuple(each.to(self.dtype) if each.is_floating_point() else each for each in accepted)
        )

    def of_images(self, which: slice | Int64[Tensor, " images"]) -> "PreparedModel":
        """The model with the further inputs of some of the images, which then are images 0, 1, ...."""
        return replace(self, extra=tuple(each[which] for each in self.extra)) if self.extra else self

    def shapes(self, images: Float[Tensor, "batch *shape"]) -> tuple[torch.Size, ...]:
        """The shapes of one image and of its further inputs: what is measured once holds where they are equal."""
        return tuple(each.shape[1:] for each in (images, *self.extra))

    def require_extra(self, images: Tensor) -> None:
        """Raises InvalidInput where the further inputs have not one row an image."""
        require_rows(self.extra, images)

    def require_unfolded(self, path: str) -> None:
        """Raises ModelError where a layer's own output no longer exists."""
        for each in self.folds:
            if path in each.hidden:
                raise ModelError(
                    f"layer {path!r} of {self.name} is folded into its batch norm; name {each.batch_norm!r}, "
                    "or prepare the model without fold_batch_norm"
                )

    def path_of(self, module: nn.Module) -> str:
        """The dotted path of one of the model's layers; ModelError where it has no such layer."""
        found = self.source.path_of(module) if self.source is not None else None
        if found:
            return found
        example = next((path for path, _ in self.model.named_modules() if path), "")
        raise ModelError(
            f"the {type(module).__name__} given as layer is no layer of {self.name}; "
            f"give a module of the model that is explained, or its dotted path, such as {example!r}"
        )

    def accept(self, images: Tensor) -> Float[Tensor, "batch *shape"]:
        """Checks images and brings them to the prepared model's floating-point type.

        Raises:
            InvalidInput: the images are not usable.
            ModelError: the caller's model has changed since it was prepared; its new weights are shared, its new
                buffers are not.
        """
        changed = self.source.first_changed() if self.source is not None else None
        if changed is not None:
            raise ModelError(f"{changed} of {self.name} changed after the model was prepared; prepare the model again")
        if not isinstance(images, Tensor) or images.ndim < 2 or len(images) == 0:
            shape = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
            raise InvalidInput(f"images must be a non-empty (batch, ...) tensor, got {shape}")
        if images.layout != torch.strided:
            raise InvalidInput(f"images are a tensor of layout {images.layout}; give images.to_dense()")
        if not images.is_floating_point():
            raise InvalidInput(
                f"images are {images.dtype}; scale them to floating point as the model expects them; for tokens, give "
                "their embeddings and a module whose forward takes these (inputs_embeds)"
            )
        if images.device != self.device:
            raise InvalidInput(f"images are on {images.device}, {self.name} is on {self.device}; move one to the other")
        if self.compute.channels_last and images.ndim != 4:
            raise InvalidInput(f"channels_last is for (batch, channel, height, width), not {tuple(images.shape)}")
        require_positions(self.model, images, self.name)
        bad = first_not_finite(images)
        if bad is not None:
            raise InvalidInput(f"image {bad} of the batch has NaN or infinite pixels")
        images = images.as_subclass(Tensor)  # subclasses keep their type in operations and hide these from modes
        with torch.inference_mode(False):  # autograd cannot use a tensor that was made in inference mode, so copy it
            return (images.clone() if images.is_inference() else images.detach()).to(self.dtype)


def first_not_finite(values: Float[Tensor, "batch *shape"]) -> int | None:
    """The first row that holds a NaN or an infinite value; None where all are finite, which one sum tells."""
    if bool(torch.isfinite(values.sum())):
        return None
    bad = (~torch.isfinite(values)).flatten(1).any(1)
    return int(bad.nonzero()[0]) if bool(bad.any()) else None  # finite values may have an infinite sum


def prepare(
    model: nn.Module | PreparedModel,
    precision: str | None = None,
    *,
    channels_last: bool = False,
    fold_batch_norm: bool = False,
    memory_budget: int | str | None = None,
    chunk: int | None = None,
    cuda_graphs: bool = False,
    compile: str | None = None,
    example: Tensor | None = None,
    like: PreparedModel | None = None,
    output: Output | None = None,
    extra: Extra | None = None,
) -> PreparedModel:
    """Makes the prepared model of a model that all attribution is computed on; the model itself is left as it is.

    Operations that the model does in place stay in place, because switching them off would change the function of a
    model that reads the overwritten tensor again; the prepared model hands such models tensors that they may overwrite.

    Args:
        model: any module; a prepared model is returned as it is.
        precision: "float32" or "float64"; "tf32" (on CUDA) or "bfloat16", float32 with shortened products, faster and
            less exact; None computes in the model's own floating-point type.
        channels_last: lay the channels of each pixel next to each other, which convolutions often like better.
        fold_batch_norm: let each convolution that a batch norm directly follows do the work of both, with weights of
            the prepared model's own; equal up to rounding.
        memory_budget: bytes, or a text such as "2 GiB", for the points and activations of one model call; None is 512
            MiB on the CPU and half of the free memory on CUDA.
        chunk: most points in one model call; alone, it replaces the budget.
        cuda_graphs: capture the forward and backward passes of a chunk as one CUDA graph and replay it, where a stream
            of points for one version of the model has 12 chunks or more; the last, smaller chunk and models that
            cannot be captured run as usual. The bits are the same; it saves the time of launching small kernels, and
            holds the memory of one chunk. On CUDA alone, and off by default, because it was not measured on a GPU yet.
        compile: a backend of `torch.compile`, such as "inductor". Compiled code runs where nothing looks into the
            model: plain gradients and logits. Layers, backward rules and versions that share layers run as usual, for
            compiled code would drop their hooks. Equal up to rounding. On CPUs it was slower than it saved.
        example: images of which the first shows which batch norm follows which convolution; needed for folding.
        like: the prepared model of another model of the same structure, whose memory measurements and folds hold here
            too.
        output: where the logits are in what the model returns: a key, attribute or index, or a function that makes
            (batch, classes) or (batch,) of it, such as `lambda y: y["out"].mean((2, 3))` for the mean logit of each
            class of a segmentation. None takes a tensor itself, `logits` of Hugging Face's outputs and of dicts, or
            the first tensor of a tuple. A single logit f is explained as the logits (−f, f) of two classes.
        extra: what the model takes after the images, as `model(images, *extra)`: a tuple of tensors on its device with
            one row an image, such as metadata, a mask or a second view. They go with their image into every model call,
            unchanged, and are not explained. A prepared model that has some keeps them where none are given.

    Raises:
        InvalidInput: the precision does not exist, the device lacks it, an option differs from that of a given prepared
            model, or the example is missing.
        ModelError: the model cannot be copied, spreads over several devices, or has hooks that `torch.compile` would
            drop.
    """
    compute = Compute(precision, channels_last, fold_batch_norm, memory_budget, chunk, cuda_graphs, compile)
    return prepare_with(model, compute, example=example, like=like, output=output, extra=extra)


def prepare_with(
    model: nn.Module | PreparedModel,
    compute: Compute,
    *,
    example: Tensor | None = None,
    like: PreparedModel | None = None,
    output: Output | None = None,
    extra: Extra | None = None,
) -> PreparedModel:
    """Does the work of `prepare`, which takes the fields of `compute` one by one.

    A model that is prepared already is returned as it is, with the memory budget and the chunk that `compute` gives.
    """
    if isinstance(model, PreparedModel):
        _require_options(model, compute)
        if output is not None and output != model.output:
            raise InvalidInput("the model was prepared with another output; give output to prepare")
        limited = model.compute.limited(compute.memory_budget, compute.chunk)
        model = model if limited == model.compute else replace(model, compute=limited)
        return model if extra is None else model.with_extra(extra)
    if not isinstance(model, nn.Module):
        raise InvalidInput(f"the model is a {type(model).__name__}, not a torch.nn.Module")
    _require_hashable(model)
    # What is made in inference mode is of no use to autograd afterwards.
    with torch.inference_mode(False), torch.no_grad():
        return _prepared(model, compute, example, like, output, extra)


def _prepared(
    model: nn.Module,
    compute: Compute,
    example: Tensor | None,
    like: PreparedModel | None,
    output: Output | None,
    extra: Extra | None,
) -> PreparedModel:
    frozen = frozen_copy(model)
    tensors = [t for t in [*frozen.parameters(), *frozen.buffers()] if t.is_floating_point()]
    devices = {t.device for t in tensors} or {torch.device("cpu")}
    name = type(written_module(model)).__name__
    _require_rows_apart(frozen, name)
    if len(devices) > 1:
        raise ModelError(f"{name} spreads over {', '.join(sorted(map(str, devices)))}; put it on one device")
    device = devices.pop()
    dtype = dtype_of(compute.precision) if compute.precision else (tensors[0].dtype if tensors else torch.float32)
    if compute.precision:
        require_precision(compute.precision, device)
        if any(t.dtype != dtype for t in tensors):
            frozen = frozen.to(dtype)
    prepared = PreparedModel(
        frozen, name, dtype, device, compute, source=Versions(written_module(model)), output=output
    )
    if extra is not None:
        prepared = prepared.with_extra(extra)
    if compute.fold_batch_norm:
        if like is not None and (like.folds or example is None):
            folds = like.folds
        elif example is None:
            raise InvalidInput("folding batch norm needs an example image to see which layer feeds which; give example")
        else:
            folds = find_folds(frozen, prepared.accept(example[:1]), prepared.extra_of(1))
        fold(frozen, folds)
        prepared = replace(prepared, folds=folds)
    if compute.channels_last:
        for parameter in frozen.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    if compute.cuda_graphs and device.type != "cuda":
        raise InvalidInput(f"CUDA graphs need a model on a CUDA device; {name} is on {device}")
    if compute.compile is not None:
        _require_no_hooks(frozen, name)
        prepared = replace(prepared, compiled=torch.compile(frozen, backend=compute.compile))
    if like is not None and _options(like) == _options(prepared):
        return replace(prepared, row_bytes=like.row_bytes, probed=like.probed, seen_layers=like.seen_layers)
    return replace(prepared, **_findings(model, prepared))


def _require_no_hooks(model: nn.Module, name: str) -> None:
    """Raises ModelError where modules have hooks, which compiled code may leave out."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    for path, module in model.named_modules():
        if any(getattr(module, kind, None) for kind in kinds):
            raise ModelError(
                f"layer {path!r} of {name} has hooks, which torch.compile may drop; remove them, or prepare the model "
                "without compile"
            )


def _require_hashable(model: nn.Module) -> None:
    """Raises ModelError where torch cannot list the modules of a model."""
    try:
        list(model.modules())
    except TypeError as error:
        raise ModelError(
            f"{type(model).__name__} holds a module that defines __eq__ without __hash__ ({error}), so torch cannot "
            "list its modules; add __hash__ = nn.Module.__hash__ to that class"
        ) from error


def _require_rows_apart(model: nn.Module, name: str) -> None:
    """Raises ModelError where images of a batch meet in a layer: a map would depend on its neighbors."""
    for path, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None:
            raise ModelError(
                f"{path or 'the batch norm'} of {name} keeps no running statistics and normalizes by those of the "
                "batch, so that a map would depend on the other images; use track_running_stats=True"
            )


def prepare_like(model: nn.Module, prepared: PreparedModel) -> PreparedModel:
    """The prepared model of another model of the same structure: its options, findings, folds and further inputs."""
    other = prepare_with(model, prepared.compute, like=prepared, output=prepared.output)
    return replace(other, extra=prepared.extra)


def _options(prepared: PreparedModel) -> tuple[object, ...]:
    how = prepared.compute
    return prepared.dtype, prepared.device, how.precision, how.channels_last, prepared.folds, prepared.output


def _findings(model: nn.Module, prepared: PreparedModel) -> dict[str, Any]:
    """Earlier findings about the caller's model under these options, by field; later findings are added."""
    known = _FINDINGS.setdefault(model, {})
    layers = tuple(type(module) for module in prepared.model.modules())
    shapes = tuple(tensor.shape for tensor in prepared.model.parameters())
    structure = (layers, shapes, *_options(prepared))
    # Other weights may show what zeros hid.
    weights = tuple((t.data_ptr(), 0 if t.is_inference() else t._version) for t in model.parameters())
    key = ("probed", layers, *_options(prepared))
    if key not in known or known[key][0] != weights:
        known[key] = weights, set[object]()
    return {
        "row_bytes": known.setdefault(("row bytes", *structure), {}),
        "probed": known[key][1],
        "seen_layers": known.setdefault(("seen layers", *structure), {}),
    }


def _require_options(prepared: PreparedModel, asked: Compute) -> None:
    """Raises InvalidInput where what is asked for is not what a model was prepared for."""
    there = prepared.compute
    same = asked.precision is None or asked.precision == there.precision
    if not same and there.precision is None:
        same = dtype_of(asked.precision or "") == prepared.dtype and asked.precision in ("float32", "float64")
    if not same:
        raise InvalidInput(
            f"the model was prepared for {there.precision or prepared.dtype}, not for precision {asked.precision!r}"
        )
    for option in ("channels_last", "fold_batch_norm", "cuda_graphs", "compile"):
        if getattr(asked, option) and not getattr(there, option):
            raise InvalidInput(f"the model was prepared without {option}")

"""Where in the image the elements of every tensor of a forward pass belong.

Each tensor has a tensor of labels beside it: the number of the place in a grid over the image. Operations that move
elements move the labels in the same way; operations on single elements keep them; those that mix channels (convolution,
pooling, linear layers) are known by the axis that they mix. So the labels show which axis of a layer's output holds the
channels, which tokens belong to no place, and how the others lie in the image, whatever was permuted, reshaped,
partitioned into windows or concatenated before.
"""

import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.weak import WeakTensorKeyDictionary

from probatum.engine.layouts import Layout, Tokens

_MOVES = {
    *("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "permute", "transpose", "swapaxes"),
    *("movedim", "moveaxis", "swapdims", "__getitem__", "narrow", "select", "chunk", "split", "unbind", "tensor_split"),
    *("view_as", "reshape_as", "expand", "expand_as", "repeat", "roll", "flip", "index_select", "gather"),
}
_JOINS = {"cat", "concat", "concatenate", "stack"}
_KEEPS = {  # besides those that torch calls pointwise
    *("hardswish", "dropout", "dropout1d", "dropout2d", "dropout3d", "contiguous", "to", "detach", "alias", "prelu"),
    *(
        "logsigmoid",
        "softsign",
        "float",
        "double",
        "half",
        "bfloat16",
        "type_as",
        "copy",
        "iadd",
        "isub",
        "imul",
        "itruediv",
    ),
}
_MIX_FRONT = {  # the second axis, which holds the channels
    *(f"{kind}{dims}d" for kind in ("conv", "conv_transpose", "max_pool", "avg_pool", "lp_pool") for dims in (1, 2, 3)),
    *(f"adaptive_{kind}_pool{dims}d" for kind in ("max", "avg") for dims in (1, 2, 3)),
    *("interpolate", "upsample"),
}
_NORMALIZE_FRONT = {"batch_norm", "group_norm", "instance_norm", "local_response_norm"}
_NORMALIZE_BACK = {"layer_norm", "rms_norm"}


@dataclass(frozen=True, eq=False)
class Places:
    """The places of a tensor's elements.

    Args:
        index: of the tensor's shape: the number of each element's place in the grid, row by row; −1 for none.
        grid: number of places along each axis of the image.
        traced: whether they were followed from the image, not concluded from what an operation does to the tensor.
    """

    index: Tensor
    grid: tuple[int, ...]
    traced: bool

    def is_like(self, other: "Places") -> bool:
        """Tells whether two tensors of one shape have the same places."""
        return self is other or (self.grid == other.grid and torch.equal(self.index, other.index))

    def layout(self) -> Layout | None:
        """The layout of a tensor with these places; None where it has no name."""
        count = math.prod(self.grid)
        raster = torch.arange(count)
        shape = tuple(self.index.shape)
        for layout, axis, space in (("nchw", 1, shape[2:]), ("nhwc", -1, shape[1:-1])):
            if space == self.grid and torch.equal(self.index, raster.view(1, *space).unsqueeze(axis).expand(shape)):
                return "nchw" if layout == "nchw" else "nhwc"
        prefix = shape[1] - count
        if len(shape) == 3 and prefix >= 0:
            tokens = torch.cat([torch.full((prefix,), -1), raster])
            if torch.equal(self.index, tokens[:, None].expand(shape)):
                return Tokens(prefix, self.grid)
        return None


def channels_front(shape: tuple[int, ...], traced: bool) -> Places:
    """The places of (batch, channel, *space)."""
    grid = shape[2:]
    return Places(torch.arange(math.prod(grid)).view(1, 1, *grid).expand(shape), grid, traced)


class PlaceTracker(TorchFunctionMode):
    """Follows the places of one image through a forward pass; a mode to run it in.

    Args:
        image: (1, channel, *space) as the model is given it, which requires a gradient while weights do not.
    """

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self._dims = image.ndim
        # None marks tensors whose places are mixed up; one that is missing was made by an operation not known here.
        self._found: Any = WeakTensorKeyDictionary()
        self._found[image] = channels_front(tuple(image.shape), traced=True)

    def of(self, tensor: Tensor) -> Places | None:
        """The places of a tensor's elements; None where they are not known."""
        found: Places | None = self._found.get(tensor)
        return found if found is not None and found.index.shape == tensor.shape else None

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs, name = kwargs or {}, getattr(func, "__name__", "")
        read = _dependent((args, kwargs))
        if read and read[0] not in self._found and name in _MIX_FRONT | _NORMALIZE_FRONT and read[0].ndim == self._dims:
            self._found[read[0]] = channels_front(tuple(read[0].shape), traced=False)
        places = {id(each): self.of(each) for each in read}  # before the operation, which may work in place
        followed = any(each in self._found for each in read)
        result = func(*args, **kwargs)
        made = _dependent(result) if read else []
        rule = _rule(name) if followed else None
        found = rule(_Call(name, func, args, kwargs, read, places, made)) if rule and made else [None] * len(made)
        for tensor, each in zip(made, found, strict=True):
            if rule is not None:
                self._found[tensor] = each
            elif tensor in self._found:
                del self._found[tensor]
        return result


class _Call(NamedTuple):
    """An operation on tensors of which some places are known.

    Args:
        name: of the function.
        func: the function.
        args: what it was called with.
        kwargs: likewise.
        read: the tensors among these that depend on the image.
        places: of these, by identity.
        made: the tensors it returned that depend on the image.
    """

    name: str
    func: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    read: list[Tensor]
    places: dict[int, Places | None]
    made: list[Tensor]


def _rule(name: str) -> Callable[[_Call], list[Places | None]] | None:
    """How an operation treats places; None where it is not known."""
    if name in _MOVES or name in _JOINS:
        return _moved
    if name == "pad":
        return _padded
    if name in _MIX_FRONT:
        return _mixed_in_front
    if name == "linear":
        return _mixed_behind
    if name in _NORMALIZE_FRONT | _NORMALIZE_BACK or _is_pointwise(name):
        return _kept
    return None


def _moved(call: _Call) -> list[Places | None]:
    """Moves the labels as the operation moves the elements."""
    grids = {each.grid for each in call.places.values() if each is not None}
    if len(grids) != 1:
        return [None] * len(call.made)

    def labels(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        known = call.places.get(id(value))
        if known is not None:
            return known.index
        return torch.full(value.shape, -1) if call.name in _JOINS else value.detach().cpu()

    args, kwargs = tree_map(labels, call.args), tree_map(labels, call.kwargs)
    try:
        # The strides of labels differ, for equal ones share their memory.
        moved = Tensor.reshape(*args, **kwargs) if call.name == "view" else call.func(*args, **kwargs)
    except (RuntimeError, TypeError):  # a view of the same bytes as another type, for instance
        return [None] * len(call.made)
    grid, traced = grids.pop(), all(each.traced for each in call.places.values() if each is not None)
    return [Places(each, grid, traced) for each in tree_leaves(moved)]


def _padded(call: _Call) -> list[Places | None]:
    """Gives what is added at the edges the places that are nearest."""
    source = call.places[id(call.read[0])]
    if source is None:
        return [None]
    index, pads = source.index, call.kwargs["pad"] if "pad" in call.kwargs else call.args[1]
    for axis, (left, right) in enumerate(zip(pads[::2], pads[1::2], strict=True), 1):
        size = index.shape[-axis]
        index = index.index_select(index.ndim - axis, torch.arange(-left, size + right).clamp(0, size - 1))
    return [Places(index, source.grid, source.traced)]


def _mixed_in_front(call: _Call) -> list[Places | None]:
    """Sums over the second axis and over neighbors: the places of the output are a grid of its own."""
    source, shape = call.places[id(call.read[0])], tuple(call.made[0].shape)
    merged = _merged(source, 1) if source is not None and len(shape) == len(source.index.shape) >= 3 else None
    return [channels_front(shape, merged.traced) if merged is not None and _is_aligned(merged) else None] * len(
        call.made
    )


def _mixed_behind(call: _Call) -> list[Places | None]:
    """Sums over the last axis."""
    source = call.places[id(call.read[0])]
    merged = None if source is None else _merged(source, -1)
    if merged is None:
        return [None]
    return [Places(merged.index.unsqueeze(-1).expand(call.made[0].shape), merged.grid, merged.traced)]


def _kept(call: _Call) -> list[Places | None]:
    """The places on which the operands of the output's shape agree, of which those that were traced count more."""
    shape = call.made[0].shape
    known = [each for each in call.places.values() if each is not None and each.index.shape == shape]
    known = [each for each in known if each.traced] or known
    agreed = known and all(each.is_like(known[0]) for each in known)
    return [known[0] if agreed else None] * len(call.made)


def _merged(places: Places, axis: int) -> Places | None:
    """The places of the sums along an axis; None where they are not one grid.

    Patches that are cut out of the image by reshaping have the mean place of their pixels.
    """
    index = places.index.movedim(axis, -1)
    first = index[..., 0]
    if torch.equal(index, first.unsqueeze(-1).expand_as(index)):
        return Places(first, places.grid, places.traced)
    if bool((index < 0).any()):
        return None
    merged, grid = torch.zeros_like(first), []
    for size, stride in zip(places.grid, _strides(places.grid), strict=True):
        mean = (index // stride % size).double().mean(-1)
        values, rank = torch.unique(mean.mul(2**20).round(), return_inverse=True)
        merged = merged * len(values) + rank
        grid.append(len(values))
    one_each = torch.equal(merged.flatten().sort().values, torch.arange(math.prod(grid)))
    return Places(merged, tuple(grid), places.traced) if one_each else None


def _is_aligned(places: Places) -> bool:
    """Tells whether places (1, *space) go in every direction as in the image; some may be left out or repeated."""
    index = places.index[0]
    if len(places.index) != 1 or index.ndim != len(places.grid) or bool((index < 0).any()):
        return False
    for axis, (size, stride) in enumerate(zip(places.grid, _strides(places.grid), strict=True)):
        coordinate = (index // stride % size).movedim(axis, 0).reshape(index.shape[axis], -1)
        if bool((coordinate != coordinate[:, :1]).any()) or bool((coordinate[:, 0].diff() < 0).any()):
            return False
    return True


def _strides(grid: tuple[int, ...]) -> list[int]:
    return [math.prod(grid[axis + 1 :]) for axis in range(len(grid))]


def _dependent(values: Any) -> list[Tensor]:
    """The tensors among some values that depend on the image."""
    return [each for each in tree_leaves(values) if isinstance(each, Tensor) and each.requires_grad]


@functools.cache
def _is_pointwise(name: str) -> bool:
    name = name.strip("_")
    packet: Any = getattr(torch.ops.aten, name, None) if name else None
    overloads = packet.overloads() if hasattr(packet, "overloads") else ()
    return name in _KEEPS or any(torch.Tag.pointwise in getattr(packet, each).tags for each in overloads)

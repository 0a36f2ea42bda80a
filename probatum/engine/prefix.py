"""Layers that several versions of a model have in common, computed once: those before the first that differs.

The operations of the first version's forward pass are kept with what they read and returned. A later version that does
the same operations on the same tensors with equal weights is given the kept results with their graph, up to the first
operation that differs; each backward pass runs through its own layers and on through the kept graph. Because only a
beginning is shared, autograd adds gradients up in the same order: maps are bit for bit those of separate passes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from probatum.engine.budget import count_saved

_DATA: Any = Tensor.data
_HIDES_WRITES = {_DATA.__get__, _DATA.__set__}  # what is written through `.data` changes no version


_COMPARABLE = (
    *(int, float, complex, str, bytes, slice, tuple, type(None), type(...)),
    *(torch.dtype, torch.device, torch.layout, torch.memory_format),
)


class StaleTensorError(Exception):
    """An operation that differs wants a kept tensor as it was before an operation in place; it must be made again."""


class SharedWeights:
    """Which parameters and buffers of several versions of a model are equal to those of the first.

    Args:
        models: the versions, of one structure.
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        self.others = frozenset(range(1, len(models)))
        self._first: dict[int, int] = {}  # a tensor's identity -> that of the first version's tensor it is equal to
        self._users: dict[int, frozenset[int]] = {}  # ... -> the versions that have it
        self._alive = [_tensors(model) for model in models]
        for name, tensor in self._alive[0].items():
            equal = [number for number in self.others if _equal(tensor, self._alive[number].get(name))]
            for number in (0, *equal):
                self._first[id(self._alive[number][name])] = id(tensor)
            self._users[id(tensor)] = self._users.get(id(tensor), self.others) & frozenset(equal)

    @property
    def any(self) -> bool:
        """True if there is anything to share."""
        return any(self._users.values())

    def name(self, tensor: Tensor) -> int | None:
        """Identifier shared by equal weights; None for a tensor that is no weight of the first version."""
        return self._first.get(id(tensor))

    def users(self, name: int) -> frozenset[int]:
        """The versions whose weight equals the first version's."""
        return self._users[name]


@dataclass(frozen=True)
class _Operation:
    """An operation of the first variant.

    Args:
        inputs: the function and what it was called with.
        result: what it returned.
        written: the versions of the tensors that it wrote into, by storage.
        users: the variants that do this operation and all before it alike.
    """

    inputs: tuple[Any, ...]
    result: Any
    written: dict[int, int]
    users: frozenset[int]


class Prefix(TorchFunctionMode):
    """The operations of one chunk that variants share; a mode to run each one's forward pass in, the first's first.

    A variant is handed the kept results in order until it does something else. Operations in place are kept as well.
    While a variant still follows the kept operations, it only ever receives kept results, so nobody looks at a tensor's
    earlier content. The first operation of its own may: if it reads a tensor that a later kept operation has
    overwritten, `StaleTensorError` is raised, and the pass is made afresh without sharing. What cannot be followed
    (tensors that arise without a torch function, such as those of a custom autograd function) switches the keeping off.

    Args:
        weights: of all variants.
        points: (rows, ...), at which the chunk is evaluated.
    """

    def __init__(self, weights: SharedWeights, points: Tensor) -> None:
        super().__init__()
        self.leaf = points.detach().requires_grad_()
        self._weights = weights
        self._variant = 0
        self._kept: list[_Operation] = []
        self._keeping = True
        self._made: WeakValueDictionary[int, Tensor] = WeakValueDictionary({id(self.leaf): self.leaf})
        self._next = 0  # the kept operation that is to come next
        self._shares = True  # whether the variant has done nothing else so far
        self._versions: dict[int, int] = {}  # of the kept tensors' storages, as the variant knows them

    def variant(self, number: int) -> "Prefix":
        """Makes the next forward pass that of a variant; what only earlier ones needed is given free."""
        self._variant, self._next, self._shares = number, 0, True
        self._kept = [each for each in self._kept if max(each.users) >= number]
        self._versions = {_storage(self.leaf): self.leaf._version}
        return self

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        inputs = (func, *_leaves((args, kwargs)))
        if self._variant == 0:
            return self._keep(inputs, func, args, kwargs)
        if self._shares and self._next < len(self._kept):
            kept = self._kept[self._next]
            if self._variant in kept.users and self._alike(inputs, kept.inputs):
                self._next += 1
                self._versions |= kept.written
                return kept.result
        self._shares = False
        for tensor in inputs:
            if isinstance(tensor, Tensor) and self._versions.get(_storage(tensor), tensor._version) != tensor._version:
                raise StaleTensorError
        return func(*args, **kwargs)

    def _keep(self, inputs: tuple[Any, ...], func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Does an operation of the first variant and keeps it where others will do the same."""
        tensors = [each for each in inputs if isinstance(each, Tensor)]
        weights = [name for name in map(self._weights.name, tensors) if name is not None]
        read = [tensor for tensor in tensors if self._weights.name(tensor) is None]
        unseen = any(tensor.requires_grad and self._made.get(id(tensor)) is not tensor for tensor in read)
        if unseen or func in _HIDES_WRITES:
            self._keeping = False
            self._kept.clear()
        before = [tensor._version for tensor in read]
        result = func(*args, **kwargs)
        made = [each for each in _leaves(result) if isinstance(each, Tensor)]
        self._made.update((id(tensor), tensor) for tensor in made)
        if self._keeping:
            users = self._kept[-1].users if self._kept else self._weights.others
            users = users.intersection(*map(self._weights.users, weights))
            self._keeping = bool(users)
            if users:
                written = {_storage(t): t._version for t, old in zip(read, before, strict=True) if t._version != old}
                written |= {_storage(tensor): tensor._version for tensor in made}
                self._kept.append(_Operation(inputs, result, written, users))
                for tensor in made:
                    count_saved(tensor)
        return result

    def _alike(self, inputs: tuple[Any, ...], kept: tuple[Any, ...]) -> bool:
        """True if an operation is a kept one: the same function of the same tensors, of equal weights and numbers."""
        return len(inputs) == len(kept) and all(map(self._same, inputs, kept))

    def _same(self, value: Any, kept: Any) -> bool:
        if isinstance(value, Tensor):
            name = self._weights.name(value)
            return value is kept if name is None else name == id(kept)
        # Of other values, such as NumPy's arrays, it is not known what being equal means.
        comparable = isinstance(value, _COMPARABLE) or callable(value)
        return value is kept or (comparable and type(value) is type(kept) and bool(value == kept))


def _leaves(value: Any) -> Iterator[Any]:
    """The values in nested lists, tuples and dicts, with marks of where these begin."""
    if isinstance(value, dict):
        yield tuple(value)
        value = list(value.values())
    if isinstance(value, (tuple, list)):
        yield len(value)
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    parameters = dict[str, Tensor](model.named_parameters(remove_duplicate=False))
    return parameters | dict(model.named_buffers(remove_duplicate=False))


def _equal(first: Tensor, other: Tensor | None) -> bool:
    if other is None or (first.shape, first.dtype, first.stride()) != (other.shape, other.dtype, other.stride()):
        return False
    return first.data_ptr() == other.data_ptr() or torch.equal(first, other)


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()

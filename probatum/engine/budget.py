"""The memory budget: how many points one model call may hold, from the bytes that a row was measured to need."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor, nn

from probatum.engine.arguments import parse_bytes
from probatum.engine.compute import Compute
from probatum.errors import MemoryBudgetError, MemoryBudgetWarning, warn

T = TypeVar("T")
MIB = 1 << 20
# Small chunks beat large ones on a CPU: 4 to 16 images of 224 × 224 are equally fast, with 32 each takes a fifth more.
CPU_DEFAULT = 512 * MIB  # That is 15 rows of ResNet-18 or 10 of SqueezeNet; for small networks the number of rows
CPU_ROWS = 256  # is the tighter of the two bounds.
COPIES = 10  # of an image, that a row's points, noise, gradients and maps are together at any one time, measured
CUDA_SHARE = 0.5  # of the free memory: the backward pass and the convolutions' workspace need the rest
# What errors without a type of their own say: torch's CPU allocator, the CUDA runtime, cuBLAS and cuDNN.
_OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "ALLOC_FAILED")


def default_budget(device: torch.device) -> int:
    """Returns 512 MiB on the CPU, half of the free memory on CUDA."""
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # free, too: torch holds it
        return int(CUDA_SHARE * (free + cached))
    return CPU_DEFAULT


@dataclass
class SavedBytes:
    """Bytes that autograd keeps for the backward pass, without the model's own weights and buffers.

    Args:
        total: of all distinct storages kept.
        largest: the largest of them.
    """

    total: int = 0
    largest: int = 0

    @property
    def needed(self) -> int:
        """The peak of a backward pass: all that is kept, one activation's gradient and the next one's."""
        return self.total + 2 * self.largest


_counting: ContextVar[Callable[[Tensor], None] | None] = ContextVar("counting", default=None)


def count_saved(tensor: Tensor) -> None:
    """Counts a tensor that a forward pass keeps without autograd's knowledge, where one is being measured."""
    count = _counting.get()
    if count is not None:
        count(tensor)


def is_measuring() -> bool:
    """Tells whether what a forward pass keeps is being measured, for which it must build a graph."""
    return _counting.get() is not None


@contextmanager
def measure_saved(model: nn.Module) -> Iterator[SavedBytes]:
    """Measures what a forward pass inside the block keeps for its backward pass."""
    seen = {tensor.untyped_storage().data_ptr() for tensor in [*model.parameters(), *model.buffers()]}
    saved = SavedBytes()

    def count(tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            saved.total += storage.nbytes()
            saved.largest = max(saved.largest, storage.nbytes())

    def pack(tensor: Tensor) -> tuple[Tensor, int]:
        count(tensor)
        # Detached, as an output kept by its own node would be a cycle that outlives a graph without a backward pass.
        return tensor.detach(), tensor._version

    def unpack(packed: tuple[Tensor, int]) -> Tensor:
        # Hooks switch autograd's own check off, so it is made here: an overwritten activation must not pass silently.
        tensor, version = packed
        if tensor._version != version:
            raise RuntimeError("a tensor that the backward pass needs has been modified by an in-place operation")
        return tensor

    token = _counting.set(count)
    try:
        with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
            yield saved
    finally:
        _counting.reset(token)


@dataclass
class Budget:
    """Chooses the rows of each chunk so that a model call stays within `limit` bytes.

    One row of an unknown kind is measured apart before the first chunk, so that where chunks begin and end depends on
    the kind and the limit alone; an out-of-memory error halves the rows and the chunk is tried again.

    Args:
        image_bytes: size of one image, of which each row holds several versions besides what the model makes of it.
        limit: bytes for the rows, what autograd keeps and its gradients; None leaves only `max_rows`, and nothing is
            measured.
        max_rows: a bound on the rows of one call, or None.
        row_bytes: measured need of one row, by kind of row. Shared between views of equal structure, it saves
            measuring.
        grows: whether the limit is the default one, which one row may exceed.
    """

    image_bytes: int
    limit: int | None
    max_rows: int | None = None
    row_bytes: dict[object, int] = field(default_factory=dict)
    grows: bool = False

    @classmethod
    def of(cls, images: Tensor, compute: Compute, row_bytes: dict[object, int]) -> "Budget":
        """Makes the budget of a call; the device's default where neither a limit nor a number of rows is given."""
        limit = None if compute.memory_budget is None else parse_bytes(compute.memory_budget)
        max_rows = compute.chunk
        default = limit is None and max_rows is None
        if default:
            limit = default_budget(images.device)
            max_rows = CPU_ROWS if images.device.type == "cpu" else None
        return cls(images[0].nbytes, limit, max_rows, row_bytes, grows=default)

    def measures(self, kind: object) -> bool:
        """Tells whether a row of this kind has still to be measured."""
        return self.limit is not None and kind not in self.row_bytes

    def measure(self, kind: object, model: nn.Module, work: Callable[[], T], graphs: int = 1) -> T:
        """Does the work of one row and keeps what it needs; MemoryBudgetError where not even that fits.

        Args:
            kind: of the row.
            model: whose own tensors do not count.
            work: one forward pass and its backward passes.
            graphs: how many graphs as large as that of the work are held at once.
        """
        try:
            with measure_saved(model) as saved:
                result = work()
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise one_row_too_large(error) from error
            raise
        self.row_bytes[kind] = COPIES * self.image_bytes + (graphs - 1) * saved.total + saved.needed
        return result

    def rows(self, kind: object) -> int:
        """Rows of each chunk; where not one fits, the default limit grows and a given one raises MemoryBudgetError."""
        if self.limit is None:
            assert self.max_rows is not None
            return self.max_rows
        needed = self.row_bytes[kind]
        if needed > self.limit and self.grows:
            message = (
                f"one row needs {needed / MIB:.1f} MiB, more than the default memory budget of {self.limit / MIB:.1f} "
                "MiB: the budget is raised, and every model call holds one row; give a memory_budget to choose it"
            )
            warn(MemoryBudgetWarning(message))
            self.limit = needed
        if needed > self.limit:
            raise MemoryBudgetError(
                f"one row needs {needed / MIB:.1f} MiB, more than the memory budget of {self.limit / MIB:.1f} MiB; "
                f"give a memory budget of at least {-(-needed // MIB)} MiB"
            )
        rows = self.limit // max(needed, 1)
        return min(rows, self.max_rows) if self.max_rows is not None else rows

    def attempt(self, rows: int, work: Callable[[], T]) -> T | None:
        """Does the work of a chunk of so many rows.

        Returns:
            what the work returns, or None where memory ran out: `rows` then answers with fewer.
        """
        try:
            return work()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if rows == 1:
                raise one_row_too_large(error) from error
        # Outside the handler, whose traceback would keep the failed chunk's activations alive.
        self.max_rows = rows // 2
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.empty_cache()
        return None


def one_row_too_large(error: BaseException) -> MemoryBudgetError:
    """The error to raise where memory runs out in a call of one row."""
    return MemoryBudgetError(f"one row does not fit in memory: {error}")


def is_out_of_memory(error: BaseException) -> bool:
    """Tells whether an error says that memory ran out, on CUDA or on the CPU."""
    named = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return named or any(text in str(error) for text in _OUT_OF_MEMORY)

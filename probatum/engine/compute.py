"""How to compute: the arithmetic, the memory layout and the size of model calls, as one value."""

from dataclasses import dataclass, replace

from probatum.engine.arguments import parse_bytes, require_count
from probatum.engine.precision import dtype_of


@dataclass(frozen=True)
class Compute:
    """How a prepared model computes; maps computed in different ways are equal up to rounding.

    Public functions take these fields as keyword arguments, make one `Compute` of them, and the prepared model carries
    it from there on.

    Args:
        precision: "float32", "tf32", "bfloat16" or "float64"; None is the model's own floating-point type.
        channels_last: whether the channels of images and activations lie next to each other in memory.
        fold_batch_norm: whether a convolution and the batch norm that directly follows it are computed as one.
        memory_budget: bytes, or a text such as "2 GiB", for the points and activations of one model call; None is the
            device's default.
        chunk: most points in one model call; alone, it replaces the budget.
        cuda_graphs: whether many calls of one size are captured as a CUDA graph; for `prepare` alone.
        compile: the backend of `torch.compile` for calls without hooks, or None; for `prepare` alone.

    Raises:
        InvalidInput: the precision does not exist, the budget is no size, or the chunk is no number of points.
    """

    precision: str | None = None
    channels_last: bool = False
    fold_batch_norm: bool = False
    memory_budget: int | str | None = None
    chunk: int | None = None
    cuda_graphs: bool = False
    compile: str | None = None

    def __post_init__(self) -> None:
        if self.precision is not None:
            dtype_of(self.precision)
        if self.memory_budget is not None:
            parse_bytes(self.memory_budget)
        if self.chunk is not None:
            require_count("chunk, the most rows of a model call,", self.chunk)

    def limited(self, memory_budget: int | str | None, chunk: int | None = None) -> "Compute":
        """These settings with another memory budget or chunk, where one is given."""
        return replace(
            self,
            memory_budget=self.memory_budget if memory_budget is None else memory_budget,
            chunk=self.chunk if chunk is None else chunk,
        )

"""Model calls of one shape, recorded once as a CUDA graph and replayed.

A small network's kernels take less time than Python and torch need to launch them. A CUDA graph launches all kernels of
a forward pass and its backward passes at once, those of backward rules and of layer hooks included, for they are
operations like any others. The operations are the same as without a graph, and so are the bits.

Source: torch's notes on CUDA semantics, section "CUDA graphs", whole-network capture: warm-up on a side stream, static
inputs and outputs, no value read by the host while it is captured.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from probatum.engine.evaluate import Measurement, evaluate
from probatum.engine.prepared_model import PreparedModel
from probatum.engine.sampling import Rows
from probatum.engine.targets import Targets
from probatum.errors import GraphWarning, ProbatumError, warn

WARM_UPS = 3  # calls before a capture, in which cuDNN and cuBLAS choose kernels and take their workspaces
LEAST_CALLS = 12  # of one shape, below which warming up and capturing takes longer than it saves


@runtime_checkable
class Recorder(Protocol):
    """Records what a function launches on a device."""

    def record(self, work: Callable[[], list[Tensor]]) -> tuple[list[Tensor], Callable[[], None]]:
        """Returns the tensors that the work returned, and a function that launches it again and fills them anew.

        Raises:
            RuntimeError: the work cannot be recorded.
        """


@dataclass(frozen=True)
class CUDARecorder:
    """Records CUDA graphs.

    Args:
        device: where the tensors are.
    """

    device: torch.device

    def record(self, work: Callable[[], list[Tensor]]) -> tuple[list[Tensor], Callable[[], None]]:
        """Warms up on a side stream and captures the work."""
        with torch.cuda.device(self.device):
            here, side = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
            side.wait_stream(here)
            with torch.cuda.stream(side):
                for _ in range(WARM_UPS):
                    work()
            here.wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                outputs = work()

        def replay() -> None:
            with torch.cuda.device(self.device):
                graph.replay()

        return outputs, replay


@dataclass(eq=False)
class Recorded:
    """A function of tensors that is recorded at its first call and replayed at later calls of the same shapes.

    Inputs are copied into tensors of its own, and outputs out of them. Calls of other shapes, and all calls where
    recording failed, run the function itself.

    Args:
        work: launches the same operations whatever the values of its inputs.
        recorder: records it.
        name: of the model, for the warning.
        failed: whether recording was tried in vain.
    """

    work: Callable[..., list[Tensor]]
    recorder: Recorder
    name: str
    failed: bool = False
    _inputs: list[Tensor] = field(default_factory=list)
    _outputs: list[Tensor] = field(default_factory=list)
    _replay: Callable[[], None] | None = None

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        """Returns what the function returns for these inputs, in tensors that later calls leave alone."""
        if self._replay is None and not self.failed:
            self._record(inputs)
        if self._replay is None or list(map(_form, inputs)) != list(map(_form, self._inputs)):
            return self.work(*inputs)
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given)
        self._replay()
        return [each.clone() for each in self._outputs]

    def _record(self, inputs: Sequence[Tensor]) -> None:
        self._inputs = [each.clone() for each in inputs]
        try:
            self._outputs, self._replay = self.recorder.record(lambda: self.work(*self._inputs))
        except ProbatumError:
            raise
        except RuntimeError as error:
            self.failed, self._inputs = True, []
            warn(
                GraphWarning(
                    f"the calls of {self.name} cannot be captured as a CUDA graph and run one by one: {error}; a model "
                    "that reads a value on the host, as .item() and data-dependent shapes do, cannot be captured"
                )
            )


def _form(tensor: Tensor) -> tuple[object, ...]:
    return tensor.shape, tensor.stride(), tensor.dtype, tensor.device


class RecordedEvaluation:
    """`evaluate` for chunks of one size and one version of a model.

    Args:
        prepared: the version.
        measurements: what is measured at each point.
        recorder: records it; None is that of the model's device.
    """

    def __init__(
        self, prepared: PreparedModel, measurements: frozenset[Measurement], recorder: Recorder | None = None
    ) -> None:
        self._prepared, self._measurements = prepared, measurements
        self._recorded = Recorded(self._work, recorder or CUDARecorder(prepared.device), prepared.name)
        self._bounds: tuple[int, int] | None = None
        self._with_baselines = False
        self._parts: list[tuple[Measurement, int]] = []

    def __call__(self, rows: Rows, targets: Targets | None) -> tuple[dict[Measurement, tuple[Tensor, ...]], Tensor]:
        """What `evaluate` returns."""
        self._bounds = None if targets is None else (targets.lowest, targets.highest)
        self._with_baselines = rows.baselines is not None
        given = [None if targets is None else targets.classes, rows.baselines]
        classes, *found = self._recorded(rows.points, rows.image, *(each for each in given if each is not None))
        results, start = dict[Measurement, tuple[Tensor, ...]](), 0
        for need, count in self._parts:
            results[need] = tuple(found[start : start + count])
            start += count
        return results, classes

    def _work(self, points: Tensor, image: Tensor, *others: Tensor) -> list[Tensor]:
        rest = list(others)
        targets = None if self._bounds is None else Targets(rest.pop(0), *self._bounds)
        baselines = rest.pop(0) if self._with_baselines else None
        results, classes = evaluate(self._prepared, points, targets, self._measurements, baselines, image=image)
        self._parts = [(need, len(found)) for need, found in results.items()]
        return [classes, *(each for found in results.values() for each in found)]

"""The epochs of a training: what each reached, the best weights, and a file from which an interrupted one resumes."""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from probatum.errors import InvalidInput, ModelError
from probatum.models.state_files import read_torch_file
from probatum.storage import whole_file

LEAST_EXAMPLES = 5_000
"""Training examples between two saved states.

A state has about 16 bytes for each parameter, a step 6 operations for each parameter and example. At 300 MB/s and 50
GFlop/s, saving costs a tenth of the time at most, for a network of any size.
"""


@dataclass(frozen=True)
class EpochRecord:
    """One pass over the training images; accuracies are shares of images, 0..1.

    Args:
        epoch: from 1.
        loss: mean cross entropy during the epoch.
        running_accuracy: on the training images during the epoch.
        accuracy: on the monitored images after the epoch, in eval mode.
    """

    epoch: int
    loss: float
    running_accuracy: float
    accuracy: float


@dataclass(frozen=True)
class TrainingReport:
    """Result of training.

    Args:
        history: one record per epoch.
        best: the record of the kept weights: the first with the highest accuracy.
        reached_target: True if `target_accuracy` was reached; None if none was set.
    """

    history: tuple[EpochRecord, ...]
    best: EpochRecord
    reached_target: bool | None

    @property
    def best_accuracy(self) -> float:
        """Accuracy of the kept weights on the monitored images."""
        return self.best.accuracy

    @property
    def final_accuracy(self) -> float:
        """Accuracy after the last epoch on the monitored images."""
        return self.history[-1].accuracy


@runtime_checkable
class Stateful(Protocol):
    """A part of a training that changes: a network, an optimizer, a schedule."""

    def state_dict(self) -> Mapping[str, Any]:
        """Everything that changes."""

    def load_state_dict(self, state_dict: Any) -> object:
        """Takes over what `state_dict` returned."""


class Epochs:
    """The epochs of a training that are left to do.

        for epoch in epochs:
            ...
            epochs.end(loss, running_accuracy, accuracy, weights)
        model.load_state_dict(epochs.best)

    With a file they begin after the last epoch that it holds, and the training goes on as if it had never stopped: the
    parts, the generators, the history and the best weights are as they were. The caller removes the file when the
    result is safe.

    Args:
        count: of all epochs.
        target: accuracy that ends the training, 0..1; None trains for all epochs.
        parts: what changes, by name.
        generators: of the order of the examples and of dropout.
        examples: of an epoch.
        file: None keeps nothing.
    """

    def __init__(
        self,
        count: int,
        target: float | None,
        parts: Mapping[str, Stateful],
        generators: Sequence[torch.Generator],
        examples: int,
        file: Path | None,
    ) -> None:
        self.history: list[EpochRecord] = []
        self.best: dict[str, Tensor] = {}
        self._count, self._target = count, target
        self._parts, self._generators = parts, generators
        self._examples, self._unsaved, self._file = examples, 0, file

    def __iter__(self) -> Iterator[int]:
        if self._file is not None and self._file.is_file():
            self._resume(self._file)
        while len(self.history) < self._count and not self._reached:
            yield len(self.history) + 1

    def end(self, loss: float, running_accuracy: float, accuracy: float, weights: nn.Module) -> None:
        """Records an epoch, and keeps its weights if they are the best so far.

        Raises:
            ModelError: the loss is not finite.
        """
        epoch = len(self.history) + 1
        if not math.isfinite(loss):
            raise ModelError(f"the loss is {loss} in epoch {epoch}; lower learning_rate")
        if all(accuracy > earlier.accuracy for earlier in self.history):
            self.best = {name: value.detach().clone() for name, value in weights.state_dict().items()}
        self.history.append(EpochRecord(epoch, loss, running_accuracy, accuracy))
        self._unsaved += self._examples
        if self._file is not None and self._unsaved >= LEAST_EXAMPLES:
            self._save(self._file)

    @property
    def report(self) -> TrainingReport:
        """What was reached."""
        best = max(self.history, key=lambda record: record.accuracy)  # the first maximum, as in `end`
        return TrainingReport(tuple(self.history), best, None if self._target is None else self._reached)

    @property
    def _reached(self) -> bool:
        return self._target is not None and any(record.accuracy >= self._target for record in self.history)

    def _save(self, file: Path) -> None:
        """Writes the state; a folder that cannot be written ends the saving and not the training."""
        state = {
            "parts": {name: part.state_dict() for name, part in self._parts.items()},
            "generators": [generator.get_state() for generator in self._generators],
            "history": [asdict(record) for record in self.history],
            "best": self.best,
        }
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(file) as stream:
                torch.save(state, stream)
        except (OSError, RuntimeError):  # the latter is raised by torch's writer when the disk is full
            self._file = None
        self._unsaved = 0

    def _resume(self, file: Path) -> None:
        """Takes over a saved state; one that cannot be read changes nothing."""
        first = {name: copy.deepcopy(part.state_dict()) for name, part in self._parts.items()}
        try:
            state = read_torch_file(file)
            history = [EpochRecord(**record) for record in state["history"]]
            for name, part in self._parts.items():
                part.load_state_dict(state["parts"][name])
            for generator, generator_state in zip(self._generators, state["generators"], strict=True):
                generator.set_state(generator_state)
            self.history, self.best = history, state["best"]
        except (InvalidInput, KeyError, TypeError, ValueError, RuntimeError):
            for name, part in self._parts.items():
                part.load_state_dict(first[name])


def random_generators(device: torch.device) -> list[torch.Generator]:
    """The generators that dropout uses: that of the CPU and, on CUDA, that of the device."""
    if device.type != "cuda":
        return [torch.default_generator]
    index = torch.cuda.current_device() if device.index is None else device.index
    return [torch.default_generator, torch.cuda.default_generators[index]]


@contextmanager
def random_state_kept(seed: int, device: torch.device) -> Iterator[None]:
    """Seeds the random state of dropout on the CPU and on a device, and restores it afterwards."""
    generators = random_generators(device)
    states = [generator.get_state() for generator in generators]
    try:
        for generator in generators:
            generator.manual_seed(seed)
        yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)


@contextmanager
def mode_kept(model: nn.Module) -> Iterator[None]:
    """Restores the train or eval mode of every module."""
    modes = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training

"""The exceptions and warnings of the package: each message names the thing that is wrong and the way out."""

import os
import warnings
from collections.abc import Iterable
from pathlib import Path

from probatum.names import near, near_paths


class ProbatumError(Exception):
    """Base of every error that the package raises on purpose."""


class InvalidInput(ProbatumError, ValueError):
    """An argument, image, target, file or option is not usable."""


class ModelError(ProbatumError, RuntimeError):
    """The model cannot be attributed: no such layer, no ReLU, no logits, NaN gradients, ..."""


class MemoryBudgetError(ProbatumError, MemoryError):
    """One single row does not fit in the memory budget or in the device's memory."""


class ProbatumWarning(UserWarning):
    """Base of the warnings of the package: the result is right, but something about it should be known."""


class ProbabilitiesWarning(ProbatumWarning):
    """The model returns probabilities, whose gradients vanish where it is sure; logits explain better."""


class MemoryBudgetWarning(ProbatumWarning):
    """One row needs more than the default memory budget, which was raised to it."""


class LeftOutWarning(ProbatumWarning):
    """A method that nobody asked for by name is left out because the model cannot have it."""


class EffortWarning(ProbatumWarning):
    """The most points of a method with a tolerance or a ceiling did not suffice for some images."""


class GraphWarning(ProbatumWarning):
    """The calls of a model cannot be captured as a CUDA graph; they run one by one."""


class RegistrationWarning(ProbatumWarning):
    """An installed package registers something that cannot be used; it is left out."""


def warn(warning: ProbatumWarning) -> None:
    """Gives a warning of the package; nothing else warns below the experiments."""
    warnings.warn(warning, stacklevel=3)


_LISTED = ("method", "metric", "model")  # kinds of names that have a list in the terminal


class UnknownName(InvalidInput):
    """A name is not in a list of names; the message suggests the nearest ones.

    Args:
        kind: what was looked up, in words ("method", "layer of SqueezeNet").
        name: the name as given.
        choices: the names that exist.
        alike: whether all names resemble each other, as numbered figures do, so that the nearest ones help nobody.
    """

    def __init__(self, kind: str, name: str, choices: Iterable[str], *, alike: bool = False) -> None:
        names = list(choices)
        if not alike and (similar := near(name, names)):
            hint = f"did you mean {' or '.join(map(repr, similar))}?"
        elif len(names) <= 20 or alike:
            hint = f"choose from: {', '.join(names)}"
        elif kind in _LISTED:
            hint = f"`probatum list {kind}s` shows all {len(names)}"
        else:
            hint = f"there are {len(names)}, from {names[0]!r} to {names[-1]!r}"
        super().__init__(f"no {kind} is called {name!r}; {hint}")


class UnknownSource(UnknownName):
    """A source is neither in a list of names nor a file; the message suggests names, and what lies in the folder.

    Args:
        kind: what was looked up, in words ("data set, file or folder").
        source: as given.
        choices: the names that exist.
    """

    def __init__(self, kind: str, source: str, choices: Iterable[str]) -> None:
        super().__init__(kind, source, [*choices, *map(str, near_paths(Path(source))[1])])


class MissingFile(InvalidInput):
    """A file or folder does not exist; the message suggests what lies beside it.

    Args:
        kind: what was looked for, in words ("image file", "checkpoint file").
        path: of it.
    """

    def __init__(self, kind: str, path: str | os.PathLike[str]) -> None:
        place = Path(path).expanduser()
        absent, similar = near_paths(place)
        hint = "" if absent == place else f"; the folder {absent} does not exist"
        if similar:
            hint += f"; did you mean {' or '.join(map(str, similar))}?"
        super().__init__(f"there is no {kind} {path}{hint}")

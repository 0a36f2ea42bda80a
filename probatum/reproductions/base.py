"""What a reproduction is made of: experiments that compute, draw and judge, and the claims of a paper as data.

An experiment computes once and writes what it found into a folder of its own. Its figures are drawn and its claims are
judged from that folder alone, so that both can be done again without computing.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from matplotlib.figure import Figure

from probatum.errors import InvalidInput, UnknownName
from probatum.experiments.build import choose_device
from probatum.experiments.limits import check_numbers
from probatum.progress import Progress
from probatum.runs import files
from probatum.runs.plain_values import parse_dataclass

T = TypeVar("T")
Verdict = Literal["reproduced", "not reproduced", "not comparable"]


@dataclass(frozen=True)
class ReproductionConfig:
    """What is reproduced, and with what.

    Args:
        paper: a key of `PAPERS`.
        figures: names of the paper's experiments; all where empty.
        preset: "paper" for the paper's own sizes, models and data; "quick" for the same code on fewer of everything.
        data_dir: a folder with `MNIST/`, `FashionMNIST/`, `tiny-imagenet-200/`, `imagenet-samples/`, `sst2/`; what it
            lacks is replaced by what is embedded ("quick") or named as missing ("paper").
        photographs: a folder of photographs, for the experiments on ImageNet; else `imagenet-samples` of `data_dir`.
        model: a torchvision model instead of the paper's pretrained one.
        weights: of that model: "default", "none" or a checkpoint file.
        text_model: a Hugging Face classifier of sentences, by hub name or folder, for the experiments on text.
        device: "auto", or a torch device.
        seed: of everything random.
        memory_budget: for activations, such as "2 GiB".
    """

    paper: str
    figures: tuple[str, ...] = ()
    preset: str = "quick"
    data_dir: str | None = None
    photographs: str | None = None
    model: str | None = None
    weights: str = "default"
    text_model: str | None = None
    device: str = "auto"
    seed: int = 0
    memory_budget: str | None = None

    def __post_init__(self) -> None:
        if self.preset not in ("quick", "paper"):
            raise InvalidInput(f"preset {self.preset!r} does not exist; choose quick or paper")
        check_numbers(self)

    def to_json(self) -> dict[str, Any]:
        """The configuration as plain JSON values."""
        return asdict(self) | {"figures": list(self.figures)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "ReproductionConfig":
        """Reads what `to_json` wrote; InvalidInput where a value is missing or of another kind."""
        return parse_dataclass(cls, values, "reproduction")


@dataclass(frozen=True)
class Claim:
    """A statement of the paper that a number can speak for or against.

    Args:
        name: short and unique within the paper.
        where: the figure, table or section that makes it.
        statement: the claim, in our words.
        paper: the paper's number or observation, in words.
    """

    name: str
    where: str
    statement: str
    paper: str


@dataclass(frozen=True)
class Finding:
    """What became of a claim.

    Args:
        claim: the claim.
        ours: our number, in words.
        verdict: "reproduced", "not reproduced", or "not comparable" where the protocol could not be followed.
        why: what the verdict rests on: the rule that the number met or missed, or what kept the two from comparing.
    """

    claim: Claim
    ours: str
    verdict: Verdict
    why: str


@dataclass(frozen=True)
class Context:
    """What an experiment may use.

    Args:
        config: what was asked for.
        progress: called with (done, in all, what is being done).
        cells: where sanity checks and quality scores store their parts, so that an interrupted experiment continues;
            None where it begins anew.
    """

    config: ReproductionConfig
    progress: Progress = field(default=lambda done, total, what: None, repr=False)
    cells: Path | None = None

    def pick(self, *, quick: T, paper: T) -> T:
        """The value of the chosen preset."""
        return paper if self.config.preset == "paper" else quick

    @property
    def device(self) -> torch.device:
        """Where models are."""
        return choose_device(self.config.device)

    def data_folder(self, name: str) -> Path | None:
        """A sub-folder of the data folder where it exists; InvalidInput where the preset "paper" misses it."""
        root = self.config.data_dir
        folder = Path(root) / name if root else None
        if folder is not None and os.path.isdir(folder):
            return folder
        if self.config.preset == "paper":
            raise InvalidInput(
                f"the preset 'paper' needs the folder {name}/ in the data folder; give it with --data-dir"
            )
        return None


@dataclass(frozen=True)
class Experiment:
    """One figure or table of a paper.

    Args:
        name: as the terminal takes it, such as "figure3".
        title: what it shows.
        compute: writes what it finds into an existing, empty folder, and nothing elsewhere.
        draw: makes the figures, by file name, from that folder alone.
        judge: judges claims from that folder alone.
    """

    name: str
    title: str
    compute: Callable[[Context, Path], None]
    draw: Callable[[Path], dict[str, Figure]]
    judge: Callable[[Path], list[Finding]]


@dataclass(frozen=True)
class Paper:
    """A paper and its experiments.

    Args:
        name: as the terminal takes it.
        title: of the paper.
        citation: authors, year, identifier.
        experiments: in the order of the paper.
        module: the file that reproduces it.
    """

    name: str
    title: str
    citation: str
    experiments: tuple[Experiment, ...]
    module: str

    def chosen(self, names: tuple[str, ...]) -> tuple[Experiment, ...]:
        """The experiments of these names, in the order of the paper; all without names."""
        known = {experiment.name: experiment for experiment in self.experiments}
        for name in names:
            if name not in known:
                raise UnknownName(f"figure of {self.name}", name, known)
        return tuple(experiment for experiment in self.experiments if not names or experiment.name in names)


def write_facts(folder: Path, **values: Any) -> None:
    """Writes the plain values of an experiment, `facts.json`."""
    files.write_json(folder / "facts.json", values)


def read_facts(folder: Path) -> dict[str, Any]:
    """Reads what `write_facts` wrote."""
    values: dict[str, Any] = files.read_json(folder / "facts.json")
    return values


def write_arrays(folder: Path, **arrays: np.ndarray) -> None:
    """Writes the arrays of an experiment, `arrays.npz`."""
    files.write_arrays(folder / "arrays.npz", arrays)


def read_arrays(folder: Path) -> dict[str, np.ndarray]:
    """Reads what `write_arrays` wrote."""
    return files.read_arrays(folder / "arrays.npz")

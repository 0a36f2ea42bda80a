"""Building blocks of a reproduction: experiments that compute, draw and judge, and the claims of a paper as data.

An experiment computes once and writes its results to its own folder. Figures are drawn and claims are judged from that
folder alone, so both can be repeated without computing.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from probatum.errors import InvalidInput, UnknownName
from probatum.experiments.build import choose_device
from probatum.experiments.limits import check_numbers
from probatum.names import figure_key
from probatum.progress import Progress
from probatum.runs import files
from probatum.runs.plain_values import parse_dataclass

T = TypeVar("T")
Verdict = Literal["reproduced", "not reproduced", "undecided", "not comparable"]
REPRODUCED: Verdict = "reproduced"
NOT_REPRODUCED: Verdict = "not reproduced"
UNDECIDED: Verdict = "undecided"
NOT_COMPARABLE: Verdict = "not comparable"

Role = Literal["main result", "result", "self-test"]

Preset = Literal["quick", "cpu", "paper"]
PRESETS: dict[Preset, str] = {
    "quick": "small sizes, minutes on a CPU; missing data is substituted",
    "cpu": "real data and networks in sizes for a few hours on two cores",
    "paper": "the paper's own sizes, networks and data",
}


@dataclass(frozen=True)
class ReproductionConfig:
    """Configuration of a reproduction.

    Args:
        paper: a key of `PAPERS`.
        figures: names of the paper's experiments, or its figures and tables, such as "figure10"; empty for all.
        preset: of `PRESETS`.
        data_dir: a folder with `MNIST/`, `FashionMNIST/`, `tiny-imagenet-200/`, `imagenet-samples/`, `imagenet-demo/`
            (photographs of the figures of Adebayo et al. and of Wienecke and Hinrichs), `sst2/`. Missing
            data is substituted ("quick") or raises an error ("cpu", "paper").
        photographs: a folder of photographs for the ImageNet experiments; None uses those in `data_dir`.
        model: a torchvision model instead of the paper's pretrained one.
        weights: of that model: "default", "none" or a checkpoint file.
        text_model: a Hugging Face sentence classifier, by hub name or folder, for the text experiments.
        device: "auto", or a torch device.
        seed: of all random numbers.
        memory_budget: for activations, such as "2 GiB".
        variants: of the protocol, by the names that `Paper.variants` lists.
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
    variants: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise UnknownName("preset", self.preset, PRESETS)
        check_numbers(self)

    @property
    def substitutes(self) -> bool:
        """True if missing data and networks are substituted; else they raise an error."""
        return self.preset == "quick"

    def to_json(self) -> dict[str, Any]:
        """The configuration as plain JSON values."""
        return asdict(self) | {"figures": list(self.figures), "variants": list(self.variants)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "ReproductionConfig":
        """Read the output of `to_json`; InvalidInput if a value is missing or of the wrong type."""
        return parse_dataclass(cls, values, "reproduction")


@dataclass(frozen=True)
class Claim:
    """A statement of the paper that can be tested with one number.

    Args:
        name: short and unique within the paper.
        where: figure, table or section of the paper.
        statement: the claim, in our words.
        paper: the paper's number or observation, in words.
        about: things of the paper without which the claim says nothing, such as "photographs" or "50 epochs"; see
            `probatum.reproductions.setting`.
        role: "main result"; "result"; or "self-test" for what only a fault of this package could make fail.
    """

    name: str
    where: str
    statement: str
    paper: str
    about: tuple[str, ...] = ()
    role: Role = "result"


@dataclass(frozen=True)
class Finding:
    """The verdict on a claim.

    Args:
        claim: the claim.
        ours: our number, in words.
        verdict: "reproduced"; "not reproduced"; "undecided" if the interval reaches across the bound or too few images
            have a score; "not comparable" if what the claim is about was replaced.
        why: the rule that the number meets or misses, or the reason why it is not comparable; names every stand-in.
        notes: further numbers, and how many scores were left out.
        numbers: of each thing that the claim is about, in words, where `ours` shows some of them.
        experiment: that found it; known when a reproduction is judged.
    """

    claim: Claim
    ours: str
    verdict: Verdict
    why: str
    notes: str = ""
    numbers: tuple[str, ...] = ()
    experiment: str = ""


@dataclass(frozen=True)
class Context:
    """Configuration and services for an experiment.

    Args:
        config: of the reproduction.
        progress: called with (done, total, current task).
        cells: folder where sanity checks and quality scores store partial results, from which an interrupted experiment
            resumes; None to start again.
        absent: folders of the data folder that were missing when the run began, and stay so for it.
    """

    config: ReproductionConfig
    progress: Progress = field(default=lambda done, total, what: None, repr=False)
    cells: Path | None = None
    absent: frozenset[str] = frozenset()

    def pick(self, values: Mapping[str, T]) -> T:
        """Return the value of the chosen preset; "cpu" has that of "quick" where it has none of its own."""
        return values[self.config.preset if self.config.preset in values else "quick"]

    def wants(self, variant: str) -> bool:
        """Return True if a variant of the protocol was asked for."""
        return variant in self.config.variants

    @property
    def device(self) -> torch.device:
        """Device of the models."""
        return choose_device(self.config.device)

    def data_folder(self, name: str, *, optional: bool = False) -> Path | None:
        """Return a sub-folder of the data folder, or None if missing.

        Raises:
            InvalidInput: it is missing and not optional, and the preset is not "quick".
        """
        root = self.config.data_dir
        folder = Path(root) / name if root and name not in self.absent else None
        if folder is not None and os.path.isdir(folder):
            return folder
        if not (optional or self.config.substitutes):
            raise InvalidInput(
                f"the preset {self.config.preset!r} needs the folder {name}/ in the folder of --data-dir"
            )
        return None


@dataclass(frozen=True)
class Inputs:
    """Inputs of an experiment, checked before any work begins.

    The presets "cpu" and "paper" need all of them. "quick" substitutes what is missing, but needs photographs and the
    network if one is named with `--model`.

    Args:
        data: folders of the data folder, keys of `probatum.reproductions.inputs.DATA`.
        paper_data: folders that the preset "paper" alone needs; the others read them where they are there.
        photographs: True if photographs are explained.
        networks: pretrained ones of torchvision; `--model` replaces them.
        text: a checkpoint of Hugging Face; `--text-model` replaces it.
        suits: given a network and one image, raises ModelError where the network lacks what the experiment changes.
    """

    data: tuple[str, ...] = ()
    paper_data: tuple[str, ...] = ()
    photographs: bool = False
    networks: tuple[str, ...] = ()
    text: str | None = None
    suits: Callable[[nn.Module, Tensor], None] | None = None


@dataclass(frozen=True)
class Experiment:
    """One figure or table of a paper, or several that come from the same computation.

    Args:
        name: as the terminal takes it, such as "figure3".
        title: of the experiment.
        compute: writes results to an existing, empty folder.
        draw: returns the figures by file name, from that folder alone.
        judge: returns the findings, from that folder alone.
        covers: the paper's figures and tables by their own numbers, such as "Figure 10" or "Table 2", each with a
            pattern of the names of the figures that show it, such as "spearman*". A figure belongs to the first that
            fits; "" is the figure without a name, "*" any other.
        inputs: that it reads.
    """

    name: str
    title: str
    compute: Callable[[Context, Path], None]
    draw: Callable[[Path], dict[str, Figure]]
    judge: Callable[[Path], list[Finding]]
    covers: Mapping[str, str] = field(default_factory=dict)
    inputs: Inputs = Inputs()

    @property
    def numbers(self) -> list[str]:
        """The paper's figures and tables in their order."""
        return sorted(
            self.covers, key=lambda number: (number.split()[0], [int(one) for one in re.findall(r"\d+", number)])
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names by which it can be asked for: its own, and those of the paper's numbers, such as "figure10"."""
        return (self.name, *(key for key in map(figure_key, self.covers) if key != figure_key(self.name)))


@dataclass(frozen=True)
class Paper:
    """A paper and its experiments.

    Args:
        name: as the terminal takes it.
        title: of the paper.
        citation: authors, year, identifier.
        experiments: in the order of the paper.
        module: the module that reproduces it.
        variants: of the protocol that can be asked for by name, with what each changes.
    """

    name: str
    title: str
    citation: str
    experiments: tuple[Experiment, ...]
    module: str
    variants: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that can be asked for by name: experiments, and the paper's figures and tables."""
        return tuple(dict.fromkeys(name for experiment in self.experiments for name in experiment.names))

    def chosen(self, names: tuple[str, ...]) -> tuple[Experiment, ...]:
        """Return the experiments that these names ask for in the order of the paper, or all if there are no names.

        Raises:
            UnknownName: a name that is not known; the message lists those that are.
        """
        asked = {figure_key(name) for name in names}
        known = {figure_key(name) for name in self.names}
        for name in names:
            if figure_key(name) not in known:
                raise UnknownName(f"figure of {self.name}", name, self.names, alike=True)
        return tuple(one for one in self.experiments if not names or asked & set(map(figure_key, one.names)))


def joined(*notes: str) -> str:
    """Join the notes that are not empty by semicolons."""
    return "; ".join(filter(None, notes))


def write_facts(folder: Path, **values: Any) -> None:
    """Write the plain values of an experiment to `facts.json`."""
    files.write_json(folder / "facts.json", values)


def read_facts(folder: Path) -> dict[str, Any]:
    """Read `facts.json`."""
    values: dict[str, Any] = files.read_json(folder / "facts.json")
    return values


def store_arrays(folder: Path, **arrays: np.ndarray) -> None:
    """Write the arrays of an experiment to `arrays.npz`."""
    files.write_arrays(folder / "arrays.npz", arrays)


def stored_arrays(folder: Path) -> dict[str, np.ndarray]:
    """Read `arrays.npz`."""
    return files.read_arrays(folder / "arrays.npz")

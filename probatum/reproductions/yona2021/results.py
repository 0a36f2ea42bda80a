"""The stored scores of a study, read back."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from probatum.reproductions.base import read_facts, stored_arrays
from probatum.reproductions.rules import Mean, measure
from probatum.reproductions.setting import Setting

GBP, GRADIENT = range(2)  # positions of the methods
ABSOLUTE, SIGNED = range(2)  # positions of the reductions


def span(values: list[float]) -> str:
    """The lowest and the highest of the values of several trainings."""
    return " to ".join(dict.fromkeys(f"{end:.3f}" for end in (min(values), max(values))))


class Stored:
    """Stored results of a study, with the scores that figures and verdicts need."""

    def __init__(self, folder: Path) -> None:
        self.facts = read_facts(folder)
        self.arrays = stored_arrays(folder)
        self.trained: list[str] = self.facts["trained"]
        self.regions: list[str] = self.facts["regions"]
        self.methods: list[str] = self.facts["methods"]
        self.setting = Setting.from_json(self.facts["setting"])

    def mean(self, what: str, scores: Float[np.ndarray, "training image model"]) -> Mean:
        """The mean over trainings and images, each of several untrained models' mean.

        Without several trainings it is that over images and untrained models.
        """
        if len(scores) == 1:
            return measure(what, scores[0], "image", "untrained model")
        count = np.isfinite(scores).sum(axis=2)
        each = np.where(count > 0, np.nansum(scores, axis=2) / np.maximum(count, 1), np.nan)
        return measure(what, each, "training", "image")

    def region_of(self, model: str) -> int:
        """The region that decides a model's task."""
        return self.regions.index(model) if model in self.regions else 0

    def area(self, region: int) -> Float[np.ndarray, "1 image 1"]:
        """The share of each image's area that a region takes."""
        return np.asarray(self.arrays["area"][region][None, self.arrays["counted"], None], dtype=np.float64)

    def scores(self, name: str, *place: int) -> Float[np.ndarray, "training image untrained"]:
        """The scores of one method and reduction, of the images that count."""
        all_trainings: tuple[slice | int, ...] = (slice(None), *place)
        table: np.ndarray = self.arrays[name][all_trainings]
        return table[:, self.arrays["counted"]]

    def share(self, method: int, model: int | None, region: int) -> Float[np.ndarray, "training image model"]:
        """The shares of one region; `model` None is all untrained ones, which no training changes."""
        if model is None:
            return np.asarray(self.arrays["untrained_share"][None, method, region, self.arrays["counted"]])
        return np.asarray(self.arrays["share"][:, method, model, region][:, self.arrays["counted"], None])

    def caption(self, *lines: str) -> str:
        """The protocol of the figure, in a sentence."""
        facts = self.facts
        accuracies = ", ".join(f"{name} {span(values)}" for name, values in facts["accuracies"].items())
        common = f"{facts['images']}. {facts['network']}. Test accuracy: {accuracies}. "
        return "\n".join(
            [f"{common}Explained: {facts['targets']}. Preset {facts['preset']}, seed {facts['seed']}.", *lines]
        )

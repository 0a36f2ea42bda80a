"""The stored scores of a study, read back."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from probatum.reproductions.base import read_facts, stored_arrays
from probatum.reproductions.rules import Mean, measure
from probatum.reproductions.setting import Setting

GBP, GRADIENT = range(2)  # positions of the methods
ABSOLUTE, SIGNED = range(2)  # positions of the reductions


class Stored:
    """Stored results of a study, with the scores that figures and verdicts need."""

    def __init__(self, folder: Path) -> None:
        self.facts = read_facts(folder)
        self.arrays = stored_arrays(folder)
        self.trained: list[str] = self.facts["trained"]
        self.regions: list[str] = self.facts["regions"]
        self.methods: list[str] = self.facts["methods"]
        self.setting = Setting.from_json(self.facts["setting"])

    def mean(self, what: str, scores: Float[np.ndarray, "image model"]) -> Mean:
        """The mean over images and untrained models; over images alone where there is one model."""
        if scores.shape[1] == 1:
            return measure(what, scores[:, 0], "image")
        return measure(what, scores, "image", "untrained model")

    def region_of(self, model: str) -> int:
        """The region that decides a model's task."""
        return self.regions.index(model) if model in self.regions else 0

    def area(self, region: int) -> Float[np.ndarray, "image 1"]:
        """The share of each image's area that a region takes."""
        return np.asarray(self.arrays["area"][region][self.arrays["counted"]][:, None], dtype=np.float64)

    def scores(self, name: str, *place: int) -> np.ndarray:
        """The scores (image, untrained) of one method and reduction, of the images that count."""
        table: np.ndarray = self.arrays[name][place][self.arrays["counted"]]
        return table

    def share(self, method: int, model: int | None, region: int) -> np.ndarray:
        """The shares (image, model) of one region; `model` None is all untrained ones."""
        table = self.arrays["untrained_share"][method, region] if model is None else None
        table = self.arrays["share"][method, model, region][:, None] if table is None else table
        return np.asarray(table[self.arrays["counted"]])

    def caption(self, *lines: str) -> str:
        """The protocol of the figure, in a sentence."""
        facts = self.facts
        accuracies = ", ".join(f"{name} {value:.3f}" for name, value in facts["accuracies"].items())
        common = f"{facts['images']}. {facts['network']}. Test accuracy: {accuracies}. "
        return "\n".join(
            [f"{common}Explained: {facts['targets']}. Preset {facts['preset']}, seed {facts['seed']}.", *lines]
        )

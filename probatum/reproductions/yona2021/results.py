"""The stored scores of a study, read back."""

from pathlib import Path

import numpy as np

from probatum.reproductions.base import read_facts, stored_arrays

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
        """The protocol."""
        facts = self.facts
        accuracies = ", ".join(f"{name} {value:.3f}" for name, value in facts["accuracies"].items())
        common = f"{facts['images']}. {facts['network']}. Test accuracy: {accuracies}. "
        return "\n".join(
            [f"{common}Explained: {facts['targets']}. Preset {facts['preset']}, seed {facts['seed']}.", *lines]
        )

    @property
    def undefined(self) -> str:
        """How many scores do not exist because a map is zero, of how many."""
        tables = [self.arrays[name] for name in ("effect", "effect_floor", "distance", "distance_floor")]
        return f"{sum(int(np.isnan(table).sum()) for table in tables)} of {sum(table.size for table in tables)}"

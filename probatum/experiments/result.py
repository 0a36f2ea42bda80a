"""What a sanity check finds."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float

from probatum.errors import UnknownName
from probatum.experiments.draws import Draws


def position(kind: str, name: str, names: Sequence[str]) -> int:
    """Where a name stands among those of a result; UnknownName suggests the nearest ones."""
    if name not in names:
        raise UnknownName(f"{kind} of this result", name, names)
    return names.index(name)


@dataclass(frozen=True)
class Failure:
    """A map with NaN or infinite values, which has no score.

    Args:
        image: name.
        method: name.
        stage: of the randomization, or "trained model", or "trained model, another seed".
        trial: which randomization, or None.
        model: the class name of the model.
    """

    image: str
    method: str
    stage: str
    trial: int | None
    model: str

    def __str__(self) -> str:
        where = self.stage if self.trial is None else f"stage {self.stage}, trial {self.trial + 1}"
        return f"{self.method} of {self.image} ({self.model}, {where})"


@dataclass(frozen=True, eq=False)
class SanityResult:
    """The scores of a sanity check.

    Args:
        methods: names.
        metrics: names.
        stages: names, in the order visited; the trained model itself is not among them, for its score would be perfect
            by definition.
        image_names: one for each image.
        targets: (image,) the explained classes.
        scores: (method, metric, stage, image, trial); NaN where one of the two maps is a failure.
        constant: (method, stage, image, trial): whether the map of the trained model (1), of the randomized one (2) or
            of both (3) is constant, so that correlations follow the metrics' rule; 0 where neither is.
        ceiling: (method, metric, image) the noise ceiling: the score of the trained model's map against itself under
            another seed, which no comparison can be expected to exceed; NaN for methods without noise.
        chance: (method, metric, stage, image, trial) the score of maps that share neither image nor weights: the mean
            over pairs of a randomized and a trained model's map, one of this image and one of another; NaN where no
            such pair has two maps that are finite and not constant, and where it was not measured.
        maps: {image name: {method: (1 + stages, channel, height, width)}} of the images that were kept, from trial 0;
            the first map is that of the trained model. A failure is a map of NaN.
        failures: the maps that are not finite, where the check went on in spite of them.
        draws: which draws of the weights the trials used; None for a result that was read back, whose `config.json`
            tells.
    """

    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    stages: tuple[str, ...]
    image_names: tuple[str, ...]
    targets: tuple[int, ...]
    scores: Float[np.ndarray, "method metric stage image trial"]
    constant: np.ndarray
    ceiling: Float[np.ndarray, "method metric image"]
    chance: Float[np.ndarray, "method metric stage image trial"]
    maps: dict[str, dict[str, np.ndarray]] = field(default_factory=dict, repr=False)
    failures: tuple[Failure, ...] = ()
    draws: Draws | None = None

    @property
    def live(self) -> Bool[np.ndarray, "method metric stage image trial"]:
        """Where a score exists and neither map is constant; elsewhere a rule of the metric sets the score."""
        live: np.ndarray = np.isfinite(self.scores) & (self.constant[:, None] == 0)
        return live

    def of(self, method: str, metric: str) -> Float[np.ndarray, "stage image trial"]:
        """The scores of one method under one metric."""
        row, column = position("method", method, self.methods), position("metric", metric, self.metrics)
        scores: np.ndarray = self.scores[row, column]
        return scores

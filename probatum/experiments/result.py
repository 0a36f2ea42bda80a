"""Results of a sanity check."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from probatum.errors import UnknownName
from probatum.experiments.draws import Draws
from probatum.experiments.tables import Table, count

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEVEL = 0.95  # of the intervals that decide verdicts
TRAINED, AGAIN = "trained model", "trained model, seed + 1"  # where a failure is of no stage


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
        stage: of the randomization, `TRAINED`, or `AGAIN` for the second maps of the noise ceiling.
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


@dataclass(frozen=True)
class Spent:
    """What the maps took of a method with a tolerance or a ceiling, which adds points until they are good enough.

    Args:
        image: name.
        method: name.
        stage: as of a `Failure`, like the trial.
        trial: which randomization, or None.
        points: where the model was evaluated: the gradients.
        figure: the error or agreement that was reached, as the method defines it.
        enough: whether that is what was asked for.
    """

    image: str
    method: str
    stage: str
    trial: int | None
    points: int
    figure: float
    enough: bool


@dataclass(frozen=True, eq=False, repr=False)
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
        spent: what each map took of the methods that add points until it is good enough.
        level: of each verdict's interval; higher in a check that looks several times, see `experiments.rounds`.
        draws: which draws of the weights the trials used; None for a result that was read back, whose `config.json`
            tells.
        asked: (method, stage, image, trial): which comparisons the check made, where it left out what no verdict needs,
            see `experiments.rounds`; None where it made all. The scores of the others are NaN.
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
    spent: tuple[Spent, ...] = ()
    level: float = LEVEL
    draws: Draws | None = None
    asked: Bool[np.ndarray, "method stage image trial"] | None = None

    def __repr__(self) -> str:
        return str(self._table())

    def _repr_html_(self) -> str:
        return self._table().to_html()

    def _table(self) -> Table:
        """The mean live score of each method under each metric at the last stage."""
        images, trials = self.scores.shape[3:]
        drawn = f"{count(images, 'image')}, {count(trials, 'trial')}"
        title = f"Mean scores after the last stage, {self.stages[-1]}: {drawn}"
        last = np.where(self.live, self.scores, np.nan)[:, :, -1]
        means = [[_mean(scores) for scores in method] for method in last]
        return Table(
            title, ("method", *self.metrics), [(name, *row) for name, row in zip(self.methods, means, strict=True)]
        )

    def to_pandas(self) -> Any:
        """One row for each score, with its chance level and ceiling, as a `pandas.DataFrame`.

        Raises:
            InvalidInput: pandas is not installed.
        """
        columns = ("method", "metric", "stage", "image", "trial", "score", "chance", "ceiling", "live")
        axes = (self.methods, self.metrics, self.stages, self.image_names, range(self.scores.shape[-1]))
        rows = []
        for place in np.ndindex(self.scores.shape):
            names = [axis[at] for axis, at in zip(axes, place, strict=True)]
            ceiling = self.ceiling[place[0], place[1], place[3]]
            numbers = map(float, (self.scores[place], self.chance[place], ceiling))
            rows.append([*names, *numbers, bool(self.live[place])])
        return Table("", columns, rows).to_pandas()

    def plot(self, metric: str | None = None) -> "Figure":
        """Draws the scores under one metric against the stages, between the bands of chance and noise ceiling.

        Args:
            metric: one of this result's; None is the first.

        Returns:
            a matplotlib figure, which a notebook shows and `figure.savefig` writes.
        """
        from probatum.report.results import sanity_figure

        chosen = self.metrics[0] if metric is None else metric
        position("metric", chosen, self.metrics)
        return sanity_figure(self, chosen)

    @property
    def live(self) -> Bool[np.ndarray, "method metric stage image trial"]:
        """Where a score exists and neither map is constant; elsewhere a rule of the metric sets the score."""
        live: np.ndarray = np.isfinite(self.scores) & (self.constant[:, None] == 0)
        return live

    @property
    def made(self) -> Bool[np.ndarray, "method stage image trial"]:
        """Which comparisons the check made."""
        return np.ones(self.constant.shape, dtype=bool) if self.asked is None else self.asked

    def of(self, method: str, metric: str) -> Float[np.ndarray, "stage image trial"]:
        """The scores of one method under one metric."""
        row, column = position("method", method, self.methods), position("metric", metric, self.metrics)
        scores: np.ndarray = self.scores[row, column]
        return scores


def _mean(scores: Float[np.ndarray, "..."]) -> float:
    """Of the numbers that exist; NaN where none does."""
    finite = scores[np.isfinite(scores)]
    return float(finite.mean()) if finite.size else float("nan")

"""Sanity beside faithfulness: do the methods that a randomization check favors also predict what the model does?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from probatum.errors import InvalidInput
from probatum.experiments.intervals import RESAMPLES, Interval, bootstrap_interval
from probatum.experiments.quality import QualityResult
from probatum.experiments.result import SanityResult, position
from probatum.experiments.tables import Table
from probatum.experiments.verdicts import LEAST_IMAGES, Verdict, judge
from probatum.metrics import METRICS
from probatum.metrics.quality import QUALITY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST_METHODS = 3  # that have a rank correlation

Word = Literal["above chance", "at or below chance", "undecided"]
ABOVE, NOT_ABOVE, UNDECIDED = get_args(Word)


@dataclass(frozen=True)
class Point:
    """One method in both checks.

    Args:
        method: name.
        sanity: its verdict under the similarity metric; `value` is the share retained.
        faithfulness: mean of the quality metric over images, with its 95 % interval.
        word: whether the method is more faithful than noise.
        gain: by how much it is better than the adversary, image by image, with the 95 % interval that decides; NaN
            without an adversary.
    """

    method: str
    sanity: Verdict
    faithfulness: Interval
    word: Word
    gain: Interval


@dataclass(frozen=True, eq=False, repr=False)
class SanityAndFaithfulness:
    """The scores of a randomization check beside those of a quality metric, method by method.

    Args:
        metric: name of the similarity.
        quality: name of the quality metric.
        images: how many.
        points: of the methods that both results have.
        adversary: name of the map without information, or None.
        correlation: Spearman's rank correlation over the methods, without the adversary, of a small share retained
            with a good quality score, and its 95 % interval over images; 0 where the two rankings have nothing in
            common, NaN with fewer than three methods.
    """

    metric: str
    quality: str
    images: int
    points: tuple[Point, ...]
    adversary: str | None
    correlation: Interval

    def __repr__(self) -> str:
        return f"{self._table()}\n{self.sentence}"

    def _repr_html_(self) -> str:
        return self._table().to_html()

    @property
    def sentence(self) -> str:
        """The agreement of the two rankings, in words."""
        mean, low, high = (float(value) for value in self.correlation)
        if np.isnan(mean):
            return f"fewer than {LEAST_METHODS} methods have both scores, so there are no rankings to compare"
        return f"rank correlation of sanity and faithfulness over methods {mean:.2f} [{low:.2f}, {high:.2f}], chance 0"

    def _table(self) -> Table:
        columns = ("method", f"share retained ({self.metric})", "verdict", self.quality, "low", "high", "faithfulness")
        rows = []
        for point in self.points:
            scores = [f"{float(value):.3g}" for value in point.faithfulness]
            word = "adversary" if point.method == self.adversary else point.word if self.adversary else ""
            rows.append((point.method, point.sanity.value, point.sanity.word, *scores, word))
        return Table(f"Sanity beside faithfulness: {self.images} images", columns, rows)

    def to_pandas(self) -> Any:
        """One row for each method, as a `pandas.DataFrame`; InvalidInput where pandas is not installed."""
        columns = ("method", "share", "share_low", "share_high", "verdict", "quality", "low", "high", "faithfulness")
        rows = [
            (
                *(point.method, point.sanity.value, point.sanity.low, point.sanity.high, point.sanity.word),
                *map(float, point.faithfulness),
                point.word,
            )
            for point in self.points
        ]
        return Table("", columns, rows).to_pandas()

    def plot(self) -> "Figure":
        """Draws the methods in the plane of both scores, with the band of the adversary, as a matplotlib figure."""
        from probatum.report.faithfulness import joint_figure

        return joint_figure(self)


def sanity_and_faithfulness(
    sanity: SanityResult,
    quality: QualityResult,
    *,
    metric: str | None = None,
    quality_metric: str = "deletion",
    adversary: str | None = None,
) -> SanityAndFaithfulness:
    """Puts the results of `sanity_check` and of `quality_scores` on the same images and methods side by side.

    A randomization check ranks methods by how little of their maps is left, and pixel flipping ("deletion") by how soon
    the class's probability falls when the pixels are removed that a map calls relevant. Binder et al. found that the
    rankings disagree: maps without information win the first. Include `NoiseOfWeights()` among the methods of both
    results to see this. Its share is 0, and its faithfulness is the chance level of the other axis.

    1. "Above chance": the 95 % interval over images of how much better a method scores than the adversary, image by
       image, lies above 0; "at or below chance" where it ends at or below 0; "undecided" otherwise, with fewer than 5
       images, and without an adversary.
    2. The rank correlation over the other methods is 1 where both checks rank them alike; its chance level is 0. Few
       methods leave it wide open, and its interval over images does not hold how much it varies with their choice.

    Source: Binder et al. (2023), arXiv:2211.12486.

    Args:
        sanity: of a check; the share retained at its last stage counts.
        quality: of the trained model, with the same methods and images.
        metric: a similarity or distance of the check; None is its first one.
        quality_metric: of the other result.
        adversary: name of the map without information in both results; None for none.

    Raises:
        InvalidInput: the results share no method, or are of other images or classes; a metric that has no share.
        UnknownName: a metric or an adversary that a result does not have.
    """
    metric = sanity.metrics[0] if metric is None else metric
    column = position("metric", metric, sanity.metrics)
    position("metric", quality_metric, quality.metrics)
    judgement = judge(sanity)
    methods = [name for name in sanity.methods if name in quality.methods]
    if not methods:
        raise InvalidInput("the two results have no method in common; give both the same methods by the same names")
    if (sanity.image_names, sanity.targets) != (quality.image_names, quality.targets):
        raise InvalidInput("the two results are of other images or classes; explain the same ones in both")
    if metric not in METRICS or METRICS[metric].kind == "rise":
        raise InvalidInput(f"metric {metric!r} has no share retained; choose a similarity or distance of the table")
    if adversary is not None:
        position("method", adversary, methods)
    sign = -1.0 if quality_metric in QUALITY and QUALITY[quality_metric].lower_is_better else 1.0
    scores = {name: quality.of(name, quality_metric)[0, :, 0] for name in methods}
    points = tuple(
        Point(
            name,
            judgement.of(name, metric),
            bootstrap_interval(scores[name][:, None]),
            *_gain(sign * scores[name], None if adversary is None else sign * scores[adversary]),
        )
        for name in methods
    )
    ranked = [name for name in methods if name != adversary]
    rows = [sanity.methods.index(name) for name in ranked]
    goodness = np.stack([sign * scores[name] for name in ranked]) if ranked else np.empty((0, len(sanity.image_names)))
    correlation = _correlation(*_kept_and_room(sanity, column, rows), goodness)
    return SanityAndFaithfulness(metric, quality_metric, len(sanity.image_names), points, adversary, correlation)


def _gain(own: Float[np.ndarray, " image"], noise: Float[np.ndarray, " image"] | None) -> tuple[Word, Interval]:
    """How much better a method is than the adversary, and what that says."""
    if noise is None or not np.isfinite(own - noise).any():
        return UNDECIDED, Interval(*(np.array(np.nan),) * 3)
    gain = bootstrap_interval((own - noise)[:, None])
    if np.isfinite(own - noise).sum() < LEAST_IMAGES:
        return UNDECIDED, gain
    return (ABOVE if gain.low > 0 else NOT_ABOVE if gain.high <= 0 else UNDECIDED), gain


def _kept_and_room(
    sanity: SanityResult, column: int, rows: list[int]
) -> tuple[Float[np.ndarray, "method image"], Float[np.ndarray, "method image"]]:
    """The two parts of a share at the last stage: sums over trials of score − chance and of ceiling − chance."""
    metric = METRICS[sanity.metrics[column]]
    scores, live = sanity.scores[rows, column, -1], sanity.live[rows, column, -1]
    chances = sanity.chance[rows, column, -1] if metric.chance is None else np.full(scores.shape, metric.chance)
    ceilings = np.where(np.isfinite(sanity.ceiling[rows, column]), sanity.ceiling[rows, column], metric.perfect)
    exists = live & np.isfinite(chances)
    kept = np.where(exists, scores - chances, 0.0).sum(axis=-1)
    return kept, np.where(exists, ceilings[..., None] - chances, 0.0).sum(axis=-1)


def _correlation(
    kept: Float[np.ndarray, "method image"],
    room: Float[np.ndarray, "method image"],
    goodness: Float[np.ndarray, "method image"],
) -> Interval:
    """Rank correlation over methods of a small share with a good score, and its interval over images."""
    from scipy.stats import rankdata  # here, because importing it takes half a second

    usable = (np.abs(room).sum(axis=1) > 0) & np.isfinite(goodness).any(axis=1)
    if usable.sum() < LEAST_METHODS:
        return Interval(*(np.array(np.nan),) * 3)
    kept, room, goodness = kept[usable], room[usable], goodness[usable]
    images = kept.shape[1]
    draws = np.random.default_rng(0).multinomial(images, np.full(images, 1 / images), size=RESAMPLES)
    weights = np.concatenate([np.ones((1, images)), draws])  # the images as they are come first
    counted = weights @ np.isfinite(goodness).T
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = (weights @ kept.T) / (weights @ room.T)
        means = (weights @ np.nan_to_num(goodness).T) / counted
        ranks = [rankdata(values, axis=1) for values in (-shares, means)]
        first, second = (each - each.mean(axis=1, keepdims=True) for each in ranks)
        found = (first * second).sum(axis=1) / np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    low, high = np.nanquantile(found[1:], (0.025, 0.975)) if np.isfinite(found[1:]).any() else (np.nan, np.nan)
    return Interval(np.array(found[0]), np.array(low), np.array(high))

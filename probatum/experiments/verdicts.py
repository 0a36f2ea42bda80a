"""Verdicts on methods: what the scores of a sanity check say in words, by rules that are written down.

The bounds are a convention of this package, for no paper names one. What is left of a map after everything that the
model learned is gone should be little. As a correlation, a share of 0.25 means that the two maps have 6 % of their
variance in common, and 0.5 means 25 %, more than a method that explains the model can owe to the image alone. Between
the two, and where the interval crosses a bound, the images do not decide.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from probatum.attributions import METHODS
from probatum.errors import UnknownName
from probatum.experiments.intervals import bootstrap_interval, ratio_interval
from probatum.experiments.result import SanityResult
from probatum.metrics import METRICS, Kind, Metric

FOLLOWS_UP_TO = 0.25  # the largest share retained by a method that follows the model
IGNORES_FROM = 0.5  # the smallest share retained by a method that does not
MEASURABLE = 0.25  # below this noise ceiling a method differs from itself too much to retain anything
MOSTLY = 0.5  # of the comparisons; with more constant maps than this, scores are set by a rule and not measured
ROUNDING = 1e-6  # what equal maps may differ by

Word = Literal["follows the model", "does not follow the model", "undecided"]
FOLLOWS, IGNORES, UNDECIDED = get_args(Word)


@dataclass(frozen=True)
class Verdict:
    """What one metric says about one method at the last stage.

    Args:
        method: name.
        metric: name.
        kind: of the metric.
        score: mean over images and trials.
        ceiling: mean score of the trained model's maps against themselves, under another seed where they have noise.
        value: what the rule looks at: of a similarity, the share retained, score / ceiling; else the score. NaN where
            there is no share.
        low: lower end of its 95 % interval over images.
        high: upper end.
        over_stages: the same as `value`, averaged over all stages.
        constant: share of the comparisons in which a map was constant.
        word: the verdict.
        reason: the rule and the numbers, in words.
    """

    method: str
    metric: str
    kind: Kind
    score: float
    ceiling: float
    value: float
    low: float
    high: float
    over_stages: float
    constant: float
    word: Word
    reason: str


@dataclass(frozen=True)
class Judgement:
    """The verdicts of one sanity check.

    Args:
        stages: names; the verdicts were reached at the last.
        images: how many.
        trials: independent randomizations.
        verdicts: of each method under each metric.
        broken: what was wrong with each control that did not come out as one; the check means nothing then.
    """

    stages: tuple[str, ...]
    images: int
    trials: int
    verdicts: tuple[Verdict, ...]
    broken: tuple[str, ...]

    def of(self, method: str, metric: str) -> Verdict:
        """The verdict on one method under one metric."""
        names = [(verdict.method, verdict.metric) for verdict in self.verdicts]
        if (method, metric) not in names:
            raise UnknownName("verdict", f"{method} under {metric}", [" under ".join(name) for name in names])
        return self.verdicts[names.index((method, metric))]


def judge(
    result: SanityResult, metrics: Mapping[str, Metric] = METRICS, controls: Collection[str] | None = None
) -> Judgement:
    """Judges every method of a sanity check under every metric, at the last stage.

    There, orders that end with all layers drawn agree by construction: a layer's weights do not depend on the order.
    What the order changes is the way there, which `over_stages` sums up and no rule looks at. Order "independent" ends
    with one random layer and "logit" with none: there a verdict says whether maps follow that layer, or the class.

    Trials are averaged within an image; the intervals are over images, so that with few trials they ignore how much
    randomizations differ.

    1. Similarities: the share retained is mean score / mean ceiling, the ceiling being the noise ceiling of stochastic
       methods and the score of identical maps for the others. Both maps compared see the same noise and those of the
       ceiling do not, so with few samples a share may exceed 1. "Follows the model": the interval ends at 0.25
       or below. "Does not follow": it begins at 0.5 or above. A map that merely turned its sign has a share below 0;
       measures of absolute maps, such as "spearman-abs", see what it kept.
    2. Rises: "follows" if the interval lies above 0, "does not follow" if it reaches no higher than 0.
    3. Distances have no largest value to take a share of, and a map that only changed its scale is distant too. "Does
       not follow" if the interval reaches no higher than the ceiling; never "follows".
    4. "Undecided" in all other cases, and: with a single image, which has no interval; with a noise ceiling below 0.25;
       where more than half of the comparisons had a constant map. Images whose maps are not finite take no part.

    Args:
        result: the scores.
        metrics: the metrics by the names in the result.
        controls: methods that know no model; None are those that the table of methods marks. Each must come out as
            "does not follow the model", from one image too, or the check itself is broken.

    Returns:
        a verdict for each method and metric.

    Raises:
        KeyError: the result has a metric that is not in `metrics`; give yours with {**METRICS, "mine": metric}.
    """
    if controls is None:
        controls = [name for name in result.methods if name in METHODS and METHODS[name].control]
    verdicts = tuple(
        _verdict(result, method, metrics[metric], metric, control=method in controls)
        for method in result.methods
        for metric in result.metrics
    )
    broken = tuple(
        f"{verdict.method} knows no model, but {verdict.metric} says: {verdict.word}; {verdict.reason}"
        for verdict in verdicts
        if verdict.method in controls and verdict.word != IGNORES
    )
    return Judgement(result.stages, len(result.image_names), result.scores.shape[-1], verdicts, broken)


def _verdict(result: SanityResult, method: str, metric: Metric, name: str, *, control: bool) -> Verdict:
    row, column = result.methods.index(method), result.metrics.index(name)
    every = result.scores[row, column]  # (stage, image, trial)
    noise = result.ceiling[row, column]
    noisy = bool(np.isfinite(noise).any())
    exists = np.isfinite(every[-1])
    judged = exists.any(axis=-1) & (np.isfinite(noise) | (not noisy))
    if not judged.any():
        nothing = (np.nan,) * 7
        why = "no map has a score: all have NaN or infinite values"
        return Verdict(method, name, metric.kind, *nothing, UNDECIDED, why)
    scores = np.nanmean(every[-1, judged], axis=-1)  # (image,)
    ceilings = noise[judged] if noisy else np.full(len(scores), metric.perfect)
    value, low, high, word, reason = _rule(scores, ceilings, metric.kind)
    constant = float((result.constant[row, -1] > 0)[exists].mean())
    if not control and len(scores) == 1:
        word, reason = UNDECIDED, "one image has no interval"
    if not control and constant > MOSTLY:
        word, reason = UNDECIDED, f"{constant:.0%} of the comparisons had a constant map"
    return Verdict(
        method,
        name,
        metric.kind,
        float(scores.mean()),
        float(ceilings.mean()),
        value,
        low,
        high,
        float(np.nanmean(every[:, judged]) / (ceilings.mean() if metric.kind == "similarity" else 1.0))
        if np.isfinite(value)
        else np.nan,
        constant,
        word,
        reason,
    )


def _rule(
    scores: Float[np.ndarray, " image"], ceilings: Float[np.ndarray, " image"], kind: Kind
) -> tuple[float, float, float, Word, str]:
    """Value, low, high, verdict and reason."""
    word: Word
    if kind == "similarity":
        if ceilings.mean() < MEASURABLE:
            why = f"the noise ceiling, {ceilings.mean():.2f}, is below {MEASURABLE}: take more samples"
            return np.nan, np.nan, np.nan, UNDECIDED, why
        value, low, high = ratio_interval(scores, ceilings)
        word = FOLLOWS if high <= FOLLOWS_UP_TO else IGNORES if low >= IGNORES_FROM else UNDECIDED
        return value, low, high, word, _compared("share retained", value, low, high, FOLLOWS_UP_TO, IGNORES_FROM)
    value, low, high = (float(number) for number in bootstrap_interval(scores[:, None]))
    if kind == "rise":
        word = FOLLOWS if low > ROUNDING else IGNORES if high <= ROUNDING else UNDECIDED
        return value, low, high, word, _compared("relative rise", value, low, high, 0.0, 0.0)
    limit = float(ceilings.mean())
    word = IGNORES if high <= limit + ROUNDING else UNDECIDED
    return value, low, high, word, f"distance {value:.3g} [{low:.3g}, {high:.3g}], noise alone {limit:.3g}"


def _compared(what: str, value: float, low: float, high: float, lower: float, upper: float) -> str:
    bounds = f"bounds {lower:g} and {upper:g}" if lower != upper else f"bound {lower:g}"
    value, low, high = (round(number, 2) + 0.0 for number in (value, low, high))  # adding zero turns −0 into 0
    return f"{what} {value:.2f} [{low:.2f}, {high:.2f}], {bounds}"

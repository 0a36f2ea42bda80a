"""Rules that judge claims: the interval of a mean lies on one side of a bound, or cannot decide.

One rule for all papers, that of `probatum.experiments.verdicts`:

1. Scores that are not live, those of a constant or not finite map, are NaN. They take no part and are counted.
2. An interval is over what varies: images, trials, trainings. Methods that are compared see the same live images.
3. Fewer than 5 images, or 3 trainings, decide nothing.
4. An interval with the bound inside it decides nothing.
5. A claim about many things shows how many meet the rule and the two that are furthest from it; the finding keeps all.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Shaped
from scipy.special import ndtri

from probatum.errors import InvalidInput
from probatum.experiments.intervals import Interval, share_interval
from probatum.experiments.result import SanityResult
from probatum.experiments.verdicts import LEAST_IMAGES
from probatum.reproductions.base import NOT_REPRODUCED, REPRODUCED, UNDECIDED, Verdict, joined

LEAST_TRAININGS = 3  # that a mean over trainings needs to decide anything
EACH = ", for each"
SEVERITY = (NOT_REPRODUCED, UNDECIDED, REPRODUCED)
"""Verdicts on one of several things, by how much they say on all of them: one that misses the rule decides."""
LONGEST = 240  # letters of the numbers that a finding shows
SHOWN = 2  # numbers of a claim about many things, where all of them are longer
NAMED = 4  # parts of a claim, up to which a reason that one of them has names it
REST = "all are in scorecard.json"
_MOST_DECIMALS = 6


@dataclass(frozen=True)
class Mean:
    """A mean with its 95 % interval; NaN where no score is live.

    Args:
        what: was measured, in words, such as "ABS rank correlation of Gradient".
        value: the mean.
        low: lower end of the interval.
        high: upper end.
        live: how many of each unit have a live score, such as {"image": 8, "trial": 3}; the first must be enough.
        given: how many there are.
    """

    what: str
    value: float
    low: float
    high: float
    live: Mapping[str, int]
    given: Mapping[str, int]

    @property
    def interval(self) -> Interval:
        """The interval, for figures that show the same numbers."""
        return Interval(np.asarray(self.value), np.asarray(self.low), np.asarray(self.high))

    @property
    def lacking(self) -> str:
        """Why so few scores decide nothing, in words; "" if there are enough."""
        unit, count = next(iter(self.live.items()))
        least = LEAST_TRAININGS if unit == "training" else LEAST_IMAGES
        if count >= least:
            return ""
        return f"{_counted(count, self.given[unit], unit)}, and {least} are the least that decide"

    @property
    def count(self) -> str:
        """How many of each unit are live, in words: "8 of 10 images, 3 trials"."""
        return ", ".join(_counted(count, self.given[unit], unit) for unit, count in self.live.items())

    def words(self, *bounds: float) -> str:
        """Write "what: mean [low, high] (count)", with decimals that tell on which side of a bound each end lies."""
        numbers = (self.value, self.low, self.high)
        size = max((abs(number) for number in numbers if np.isfinite(number)), default=0.0)
        if size and not 1e-5 <= size < 1e5:
            value, low, high = (f"{number:.1e}".replace("-", "−") for number in numbers)
        else:
            decimals = 2 if size == 0 or size >= 0.1 else 1 - math.floor(math.log10(size))
            while decimals < _MOST_DECIMALS and any(
                end != bound and round(end, decimals) == round(bound, decimals)
                for end in (self.low, self.high)
                for bound in bounds
            ):
                decimals += 1
            value, low, high = (_written(number, decimals) for number in numbers)
        title = f"{self.what}: " if self.what else ""
        return f"{title}{value} [{low}, {high}] ({self.count})"

    def within(self, least: float, most: float) -> "Mean":
        """The mean of scores that cannot leave a range, such as accuracies: its interval ends there too."""
        return replace(self, low=max(self.low, least), high=min(self.high, most))


def _written(number: float, decimals: int) -> str:
    return f"{round(number, decimals) + 0.0:.{decimals}f}".replace("-", "−")


def _counted(live: int, given: int, unit: str) -> str:
    return f"{live} {unit}{'s' * (live != 1)}" if live == given else f"{live} of {given} {unit}s"


def measure(what: str, scores: Float[np.ndarray, "..."], *units: str) -> Mean:
    """Mean of live scores with its interval, over images and trials as `share_interval` has it.

    Args:
        what: in words, see `Mean`.
        scores: an axis for each unit; NaN where a score is not live. A difference of two tables is paired: it is NaN
            where either is.
        units: one or two, the most important first: "image", "trial"; "training", "image".

    Raises:
        InvalidInput: the axes are not those of the units.
    """
    if scores.ndim != len(units) or not 1 <= len(units) <= 2:
        raise InvalidInput(f"scores have {scores.ndim} axes for the units {', '.join(units)}; give one or two of each")
    table = scores[:, None] if scores.ndim == 1 else scores
    table = table.astype(np.float64)
    found = share_interval(table, np.ones(len(table)), np.zeros(table.shape))
    exists = np.isfinite(scores)
    axes = range(scores.ndim)
    live = {
        unit: int(exists.any(axis=tuple(a for a in axes if a != axis)).sum() if scores.ndim > 1 else exists.sum())
        for axis, unit in enumerate(units)
    }
    return Mean(what, found.value, found.low, found.high, live, dict(zip(units, scores.shape, strict=True)))


def ratio(what: str, scores: Float[np.ndarray, "..."], base: Float[np.ndarray, "..."], *units: str) -> Mean:
    """Geometric mean of scores / base with its interval; a pair takes part where both are finite and above 0."""
    scores, base = np.broadcast_arrays(scores, base)
    pairs = (scores > 0) & (base > 0) & np.isfinite(scores) & np.isfinite(base)
    logarithms = np.log(np.where(pairs, scores, np.nan)) - np.log(np.where(pairs, base, np.nan))
    found = measure(what, logarithms, *units)
    value, low, high = (float(np.exp(number)) for number in (found.value, found.low, found.high))
    return replace(found, value=value, low=low, high=high)


def proportion(what: str, share: float, count: int, unit: str = "test image") -> Mean:
    """A share of `count` independent cases, an accuracy say, with its 95 % interval (Wilson, JASA 22, 1927)."""
    z = float(ndtri(0.975))
    center = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * float(np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)))
    return Mean(what, share, center - half, center + half, {unit: count}, {unit: count})


def at_stages(
    what: str,
    stages: Sequence[str],
    scores: Float[np.ndarray, "stage *units"],
    *units: str,
    first: int = 0,
    base: Float[np.ndarray, "*units"] | None = None,
) -> list[Mean]:
    """The mean at each stage from a row on.

    Args:
        what: in words; the name of the stage is added.
        stages: names of the rows.
        scores: live ones.
        units: see `measure`.
        first: row from which on a rule has to hold; the last one where there are fewer.
        base: None, or scores to which those of each stage have a `ratio`.
    """
    rows = [(f"{what}, {stages[row]}", scores[row]) for row in range(min(first, len(stages) - 1), len(stages))]
    if base is None:
        return [measure(words, values, *units) for words, values in rows]
    return [ratio(words, values, base, *units) for words, values in rows]


def span(values: Sequence[float]) -> str:
    """The lowest and the highest of several trainings' accuracies, in words."""
    return " to ".join(dict.fromkeys(f"{end:.3f}" for end in (min(values), max(values))))


def mean_over(scores: Float[np.ndarray, "..."], *axes: int) -> Float[np.ndarray, "..."]:
    """The mean of the live scores over some axes; NaN where none is live."""
    count = np.isfinite(scores).sum(axis=axes)
    means: Float[np.ndarray, ...] = np.where(count > 0, np.nansum(scores, axis=axes) / np.maximum(count, 1), np.nan)
    return means


def live(
    scores: Float[np.ndarray, "..."], constant: Shaped[np.ndarray, "..."], axis: int = 1
) -> Float[np.ndarray, "..."]:
    """Stored scores, NaN where a map is constant.

    Args:
        scores: with an axis for the metrics.
        constant: not 0 where one of two maps is constant; without that axis.
        axis: of the metrics.
    """
    found: Float[np.ndarray, ...] = np.where(np.expand_dims(constant, axis) > 0, np.nan, scores)
    return found


def paired(*tables: Float[np.ndarray, "..."]) -> list[Float[np.ndarray, "..."]]:
    """Tables of scores of one shape, all NaN wherever one of them is: the scores that are live in all."""
    exists = np.all([np.isfinite(table) for table in tables], axis=0)
    return [np.where(exists, table, np.nan) for table in tables]


def live_scores(result: SanityResult, method: str, metric: str) -> Float[np.ndarray, "stage image trial"]:
    """The scores of a method; NaN where a map is constant or a score does not exist."""
    row, column = result.methods.index(method), result.metrics.index(metric)
    return np.where(result.live[row, column], result.of(method, metric), np.nan)


def live_counts(scores: Float[np.ndarray, "stage image ..."]) -> list[int]:
    """How many images have a live score at each stage: the n that figures print."""
    exists = np.isfinite(scores).reshape(*scores.shape[:2], -1)
    return [int(count) for count in exists.any(axis=2).sum(axis=1)]


@dataclass(frozen=True)
class Outcome:
    """What a rule says about a number.

    Args:
        verdict: "reproduced" if the rule is met, "not reproduced" if it is missed, else "undecided".
        ours: the number in words, with its interval and count.
        rule: in words.
        what: the number is of.
        reason: why the rule is missed or cannot decide, in words.
        notes: further numbers that a reader wants to see, in words.
        own_setting: True if the number is of the paper's own setting, whatever the experiment replaced.
        margin: distance of the interval's end from the bound, below 0 on the wrong side.
        parts: of a claim about several things.
    """

    verdict: Verdict
    ours: str
    rule: str
    what: str = ""
    reason: str = ""
    notes: tuple[str, ...] = ()
    own_setting: bool = False
    margin: float = 0.0
    parts: tuple["Outcome", ...] = ()

    def noting(self, *notes: str) -> "Outcome":
        """The outcome with further notes; empty ones are left out."""
        return replace(self, notes=(*self.notes, *filter(None, notes)))

    @property
    def why(self) -> str:
        """The rule and the reason."""
        return joined(f"rule: {self.rule}", self.reason)

    @property
    def number(self) -> str:
        """Our number without what it is of."""
        return self.ours.removeprefix(f"{self.what}: ")

    @property
    def unshown(self) -> tuple[str, ...]:
        """The numbers of all parts, where ours are some of them."""
        return tuple(part.ours for part in self.parts) if REST in self.ours else ()


NOT_COMPUTED = Outcome(UNDECIDED, "not computed", "")
"""Nothing was measured, for the setting lacks what the claim is about."""


def above(mean: Mean, bound: float) -> Outcome:
    """The interval lies above a bound."""
    rule = f"the 95 % interval lies above {_bound(bound)}"
    return _judged(mean, rule, mean.low > bound, mean.high <= bound, "below", mean.low - bound, bound)


def below(mean: Mean, bound: float) -> Outcome:
    """The interval lies below a bound."""
    rule = f"the 95 % interval lies below {_bound(bound)}"
    return _judged(mean, rule, mean.high < bound, mean.low >= bound, "above", bound - mean.high, bound)


def between(mean: Mean, low: float, high: float) -> Outcome:
    """The interval lies between two bounds."""
    rule = f"the 95 % interval lies between {_bound(low)} and {_bound(high)}"
    met, missed = mean.low > low and mean.high < high, mean.low >= high or mean.high <= low
    return _judged(mean, rule, met, missed, "outside", min(mean.low - low, high - mean.high), low, high)


def fact(holds: bool | np.bool_, ours: str, rule: str, *, own_setting: bool = False) -> Outcome:
    """A number that no sample varies, such as the number of layers; see `Outcome`."""
    return Outcome(REPRODUCED if holds else NOT_REPRODUCED, ours, rule, own_setting=own_setting)


def ordered(scores: Mapping[str, Float[np.ndarray, "..."]], *units: str) -> Outcome:
    """Scores by name, the largest first: each less the next, on the same live images, has an interval above 0."""
    names = list(scores)
    return all_of(
        above(measure(f"{first} less {second}", scores[first] - scores[second], *units), 0.0)
        for first, second in pairwise(names)
    )


def all_of(outcomes: Iterable[Outcome], rule: str = "") -> Outcome:
    """A claim about each of several things: reproduced if every rule is met, not reproduced if one is missed.

    Args:
        outcomes: of each.
        rule: all their rules in words; "" puts them together.
    """
    every = list(outcomes)
    if len(every) == 1:
        return replace(every[0], rule=rule or every[0].rule)
    verdicts = {outcome.verdict for outcome in every}
    rules = rule or " and ".join(dict.fromkeys(outcome.rule.removesuffix(EACH) for outcome in every))
    parts = tuple(part for outcome in every for part in outcome.parts or (outcome,))
    return Outcome(
        next((word for word in SEVERITY if word in verdicts), UNDECIDED),
        _shown(every, parts),
        f"{rules}{EACH}",
        reason=_reasons(parts),
        parts=parts,
    )


def _shown(outcomes: Sequence[Outcome], parts: Sequence[Outcome]) -> str:
    """The numbers of all parts; where these are long, how many meet the rule and the numbers furthest from it."""
    first, *others = [part.ours for part in parts] or [""]
    title = first[: first.find(": ") + 2]  # of the network, say, which is named once if all have it
    whole = "; ".join([first, *(other.removeprefix(title) for other in others)])
    if len(parts) <= SHOWN or len(whole) <= LONGEST:
        return whole
    furthest = sorted(parts, key=_severity)[:SHOWN]
    met = sum(outcome.verdict == REPRODUCED for outcome in outcomes)
    return f"{met} of {len(outcomes)} meet the rule; {'; '.join(part.ours for part in furthest)}; {REST}"


def _reasons(parts: Sequence[Outcome]) -> str:
    """Each reason, unless all have it with the part that has it, or with their number."""
    counts = Counter(part.reason for part in parts if part.reason)
    if len(counts) == 1 and counts.total() == len(parts):
        return next(iter(counts))
    whats = {part.reason: part.what for part in parts}
    return joined(
        *(
            f"{whats[reason]}: {reason}"
            if count == 1 and len(parts) <= NAMED and whats[reason]
            else f"{reason} ({count} of {len(parts)})"
            for reason, count in counts.items()
        )
    )


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """One rule at every stage, say: the outcome of the stage that misses it, or cannot decide, by the widest margin."""
    every = list(outcomes)
    found = min(every, key=_severity)
    return replace(found, rule=f"{found.rule}, at every stage") if len(every) > 1 else found


def _severity(outcome: Outcome) -> tuple[int, float]:
    return SEVERITY.index(outcome.verdict), float(np.nan_to_num(outcome.margin, nan=-np.inf))


def _judged(mean: Mean, rule: str, met: bool, missed: bool, elsewhere: str, margin: float, *bounds: float) -> Outcome:
    if mean.lacking:
        verdict, reason = UNDECIDED, mean.lacking
    elif met:
        verdict, reason = REPRODUCED, ""
    elif missed:
        verdict, reason = NOT_REPRODUCED, f"it lies {elsewhere}"
    else:
        verdict, reason = UNDECIDED, f"it reaches across {' or '.join(map(_bound, bounds))}"
    return Outcome(verdict, mean.words(*bounds), rule, mean.what, reason, margin=margin)


def _bound(number: float) -> str:
    return f"{number:.3g}".replace("-", "−")

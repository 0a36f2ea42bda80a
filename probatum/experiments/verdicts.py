"""Verdicts on methods: what the scores of a sanity check say in words, by rules that are written down.

Every score is read between two levels that are measured beside it: chance, the score of maps that share neither image
nor weights, and the ceiling, the score that the method reaches against itself. The share retained is the place between
the two. Its bounds are a convention of this package, for no paper names one. What is left of a map after everything
that the model learned is gone should be little: a share of 0.25 or less. With half of the map or more, the method owes
more to the image than to the weights. Between the two, and where the interval crosses a bound, nothing is decided.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from probatum.attributions import is_control
from probatum.errors import UnknownName
from probatum.experiments.intervals import Share, share_interval
from probatum.experiments.result import LEVEL, SanityResult
from probatum.experiments.tables import Table, count
from probatum.metrics import Kind, Metric, get_metric

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SENSITIVE_UP_TO = 0.25  # the largest share retained by a method that is sensitive to the weights
INSENSITIVE_FROM = 0.5  # the smallest share retained by a method that is not
LEAST_IMAGES = 5  # with a live comparison; fewer decide nothing
MEASURABLE = 0.25  # of the way from chance to identical maps; a method whose ceiling is lower is mostly noise
LEAST_ROOM = 0.05  # between chance and identical maps; a similarity with less cannot tell maps apart
NEAR = 0.1  # of a bound, all of a share's interval: then it lies at the bound, where deciding takes too much
MOST_WANTED = 8.0  # times as many images and trials are asked for
TRIAL_SPREAD = 0.05  # of a share between randomizations, taken for granted where there is one only
ROUNDING = 1e-6  # what equal maps may differ by

Word = Literal["sensitive", "insensitive", "undecided"]
SENSITIVE, INSENSITIVE, UNDECIDED = get_args(Word)


@dataclass(frozen=True)
class Verdict:
    """The verdict of one metric on one method at the last stage.

    Args:
        method: name.
        metric: name.
        kind: of the metric.
        word: the verdict.
        reason: the rule and the numbers that decided, in words.
        remedy: what would decide an undecided verdict; "" where there is none or nothing to decide.
        score: mean over the live comparisons, like the next two.
        chance: mean score of maps that share neither image nor weights; NaN for rises, which have none.
        ceiling: mean score of the trained model's maps against themselves, under another seed where they have noise.
        value: what the rule looks at: the share retained, (score − chance) / (ceiling − chance), or a rise above the
            noise. NaN where there is none.
        low: lower end of its interval over images and trials, of 95 % or the result's level.
        high: upper end.
        over_stages: the same as `value`, over the comparisons of all stages.
        wanted: how many times as many images and trials would about decide, where `remedy` asks for more of both: a
            power of two, at most 8. NaN elsewhere.
        live: comparisons of two finite maps that are not constant; the others take no part.
        comparisons: images times trials, as far as the check made them.
    """

    method: str
    metric: str
    kind: Kind
    word: Word
    reason: str
    remedy: str = ""
    score: float = np.nan
    chance: float = np.nan
    ceiling: float = np.nan
    value: float = np.nan
    low: float = np.nan
    high: float = np.nan
    over_stages: float = np.nan
    wanted: float = np.nan
    live: int = 0
    comparisons: int = 0


@dataclass(frozen=True)
class Summary:
    """The verdict of all metrics together on one method.

    Args:
        method: name.
        word: the verdict.
        reason: why, in words.
        remedy: what would decide an undecided verdict, or "".
        leading: the verdict whose numbers stand beside the word: the first one that says it.
        verdicts: of every metric.
        wanted: as in the verdict that holds up the word.
    """

    method: str
    word: Word
    reason: str
    remedy: str
    leading: Verdict
    verdicts: tuple[Verdict, ...]
    wanted: float = np.nan


@dataclass(frozen=True, repr=False)
class Judgement:
    """The verdicts of one sanity check.

    Args:
        stages: names; the verdicts were reached at the last.
        images: how many.
        trials: independent randomizations.
        verdicts: of each method under each metric.
        broken: what was wrong with each control that did not come out as one; the check means nothing then.
        notes: what limits all verdicts of this check, one sentence each.
        level: of the intervals, see `SanityResult`.
    """

    stages: tuple[str, ...]
    images: int
    trials: int
    verdicts: tuple[Verdict, ...]
    broken: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    level: float = LEVEL

    @property
    def percent(self) -> str:
        """The level of the intervals in words, "95 %" unless the check looked several times."""
        return f"{100 * self.level:.4g} %"

    def of(self, method: str, metric: str) -> Verdict:
        """The verdict on one method under one metric."""
        names = [(verdict.method, verdict.metric) for verdict in self.verdicts]
        if (method, metric) not in names:
            raise UnknownName("verdict", f"{method} under {metric}", [" under ".join(name) for name in names])
        return self.verdicts[names.index((method, metric))]

    def __repr__(self) -> str:
        return "\n".join([str(self._table()), *self.notes, *self.broken])

    def _repr_html_(self) -> str:
        return self._table().to_html()

    def _table(self) -> Table:
        """The word on each method, and the numbers of the verdict that stands beside it."""
        columns = ("method", "verdict", "metric", "share or rise", "low", "high", "chance", "score", "ceiling", "live")
        rows = []
        for summary in self.summaries.values():
            lead = summary.leading
            numbers = (lead.value, lead.low, lead.high, lead.chance, lead.score, lead.ceiling)
            rows.append((summary.method, summary.word, lead.metric, *numbers, f"{lead.live} of {lead.comparisons}"))
        drawn = f"{count(self.images, 'image')}, {count(self.trials, 'trial')}"
        title = f"Verdicts after the last stage, {self.stages[-1]}: {drawn}"
        return Table(title, columns, rows)

    def to_pandas(self) -> Any:
        """One row for each method and metric, with the method's word beside the metric's, as a `pandas.DataFrame`.

        Raises:
            InvalidInput: pandas is not installed.
        """
        names = [field.name for field in fields(Verdict)]
        rows = [
            (self.summary(verdict.method).word, *(getattr(verdict, name) for name in names))
            for verdict in self.verdicts
        ]
        return Table("", ("verdict", *names), rows).to_pandas()

    def plot(self) -> "Figure":
        """Draws the word on each method, and each metric's number with its interval between the bounds.

        Returns:
            a matplotlib figure, which a notebook shows and `figure.savefig` writes.
        """
        from probatum.report.verdict_bars import verdict_bars_figure

        return verdict_bars_figure(self)

    @cached_property
    def summaries(self) -> dict[str, Summary]:
        """One word on each method, by name; see `judge`."""
        methods = dict.fromkeys(verdict.method for verdict in self.verdicts)
        return {name: _summarized([verdict for verdict in self.verdicts if verdict.method == name]) for name in methods}

    def wanted(self, summary: Summary) -> tuple[int, int] | None:
        """How many images and trials would about decide an undecided method; None where that cannot be said.

        The width of an interval falls with the root of the numbers, if images and trials grow alike. So many of them
        end the interval that crosses a bound there, if its value stays where it is; it will move, and the numbers are a
        guide: rounded up to a doubling, and at most 8 times those of the check.
        """
        if summary.word != UNDECIDED or not np.isfinite(summary.wanted):
            return None
        return int(summary.wanted) * self.images, int(summary.wanted) * self.trials

    def summary(self, method: str) -> Summary:
        """The word on one method."""
        if method not in self.summaries:
            raise UnknownName("method", method, self.summaries)
        return self.summaries[method]


def judge(
    result: SanityResult, metrics: Mapping[str, Metric] | None = None, controls: Collection[str] | None = None
) -> Judgement:
    """Judges every method of a sanity check under every metric, at the last stage.

    There, orders that end with all layers drawn agree by construction: a layer's weights do not depend on the order.
    What the order changes is the way there, which `over_stages` sums up and no rule looks at. Order "independent" ends
    with one random layer and "logit" with none: there a verdict says whether maps depend on that layer, or the class.

    1. Comparisons with a map that is constant or not finite take no part: a rule of the metric sets their score. With
       fewer than 5 images that have a live comparison, nothing is decided.
    2. "Insensitive" where every live comparison has the score of identical maps.
    3. Similarities and distances: the share retained is (score − chance) / (ceiling − chance). The ceiling is the noise
       ceiling of stochastic methods and the score of identical maps for the others. Both maps compared see the same
       noise and those of the ceiling do not, so with few samples a share may exceed 1. "Sensitive": the 95 % interval
       ends at 0.25 or below. "Insensitive": it begins at 0.5 or above. A map that merely turned its sign has a share
       below 0; measures of absolute maps, such as "spearman-abs", see what it kept.
    4. A distance never says "sensitive", because a map that only changed its scale is distant too.
    5. "Undecided" between the bounds: part of the map is retained. Also where the interval lies within 0.1 of a bound
       that it crosses, and more than 8 times as many images and trials would be needed. Compare such maps by eye.
    6. A metric cannot tell where chance lies within 0.05 of the score of identical maps, nor where the ceiling has less
       than a quarter of the way from chance to there: "undecided".
    7. Rises have no chance level, for they compare two numbers. "Sensitive" if the interval of the rise above that of
       the noise lies above 0. With a single trial, nothing is decided.
    8. "Undecided" in all other cases.
    9. The word on a method is the one that its metrics agree on. Metrics that cannot decide do not count, unless the
       share that they measure contradicts the others. Metrics that disagree leave a method undecided.

    The intervals resample images and trials and hold the noise of the chance level. A single trial does not show how
    much randomizations differ: a standard deviation of 0.05 of the share is assumed then.

    Args:
        result: the scores.
        metrics: the metrics by the names in the result; None looks each up by its name.
        controls: methods that never use the model; None are those that the table of methods marks. Each must score as
            identical maps do, from one image too, or the check itself is broken.

    Returns:
        a verdict for each method and metric, and a word on each method.

    Raises:
        UnknownName: no metric is known by a name in the result; give yours with {**METRICS, "mine": metric}.
    """
    metrics = {name: get_metric(name) for name in result.metrics} if metrics is None else metrics
    if controls is None:
        controls = [name for name in result.methods if is_control(name)]
    verdicts = tuple(
        _verdict(_Scores.of(result, method, name, metrics[name]), control=method in controls)
        for method in result.methods
        for name in result.metrics
    )
    broken = tuple(
        f"{verdict.method} never uses the model, but its maps change: {verdict.metric} is {verdict.score:.3g}"
        for verdict in verdicts
        if verdict.method in controls and verdict.word != INSENSITIVE
    )
    trials = result.scores.shape[-1]
    notes = tuple(_notes(result))
    return Judgement(result.stages, len(result.image_names), trials, verdicts, broken, notes, result.level)


def _notes(result: SanityResult) -> list[str]:
    images, notes = len(result.image_names), list[str]()
    if images < LEAST_IMAGES:
        notes.append(f"Too few images for a verdict: {images}, where {LEAST_IMAGES} are the least.")
    if images > 1 and len(set(result.targets)) == 1:
        notes.append("All images are explained for the same class; the verdicts speak of this class alone.")
    if result.level > LEVEL:
        notes.append(
            f"The verdicts were looked at after each round; each interval has the level {result.level:.4g}, so that "
            f"those of one method and metric hold at all looks together at about {LEVEL:g}."
        )
    return notes


@dataclass(frozen=True, eq=False)
class _Scores:
    """The scores of one method under one metric, the comparisons that do not count as NaN."""

    method: str
    name: str
    metric: Metric
    every: Float[np.ndarray, "stage image trial"]
    ceilings: Float[np.ndarray, " image"]
    chances: Float[np.ndarray, "stage image trial"]
    given: Float[np.ndarray, " comparison"]  # all scores of the last stage that exist, also of constant maps
    comparisons: int  # at the last stage
    level: float  # of the interval
    trained_constant: bool  # whether most constant maps are those of the trained model

    @classmethod
    def of(cls, result: SanityResult, method: str, name: str, metric: Metric) -> "_Scores":
        row, column = result.methods.index(method), result.metrics.index(name)
        noise = result.ceiling[row, column]
        ceilings = noise if np.isfinite(noise).any() else np.full(len(noise), metric.perfect)
        live = result.live[row, column] & np.isfinite(ceilings)[:, None]
        chances = result.chance[row, column]
        constant = result.constant[row, -1]
        return cls(
            method,
            name,
            metric,
            np.where(live, result.scores[row, column], np.nan),
            ceilings,
            chances if metric.chance is None else np.full(chances.shape, metric.chance),
            result.scores[row, column, -1][np.isfinite(result.scores[row, column, -1])],
            int(result.made[row, -1].sum()),
            result.level,
            2 * int(np.isin(constant, (1, 3)).sum()) > int((constant > 0).sum()),
        )

    @property
    def last(self) -> Float[np.ndarray, "image trial"]:
        scores: np.ndarray = self.every[-1]
        return scores

    @property
    def images(self) -> int:
        """How many have a live comparison."""
        return int(np.isfinite(self.last).any(axis=1).sum())

    def unchanged(self, scores: Float[np.ndarray, "..."]) -> bool:
        """True if all scores that exist are those of identical maps."""
        return bool((np.abs(scores - self.metric.perfect) <= ROUNDING)[np.isfinite(scores)].all())

    def blank(self) -> Verdict:
        """The numbers, without a word."""
        live = np.isfinite(self.last)
        return Verdict(
            self.method,
            self.name,
            self.metric.kind,
            UNDECIDED,
            "",
            score=_mean(self.last),
            chance=np.nan if self.metric.kind == "rise" else _mean(self.chances[-1][live]),
            ceiling=_mean(np.broadcast_to(self.ceilings[:, None], live.shape)[live]),
            live=int(live.sum()),
            comparisons=self.comparisons,
        )


def _mean(values: Float[np.ndarray, "..."]) -> float:
    """Of the numbers that exist."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else np.nan


def _verdict(scores: _Scores, *, control: bool) -> Verdict:
    blank = scores.blank()
    if not scores.given.size:
        return replace(blank, reason="no map has a score: all have NaN or infinite values", remedy=_FINITE)
    if control:
        if scores.unchanged(scores.given):
            return _unchanged(blank)
        return replace(blank, reason="a control whose maps change")
    if scores.images < LEAST_IMAGES:
        reason, remedy = _too_few(scores, blank)
        return replace(blank, reason=reason, remedy=remedy)
    if scores.unchanged(scores.last):
        return _unchanged(blank)
    if scores.metric.kind == "rise":
        return _rise(scores, blank)
    return _retained(scores, blank)


_FINITE = "compute in another precision, or leave the method out"
MORE = "more images and more trials"
MORE_TRIALS = "more trials"
BY_EYE = "compare the maps by eye"
CHOOSE = "compare the maps by eye, and say which metric counts"
MORE_IMAGES = f"check at least {LEAST_IMAGES} images"
FEW_LIVE = "more trials, another initializer, or the value before the model's last ReLU"


def _unchanged(blank: Verdict) -> Verdict:
    """The verdict on maps that are identical in all comparisons."""
    level = 0.0 if blank.kind == "rise" else 1.0
    return replace(
        blank, word=INSENSITIVE, reason="the maps stay the same", value=level, low=level, high=level, over_stages=level
    )


def _too_few(scores: _Scores, blank: Verdict) -> tuple[str, str]:
    """Reason and remedy where too few images have a live comparison."""
    images = len(scores.last)
    if images < LEAST_IMAGES:
        number = "one image decides" if images == 1 else f"{images} images decide"
        return f"{number} nothing", MORE_IMAGES
    reason = (
        f"constant or infinite maps leave {blank.live} of {blank.comparisons} comparisons, of "
        f"{scores.images} images; {LEAST_IMAGES} are the least"
    )
    if scores.trained_constant:
        return reason, "explain another layer or class, for the trained model's own maps are constant"
    return reason, FEW_LIVE


def needs_more(summary: Summary, *, trials: bool = True) -> bool:
    """Tells whether more images, or where there may be more, more trials can decide an undecided method."""
    return summary.word == UNDECIDED and summary.remedy in (MORE, MORE_IMAGES, FEW_LIVE, *[MORE_TRIALS] * trials)


def _rise(scores: _Scores, blank: Verdict) -> Verdict:
    rises = scores.every - scores.ceilings[:, None]
    nothing, unit = np.zeros(scores.last.shape), np.ones(len(scores.ceilings))
    found = share_interval(rises[-1], unit, nothing, scores.level)
    blank = replace(blank, value=found.value, low=found.low, high=found.high, over_stages=float(np.nanmean(rises)))
    reason = f"rise above the noise {_with_interval(found)}, bound 0"
    if scores.last.shape[1] == 1:
        return replace(blank, reason=f"one trial does not show how much a rise varies; {reason}", remedy=MORE_TRIALS)
    if found.low > ROUNDING:
        return replace(blank, word=SENSITIVE, reason=reason)
    if found.high < -ROUNDING:
        return replace(blank, reason=f"the maps change, but become simpler; {reason}", remedy="another metric")
    return replace(blank, reason=reason, remedy=MORE)


def _retained(scores: _Scores, blank: Verdict) -> Verdict:
    found = share_interval(scores.last, scores.ceilings, scores.chances[-1], scores.level, trial_spread=TRIAL_SPREAD)
    if not np.isfinite(found.room):
        why = "no chance level was measured: no other image has a live map"
        return replace(blank, reason=why, remedy="more images, or a metric that states its chance level")
    most = scores.metric.perfect - blank.chance
    if scores.metric.kind == "similarity" and most < LEAST_ROOM:
        why = f"the metric cannot tell maps apart here: those of other images score {blank.chance:.2f}"
        return replace(blank, reason=why, remedy="another metric, such as spearman")
    if found.room / most < MEASURABLE or found.room_low / most <= 0:
        why = f"the method agrees with itself little more than chance: {blank.ceiling:.2f} beside {blank.chance:.2f}"
        return replace(blank, reason=why, remedy="more samples for each map")
    blank = replace(blank, value=found.value, low=found.low, high=found.high, over_stages=_over_stages(scores))
    bounds = f"bounds {SENSITIVE_UP_TO:g} and {INSENSITIVE_FROM:g}"
    reason = f"share retained {_with_interval(found)}, {bounds}"
    if found.low >= INSENSITIVE_FROM - ROUNDING:
        return replace(blank, word=INSENSITIVE, reason=reason)
    if found.high <= SENSITIVE_UP_TO + ROUNDING and scores.metric.kind == "distance":
        why = f"maps that only change their scale are distant, too; {reason}"
        return replace(blank, reason=why, remedy="a metric that ignores scale, such as cosine")
    if found.high <= SENSITIVE_UP_TO + ROUNDING:
        return replace(blank, word=SENSITIVE, reason=reason)
    if found.low >= SENSITIVE_UP_TO and found.high <= INSENSITIVE_FROM:
        return replace(blank, reason=f"part of the map is retained: {reason}", remedy=BY_EYE)
    wanted = _wanted(found)
    if wanted > MOST_WANTED and _at_a_bound(found):
        return replace(blank, reason=f"the share lies at a bound: {reason}", remedy=BY_EYE)
    return replace(blank, reason=reason, remedy=MORE, wanted=min(wanted, MOST_WANTED))


def _wanted(share: Share) -> float:
    """The power of two by which images and trials must grow until the interval crosses no bound, if the value stays.

    An end that lies d from the value comes to lie d / √k from it with k times as many of both.
    """
    needed = 2.0
    for bound in (SENSITIVE_UP_TO, INSENSITIVE_FROM):
        if share.low < bound < share.high:
            end = share.low if bound <= share.value else share.high
            gap = abs(bound - share.value)
            needed = max(needed, ((end - share.value) / gap) ** 2 if gap else np.inf)
    return float(2.0 ** np.ceil(np.log2(needed)))


def _at_a_bound(share: Share) -> bool:
    """Tells whether all of the interval lies near one bound."""
    bounds = (SENSITIVE_UP_TO, INSENSITIVE_FROM)
    return any(bound - NEAR <= share.low and share.high <= bound + NEAR for bound in bounds)


def _over_stages(scores: _Scores) -> float:
    """The share retained over all stages."""
    exists = np.isfinite(scores.every) & np.isfinite(scores.chances)
    gained = (scores.ceilings[:, None] - scores.chances)[exists].sum()
    return float((scores.every - scores.chances)[exists].sum() / gained) if gained else np.nan


def _summarized(verdicts: Sequence[Verdict]) -> Summary:
    """One word on a method from the verdicts of all metrics."""
    firm = [verdict for verdict in verdicts if verdict.word != UNDECIDED]
    told = [verdict for verdict in verdicts if np.isfinite(verdict.value)]
    leading = (firm or told or verdicts)[0]
    against = [verdict for verdict in told if _contradicts(verdict, leading.word)] if firm else []
    every = tuple(verdicts)
    if not against:
        return Summary(leading.method, leading.word, leading.reason, leading.remedy, leading, every, leading.wanted)
    first, other = leading, max(against, key=_obstinacy)
    reason = f"the metrics disagree: {first.metric} finds {_found(first)}, {other.metric} {_found(other)}"
    remedy = CHOOSE if other.word != UNDECIDED or other.remedy == BY_EYE else other.remedy
    return Summary(leading.method, UNDECIDED, reason, remedy, leading, every, other.wanted)


def _obstinacy(verdict: Verdict) -> tuple[bool, bool, float]:
    """Ranks verdicts against a word: firm ones, those that more images cannot change, those that take most of them."""
    return verdict.word != UNDECIDED, verdict.remedy != MORE, verdict.wanted


def _contradicts(verdict: Verdict, word: Word) -> bool:
    """True if a verdict, or the number beneath an undecided one, speaks against a word."""
    if verdict.word != UNDECIDED:
        return verdict.word != word
    if verdict.kind == "rise":
        return False
    return verdict.value > SENSITIVE_UP_TO if word == SENSITIVE else verdict.value < INSENSITIVE_FROM


def _found(verdict: Verdict) -> str:
    number = f"{_round(verdict.value)} [{_round(verdict.low)}, {_round(verdict.high)}]"
    return f"{verdict.word} ({'rise' if verdict.kind == 'rise' else 'share'} {number})"


def _with_interval(share: Share) -> str:
    return f"{_round(share.value)} [{_round(share.low)}, {_round(share.high)}]"


def _round(value: float) -> str:
    """Two digits; adding zero turns a rounded −0 into 0."""
    return f"{round(value, 2) + 0.0:.2f}"

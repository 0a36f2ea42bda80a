"""Rules on stored checks of parameter randomization: each measures one thing in every check.

They judge the paper's claims, which it mostly reads off its figures by eye.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from probatum.experiments.run_folder import Run
from probatum.reproductions.adebayo2018.setting import CONTROL, PAIR, title_of_method
from probatum.reproductions.rules import Mean, Outcome, above, all_of, below, between, fact, live_scores, measure

SENSITIVE = 0.5  # an ABS rank correlation below this is a changed map
INVARIANT = 0.7  # an SSIM above this is a map that stayed
NO_CORRELATION = 0.2  # a rank correlation this near to zero is none
EXACT = 1e-6  # how far the control may be from 1: rounding

PRODUCTS = ("input-x-gradient", "integrated-gradients")
METRICS = {"spearman-abs": "ABS rank correlation", "spearman": "signed rank correlation", "ssim": "SSIM"}
Runs = Mapping[str, Run]
"""Checks by their titles."""


def changed(runs: Runs, *methods: str) -> Outcome:
    """With all weights re-drawn, the maps have another ABS rank order."""
    return _each(runs, lambda title, run: [below(_last(title, run, m, "spearman-abs"), SENSITIVE) for m in methods])


def sign_lost(runs: Runs, *methods: str) -> Outcome:
    """With all weights re-drawn, the signed rank correlation is near 0."""
    low, high = -NO_CORRELATION, NO_CORRELATION
    return _each(runs, lambda title, run: [between(_last(title, run, m, "spearman"), low, high) for m in methods])


def kept(runs: Runs, metric: str, *methods: str) -> Outcome:
    """With all weights re-drawn, the similarity stays high."""
    return _each(runs, lambda title, run: [above(_last(title, run, m, metric), SENSITIVE) for m in methods])


def kept_more(runs: Runs, metric: str, *methods: str) -> Outcome:
    """With all weights re-drawn, the maps keep more than Gradient's on the same images."""
    return _each(runs, lambda title, run: [above(_gain(title, run, m, metric, -1), 0.0) for m in methods])


def stays(runs: Runs, method: str) -> Outcome:
    """With the upper half of the stages re-drawn, the SSIM is high."""
    return _each(runs, lambda title, run: [above(_at(title, run, method, "ssim", middle(run)), INVARIANT)])


def stays_more(runs: Runs, method: str) -> Outcome:
    """With the upper half of the stages re-drawn, the SSIM is above Gradient's on the same images."""
    return _each(runs, lambda title, run: [above(_gain(title, run, method, "ssim", middle(run)), 0.0)])


def each_layer(runs: Runs, method: str) -> Outcome:
    """The map changes with every single layer: the rule at the layer where the interval reaches highest."""

    def worst(title: str, run: Run) -> list[Outcome]:
        found = [_at(title, run, method, "spearman-abs", stage) for stage in range(len(run.result.stages))]
        return [below(max(found, key=lambda one: one.high), SENSITIVE)]

    return _each(runs, worst)


def upper_layers(runs: Runs, method: str) -> Outcome:
    """The SSIM is high whichever layer of the upper half is re-drawn: the rule where the interval reaches lowest."""

    def worst(title: str, run: Run) -> list[Outcome]:
        found = [_at(title, run, method, "ssim", stage) for stage in range(middle(run) + 1)]
        return [above(min(found, key=lambda one: one.low), INVARIANT)]

    return _each(runs, worst)


def upper_layers_more(runs: Runs, method: str) -> Outcome:
    """Likewise the SSIM above Gradient's on the same images."""

    def worst(title: str, run: Run) -> list[Outcome]:
        found = [_gain(title, run, method, "ssim", stage) for stage in range(middle(run) + 1)]
        return [above(min(found, key=lambda one: one.low), 0.0)]

    return _each(runs, worst)


def controlled(runs: Runs) -> Outcome:
    """The edge detector scores 1 under every metric at every stage, up to rounding."""
    furthest = {
        title: float(np.abs(run.result.scores[run.result.methods.index(CONTROL)] - 1).max())
        for title, run in runs.items()
    }
    ours = "; ".join(f"{title}: at most {value:.1e} from 1" for title, value in furthest.items())
    rule = f"every score is within {EXACT:g} of 1, which is rounding"
    return fact(all(value <= EXACT for value in furthest.values()), ours, rule)


def middle(run: Run) -> int:
    """The last stage of the upper half."""
    return (len(run.result.stages) - 1) // 2


def published(runs: Runs, pair: str, metric: str, stage: int | None = None) -> str:
    """The number of the published definition beside that of PAIR's code, in words.

    Args:
        runs: checks by title.
        pair: a key of `PAIR`.
        metric: a key of `METRICS`.
        stage: counted from 0, or None for the middle one.
    """
    words = [
        _at(title, run, PAIR[pair], metric, middle(run) if stage is None else stage).words()
        for title, run in runs.items()
    ]
    return f"{PAIR_REASON}; by the published definition: {'; '.join(words)}"


PAIR_REASON = (
    "judged on Grad-CAM as in the authors' tool, PAIR's saliency, whose sum of feature maps begins with ones (commit "
    "333d307a; 1f6fc55 begins with zeros, as published)"
)


def scores_of(run: Run, method: str, metric: str) -> Float[np.ndarray, "stage image trial"]:
    """The live scores of a method; none where the logit has no gradient at all, so that methods are compared alike."""
    dead = run.result.constant[run.result.methods.index("gradient")] > 0
    return np.where(dead, np.nan, live_scores(run.result, method, metric))


def _at(title: str, run: Run, method: str, metric: str, stage: int) -> Mean:
    what = f"{title}: {METRICS[metric]} of {title_of_method(method)} down to {run.result.stages[stage]}"
    return measure(what, scores_of(run, method, metric)[stage], "image", "trial")


def _last(title: str, run: Run, method: str, metric: str) -> Mean:
    what = f"{title}: {METRICS[metric]} of {title_of_method(method)}"
    return measure(what, scores_of(run, method, metric)[-1], "image", "trial")


def _gain(title: str, run: Run, method: str, metric: str, stage: int) -> Mean:
    both = (scores_of(run, name, metric)[stage] for name in (method, "gradient"))
    one, other = both
    what = f"{title}: {METRICS[metric]} of {title_of_method(method)} less that of Gradient"
    return measure(f"{what}, down to {run.result.stages[stage]}", one - other, "image", "trial")


def _each(runs: Runs, rule: Callable[[str, Run], Sequence[Outcome]]) -> Outcome:
    """The rule in every check."""
    return all_of(outcome for title, run in runs.items() for outcome in rule(title, run))

"""The rules by which claims are judged, each a function of one stored check."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from probatum.attributions import METHODS
from probatum.experiments.run_folder import Run
from probatum.report import Interval, bootstrap_interval
from probatum.reproductions.adebayo2018.setting import CONTROL
from probatum.reproductions.base import Claim, Finding
from probatum.reproductions.findings import estimate, joined, verdict

SENSITIVE = 0.5  # an ABS rank correlation below this is a changed map
INVARIANT = 0.7  # an SSIM above this is a map that stayed
NO_CORRELATION = 0.2  # a rank correlation this near to zero is none
EXACT = 1e-6  # how far the control may be from 1: rounding

PRODUCTS = ("input-x-gradient", "integrated-gradients")

_ALL = "with all weights re-drawn, the 95 % interval of"
RULE_SENSITIVE = f"{_ALL} the ABS rank correlation lies below {SENSITIVE} for each"
RULE_INVARIANT = (
    f"with the upper half of the stages re-drawn, the 95 % interval of SSIM lies above {INVARIANT}, and that of the "
    "gain over Gradient on the same images above 0"
)
RULE_SIGN_LOST = f"{_ALL} the signed rank correlation lies within ±{NO_CORRELATION} for each"
RULE_STRUCTURE = (
    f"{_ALL} the gain over Gradient on the same images lies above 0, in ABS rank correlation and in SSIM, for each"
)
RULE_HIGH = f"{RULE_STRUCTURE}, and that of both scores above {SENSITIVE}"
RULE_CONTROL = "the edge detector scores 1 under every metric at every stage, up to rounding"


@dataclass(frozen=True)
class Measured:
    """Result of a rule in one check: the number in words, and True if the rule is met."""

    ours: str
    met: bool


def sensitive(run: Run, methods: Sequence[str]) -> Measured:
    """`RULE_SENSITIVE`; a method that the network does not allow is passed over."""
    found = {name: mean_of(run, name, "spearman-abs", -1) for name in methods if name in run.result.methods}
    return Measured("ABS rank " + listed(found), all(one.high < SENSITIVE for one in found.values()))


def invariant(run: Run, method: str) -> Measured:
    """`RULE_INVARIANT`."""
    stage = (len(run.result.stages) - 1) // 2
    one, gain = mean_of(run, method, "ssim", stage), gain_of(run, method, "ssim", stage)
    ours = f"SSIM {estimate(one)} down to {run.result.stages[stage]}, gain {estimate(gain)}"
    return Measured(ours, bool(one.low > INVARIANT and gain.low > 0))


def sign_lost(run: Run, methods: Sequence[str]) -> Measured:
    """`RULE_SIGN_LOST`."""
    found = {name: mean_of(run, name, "spearman", -1) for name in methods}
    met = all(one.low > -NO_CORRELATION and one.high < NO_CORRELATION for one in found.values())
    return Measured("signed rank " + listed(found), met)


def structure_kept(run: Run, methods: Sequence[str], *, high: bool = False) -> Measured:
    """`RULE_STRUCTURE`, or `RULE_HIGH` where the scores themselves have to stay high."""
    ours, met = [], True
    for metric, title in (("spearman-abs", "ABS rank"), ("ssim", "SSIM")):
        found = {name: mean_of(run, name, metric, -1) for name in methods}
        reference = mean_of(run, "gradient", metric, -1)
        ours.append(f"{title} {listed(found)}, Gradient {reference.mean:.2f}")
        met &= all(gain_of(run, name, metric, -1).low > 0 for name in methods)
        met &= not high or all(one.low > SENSITIVE for one in found.values())
    return Measured("; ".join(ours), bool(met))


def controlled(run: Run) -> Measured:
    """`RULE_CONTROL`."""
    scores = run.result.scores[run.result.methods.index(CONTROL)]
    lowest = float(scores.min())
    return Measured(f"lowest score {lowest:.6f}", bool(np.abs(scores - 1).max() <= EXACT))


def scores_of(run: Run, method: str, metric: str) -> Float[np.ndarray, "stage image trial"]:
    """The scores of a method; NaN where a map is constant, or a logit has no gradient at all: nothing was explained.

    SqueezeNet's logits end in a ReLU, and a re-drawn one is often zero: all maps are, whatever the method.
    """
    constant = run.result.constant[run.result.methods.index(method)] > 0
    return np.where(_dead(run) | constant, np.nan, run.result.of(method, metric))


def mean_of(run: Run, method: str, metric: str, stage: int) -> Interval:
    """Mean score of a method at a stage, with its 95 % interval over images and trials."""
    return bootstrap_interval(scores_of(run, method, metric)[stage])


def gain_of(run: Run, method: str, metric: str, stage: int, other: str = "gradient") -> Interval:
    """Mean difference of two methods' scores on the same images and trials."""
    return bootstrap_interval((scores_of(run, method, metric) - scores_of(run, other, metric))[stage])


def _dead(run: Run) -> Bool[np.ndarray, "stage image trial"]:
    """Where the map of Gradient is constant."""
    return np.asarray(run.result.constant[run.result.methods.index("gradient")] > 0)


def listed(found: Mapping[str, Interval]) -> str:
    """Methods with their scores, in words."""
    return ", ".join(f"{METHODS[name].title} {estimate(one)}" for name, one in found.items())


def exceptions(run: Run, methods: Sequence[str]) -> str:
    """How many comparisons had no gradient or a constant map, in words; empty where none had."""
    dead = _dead(run)
    parts = (
        [f"{int(dead.sum())} of {dead.size} comparisons left out, whose logit has no gradient"] if dead.any() else []
    )
    for name in methods:
        if name in run.result.methods:
            constant = (run.result.constant[run.result.methods.index(name)] > 0) & ~dead
            parts += (
                [f"{METHODS[name].title} constant in {int(constant.sum())} comparisons, left out"]
                if constant.any()
                else []
            )
    return "; ".join(parts)


def conclude(claim: Claim, measured: Mapping[str, Measured], rule: str, *notes: str) -> Finding:
    """Judge a claim over several checks: it is reproduced if every check meets the rule.

    Args:
        claim: the claim.
        measured: by the title of the check.
        rule: in words.
        notes: substitutions and exceptions, in words; empty ones are left out.
    """
    failed = [title for title, one in measured.items() if not one.met]
    why = f"rule: {rule}" + (f"; missed by {', '.join(failed)}" if failed and len(measured) > 1 else "")
    ours = "; ".join(f"{title}: {one.ours}" for title, one in measured.items())
    return Finding(claim, ours, verdict(not failed), joined(why, *notes))

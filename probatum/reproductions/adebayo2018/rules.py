"""Stored checks of parameter randomization, and the rules that judge the paper's claims on them.

The paper mostly reads its claims off its figures by eye; each rule measures one thing in every check.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from probatum.experiments import Run, SanityResult, read_run
from probatum.reproductions.adebayo2018.setting import CONTROL, PAIR, title_of_method
from probatum.reproductions.base import Role
from probatum.reproductions.results import Claims, Results
from probatum.reproductions.rules import (
    Mean,
    Outcome,
    above,
    all_of,
    below,
    between,
    fact,
    live_scores,
    measure,
    worst,
)

SENSITIVE = 0.5  # an ABS rank correlation below this is a changed map
INVARIANT = 0.7  # an SSIM above this is a map that stayed
NO_CORRELATION = 0.2  # a rank correlation this near to zero is none
EXACT = 1e-6  # how far the control may be from 1: rounding

METRICS = {"spearman-abs": "ABS rank correlation", "spearman": "signed rank correlation", "ssim": "SSIM"}
GUIDED = {"guided-backprop": "Guided Backprop", "guided-grad-cam": "Guided Grad-CAM"}
PRODUCTS = ("input-x-gradient", "integrated-gradients")
PRODUCTS_KEEP = "Input × Gradient and Integrated Gradients keep the structure of the input when nothing trained is left"
PAIR_NOTE = (
    "Grad-CAM as in the authors' tool, PAIR's saliency, whose sum of feature maps begins with ones (commit 333d307a; "
    "1f6fc55 begins with zeros, as published)"
)


@dataclass(frozen=True, eq=False)
class Check:
    """A network whose weights were randomized stage by stage, with the scores of all methods.

    Args:
        title: the network and its data.
        result: of the check.
        order: of the randomization: "independent" re-draws one stage alone, "cascading" those above it too.
    """

    title: str
    result: SanityResult
    order: str = "cascading"

    @property
    def upper(self) -> range:
        """The stages of the upper half."""
        return range((len(self.result.stages) + 1) // 2)

    def scores(self, method: str, metric: str) -> Float[np.ndarray, "stage image trial"]:
        """The live scores of a method; none where the logit has no gradient, so that methods are compared alike."""
        dead = self.result.constant[self.result.methods.index("gradient")] > 0
        return np.where(dead, np.nan, live_scores(self.result, method, metric))

    def last(self, method: str, metric: str) -> Mean:
        """The mean with all weights re-drawn."""
        return self._mean(f"{METRICS[metric]} of {title_of_method(method)}", self.scores(method, metric)[-1])

    def at(self, method: str, metric: str, stage: int) -> Mean:
        """The mean at a stage."""
        what = f"{METRICS[metric]} of {title_of_method(method)} {self._randomized(stage)}"
        return self._mean(what, self.scores(method, metric)[stage])

    def gain(self, method: str, metric: str, stage: int) -> Mean:
        """The mean at a stage less Gradient's on the same images."""
        what = f"{METRICS[metric]} of {title_of_method(method)} less Gradient's"
        one, other = (self.scores(name, metric)[stage] for name in (method, "gradient"))
        return self._mean(f"{what}, {self._randomized(stage)}", one - other)

    def _randomized(self, stage: int) -> str:
        name = self.result.stages[stage]
        return f"with {name} alone re-drawn" if self.order == "independent" else f"re-drawn down to {name}"

    def _mean(self, what: str, scores: Float[np.ndarray, "image trial"]) -> Mean:
        return measure(f"{self.title}: {what}", scores, "image", "trial")


class Checks(Results):
    """The checks of an experiment, a folder for each."""

    @property
    def names(self) -> list[str]:
        """The folders."""
        return list(self.facts["checks"])

    @cached_property
    def runs(self) -> list[Run]:
        """The checks as they were stored."""
        return [read_run(self.folder / name) for name in self.names]

    @property
    def checks(self) -> list[Check]:
        """The checks, to be judged."""
        return [Check(run.config["title"], run.result, run.config["order"]) for run in self.runs]

    def each(self, rule: Callable[[Check, str], Outcome], *methods: str) -> Outcome:
        """The rule on every method in every check that has it."""
        pairs = ((check, method) for check in self.checks for method in methods if method in check.result.methods)
        return all_of(rule(check, method) for check, method in pairs)


def authors(method: str) -> str:
    """A method as the authors' tool has it: Grad-CAM and Guided Grad-CAM differ from the published ones."""
    return f"{method}-pair" if f"{method}-pair" in PAIR else method


def as_authors(judge: Callable[[str], Outcome], method: str) -> Outcome:
    """The rule on a method as the authors' tool has it, with the number of the published one in a note."""
    own = authors(method)
    if own == method:
        return judge(method)
    return judge(own).noting(PAIR_NOTE, f"by the published definition {judge(method).number}")


def changed(method: str, found: Checks) -> Outcome:
    """With all weights re-drawn, the maps have another ABS rank order."""

    def rule(check: Check, own: str) -> Outcome:
        return below(check.last(own, "spearman-abs"), SENSITIVE)

    return as_authors(lambda own: found.each(rule, own), method)


def stays(method: str, found: Checks) -> Outcome:
    """With the upper half of the stages re-drawn, the SSIM is high."""

    def rule(check: Check, own: str) -> Outcome:
        return above(check.at(own, "ssim", check.upper[-1]), INVARIANT)

    return as_authors(lambda own: found.each(rule, own), method)


def stays_more(method: str, found: Checks) -> Outcome:
    """With the upper half of the stages re-drawn, the SSIM is above Gradient's on the same images."""

    def rule(check: Check, own: str) -> Outcome:
        return above(check.gain(own, "ssim", check.upper[-1]), 0.0)

    return as_authors(lambda own: found.each(rule, own), method)


def sign_lost(found: Checks) -> Outcome:
    """With all weights re-drawn, the signed rank correlation of the products is near 0."""
    near = NO_CORRELATION
    return found.each(lambda check, method: between(check.last(method, "spearman"), -near, near), *PRODUCTS)


def kept(metric: str, found: Checks) -> Outcome:
    """With all weights re-drawn, the similarity of the products stays high."""
    return found.each(lambda check, method: above(check.last(method, metric), SENSITIVE), *PRODUCTS)


def kept_more(metric: str, found: Checks) -> Outcome:
    """With all weights re-drawn, the products keep more than Gradient on the same images."""
    return found.each(lambda check, method: above(check.gain(method, metric, -1), 0.0), *PRODUCTS)


def each_layer(found: Checks) -> Outcome:
    """Gradient changes with every single layer."""

    def rule(check: Check, method: str) -> Outcome:
        layers = range(len(check.result.stages))
        return worst(below(check.at(method, "spearman-abs", layer), SENSITIVE) for layer in layers)

    return found.each(rule, "gradient")


def upper_layers(found: Checks) -> Outcome:
    """Guided Backprop's SSIM is high whichever upper layer is re-drawn."""
    return found.each(
        lambda check, method: worst(above(check.at(method, "ssim", layer), INVARIANT) for layer in check.upper),
        "guided-backprop",
    )


def upper_layers_more(found: Checks) -> Outcome:
    """Likewise its SSIM above Gradient's on the same images."""
    return found.each(
        lambda check, method: worst(above(check.gain(method, "ssim", layer), 0.0) for layer in check.upper),
        "guided-backprop",
    )


def controlled(found: Checks) -> Outcome:
    """The edge detector scores 1 under every metric at every stage, up to rounding."""
    furthest = {
        check.title: float(np.abs(check.result.scores[check.result.methods.index(CONTROL)] - 1).max())
        for check in found.checks
    }
    ours = "; ".join(f"{title}: at most {value:.1e} from 1" for title, value in furthest.items())
    rule = f"every score is within {EXACT:g} of 1, which is rounding"
    return fact(all(value <= EXACT for value in furthest.values()), ours, rule)


def cascade_claims(claims: Claims[Checks], name: str, changing: dict[str, str], changes: str, steady: str) -> None:
    """Add the claims that the paper makes of every cascade.

    Args:
        claims: of an experiment.
        name: begins the names of the claims.
        changing: titles of the methods that depend on the weights.
        changes: what the paper sees of them.
        steady: what it sees of the guided methods.
    """
    roles: dict[str, Role] = dict.fromkeys((*changing, *GUIDED), "result")
    roles |= {"gradient": "main result", "guided-backprop": "main result"}
    claims.each(changing, f"{name}-{{key}}", "{title} depends on the weights.", changes, role=roles)(changed)
    hardly = "{title} hardly depends on the weights of the higher layers."
    claims.each(GUIDED, f"{name}-{{key}}", hardly, steady, role=roles)(stays)
    less = "{title} depends on the weights of the higher layers less than Gradient does."
    claims.each(GUIDED, f"{name}-{{key}}-above", less, steady)(stays_more)
    claims(
        f"{name}-sign",
        "The signs in Input × Gradient and Integrated Gradients depend on the weights.",
        "signed rank correlation falls to about 0",
    )(sign_lost)


def control_claim(claims: Claims[Checks], name: str) -> None:
    """Add the control of every randomization."""
    claims(
        name,
        "An edge detector does not depend on the model, so no randomization changes its map.",
        "similarity 1 by construction",
        where="edge detectors",
        about=(),
        role="self-test",
    )(controlled)

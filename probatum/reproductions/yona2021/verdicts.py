"""The claims of the paper, and the rules by which the stored scores judge them."""

from pathlib import Path

import numpy as np

from probatum.report import bootstrap_interval
from probatum.reproductions.base import Claim, Finding
from probatum.reproductions.findings import estimate, joined, verdict
from probatum.reproductions.yona2021.results import ABSOLUTE, GBP, GRADIENT, SIGNED, Stored

AS_CLEAR = 0.8  # of the Gradient's excess, which Guided Backprop must reach to tell the models apart as clearly

_EFFECT = "Λ, equation 1, is non-zero for Guided Backprop and for the Gradient"
_CLEAR = "Guided Backprop tells the trained from the random model as clearly as the Gradient does"
_SEEN = "seen in the figure"
CLAIMS = {
    claim.name: claim
    for claim in (
        Claim("digit accuracy", "section 4.1", "a CNN learns the digits", "near-perfect accuracy"),
        Claim("half accuracy", "section 4.1", "the CNN learns to tell halved digits", "perfect accuracy"),
        Claim(
            "digit difference",
            "section 4.1",
            "for Guided Backprop on a digit, the model trained on digits and a random one differ little",
            "approximately zero",
        ),
        Claim(
            "half difference",
            "Figure 1",
            "for Guided Backprop on a digit, the model trained on halved digits and a random one differ much",
            "far from zero",
        ),
        Claim("half effect", "section 4.1", f"on digits, {_EFFECT}", _SEEN),
        Claim("half as clear", "section 4", f"on digits, {_CLEAR}", _SEEN),
        Claim("shape accuracy", "section 4.2", "the CNN learns to name the shape on a digit", "test accuracy 0.99"),
        Claim("digit on shapes accuracy", "section 4.2", "the CNN learns the digits with shapes", "test accuracy 0.99"),
        Claim("shapes region GBP", "Figure 2", "Guided Backprop highlights the object that decides", _SEEN),
        Claim("shapes region Gradient", "Figure 2", "the Gradient highlights the object that decides", _SEEN),
        Claim("shapes effect", "Figure 2", f"on digits with shapes, {_EFFECT}", _SEEN),
        Claim("shapes as clear", "section 4", f"on digits with shapes, {_CLEAR}", _SEEN),
        Claim("pair accuracy", "section 4.2", "a fine-tuned ResNet-18 learns the pairs", "test accuracy about 0.77"),
        Claim("pairs region GBP", "Figure 3", "Guided Backprop focuses on the image that decides", _SEEN),
        Claim("pairs region Gradient", "Figure 3", "the Gradient focuses on the image that decides", _SEEN),
        Claim("pairs baselines", "Figure 3", "models not trained on the pairs show both images", _SEEN),
        Claim("pairs effect", "Figure 3", f"on pairs of photographs, {_EFFECT}", _SEEN),
        Claim("pairs as clear", "section 4", f"on pairs of photographs, {_CLEAR}", _SEEN),
    )
}


def judge_half(folder: Path) -> list[Finding]:
    """The claims of section 4.1."""
    stored = Stored(folder)
    digit, half = stored.trained.index("digit"), stored.trained.index("half")
    near = stored.scores("distance", ABSOLUTE, GBP, digit)
    far = stored.scores("distance", ABSOLUTE, GBP, half)
    floor = stored.scores("distance_floor", ABSOLUTE, GBP)
    above_near, above_far = bootstrap_interval(near - floor), bootstrap_interval(far - floor)
    apart = bootstrap_interval(far - near)
    numbers = f"{estimate(bootstrap_interval(near))} for digits, {estimate(bootstrap_interval(far))} for halved digits"
    numbers += f", {estimate(bootstrap_interval(floor))} between untrained models"
    return [
        _accuracy(stored, "digit accuracy", "digit", 0.98),
        _accuracy(stored, "half accuracy", "half", 0.995),
        _finding(
            stored,
            "digit difference",
            numbers,
            bool(above_near.high < 0.1),
            "rule: the distance, less that between untrained models, has an interval below 0.1 of at most 1.41; "
            f"it is {estimate(above_near)}",
        ),
        _finding(
            stored,
            "half difference",
            numbers,
            bool(above_far.low > 0.1 and apart.low > 0),
            "rule: that excess has an interval above 0.1 for halved digits, and the distance exceeds that for digits; "
            f"the excess is {estimate(above_far)}, the distance {estimate(apart)} larger",
        ),
        _effect(stored, "half effect"),
        _as_clear(stored, "half as clear"),
    ]


def judge_shapes(folder: Path) -> list[Finding]:
    """The claims of section 4.2 on digits with shapes."""
    stored = Stored(folder)
    return [
        _accuracy(stored, "shape accuracy", "shape", 0.99),
        _accuracy(stored, "digit on shapes accuracy", "digit", 0.99),
        _regions(stored, "shapes region GBP", GBP, ["shape", "digit"]),
        _regions(stored, "shapes region Gradient", GRADIENT, ["shape", "digit"]),
        _effect(stored, "shapes effect"),
        _as_clear(stored, "shapes as clear"),
    ]


def judge_pairs(folder: Path) -> list[Finding]:
    """The claims of section 4.2 on pairs."""
    stored = Stored(folder)
    baselines: list[tuple[str, int | None]] = [("random", None)]
    baselines += [(name, stored.trained.index(name)) for name in ("start", "imagenet") if name in stored.trained]
    names = {"random": "random", "start": "pretrained", "imagenet": "pretrained, ImageNet class"}
    shares = {
        (name, method): bootstrap_interval(stored.share(m, model, 0))
        for name, model in baselines
        for m, method in enumerate(stored.methods)
    }
    numbers = [f"{names[name]}, {method}: {estimate(share)}" for (name, method), share in shares.items()]
    return [
        _accuracy(stored, "pair accuracy", "pairs", 0.77),
        _regions(stored, "pairs region GBP", GBP, ["pairs"]),
        _regions(stored, "pairs region Gradient", GRADIENT, ["pairs"]),
        _finding(
            stored,
            "pairs baselines",
            "share in the deciding image: " + "; ".join(numbers),
            all(bool(0.4 <= share.mean <= 0.6) for (name, _), share in shares.items() if name != "imagenet"),
            "rule: every mean share lies in [0.4, 0.6], but for the network that is asked for the ImageNet class",
        ),
        _effect(stored, "pairs effect"),
        _as_clear(stored, "pairs as clear"),
    ]


def _finding(stored: Stored, name: str, ours: str, holds: bool, why: str) -> Finding:
    """Judge a claim and name the substitution."""
    facts = stored.facts
    if facts["comparable"]:
        return Finding(CLAIMS[name], ours, verdict(holds), joined(why, facts["substitution"]))
    outcome = "met" if holds else "missed"
    return Finding(CLAIMS[name], ours, "not comparable", joined(facts["substitution"], f"{why} ({outcome})"))


def _accuracy(stored: Stored, name: str, model: str, least: float) -> Finding:
    value = float(stored.facts["accuracies"][model])
    rule = f"rule: at least {least:g}, in the best epoch on these very images, where training may have stopped"
    return _finding(stored, name, f"test accuracy {value:.4f}", value >= least, rule)


def _effect(stored: Stored, name: str) -> Finding:
    """Judge if Λ is larger than for untrained models instead of the trained ones, for both methods."""
    excess = [bootstrap_interval(_excess(stored, ABSOLUTE, method)) for method in (GBP, GRADIENT)]
    return _finding(
        stored,
        name,
        _sizes(stored),
        all(bool(interval.low > 0) for interval in excess),
        "rule: ‖Λ‖ less the same with untrained models instead of the trained ones has an interval above 0 for both; "
        f"{stored.methods[GBP]} {estimate(excess[GBP])}, {stored.methods[GRADIENT]} {estimate(excess[GRADIENT])}",
    )


def _as_clear(stored: Stored, name: str) -> Finding:
    """Judge if Guided Backprop's excess of ‖Λ‖ over its floor is above 0 and not much smaller than the Gradient's.

    Not ‖Λ‖ itself: it is largest for maps of pure noise, which no training changes.
    """
    own = _excess(stored, ABSOLUTE, GBP)
    margin = bootstrap_interval(own - AS_CLEAR * _excess(stored, ABSOLUTE, GRADIENT))
    excess = bootstrap_interval(own)
    return _finding(
        stored,
        name,
        _sizes(stored),
        bool(margin.low > 0 and excess.low > 0),
        "rule: Guided Backprop's ‖Λ‖ less the same with untrained models, and that excess less "
        f"{AS_CLEAR:g} of the Gradient's, have intervals above 0; they are {estimate(excess)} and {estimate(margin)}",
    )


def _regions(stored: Stored, name: str, method: int, models: list[str]) -> Finding:
    """Judge if each model's map lies in its own region more than untrained models' maps and more than chance."""
    parts, holds = [], True
    for region, model in enumerate(models):
        own = stored.share(method, stored.trained.index(model), region)
        others = stored.share(method, None, region)
        area = stored.arrays["area"][region][stored.arrays["counted"]][:, None]
        above, beyond = bootstrap_interval(own - others), bootstrap_interval(own - area)
        holds = holds and bool(above.low > 0 and beyond.low > 0)
        parts.append(
            f"{stored.regions[region]}: trained {estimate(bootstrap_interval(own))}, "
            f"untrained {estimate(bootstrap_interval(others))}, area {area.mean():.2f}"
        )
    why = "rule: the share of the map in its region less that of untrained models, and less the region's share of the "
    return _finding(stored, name, "; ".join(parts), holds, why + "area, have intervals above 0")


def _excess(stored: Stored, reduction: int, method: int) -> np.ndarray:
    excess: np.ndarray = stored.scores("effect", reduction, method) - stored.scores("effect_floor", reduction, method)
    return excess


def _sizes(stored: Stored) -> str:
    """‖Λ‖ of both methods in words."""
    parts = []
    for method, title in enumerate(stored.methods):
        own = bootstrap_interval(stored.scores("effect", ABSOLUTE, method))
        floor = bootstrap_interval(stored.scores("effect_floor", ABSOLUTE, method))
        signed = bootstrap_interval(stored.scores("effect", SIGNED, method))
        parts.append(
            f"{title} ‖Λ‖ {estimate(own)}, untrained {float(floor.mean):.2f} (signed maps {float(signed.mean):.2f})"
        )
    return "; ".join(parts) + (f"; {stored.undefined} scores undefined" if stored.undefined[0] != "0" else "")

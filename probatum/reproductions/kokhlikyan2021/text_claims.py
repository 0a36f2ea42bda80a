"""The paper's claims on text under cascading randomization, and the rules that judge them."""

import math
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from probatum.experiments.text.cascade import METRICS
from probatum.reproductions.base import Claim, Finding, read_facts, stored_arrays
from probatum.reproductions.kokhlikyan2021.judging import Judged, findings, worst
from probatum.reproductions.kokhlikyan2021.text_subject import TEXT
from probatum.reproductions.kokhlikyan2021.variants import IG_TITLES
from probatum.reproductions.rules import Mean, Outcome, above, all_of, below, between, fact, measure, ratio

NEAR_ZERO = 0.2
"""A mean within ± this is close to zero: unrelated scores of ten words correlate by about ±1/√10 = ±0.3."""
ABOVE_CHANCE = 0.1
FLAT = 0.9
"""A |cosine| with equal scores for all tokens above which scores hardly distinguish words."""
NOTHING = 1e-6  # squared logits: the rounding error of complete scores
LOW = 1.5  # a score "stays low" up to this multiple of the trained classifier's


def chance_cosine(directions: Int[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
    """Mean |cosine| of a fixed and a random direction in n dimensions: Γ(n/2) / (√π Γ((n + 1)/2))."""
    values = [math.exp(math.lgamma(n / 2) - math.lgamma((n + 1) / 2)) / math.sqrt(math.pi) for n in directions.flat]
    return np.array(values).reshape(directions.shape)


def _claim(name: str, where: str, statement: str, paper: str) -> Claim:
    return Claim(f"text-{name}", where, statement, paper, TEXT)


COSINE = {
    key: _claim(
        f"cosine-zero-{key}",
        "Figure 3, section 3",
        f"For text the cosine of {title} is close to zero from the first randomized layer on.",
        "medians close to zero",
    )
    for key, title in IG_TITLES.items()
}
DISSIMILAR = _claim(
    "dissimilar",
    "Figure 3, section 3",
    "Explanations of text differ from the original ones from the first randomized layer on.",
    "concluded from the medians",
)
MULTIPLIER = _claim(
    "no-multiplier",
    "Figure 3, section 3",
    "Unlike for images, global IG keeps no more similarity than local IG.",
    "both are sensitive to the parameters",
)
EUCLIDEAN = {
    key: _claim(
        f"euclidean-{key}",
        "Figure 8, appendix B",
        f"By Euclidean distance, explanations of {title} are dissimilar directly after the first layer.",
        "seen by eye",
    )
    for key, title in IG_TITLES.items()
}
RANKS = {
    key: _claim(
        f"spearman-zero-{key}",
        "Figure 11, appendix B",
        f"The rank correlation of {title} is close to zero.",
        "medians close to zero, with more variance than for images",
    )
    for key, title in IG_TITLES.items()
}
INFIDELITY = {
    key: _claim(
        f"infidelity-low-{key}",
        "Figure 3, table 2",
        f"Infidelity of {title} stays low or decreases when layers are randomized.",
        "0.1 to 1.5 times the original",
    )
    for key, title in IG_TITLES.items()
}
SENSITIVITY = {
    key: _claim(
        f"sensitivity-low-{key}",
        "Figure 3, table 2",
        f"Max-sensitivity of {title} stays low or decreases when layers are randomized.",
        "0.8 to 1.0 times the original",
    )
    for key, title in IG_TITLES.items()
}
UNITS = ("sentence", "trial")


def judge(folder: Path) -> list[Finding]:
    """Judge the claims on text under randomization."""
    facts, arrays = read_facts(folder), stored_arrays(folder)
    live = np.where(arrays["constant"][:, None] > 0, np.nan, arrays["scores"])
    scores = {key: live[:, METRICS.index(key)] for key in METRICS}  # (method, stage, sentence, trial)
    quality, stages = arrays["quality"], facts["stages"]
    judged = [_dissimilar(stages, scores["cosine"], arrays["directions"]), _multiplier(scores["cosine"])]
    for m, key in enumerate(IG_TITLES):
        judged += [
            Judged(COSINE[key], _near_zero("cosine", stages, scores["cosine"][m])),
            Judged(RANKS[key], _near_zero("rank correlation", stages, scores["spearman"][m])),
            Judged(EUCLIDEAN[key], _far("distance of scores of length 1", stages, scores["euclidean"][m])),
            Judged(INFIDELITY[key], _low("infidelity", stages, quality[m, 0], NOTHING)),
            Judged(SENSITIVITY[key], _low("max-sensitivity", stages, quality[m, 1])),
        ]
    notes = []
    if constant := int((arrays["constant"] > 0).sum()):
        notes.append(f"{constant} of {arrays['constant'].size} comparisons had constant scores, left out")
    if undefined := int(np.isnan(quality).sum()):
        notes.append(f"{undefined} of {quality.size} infidelities and max-sensitivities are undefined")
    for variant, flatness in zip(("global", "local"), arrays["flatness"].mean(axis=1), strict=True):
        if flatness >= FLAT:
            notes.append(
                f"the trained classifier's {variant} scores are nearly the same for all tokens (cosine with equal "
                f"scores: {flatness:.2f}), so they hardly distinguish words, and agree or disagree as a whole"
            )
    return findings(facts, judged, "; ".join(notes))


def _furthest(
    what: str, stages: list[str], scores: Float[np.ndarray, "stage sentence trial"], *, high: bool, first: int = 0
) -> Mean:
    """The mean over sentences and trials at the stage whose interval reaches furthest against the rule."""
    return worst(what, stages, lambda words, row: measure(words, scores[row], *UNITS), first, high=high)


def _near_zero(what: str, stages: list[str], scores: Float[np.ndarray, "stage sentence trial"]) -> Outcome:
    """Judge the mean at the stages where it is lowest and highest."""
    ends = [_furthest(what, stages, scores, high=high) for high in (False, True)]
    return all_of(between(mean, -NEAR_ZERO, NEAR_ZERO) for mean in ends)


def _far(what: str, stages: list[str], scores: Float[np.ndarray, "stage sentence trial"]) -> Outcome:
    """Judge the distance at the stage where it is least; that of unrelated scores is √2."""
    return above(_furthest(what, stages, scores, high=False), 1.0)


def _dissimilar(
    stages: list[str], cosines: Float[np.ndarray, "method stage sentence trial"], directions: np.ndarray
) -> Judged:
    """Judge absolute cosines above chance, since cosines of +1 and −1 in turn have a mean of zero."""
    excess = np.abs(cosines) - chance_cosine(directions)[:, None, :, None]
    what = "|cosine| of {} less that of random directions in as many words"
    ends = [_furthest(what.format(t), stages, excess[m], high=True) for m, t in enumerate(IG_TITLES.values())]
    return Judged(DISSIMILAR, all_of(below(mean, ABOVE_CHANCE) for mean in ends))


def _multiplier(cosines: Float[np.ndarray, "method stage sentence trial"]) -> Judged:
    gaps = np.nanmean(np.abs(cosines[0]) - np.abs(cosines[1]), axis=0)  # (sentence, trial)
    gap = measure("|cosine| over all stages, global less local", gaps, *UNITS)
    return Judged(MULTIPLIER, below(gap, ABOVE_CHANCE))


def _low(
    what: str, stages: list[str], scores: Float[np.ndarray, "stage sentence trial"], least: float = 0.0
) -> Outcome:
    """Judge the ratio to the trained classifier's where it is highest; scores up to `least` are rounding error."""
    means = np.nanmean(scores, axis=(1, 2))
    rows = [0, *(row for row in range(1, len(means)) if means[row] > least)]
    if len(rows) == 1:
        return fact(True, f"{what} at most {means[1:].max():.1e}", f"it is at most {least:g}, the rounding error")
    title = f"{what} / that of the trained classifier"
    names = [["original", *stages][row] for row in rows]
    kept = scores[rows]
    return below(worst(title, names, lambda words, row: ratio(words, kept[row], kept[0], *UNITS), 1, high=True), LOW)

"""The paper's claims on text under cascading randomization, and the rules that judge them."""

import math
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from probatum.experiments.text.cascade import METRICS
from probatum.report import bootstrap_interval
from probatum.reproductions.base import Claim, Finding, read_facts, stored_arrays
from probatum.reproductions.kokhlikyan2021.judging import Judged, findings, number

NEAR_ZERO = 0.2
"""A median within ± this is close to zero: unrelated scores of ten words correlate by about ±1/√10 = ±0.3."""
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
    return Claim(f"text-{name}", where, statement, paper)


COSINE = _claim(
    "cosine-zero",
    "Figure 3, section 3",
    "For text the median cosine of both variants of IG is close to zero from the first randomized layer on.",
    "close to zero",
)
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
EUCLIDEAN = _claim(
    "euclidean",
    "Figure 8, appendix B",
    "By Euclidean distance, explanations are dissimilar directly after the first layer, for global and local IG.",
    "seen by eye",
)
MEAN = _claim(
    "ten-sentences",
    "Figure 9, appendix B",
    "The mean cosine of ten sentences behaves like that of one: close to zero for both variants.",
    "patterns similar to those of one sentence",
)
RANKS = _claim(
    "spearman-zero",
    "Figure 11, appendix B",
    "The median rank correlation is close to zero for both variants.",
    "close to zero, with more variance than for images",
)
INFIDELITY = _claim(
    "infidelity-low",
    "Figure 3, table 2",
    "Infidelity stays low or decreases when layers are randomized, for both variants.",
    "0.1 to 1.5 times the original",
)
SENSITIVITY = _claim(
    "sensitivity-low",
    "Figure 3, table 2",
    "Max-sensitivity stays low or decreases when layers are randomized, for both variants.",
    "0.8 to 1.0 times the original",
)


def judge(folder: Path) -> list[Finding]:
    """Judge the eight claims."""
    facts, arrays = read_facts(folder), stored_arrays(folder)
    scores = {key: arrays["scores"][:, METRICS.index(key)] for key in METRICS}  # (method, stage, sentence, trial)
    quality = arrays["quality"]
    judged = [
        _medians(COSINE, np.median(scores["cosine"], axis=(2, 3)), "of the cosine over sentences and trials"),
        _dissimilar(scores["cosine"], arrays["directions"]),
        _multiplier(scores["cosine"]),
        _euclidean(scores["euclidean"]),
        _medians(
            MEAN, np.median(scores["cosine"].mean(axis=2), axis=2), "over trials of the cosine's mean over sentences"
        ),
        _medians(
            RANKS,
            np.median(scores["spearman"], axis=(2, 3)),
            "of the rank correlation over sentences and trials",
            f" (standard deviation {scores['spearman'].std(axis=(2, 3)).mean():.2f})",
        ),
        _low(INFIDELITY, quality[:, 0], "infidelity is a square of logits and grows with their scale", NOTHING),
        _low(SENSITIVITY, quality[:, 1], "relative to the length of the scores"),
    ]
    notes = []
    if constant := int((arrays["constant"] > 0).sum()):
        notes.append(f"{constant} of {arrays['constant'].size} comparisons had constant scores")
    if undefined := int(np.isnan(quality).sum()):
        notes.append(f"{undefined} of {quality.size} infidelities and max-sensitivities are undefined")
    for variant, flatness in zip(("global", "local"), arrays["flatness"].mean(axis=1), strict=True):
        if flatness >= FLAT:
            notes.append(
                f"the trained classifier's {variant} scores are nearly the same for all tokens (cosine with equal "
                f"scores: {flatness:.2f}), so they hardly distinguish words, and agree or disagree as a whole"
            )
    return findings(facts, judged, "; ".join(notes))


def _medians(claim: Claim, medians: Float[np.ndarray, "method stage"], what: str, more: str = "") -> Judged:
    furthest = [float(row[np.abs(row).argmax()]) for row in medians]
    return Judged(
        claim,
        f"median furthest from zero: global {furthest[0]:.2f}, local {furthest[1]:.2f}{more}",
        bool((np.abs(medians) <= NEAR_ZERO).all()),
        f"rule: the median {what} lies within ±{NEAR_ZERO} at every stage, for both",
    )


def _dissimilar(cosines: Float[np.ndarray, "method stage sentence trial"], directions: np.ndarray) -> Judged:
    """Judge absolute cosines, since cosines near +1 and −1 can also have a median of zero."""
    sizes, chance = np.abs(cosines).mean(axis=3), chance_cosine(directions)  # (method, stage, sentence)
    excess = (sizes - chance[:, None]).mean(axis=2)
    held = (excess <= ABOVE_CHANCE).all(axis=0)  # (stage,)
    missed = np.flatnonzero(~held).max(initial=-1) + 1  # stages up to the last at which the rule is missed
    since = f"from stage {missed + 1} of {len(held)} on" if missed < len(held) else "not even at the last stage"
    return Judged(
        DISSIMILAR,
        f"mean |cosine| after the first stage: global {sizes[0, 0].mean():.2f}, local {sizes[1, 0].mean():.2f}; of "
        f"random directions: {chance[0].mean():.2f}, {chance[1].mean():.2f}; the rule is met {since}",
        bool(held.all()),
        f"rule: the mean |cosine| is at most {ABOVE_CHANCE} above that of random directions in as many words at every "
        "stage, for both; absolute values, since cosines of +1 and −1 in turn have a median of zero",
    )


def _multiplier(cosines: Float[np.ndarray, "method stage sentence trial"]) -> Judged:
    gaps = (np.abs(cosines[0]) - np.abs(cosines[1])).mean(axis=0)  # (sentence, trial)
    mean, low, high = (float(end) for end in bootstrap_interval(gaps))
    return Judged(
        MULTIPLIER,
        f"mean |cosine|, global less local: {mean:+.2f} [{low:+.2f}, {high:+.2f}]",
        high <= ABOVE_CHANCE,
        f"rule: the 95 % interval of the difference, over all stages, ends at or below {ABOVE_CHANCE}",
    )


def _euclidean(distances: Float[np.ndarray, "method stage sentence trial"]) -> Judged:
    medians = np.median(distances, axis=(2, 3))
    return Judged(
        EUCLIDEAN,
        f"median after the first stage: global {medians[0, 0]:.2f}, local {medians[1, 0]:.2f}; least at any stage: "
        f"{medians[0].min():.2f}, {medians[1].min():.2f}",
        bool((medians >= 1).all()),
        "rule: the median distance of the scores, which have length 1, is at least 1 at every stage, for both; that of "
        "unrelated scores is √2",
    )


def _low(
    claim: Claim, scores: Float[np.ndarray, "method stage sentence trial"], unit: str, least: float = 0.0
) -> Judged:
    means = np.nanmean(scores, axis=(2, 3))
    ratios = means[:, 1:] / means[:, :1]
    ours = [
        f"{variant} {number(row.min())} to {number(row.max())} times the original's {number(mean)}"
        for variant, row, mean in zip(("global", "local"), ratios, means[:, 0], strict=True)
    ]
    return Judged(
        claim,
        ", ".join(ours),
        bool(((ratios <= LOW) | (means[:, 1:] <= least)).all()),
        f"rule: the mean over sentences and trials is at most {LOW} times that of the trained classifier"
        + (f", or at most {least:g} (rounding error)," if least else "")
        + f" at every stage, for both; {unit}",
    )

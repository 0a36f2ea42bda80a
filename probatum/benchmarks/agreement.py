"""How far several judges agree: Krippendorff's alpha, and the rank agreement of several rankings."""

from itertools import combinations

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata, spearmanr


def krippendorff_alpha(values: Float[np.ndarray, "judges units"]) -> float:
    """Krippendorff's alpha of interval data.

        α = 1 − D_o / D_e

    D_o is the mean squared difference of two values that different judges give to one unit, D_e that of two values of
    any units. 1 is perfect agreement, 0 that of chance.

    Source: Krippendorff, "Computing Krippendorff's alpha-reliability" (2011).

    Args:
        values: NaN where a judge gives none. Units with a single value take no part.

    Returns:
        at most 1; NaN where no two values differ or can be compared.
    """
    units = [column[np.isfinite(column)] for column in values.T]
    units = [unit for unit in units if len(unit) > 1]
    if not units:
        return np.nan
    every = np.concatenate(units)
    observed = sum(2 * len(unit) * _spread(unit) / (len(unit) - 1) for unit in units) / len(every)
    expected = 2 * len(every) * _spread(every) / (len(every) - 1) / len(every)
    return float(1 - observed / expected) if expected > 0 else np.nan


def reliability(scores: Float[np.ndarray, "methods images"]) -> float:
    """Krippendorff's alpha of the ranks in which images, as judges, put the methods (Tomsett et al. 2020).

    Source: Tomsett, Harborne, Chakraborty, Gurram & Preece, "Sanity checks for saliency metrics", arXiv:1912.01451.

    Args:
        scores: NaN where an image has no score of a method.
    """
    ranks = np.full(scores.shape, np.nan)
    for column, image in enumerate(scores.T):
        exists = np.isfinite(image)
        ranks[exists, column] = rankdata(image[exists])
    return krippendorff_alpha(ranks.T)


def rank_agreement(scores: Float[np.ndarray, "metrics methods"]) -> float:
    """The mean rank correlation of the orders in which pairs of metrics put the methods that have all scores."""
    whole = scores[:, np.isfinite(scores).all(axis=0)]
    if whole.shape[1] < 2:
        return np.nan
    found = [spearmanr(first, second).statistic for first, second in combinations(whole, 2)]
    return float(np.mean(found)) if found else np.nan


def _spread(values: Float[np.ndarray, " values"]) -> float:
    """Sum of squares about the mean."""
    return float(np.square(values - values.mean()).sum())

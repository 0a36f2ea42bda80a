"""Bootstrap intervals of a mean score whose observations are images seen under several trials."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from probatum.errors import InvalidInput

RESAMPLES = 2000
_BLOCK = 1 << 22  # entries of one block of nested resampling counts: 32 MiB as int64


class Interval(NamedTuple):
    """A mean with the two ends of its interval, each with the leading shape of the scores."""

    mean: Float[np.ndarray, "*stages"]
    low: Float[np.ndarray, "*stages"]
    high: Float[np.ndarray, "*stages"]


def bootstrap_interval(
    scores: Float[np.ndarray, "*stages images trials"],
    level: float = 0.95,
    seed: int = 0,
    *,
    resamples: int = RESAMPLES,
    shared_trials: bool = True,
) -> Interval:
    """Percentile bootstrap interval of the mean over images and trials.

    With shared trials, images and trials are resampled independently and every pair (image, trial) keeps its score:
    mean* = Σ_it u_i v_t s_it / Σ_it u_i v_t, where u and v count the draws with replacement (Owen,
    "The pigeonhole bootstrap", 2007, arXiv:0712.1111). Otherwise trials are resampled within each drawn image. All
    stages see the same draws.

    Measured on 4000 simulated tables of 50 images with shared trials (score = image + trial + rest, standard deviations
    0.1, 0.1 and 0.05) at a level of 0.95: the interval covers the true mean in 91 % of the tables with 10 trials, 87 %
    with 5 and 77 % with 3, so few trials make too short an interval. Resampling within images, wrong there, covers it
    in 60 %, 48 % and 40 %.

    Args:
        scores: one score per image and trial, after any leading axes; NaN marks an undefined score, which takes no part
            in the mean or in its resamples.
        level: share of the resampled means that lies inside the interval, in (0, 1).
        seed: seed of the draws.
        resamples: number of resampled means.
        shared_trials: trial t is one randomized model that saw all images; False where each image has its own.

    Returns:
        Mean, low and high. One single observation gives an interval of zero width, and one trial (or one image) an
        interval that ignores how much trials (or images) vary. All three are NaN where every score is undefined.

    Raises:
        InvalidInput: no observation, an infinite score, or a level or a number of resamples out of range.
    """
    if scores.ndim < 2 or 0 in scores.shape:
        raise InvalidInput(f"scores have shape {scores.shape}; give (..., images, trials) with at least one of each")
    if np.isinf(scores).any():
        raise InvalidInput("a score is infinite; an undefined score is marked by NaN")
    if not 0 < level < 1:
        raise InvalidInput(f"level is {level}; give a share between 0 and 1, such as 0.95")
    if resamples < 1:
        raise InvalidInput(f"resamples is {resamples}; give at least 1 (the default is {RESAMPLES})")

    images, trials = scores.shape[-2:]
    table = scores.astype(np.float64).reshape(-1, images, trials)
    defined = (~np.isnan(table)).astype(np.float64)
    # Distances from one of the scores, not the scores, so that equal scores have an interval of exactly zero width.
    flat = table.reshape(len(table), -1)
    origin = flat[np.arange(len(flat)), defined.reshape(flat.shape).argmax(axis=1)]
    table = np.where(defined > 0, table - origin[:, None, None], 0.0)
    centre = origin + _ratio(table.sum(axis=(1, 2)), defined.sum(axis=(1, 2)))

    generator = np.random.default_rng(seed)
    sums = _crossed_sums if shared_trials else _nested_sums
    total, count = sums(np.stack([table, defined]), resamples, generator)  # (stages, resamples) each
    low, high = origin + _quantiles(_ratio(total, count), ((1 - level) / 2, (1 + level) / 2))
    shape = scores.shape[:-2]
    return Interval(centre.reshape(shape), low.reshape(shape), high.reshape(shape))


def _crossed_sums(
    tables: Float[np.ndarray, "two stages images trials"], resamples: int, generator: np.random.Generator
) -> Float[np.ndarray, "two stages resamples"]:
    """Weighted sums of each table when images and trials are drawn independently."""
    images, trials = tables.shape[2:]
    image_counts = generator.multinomial(images, np.full(images, 1 / images), size=resamples).astype(np.float64)
    trial_counts = generator.multinomial(trials, np.full(trials, 1 / trials), size=resamples).astype(np.float64)
    return np.asarray(np.sum((image_counts @ tables) * trial_counts, axis=-1))


def _nested_sums(
    tables: Float[np.ndarray, "two stages images trials"], resamples: int, generator: np.random.Generator
) -> Float[np.ndarray, "two stages resamples"]:
    """Weighted sums of each table when every drawn image draws its own trials."""
    images, trials = tables.shape[2:]
    draws = trials * generator.multinomial(images, np.full(images, 1 / images), size=resamples)
    flat = tables.reshape(*tables.shape[:2], images * trials)
    blocks = []
    for part in np.array_split(draws, max(1, -(-draws.size * trials // _BLOCK))):
        counts = generator.multinomial(part, np.full(trials, 1 / trials))  # (part, images, trials)
        blocks.append(flat @ counts.reshape(len(part), -1).T.astype(np.float64))
    return np.concatenate(blocks, axis=-1)


def _ratio(total: np.ndarray, count: np.ndarray) -> Float[np.ndarray, "..."]:
    """`total / count`, NaN where nothing was counted."""
    ratio = np.full(total.shape, np.nan)
    np.divide(total, count, out=ratio, where=count > 0)
    return ratio


def _quantiles(means: Float[np.ndarray, "stages resamples"], levels: tuple[float, float]) -> np.ndarray:
    """Both quantiles of each row's defined means, (2, stages); NaN for a row without one."""
    ends = np.full((2, len(means)), np.nan)
    for stage, row in enumerate(means):
        if (kept := row[~np.isnan(row)]).size:
            ends[:, stage] = np.quantile(kept, levels)
    return ends


def ratio_interval(
    scores: Float[np.ndarray, " images"],
    limits: Float[np.ndarray, " images"],
    level: float = 0.95,
    seed: int = 0,
    *,
    resamples: int = RESAMPLES,
) -> tuple[float, float, float]:
    """Percentile bootstrap interval of mean score / mean limit, both means over the same drawn images.

    Args:
        scores: one for each image.
        limits: what each image's score is measured against; their mean is above zero.
        level: share of the resampled ratios that lies inside the interval, in (0, 1).
        seed: seed of the draws.
        resamples: number of resampled ratios.

    Returns:
        Ratio, low and high; one image gives an interval of zero width.

    Raises:
        InvalidInput: no image, a number that is not finite, or limits whose mean is not above zero.
    """
    if not len(scores) or not np.isfinite(scores).all() or not np.isfinite(limits).all():
        raise InvalidInput("a ratio needs at least one image, and finite scores and limits")
    if limits.mean() <= 0:
        raise InvalidInput(f"the limits have a mean of {limits.mean():.3g}, so there is no share of them")
    images = len(scores)
    counts = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=resamples)
    ratios = _ratio(counts @ scores, np.maximum(counts @ limits, 0.0))  # a draw without a share is left out
    low, high = _quantiles(ratios[None], ((1 - level) / 2, (1 + level) / 2))[:, 0]
    return float(scores.mean() / limits.mean()), float(low), float(high)

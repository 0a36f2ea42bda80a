"""Figures of results in memory: what `plot` of a result, a judgement or a comparison draws."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from probatum.attributions import title_of
from probatum.experiments.quality import QualityResult
from probatum.experiments.result import SanityResult
from probatum.experiments.shift import ShiftResult
from probatum.metrics import METRICS
from probatum.metrics.quality import QUALITY
from probatum.report.bars import bars_figure
from probatum.report.curve_panels import MethodCurve, curve_panels_figure
from probatum.report.intervals import bootstrap_interval


def method_curves(result: SanityResult, metric: str, titles: Sequence[str]) -> list[MethodCurve]:
    """The curves of all methods under one metric, between the bands of chance and ceiling.

    Args:
        result: of a sanity check.
        metric: one of its metrics.
        titles: of its methods.
    """
    column, curves = result.metrics.index(metric), []
    for row, title in enumerate(titles):
        scores, chance = result.scores[row, column], result.chance[row, column]
        live, ceiling = result.live[row, column], result.ceiling[row, column]
        ends = None
        if np.isfinite(ceiling).any():
            found = bootstrap_interval(ceiling[None, :, None])
            ends = (float(found.low[0]), float(found.high[0]))
        curves.append(
            MethodCurve(
                title,
                bootstrap_interval(np.where(live, scores, np.nan)),
                bootstrap_interval(chance) if np.isfinite(chance).any() else None,
                ends,
                (result.made[row] & ~live).any(axis=(1, 2)),
            )
        )
    return curves


def sanity_figure(result: SanityResult, metric: str) -> Figure:
    """The scores of a check against the stages, a panel for each method."""
    titles = list(map(title_of, result.methods))
    images, trials = result.scores.shape[3:]
    return curve_panels_figure(
        method_curves(result, metric, titles),
        metric_title=f"{METRICS[metric].title} ({metric})" if metric in METRICS else metric,
        column_titles=result.stages,
        caption=f"Images: {images}; trials: {trials}",
    )


def quality_figure(result: QualityResult) -> Figure:
    """The mean scores of the trained model, a panel of bars for each metric on a scale of its own."""
    panels = {
        _quality_title(metric): {
            title_of(method): bootstrap_interval(result.of(method, metric)[0, :, :1]) for method in result.methods
        }
        for metric in result.metrics
    }
    images = len(result.image_names)
    caption = f"Trained model, images: {images}. Bars: mean over images; lines: 95 % bootstrap interval."
    return bars_figure(panels, limits=None, caption=caption)


def quality_curves_figure(result: QualityResult, metric: str) -> Figure:
    """The scores against the stages of the randomization, the trained model first, a panel for each method."""
    curves = []
    for method in result.methods:
        scores = result.of(method, metric)
        gaps = ~np.isfinite(scores).all(axis=(1, 2))
        curves.append(MethodCurve(title_of(method), bootstrap_interval(scores), None, None, gaps))
    images, trials = result.scores.shape[3:]
    return curve_panels_figure(
        curves,
        metric_title=_quality_title(metric),
        column_titles=result.stages,
        caption=f"Images: {images}; trials: {trials}",
    )


def shift_figure(result: ShiftResult) -> Figure:
    """The mean relative difference of each method's maps under an input shift, beside its noise."""
    rows = {"relative difference": result.differences, "noise": result.noise}
    panels = {
        title: {title_of(method): bootstrap_interval(values[row][:, None]) for row, method in enumerate(result.methods)}
        for title, values in rows.items()
        if np.isfinite(values).any()
    }
    words = "; ".join(f"{title_of(name)}: {each.word}" for name, each in result.verdicts.items())
    return bars_figure(panels, limits=None, caption=f"Images: {len(result.image_names)}. {words}.")


def _quality_title(metric: str) -> str:
    """The title of a metric and which way is up, where that is known."""
    if metric not in QUALITY:
        return metric
    return f"{metric} ({'lower' if QUALITY[metric].lower_is_better else 'higher'} is better)"

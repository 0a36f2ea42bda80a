"""Similarity of attribution maps: pure functions of two batches of maps, on any device."""

from probatum.metrics.histograms import HOGCorrelation, hog, hog_pearson, hog_spearman
from probatum.metrics.inputs import Features, Measure, is_constant
from probatum.metrics.ranks import Spearman, spearman
from probatum.metrics.registry import METRICS, Metric, get_metric
from probatum.metrics.structural import SSIM, SSIM_PRESETS, SSIMPreset, ssim
from probatum.metrics.vectors import Cosine, Euclidean, Pearson, cosine, euclidean, pearson

__all__ = [
    "METRICS",
    "SSIM",
    "SSIM_PRESETS",
    "Cosine",
    "Euclidean",
    "Features",
    "HOGCorrelation",
    "Measure",
    "Metric",
    "Pearson",
    "SSIMPreset",
    "Spearman",
    "cosine",
    "euclidean",
    "get_metric",
    "hog",
    "hog_pearson",
    "hog_spearman",
    "is_constant",
    "pearson",
    "spearman",
    "ssim",
]

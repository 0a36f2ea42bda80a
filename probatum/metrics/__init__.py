"""Similarity of attribution maps: pure functions of two batches of maps, on any device."""

from probatum.metrics.entropy import EntropyRise, entropy_rise, histogram_entropy
from probatum.metrics.histograms import HOGCorrelation, hog, hog_pearson, hog_spearman
from probatum.metrics.inputs import Features, Measure, is_constant
from probatum.metrics.ranks import Spearman, spearman
from probatum.metrics.registry import METRICS, Kind, Metric, get_metric, is_metric_name
from probatum.metrics.structural import SSIM, SSIM_PRESETS, SSIMPreset, ssim
from probatum.metrics.vectors import Cosine, Euclidean, Pearson, cosine, euclidean, pearson

__all__ = [
    "METRICS",
    "SSIM",
    "SSIM_PRESETS",
    "Cosine",
    "EntropyRise",
    "Euclidean",
    "Features",
    "HOGCorrelation",
    "Kind",
    "Measure",
    "Metric",
    "Pearson",
    "SSIMPreset",
    "Spearman",
    "cosine",
    "entropy_rise",
    "euclidean",
    "get_metric",
    "histogram_entropy",
    "hog",
    "hog_pearson",
    "hog_spearman",
    "is_constant",
    "is_metric_name",
    "pearson",
    "spearman",
    "ssim",
]

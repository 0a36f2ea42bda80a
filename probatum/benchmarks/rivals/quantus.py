"""Quantus' similarity functions on whole batches."""

from importlib import import_module
from typing import Any

import numpy as np
from jaxtyping import Float

METRICS = ("ssim", "spearman", "spearman-abs")
OTHER_SSIM = "another SSIM: uniform window, range of the pair of maps"


def quantus_scores(
    metric: str, a: Float[np.ndarray, "batch 1 height width"], b: Float[np.ndarray, "batch 1 height width"]
) -> Float[np.ndarray, " batch"]:
    """Scores of a batch of maps under one of `METRICS`."""
    functions: Any = import_module("quantus.functions.similarity_func")
    if metric == "ssim":
        return np.asarray(functions.ssim(a[:, 0], b[:, 0], batched=True))
    if metric == "spearman-abs":
        a, b = np.abs(a), np.abs(b)
    return np.asarray(functions.correlation_spearman(a.reshape(len(a), -1), b.reshape(len(b), -1), batched=True))

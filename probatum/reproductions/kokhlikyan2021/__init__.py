"""Kokhlikyan et al. 2021, its image part: what the multiplier x − x₀ does to Integrated Gradients."""

from probatum.reproductions.base import Paper
from probatum.reproductions.kokhlikyan2021.cascade import CASCADE
from probatum.reproductions.kokhlikyan2021.labels import LABELS

PAPER = Paper(
    name="kokhlikyan2021",
    title="Investigating sanity checks for saliency maps with image and text classification",
    citation="N. Kokhlikyan, V. Miglani, B. Alsallakh, M. Martin, O. Reblitz-Richardson, 2021, arXiv:2106.07475",
    experiments=(CASCADE, LABELS),
    module="probatum.reproductions.kokhlikyan2021",
)

__all__ = ["PAPER"]

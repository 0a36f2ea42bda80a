"""Kokhlikyan et al. 2021: effects of the multiplier x − x₀ and of smooth networks on maps of images and text.

Differs from the paper:
    1. Means over images and trials are judged, with their intervals, where the paper shows medians.
    2. The networks on digits are trained three times each.
    3. Claims on infidelity are judged where the logit responds to perturbed inputs at least a tenth as strongly as that
       of the trained network: infidelity changes with the square of the response, whatever the maps are.
    4. Claims on text are judged on a BERT alone: the small encoder of the preset "quick" pools by the mean, so that its
       local IG is nearly the same for all tokens.
"""

from probatum.reproductions.base import Paper
from probatum.reproductions.kokhlikyan2021.cascade import CASCADE
from probatum.reproductions.kokhlikyan2021.labels import LABELS
from probatum.reproductions.kokhlikyan2021.local_methods import LOCAL_METHODS
from probatum.reproductions.kokhlikyan2021.smooth import SMOOTH
from probatum.reproductions.kokhlikyan2021.table1 import TABLE1
from probatum.reproductions.kokhlikyan2021.text_cascade import CASCADE as TEXT_CASCADE
from probatum.reproductions.kokhlikyan2021.text_labels import LABELS as TEXT_LABELS

PAPER = Paper(
    name="kokhlikyan2021",
    title="Investigating sanity checks for saliency maps with image and text classification",
    citation="N. Kokhlikyan, V. Miglani, B. Alsallakh, M. Martin, O. Reblitz-Richardson, 2021, arXiv:2106.07475",
    experiments=(CASCADE, SMOOTH, LOCAL_METHODS, TABLE1, LABELS, TEXT_CASCADE, TEXT_LABELS),
    module="probatum.reproductions.kokhlikyan2021",
)

__all__ = ["PAPER"]

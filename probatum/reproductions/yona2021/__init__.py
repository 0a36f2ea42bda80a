"""Yona & Greenfeld 2021: on suitable tasks, Guided Backprop distinguishes trained models from random ones.

Each study trains its models, compares their maps with those of untrained models and stores every score; figures and
verdicts come from the stored scores.

Differs from the paper:
    1. It shows Λ by examples; here its norm is measured, over several untrained models, beside the same without
       training.
    2. Figure 3 explains the pretrained network under its new last layer, as fine-tuning begins, and a fourth column for
       the ImageNet class itself; the paper does not tell which it shows.
    3. The bottom half of digits is deleted, as section 4.1 says; the caption of Figure 1 says the top half, as the
       variant "top-half" has it.
    4. All networks on digits have ten logits, so that one untrained model has the architecture of all of them.
    5. Every network is trained three times; it trains each once.
"""

from probatum.reproductions.base import Paper
from probatum.reproductions.yona2021.halves import FIGURE_1
from probatum.reproductions.yona2021.pairs import FIGURE_3, FIGURE_6, FIGURE_7
from probatum.reproductions.yona2021.shapes import FIGURE_2, FIGURE_4, FIGURE_5

PAPER = Paper(
    name="yona2021",
    title="Revisiting Sanity Checks for Saliency Maps",
    citation="Yona & Greenfeld, 2021, arXiv:2110.14297",
    experiments=(FIGURE_1, FIGURE_2, FIGURE_3, FIGURE_4, FIGURE_5, FIGURE_6, FIGURE_7),
    module="probatum.reproductions.yona2021",
    variants={"top-half": "the top half of digits is deleted, as the caption of Figure 1 says"},
)

"""Wienecke & Hinrichs 2021: cascading randomization re-implemented, on a basic CNN and on ResNet-18.

Differs from the paper:
    1. Its two failures on ResNet-18, Guided Backprop and Integrated Gradients-SG, work; `failures` shows it, on a
       ResNet-18 with random weights if no trained one is given.
    2. A constant map, whose SSIM was NaN there, is hatched where it is drawn, takes no part in means, and is counted in
       every figure. Methods are compared on the photographs of which all of them have a map.
    3. A network that ends in a ReLU, as SqueezeNet does, is explained in front of it.
    4. "After the first three stages of randomization" is read as linear2, linear1 and conv2. The halo of Guided
       Backprop goes in the third: over the stages, the rank correlations with the trained map are 0.93, 0.80, 0.33 and
       0.05. Counted from the normal model, the third map still has it.
"""

from probatum.reproductions.base import Paper
from probatum.reproductions.wienecke2021.digits import FIGURE_1, FIGURE_3, TABLE_2_2
from probatum.reproductions.wienecke2021.failures import FAILURES
from probatum.reproductions.wienecke2021.photographs import FIGURE_4, FIGURE_6, FIGURE_8

PAPER = Paper(
    name="wienecke2021",
    title="Sanity Checks for Saliency Maps (re-implementation)",
    citation="Wienecke & Hinrichs 2021, Deep Learning project report",
    experiments=(TABLE_2_2, FIGURE_1, FIGURE_3, FIGURE_4, FIGURE_6, FIGURE_8, FAILURES),
    module="probatum.reproductions.wienecke2021",
)

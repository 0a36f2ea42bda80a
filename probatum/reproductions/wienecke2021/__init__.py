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

from probatum.reproductions.base import Experiment, Inputs, Paper
from probatum.reproductions.wienecke2021 import digits, failures, photographs

_DIGITS = Inputs(data=("MNIST",))
_PHOTOGRAPHS = Inputs(photographs=True, networks=("resnet18",))

PAPER = Paper(
    name="wienecke2021",
    title="Sanity Checks for Saliency Maps (re-implementation)",
    citation="Wienecke & Hinrichs 2021, Deep Learning project report",
    experiments=(
        Experiment(
            "table2_2",
            "The basic CNN, its training and its cascade",
            digits.compute_table,
            digits.draw_table,
            digits.judge_table,
            covers={"Table 2.2": "*"},
            inputs=_DIGITS,
        ),
        Experiment(
            "figure1",
            "Gradient on five digits over the cascade",
            digits.compute_gradient,
            digits.draw_gradient,
            digits.judge_gradient,
            covers={"Figure 1": "*"},
            inputs=_DIGITS,
        ),
        Experiment(
            "figure3",
            "Seven methods on a digit over the cascade",
            digits.compute_methods,
            digits.draw_methods,
            digits.judge_methods,
            covers={"Figure 3": "*"},
            inputs=_DIGITS,
        ),
        Experiment(
            "figure4",
            "Gradient ⊙ Input-SG over photographs, ResNet-18 by residual blocks",
            photographs.compute_overlays,
            photographs.draw_overlays,
            photographs.judge_overlays,
            covers={"Figure 4": "*"},
            inputs=_PHOTOGRAPHS,
        ),
        Experiment(
            "figure6",
            "Seven methods on a photograph over the cascade",
            photographs.compute_photograph,
            photographs.draw_photograph,
            photographs.judge_photograph,
            covers={"Figure 6": "*"},
            inputs=_PHOTOGRAPHS,
        ),
        Experiment(
            "figure8",
            "SSIM of seven methods over the cascade",
            photographs.compute_curves,
            photographs.draw_curves,
            photographs.judge_curves,
            covers={"Figure 8": "*"},
            inputs=_PHOTOGRAPHS,
        ),
        Experiment(
            "failures",
            "Guided Backprop and Integrated Gradients-SG on ResNet-18, which failed in the paper",
            failures.compute,
            failures.draw,
            failures.judge,
            inputs=_PHOTOGRAPHS,
        ),
    ),
    module="probatum.reproductions.wienecke2021",
)

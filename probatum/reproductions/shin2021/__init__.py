"""Shin and Nemeth 2021, "Exploring Visual Explanations for CNNs": SmoothGrad and Grad-CAM on AlexNet and VGG-11."""

from probatum.reproductions.base import Experiment, Paper
from probatum.reproductions.shin2021 import bias, cascade, label_findings, labels, pictures

PAPER = Paper(
    name="shin2021",
    title="Exploring Visual Explanations for CNNs",
    citation="Shin & Nemeth 2021",
    experiments=(
        Experiment(
            "figure1",
            "Grad-CAM of two classes of one image",
            pictures.compute_classes,
            pictures.draw_classes,
            pictures.judge_classes,
        ),
        Experiment(
            "figure2",
            "SmoothGrad over samples and noise",
            pictures.compute_grid,
            pictures.draw_grid,
            pictures.judge_grid,
        ),
        Experiment("figures3-4", "Label randomization", labels.compute, labels.draw, label_findings.judge),
        Experiment("figures5-6", "Cascading weight randomization", cascade.compute, cascade.draw, cascade.judge),
        Experiment("figure7", "Maps that reveal a bias", bias.compute, bias.draw, bias.judge),
    ),
    module="probatum.reproductions.shin2021",
)

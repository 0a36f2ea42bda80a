"""Captions name the layers that Grad-CAM reads."""

import pytest
import torch
from nets import ConvNet, images, seeded
from report_folders import check_folder

from probatum.attributions import GradCAM, Gradient, GuidedGradCAM, SmoothGrad, Tokens, resolved
from probatum.engine import prepare
from probatum.experiments.run_folder import read_run
from probatum.report.layers import layers_caption
from probatum.report.run import _protocol
from probatum.runs.files import read_json, write_json
from probatum.runs.plain_values import describe

METHODS = {"gradient": Gradient(), "cam": GradCAM(), "guided": GuidedGradCAM(), "smooth": SmoothGrad(GradCAM("bn1"))}


def test_each_layer_is_named_once_with_its_layout():
    methods = resolved(METHODS, prepare(seeded(ConvNet)), images(dtype=torch.float64))
    assert layers_caption(map(describe, methods.values())) == "Grad-CAM's layer: conv3 (nchw), bn1 (nchw)"


@pytest.mark.parametrize(
    ("method", "caption"),
    [
        (Gradient(), ""),
        (GradCAM(), ""),
        (GradCAM("blocks.10", layout=Tokens(1, (14, 7))), "Grad-CAM's layer: blocks.10 (Tokens(prefix 1, grid 14, 7))"),
    ],
)
def test_settings_of_one_method(method, caption):
    assert layers_caption([describe(method)]) == caption


def test_captions_of_a_run_have_the_layer_of_its_settings(tmp_path):
    check_folder(tmp_path)
    assert "layer" not in _protocol(read_run(tmp_path))
    config = read_json(tmp_path / "config.json")
    config["methods"]["gradient"] |= {"layer": "layer4.1", "layout": "nhwc"}
    write_json(tmp_path / "config.json", config)
    assert _protocol(read_run(tmp_path)).endswith("; seed 0; Grad-CAM's layer: layer4.1 (nhwc)")

"""`probatum list stages` says before any run what a check of a model will work with."""

import json

import pytest

from probatum.cli import main

NET = """
import torch
from torch import nn

preprocessing = dict(input_size=32, mean=[0.5] * 3, std=[0.5] * 3)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 6, 3, stride=2)
        self.head = nn.Linear(6, 5)
        self.idle = nn.Linear(7, 2)

    def forward(self, images):
        hidden = nn.functional.gelu(self.conv1(images))
        return self.head(nn.functional.gelu(self.conv2(hidden)).mean((2, 3)))
"""


def shown(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(["list", "stages", *arguments])
    assert end.value.code == 0
    return capsys.readouterr().out


def test_stages_of_a_module_of_ones_own(code_folder, capsys):
    (code_folder / "net.py").write_text(NET)
    found = json.loads(shown(capsys, "./net.py:Net", "--json"))
    assert [(stage["name"], stage["parameters"]) for stage in found["stages"]] == [
        ("head", 6 * 5 + 5),
        ("conv2", 4 * 6 * 9 + 6),
        ("conv1", 3 * 4 * 9 + 4),
    ]
    assert found["unused"] == ["idle"]
    assert (found["input_shape"], found["classes"]) == ([3, 32, 32], 5)
    assert found["parameters"] == 35 + 222 + 112 + 16
    assert found["grad_cam_layer"] == "conv2"
    assert found["grad_cam_layout"] == "nchw"
    refused = {each["method"] for each in found["refused"]}
    assert {"guided-backprop", "guided-grad-cam", "deconvnet"} <= refused
    assert found["held"] == "2 activations; every call has a rule"
    assert not refused & {
        "conservative-propagation",
        "gradient",
        "smoothgrad",
        "grad-cam",
        "integrated-gradients",
        "edge-detector",
    }
    assert all("ReLU" in each["reason"] for each in found["refused"] if each["method"].startswith("guided"))


def test_a_network_of_gray_images_sees_one_of_its_size(code_folder, capsys):
    (code_folder / "net.py").write_text(
        "from torch import nn\npreprocessing = dict(input_size=40, mean=[0.5], std=[0.5])\n"
        "def make():\n    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 38 * 38, 3))"
    )
    assert json.loads(shown(capsys, "./net.py:make", "--json"))["input_shape"] == [1, 40, 40]


def test_facts_in_lines(capsys):
    found = shown(capsys, "basic_cnn")
    assert "3,212,288" in found
    assert "3 of 3 ReLU calls guided" in found
    assert "Not for this model: attention-rollout (BasicCNN has no attention" in " ".join(found.split())
    assert "will be refused" in found.splitlines()[-1]
    assert "No method" in found.splitlines()[-1]


def test_a_layer_that_does_not_exist_is_named(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["list", "stages", "basic_cnn", "--layer", "relu9"])
    assert "relu9" in capsys.readouterr().err

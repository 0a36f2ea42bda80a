"""Models of a user's own in the terminal: check, attribute, rerun, and the mistakes that happen there."""

import json
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from probatum.cli import main
from probatum.errors import ModelError
from probatum.experiments import CheckConfig
from probatum.experiments.build import set_up, set_up_again
from probatum.experiments.check import identity_of, run_check
from probatum.models import load_model
from probatum.terminal.options import MethodOptions, chosen_methods

CODE = """
from torch import nn

preprocessing = {"input_size": 16, "mean": [0.5] * 3, "std": [0.25] * 3}

class Net(nn.Sequential):
    def __init__(self, num_classes=4):
        pool = nn.AdaptiveAvgPool2d(1)
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(), pool, nn.Flatten(), nn.Linear(4, num_classes))

class Smooth(Net):
    def __init__(self):
        super().__init__()
        self[1] = nn.SiLU()

class Dict(Net):
    def forward(self, images):
        return {"features": images, "scores": super().forward(images)}

class Pair(Net):
    def forward(self, images):
        return images, super().forward(images)

class Wide(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(3 * 20 * 20, 2))
"""


@pytest.fixture
def folder(code_folder):
    """The current folder, with `own_net.py`, weights of seven classes, and three photographs."""
    (code_folder / "own_net.py").write_text(CODE)
    (code_folder / "photographs").mkdir()
    noise = np.random.default_rng(0)
    for name in "abc":
        Image.fromarray(noise.integers(0, 256, (20, 24, 3), np.uint8)).save(code_folder / "photographs" / f"{name}.png")
    write_weights(seed=0)
    return code_folder


def write_weights(seed):
    model = load_model("own_net.py:Net", num_classes=7, seed=seed)
    torch.save({"state_dict": {f"model.{key}": value for key, value in model.state_dict().items()}}, "seven.ckpt")


def ran(words):
    with pytest.raises(SystemExit) as stop:
        main(words)
    return stop.value.code or 0


OPTIONS = ["--model", "./own_net.py:Net", "--weights", "seven.ckpt", "--methods", "gradient,edge-detector"]


def test_the_logits_among_the_outputs_of_a_model_are_named_by_an_option(folder, capsys):
    check = [
        "check",
        "--data",
        "photographs",
        *OPTIONS[2:],
        "--metrics",
        "pearson",
        "--images",
        "2",
        "--keep-maps",
        "1",
    ]
    for name, chosen in (("Net", []), ("Dict", ["--output", "scores"])):
        assert ran([*check, "--model", f"./own_net.py:{name}", *chosen, "--out", name]) == 0
    assert (folder / "Net" / "results.csv").read_bytes() == (folder / "Dict" / "results.csv").read_bytes()
    assert ran(["attribute", "photographs", *OPTIONS[2:], "--model", "./own_net.py:Dict", "--out", "maps"]) == 1
    assert "--output" in capsys.readouterr().err
    assert ran(["list", "stages", "./own_net.py:Pair", "--output", "1"]) == 0
    assert "4 classes" in capsys.readouterr().out
    assert ran([*check, "--model", "./own_net.py:Dict", "--output", "scores", "--preset", "localization"]) == 2


def test_maps_of_a_network_of_ones_own_are_computed_again_from_their_folder(folder, capsys):
    (folder / "classes.txt").write_text("\n".join("abcdefg"))
    assert ran(["attribute", "photographs", *OPTIONS, "--classes", "classes.txt", "--out", "run"]) == 0
    facts = json.loads((folder / "run" / "config.json").read_text())
    assert facts["config"]["model"] == facts["model"]["name"] == "./own_net.py:Net"
    assert all(image["class"] == "abcdefg"[image["target"]] for image in facts["images"])
    assert ran(["rerun", "run", "--out", "again"]) == 0
    first, second = (np.load(folder / name / "maps" / "000.npz")["gradient"] for name in ("run", "again"))
    assert np.array_equal(first, second)
    write_weights(seed=1)
    capsys.readouterr()
    assert ran(["rerun", "run", "--out", "other"]) == 2
    assert facts["model"]["weights_sha256"][:12] in capsys.readouterr().err
    assert not (folder / "other").exists()
    (folder / "own_net.py").unlink()
    del sys.modules[str(folder / "own_net.py")]
    assert ran(["rerun", "run", "--out", "other"]) == 2
    assert "no file own_net.py" in capsys.readouterr().err


def test_a_check_does_not_continue_with_other_code(folder):
    config = CheckConfig(
        *("photographs", None, 2, "./own_net.py:Net", "seven.ckpt"), methods=("gradient",), metrics=("ssim",), trials=1
    )
    result = run_check(config, folder / "run")
    facts = json.loads((folder / "run" / "config.json").read_text())
    assert result.stages == ("4", "0")
    assert facts["data"]["preprocessing"]["mean"] == [0.5] * 3
    setup = set_up(config)
    before = identity_of(config, setup)
    setup.model.forward = setup.model[0].forward
    after = identity_of(config, setup)
    assert [name for name in before if before[name] != after[name]] == ["code"]


def test_attribution_with_inputs_of_the_users_choice(folder):
    words = ["attribute", "photographs", *OPTIONS, "--input-size", "12", "--std", "0.5,0.5,0.5", "--out", "maps"]
    assert ran(words) == 0
    assert np.load(folder / "maps" / "images.npz")["pictures"].shape == (3, 3, 12, 12)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--classes", "photographs"], "photographs has no sub-folders"),
        (["--classes", "two.txt"], "2 classes.*7 logits"),
        (["--model", "own_net.py:Wide", "--weights", "default"], "own_net.py:Wide fails on an image of 3×16×16"),
        (["--mean", "a,b,c"], "'a,b,c'"),
        (["--mean", "0.5"], "mean has 1 and std 3"),
        (["--mean", "0.5", "--std", "0.5"], "1×16×16: .*--mean and --std, with a value for each channel"),
        (["--model", "own_net.py:Nett"], "'Net'"),
        (["--interpolation", "cubic"], "bicubic"),
    ],
)
def test_mistakes_are_named_before_anything_is_written(folder, capsys, options, named):
    (folder / "two.txt").write_text("a\nb\n")
    assert ran(["attribute", "photographs", *OPTIONS, *options, "--out", "maps"]) in (1, 2)
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert re.search(named, error)
    assert not (folder / "maps").exists()


def test_the_usual_methods_are_those_that_the_model_can_have(folder):
    assert chosen_methods(MethodOptions()) == {"methods": CheckConfig().methods, "on_refused": "skip"}
    assert chosen_methods(MethodOptions(methods="gradient")) == {"methods": ("gradient",)}
    config = CheckConfig(
        *("photographs", None, 2, "own_net.py:Smooth", "default"), metrics=("ssim",), on_refused="skip", samples=2
    )
    said = []
    setup = set_up(config, say=said.append)
    assert [name for name, _ in setup.refused] == ["guided-backprop", "guided-grad-cam"]
    instead = "conservative-propagation"
    assert set(setup.methods) == set(config.methods) - {"guided-backprop", "guided-grad-cam"} | {instead}
    assert [line.split()[0] for line in said] == ["guided-backprop", "guided-grad-cam", instead]
    assert list(set_up_again(setup, replace(config, preset="emprt")).methods) == list(setup.methods)
    with pytest.raises(ModelError, match="no ReLU"):
        set_up(replace(config, methods=("guided-backprop", "edge-detector"), samples=None))

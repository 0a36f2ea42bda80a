"""The written page of each method: it exists, states an equation, and its code runs as it stands."""

import pytest
import torch
from docs.code_blocks import PAGES, python_blocks
from nets import ConvNet, TokenNet, images, seeded

from probatum.attributions import METHODS

CLASSES = {type(entry.make()) for entry in METHODS.values()}
NAMES = sorted(each.__module__.rpartition(".")[2].replace("_", "-") for each in CLASSES)


def test_every_method_has_a_page_and_every_page_a_method():
    assert sorted(path.stem for path in (PAGES / "methods").glob("*.md")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_states_an_equation(name):
    text = (PAGES / "methods" / f"{name}.md").read_text(encoding="utf-8")
    assert text.count("$$") >= 2
    assert [line for line in text.splitlines() if line.startswith("## ")][:2] == ["## Equation", "## Use"]


@pytest.mark.parametrize("name", NAMES)
def test_its_code_runs(name):
    names = {
        "model": seeded(TokenNet if name == "attention-rollout" else ConvNet),
        "images": images(2),
        "targets": None,
    }
    for block in python_blocks(f"methods/{name}.md"):
        exec(block, names)
    assert len(names["maps"]) == 2
    assert torch.isfinite(names["maps"]).all()

"""Where a rule changed a part of the activations alone, the terminal and the page say so."""

import json

import pytest
import torch
from nets import seeded
from report_folders import check_folder
from torch import nn

from probatum.engine import relu_coverage
from probatum.experiments import read_run
from probatum.terminal.kinds import write_report
from probatum.terminal.summaries import partly_guided


def half_guided() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.SiLU(), nn.Linear(4, 2))


def wholly_guided() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def checked(folder, coverage, fields):
    """The folder of a check whose first method has these fields."""
    check_folder(folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["model"] |= {"relu_calls": str(coverage), "relu_share": coverage.share}
    next(iter(config["methods"].values())).update(fields)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return folder


@pytest.fixture
def folders(tmp_path):
    """Of a network guided in part, of one guided wholly, and of a check without a method that guides."""
    images = torch.ones(1, 3, dtype=torch.float64)
    some, every = (relu_coverage(seeded(build), images) for build in (half_guided, wholly_guided))
    assert (some.share, every.share) == (0.5, 1.0)
    guides = {"min_coverage": 0.5}
    cases = {"some": (some, guides), "every": (every, guides), "none": (some, {})}
    return {name: checked(tmp_path / name, *case) for name, case in cases.items()}


def test_the_page_names_the_share_and_what_was_not_guided(folders):
    pages = {name: write_report(folder).read_text("utf-8") for name, folder in folders.items()}
    assert "1 silu" in pages["some"]
    assert {name: "passed the plain gradient" in page for name, page in pages.items()} == {
        "some": True,
        "every": False,
        "none": False,
    }


def test_the_terminal_says_so_too(folders):
    said = {name: list(partly_guided(read_run(folder))) for name, folder in folders.items()}
    (sentence,) = said["some"]
    assert "1 of 2 activations guided (50%)" in sentence
    assert "1 silu" in sentence
    assert said["every"] == said["none"] == []

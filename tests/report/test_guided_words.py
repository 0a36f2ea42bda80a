"""Where a rule changed a part of the activations alone, the terminal and the page say so."""

import json

import torch
from nets import seeded
from report_folders import check_folder
from torch import nn

from probatum.attributions import Gradient, GuidedBackprop
from probatum.engine import relu_coverage
from probatum.report.html import write_report
from probatum.terminal.summaries import partly_guided as partly_guided_words


def partly_guided() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.SiLU(), nn.Linear(4, 2))


def wholly_guided() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


def page(folder, coverage, fields):
    check_folder(folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["model"] |= {"relu_calls": str(coverage), "relu_share": coverage.share}
    next(iter(config["methods"].values())).update(fields)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return write_report(folder).read_text("utf-8")


def test_the_page_names_the_share_and_what_was_not_guided(tmp_path):
    images = torch.ones(1, 3, dtype=torch.float64)
    some, every = (relu_coverage(seeded(build), images) for build in (partly_guided, wholly_guided))
    assert (some.share, every.share) == (0.5, 1.0)
    sentence = "passed the plain gradient"
    assert "1 silu" in (found := page(tmp_path / "some", some, {"min_coverage": 0.5}))
    assert sentence in found
    assert sentence not in page(tmp_path / "every", every, {"min_coverage": 0.5})
    assert sentence not in page(tmp_path / "none", some, {})  # no method of the run has the option


def test_the_terminal_says_so_too():
    def said(build, methods):
        return list(partly_guided_words(methods, seeded(build), torch.ones(1, 3, dtype=torch.float64)))

    guided = {"gradient": Gradient(), "guided-backprop": GuidedBackprop()}
    (sentence,) = said(partly_guided, guided)
    assert "Guided Backprop: 1 of 2 activations guided (50%)" in sentence
    assert "1 silu" in sentence
    assert said(wholly_guided, guided) == said(partly_guided, {"gradient": Gradient()}) == []

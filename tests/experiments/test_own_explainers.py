"""Explainers of one's own in run folders, named as the terminal names them."""

import numpy as np
import pytest

from probatum.experiments import CheckConfig, read_run, run_check
from probatum.report.run import draw_run
from probatum.runs.files import read_json

CODE = """
import torch
from probatum.attributions import Explainer

def gradient(model, images, targets):
    images.requires_grad_()
    return torch.autograd.grad(model(images).gather(1, targets[:, None]).sum(), images)[0]

def dark(model, images, targets):
    if images.mean() > 0.15:
        raise ValueError("too bright")
    return gradient(model, images, targets)

mine = Explainer(gradient, "My gradient", stochastic=False, images_at_once=2, package="torch")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    top = tmp_path_factory.mktemp("own")
    (top / "explainers.py").write_text(CODE)
    names = ("gradient", f"{top}/explainers.py:mine", f"{top}/explainers.py:dark")
    run_check(CheckConfig(images=4, weights="none", methods=names, metrics=("spearman",), keep_maps=2), top / "run")
    return top / "run"


def test_scores_are_those_of_the_method(folder):
    result = read_run(folder).result
    ours, mine, dark = (result.of(name, "spearman") for name in result.methods)
    np.testing.assert_allclose(mine, ours, rtol=1e-5)
    failed = np.isnan(dark).all(axis=(0, 2))
    assert 0 < failed.sum() < 4
    assert {each.method for each in result.failures} == {result.methods[2]}


def test_config_names_the_package(folder):
    facts = read_json(folder / "config.json")["methods"]
    mine = next(value for name, value in facts.items() if name.endswith(":mine"))
    assert (mine["title"], mine["package"], mine["images_at_once"]) == ("My gradient", "torch", 2)
    assert mine["version"]


def test_figures_and_page_show_it(folder):
    draw_run(folder)
    assert "My gradient" in (folder / "report.html").read_text(encoding="utf-8")

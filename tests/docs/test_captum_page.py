"""The page for users of Captum: each pair of calls runs, and differs by no more than the page says."""

import re

import pytest
import torch
from docs.code_blocks import pairs, text_of
from torch import nn

from probatum import attributions

attr = pytest.importorskip("captum.attr", reason="the extra `test` brings captum")
# Captum tells on every call that it sets hooks and asks for gradients of the input.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

PAIRS = pairs("captum.md")
RANDOM = {"NoiseTunnel", "GradientShap"}


def network(pool):
    layers = nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), pool, nn.Conv2d(6, 8, 3, padding=1), nn.ReLU()
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(8 * 64, 5)).double().eval()


@pytest.fixture(scope="module")
def given():
    """A network of `nn.ReLU` modules, images, targets and baselines."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = network(nn.AvgPool2d(2))
        images, references = torch.randn(3, 3, 16, 16).double(), torch.randn(4, 3, 16, 16).double()
    return {"model": model, "images": images, "targets": torch.tensor([0, 3, 4]), "references": references}


def test_every_method_of_the_page_is_compared():
    assert [name for name, _, _ in PAIRS] == re.findall(r"^## (\w+)$", text_of("captum.md"), re.MULTILINE)
    assert all(hasattr(attr, name) for name, _, _ in PAIRS)


@pytest.mark.parametrize(("name", "block", "bound"), PAIRS, ids=[name for name, _, _ in PAIRS])
def test_a_pair_differs_by_no_more_than_the_page_says(name, block, bound, given):
    names = {"attr": attr, **vars(attributions), **given}
    with torch.random.fork_rng([]):
        torch.manual_seed(1)  # of Captum's random numbers
        exec(block, names)
    theirs, ours = names["theirs"].detach(), names["ours"]
    difference = float((ours - theirs).abs().max() / theirs.abs().max())
    assert ours.shape == theirs.shape
    assert difference <= bound
    assert (name in RANDOM) == (difference > 1e-2)  # only random numbers may differ so much


def test_a_pool_behind_a_relu_is_where_deeplift_differs(given):
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = network(nn.MaxPool2d(2))
    x, targets, references = given["images"], given["targets"], given["references"]
    theirs = attr.DeepLift(model).attribute(x, target=targets)
    ours = attributions.DeepLIFT()(model, x, targets)
    assert 0.05 < float((ours - theirs).abs().max() / theirs.abs().max()) < 0.2
    change = model(x).gather(1, targets[:, None])[:, 0] - model(references)[:, targets].mean(0)
    theirs = attr.DeepLiftShap(model).attribute(x, baselines=references, target=targets)
    ours = attributions.DeepLiftSHAP(baselines=references)(model, x, targets)
    assert float((theirs.flatten(1).sum(1) - change).abs().max()) > 0.05
    assert float((ours.flatten(1).sum(1) - change).abs().max()) < 1e-12

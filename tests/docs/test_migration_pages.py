"""The pages for users of Zennit, pytorch-grad-cam and Quantus run, and what they state holds."""

import numpy as np
import pytest
import torch
from docs.code_blocks import pairs, python_blocks

# Libraries tell on every call that they set hooks and ask for gradients of the input.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
RANDOM = {"SmoothGrad"}


def run(page):
    """Names after the page's last block, and the largest difference of each of its pairs, relative to their map."""
    differences, titles = {}, {block: name for name, block, _ in pairs(page)}
    names = {}
    with torch.random.fork_rng([]), torch.enable_grad():
        for block in python_blocks(page):
            exec(block, names)
            if block in titles:
                theirs, ours = names["theirs"], names["ours"]
                assert theirs.shape == ours.shape
                differences[titles[block]] = float((theirs - ours).abs().max() / theirs.abs().max())
    return names, differences


def assert_pairs(page, differences):
    bounds = {name: bound for name, _, bound in pairs(page)}
    assert differences.keys() == bounds.keys()
    assert all(differences[name] <= bound for name, bound in bounds.items()), differences
    assert {name for name, difference in differences.items() if difference > 1e-2} <= RANDOM


def test_zennit():
    pytest.importorskip("zennit", reason="Zennit is not installed")
    names, differences = run("zennit.md")
    assert_pairs("zennit.md", differences)
    assert names["theirs_is_the_gradient"]
    assert names["ours_is_guided"]
    torch.testing.assert_close(names["their_share"], torch.full((3,), 2.0).double(), rtol=1e-3, atol=0)  # ε = 1e-6
    torch.testing.assert_close(names["our_share"], torch.ones(3).double(), rtol=1e-3, atol=0)
    assert 1e-7 < float(names["gap"]) < 1e-4
    assert "LayerNorm" in names["message"] or "layer_norm" in names["message"]


def test_pytorch_grad_cam():
    pytest.importorskip("pytorch_grad_cam", reason="the extra bench is not installed")
    names, differences = run("pytorch-grad-cam.md")
    assert_pairs("pytorch-grad-cam.md", differences)
    assert differences["GradCAMPlusPlus"] > 1e-4  # by its 1e-6 in the denominator
    ratio = names["their_ratio"]
    torch.testing.assert_close(
        ratio[ratio.isfinite()], torch.ones(()).expand(int(ratio.isfinite().sum())), atol=1e-3, rtol=0
    )
    assert float(names["our_ratio"]) == pytest.approx(1000, rel=1e-5)
    assert names["their_gap"].abs().max() > 0.5
    assert not names["our_gap"].any()
    assert names["first_map"].shape == (16, 16, 3)
    assert names["one_module"]
    assert names["left_gradients"] == 6
    np.testing.assert_allclose(names["unguided"], names["plain"], rtol=0, atol=1e-6)  # float32
    model, images = names["network"](), names["images"]
    torch.testing.assert_close(names["guided"], names["GuidedBackprop"]()(model, images, 0))
    assert names["same"]
    assert "require grad" in names["refused"]


def test_quantus():
    pytest.importorskip("quantus", reason="the extra bench is not installed")
    names, _ = run("quantus.md")
    assert list(names["theirs"]) == ["original", "7", "4", "2", "0"]
    assert names["ours"].stages == ("7", "4", "2", "0")
    np.testing.assert_allclose(names["their_scores"], names["our_scores"], rtol=1e-12)
    np.testing.assert_allclose(names["average"], names["with_original"], rtol=1e-12)
    assert (names["with_original"] > names["without"] + 0.1).all()
    assert names["equal_weights"]
    assert names["stays_trained"]
    assert names["errors"].keys() == {"ssim", "cosine"}
    assert np.isfinite(names["result"].scores).all()
    assert len(names["scores"]["original"]) == 3

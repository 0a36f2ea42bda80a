"""The code of "Explainers of your own" runs as it stands, and its examples make the maps that they should."""

from importlib import metadata

import pytest
import torch
from docs.code_blocks import python_blocks
from nets import ConvNet, images, seeded

from probatum.attributions import GradCAM, IntegratedGradients, attribute

FUNCTION, EXPLAINER, CAPTUM, ZENNIT, GRAD_CAM, SEGMENTS, TOGETHER = python_blocks("explainers.md")
IMAGES, TARGETS = images(2), torch.tensor([3, 1])
# Libraries tell on every call that they set hooks and ask for gradients of the input.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module")
def page():
    names = {"model": seeded(ConvNet).eval(), "images": IMAGES}
    exec(FUNCTION, names)
    exec(EXPLAINER, names)
    return names


def maps_of(page, block, name):
    exec(block, page)
    return attribute(page["model"], IMAGES, TARGETS, page[name])[page[name].title]


def test_a_function_is_a_method(page):
    assert torch.equal(page["maps"]["mine"], page["maps"]["gradient"].abs())
    gradient, mine = (page["result"].of(name, "spearman-abs") for name in ("gradient", "absolute_gradient"))
    torch.testing.assert_close(torch.from_numpy(gradient), torch.from_numpy(mine), rtol=1e-12, atol=1e-12)


def test_integrated_gradients_of_captum(page):
    pytest.importorskip("captum", reason="the extra bench is not installed")
    expected = IntegratedGradients(steps=20, rule="gauss-legendre")(page["model"], IMAGES, TARGETS)
    # Captum's steps pass through float32.
    torch.testing.assert_close(maps_of(page, CAPTUM, "captum_ig"), expected, rtol=1e-5, atol=1e-8)
    assert page["captum_ig"].package == "captum"
    assert page["captum_ig"].version == metadata.version("captum")


def test_relevance_of_zennit(page):
    pytest.importorskip("zennit", reason="Zennit is not installed")
    found = maps_of(page, ZENNIT, "zennit_lrp")
    torch.testing.assert_close(found, page["relevance"](page["model"], IMAGES, TARGETS), rtol=1e-12, atol=1e-15)


def test_grad_cam_of_pytorch_grad_cam(page):
    pytest.importorskip("pytorch_grad_cam", reason="the extra bench is not installed")
    ours = GradCAM(layer="conv3")(page["model"], IMAGES, TARGETS)
    low, high = ours.amin((2, 3), keepdim=True), ours.amax((2, 3), keepdim=True)
    # It computes in float32 and adds 1e-7 to the range.
    torch.testing.assert_close(maps_of(page, GRAD_CAM, "grad_cam"), (ours - low) / (high - low), rtol=0, atol=1e-6)


def test_occlusion_of_segments(page):
    maps = maps_of(page, SEGMENTS, "slic_occlusion")
    with torch.no_grad():
        for image, target, found in zip(IMAGES, TARGETS, maps, strict=True):
            for fall in found.unique():
                logits = page["model"](torch.stack([image, image * (found != fall)]))[:, target]
                torch.testing.assert_close(logits[0] - logits[1], fall, rtol=1e-10, atol=1e-12)
            assert len(found.unique()) > 4


def test_all_in_one_check(page):
    for library in ("captum", "zennit", "pytorch_grad_cam"):
        pytest.importorskip(library, reason="the extra bench is not installed")
    for block in (CAPTUM, ZENNIT, GRAD_CAM, SEGMENTS, TOGETHER):
        exec(block, page)
    result = page["result"]
    assert result.methods == ("gradient", "ig", "lrp", "cam", "slic")
    assert all((result.of(name, "spearman-abs")[-1] < 0.99).all() for name in result.methods)

"""Grad-CAM without a layer on whole families of classifiers with random weights, against maps by plain autograd."""

import warnings

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from probatum.attributions import GradCAM, Tokens
from probatum.engine import prepare
from probatum.models import load_model

TIMM = {
    "vit_tiny_patch16_224": ("blocks.10", {"img_size": 64}),
    "deit_tiny_distilled_patch16_224": ("blocks.10", {"img_size": 64}),
    "vit_small_patch14_reg4_dinov2": ("blocks.10", {"img_size": 56}),
    "beit_base_patch16_224": ("blocks.11", {"img_size": 64}),
    "eva02_tiny_patch14_224": ("blocks.11", {"img_size": 56}),
    "cait_xxs24_224": ("blocks.23", {"img_size": 64}),
    "convit_tiny": ("blocks.10", {"img_size": 64}),
    "swin_tiny_patch4_window7_224": ("norm", {"img_size": 64, "window_size": 4}),
    "convnext_atto": ("stages.3.blocks.1", {}),
    "mobilenetv3_small_050": ("blocks.5.0.bn1.act", {}),
    "mobilenetv4_conv_small": ("blocks.4.0.bn1.act", {}),
    "ghostnet_100": ("blocks.9.0.bn1.act", {}),
    "lcnet_050": ("blocks.5.1.bn2.act", {}),
    "hardcorenas_a": ("blocks.6.0.bn1.act", {}),
    "seresnet50": ("layer4.0.act3", {"layers": [1, 1, 1, 1]}),
    "legacy_seresnet18": ("layer4.1", {}),
    "resnetv2_50": ("norm.act", {"layers": [1, 1, 1, 1]}),
    "dla34": ("level5.root.relu", {}),
    "resnet10t": ("layer4.0.act2", {}),
    "densenet121": ("features.norm5.act", {}),
    "efficientnet_lite0": ("bn2.act", {}),
    "regnetx_002": ("s4.b7.act3", {}),
    "mixer_s16_224": ("norm", {"img_size": 64}),
    "resmlp_12_224": ("norm", {"img_size": 64}),
    "pvt_v2_b0": ("stages.3", {}),
    "poolformer_s12": ("stages.3.blocks.1", {}),
    "skresnet18": ("layer4.1.act", {}),
    "res2net50_14w_8s": ("layer4.2", {}),
    "mambaout_femto": ("stages.3.blocks.2", {}),
    "edgenext_xx_small": ("stages.3.blocks.1", {}),
}

SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64}
VISION = SMALL | {"image_size": 64, "patch_size": 16, "num_labels": 5}
STAGES = {"hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1], "num_labels": 5}
HUGGING_FACE = {
    "ViT": ("vit.layers.1", VISION),
    "DeiT": ("deit.layers.1", VISION),
    "Beit": ("beit.layers.2", VISION),
    "Dinov2": ("dinov2.layernorm", VISION),
    "Dinov2WithRegisters": ("dinov2_with_registers.layernorm", VISION),
    "ConvNext": ("convnext.encoder.stages.3.layers.0", STAGES),
    "ResNet": ("resnet.encoder.stages.3.layers.0.activation", STAGES | {"embedding_size": 8}),
    "PoolFormer": ("norm", STAGES),
}


class Logits(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x).logits


def require_map_of_plain_autograd(model, layer, size):
    """Compares Grad-CAM, which finds its layer, with the formula written out; returns the method as it was resolved."""
    model, x = model.double().eval(), torch.randn(2, 3, size, size, dtype=torch.float64)
    found = GradCAM().resolve(prepare(model), x)
    assert layer is None or found.layer == layer
    made = []

    def keep(module, inputs, output):
        made.append(output)
        return output.clone()  # which the model may overwrite, as DenseNet does

    with model.get_submodule(found.layer).register_forward_hook(keep):
        logits = model(x.clone().requires_grad_())
    features, (gradient,) = made[0], torch.autograd.grad(logits[:, 1].sum(), made[0])
    if isinstance(found.layout, Tokens):
        prefix, grid = found.layout.prefix, found.layout.grid
        features, gradient = (each[:, prefix:].unflatten(1, grid) for each in (features, gradient))
    if found.layout != "nchw":
        features, gradient = (torch.einsum("bijk->bkij", each) for each in (features, gradient))
    cam = torch.einsum("bk,bkij->bij", gradient.mean((2, 3)), features.detach())[:, None].relu()
    expected = F.interpolate(cam, size=(size, size), mode="bilinear", align_corners=False)
    maps = GradCAM()(model, x, 1, memory_budget="16 GiB")
    torch.testing.assert_close(maps, expected, rtol=1e-7, atol=1e-12 * float(features.detach().abs().max()))
    return found


@pytest.mark.long
@pytest.mark.parametrize("name", torchvision.models.list_models(module=torchvision.models))
def test_torchvision(name):
    fixed = name.startswith(("vit_", "maxvit")) or name == "inception_v3"
    size = {"vit_h_14": 224, "inception_v3": 128}.get(name, 224 if fixed else 64)
    require_map_of_plain_autograd(load_model(name, "none", 5), None, size)


@pytest.mark.long
@pytest.mark.parametrize("name", TIMM)
def test_timm(name):
    timm = pytest.importorskip("timm")
    layer, options = TIMM[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # timm's own
        model = timm.create_model(name, num_classes=5, **options)
    require_map_of_plain_autograd(model, layer, options.get("img_size", 64))


@pytest.mark.long
@pytest.mark.parametrize("name", HUGGING_FACE)
def test_hugging_face(name):
    transformers = pytest.importorskip("transformers")
    layer, options = HUGGING_FACE[name]
    config = getattr(transformers, f"{name}Config")(**options)
    model = getattr(transformers, f"{name}ForImageClassification")(config)
    require_map_of_plain_autograd(Logits(model), f"model.{layer}", 64)

"""Captum: one call a method, with its defaults or in batches of a given number of rows."""

from importlib import import_module

import torch
from torch import Tensor, nn

from probatum.attributions import Occlusion
from probatum.benchmarks.config import Sizes
from probatum.engine import find_layer
from probatum.errors import InvalidInput

NOISE_FRACTION = 0.15
METHODS = (
    "gradient",
    "input-x-gradient",
    "guided-backprop",
    "deconvnet",
    "grad-cam",
    "guided-grad-cam",
    "smoothgrad",
    "input-x-gradient-sg",
    "integrated-gradients",
    "integrated-gradients-sg",
    "integrated-gradients-sg-local",
    "occlusion",
)
"""Those that Captum has in our form; its LRP has no rule for the first layer, so that its maps are others."""
ONE_SIGMA = "one σ for all images: Captum takes none for each"


def captum_map(
    name: str, model: nn.Module, images: Tensor, targets: Tensor, layer: str, sizes: Sizes, rows: int | None = None
) -> Tensor:
    """The maps of one method by its name in the panels, under the settings that make them those of probatum.

    Args:
        name: of the method.
        model: in eval mode.
        images: (batch, channel, height, width).
        targets: class indices (batch,).
        layer: that Grad-CAM reads.
        sizes: samples and steps.
        rows: most rows in one model call, by Captum's own options and, where the batch alone is larger, by splitting
            it; None leaves Captum's defaults, but for IG-SG, which takes its noise samples one by one because all
            samples × steps × images at once do not fit.
    """
    parts = zip(*(torch.split(tensor, rows or len(images)) for tensor in (images, targets)), strict=True)
    return torch.cat([_map(name, model, part, aims, layer, sizes, rows) for part, aims in parts]).detach()


def captum_panel(
    names: tuple[str, ...],
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    layer: str,
    sizes: Sizes,
    rows: int | None = None,
) -> dict[str, Tensor]:
    """One call after the other."""
    return {name: captum_map(name, model, images, targets, layer, sizes, rows) for name in names}


def _map(
    name: str, model: nn.Module, images: Tensor, targets: Tensor, layer: str, sizes: Sizes, rows: int | None
) -> Tensor:
    attr = import_module("captum.attr")
    maps: Tensor
    if name == "gradient":
        maps = attr.Saliency(model).attribute(images, target=targets, abs=False)
    elif name == "input-x-gradient":
        maps = attr.InputXGradient(model).attribute(images, target=targets)
    elif name == "guided-backprop":
        maps = attr.GuidedBackprop(model).attribute(images, target=targets)
    elif name == "deconvnet":
        maps = attr.Deconvolution(model).attribute(images, target=targets)
    elif name == "grad-cam":
        cam = attr.LayerGradCam(model, find_layer(model, layer))
        small = cam.attribute(images, target=targets, relu_attributions=True)
        maps = attr.LayerAttribution.interpolate(small, tuple(images.shape[2:]), "bilinear")
    elif name == "guided-grad-cam":
        guided = attr.GuidedGradCam(model, find_layer(model, layer))
        maps = guided.attribute(images, target=targets, interpolate_mode="bilinear")
    elif name in ("smoothgrad", "input-x-gradient-sg"):
        method, options = (
            (attr.Saliency(model), {"abs": False})
            if name == "smoothgrad"
            else (
                attr.InputXGradient(model),
                {},
            )
        )
        maps = attr.NoiseTunnel(method).attribute(
            images,
            nt_type="smoothgrad",
            nt_samples=sizes.samples,
            nt_samples_batch_size=max(1, rows // len(images)) if rows else None,
            stdevs=_sigma(images),
            target=targets,
            **options,
        )
    elif name == "integrated-gradients":
        maps = attr.IntegratedGradients(model).attribute(
            images, target=targets, n_steps=sizes.steps, method="riemann_middle", internal_batch_size=rows
        )
    elif name in ("integrated-gradients-sg", "integrated-gradients-sg-local"):
        path = attr.IntegratedGradients(model, multiply_by_inputs=name == "integrated-gradients-sg")
        maps = attr.NoiseTunnel(path).attribute(
            images,
            nt_type="smoothgrad",
            nt_samples=sizes.nested,
            nt_samples_batch_size=1,
            stdevs=_sigma(images),
            target=targets,
            n_steps=sizes.steps,
            method="riemann_middle",
            internal_batch_size=rows,
        )
    elif name == "occlusion":
        window, stride = Occlusion().sizes(images.shape[1:])
        maps = attr.Occlusion(model).attribute(
            images,
            target=targets,
            sliding_window_shapes=window,
            strides=(window[0], *stride[1:]),
            perturbations_per_eval=max(1, rows // len(images)) if rows else 1,
        )
    else:
        raise InvalidInput(f"{name!r} is not called in Captum here")
    return maps


def _sigma(images: Tensor) -> float:
    flat = images.flatten(1)
    return NOISE_FRACTION * float((flat.amax(1) - flat.amin(1)).mean())

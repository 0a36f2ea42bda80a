"""PAIR's saliency: NumPy arrays, one image at a time; noise samples one by one, steps of a path in batches."""

from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from probatum.benchmarks.config import Sizes
from probatum.errors import InvalidInput


def pair_map(name: str, model: nn.Module, images: Tensor, targets: Tensor, sizes: Sizes, rows: int) -> Tensor:
    """The maps of "gradient", "smoothgrad" or "integrated-gradients", (batch, channel, height, width).

    Args:
        name: of the method.
        model: in eval mode.
        images: (batch, channel, height, width).
        targets: class indices (batch,).
        sizes: samples and steps.
        rows: steps of a path in one model call.
    """
    core: Any = import_module("saliency.core")
    maps = []
    for image, target in zip(images, targets.tolist(), strict=True):

        def call(
            points: Any, call_model_args: object = None, expected_keys: object = None, target: int = target
        ) -> Any:
            batch = torch.as_tensor(np.asarray(points), dtype=images.dtype, device=images.device).requires_grad_()
            logits = model(batch)[:, target]
            return {core.INPUT_OUTPUT_GRADIENTS: torch.autograd.grad(logits.sum(), batch)[0].cpu().numpy()}

        pixels = image.cpu().numpy()
        if name == "gradient":
            found = core.GradientSaliency().GetMask(pixels, call)
        elif name == "smoothgrad":
            # Its default returns the mean of squares.
            found = core.GradientSaliency().GetSmoothedMask(pixels, call, nsamples=sizes.samples, magnitude=False)
        elif name == "integrated-gradients":
            found = core.IntegratedGradients().GetMask(pixels, call, x_steps=sizes.steps, batch_size=rows)
        else:
            raise InvalidInput(f"{name!r} is not called in PAIR's saliency here")
        maps.append(torch.as_tensor(found))
    return torch.stack(maps)

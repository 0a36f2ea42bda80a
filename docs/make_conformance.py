"""Checks the explainers of five libraries against all laws and keeps the outcomes for the page about conformance.

pip install captum zennit grad-cam saliency
python docs/make_conformance.py
"""

import json
from collections.abc import Iterator
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import saliency.core as pair
import torch
import zennit.attribution
from captum import attr
from pytorch_grad_cam import GradCAM, GuidedBackpropReLUModel, HiResCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from zennit.composites import EpsilonPlus

from probatum.attributions import METHODS, Explainer, get_method
from probatum.conformance import Claims, check_explainer
from probatum.conformance.subject import EXACT, QUADRATURE
from probatum.experiments.options import set_fields

OUTCOMES = Path(__file__).with_name("conformance.json")
LOCAL, GLOBAL, SUMMED = Claims("local"), Claims("global"), Claims("global", QUADRATURE)
BATCH = 16  # images in one call of a library that takes batches


def captum() -> Iterator[tuple[Explainer, Claims]]:
    """Attributions of Captum."""

    def of(name: str, claims: Claims, attribution: Any, stochastic: bool = False, **options: Any) -> Any:
        def call(model: nn.Module, images: Tensor, targets: Tensor) -> Any:
            return attribution(model).attribute(images, target=targets, **options)

        return Explainer(call, name, stochastic, BATCH, package="captum"), claims

    def zeros(model: nn.Module, images: Tensor, targets: Tensor) -> Any:
        return attr.GradientShap(model).attribute(images, torch.zeros_like(images), target=targets)

    def cam(model: nn.Module, images: Tensor, targets: Tensor) -> Any:
        coarse = attr.LayerGradCam(model, model.conv2).attribute(images, targets, relu_attributions=True)
        return attr.LayerAttribution.interpolate(coarse, images.shape[2:], "bilinear")

    yield of("Saliency", LOCAL, attr.Saliency, abs=False)
    yield of("InputXGradient", GLOBAL, attr.InputXGradient)
    yield of("GuidedBackprop", Claims(), attr.GuidedBackprop)
    yield of("Deconvolution", Claims(), attr.Deconvolution)
    yield of("IntegratedGradients", SUMMED, attr.IntegratedGradients)
    yield of("DeepLift", Claims("global", EXACT), attr.DeepLift)
    yield of("Occlusion", Claims(), attr.Occlusion, sliding_window_shapes=(3, 2, 2))
    yield of("NoiseTunnel", Claims(), lambda model: attr.NoiseTunnel(attr.Saliency(model)), True, nt_samples=3)
    yield Explainer(zeros, "GradientShap", True, BATCH, package="captum"), Claims()
    yield Explainer(cam, "LayerGradCam", False, BATCH, package="captum"), Claims()


def of_zennit() -> Iterator[tuple[Explainer, Claims]]:
    """Attributors of Zennit."""

    def of(name: str, claims: Claims, attributor: Any, stochastic: bool = False) -> Any:
        def call(model: nn.Module, images: Tensor, targets: Tensor) -> Any:
            with attributor(model) as explain:
                return explain(images, lambda logits: torch.eye(logits.shape[1]).to(logits)[targets])[1]

        return Explainer(call, name, stochastic, BATCH, package="zennit"), claims

    yield of("Gradient", LOCAL, zennit.attribution.Gradient)
    yield of("IntegratedGradients", SUMMED, lambda model: zennit.attribution.IntegratedGradients(model, n_iter=50))
    yield of("SmoothGrad", Claims(), lambda model: zennit.attribution.SmoothGrad(model, n_iter=3), True)
    yield of("LRP EpsilonPlus", Claims(), lambda model: zennit.attribution.Gradient(model, EpsilonPlus()))


def grad_cam() -> Iterator[tuple[Explainer, Claims]]:
    """Class activation maps of pytorch-grad-cam, and its guided backpropagation."""

    def of(name: str, method: Any) -> Any:
        def call(model: nn.Module, images: Tensor, targets: Tensor) -> Any:
            with method(model, target_layers=[model.conv2]) as cam:
                return cam(images, [ClassifierOutputTarget(int(target)) for target in targets])

        return Explainer(call, name, False, BATCH, package="grad-cam"), Claims()

    def guided(model: nn.Module, images: Tensor, targets: Tensor) -> Any:
        found = GuidedBackpropReLUModel(model, images.device)(images, int(targets[0]))
        return np.moveaxis(found, -1, 0)[None]

    yield of("GradCAM", GradCAM)
    yield of("HiResCAM", HiResCAM)
    yield Explainer(guided, "GuidedBackpropReLUModel", False, 1, package="grad-cam"), Claims()


def of_pair() -> Iterator[tuple[Explainer, Claims]]:
    """Masks of PAIR's saliency: one image at a time, in NumPy."""

    def as_array(values: Tensor) -> Any:  # NumPy knows no bfloat16
        return (values.float() if values.dtype == torch.bfloat16 else values).cpu().numpy()

    def of(name: str, claims: Claims, mask: Any, stochastic: bool = False) -> Any:
        def call(model: nn.Module, images: Tensor, targets: Tensor) -> Any:
            def gradients(points: Any, call_model_args: Any, expected_keys: Any) -> Any:
                with torch.enable_grad():
                    points = torch.tensor(np.asarray(points)).to(images).requires_grad_()
                    (found,) = torch.autograd.grad(model(points)[:, int(targets[0])].sum(), points)
                return {pair.INPUT_OUTPUT_GRADIENTS: as_array(found)}

            return mask(as_array(images[0]), gradients)[None]

        return Explainer(call, name, stochastic, 1, package="saliency"), claims

    yield of("GradientSaliency", LOCAL, pair.GradientSaliency().GetMask)
    yield of("IntegratedGradients", SUMMED, lambda x, f: pair.IntegratedGradients().GetMask(x, f, x_steps=50))
    smooth = pair.GradientSaliency().GetSmoothedMask
    yield of("SmoothGrad", Claims(), lambda x, f: smooth(x, f, nsamples=3, magnitude=False), True)


def ours() -> Iterator[tuple[Any, None]]:
    """Every method of the table that takes the laws' networks, with few noise samples."""
    for name in OURS:
        yield set_fields(get_method(name), {"samples": 3})[0], None


OURS = [name for name in METHODS if name != "attention-rollout"]  # for the networks have no attention
LIBRARIES = {"probatum": ours, "captum": captum, "zennit": of_zennit, "grad-cam": grad_cam, "saliency": of_pair}


def main() -> None:
    """Writes the outcomes of all explainers, with the versions and the day."""
    found: dict[str, Any] = {
        "date": date.today().isoformat(),
        "versions": {name: metadata.version(name) for name in ("torch", *LIBRARIES)},
        "libraries": {},
    }
    for library, explainers in LIBRARIES.items():
        names = iter(OURS) if library == "probatum" else None
        rows = found["libraries"][library] = {}
        for explainer, claims in explainers():
            name = next(names) if names else explainer.title
            result = check_explainer(explainer, claims=claims, on_fail="report")
            outcomes = result.to_json()["outcomes"]
            rows[name] = {each["law"]: each for each in outcomes if each["status"] != "passed"}
    OUTCOMES.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

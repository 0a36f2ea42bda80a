"""Attribution methods, one a file: the formula in the file, the work in the engine."""

from probatum.attributions.attention_rollout import AttentionRollout
from probatum.attributions.base import Method, attribute, attribute_variants, resolved
from probatum.attributions.baselines import Black, Blurred, Given, Mean, Zero
from probatum.attributions.conservative_propagation import ConservativePropagation
from probatum.attributions.deconvnet import DeconvNet
from probatum.attributions.deeplift import DeepLIFT
from probatum.attributions.deeplift_shap import DeepLiftSHAP
from probatum.attributions.edge_detector import EdgeDetector
from probatum.attributions.explainer import Explainer
from probatum.attributions.grad_cam import PAIR_OFFSET, GradCAM
from probatum.attributions.grad_cam_plus_plus import GradCAMPlusPlus
from probatum.attributions.gradient import Gradient
from probatum.attributions.gradient_shap import GradientSHAP
from probatum.attributions.guided_backprop import GuidedBackprop
from probatum.attributions.guided_grad_cam import GuidedGradCAM
from probatum.attributions.hires_cam import HiResCAM
from probatum.attributions.input_x_gradient import InputXGradient
from probatum.attributions.integrated_gradients import IntegratedGradients
from probatum.attributions.layer_cam import LayerCAM
from probatum.attributions.lrp import COMPOSITES, LRP
from probatum.attributions.occlusion import Occlusion
from probatum.attributions.registry import (
    METHODS,
    MethodEntry,
    as_method,
    get_method,
    is_control,
    is_method_name,
    title_of,
)
from probatum.attributions.smoothgrad import SmoothGrad
from probatum.attributions.streaming import MapBatch, attribute_stream
from probatum.engine import NoisyBaselines, Tokens

__all__ = [
    "COMPOSITES",
    "LRP",
    "METHODS",
    "PAIR_OFFSET",
    "AttentionRollout",
    "Black",
    "Blurred",
    "ConservativePropagation",
    "DeconvNet",
    "DeepLIFT",
    "DeepLiftSHAP",
    "EdgeDetector",
    "Explainer",
    "Given",
    "GradCAM",
    "GradCAMPlusPlus",
    "Gradient",
    "GradientSHAP",
    "GuidedBackprop",
    "GuidedGradCAM",
    "HiResCAM",
    "InputXGradient",
    "IntegratedGradients",
    "LayerCAM",
    "MapBatch",
    "Mean",
    "Method",
    "MethodEntry",
    "NoisyBaselines",
    "Occlusion",
    "SmoothGrad",
    "Tokens",
    "Zero",
    "as_method",
    "attribute",
    "attribute_stream",
    "attribute_variants",
    "get_method",
    "is_control",
    "is_method_name",
    "resolved",
    "title_of",
]

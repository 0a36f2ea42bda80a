"""The table of methods by name, with the papers' defaults: what the terminal offers and the tests go through."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from probatum.attributions.attention_rollout import AttentionRollout
from probatum.attributions.base import Method, MethodLike
from probatum.attributions.conservative_propagation import ConservativePropagation
from probatum.attributions.deconvnet import DeconvNet
from probatum.attributions.deeplift import DeepLIFT
from probatum.attributions.deeplift_shap import DeepLiftSHAP
from probatum.attributions.edge_detector import EdgeDetector
from probatum.attributions.explainer import Explainer
from probatum.attributions.grad_cam import GradCAM
from probatum.attributions.grad_cam_plus_plus import GradCAMPlusPlus
from probatum.attributions.gradient import Gradient
from probatum.attributions.gradient_shap import GradientSHAP
from probatum.attributions.guided_backprop import GuidedBackprop
from probatum.attributions.guided_grad_cam import GuidedGradCAM
from probatum.attributions.hires_cam import HiResCAM
from probatum.attributions.input_x_gradient import InputXGradient
from probatum.attributions.integrated_gradients import IntegratedGradients
from probatum.attributions.layer_cam import LayerCAM
from probatum.attributions.lrp import LRP
from probatum.attributions.occlusion import Occlusion
from probatum.attributions.smoothgrad import SmoothGrad
from probatum.errors import UnknownName
from probatum.imports import import_object, is_import_path, refuse_bare_file
from probatum.plugins import registered


@dataclass(frozen=True)
class MethodEntry:
    """A row of the table.

    Args:
        title: as in the papers' figures.
        make: builds the method with the papers' defaults.
        source: the paper.
        control: whether it is a control and not a method.
    """

    title: str
    make: Callable[[], Method]
    source: str
    control: bool = False

    @property
    def where(self) -> str:
        """The module that implements it, which for a combination is that of the outer method."""
        return type(self.make()).__module__


_SMILKOV = "Smilkov et al. 2017, arXiv:1706.03825"
_SHRIKUMAR = "Shrikumar et al. 2017, arXiv:1704.02685"
_LUNDBERG = "Lundberg & Lee 2017, arXiv:1705.07874"
_ALI = "Ali et al. 2022, arXiv:2202.07304; Achtibat et al. 2024, arXiv:2402.05602"
_ERION = "Lundberg & Lee 2017, arXiv:1705.07874; Erion et al. 2021, arXiv:1906.10670"

METHODS: dict[str, MethodEntry] = {
    "gradient": MethodEntry("Gradient", Gradient, "Simonyan et al. 2014, arXiv:1312.6034"),
    "smoothgrad": MethodEntry("SmoothGrad", SmoothGrad, _SMILKOV),
    "smoothgrad-squared": MethodEntry(
        "SmoothGrad²", lambda: SmoothGrad(statistic="square"), "Hooker et al. 2019, arXiv:1806.10758"
    ),
    "vargrad": MethodEntry(
        "VarGrad", lambda: SmoothGrad(statistic="variance"), "Adebayo et al. 2018, arXiv:1810.03307"
    ),
    "input-x-gradient": MethodEntry("Input × Gradient", InputXGradient, "Shrikumar et al. 2016, arXiv:1605.01713"),
    "input-x-gradient-sg": MethodEntry("Input × Gradient-SG", lambda: SmoothGrad(InputXGradient()), _SMILKOV),
    "guided-backprop": MethodEntry("Guided Backprop", GuidedBackprop, "Springenberg et al. 2014, arXiv:1412.6806"),
    "deconvnet": MethodEntry("DeconvNet", DeconvNet, "Zeiler & Fergus 2014, arXiv:1311.2901"),
    "grad-cam": MethodEntry("Grad-CAM", GradCAM, "Selvaraju et al. 2017, arXiv:1610.02391"),
    "grad-cam-plus-plus": MethodEntry("Grad-CAM++", GradCAMPlusPlus, "Chattopadhay et al. 2018, arXiv:1710.11063"),
    "hires-cam": MethodEntry("HiResCAM", HiResCAM, "Draelos & Carin 2020, arXiv:2011.08891"),
    "layer-cam": MethodEntry("LayerCAM", LayerCAM, "Jiang et al. 2021, doi:10.1109/TIP.2021.3089943"),
    "guided-grad-cam": MethodEntry("Guided Grad-CAM", GuidedGradCAM, "Selvaraju et al. 2017, arXiv:1610.02391"),
    "integrated-gradients": MethodEntry(
        "Integrated Gradients", IntegratedGradients, "Sundararajan et al. 2017, arXiv:1703.01365"
    ),
    "integrated-gradients-local": MethodEntry(
        "Integrated Gradients (local)",
        lambda: IntegratedGradients(multiply_by_inputs=False),
        "Ancona et al. 2018, arXiv:1711.06104",
    ),
    "integrated-gradients-sg": MethodEntry(
        "IG-SmoothGrad",
        lambda: SmoothGrad(IntegratedGradients(), samples=25),
        "Adebayo et al. 2018, arXiv:1810.03292",
    ),
    "integrated-gradients-sg-joint": MethodEntry(
        "IG-SmoothGrad (joint)",
        lambda: SmoothGrad(IntegratedGradients(), samples=50, estimator="joint"),
        "Adebayo et al. 2018, arXiv:1810.03292, by one drawn path point a sample",
    ),
    "deeplift": MethodEntry("DeepLIFT", DeepLIFT, _SHRIKUMAR),
    "deeplift-local": MethodEntry("DeepLIFT (local)", lambda: DeepLIFT(multiply_by_inputs=False), _SHRIKUMAR),
    "deeplift-shap": MethodEntry("DeepLiftSHAP", DeepLiftSHAP, _LUNDBERG),
    "deeplift-shap-local": MethodEntry(
        "DeepLiftSHAP (local)", lambda: DeepLiftSHAP(multiply_by_inputs=False), _LUNDBERG
    ),
    "gradient-shap": MethodEntry("GradientSHAP", GradientSHAP, _ERION),
    "gradient-shap-local": MethodEntry("GradientSHAP (local)", lambda: GradientSHAP(multiply_by_inputs=False), _ERION),
    "conservative-propagation": MethodEntry("Conservative Propagation", ConservativePropagation, _ALI),
    "conservative-propagation-local": MethodEntry(
        "Conservative Propagation (local)", lambda: ConservativePropagation(multiply_by_inputs=False), _ALI
    ),
    "attention-rollout": MethodEntry("Attention Rollout", AttentionRollout, "Abnar & Zuidema 2020, arXiv:2005.00928"),
    "lrp": MethodEntry("LRP", LRP, "Bach et al. 2015, doi:10.1371/journal.pone.0130140"),
    "occlusion": MethodEntry("Occlusion", Occlusion, "Zeiler & Fergus 2014, arXiv:1311.2901"),
    "edge-detector": MethodEntry("Edge Detector", EdgeDetector, "Sobel & Feldman 1968", control=True),
}


def title_of(name: str) -> str:
    """The title of a method of the table; the name itself of a method of somebody's own."""
    return METHODS[name].title if name in METHODS else name


def is_control(name: str) -> bool:
    """Tells whether a name of the table stands for a control, which never uses the model."""
    return name in METHODS and METHODS[name].control


def get_method(name: str) -> Method:
    """Builds a method by name.

    Args:
        name: of the table, which stands for the papers' defaults; one that an installed package registers; or
            `package.module:name` or `./file.py:name`, a method or a function (model, images, targets) -> maps. All but
            the first run the module's code.

    Raises:
        UnknownName: no method has the name; the nearest ones are suggested.
        InvalidInput: the module cannot be imported, or the object is no method.
    """
    if name in METHODS:
        return METHODS[name].make()
    if is_import_path(name):
        return as_method(import_object(name))
    refuse_bare_file(name)
    found = registered("methods", METHODS)
    if name not in found:
        raise UnknownName("method", name, [*METHODS, *found])
    method = as_method(found[name].load(), name)
    if isinstance(method, Explainer) and method.package is None:
        return replace(method, package=found[name].package, version=found[name].version)
    return method


def as_method(method: MethodLike, title: str = "") -> Method:
    """A method itself, the one of a name, or the `Explainer` of a function; InvalidInput where it is none of these.

    Args:
        method: what stands for a method.
        title: of an explainer; empty takes the function's name.
    """
    if isinstance(method, Method):
        return method
    if isinstance(method, str):
        return get_method(method)
    return Explainer(method, title)


def is_method_name(name: str) -> bool:
    """True if a name is in the table, registered, or of the form `module:name`; nothing is imported."""
    if name in METHODS or is_import_path(name):
        return True
    refuse_bare_file(name)
    return name in registered("methods", METHODS)

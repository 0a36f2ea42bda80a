"""Models by name, with their metadata and weights."""

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torchvision
from torch import nn

from probatum.errors import InvalidInput, ModelError, UnknownName
from probatum.models.checkpoints import known_state, load_checkpoint
from probatum.models.small import MLP, BasicCNN
from probatum.models.stages import GRAD_CAM_LAYERS, STAGES, Stages


@dataclass(frozen=True)
class ModelSpec:
    """Metadata of a model.

    Args:
        name: key in `MODELS`.
        title: as written in figures.
        channels: of an input image.
        input_size: height and width of an input image in pixels.
        resize: length of a photograph's shorter side before the central crop.
        interpolation: of that resizing.
        mean: per channel, of pixels in [0, 1].
        std: likewise.
        num_classes: of the published weights, or by default.
        stages: (name, module paths) from the output to the input; None for one stage per layer.
        grad_cam_layer: dotted path of the layer that Grad-CAM uses in the papers; None if no paper has this network.
        auxiliary: modules of torchvision's network that are used only in training. They belong to no stage, and
            `load_model` removes them.
        where: the module that defines it.
        class_names: of the published weights, in the order of the logits, or None.
    """

    name: str
    title: str
    channels: int
    input_size: int
    resize: int
    interpolation: Literal["bilinear", "bicubic"]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    num_classes: int
    stages: Stages | None = field(repr=False)
    grad_cam_layer: str | None
    auxiliary: tuple[str, ...]
    where: str
    class_names: tuple[str, ...] | None = field(repr=False)


_SMALL = {"basic_cnn": (BasicCNN, "basic CNN"), "mlp": (MLP, "MLP")}
_AUXILIARY = {"inception_v3": ("AuxLogits",), "googlenet": ("aux1", "aux2")}
_TITLES = {
    "alexnet": "AlexNet",
    "googlenet": "GoogLeNet",
    "inception_v3": "Inception v3",
    **{f"resnet{depth}": f"ResNet-{depth}" for depth in (18, 34, 50, 101, 152)},
    **{f"vgg{depth}": f"VGG-{depth}" for depth in (11, 13, 16, 19)},
    **{f"vgg{depth}_bn": f"VGG-{depth} with batch norm" for depth in (11, 13, 16, 19)},
    **{f"densenet{depth}": f"DenseNet-{depth}" for depth in (121, 161, 169, 201)},
    **{f"squeezenet1_{minor}": f"SqueezeNet 1.{minor}" for minor in (0, 1)},
}


def _small_spec(name: str) -> ModelSpec:
    _, title = _SMALL[name]
    return ModelSpec(
        name=name,
        title=title,
        channels=1,
        input_size=28,
        resize=28,
        interpolation="bilinear",
        mean=(0.1307,),
        std=(0.3081,),
        num_classes=10,
        stages=STAGES[name],
        grad_cam_layer=GRAD_CAM_LAYERS.get(name),
        auxiliary=(),
        where="probatum.models.small",
        class_names=None,
    )


def _torchvision_spec(name: str) -> ModelSpec:
    weights = torchvision.models.get_model_weights(name).DEFAULT
    transform = weights.transforms()
    class_names = tuple(weights.meta["categories"])
    return ModelSpec(
        name=name,
        title=_TITLES.get(name, name),
        channels=3,
        input_size=transform.crop_size[0],
        resize=transform.resize_size[0],
        interpolation=transform.interpolation.value,
        mean=tuple(transform.mean),
        std=tuple(transform.std),
        num_classes=len(class_names),
        stages=STAGES.get(name),
        grad_cam_layer=GRAD_CAM_LAYERS.get(name),
        auxiliary=_AUXILIARY.get(name, ()),
        where=torchvision.models.get_model_builder(name).__module__,
        class_names=class_names,
    )


MODELS: dict[str, ModelSpec] = {
    **{name: _small_spec(name) for name in _SMALL},
    **{name: _torchvision_spec(name) for name in torchvision.models.list_models(module=torchvision.models)},
}


def model_spec(name: str) -> ModelSpec:
    """Look up a model by name.

    Raises:
        UnknownName: no such model.
    """
    if name not in MODELS:
        raise UnknownName("model", name, MODELS)
    return MODELS[name]


def load_model(
    name: str, weights: str | os.PathLike[str] = "default", num_classes: int | None = None, seed: int = 0
) -> nn.Module:
    """Make a model in eval mode, on the CPU; the global random state does not change.

    Inception v3 and GoogLeNet always convert ImageNet-normalized inputs to their own range, as torchvision's do with
    published weights, so that inputs do not depend on the weights.

    Args:
        name: a key of `MODELS`.
        weights: "default" for torchvision's published weights (downloaded once, then cached), "none" for random
            weights, or a file with a state dict that fits exactly.
        num_classes: outputs of the last layer. If it differs from that of published weights, the last layer is random.
        seed: of the random weights.

    Raises:
        UnknownName: no such model.
        InvalidInput: no such file, a file that does not fit, or a model without published weights.
        ModelError: published weights that cannot be downloaded.
    """
    spec = model_spec(name)
    if num_classes is not None and num_classes < 1:
        raise InvalidInput(f"num_classes is {num_classes}; it must be at least 1")
    if weights == "default" and name in _SMALL:
        raise InvalidInput(f"{spec.title} has no published weights; train it, give a checkpoint file, or use 'none'")
    with torch.device("cpu"), _seeded(seed):
        model = _build(spec, spec.num_classes if num_classes is None else num_classes, initialize=weights == "none")
        if weights == "default":
            _load_published(model, spec)
    if weights not in ("default", "none"):
        load_checkpoint(model, weights, ignore=spec.auxiliary)
    return model.eval()


def _build(spec: ModelSpec, num_classes: int, initialize: bool) -> nn.Module:
    if spec.name in _SMALL:
        return _SMALL[spec.name][0](num_classes)
    options: dict[str, Any] = {"num_classes": num_classes}
    if spec.auxiliary:
        # torchvision's initializers are slow; if weights are loaded, the layers' defaults are overwritten anyway.
        options |= {"aux_logits": False, "transform_input": True, "init_weights": initialize}
    model: nn.Module = torchvision.models.get_model(spec.name, weights=None, **options)
    return model


def _load_published(model: nn.Module, spec: ModelSpec) -> None:
    """Copy torchvision's weights, read as tensors only; a last layer of another width keeps its random weights."""
    published = torchvision.models.get_model_weights(spec.name).DEFAULT
    try:
        with contextlib.redirect_stdout(sys.stderr):  # torch.hub announces a download on stdout
            content = published.get_state_dict(progress=False, check_hash=True, weights_only=True)
        state = known_state(content, spec.auxiliary)
    except Exception as error:  # from the network, the disk, or torch.load
        raise ModelError(
            f"the published weights of {spec.title} could not be loaded from {published.url} "
            f"({str(error).partition(chr(10))[0]}); give a checkpoint file, or 'none' for random weights"
        ) from error
    own = model.state_dict()
    changed = {key for key in own if key in state and own[key].shape != state[key].shape}
    if len({key.rpartition(".")[0] for key in changed}) > 1:
        raise InvalidInput(
            f"{spec.title} cannot change its number of classes: {', '.join(sorted(changed))} depend on it"
        )
    state.update({key: own[key] for key in changed})
    model.load_state_dict(state)


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed only the CPU's generator, and restore its state afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield

"""Torchvision's classifiers by name."""

import contextlib
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torchvision
from torch import nn

from probatum.errors import InvalidInput, ModelError
from probatum.models.checkpoints import known_state
from probatum.models.sources.base import Source
from probatum.models.spec import ModelSpec
from probatum.models.stages import GRAD_CAM_LAYERS, STAGES
from probatum.preprocessing import Preprocessing

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


def torchvision_names() -> list[str]:
    """Return the names of torchvision's classifiers."""
    return list(torchvision.models.list_models(module=torchvision.models))


@dataclass(frozen=True)
class TorchvisionSource(Source):
    """One of torchvision's classifiers."""

    name: str

    @cached_property
    def spec(self) -> ModelSpec:
        """Metadata from the entry of the published weights, which are not downloaded."""
        weights = torchvision.models.get_model_weights(self.name).DEFAULT
        transform = weights.transforms()
        class_names = tuple(weights.meta["categories"])
        return ModelSpec(
            name=self.name,
            title=_TITLES.get(self.name, self.name),
            preprocessing=Preprocessing(
                mean=tuple(transform.mean),
                std=tuple(transform.std),
                resize=transform.resize_size[0],
                crop=transform.crop_size[0],
                interpolation=transform.interpolation.value,
            ),
            num_classes=len(class_names),
            where=torchvision.models.get_model_builder(self.name).__module__,
            stages=STAGES.get(self.name),
            grad_cam_layer=GRAD_CAM_LAYERS.get(self.name),
            auxiliary=_AUXILIARY.get(self.name, ()),
            class_names=class_names,
        )

    def build(self, num_classes: int | None = None, *, initialize: bool = True) -> nn.Module:
        """Build the network without the auxiliary classifiers of Inception v3 and GoogLeNet.

        Both always convert ImageNet-normalized inputs to their own range, as torchvision's do with published weights,
        so that inputs do not depend on the weights.
        """
        options: dict[str, Any] = {"num_classes": num_classes or self.spec.num_classes}
        if self.spec.auxiliary:
            # torchvision's initializers are slow; if weights are loaded, the layers' defaults are overwritten anyway.
            options |= {"aux_logits": False, "transform_input": True, "init_weights": initialize}
        model: nn.Module = torchvision.models.get_model(self.name, weights=None, **options)
        return model

    def load_default(self, num_classes: int | None = None) -> nn.Module:
        """Build the network and copy torchvision's weights, read as tensors only."""
        model, title = self.build(num_classes, initialize=False), self.spec.title
        own = model.state_dict()
        published = torchvision.models.get_model_weights(self.name).DEFAULT
        try:
            with contextlib.redirect_stdout(sys.stderr):  # torch.hub announces a download on stdout
                content = published.get_state_dict(progress=False, check_hash=True, weights_only=True)
            state = known_state(content, own, self.spec.auxiliary)
        except Exception as error:  # from the network, the disk, or torch.load
            raise ModelError(
                f"the published weights of {title} could not be loaded from {published.url} "
                f"({str(error).partition(chr(10))[0]}); give a checkpoint file, or 'none' for random weights"
            ) from error
        changed = {key for key in own if key in state and own[key].shape != state[key].shape}
        if len({key.rpartition(".")[0] for key in changed}) > 1:
            raise InvalidInput(
                f"{title} cannot change its number of classes: {', '.join(sorted(changed))} depend on it"
            )
        state.update({key: own[key] for key in changed})
        model.load_state_dict(state)
        return model

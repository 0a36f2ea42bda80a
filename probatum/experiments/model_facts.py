"""Facts about a model before any run: its stages, Grad-CAM's layer, the ReLUs that are guided, what will be refused."""

from dataclasses import asdict, dataclass
from typing import Any

from probatum.attributions import METHODS, GradCAM, get_method
from probatum.data import ImageSet, load_dataset
from probatum.data.shipped import shipped_photographs
from probatum.engine import all_logits, prepare
from probatum.engine.coverage import held_coverage, relu_coverage
from probatum.errors import ModelError
from probatum.experiments.build import configured_spec, configured_stages, preprocessing_of, subject_of
from probatum.experiments.config import CheckConfig
from probatum.experiments.model_options import class_names_of
from probatum.experiments.refusals import Refusals, refusals
from probatum.models import load_model
from probatum.models.last_relu import last_relu, without_last_relu
from probatum.models.registry import find_source
from probatum.models.spec import ModelSpec
from probatum.randomization.stages import names_under

FORWARD_ONLY = ("occlusion",)  # takes hundreds of passes, and any model can have it


@dataclass(frozen=True)
class StageFacts:
    """One stage of a randomization.

    Args:
        name: of the stage.
        modules: dotted paths of what is drawn anew.
        parameters: numbers that are drawn anew.
    """

    name: str
    modules: tuple[str, ...]
    parameters: int


@dataclass(frozen=True)
class ModelFacts:
    """What a check of a model will work with.

    Args:
        title: of the model.
        where: the module that defines it.
        input_shape: of an image, (channel, height, width).
        classes: number of logits.
        parameters: numbers in all parameters.
        stages: in cascading order, the output first.
        unused: parameters that the forward pass does not use, which are never drawn anew.
        grad_cam_layer: dotted path of the layer that Grad-CAM takes by default, or why there is none.
        grad_cam_layout: of that layer, or "".
        relus: how many activations Guided Backprop reaches, in words.
        held: what Conservative Propagation holds constant, and calls without a rule, in words.
        last_relu: name of the ReLU that ends the model, whose input is explained by default; None if there is none.
        refused: name and reason of each method that the model cannot have.
    """

    title: str
    where: str
    input_shape: tuple[int, ...]
    classes: int
    parameters: int
    stages: tuple[StageFacts, ...]
    unused: tuple[str, ...]
    grad_cam_layer: str
    grad_cam_layout: str
    relus: str
    held: str
    last_relu: str | None
    refused: Refusals

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"refused": [{"method": name, "reason": reason} for name, reason in self.refused]}


def model_facts(config: CheckConfig) -> ModelFacts:
    """Looks at a model with one image, without any training or download that its weights do not need.

    Args:
        config: names the model, its weights and its inputs; weights "train" stand for random ones.

    Raises:
        InvalidInput, ModelError: the model cannot be loaded, or does not take an image.
    """
    spec = configured_spec(config)
    images = example_image(spec)
    weights = "none" if config.weights == "train" else config.weights
    model = load_model(spec.name, weights, seed=config.seed).eval()
    subject = subject_of(
        spec,
        model,
        images,
        class_names=lambda classes: class_names_of(config, spec, classes),
        memory_budget=config.memory_budget,
        output=config.logits_at,
    )
    relu = last_relu(model, images.images) if config.output is None else None
    explained = model if relu is None else without_last_relu(model, relu)
    prepared = prepare(explained, output=config.logits_at)
    plan = configured_stages(config, subject)
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    try:
        feature_map = GradCAM(config.layer).feature_map(prepared, images.images)
        layer, layout = feature_map.path, str(feature_map.layout)
    except ModelError as error:
        layer, layout = f"none: {error}", ""
    methods = {name: get_method(name) for name in METHODS if name not in FORWARD_ONLY}
    return ModelFacts(
        title=spec.title,
        where=spec.where,
        input_shape=tuple(images.images.shape[1:]),
        classes=all_logits(prepared, images.images).shape[1],
        parameters=sum(sizes.values()),
        stages=tuple(
            StageFacts(stage.name, stage.modules, sum(sizes.get(name, 0) for name in names_under(model, stage.modules)))
            for stage in plan.stages
        ),
        unused=plan.unused,
        grad_cam_layer=layer,
        grad_cam_layout=layout,
        relus=str(relu_coverage(prepared, images.images)),
        held=str(held_coverage(prepared, images.images)),
        last_relu=relu,
        refused=refusals(methods, prepared, images.images, int(subject.targets[0])),
    )


def example_image(spec: ModelSpec) -> ImageSet:
    """A digit for networks of one channel, else a photograph, as the model expects it."""
    preprocessing = preprocessing_of(spec)
    if preprocessing.channels == 1:
        return load_dataset("digits", "test", 1, preprocessing=preprocessing)
    return shipped_photographs(preprocessing, 1)


def weights_to_look_at(model: str) -> str:
    """The weights that facts are found with if none are named: one's own as they are, else random ones."""
    return "default" if find_source(model).own_code else "none"

"""Network, stages and images to explain: Inception v3 on photographs, or a substitution."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from probatum.data import ImageSet, load_photographs
from probatum.engine import all_logits, prepare
from probatum.errors import InvalidInput
from probatum.experiments.build import preprocessing_of
from probatum.models import load_model, model_spec
from probatum.randomization import StagePlan, automatic_stages, stages_from_table, usual_stages
from probatum.reproductions.base import Context
from probatum.reproductions.findings import joined
from probatum.reproductions.kokhlikyan2021 import digits_cnn
from probatum.reproductions.kokhlikyan2021.digits_cnn import load_digits, trained_cnn
from probatum.reproductions.kokhlikyan2021.judging import BATCH_NORM, SCALE
from probatum.reproductions.setting import PRETRAINED, Setting
from probatum.reproductions.subjects import before_last_relu
from probatum.runs.fingerprint import weights_hash

INCEPTION_STAGES = (
    ("fc", ("fc",)),
    ("Mixed_7", ("Mixed_7c", "Mixed_7b", "Mixed_7a")),
    ("Mixed_6", ("Mixed_6e", "Mixed_6d", "Mixed_6c", "Mixed_6b", "Mixed_6a")),
    ("Mixed_5", ("Mixed_5d", "Mixed_5c", "Mixed_5b")),
    *((name, (name,)) for name in ("Conv2d_4a_3x3", "Conv2d_3b_1x1", "Conv2d_2b_3x3", "Conv2d_2a_3x3")),
    ("Conv2d_1a_3x3", ("Conv2d_1a_3x3",)),
)
"""Stages of the paper's table 1."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A network to randomize, with its stages and the images to explain.

    Args:
        title: of the network with its weights and data, for captions.
        model: on its device.
        plan: its stages.
        data: on the CPU.
        trained: False if the weights are random.
        setting: what replaced Inception v3 on photographs.
        layer: of Grad-CAM; None for the one that it finds.
        class_names: of the network's classes, or None.
    """

    title: str
    model: nn.Module
    plan: StagePlan
    data: ImageSet
    trained: bool
    setting: Setting
    layer: str | None = None
    class_names: tuple[str, ...] | None = field(default=None, repr=False)

    def class_name(self, target: int) -> str:
        """Return the name of a class, or its number."""
        names = self.class_names
        return names[target] if names is not None and target < len(names) else str(target)

    def facts(self, context: Context) -> dict[str, Any]:
        """Return the facts that every experiment stores."""
        return {
            "preset": context.config.preset,
            "network": self.title,
            "used": self.title,
            "trained": self.trained,
            "setting": self.setting.to_json(),
            "weights_sha256": weights_hash(self.model),
            "images": list(self.data.image_names),
            "seed": context.config.seed,
        }

    def probabilities(self, images: Tensor, memory_budget: str | None) -> Tensor:
        """Return the softmax of the logits, (image, class)."""
        return all_logits(prepare(self.model, memory_budget=memory_budget), images).softmax(1)


def network_of(context: Context) -> str | None:
    """Return the requested ImageNet network, or the paper's in its preset; None for the basic CNN on digits."""
    config = context.config
    return config.model or ("inception_v3" if not config.substitutes or config.weights != "default" else None)


def load_subject(context: Context, images: int) -> Subject:
    """Load the network with some images, digits of every class in turn.

    Raises:
        InvalidInput: photographs are missing, or the network does not take photographs.
        ModelError: published weights that cannot be loaded.
    """
    name = network_of(context)
    return _photographs(context, name, images) if name else _digits(context, images)


def _photographs(context: Context, name: str, count: int) -> Subject:
    """Load a pretrained network of torchvision with photographs."""
    config, spec = context.config, model_spec(name)
    if spec.channels != 3:
        raise InvalidInput(f"{spec.title} takes no photographs; without --model the basic CNN is trained on digits")
    source = config.photographs or context.data_folder("imagenet-samples")
    if source is None:
        raise InvalidInput(
            f"{spec.title} needs photographs; give a folder of them with --photographs, or imagenet-samples/ in the "
            "data folder with --data-dir"
        )
    data = load_photographs(source, preprocessing_of(spec), limit=count)
    if len(data) < max(2, count):
        raise InvalidInput(f"{source} has {len(data)} photographs; {max(2, count)} are needed")
    model = load_model(name, config.weights, seed=config.seed).to(context.device)
    table = INCEPTION_STAGES if name == "inception_v3" else spec.stages
    first = data.images[:1].to(context.device)
    plan = stages_from_table(model, table, images=first) if table else usual_stages(automatic_stages(model, first))
    trained = config.weights != "none"
    weights = {"default": "torchvision's weights", "none": "random weights"}.get(config.weights, "given weights")
    model, layer = before_last_relu(model, data.images)
    lacks = {} if trained else {PRETRAINED: "the weights are random: give --weights"}
    if not any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        lacks[BATCH_NORM] = (
            f"{spec.title} has none: under Xavier the scale of its logits, and so infidelity, changes by orders of "
            "magnitude; give --model inception_v3"
        )
    stand_in = joined(f"{spec.title} instead of Inception v3", layer)
    setting = Setting(() if name == "inception_v3" else (stand_in,), lacks)
    return Subject(
        f"{spec.title} ({weights}) on {data.name}",
        model,
        plan,
        data,
        trained,
        setting,
        spec.grad_cam_layer,
        spec.class_names,
    )


def _digits(context: Context, count: int) -> Subject:
    """Train the basic CNN on the true labels."""
    digit_sizes = context.pick(digits_cnn.SIZES)
    digits = load_digits(context, digit_sizes)
    model, report = trained_cnn(
        context,
        digits,
        digit_sizes.true,
        digits_cnn.labels_of(digits.train),
        start=context.config.seed,
        what="the basic CNN",
    )
    data = digits.test.take_per_class(-(-count // 10)).subset(range(count))
    spec = model_spec("basic_cnn")
    assert spec.stages is not None, "the basic CNN has a table of stages"
    title = f"basic CNN (test accuracy {report.best_accuracy:.3f}) on {digits.title}"
    return Subject(
        title,
        model,
        stages_from_table(model, spec.stages),
        data,
        True,
        Setting(
            (f"the basic CNN on {digits.title} instead of Inception v3 on photographs",),
            dict.fromkeys(SCALE, "a small CNN on digits was used: give --model inception_v3, or another network"),
        ),
        spec.grad_cam_layer,
        data.class_names,
    )

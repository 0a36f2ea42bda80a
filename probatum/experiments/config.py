"""The configuration of a check: plain values that say everything about it and survive a round trip through JSON."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from probatum.attributions import COMPOSITES, METHODS, is_method_name
from probatum.engine import PRECISIONS, Compute, as_layout
from probatum.errors import InvalidInput, UnknownName
from probatum.experiments.limits import check_numbers
from probatum.metrics import METRICS, is_metric_name
from probatum.randomization import BATCH_NORM, INITIALIZERS, ORDERS, PRESETS, Identity, initializer, preset
from probatum.runs.plain_values import parse_dataclass

DEFAULT_METRICS = ("ssim", "spearman", "spearman-abs", "hog-pearson")
# The methods that the papers on sanity checks have in common; IG-SmoothGrad by its joint estimator, which takes 50
# gradients in place of 25 × 50.
DEFAULT_METHODS = (
    "gradient",
    "smoothgrad",
    "input-x-gradient",
    "input-x-gradient-sg",
    "guided-backprop",
    "grad-cam",
    "guided-grad-cam",
    "integrated-gradients",
    "integrated-gradients-local",
    "integrated-gradients-sg-joint",
    "edge-detector",
)
BASELINES = ("zero", "black", "blurred", "mean")
ON_ERROR = ("stop", "skip")
LAST_RELU = ("skip", "keep")
STAGES = ("blocks", "layers")
INTERPOLATIONS = ("bilinear", "bicubic")


@dataclass(frozen=True)
class CheckConfig:
    """Configuration of a sanity check.

    Args:
        data: a data set by name, a folder of images, an image, or a text file that lists images.
        data_dir: where a data set that is read from disk lies.
        images: how many images are explained; of a labeled set, as many of each class as come out even.
        model: a model by name, or `package.module:name` or `./file.py:name` for one's own, whose code is run.
        weights: "train" (small networks, on the data set's training images), "default" (published weights, or those
            that one's own code makes), "none" (random), or a checkpoint file.
        classes: a text file with the name of one class a line, or a folder whose sub-folders are the classes; None
            takes the names of the data set, or of the published weights, where their number is the model's.
        input_size: height and width of the images in pixels; like the next three, None is the model's own.
        mean: per channel, of pixels in [0, 1].
        std: likewise.
        interpolation: of the resizing, "bilinear" or "bicubic".
        output: where the logits are in what the model returns: a key, an attribute, or an index in digits; None is the
            answer itself or its "logits".
        train_images: how many images "train" uses.
        methods: names of attribution methods, or `package.module:name` or `./file.py:name` for those of one's own.
        on_refused: of a method that the model cannot have, as Guided Backprop without a ReLU: "stop", or "skip" it.
        metrics: names of similarity metrics; None are the preset's, or else the usual ones.
        preset: a randomization protocol; `order`, `initializer`, `batch_norm` and `trials` replace its parts.
        stages: "layers", or "blocks" of the module tree; None takes the papers' stages where there is a table of them,
            else layers, and blocks in networks of more than 20 layers.
        order: of the randomization.
        initializer: of the randomized parameters.
        batch_norm: what becomes of running statistics.
        trials: independent randomizations.
        until_decided: whether the check begins with few images and trials and ends when no verdict is left that more
            of them may decide; `images` and `trials` are then the most.
        layer: of every method that reads one, such as Grad-CAM; None is the last feature map that every path from
            the image to the logits passes. An option that none of the methods has a field for is refused.
        layout: of that layer: "nchw", "nhwc", or tokens as "tokens:1:14x14"; None is the one that the forward pass
            shows.
        samples: noise samples of every method that has them, or gets them from the preset, and DeepLiftSHAP's noisy
            baselines; None keeps the papers' numbers.
        steps: path steps of every method that has them; None keeps the papers' numbers.
        tolerance: of Integrated Gradients: points are added up to it, and `steps` is the most; None keeps the number.
        ceiling: of SmoothGrad's mean: samples are added up to this agreement, and `samples` is the most; likewise.
        baseline: of every method that has one, and the center of the SHAP methods' noisy baselines: "zero", "black",
            "blurred" or "mean"; None is the methods' own, which is zero in the table.
        composite: of every method that has one: the rules of LRP by name; None is "epsilon-plus-flat".
        seed: of everything random.
        keep_maps: of how many images the maps are stored and drawn.
        device: "auto", or a torch device.
        precision: "float32", "tf32" (on CUDA), "bfloat16" or "float64".
        channels_last: whether the channels of each pixel lie next to each other in memory.
        fold_batch_norm: whether each convolution and the batch norm behind it are computed as one.
        memory_budget: for activations, such as "2 GiB"; None is the device's default.
        on_error: of a photograph that cannot be read: "stop", or "skip" it and go on. So with a map of an attribution
            that an explainer fails to make or that has NaN: it is NaN and counted. A check always counts such maps.
        last_relu: of a network whose outputs end in a ReLU: "skip" explains the values before it, "keep" those behind.
    """

    data: str = "digits"
    data_dir: str | None = None
    images: int = 10
    model: str = "basic_cnn"
    weights: str = "train"
    classes: str | None = None
    input_size: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    interpolation: str | None = None
    output: str | None = None
    train_images: int = 10_000
    methods: tuple[str, ...] = DEFAULT_METHODS
    on_refused: str = "stop"
    metrics: tuple[str, ...] | None = None
    preset: str = "adebayo"
    stages: str | None = None
    order: str | None = None
    initializer: str | None = None
    batch_norm: str | None = None
    trials: int | None = None
    until_decided: bool = False
    layer: str | None = None
    layout: str | None = None
    samples: int | None = None
    steps: int | None = None
    tolerance: float | None = None
    ceiling: float | None = None
    baseline: str | None = None
    composite: str | None = None
    seed: int = 0
    keep_maps: int = 3
    device: str = "auto"
    precision: str = "float32"
    channels_last: bool = False
    fold_batch_norm: bool = False
    memory_budget: str | None = None
    on_error: str = "stop"
    last_relu: str = "skip"

    def __post_init__(self) -> None:
        for kind, names, table in (
            ("randomization preset", (self.preset,), PRESETS),
            ("initializer", (self.initializer,), INITIALIZERS),
            ("kind of stages", (self.stages,), STAGES),
            ("randomization order", (self.order,), ORDERS),
            ("batch-norm policy", (self.batch_norm,), BATCH_NORM),
            ("baseline", (self.baseline,), BASELINES),
            ("composite", (self.composite,), COMPOSITES),
            ("precision", (self.precision,), PRECISIONS),
            ("interpolation", (self.interpolation,), INTERPOLATIONS),
            ("way to treat the last ReLU", (self.last_relu,), LAST_RELU),
            ("way to treat an error", (self.on_error,), ON_ERROR),
            ("way to treat a refused method", (self.on_refused,), ON_ERROR),
        ):
            for name in names:
                if name is not None and name not in table:
                    raise UnknownName(kind, name, table)
        for name in self.methods:
            if not is_method_name(name):
                raise UnknownName("method", name, METHODS)
        for name in self.metrics or ():
            if not is_metric_name(name):
                raise UnknownName("metric", name, METRICS)
        protocol = preset(self.preset)
        how = initializer(self.initializer) if self.initializer else protocol.initializer
        if (self.order or protocol.order) == "logit" and not isinstance(how, Identity):
            raise InvalidInput("order 'logit' keeps all weights; it goes with initializer 'identity' alone")
        if not self.methods or self.metrics == ():
            raise InvalidInput("a check needs at least one method and one metric")
        check_numbers(self, "images", "input_size", "train_images", "trials", "samples", "steps")
        if self.layout is not None:
            as_layout(self.layout)
        if self.keep_maps < 0:
            raise InvalidInput(f"keep_maps is {self.keep_maps}; it cannot be negative")

    @property
    def compute(self) -> Compute:
        """How to compute, as one value for the engine."""
        return Compute(self.precision, self.channels_last, self.fold_batch_norm, self.memory_budget)

    @property
    def logits_at(self) -> str | int | None:
        """Where the logits are in what the model returns, as `prepare` takes it."""
        is_index = self.output is not None and self.output.removeprefix("-").isdecimal()
        return int(self.output) if self.output is not None and is_index else self.output

    @property
    def chosen_metrics(self) -> tuple[str, ...]:
        """The metrics that are computed: those given, else the preset's, else the usual ones."""
        return self.metrics or preset(self.preset).metrics or DEFAULT_METRICS

    def to_json(self) -> dict[str, Any]:
        """The configuration as plain JSON values."""
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "CheckConfig":
        """Reads what `to_json` wrote; InvalidInput where a value is unknown or of another kind."""
        return parse_dataclass(cls, values, "check")

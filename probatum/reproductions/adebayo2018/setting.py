"""Sizes, methods, metrics, data and trained networks of all experiments."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from probatum.attributions import (
    METHODS,
    PAIR_OFFSET,
    EdgeDetector,
    GradCAM,
    Gradient,
    GuidedBackprop,
    GuidedGradCAM,
    InputXGradient,
    IntegratedGradients,
    Method,
    SmoothGrad,
)
from probatum.data import DATASETS, UNIT_RANGE, ImageSet, load_dataset
from probatum.models import PAPER_MNIST, TrainingConfig, TrainingReport, load_model, model_spec
from probatum.randomization import Initializer, Reset, TruncatedNormal
from probatum.reproductions import digits
from probatum.reproductions.base import Context, Inputs
from probatum.reproductions.digits import Digits, digits_setting
from probatum.reproductions.setting import Setting
from probatum.reproductions.subjects import Subject

NETWORKS = ("basic_cnn", "mlp")
METRICS = ("spearman", "spearman-abs", "ssim", "ssim-adebayo-issue", "hog-pearson")
CONTROL = "edge-detector"
PAIR = {"grad-cam-pair": "grad-cam", "guided-grad-cam-pair": "guided-grad-cam"}
"""Methods as PAIR's `saliency` had them when the paper was written, and the published ones beside which they stand."""

TRAINING_IMAGES = "55,000 training images"
EPOCHS = "50 epochs"
INPUTS = Inputs(data=("MNIST",), paper_data=("FashionMNIST",))  # of the experiments on small networks


@dataclass(frozen=True)
class AuthorsWeights(Initializer):
    """First weights of the authors' small networks: truncated N(0, 0.1²), every bias 0.1.

    Source: `train_cnn_models.py` of github.com/adebayoj/sanity_checks_saliency; re-drawn layers get them too.
    """

    std: float = 0.1
    bias: float = 0.1

    def _draw(self, module: nn.Module, name: str, trained: Tensor, generator: torch.Generator) -> Tensor:
        if name == "bias":
            return torch.full_like(trained, self.bias)
        return TruncatedNormal(self.std)(module, name, trained, generator)


HELD_BACK = 5000  # of the training images
L2 = 0.001
VARIANTS = {
    "initializer-adebayo": "small networks begin with the authors' weights, truncated N(0, 0.1²) and biases of 0.1, "
    "and are re-drawn with them, as in the presets cpu and paper",
    "initializer-pytorch": "small networks begin and are re-drawn with PyTorch's initializers, as in the preset quick",
    "l2": f"small networks are trained with L2 regularization of {L2}, an option of the authors' script",
    "validation-split": f"small networks are tested on the first {HELD_BACK:,} training images and trained on the next "
    "ones, as by the authors' script; the explained digits are test images as before",
    "inception-preprocessing": "photographs are squashed to 299 × 299 pixels in [−1, 1], as the authors' Inception v3 "
    "takes them",
}
"""Of the protocol: where the paper, its code and its appendix leave a choice."""
INITIALIZERS: dict[str, Initializer] = {"pytorch": Reset(), "adebayo": AuthorsWeights()}
"""First weights of the small networks, and what their layers are re-drawn with."""


@dataclass(frozen=True)
class Points:
    """Number of noise samples and path steps; IG-SmoothGrad has its own, and one of the estimators of `SmoothGrad`."""

    samples: int = 50
    steps: int = 50
    nested_samples: int = 25
    nested_steps: int = 50
    estimator: Literal["nested", "joint"] = "nested"

    def __str__(self) -> str:
        joint = f"{self.nested_samples} samples (joint estimator)"
        nested = joint if self.estimator == "joint" else f"{self.nested_samples} × {self.nested_steps}"
        return f"SmoothGrad {self.samples} samples, IG {self.steps} steps, IG-SmoothGrad {nested}"


@dataclass(frozen=True)
class AdebayoSizes:
    """Sizes of the study.

    Args:
        train_images: of a data set; None is all.
        test_images: that measure accuracy and from which the explained ones come; None is all.
        training: of the small networks.
        weights: a key of `INITIALIZERS`.
        memorized: training images with permuted labels; None is all.
        label_trainings: networks of true and of permuted labels, each from other first weights and other permutations.
        memorizing: training on the permuted labels.
        true_labels: training on the true labels of these images.
        per_class: explained images of each class of a small data set.
        trials: independent randomizations of the small networks.
        filters: random filters of the sum-pooling network.
        photographs: that the ImageNet network explains; its weights are randomized once, as in the paper.
        drawn: images of a small data set whose maps are stored and drawn.
        photographs_drawn: photographs whose maps are stored and drawn.
        points: of the methods on small images.
        photograph_points: of the methods on photographs.
    """

    train_images: int | None
    test_images: int | None
    training: TrainingConfig
    weights: Literal["pytorch", "adebayo"]
    memorized: int | None
    label_trainings: int
    memorizing: TrainingConfig
    true_labels: TrainingConfig
    per_class: int
    trials: int
    filters: int
    photographs: int
    drawn: int
    photographs_drawn: int
    points: Points
    photograph_points: Points


SIZES = {
    "paper": AdebayoSizes(
        train_images=55_000,
        test_images=None,
        training=PAPER_MNIST,
        weights="adebayo",
        memorized=55_000,
        label_trainings=3,
        memorizing=replace(PAPER_MNIST, epochs=500, monitor="train", target_accuracy=0.95),
        true_labels=PAPER_MNIST,
        per_class=10,
        trials=5,
        filters=100,
        photographs=50,
        drawn=3,
        photographs_drawn=8,
        points=Points(),
        photograph_points=Points(),
    ),
    "cpu": AdebayoSizes(
        train_images=55_000,
        test_images=2000,
        training=TrainingConfig(epochs=3, batch_size=50, learning_rate=5e-4, schedule="linear"),
        weights="adebayo",
        memorized=1000,
        label_trainings=3,
        memorizing=TrainingConfig(epochs=100, batch_size=20, learning_rate=5e-4, monitor="train", target_accuracy=0.95),
        true_labels=TrainingConfig(epochs=15, batch_size=20, learning_rate=5e-4),
        per_class=4,
        trials=3,
        filters=50,
        photographs=8,
        drawn=1,
        photographs_drawn=3,
        points=Points(25, 25, 25, estimator="joint"),
        photograph_points=Points(15, 15, 15, estimator="joint"),
    ),
    "quick": AdebayoSizes(
        train_images=6000,
        test_images=1000,
        training=TrainingConfig(epochs=4, batch_size=64, learning_rate=1e-3, schedule="linear"),
        weights="pytorch",
        memorized=300,
        label_trainings=3,
        memorizing=TrainingConfig(epochs=100, batch_size=20, learning_rate=5e-4, monitor="train", target_accuracy=0.95),
        true_labels=TrainingConfig(epochs=20, batch_size=20, learning_rate=5e-4),
        per_class=2,
        trials=3,
        filters=50,
        photographs=6,
        drawn=1,
        photographs_drawn=3,
        points=Points(25, 25, 5, 10),
        photograph_points=Points(10, 10, 4, 5),
    ),
}


def methods_for(network: str, points: Points) -> dict[str, Method]:
    """Return the paper's methods in the order of its figure, without Grad-CAM for an MLP, and the control."""
    spec = model_spec(network)
    layer = spec.grad_cam_layer
    methods: dict[str, Method] = {
        "gradient": Gradient(),
        "smoothgrad": SmoothGrad(samples=points.samples),
        "input-x-gradient": InputXGradient(),
        "guided-backprop": GuidedBackprop(),
        "grad-cam-pair": GradCAM(layer, offset=PAIR_OFFSET),
        "grad-cam": GradCAM(layer),
        "guided-grad-cam-pair": GuidedGradCAM(layer, offset=PAIR_OFFSET),
        "guided-grad-cam": GuidedGradCAM(layer),
        "integrated-gradients": IntegratedGradients(points.steps),
        "integrated-gradients-sg": SmoothGrad(
            IntegratedGradients(points.nested_steps), samples=points.nested_samples, estimator=points.estimator
        ),
        CONTROL: EdgeDetector(),
    }
    if network == "mlp":  # it has no feature maps
        methods = {name: method for name, method in methods.items() if "grad-cam" not in name}
    return methods


def title_of_method(name: str) -> str:
    """A method as figures and findings call it."""
    return f"{METHODS[PAIR[name]].title} (PAIR)" if name in PAIR else METHODS[name].title


def datasets(context: Context) -> list[str]:
    """Return MNIST, or rendered digits if it is not given, and Fashion-MNIST if it is given.

    Raises:
        InvalidInput: the preset "paper" without one of the two, or "cpu" without MNIST.
    """
    first = "mnist" if context.data_folder("MNIST") else "digits"
    fashion = context.data_folder("FashionMNIST", optional=context.config.preset != "paper")
    return [first] + ["fashion-mnist"] * (fashion is not None)


def setting_of(names: list[str], images: int | None, epochs: int = 50) -> Setting:
    """What an experiment on small networks replaced.

    Args:
        names: of its data sets.
        images: of a training; None is all.
        epochs: of a training whose accuracy is judged.
    """
    smaller = {TRAINING_IMAGES: f"{images:,}"} if images is not None and images < 55_000 else {}
    smaller |= {EPOCHS: f"{epochs}"} if epochs < 50 else {}
    setting = digits_setting(DATASETS[names[0]].title, smaller)
    if "fashion-mnist" in names:
        return setting
    alone = "one data set, without Fashion-MNIST (give FashionMNIST/raw in the folder of --data-dir)"
    return replace(setting, stand_ins=(*setting.stand_ins, alone))


def used_on(names: list[str]) -> str:
    """The small networks and their data, as headings name them."""
    return f"a CNN and an MLP on {' and '.join(DATASETS[name].title for name in names)}"


def load_small(context: Context, name: str, split: str, count: int | None) -> ImageSet:
    """Images of a small data set in [0, 1], where black is zero as in the paper's code.

    Zero matters: the input is a factor of Input × Gradient and of Integrated Gradients.
    """
    if name == "digits" and count is None:
        count = DATASETS[name].sizes[split == "test"]
    return load_dataset(name, split, count, context.config.data_dir, context.config.seed, preprocessing=UNIT_RANGE)


def load_split(context: Context, name: str, count: int | None) -> Digits:
    """Training images of a small data set, at most `count`, and the images on which accuracy is measured.

    These are test images; with the variant "validation-split", the first 5,000 of the training images.
    """
    if not context.wants("validation-split"):
        test_images = context.pick(SIZES).test_images
        return Digits(name, load_small(context, name, "train", count), load_small(context, name, "test", test_images))
    whole = load_small(context, name, "train", None)
    stop = len(whole) if count is None else min(len(whole), HELD_BACK + count)
    return Digits(name, whole.subset(range(HELD_BACK, stop)), whole.subset(range(HELD_BACK)))


def explained_images(context: Context, name: str) -> ImageSet:
    """Test images of every class."""
    sizes = context.pick(SIZES)
    return load_small(context, name, "test", sizes.test_images).take_per_class(sizes.per_class)


def weights_of(context: Context) -> str:
    """The first weights of the small networks, a key of `INITIALIZERS`: those of a variant, or else of the preset."""
    asked = [name for name in INITIALIZERS if context.wants(f"initializer-{name}")]
    return asked[0] if asked else context.pick(SIZES).weights


def untrained(context: Context, network: str, seed: int) -> nn.Module:
    """A small network before its training."""
    model = load_model(network, "none", seed=seed)
    chosen = weights_of(context)
    if chosen != "pytorch":
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for module in model.modules():
                for name, values in module.named_parameters(recurse=False):
                    values.copy_(INITIALIZERS[chosen](module, name, values, generator))
    return model.to(context.device)


def trained(
    context: Context,
    network: str,
    images: Digits,
    config: TrainingConfig,
    what: str,
    first_weights: int = 0,
    labels: Int64[Tensor, " image"] | None = None,
) -> tuple[nn.Module, TrainingReport]:
    """Train a small network, or load it from the cache; `first_weights` numbers the trainings, `labels` are others."""
    seed = context.config.seed + first_weights
    model = untrained(context, network, seed)
    recipe = replace(config, seed=seed, weight_decay=L2 if context.wants("l2") else 0.0)
    return model, digits.trained(context, model, images, recipe, what, labels)


def small_subject(
    context: Context, network: str, images: Digits, explained: ImageSet
) -> tuple[Subject, TrainingReport]:
    """A trained small network with the images that it explains."""
    spec, title = model_spec(network), title_of(network, images.name)
    model, report = trained(context, network, images, context.pick(SIZES).training, title)
    name, names = f"{network}-{images.name}", explained.class_names
    return Subject(name, title, model, explained, Setting(), spec.stages, spec.grad_cam_layer, names), report


def title_of(network: str, dataset: str) -> str:
    """A network and its data, as figures and findings call them."""
    short = {"basic_cnn": "CNN", "mlp": "MLP"}
    return f"{short[network]} on {DATASETS[dataset].title}"

"""Configuration of a benchmark, and the model and images that it works on."""

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from probatum.attributions import METHODS, GradCAM, is_method_name
from probatum.data import ImageSet, load_dataset, load_photographs
from probatum.data.shipped import SHIPPED, shipped_photographs
from probatum.engine import PreparedModel, prepare
from probatum.engine.external import LogitsOf
from probatum.errors import InvalidInput, UnknownName
from probatum.experiments.build import choose_device, preprocessing_of
from probatum.experiments.limits import check_numbers
from probatum.experiments.model_options import running
from probatum.models import ModelSpec, load_model, model_spec
from probatum.models.registry import find_source

DIGIT_SIZE = 28  # pixels of a digit; networks of one channel and another size get gray photographs
QUICK_SIZE = 96  # pixels of an image in a quick run, for networks that take any size
_FULL_SIZE = ("vit_", "swin", "maxvit", "inception")  # networks of one size, or whose last maps would be 1 × 1


@dataclass(frozen=True)
class BenchConfig:
    """The options of `probatum bench`; None is what the suite proposes.

    Args:
        model: a model by name.
        weights: "none" (random: the time is the same; of your own code those that it makes), "default" (published) or a
            checkpoint file.
        batch: images in one call; several where a suite takes one after another.
        methods: by name or of one's own, of the suite `roofline`; else the usual ones that the model can have.
        input_size: height and width of the images in pixels; else the model's own.
        mean: of each channel, of pixels in [0, 1]; else the model's own.
        std: likewise.
        device: "auto", or a torch device.
        rounds: windows of each contestant.
        quick: a tiny form of each suite, to see that all of it works; its times mean nothing.
        threads: of torch; None leaves them as they are.
        data_dir: a folder that holds imagenet-samples/ and MNIST/, for suites that look at maps.
        seed: of weights, noise and images.
    """

    model: str | None = None
    weights: str = "none"
    batch: tuple[int, ...] = ()
    methods: tuple[str, ...] = ()
    input_size: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    device: str = "auto"
    rounds: int | None = None
    quick: bool = False
    threads: int | None = None
    data_dir: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.model is not None:
            self.spec(self.model)
        for name in self.methods:
            if not is_method_name(name):
                raise UnknownName("method", name, METHODS)
        for batch in self.batch:
            if batch < 1:
                raise InvalidInput(f"batch is {batch}; it must be at least 1")
        if self.model is None and self.weights not in ("none", "default"):
            raise InvalidInput(f"the weights {self.weights} belong to one model; name it with --model")
        check_numbers(self, "rounds", "threads", "input_size")

    @property
    def one_batch(self) -> int | None:
        """The first batch that was asked for, or None."""
        return self.batch[0] if self.batch else None

    def of_batch(self, batch: int) -> "BenchConfig":
        """These options with one batch."""
        return replace(self, batch=(batch,))

    def spec(self, usual: str) -> ModelSpec:
        """Metadata of the model that is asked for, or of the suite's own, with the inputs that are asked for."""
        return model_spec(self.model or usual).with_inputs(self.input_size, self.mean, self.std)

    @property
    def chosen_device(self) -> torch.device:
        """The device; InvalidInput where CUDA is asked for and there is none."""
        return choose_device(self.device)

    def weights_of(self, model: str) -> str:
        """The weights to load a model with."""
        return "default" if self.weights == "none" and find_source(model).own_code else self.weights

    def to_json(self) -> dict[str, Any]:
        """Plain values; of a file or folder only the name, for records travel."""
        values = asdict(self) | {"batch": list(self.batch), "methods": list(self.methods)}
        for name in ("weights", "data_dir"):
            if values[name] is not None:
                values[name] = Path(values[name]).name
        return values


@dataclass(frozen=True)
class Sizes:
    """How much work the methods do.

    Args:
        samples: noise samples of SmoothGrad and Input × Gradient-SG.
        steps: steps of Integrated Gradients, also within IG-SG.
        nested: noise samples of nested IG-SG, each with a whole path.
        joint: noise samples of joint IG-SG, each with one point of a path; as the suite `estimators` finds, as many
            agree from run to run as well as nested 25 × 50.
    """

    samples: int = 50
    steps: int = 50
    nested: int = 25
    joint: int = 50


PAPERS = Sizes()
QUICK = Sizes(samples=4, steps=4, nested=2, joint=4)


@dataclass(frozen=True)
class Subject:
    """A model, and images and targets on its device: the same objects for every contestant.

    Args:
        spec: facts about the model.
        model: in eval mode, frozen.
        images: (batch, channel, height, width).
        targets: the predicted classes (batch,).
    """

    spec: ModelSpec
    model: nn.Module
    images: Tensor
    targets: Tensor

    @classmethod
    def load(cls, config: BenchConfig, model: str, batch: int) -> "Subject":
        """Loads what a configuration names; `model` and `batch` are the suite's proposals."""
        spec = config.spec(model)
        device = config.chosen_device
        network = load_model(spec.name, config.weights_of(spec.name), seed=config.seed).requires_grad_(False).to(device)
        small = config.quick and config.input_size is None
        images = many_images(spec, config.one_batch or batch, small, config.data_dir).to(device)
        with torch.no_grad(), running(spec, images):
            if not isinstance(network(images[:1]), Tensor):  # such as Hugging Face's outputs
                network = LogitsOf(prepare(network), network)
            targets = torch.cat([network(part).argmax(1) for part in torch.split(images, 16)])
        return cls(spec, network, images, targets)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.images.device

    @cached_property
    def prepared(self) -> PreparedModel:
        """The model as probatum prepares it once for many calls, as the sanity check does."""
        return prepare(self.model)

    @cached_property
    def layer(self) -> str:
        """The layer that Grad-CAM reads, for all contestants."""
        return self.spec.grad_cam_layer or GradCAM().path(self.prepared, self.images[:1])

    def first(self, count: int) -> "Subject":
        """This model with the first images alone."""
        return Subject(self.spec, self.model, self.images[:count], self.targets[:count])

    def __str__(self) -> str:
        return f"{self.spec.title}, {len(self.images)} × {'×'.join(map(str, self.images.shape[1:]))}"


def many_images(spec: ModelSpec, count: int, small: bool, data_dir: str | None = None) -> Tensor:
    """Different images, real ones shifted where there are too few, as the model expects them."""
    found = real_images(spec, count, data_dir, small=small and not spec.name.startswith(_FULL_SIZE)).images
    shifted = [torch.roll(found, 16 * times, dims=-1) for times in range(-(-count // len(found)))]
    return torch.cat(shifted)[:count]


def real_images(spec: ModelSpec, count: int, data_dir: str | None = None, *, small: bool = False) -> ImageSet:
    """Up to `count` digits or photographs: from the folder of data where it has them, else what the package carries."""
    root = Path(data_dir) if data_dir else None
    if spec.channels == 1 and spec.input_size in (None, DIGIT_SIZE):
        if root and (root / "MNIST").is_dir():
            return load_dataset("mnist", "test", count, root)
        return load_dataset("digits", "test", count)
    preprocessing = preprocessing_of(spec)
    if small:
        preprocessing = replace(preprocessing, resize=QUICK_SIZE, crop=QUICK_SIZE)
    if root and (root / "imagenet-samples").is_dir():
        return load_photographs(root / "imagenet-samples", preprocessing, limit=count)
    return shipped_photographs(preprocessing, min(count, len(SHIPPED)))

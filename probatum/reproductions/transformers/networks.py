"""The vision transformers of the study, and the images that they learn and explain."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn
from torchvision.models import VisionTransformer

from probatum.data import ImageSet
from probatum.data.tiny_imagenet import read_tiny_imagenet
from probatum.models import TrainingConfig
from probatum.models.seeding import seeded
from probatum.models.stages import Stages
from probatum.preprocessing import IMAGENET, Preprocessing
from probatum.reproductions.base import Context
from probatum.reproductions.digits import digits_setting, labels_of, load_digits
from probatum.reproductions.setting import Setting
from probatum.reproductions.subjects import Subject
from probatum.runs.cache import train_once

TINY = "tiny-imagenet-200"
WNIDS = (
    *("n02486410", "n03447447", "n03902125", "n04265275", "n04596742"),
    *("n07614500", "n07715103", "n07753592", "n07920052", "n12267677"),
)
"""The ten classes of Tiny-ImageNet that Yona and Greenfeld take, too."""

TINY_PIXELS = Preprocessing(IMAGENET.mean, IMAGENET.std)  # their 64 × 64 pixels are kept


@dataclass(frozen=True)
class VisionSizes:
    """Sizes of an experiment on images.

    Args:
        train: training images; of the classes together.
        epochs: of training.
        images: explained; the first is drawn.
        trials: randomizations.
        samples: of SmoothGrad.
        steps: of Integrated Gradients.
        window: of Occlusion in pixels; None is the usual eighth of a side.
    """

    train: int
    epochs: int
    images: int
    trials: int
    samples: int
    steps: int
    window: int | None = None


def vision_transformer(side: int, patch: int, channels: int, width: int, blocks: int, seed: int) -> VisionTransformer:
    """A small vision transformer of torchvision with ten classes and random weights.

    Args:
        side: of the images in pixels.
        patch: side of a patch.
        channels: of the images.
        width: of the embedding; the hidden layer of an MLP has twice as many units.
        blocks: of the encoder.
        seed: of the weights.
    """
    with seeded(seed):
        model = VisionTransformer(side, patch, blocks, num_heads=4, hidden_dim=width, mlp_dim=2 * width, num_classes=10)
        if channels != 3:
            model.conv_proj = nn.Conv2d(channels, width, kernel_size=patch, stride=patch)
    return model


def blocks_of(model: VisionTransformer) -> Stages:
    """The stages from the output to the input: the head, each block, and the embedding of patches and positions."""
    names = [f"encoder.layers.{name}" for name, _ in model.encoder.layers.named_children()]
    blocks = [(f"block {number}", (name,)) for number, name in enumerate(names, 1)][::-1]
    return (
        ("head", ("encoder.ln", "heads")),
        *blocks,
        ("embedding", ("encoder.pos_embedding", "class_token", "conv_proj")),
    )


def digits_subject(context: Context, sizes: VisionSizes) -> Subject:
    """A vision transformer that learns MNIST, or rendered digits."""
    digits = load_digits(context, sizes.train, 1000)
    model = vision_transformer(28, 4, 1, 64, 4, context.config.seed)
    model, title = _trained(context, model, digits.train, digits.test, sizes)
    data = digits.test.subset(range(sizes.images))
    setting = digits_setting(digits.title)
    return Subject("digits", title, model, data, setting, blocks_of(model), class_names=data.class_names)


def photographs_subject(context: Context, sizes: VisionSizes) -> Subject | None:
    """A vision transformer that learns ten classes of Tiny-ImageNet; None where they are not at hand."""
    folder = context.data_folder(TINY, optional=True)
    if folder is None:
        return None
    train, test = (
        _tiny(folder, split, count) for split, count in (("train", sizes.train // len(WNIDS)), ("test", None))
    )
    model = vision_transformer(64, 8, 3, 96, 4, context.config.seed)
    model, title = _trained(context, model, train, test, sizes)
    each = len(test.images) // len(WNIDS)
    rows = [row * each + turn for turn in range(each) for row in range(len(WNIDS))][: sizes.images]  # class by class
    chosen = test.subset(rows)
    return Subject("photographs", title, model, chosen, Setting(), blocks_of(model), class_names=test.class_names)


def _tiny(folder: Path, split: str, per_class: int | None) -> ImageSet:
    found = read_tiny_imagenet(folder, WNIDS, split, per_class)
    names = tuple(f"{found.class_names[label]} {row}" for row, label in enumerate(found.labels.tolist()))
    images = TINY_PIXELS.apply(found.images)
    return ImageSet("Tiny-ImageNet, ten classes", images, found.labels, found.class_names, names, TINY_PIXELS)


def _trained(
    context: Context, model: VisionTransformer, train: ImageSet, test: ImageSet, sizes: VisionSizes
) -> tuple[VisionTransformer, str]:
    """The network after its training, and its title with the accuracy that it reached."""
    config = TrainingConfig(sizes.epochs, 64, 1e-3, schedule="linear", seed=context.config.seed)
    report = train_once(
        model.to(context.device),
        train.images,
        labels_of(train),
        test.images,
        labels_of(test),
        config,
        what="a vision transformer",
        progress=context.progress,
    )
    return model.eval(), f"ViT with {len(model.encoder.layers)} blocks (test accuracy {report.best_accuracy:.3f})"

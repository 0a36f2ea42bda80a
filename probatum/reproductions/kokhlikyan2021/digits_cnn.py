"""The basic CNN on MNIST or rendered digits: for label randomization, and as a substitution of Inception v3."""

from dataclasses import dataclass, replace

from jaxtyping import Int64
from torch import Tensor, nn

from probatum.models import PAPER_MNIST, TrainingConfig, TrainingReport, load_model
from probatum.reproductions.base import Context
from probatum.reproductions.digits import Digits, trained


@dataclass(frozen=True)
class DigitSizes:
    """Number of images, and training configurations.

    Args:
        train_images: number of training images; None for all.
        test_images: number of test images that measure accuracy; None for all.
        true: training on true labels.
        permuted: training on permuted labels.
        memorized: training images whose permuted labels are learned; None for all.
        trainings: of each kind, from other initial weights.
    """

    train_images: int | None
    test_images: int | None
    true: TrainingConfig
    permuted: TrainingConfig
    memorized: int | None = None
    trainings: int = 3


MEMORIZED = 0.95  # of the permuted labels, as in Adebayo et al. 2018

SIZES = {
    "paper": DigitSizes(
        None,
        None,
        PAPER_MNIST,
        TrainingConfig(500, 50, 1e-4, monitor="train", target_accuracy=MEMORIZED),
    ),
    "quick": DigitSizes(
        2000,
        1000,
        TrainingConfig(8, 50, 1e-3, schedule="linear"),
        TrainingConfig(80, 50, 1e-3, monitor="train", target_accuracy=MEMORIZED),
        memorized=300,
    ),
    "cpu": DigitSizes(
        4000,
        2000,
        TrainingConfig(4, 50, 1e-3, schedule="linear"),
        TrainingConfig(100, 50, 1e-3, monitor="train", target_accuracy=MEMORIZED),
        memorized=400,
    ),
}
"""The paper does not describe its network or training; these are from Adebayo et al. 2018, which it follows."""


def trained_cnn(
    context: Context,
    digits: Digits,
    config: TrainingConfig,
    labels: Int64[Tensor, " some"],
    *,
    start: int,
    what: str,
) -> tuple[nn.Module, TrainingReport]:
    """Train the basic CNN from the initial weights of seed `start` on as many images as there are labels."""
    model = load_model("basic_cnn", "none", seed=start).to(context.device)
    return model, trained(context, model, digits, replace(config, seed=start), what, labels)

"""Training of small classifiers: seeded and silent; keeps the best weights."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from probatum.errors import InvalidInput, ModelError
from probatum.models.epochs import Epochs, Stateful, TrainingReport, mode_kept, random_generators, random_state_kept
from probatum.progress import Progress, shows_progress


@dataclass(frozen=True)
class TrainingConfig:
    """Configuration of training a classifier.

    Args:
        epochs: maximum number of passes over the training images.
        batch_size: images per step.
        learning_rate: of the first step.
        optimizer: "adam", or "sgd" with `momentum`.
        momentum: used only by "sgd".
        weight_decay: L2 regularization λ: λ/2 ‖w‖² is added to the loss, over all parameters.
        schedule: "constant", or "linear": the learning rate falls linearly to 0 over all epochs.
        monitor: the images, "test" or "train", on which accuracy is measured in eval mode after every epoch. It selects
            the best weights and is compared with `target_accuracy`. Use "train" for memorization.
        target_accuracy: stop after the first epoch that reaches it (0..1); None trains for all epochs.
        seed: of the order of the images and of dropout.

    Raises:
        InvalidInput: a value out of range.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: Literal["adam", "sgd"] = "adam"
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: Literal["constant", "linear"] = "constant"
    monitor: Literal["test", "train"] = "test"
    target_accuracy: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch_size) < 1:
            raise InvalidInput(f"epochs is {self.epochs} and batch_size {self.batch_size}; both must be at least 1")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise InvalidInput(f"learning_rate is {self.learning_rate}; it must be above 0")
        if not 0 <= self.momentum < 1:
            raise InvalidInput(f"momentum is {self.momentum}; it must be in [0, 1)")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise InvalidInput(f"weight_decay is {self.weight_decay}; it must be at least 0")
        if self.target_accuracy is not None and not 0 <= self.target_accuracy <= 1:
            raise InvalidInput(f"target_accuracy is {self.target_accuracy}; it must be in 0..1")
        for name, choices in (
            ("optimizer", ("adam", "sgd")),
            ("schedule", ("constant", "linear")),
            ("monitor", ("test", "train")),
        ):
            if getattr(self, name) not in choices:
                raise InvalidInput(f"{name} is {getattr(self, name)!r}; choose {' or '.join(choices)}")


PAPER_MNIST = TrainingConfig(epochs=50, batch_size=50, learning_rate=1e-4)
"""Adebayo et al. 2018; Wienecke and Hinrichs 2021."""

QUICK_DIGITS = TrainingConfig(epochs=3, batch_size=64, learning_rate=1e-3, schedule="linear")
"""For the basic CNN on rendered digits: 98.7 to 99.2 % of the test digits, by
`probatum train --train-images 10000 --seed S --out FILE` with seeds 0 to 3."""


@shows_progress
def train(
    model: nn.Module,
    train_images: Float[Tensor, "train channel height width"],
    train_labels: Int64[Tensor, " train"],
    test_images: Float[Tensor, "test channel height width"],
    test_labels: Int64[Tensor, " test"],
    config: TrainingConfig,
    progress: Progress | None = None,
    unfinished: Path | None = None,
) -> TrainingReport:
    """Minimize the cross entropy, then load the best weights of all epochs.

    Only parameters that require a gradient are trained. Images may be on another device than the model. The model keeps
    its train or eval mode, and the global random state does not change.

    Args:
        model: maps images to logits (batch, class); changed in place.
        train_images: training images.
        train_labels: class indices (image,).
        test_images: monitored images, unless the configuration monitors "train".
        test_labels: class indices (image,).
        config: the hyperparameters.
        progress: called after every step; the total is that of all epochs.
        unfinished: file from which the same training resumes if it was interrupted, to the same bits; see `Epochs`.

    Raises:
        InvalidInput: no images, different numbers of images and labels, or labels out of range.
        ModelError: no trainable parameter, or a loss that is not finite.
    """
    if not len(train_images) or len(train_images) != len(train_labels):
        raise InvalidInput(
            f"{len(train_images)} training images with {len(train_labels)} labels; give one label per image"
        )
    train_labels = train_labels.to(train_images.device)
    monitored = (train_images, train_labels) if config.monitor == "train" else (test_images, test_labels)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise ModelError("no parameter of the model requires a gradient, so there is nothing to train")
    device = parameters[0].device
    batches = math.ceil(len(train_images) / config.batch_size)
    steps = config.epochs * batches
    optimizer = _optimizer(parameters, config)
    optimizer.zero_grad()  # gradients left by the caller
    decay = LambdaLR(optimizer, lambda step: 1 - step / steps if config.schedule == "linear" else 1.0)
    order = torch.Generator().manual_seed(config.seed)
    parts: dict[str, Stateful] = {"model": model, "optimizer": optimizer, "schedule": decay}
    generators = [order, *random_generators(device)]
    epochs = Epochs(config.epochs, config.target_accuracy, parts, generators, len(train_images), unfinished)
    with random_state_kept(config.seed, device), mode_kept(model):
        for epoch in epochs:
            model.train()
            totals = torch.zeros(2, dtype=torch.float64, device=device)  # summed loss, correct predictions
            shuffled = torch.randperm(len(train_images), generator=order).to(train_images.device)
            for batch, rows in enumerate(torch.split(shuffled, config.batch_size), 1):
                labels = train_labels[rows].to(device)
                logits = model(train_images[rows].to(device))
                if epoch == batch == 1:
                    check_labels(train_labels, logits.shape[1])
                loss = F.cross_entropy(logits, labels)
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                optimizer.zero_grad()
                decay.step()
                totals += torch.stack([loss.detach() * len(rows), (logits.detach().argmax(1) == labels).sum()])
                if progress is not None:
                    progress((epoch - 1) * batches + batch, steps, f"epoch {epoch} of {config.epochs}")
            mean_loss, running_accuracy = (totals / len(train_images)).tolist()
            epochs.end(mean_loss, running_accuracy, accuracy(model, *monitored), model)
        model.load_state_dict(epochs.best)
    return epochs.report


def predict(
    model: nn.Module, images: Float[Tensor, "image channel height width"], batch_size: int = 256
) -> Int64[Tensor, " image"]:
    """Predict the class with the highest logit for every image, in eval mode, on the device of the images."""
    device = next((parameter.device for parameter in model.parameters()), images.device)
    with torch.no_grad(), mode_kept(model):
        model.eval()
        return torch.cat([model(chunk.to(device)).argmax(1) for chunk in torch.split(images, batch_size)]).to(
            images.device
        )


def accuracy(
    model: nn.Module,
    images: Float[Tensor, "image channel height width"],
    labels: Int64[Tensor, " image"],
    batch_size: int = 256,
) -> float:
    """Share of images whose predicted class is their label, 0..1.

    Raises:
        InvalidInput: no images, or different numbers of images and labels.
    """
    if not len(images) or len(images) != len(labels):
        raise InvalidInput(
            f"{len(images)} images with {len(labels)} labels; give at least one image, and one label per image"
        )
    return int((predict(model, images, batch_size) == labels.to(images.device)).sum()) / len(images)


def check_labels(labels: Int64[Tensor, " image"], num_classes: int) -> None:
    """Raises InvalidInput unless all labels are classes of the model."""
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        raise InvalidInput(f"labels reach {low}..{high}, the model has classes 0..{num_classes - 1}")


def _optimizer(parameters: list[nn.Parameter], config: TrainingConfig) -> torch.optim.Optimizer:
    if config.optimizer == "adam":
        fused = all(
            parameter.device.type in ("cpu", "cuda") for parameter in parameters
        )  # saves a quarter of the time per step
        return torch.optim.Adam(parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=fused)
    return torch.optim.SGD(
        parameters, lr=config.learning_rate, momentum=config.momentum, weight_decay=config.weight_decay
    )

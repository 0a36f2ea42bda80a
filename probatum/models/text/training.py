"""Training of a text classifier: seeded and silent; keeps the averaged weights of the best epoch."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Int64
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from probatum.errors import InvalidInput
from probatum.models.epochs import Epochs, Stateful, TrainingReport, mode_kept, random_generators, random_state_kept
from probatum.models.text.encoder import EmbeddingClassifier
from probatum.models.text.tokenizer import PAD, Encoded
from probatum.models.training import check_labels
from probatum.progress import Progress, shows_progress

_SORTED_TOGETHER = 8  # batches whose sentences are sorted by length together, which avoids most of the padding
_LARGEST_STEP = 1.0  # maximum norm of the gradient; longer gradients are clipped


@dataclass(frozen=True)
class TextTraining:
    """Configuration of training with AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101).

    Args:
        epochs: maximum number of passes over the training sentences.
        batch_size: sentences per step.
        learning_rate: at the end of the warm-up, the first tenth of all steps; it falls linearly to 0 afterwards.
        weight_decay: of all parameters.
        label_smoothing: share of the target probability spread over all classes (Szegedy et al. 2016).
        averaging: decay of the exponential average of the weights, per step.
        monitor: the sentences, "test" or "train", on which the accuracy of the averaged weights is measured after every
            epoch. It selects the best weights and is compared with `target_accuracy`. Use "train" for memorization.
        target_accuracy: stop after the first epoch that reaches it (0..1); None trains for all epochs.
        seed: of the order of the sentences and of dropout.
    """

    epochs: int
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    averaging: float = 0.998
    monitor: Literal["test", "train"] = "test"
    target_accuracy: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch_size) < 1:
            raise InvalidInput(f"epochs is {self.epochs} and batch_size {self.batch_size}; both must be at least 1")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0 and self.weight_decay >= 0):
            raise InvalidInput(
                f"learning_rate is {self.learning_rate}, weight_decay {self.weight_decay}; "
                "the first must be above 0, the second at least 0"
            )
        for name in ("averaging", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}; it must be in [0, 1)")
        if self.monitor not in ("test", "train"):
            raise InvalidInput(f"monitor is {self.monitor!r}; choose test or train")


def pad_ids(encoded: Sequence[Encoded]) -> Int64[Tensor, "sentence tokens"]:
    """Return the ids of sentences as rows of a matrix, padded with [PAD].

    Raises:
        InvalidInput: no sentences.
    """
    if not encoded:
        raise InvalidInput("there are no sentences")
    rows = [torch.tensor(sentence.ids) for sentence in encoded]
    padded: Tensor = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)
    return padded


@shows_progress
def train_text(
    network: EmbeddingClassifier,
    train_ids: Int64[Tensor, "train tokens"],
    train_labels: Int64[Tensor, " _"],
    test_ids: Int64[Tensor, "test _"],
    test_labels: Int64[Tensor, " _"],
    config: TextTraining,
    progress: Progress | None = None,
    unfinished: Path | None = None,
) -> TrainingReport:
    """Minimize the cross entropy of padded sentences, then load the best averaged weights of all epochs.

    The network keeps its train or eval mode, and the global random state does not change.

    Args:
        network: changed in place.
        train_ids: from `pad_ids`.
        train_labels: class indices (sentence,).
        test_ids: monitored sentences, unless the configuration monitors "train".
        test_labels: class indices (sentence,).
        config: the hyperparameters.
        progress: see `models.training.train`.
        unfinished: see `models.training.train`.

    Raises:
        InvalidInput: different numbers of sentences and labels, or labels out of range.
        ModelError: a loss that is not finite.
    """
    if len(train_ids) != len(train_labels):
        raise InvalidInput(
            f"{len(train_ids)} training sentences with {len(train_labels)} labels; give one label per sentence"
        )
    parameters = list(network.parameters())
    device = parameters[0].device
    monitored = (train_ids, train_labels) if config.monitor == "train" else (test_ids, test_labels)
    batches = math.ceil(len(train_ids) / config.batch_size)
    steps = config.epochs * batches
    optimizer = torch.optim.AdamW(
        parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=device.type in ("cpu", "cuda")
    )
    schedule = LambdaLR(optimizer, lambda step: min(1.0, 10 * (step + 1) / steps) * (1 - step / steps))
    order = torch.Generator().manual_seed(config.seed)
    average = copy.deepcopy(network).requires_grad_(False)
    parts: dict[str, Stateful] = {"network": network, "average": average, "optimizer": optimizer, "schedule": schedule}
    generators = [order, *random_generators(device)]
    epochs = Epochs(config.epochs, config.target_accuracy, parts, generators, len(train_ids), unfinished)
    with random_state_kept(config.seed, device), mode_kept(network):
        for epoch in epochs:
            network.train()
            totals = torch.zeros(2, dtype=torch.float64, device=device)  # summed loss, correct predictions
            for done, rows in enumerate(_batches(train_ids, config.batch_size, order), (epoch - 1) * batches + 1):
                labels = train_labels[rows].to(device)
                logits = network(_trimmed(train_ids[rows]).to(device))
                if done == 1:
                    check_labels(train_labels, logits.shape[1])
                loss = F.cross_entropy(logits, labels, label_smoothing=config.label_smoothing)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(parameters, _LARGEST_STEP)
                optimizer.step()
                schedule.step()
                # Early on the average decays faster, so that it does not retain the initial weights.
                _average(average, network, min(config.averaging, done / (9 + done)))
                totals += torch.stack([loss.detach() * len(rows), (logits.detach().argmax(1) == labels).sum()])
                if progress is not None:
                    progress(done, steps, f"epoch {epoch} of {config.epochs}")
            mean_loss, running_accuracy = (totals / len(train_ids)).tolist()
            epochs.end(mean_loss, running_accuracy, text_accuracy(average, *monitored), average)
        network.load_state_dict(epochs.best)
    return epochs.report


def text_accuracy(
    network: EmbeddingClassifier, ids: Int64[Tensor, "sentence tokens"], labels: Int64[Tensor, " _"]
) -> float:
    """Share of padded sentences whose predicted class is their label, in eval mode, 0..1.

    Raises:
        InvalidInput: no sentences, or different numbers of sentences and labels.
    """
    if not len(ids) or len(ids) != len(labels):
        raise InvalidInput(
            f"{len(ids)} sentences with {len(labels)} labels; give at least one sentence, and one label per sentence"
        )
    device = next(network.parameters()).device
    right = 0
    with torch.no_grad(), mode_kept(network):
        network.eval()
        for rows in torch.split(_lengths(ids).argsort(), 256):
            predicted = network(_trimmed(ids[rows]).to(device)).argmax(1).cpu()
            right += int((predicted == labels[rows].cpu()).sum())
    return right / len(ids)


def _batches(ids: Tensor, size: int, order: torch.Generator) -> list[Tensor]:
    """Return batches of rows in random order, each with sentences of similar length."""
    lengths = _lengths(ids)
    batches: list[Tensor] = []
    for rows in torch.split(torch.randperm(len(ids), generator=order), size * _SORTED_TOGETHER):
        batches += torch.split(rows[lengths[rows].argsort(stable=True)], size)
    return [batches[index] for index in torch.randperm(len(batches), generator=order).tolist()]


def _lengths(ids: Tensor) -> Tensor:
    return (ids != PAD).sum(1)


def _trimmed(ids: Tensor) -> Tensor:
    """Remove the columns in which all sentences are padded."""
    return ids[:, : int(_lengths(ids).max())]


def _average(average: nn.Module, network: nn.Module, kept: float) -> None:
    with torch.no_grad():
        for mean, new in zip(average.parameters(), network.parameters(), strict=True):
            mean.lerp_(new, 1 - kept)

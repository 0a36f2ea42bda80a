"""Fine-tuning of a Hugging Face checkpoint on sentences, done once."""

from dataclasses import replace

import torch

from probatum.data.sentence_set import SentenceSet
from probatum.errors import InvalidInput
from probatum.models import TrainingReport
from probatum.models.text import TextModel, TextTraining, load_text_classifier, pad_ids, train_text
from probatum.models.text.tokenizer import PAD
from probatum.progress import Progress
from probatum.runs.cache import cached_weights, recall, remember, unfinished_file

FINE_TUNING = TextTraining(epochs=3, batch_size=8, learning_rate=5e-5, weight_decay=0.0, averaging=0.0)
"""The defaults of the trainer of Hugging Face; its rate has no warm-up, that of `TextTraining` has."""


def fine_tuned_text_model(
    source: str,
    train: SentenceSet,
    test: SentenceSet,
    training: TextTraining = FINE_TUNING,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> tuple[TextModel, TrainingReport]:
    """Fine-tunes all weights of a checkpoint, or loads those of an equal fine-tuning that was done before.

    Args:
        source: of `load_text_classifier`; a head for the classes is made where the checkpoint has none.
        train: what is learnt.
        test: what chooses the best epoch, unless the training says otherwise.
        training: the hyperparameters; its seed is replaced by the one given here.
        seed: of a new head and of the training.
        device: of the network.
        progress: called with (steps done, steps in all, what).

    Raises:
        InvalidInput, ModelError: what loading raises; a padding token that is not number 0; a sentence too long.
    """
    model = load_text_classifier(source, new_head=train.class_names, seed=seed).to(device)
    if model.tokenizer.pad_id != PAD:
        raise InvalidInput(
            f"{source} pads by token {model.tokenizer.pad_id}; fine-tuning takes models that pad by {PAD}"
        )
    training = replace(training, seed=seed)
    encoded = [model.encode(part.sentences) for part in (train, test)]
    data = [[[each.ids for each in rows], part.labels] for rows, part in zip(encoded, (train, test), strict=True)]
    weights = cached_weights(["tuned text", model.network, training, data], model.device)
    remembered = recall(model.network, weights)
    if remembered is not None:
        return model, remembered
    report = train_text(
        model.network,
        pad_ids(encoded[0]),
        train.labels,
        pad_ids(encoded[1]),
        test.labels,
        training,
        lambda done, total, _: progress(done, total, f"fine-tuning on {train.name}") if progress else None,
        unfinished_file(weights),
    )
    remember(model.network, report, weights)
    return model, report

"""Classifier and sentences of the text experiments: BERT on SST-2, or a substitution."""

from dataclasses import dataclass

import torch

from probatum.attributions import Method
from probatum.data.sentence_set import SentenceSet
from probatum.errors import InvalidInput
from probatum.experiments.text.models import RECIPES, load_sentences, trained_text_model
from probatum.experiments.text.scores import text_baseline
from probatum.experiments.text.tuning import FINE_TUNING, fine_tuned_text_model
from probatum.models import TrainingReport
from probatum.models.text import TextModel, TextTraining, load_text_classifier
from probatum.reproductions.base import Context
from probatum.reproductions.kokhlikyan2021.variants import ig_variants
from probatum.reproductions.setting import Setting

BERT = "google-bert/bert-base-uncased"
"""The paper fine-tunes "BERT" of Hugging Face with default settings, without naming the checkpoint."""
BERT_CLAIM, SST2 = "BERT", "SST-2"
TEXT = (BERT_CLAIM, SST2)
"""What every claim on text is about."""
SENTENCE = "it is such a fantastic movie"
"""The sentence of the paper's figures 10 and 12."""


@dataclass(frozen=True, eq=False)
class TextData:
    """Training and test sentences.

    Args:
        key: in `RECIPES`.
        title: for captions.
        train: training sentences.
        test: test sentences.
    """

    key: str
    title: str
    train: SentenceSet
    test: SentenceSet


@dataclass(frozen=True, eq=False)
class TextSubject:
    """A trained classifier to explain.

    Args:
        title: of the classifier with its data, for captions.
        model: in eval mode, on its device.
        accuracy: on the test sentences; None if it was not trained here.
        setting: what replaced BERT, fine-tuned on SST-2.
    """

    title: str
    model: TextModel
    accuracy: float | None
    setting: Setting


def load_text_data(context: Context) -> TextData:
    """Load SST-2 from the data folder, or else make sentences."""
    key = "sentences" if context.data_folder("sst2") is None else "sst2"
    title = {"sentences": "made sentences", "sst2": "SST-2"}[key]
    folder, seed = context.config.data_dir, context.config.seed
    return TextData(key, title, *(load_sentences(key, split, folder, seed) for split in ("train", "test")))


def load_text_subject(context: Context, data: TextData) -> TextSubject:
    """Load the given classifier, fine-tune BERT in the preset "paper", or else train the small encoder.

    Raises:
        InvalidInput, ModelError: the given classifier, or BERT, cannot be loaded.
    """
    config = context.config
    if config.text_model is not None:
        model = load_text_classifier(config.text_model).to(context.device)
        title, accuracy, name = f"{model.title}, as given", None, f"the given classifier {model.title}"
    else:
        tuned = not config.substitutes
        model, report = tuned_bert(context, BERT, data) if tuned else small_encoder(context, data, config.seed)
        accuracy = report.best_accuracy
        title = f"{'BERT' if tuned else model.title} (test accuracy {accuracy:.3f})"
        name = "" if tuned else f"a {model.title}"
    small = config.text_model is None and config.substitutes
    return TextSubject(f"{title} on {data.title}", model, accuracy, text_setting(name, data, small=small))


def text_setting(name: str, data: TextData, *, small: bool) -> Setting:
    """What replaced BERT on SST-2.

    Args:
        name: of the classifier with an article; "" for BERT.
        data: that it was trained on.
        small: True for the small encoder, which a claim about BERT cannot be judged on.
    """
    lacks = {}
    if small:
        lacks[BERT_CLAIM] = (
            "a small encoder was used, whose pooling by the mean makes local IG nearly the same for all tokens: give "
            "--text-model FOLDER, or --preset cpu"
        )
    if data.key != "sst2":
        lacks[SST2] = f"{data.title} were used: give sst2/ in the folder of --data-dir"
    return Setting((f"{name} on {data.title} instead of BERT on SST-2",) if name else (), lacks)


def tuned_bert(
    context: Context, source: str, data: TextData, training: TextTraining = FINE_TUNING, *, again: int = 0
) -> tuple[TextModel, TrainingReport]:
    """Fine-tune a checkpoint of Hugging Face on the training sentences; `again` counts repetitions from 0."""
    seed = context.config.seed + again
    return fine_tuned_text_model(
        source, data.train, data.test, training, seed=seed, device=context.device, progress=context.progress
    )


def small_encoder(context: Context, data: TextData, seed: int) -> tuple[TextModel, TrainingReport]:
    """Train the small encoder from the initial weights of a seed."""
    recipe = RECIPES[data.key]
    return trained_text_model(
        data.train, data.test, recipe, seed=seed, device=context.device, progress=context.progress
    )


def sentences_of(data: TextData, count: int, most_words: int, seed: int) -> tuple[str, ...]:
    """Choose random test sentences; the first is the paper's, or a positive one if the vocabulary lacks its words.

    Raises:
        InvalidInput: there are too few sentences.
    """
    order = torch.randperm(len(data.test), generator=torch.Generator().manual_seed(seed)).tolist()
    short = [row for row in order if len(data.test.sentences[row].split()) <= most_words]
    if len(short) < count:
        raise InvalidInput(f"{data.test.name} holds {len(short)} sentences of at most {most_words} words, not {count}")
    if data.key == "sst2":
        return (SENTENCE, *(data.test.sentences[row] for row in short))[:count]
    positive = next(row for row in short if data.test.labels[row] == 1)
    return tuple(data.test.sentences[row] for row in [positive, *(row for row in short if row != positive)][:count])


def methods_of(model: TextModel, steps: int) -> dict[str, Method]:
    """Return global and local IG from the baseline whose words are [PAD]."""
    baseline = text_baseline(model, "pad")
    return ig_variants(steps, baseline)

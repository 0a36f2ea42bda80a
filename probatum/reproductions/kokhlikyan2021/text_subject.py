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
from probatum.models.text import TextModel, TextTraining, is_classifier, load_text_classifier
from probatum.reproductions.base import Context
from probatum.reproductions.kokhlikyan2021.variants import ig_variants
from probatum.reproductions.setting import Setting

BERT = "google-bert/bert-base-uncased"
"""The paper fine-tunes "BERT" of Hugging Face with default settings, without naming the checkpoint."""
BERT_CLAIM, SST2 = "BERT", "SST-2"
TEXT = (BERT_CLAIM, SST2)
"""What every claim on text is about."""
SST2_TRAINING = 6920  # sentences
ALL_SENTENCES = f"{SST2_TRAINING:,} training sentences"
"""What a claim on accuracy is about besides."""
TRAINING_SENTENCES = {"paper": None, "cpu": 1200, "quick": None}
"""Sentences of SST-2 on which a checkpoint is fine-tuned; None is all."""
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
    train, test = (load_sentences(key, split, folder, seed) for split in ("train", "test"))
    most = context.pick(TRAINING_SENTENCES)
    return TextData(key, title, train if most is None else train.subset(range(min(most, len(train)))), test)


def load_text_subject(context: Context, data: TextData) -> TextSubject:
    """Load the given classifier, fine-tune BERT or a checkpoint without a head, or else train the small encoder.

    The presets "cpu" and "paper" fine-tune BERT where no checkpoint is given.

    Raises:
        InvalidInput, ModelError: the given classifier, or BERT, cannot be loaded.
    """
    config = context.config
    if config.text_model is not None and is_classifier(config.text_model):
        model = load_text_classifier(config.text_model).to(context.device)
        setting = text_setting(f"the given classifier {model.title}", data, small=False)
        return TextSubject(f"{model.title}, as given, on {data.title}", model, None, setting)
    if config.text_model is not None or not config.substitutes:
        model, report = tuned_bert(context, source_of(context), data)
        title = "BERT" if config.text_model is None else model.title
        setting = text_setting(tuned_name(context, model.title), data, small=False)
    else:
        model, report = small_encoder(context, data, config.seed)
        title, setting = model.title, text_setting(f"a {model.title}", data, small=True)
    accuracy = report.best_accuracy
    return TextSubject(f"{title} (test accuracy {accuracy:.3f}) on {data.title}", model, accuracy, setting)


def source_of(context: Context) -> str:
    """The checkpoint that is fine-tuned: the given one, or BERT."""
    return context.config.text_model or BERT


def tuned_name(context: Context, title: str) -> str:
    """A checkpoint that was fine-tuned here, as settings name it; "" for BERT."""
    source = context.config.text_model
    if source is None:
        return ""
    return f"{title}, fine-tuned further," if is_classifier(source) else f"{title}, fine-tuned,"


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
    count = len(data.train)
    smaller = {ALL_SENTENCES: f"{count:,}"} if data.key == "sst2" and count < SST2_TRAINING else {}
    return Setting((f"{name} on {data.title} instead of BERT on SST-2",) if name else (), lacks, smaller)


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

"""Three classifiers of one kind, trained on true labels, again on true labels, and on permuted labels."""

from dataclasses import dataclass, replace

from probatum.experiments.text.models import RECIPES, memorizing, permuted_text_model
from probatum.experiments.text.tuning import FINE_TUNING
from probatum.models import TrainingReport
from probatum.models.text import TextModel
from probatum.randomization import permute_labels
from probatum.reproductions.base import Context
from probatum.reproductions.kokhlikyan2021.text_subject import (
    BERT,
    TextData,
    small_encoder,
    text_setting,
    tuned_bert,
)
from probatum.reproductions.setting import Setting

MEMORIZED = 0.95  # of the permuted labels, as in Adebayo et al. 2018
MEMORIZING = replace(FINE_TUNING, epochs=50, monitor="train", target_accuracy=MEMORIZED)


@dataclass(frozen=True, eq=False)
class Classifiers:
    """Three classifiers of one kind.

    Args:
        title: for captions.
        setting: what replaced the paper's.
        true: trained on the true labels.
        again: trained on the true labels, from other initial weights.
        permuted: trained on permuted labels.
        accuracy: of `true` on the test sentences.
        memorized: accuracy of `permuted` on its training labels.
        agreement: share of the permuted labels that are true by chance.
    """

    title: str
    setting: Setting
    true: TextModel
    again: TextModel
    permuted: TextModel
    accuracy: float
    memorized: float
    agreement: float


def small_encoders(context: Context, data: TextData, permuted_sentences: int) -> Classifiers:
    """Train small encoders; the last learns permuted labels of the first `permuted_sentences` training sentences."""
    seed = context.config.seed
    true, report = small_encoder(context, data, seed)
    again, _ = small_encoder(context, data, seed + 1)
    permuted, by_heart, agreement = permuted_text_model(
        data.train.subset(range(min(permuted_sentences, len(data.train)))),
        memorizing(RECIPES[data.key], MEMORIZED),
        seed=seed,
        device=context.device,
        progress=context.progress,
    )
    return _classifiers(
        f"{true.title} on {data.title}",
        text_setting(f"a {true.title}", data, small=True),
        (true, again, permuted),
        (report, by_heart),
        agreement,
    )


def tuned_berts(context: Context, data: TextData, permuted_sentences: int) -> Classifiers:
    """Fine-tune BERT, or the given checkpoint, three times; at last on permuted labels, of some sentences or all."""
    source = context.config.text_model or BERT
    memorized = data.train.subset(range(min(permuted_sentences or len(data.train), len(data.train))))
    permuted = permute_labels(memorized.labels, context.config.seed)
    shuffled = replace(memorized, labels=permuted.labels, decisive=None)
    true, report = tuned_bert(context, source, data)
    again, _ = tuned_bert(context, source, data, again=1)
    other, by_heart = tuned_bert(context, source, replace(data, train=shuffled, test=shuffled), MEMORIZING)
    instead = f"{true.title}, fine-tuned further," if context.config.text_model else ""
    setting = text_setting(instead, data, small=False)
    return _classifiers(
        f"{true.title} on {data.title}", setting, (true, again, other), (report, by_heart), permuted.agreement
    )


def _classifiers(
    title: str,
    setting: Setting,
    models: tuple[TextModel, TextModel, TextModel],
    reports: tuple[TrainingReport, TrainingReport],
    agreement: float,
) -> Classifiers:
    accuracy, memorized = (report.best_accuracy for report in reports)
    return Classifiers(title, setting, *models, accuracy, memorized, agreement)

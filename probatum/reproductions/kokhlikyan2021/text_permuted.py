"""Three classifiers of one kind, trained on true labels, again on true labels, and on permuted labels."""

from dataclasses import dataclass, replace

from probatum.experiments.text.models import RECIPES, memorizing, permuted_text_model
from probatum.experiments.text.tuning import FINE_TUNING
from probatum.models import TrainingReport
from probatum.models.text import TextModel
from probatum.randomization import permute_labels
from probatum.reproductions.base import Context
from probatum.reproductions.kokhlikyan2021.text_subject import BERT, TextData, small_encoder, tuned_bert

MEMORIZED = 0.95  # of the permuted labels, as in Adebayo et al. 2018
MEMORIZING = replace(FINE_TUNING, epochs=50, monitor="train", target_accuracy=MEMORIZED)


@dataclass(frozen=True, eq=False)
class Classifiers:
    """Three classifiers of one kind.

    Args:
        title: for captions.
        substitution: classifiers used instead of the paper's; "" if none.
        true: trained on the true labels.
        again: trained on the true labels, from other initial weights.
        permuted: trained on permuted labels.
        accuracy: of `true` on the test sentences.
        memorized: accuracy of `permuted` on its training labels.
        agreement: share of the permuted labels that are true by chance.
    """

    title: str
    substitution: str
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
        f"a {true.title} on {data.title} instead of BERT on SST-2",
        (true, again, permuted),
        (report, by_heart),
        agreement,
    )


def tuned_berts(context: Context, data: TextData) -> Classifiers:
    """Fine-tune BERT, or the given checkpoint, three times."""
    source = context.config.text_model or BERT
    permuted = permute_labels(data.train.labels, context.config.seed)
    shuffled = replace(data.train, labels=permuted.labels, decisive=None)
    true, report = tuned_bert(context, source, data)
    again, _ = tuned_bert(context, source, data, again=1)
    other, by_heart = tuned_bert(context, source, replace(data, train=shuffled, test=shuffled), MEMORIZING)
    instead = f"{true.title}, fine-tuned further, instead of BERT" if context.config.text_model else ""
    return _classifiers(
        f"{true.title} on {data.title}", instead, (true, again, other), (report, by_heart), permuted.agreement
    )


def _classifiers(
    title: str,
    substitution: str,
    models: tuple[TextModel, TextModel, TextModel],
    reports: tuple[TrainingReport, TrainingReport],
    agreement: float,
) -> Classifiers:
    accuracy, memorized = (report.best_accuracy for report in reports)
    return Classifiers(title, substitution, *models, accuracy, memorized, agreement)

"""Classifiers of one kind, trained on true and on permuted labels, several times."""

from dataclasses import dataclass, replace

from probatum.experiments.text.models import RECIPES, memorizing, permuted_text_model
from probatum.experiments.text.tuning import FINE_TUNING
from probatum.models.text import TextModel
from probatum.randomization import permute_labels
from probatum.reproductions.base import Context
from probatum.reproductions.kokhlikyan2021.text_subject import (
    TextData,
    small_encoder,
    source_of,
    text_setting,
    tuned_bert,
    tuned_name,
)
from probatum.reproductions.setting import Setting

MEMORIZED = 0.95  # of the permuted labels, as in Adebayo et al. 2018
MEMORIZING = replace(FINE_TUNING, epochs=50, monitor="train", target_accuracy=MEMORIZED)


@dataclass(frozen=True, eq=False)
class Pair:
    """A classifier of true labels and one of permuted labels, from the same seed.

    Args:
        true: trained on the true labels.
        permuted: trained on permuted labels.
        accuracy: of `true` on the test sentences.
        memorized: accuracy of `permuted` on its training labels.
        agreement: share of the permuted labels that are true by chance.
    """

    true: TextModel
    permuted: TextModel
    accuracy: float
    memorized: float
    agreement: float


@dataclass(frozen=True, eq=False)
class Classifiers:
    """Trainings of one kind of classifier, each with another seed.

    Args:
        title: for captions.
        setting: what replaced the paper's.
        pairs: the trainings.
    """

    title: str
    setting: Setting
    pairs: tuple[Pair, ...]

    def again(self, turn: int) -> TextModel:
        """The classifier of true labels of the next training, with which that of this one is compared."""
        return self.pairs[(turn + 1) % len(self.pairs)].true


def small_encoders(context: Context, data: TextData, permuted_sentences: int, trainings: int) -> Classifiers:
    """Train small encoders; permuted labels are those of the first `permuted_sentences` training sentences."""

    def pair(seed: int) -> Pair:
        true, report = small_encoder(context, data, seed)
        permuted, by_heart, agreement = permuted_text_model(
            data.train.subset(range(min(permuted_sentences, len(data.train)))),
            memorizing(RECIPES[data.key], MEMORIZED),
            seed=seed,
            device=context.device,
            progress=context.progress,
        )
        return Pair(true, permuted, report.best_accuracy, by_heart.best_accuracy, agreement)

    pairs = tuple(pair(context.config.seed + turn) for turn in range(trainings))
    title = pairs[0].true.title
    return Classifiers(f"{title} on {data.title}", text_setting(f"a {title}", data, small=True), pairs)


def tuned_berts(context: Context, data: TextData, permuted_sentences: int, trainings: int) -> Classifiers:
    """Fine-tune BERT, or the given checkpoint, on true and on permuted labels, of some sentences or all."""
    source = source_of(context)
    memorized = data.train.subset(range(min(permuted_sentences or len(data.train), len(data.train))))

    def pair(turn: int) -> Pair:
        permuted = permute_labels(memorized.labels, context.config.seed + turn)
        shuffled = replace(memorized, labels=permuted.labels, decisive=None)
        true, report = tuned_bert(context, source, data, again=turn)
        other, by_heart = tuned_bert(
            context, source, replace(data, train=shuffled, test=shuffled), MEMORIZING, again=turn
        )
        return Pair(true, other, report.best_accuracy, by_heart.best_accuracy, permuted.agreement)

    pairs = tuple(map(pair, range(trainings)))
    title = pairs[0].true.title
    setting = text_setting(tuned_name(context, title), data, small=False)
    return Classifiers(f"{title} on {data.title}", setting, pairs)

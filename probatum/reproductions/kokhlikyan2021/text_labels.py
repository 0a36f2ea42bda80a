"""Figure 12: token scores of a classifier trained on permuted labels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from probatum.experiments.text.cascade import METRICS
from probatum.experiments.text.labels import TextLabelTest, text_label_test
from probatum.experiments.text.quality import text_quality
from probatum.metrics import get_metric
from probatum.metrics.quality import get_quality
from probatum.report.boxes import boxes_figure
from probatum.report.tokens import Rows, TokenMap, tokens_figure, tokens_html, tokens_page
from probatum.reproductions.base import Context, Inputs, joined, store_arrays, write_facts
from probatum.reproductions.kokhlikyan2021.judging import NOT_LEARNT
from probatum.reproductions.kokhlikyan2021.text_permuted import MEMORIZED, small_encoders, tuned_berts
from probatum.reproductions.kokhlikyan2021.text_scores import (
    QUALITY,
    QUANTITIES,
    SCORED,
    SCORES,
    missing_note,
    token_map,
)
from probatum.reproductions.kokhlikyan2021.text_subject import (
    ALL_SENTENCES,
    BERT,
    TEXT,
    load_text_data,
    methods_of,
    sentences_of,
)
from probatum.reproductions.kokhlikyan2021.variants import IG_TITLES
from probatum.reproductions.results import Claims, Results, experiment
from probatum.reproductions.rules import Outcome, above, between, fact, live, measure, ratio, span

AGAIN, PERMUTED = range(2)
NETWORKS = ("True labels, other initial weights", "Permuted labels")
BOTH = ("True labels", "Permuted labels")


@dataclass(frozen=True)
class TextLabelSizes:
    """Sizes of the experiment.

    Args:
        sentences: number of explained sentences.
        words: maximum number of words per sentence.
        steps: of IG.
        permuted: number of training sentences whose permuted labels are memorized; 0 is all.
        trainings: of each kind, from other initial weights and with other permutations.
        shown: number of sentences in the figure.
    """

    sentences: int
    words: int
    steps: int
    permuted: int
    trainings: int = 3
    shown: int = 3


SIZES = {
    "paper": TextLabelSizes(sentences=10, words=40, steps=50, permuted=0),
    "cpu": TextLabelSizes(sentences=8, words=30, steps=20, permuted=150),
    "quick": TextLabelSizes(sentences=10, words=12, steps=50, permuted=1000),
}


def compute(context: Context, folder: Path) -> None:
    """Train on true and on permuted labels, and compare the token scores with those of true labels.

    The second classifier of true labels, the yardstick, is that of the next training.
    """
    config = context.config
    sizes = context.pick(SIZES)
    data = load_text_data(context)
    train = small_encoders if config.substitutes else tuned_berts
    networks = train(context, data, sizes.permuted, sizes.trainings)
    sentences = sentences_of(data, sizes.sentences, sizes.words, config.seed)
    methods = methods_of(networks.pairs[0].true, sizes.steps)
    how: dict[str, Any] = {"seed": config.seed, "memory_budget": config.memory_budget}
    turns = []
    for turn, pair in enumerate(networks.pairs):
        tests = [  # [PAD] is the same vector in all three: it is the zero vector, and fine-tuning never moves it
            text_label_test(pair.true, other, sentences, methods, **how)
            for other in (networks.again(turn), pair.permuted)
        ]
        targets = [explanation.target for explanation in tests[PERMUTED].true]
        quality = [
            text_quality(
                model,
                sentences,
                methods,
                targets,
                metrics=QUALITY,
                progress=context.progress,
                **how,
            ).scores[:, :, 0, :, 0]
            for model in (pair.true, pair.permuted)
        ]
        turns.append((tests, quality))
    first = turns[0][0][PERMUTED]
    store_arrays(  # (training, network, method, metric, sentence), but for what is shown
        folder,
        scores=np.stack([[test.scores for test in tests] for tests, _ in turns]),
        constant=np.stack([[test.constant for test in tests] for tests, _ in turns]),
        quality=np.stack([quality for _, quality in turns]),
        **{f"shown-{row}": _shown(first, row) for row in range(sizes.shown)},
    )
    write_facts(
        folder,
        preset=config.preset,
        classifier=networks.title,
        used=networks.title,
        setting=networks.setting.to_json(),
        data=data.key,
        accuracy=[pair.accuracy for pair in networks.pairs],
        memorized=[pair.memorized for pair in networks.pairs],
        memorized_sentences=min(sizes.permuted or len(data.train), len(data.train)),
        training_sentences=len(data.train),
        agreement=networks.pairs[0].agreement,
        sentences=list(sentences),
        explained=[explanation.class_name for explanation in first.true],
        confidences=[[explanation.confidence for explanation in side] for side in (first.true, first.permuted)],
        tokens=[list(explanation.tokens) for explanation in first.true[: sizes.shown]],
        steps=sizes.steps,
        seed=config.seed,
    )
    stored = TextLabels(folder)
    page = tokens_html(_rows(stored), list(IG_TITLES.values()), _protocol(stored.facts))
    (folder / "figure12.html").write_text(tokens_page("Tokens under permuted labels", page), encoding="utf-8")


def _shown(test: TextLabelTest, row: int) -> Float[np.ndarray, "network method token"]:
    sides = (test.true[row], test.permuted[row])
    return np.stack([np.stack([explanation.scores[method] for method in IG_TITLES]) for explanation in sides])


class TextLabels(Results):
    """Token scores under true and permuted labels: scores (training, network, method, metric, sentence)."""

    @property
    def live(self) -> Float[np.ndarray, "training network method metric sentence"]:
        """The live scores."""
        return live(self.arrays["scores"], self.arrays["constant"], axis=3)

    @property
    def needed(self) -> float:
        """The test accuracy that a classifier has to reach."""
        return LEARNT_SHARE[self.facts["data"]]

    @property
    def note(self) -> str:
        """Trainings that failed, constant and undefined scores, and how many labels were permuted."""
        facts = self.facts
        learnt = min(facts["accuracy"]) >= self.needed and min(facts["memorized"]) >= MEMORIZED
        permuted, every = facts["memorized_sentences"], facts["training_sentences"]
        return joined(
            "" if learnt else NOT_LEARNT,
            missing_note(self.arrays),
            f"permuted labels of {permuted} of the {every} training sentences" if permuted < every else "",
        )


def draw(found: TextLabels) -> dict[str, Figure]:
    """Draw the tokens of figure 12, and box plots of similarity, infidelity and max-sensitivity."""
    titles, protocol = list(IG_TITLES.values()), _protocol(found.facts)
    figures = {"": tokens_figure(_rows(found), titles, protocol)}
    for k, key in enumerate(METRICS):
        figures[key] = boxes_figure(
            {name: np.moveaxis(found.live[:, network, :, k], 0, -1) for network, name in enumerate(NETWORKS)},
            metric_title=get_metric(key).title,
            column_titles=titles,
            quantity=QUANTITIES[key],
            caption="Scores of a classifier trained as given in the legend, compared with those of one trained on true "
            f"labels; {protocol}",
        )
    for k, key in enumerate(QUALITY):
        figures[key] = boxes_figure(
            {name: np.moveaxis(found.arrays["quality"][:, n, :, k], 0, -1) for n, name in enumerate(BOTH)},
            metric_title=get_quality(key).title,
            column_titles=titles,
            quantity=QUANTITIES[key],
            caption=protocol,
        )
    return figures


def _rows(found: TextLabels) -> Rows:
    """Return every shown sentence with the scores of global and local IG, for both classifiers."""
    tokens = found.facts["tokens"]

    def cell(row: int, network: int, method: int) -> TokenMap:
        quality = found.arrays["quality"][0, network, method, :, row]
        return token_map(tokens[row], found.arrays[f"shown-{row}"][network, method], quality)

    return {
        f"{row + 1}. {name}": [cell(row, network, method) for method in range(len(IG_TITLES))]
        for row in range(len(tokens))
        for network, name in enumerate(BOTH)
    }


def _protocol(facts: dict[str, Any]) -> str:
    sure = ", ".join(
        f"“{name}” ({true:.2f}, {permuted:.2f})"
        for name, true, permuted in list(zip(facts["explained"], *facts["confidences"], strict=True))[
            : len(facts["tokens"])
        ]
    )
    trainings = f"{len(facts['accuracy'])} trainings, of which the first is shown"
    return (
        f"{facts['classifier']}, preset {facts['preset']}, {trainings}: test accuracy {span(facts['accuracy'])} (true "
        f"labels), {span(facts['memorized'])} of {facts['memorized_sentences']} permuted training labels, of which "
        f"{facts['agreement']:.0%} are true by chance; explained is the class that the first predicts, in the "
        f"sentences shown {sure} (probability under true and permuted labels); {len(facts['sentences'])} sentences; IG "
        f"of {facts['steps']} steps from [PAD] on embeddings, {SCORES}; {SCORED}; seed {facts['seed']}."
    )


LEARNT_SHARE = {"sst2": 0.8, "sentences": 0.95}
"""Minimum test accuracy of a classifier."""
MUCH = 3.0
"""Factor, up or down, beyond which quality counts as changed."""
UNITS = ("training", "sentence")
claims = Claims(TextLabels, "Figure 12, appendix B", TEXT)


@claims(
    "text-labels-learnt",
    "The classifiers learn the true labels.",
    "trained; accuracy not stated",
    about=(*TEXT, ALL_SENTENCES),
)
def _learnt(found: TextLabels) -> Outcome:
    shares = found.facts["accuracy"]
    ours = f"{span(shares)} of test sentences ({len(shares)} trainings)"
    return fact(min(shares) >= found.needed, ours, f"all at least {found.needed}")


@claims("text-labels-memorized", "The classifiers memorize the permuted labels.", "trained; accuracy not stated")
def _memorized(found: TextLabels) -> Outcome:
    shares, count = found.facts["memorized"], found.facts["memorized_sentences"]
    ours = f"{span(shares)} of {count} permuted training labels ({len(shares)} trainings)"
    return fact(min(shares) >= MEMORIZED, ours, f"all at least {MEMORIZED}")


@claims.each(
    IG_TITLES,
    "text-labels-different-{key}",
    "Explanations by {title} of a classifier trained on permuted labels differ from those of one trained on the true "
    "labels.",
    "pretty different, seen by eye",
)
def _different(variant: str, found: TextLabels) -> Outcome:
    cosines = found.live[:, :, list(IG_TITLES).index(variant), METRICS.index("cosine")]  # (training, network, sentence)
    what = "cosine with the scores under true labels, of a second training on true labels less that of permuted ones"
    return above(measure(what, cosines[:, AGAIN] - cosines[:, PERMUTED], *UNITS), 0.0)


@claims.each(
    {f"{metric}-{variant}": f"{metric} of {title}" for variant, title in IG_TITLES.items() for metric in QUALITY},
    "text-labels-same-{key}",
    "Permuted labels do not change the {title} much.",
    "seen in ten numbers",
)
def _same(key: str, found: TextLabels) -> Outcome:
    metric, variant = key.rsplit("-", 1)
    before, after = np.moveaxis(
        found.arrays["quality"][:, :, list(IG_TITLES).index(variant), QUALITY.index(metric)], 1, 0
    )
    return between(ratio(f"{metric} under permuted / true labels", after, before, *UNITS), 1 / MUCH, MUCH)


LABELS = experiment(
    "figure12",
    "Text: global and local IG before and after label randomization (figure 12)",
    compute,
    draw,
    claims,
    covers={"Figure 12": "*"},
    inputs=Inputs(data=("sst2",), text=BERT),
)

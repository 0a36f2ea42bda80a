"""Figures 3, 8, 9, 10 and 11 and table 2: token scores of global and local IG under cascading randomization."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from probatum.experiments.text.cascade import METRICS, text_cascade
from probatum.experiments.text.quality import text_quality
from probatum.experiments.text.scores import TextExplanation
from probatum.metrics import get_metric
from probatum.metrics.quality import get_quality
from probatum.report.boxes import boxes_figure
from probatum.report.tokens import Rows, TokenMap, tokens_figure, tokens_html, tokens_page
from probatum.reproductions.base import Context, Inputs, joined, store_arrays, write_facts
from probatum.reproductions.kokhlikyan2021.judging import ORIGINAL, Stages
from probatum.reproductions.kokhlikyan2021.quality_table import write_quality_table
from probatum.reproductions.kokhlikyan2021.text_scores import (
    QUALITY,
    QUANTITIES,
    SCORED,
    SCORES,
    missing_note,
    token_map,
)
from probatum.reproductions.kokhlikyan2021.text_subject import (
    BERT,
    TEXT,
    load_text_data,
    load_text_subject,
    methods_of,
    sentences_of,
)
from probatum.reproductions.kokhlikyan2021.variants import IG_TITLES
from probatum.reproductions.results import Claims, experiment
from probatum.reproductions.rules import (
    Outcome,
    above,
    all_of,
    at_stages,
    below,
    between,
    fact,
    mean_over,
    measure,
    worst,
)


@dataclass(frozen=True)
class TextCascadeSizes:
    """Number of sentences, maximum words per sentence, and number of randomizations and steps of IG."""

    sentences: int
    words: int
    trials: int
    steps: int


SIZES = {
    "paper": TextCascadeSizes(sentences=10, words=40, trials=10, steps=50),
    "cpu": TextCascadeSizes(sentences=10, words=20, trials=6, steps=10),
    "quick": TextCascadeSizes(sentences=10, words=12, trials=10, steps=50),
}


def compute(context: Context, folder: Path) -> None:
    """Explain sentences with the trained and the randomized classifiers, and compare and score the explanations."""
    config = context.config
    sizes = context.pick(SIZES)
    data = load_text_data(context)
    subject = load_text_subject(context, data)
    sentences = sentences_of(data, sizes.sentences, sizes.words, config.seed)
    methods = methods_of(subject.model, sizes.steps)
    how: dict[str, Any] = {
        "protocol": "kokhlikyan",
        "trials": sizes.trials,
        "seed": config.seed,
        "memory_budget": config.memory_budget,
        "progress": context.progress,
    }
    found = text_cascade(subject.model, sentences, methods, **how)
    targets = [explanation.target for explanation in found.trained]
    quality = text_quality(subject.model, sentences, methods, targets, metrics=QUALITY, **how)
    store_arrays(
        folder,
        scores=found.scores,
        constant=found.constant,
        quality=quality.scores,
        shown=np.stack([_scores(found.trained[0], found.randomized[0], method) for method in IG_TITLES]),
        directions=_table(found.trained, np.count_nonzero),
        flatness=_table(found.trained, _flatness),
    )
    first = found.trained[0]
    write_facts(
        folder,
        preset=config.preset,
        classifier=subject.title,
        used=subject.title,
        setting=subject.setting.to_json(),
        sentences=list(sentences),
        explained=[explanation.class_name for explanation in found.trained],
        confidences=[explanation.confidence for explanation in found.trained],
        tokens=list(first.tokens),
        embedding_scale=float(subject.model.embed([subject.model.encode(sentences[:1])[0]]).std()),
        stages=list(found.stages),
        trials=sizes.trials,
        steps=sizes.steps,
        seed=config.seed,
    )
    stored = Texts(folder)
    write_quality_table(folder, "table2", found.stages, quality.scores, _protocol(stored.facts))
    page = tokens_html(_rows(stored), list(IG_TITLES.values()), _protocol(stored.facts))
    (folder / "figure10.html").write_text(tokens_page("Tokens under randomization", page), encoding="utf-8")


def _table(trained: Sequence[TextExplanation], measure: Callable[[np.ndarray], float]) -> np.ndarray:
    """Apply a measure to every explanation of the trained classifier, (method, sentence)."""
    return np.array([[measure(each.scores[method]) for each in trained] for method in IG_TITLES])


def _flatness(scores: Float[np.ndarray, " token"]) -> float:
    """|cosine| with equal scores for all tokens; 0 if all scores are 0."""
    length = float(np.linalg.norm(scores)) * np.sqrt(len(scores))
    return abs(float(scores.sum())) / length if length else 0.0


def _scores(trained: TextExplanation, randomized: dict[str, np.ndarray], method: str) -> np.ndarray:
    """Return scores (1 + stage, token), the trained classifier's first."""
    return np.concatenate([trained.scores[method][None], randomized[method]])


class Texts(Stages):
    """Token scores of the trained and the randomized classifiers: scores (method, metric, stage, sentence, trial)."""

    def scores(self, metric: str, variant: str | None = None) -> Float[np.ndarray, "*method stage sentence trial"]:
        """The live scores under one metric, of one variant of IG if told so."""
        scores = self.live[:, METRICS.index(metric)]
        return scores if variant is None else scores[list(IG_TITLES).index(variant)]

    def quality(self, metric: str, variant: str) -> Float[np.ndarray, "stage sentence trial"]:
        """Infidelity or max-sensitivity, of the trained classifier first."""
        place = list(IG_TITLES).index(variant), QUALITY.index(metric)
        scores: Float[np.ndarray, "stage sentence trial"] = self.arrays["quality"][place]
        return scores

    @property
    def note(self) -> str:
        """Constant and undefined scores, and scores that are nearly the same for all tokens."""
        flat = zip(("global", "local"), self.arrays["flatness"].mean(axis=1), strict=True)
        return joined(
            missing_note(self.arrays),
            *(
                f"the trained classifier's {variant} scores are nearly the same for all tokens (cosine with equal "
                f"scores: {flatness:.2f}), so they hardly distinguish words, and agree or disagree as a whole"
                for variant, flatness in flat
                if flatness >= FLAT
            ),
        )


def draw(found: Texts) -> dict[str, Figure]:
    """Draw the tokens of figure 10, the box plots of figures 3, 8, 9 and 11, and the absolute cosines."""
    facts, arrays = found.facts, found.arrays
    trials, count, titles = facts["trials"], len(facts["sentences"]), list(IG_TITLES.values())
    figures = {"": tokens_figure(_rows(found), titles, _protocol(facts))}
    one = f"the sentence shown, {trials} trials"
    for key in METRICS:
        figures[key] = _similarities(found, key, found.scores(key)[:, :, :1], one)
    cosines = found.scores("cosine")
    mean = mean_over(cosines, 2)[:, :, None]
    figures["cosine-mean"] = _similarities(found, "cosine", mean, f"mean over {count} sentences, {trials} trials")
    figures["cosine-abs"] = boxes_figure(
        dict(zip(titles, np.abs(cosines), strict=True)),
        metric_title="|cosine similarity|",
        column_titles=facts["stages"],
        reference={
            title: np.full(len(facts["stages"]), chance_cosine(directions).mean())
            for title, directions in zip(titles, arrays["directions"], strict=True)
        },
        reference_title="random directions",
        caption=f"Absolute cosine between explanations and the original ones; {count} "
        f"sentences × {trials} trials; {_protocol(facts)}",
    )
    for row, key in enumerate(QUALITY):
        scores = arrays["quality"][:, row, :, 0]  # (method, stage, trial)
        figures[key] = boxes_figure(
            {title: scores[m, 1:, None] for m, title in enumerate(titles)},
            metric_title=get_quality(key).title,
            column_titles=facts["stages"],
            quantity=QUANTITIES[key],
            reference={title: np.full(len(facts["stages"]), scores[m, 0, 0]) for m, title in enumerate(titles)},
            reference_title=ORIGINAL,
            caption=f"{one[0].upper()}{one[1:]}; {_protocol(facts)}",
        )
    return figures


def _similarities(found: Texts, metric: str, scores: np.ndarray, over: str) -> Figure:
    """Draw box plots of scores (method, stage, sentence, trial)."""
    return boxes_figure(
        dict(zip(IG_TITLES.values(), scores, strict=True)),
        metric_title=get_metric(metric).title,
        column_titles=found.facts["stages"],
        quantity=QUANTITIES[metric],
        caption=f"{over[0].upper()}{over[1:]}; {_protocol(found.facts)}",
    )


def _rows(found: Texts) -> Rows:
    """Return the shown sentence with the scores of global and local IG, for every stage of trial 0."""

    def cell(method: int, stage: int) -> TokenMap:
        quality = found.arrays["quality"][method, :, stage, 0, 0]
        return token_map(found.facts["tokens"], found.arrays["shown"][method, stage], quality)

    return {
        title: [cell(method, stage) for method in range(len(IG_TITLES))] for stage, title in enumerate(found.stages)
    }


def _protocol(facts: dict[str, Any]) -> str:
    return (
        f"{facts['classifier']}; preset {facts['preset']}; cascading Xavier randomization; IG of {facts['steps']} "
        f"steps from [PAD] on embeddings (standard deviation {facts['embedding_scale']:.2f}), {SCORES}; explained is "
        f"the class that the trained classifier predicts, in the sentence shown “{facts['explained'][0]}” "
        f"({facts['confidences'][0]:.2f}); {SCORED}; seed {facts['seed']}."
    )


def chance_cosine(directions: Int[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
    """Mean |cosine| of a fixed and a random direction in n dimensions: Γ(n/2) / (√π Γ((n + 1)/2))."""
    values = [math.exp(math.lgamma(n / 2) - math.lgamma((n + 1) / 2)) / math.sqrt(math.pi) for n in directions.flat]
    return np.array(values).reshape(directions.shape)


NEAR_ZERO = 0.2
"""A mean within ± this is close to zero: unrelated scores of ten words correlate by about ±1/√10 = ±0.3."""
ABOVE_CHANCE = 0.1
FLAT = 0.9
"""A |cosine| with equal scores for all tokens above which scores hardly distinguish words."""
NOTHING = 1e-6  # squared logits: the rounding error of complete scores
LOW = 1.5  # a score "stays low" up to this multiple of the trained classifier's
UNITS = ("sentence", "trial")
claims = Claims(Texts, "Figure 3, section 3", TEXT)


@claims(
    "text-dissimilar",
    "Explanations of text differ from the original ones from the first randomized layer on.",
    "concluded from the medians",
)
def _dissimilar(found: Texts) -> Outcome:
    # Absolute cosines, since cosines of +1 and −1 in turn have a mean of zero.
    excess = np.abs(found.scores("cosine")) - chance_cosine(found.arrays["directions"])[:, None, :, None]
    what = "|cosine| of {} above chance"
    stages = found.facts["stages"]
    return all_of(
        worst(below(mean, ABOVE_CHANCE) for mean in at_stages(what.format(title), stages, excess[m], *UNITS))
        for m, title in enumerate(IG_TITLES.values())
    )


@claims(
    "text-no-multiplier",
    "Unlike for images, global IG keeps no more similarity than local IG.",
    "both are sensitive to the parameters",
)
def _multiplier(found: Texts) -> Outcome:
    one, other = np.abs(found.scores("cosine"))
    gaps = mean_over(one - other, 0)  # (sentence, trial)
    return below(measure("|cosine| over all stages, global less local", gaps, *UNITS), ABOVE_CHANCE)


def _near_zero(what: str, metric: str, variant: str, found: Texts) -> Outcome:
    scores = found.scores(metric, variant)
    means = at_stages(what, found.facts["stages"], scores, *UNITS)
    return worst(between(mean, -NEAR_ZERO, NEAR_ZERO) for mean in means)


@claims.each(
    IG_TITLES,
    "text-cosine-zero-{key}",
    "For text the cosine of {title} is close to zero from the first randomized layer on.",
    "medians close to zero",
)
def _cosine(variant: str, found: Texts) -> Outcome:
    return _near_zero("cosine", "cosine", variant, found)


@claims.each(
    IG_TITLES,
    "text-spearman-zero-{key}",
    "The rank correlation of {title} is close to zero.",
    "medians close to zero, with more variance than for images",
    where="Figure 11, appendix B",
)
def _ranks(variant: str, found: Texts) -> Outcome:
    return _near_zero("rank correlation", "spearman", variant, found)


@claims.each(
    IG_TITLES,
    "text-euclidean-{key}",
    "By Euclidean distance, explanations of {title} are dissimilar directly after the first layer.",
    "seen by eye",
    where="Figure 8, appendix B",
)
def _far(variant: str, found: Texts) -> Outcome:
    # The distance of unrelated scores is √2.
    scores = found.scores("euclidean", variant)
    means = at_stages("distance of scores of length 1", found.facts["stages"], scores, *UNITS)
    return worst(above(mean, 1.0) for mean in means)


def _low(what: str, found: Texts, scores: Float[np.ndarray, "stage sentence trial"], least: float = 0.0) -> Outcome:
    """Judge the ratio to the trained classifier's where it is highest; scores up to `least` are rounding error."""
    levels = mean_over(scores, 1, 2)
    rows = [0, *(row for row in range(1, len(levels)) if levels[row] > least)]
    if len(rows) == 1:
        return fact(True, f"{what} at most {levels[1:].max():.1e}", f"it is at most {least:g}, the rounding error")
    names = [["original", *found.facts["stages"]][row] for row in rows]
    title = f"{what} / that of the trained classifier"
    means = at_stages(title, names, scores[rows], *UNITS, first=1, base=scores[0])
    return worst(below(mean, LOW) for mean in means)


@claims.each(
    IG_TITLES,
    "text-infidelity-low-{key}",
    "Infidelity of {title} stays low or decreases when layers are randomized.",
    "0.1 to 1.5 times the original",
    where="Figure 3, table 2",
)
def _infidelity(variant: str, found: Texts) -> Outcome:
    return _low("infidelity", found, found.quality("infidelity", variant), NOTHING)


@claims.each(
    IG_TITLES,
    "text-sensitivity-low-{key}",
    "Max-sensitivity of {title} stays low or decreases when layers are randomized.",
    "0.8 to 1.0 times the original",
    where="Figure 3, table 2",
)
def _sensitivity(variant: str, found: Texts) -> Outcome:
    return _low("max-sensitivity", found, found.quality("max-sensitivity", variant))


CASCADE = experiment(
    "figure3",
    "Text: global and local IG under cascading randomization (figures 3, 8, 9, 10 and 11, table 2)",
    compute,
    draw,
    claims,
    covers={
        "Figure 10": "",
        "Figure 8": "euclidean*",
        "Figure 9": "cosine-mean",
        "Figure 11": "spearman*",
        "Table 2": "table2",
        "Figure 3": "*",
    },
    inputs=Inputs(data=("sst2",), text=BERT),
)

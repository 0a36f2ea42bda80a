"""Figures 3, 8, 9, 10 and 11 and table 2: token scores of global and local IG under cascading randomization."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from probatum.experiments.text.cascade import METRICS, text_cascade
from probatum.experiments.text.quality import text_quality
from probatum.experiments.text.scores import TextExplanation
from probatum.metrics import get_metric
from probatum.metrics.quality import get_quality
from probatum.report.boxes import boxes_figure
from probatum.report.tokens import Rows, TokenMap, tokens_figure, tokens_html, tokens_page
from probatum.reproductions.base import (
    Context,
    Experiment,
    Inputs,
    read_facts,
    store_arrays,
    stored_arrays,
    write_facts,
)
from probatum.reproductions.kokhlikyan2021.judging import over_images
from probatum.reproductions.kokhlikyan2021.quality_table import write_quality_table
from probatum.reproductions.kokhlikyan2021.text_claims import chance_cosine, judge
from probatum.reproductions.kokhlikyan2021.text_subject import (
    BERT,
    load_text_data,
    load_text_subject,
    methods_of,
    sentences_of,
)
from probatum.reproductions.kokhlikyan2021.variants import IG_TITLES

QUALITY = ("infidelity", "max-sensitivity")
ORIGINAL = "Original"


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
    facts = read_facts(folder)
    write_quality_table(folder, "table2", found.stages, quality.scores, _protocol(facts))
    page = tokens_html(_rows(facts, stored_arrays(folder)), list(IG_TITLES.values()), _protocol(facts))
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


def draw(folder: Path) -> dict[str, Figure]:
    """Draw the tokens of figure 10, the box plots of figures 3, 8, 9 and 11, and the absolute cosines."""
    facts, arrays = read_facts(folder), stored_arrays(folder)
    trials, count = facts["trials"], len(facts["sentences"])
    figures = {"": tokens_figure(_rows(facts, arrays), list(IG_TITLES.values()), _protocol(facts))}
    one = f"the sentence shown, {trials} trials"
    live = np.where(
        arrays["constant"][:, None] > 0, np.nan, arrays["scores"]
    )  # (method, metric, stage, sentence, trial)
    for key in METRICS:
        figures[key] = _similarities(facts, key, live[:, METRICS.index(key), :, :1], one)
    cosines = live[:, METRICS.index("cosine")]
    mean = over_images(cosines)[:, :, None]
    figures["cosine-mean"] = _similarities(facts, "cosine", mean, f"mean over {count} sentences, {trials} trials")
    figures["cosine-abs"] = boxes_figure(
        dict(zip(IG_TITLES.values(), np.abs(cosines), strict=True)),
        metric_title="|cosine similarity|",
        column_titles=facts["stages"],
        reference={
            title: np.full(len(facts["stages"]), chance_cosine(arrays["directions"][m]).mean())
            for m, title in enumerate(IG_TITLES.values())
        },
        reference_title="random directions",
        caption=f"Absolute cosine between explanations and the original ones; {count} "
        f"sentences × {trials} trials; {_protocol(facts)}",
    )
    for row, key in enumerate(QUALITY):
        scores = arrays["quality"][:, row, :, 0]  # (method, stage, trial)
        figures[key] = boxes_figure(
            {title: scores[m, 1:, None] for m, title in enumerate(IG_TITLES.values())},
            metric_title=get_quality(key).title,
            column_titles=facts["stages"],
            quantity="magnitude" if key == "infidelity" else "distance",
            reference={
                title: np.full(len(facts["stages"]), scores[m, 0, 0]) for m, title in enumerate(IG_TITLES.values())
            },
            reference_title=ORIGINAL,
            caption=f"{one[0].upper()}{one[1:]}; {_protocol(facts)}",
        )
    return figures


def _similarities(facts: dict[str, Any], metric: str, scores: np.ndarray, over: str) -> Figure:
    """Draw box plots of scores (method, stage, sentence, trial)."""
    return boxes_figure(
        dict(zip(IG_TITLES.values(), scores, strict=True)),
        metric_title=get_metric(metric).title,
        column_titles=facts["stages"],
        quantity="distance" if metric == "euclidean" else "similarity",
        caption=f"{over[0].upper()}{over[1:]}; {_protocol(facts)}",
    )


def _rows(facts: dict[str, Any], arrays: dict[str, np.ndarray]) -> Rows:
    """Return the shown sentence with the scores of global and local IG, for every stage of trial 0."""

    def cell(method: int, stage: int) -> TokenMap:
        infidelity, sensitivity = arrays["quality"][method, :, stage, 0, 0]
        note = f"infid. {infidelity:.2g}, max-sens. {sensitivity:.2g}"
        return TokenMap(tuple(facts["tokens"]), arrays["shown"][method, stage], note)

    return {
        title: [cell(method, stage) for method in range(len(IG_TITLES))]
        for stage, title in enumerate((ORIGINAL, *facts["stages"]))
    }


def _protocol(facts: dict[str, Any]) -> str:
    return (
        f"{facts['classifier']}; preset {facts['preset']}; cascading Xavier randomization; IG of {facts['steps']} "
        f"steps from [PAD] on embeddings (standard deviation {facts['embedding_scale']:.2f}), summed over their "
        f"dimensions and scaled to length 1; explained is the class that the trained classifier predicts, in the "
        f"sentence shown “{facts['explained'][0]}” ({facts['confidences'][0]:.2f}); infidelity under noise of 0.03 "
        f"(local) and removal of all words (global), max-sensitivity within ±0.02; seed {facts['seed']}."
    )


CASCADE = Experiment(
    name="figure3",
    title="Text: global and local IG under cascading randomization (figures 3, 8, 9, 10 and 11, table 2)",
    compute=compute,
    draw=draw,
    judge=judge,
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

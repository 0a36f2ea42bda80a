"""An encoder of sentences: token scores as its layers become random."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from probatum.experiments.text.cascade import text_cascade
from probatum.experiments.text.scores import text_methods
from probatum.metrics import METRICS
from probatum.report import curves_figure
from probatum.reproductions.base import Context, Inputs, store_arrays, write_facts
from probatum.reproductions.kokhlikyan2021.text_subject import BERT, load_text_data, load_text_subject, sentences_of
from probatum.reproductions.results import Claims, Results, experiment
from probatum.reproductions.rules import Outcome, above, between, measure
from probatum.reproductions.setting import Setting
from probatum.reproductions.transformers.methods import EXPECTED, SHARES, TOKEN_METHODS, TOKEN_TITLES

LEFT = 0.25  # the largest mean similarity, either way, of scores that kept nothing
COMPARED = ("cosine", "spearman")


@dataclass(frozen=True)
class SentenceSizes:
    """Number of sentences, most words of each, randomizations, and samples and steps of the methods."""

    sentences: int
    words: int
    trials: int
    samples: int
    steps: int


SIZES = {
    "paper": SentenceSizes(sentences=20, words=40, trials=10, samples=50, steps=50),
    "cpu": SentenceSizes(sentences=10, words=20, trials=3, samples=10, steps=10),
    "quick": SentenceSizes(sentences=8, words=12, trials=3, samples=10, steps=10),
}


def compute(context: Context, folder: Path) -> None:
    """Compares the token scores of the trained and of the randomized encoder."""
    size, config = context.pick(SIZES), context.config
    data = load_text_data(context)
    subject = load_text_subject(context, data)
    sentences = sentences_of(data, size.sentences, size.words, config.seed)
    found = text_cascade(
        subject.model,
        sentences,
        text_methods(subject.model, TOKEN_METHODS, samples=size.samples, steps=size.steps),
        metrics=COMPARED,
        protocol="adebayo",
        trials=size.trials,
        seed=config.seed,
        memory_budget=config.memory_budget,
        progress=context.progress,
    )
    store_arrays(folder, scores=np.where(found.constant[:, None] == 0, found.scores, np.nan))
    setting = Setting(subject.setting.stand_ins) if config.preset == "quick" else Setting()
    write_facts(
        folder,
        preset=config.preset,
        seed=config.seed,
        used=subject.title,
        stages=list(found.stages),
        setting=setting.to_json(),
    )


class Scores(Results):
    """The similarities of token scores."""

    def of(self, method: str, metric: str) -> Float[np.ndarray, "stage sentence trial"]:
        """The live ones of a method under a metric."""
        table: np.ndarray = self.arrays["scores"][TOKEN_METHODS.index(method), COMPARED.index(metric)]
        return table


def draw(found: Scores) -> dict[str, Figure]:
    """The curves of both metrics."""
    facts = found.facts
    caption = (
        f"{facts['used']}: token scores, layers drawn anew by their own initializers from the output down, preset "
        f"{facts['preset']}, seed {facts['seed']}."
    )
    return {
        metric: curves_figure(
            {title: found.of(name, metric) for name, title in TOKEN_TITLES.items()},
            metric_title=METRICS[metric].title,
            column_titles=facts["stages"],
            caption=caption,
        )
        for metric in COMPARED
    }


claims = Claims(Scores, "Encoder of sentences")


@claims.each(
    TOKEN_TITLES,
    "sentences-sensitive-{key}",
    "Random weights leave nothing of the token scores of {title}.",
    EXPECTED,
    role="main result",
)
def _sensitive(method: str, found: Scores) -> Outcome:
    metric, what = ("spearman", "rank correlation") if method in SHARES else ("cosine", "cosine")
    return between(
        measure(f"{what} after the last stage", found.of(method, metric)[-1], "sentence", "trial"), -LEFT, LEFT
    )


@claims(
    "sentences-below-input-x-gradient",
    "The ranks of Conservative Propagation are kept less than those of Input × Gradient.",
    "expected: as for images",
)
def _less(found: Scores) -> Outcome:
    first, second = (found.of(name, "spearman")[-1] for name in ("input-x-gradient", "conservative-propagation"))
    what = "rank correlation, Input × Gradient less Conservative Propagation"
    return above(measure(what, first - second, "sentence", "trial"), 0.0)


SENTENCES = experiment(
    "sentences",
    "An encoder of sentences on movie reviews",
    compute,
    draw,
    claims,
    covers={"Figure 5": "*"},
    inputs=Inputs(data=("sst2",), text=BERT),
)

"""Table 1: infidelity and max-sensitivity of global and local IG at every stage of the cascade."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from probatum.experiments.quality import quality_scores
from probatum.randomization import preset
from probatum.report import boxes_figure
from probatum.reproductions.base import (
    Claim,
    Context,
    Experiment,
    Finding,
    Inputs,
    read_facts,
    store_arrays,
    stored_arrays,
    write_facts,
)
from probatum.reproductions.kokhlikyan2021.judging import (
    IMAGES,
    SCALE,
    Judged,
    counted,
    findings,
    rising,
    span,
    unchanged,
    undefined_note,
    worst,
)
from probatum.reproductions.kokhlikyan2021.quality import (
    HOMOGENEOUS,
    METRICS,
    QUANTITIES,
    SHARE,
    TITLES,
    quality_metrics,
)
from probatum.reproductions.kokhlikyan2021.quality_table import write_quality_table
from probatum.reproductions.kokhlikyan2021.subjects import load_subject, network_of
from probatum.reproductions.kokhlikyan2021.variants import IG_TITLES, ig_variants
from probatum.reproductions.rules import Mean, above, below, measure, ratio

ORIGINAL = "Original"
UNITS = ("image", "trial")
THIRD = 3  # row of the third randomized layer; row 0 is the trained network


@dataclass(frozen=True)
class TableSizes:
    """Number of images, randomizations, steps of IG and noise samples of infidelity."""

    images: int
    trials: int
    steps: int
    samples: int = 50


PHOTOGRAPH_SIZES = {
    "paper": TableSizes(images=10, trials=10, steps=50),
    "cpu": TableSizes(images=6, trials=4, steps=8, samples=20),
    "quick": TableSizes(images=5, trials=1, steps=10, samples=20),
}
DIGIT_SIZES = TableSizes(images=10, trials=3, steps=15)


def compute(context: Context, folder: Path) -> None:
    """Score both variants of IG on the trained and the randomized networks, and write the table."""
    config = context.config
    sizes = context.pick(PHOTOGRAPH_SIZES) if network_of(context) else DIGIT_SIZES
    subject = load_subject(context, sizes.images)
    images = subject.data.images.to(context.device)
    result = quality_scores(
        subject.model,
        images,
        methods=ig_variants(sizes.steps),
        metrics=quality_metrics(sizes.samples),
        randomizer=preset("kokhlikyan").randomizer(subject.model, subject.plan, config.seed),
        trials=sizes.trials,
        seed=config.seed,
        image_names=subject.data.image_names,
        memory_budget=config.memory_budget,
        cells=context.cells,
        progress=context.progress,
    )
    store_arrays(folder, scores=result.scores)
    stages = list(result.stages[1:])
    facts = subject.facts(context) | {
        "stages": stages,
        "trials": sizes.trials,
        "steps": sizes.steps,
        "samples": sizes.samples,
    }
    write_facts(folder, **facts)
    caption = f"Means over {counted(facts)}. {_protocol(facts)}"
    write_quality_table(folder, "table1", stages, result.scores[:, :2], caption)


def _column(scores: np.ndarray, metric: str, method: str) -> Float[np.ndarray, "stage image trial"]:
    column: np.ndarray = scores[list(IG_TITLES).index(method), METRICS.index(metric)]
    return column


def draw(folder: Path) -> dict[str, Figure]:
    """Draw box plots of the scores; the table itself is `table1.md` and `table1.csv`."""
    facts, scores = read_facts(folder), stored_arrays(folder)["scores"]
    return {
        "" if metric == METRICS[0] else metric: boxes_figure(
            {title: _column(scores, metric, method) for method, title in IG_TITLES.items()},
            metric_title=TITLES[metric],
            column_titles=[ORIGINAL, *facts["stages"]],
            quantity=quantity,
            caption=f"{counted(facts)}; the trained network is scored once. {_protocol(facts)}",
        )
        for metric, quantity in QUANTITIES.items()
    }


def _protocol(facts: dict[str, Any]) -> str:
    return (
        f"{facts['network']}; preset {facts['preset']}; cascading Xavier randomization, batch-norm statistics kept; "
        f"the class predicted by the trained network; IG of {facts['steps']} steps from zero. Infidelity: noise "
        f"N(0, 0.03²), {facts['samples']} samples (local), x − x₀ (global): two tests in different units. "
        f"Max-sensitivity: L∞ ball of 0.02, 5 samples, L2 norm. Units of the normalized input; seed {facts['seed']}. "
        + HOMOGENEOUS
    )


def _claim(name: str, where: str, statement: str, paper: str, about: tuple[str, ...] = IMAGES) -> Claim:
    return Claim(f"table1-{name}", where, statement, paper, about)


RISES = {
    method: _claim(
        f"infidelity-rises-{method}",
        "Table 1, section 3",
        f"Infidelity of {IG_TITLES[method]} increases from the second or third randomized layer on.",
        paper,
        SCALE,
    )
    for method, paper in (("local", "1e-4 → 213 to 18,000"), ("global", "2.8 → 6,200 to 1.3e7"))
}
FIRST = {
    method: _claim(
        f"first-layer-falls-{method}",
        "Table 1",
        f"Randomizing the last layer alone lowers the infidelity of {IG_TITLES[method]}.",
        paper,
        SCALE,
    )
    for method, paper in (("local", "1e-4 → 2e-6"), ("global", "2.84 → 0.064"))
}
FLAT = {
    method: _claim(
        f"sensitivity-unchanged-{method}",
        "Table 1, appendix A",
        f"Max-sensitivity of {IG_TITLES[method]} remains almost unchanged at every layer.",
        paper,
    )
    for method, paper in (("local", "0.26 → 0.28 to 0.41"), ("global", "0.29 → 0.29 to 0.45"))
}
ABOVE = _claim(
    "global-more-sensitive",
    "Table 1",
    "Max-sensitivity is higher for global IG than for local IG at every layer.",
    "by 0.006 to 0.05",
)


def judge(folder: Path) -> list[Finding]:
    """Judge the claims on table 1."""
    facts, scores = read_facts(folder), stored_arrays(folder)["scores"]
    stages = [ORIGINAL, *facts["stages"]]
    judged: list[Judged] = []
    for method in RISES:
        infidelity, sensitivity = (_column(scores, metric, method) for metric in METRICS[:2])
        rises = rising("infidelity", stages, infidelity, THIRD)
        share = f"; share of the response {span(_column(scores, SHARE, method), THIRD)}"
        first = ratio(f"infidelity at {stages[1]} / that of the trained network", infidelity[1], infidelity[0], *UNITS)
        judged += [
            Judged(RISES[method], replace(rises, ours=rises.ours + share)),
            Judged(FIRST[method], below(first, 1.0)),
            Judged(FLAT[method], unchanged("max-sensitivity", stages, sensitivity)),
        ]
    gaps = _column(scores, "max-sensitivity", "global") - _column(scores, "max-sensitivity", "local")

    def gap(words: str, row: int) -> Mean:
        return measure(words, gaps[row], *UNITS)

    least = worst("max-sensitivity, global less local", stages, gap, 0, high=False)
    return findings(facts, [*judged, Judged(ABOVE, above(least, 0.0))], undefined_note(scores))


TABLE1 = Experiment(
    name="table1",
    title="Infidelity and max-sensitivity of global and local IG by randomized layer (table 1)",
    compute=compute,
    draw=draw,
    judge=judge,
    covers={"Table 1": "*"},
    inputs=Inputs(photographs=True, networks=("inception_v3",)),
)

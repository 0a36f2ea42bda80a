"""Table 1: infidelity and max-sensitivity of global and local IG at every stage of the cascade."""

from dataclasses import dataclass
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
from probatum.reproductions.findings import estimate
from probatum.reproductions.kokhlikyan2021.judging import (
    UNCHANGED,
    Judged,
    counted,
    defined_mean,
    findings,
    flat_rule,
    number,
    ratios,
    rising,
    span,
    unchanged,
    undefined_note,
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

ORIGINAL = "Original"
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
    "quick": TableSizes(images=3, trials=1, steps=10, samples=20),
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


def _claim(name: str, where: str, statement: str, paper: str) -> Claim:
    return Claim(f"table1-{name}", where, statement, paper)


RISES = _claim(
    "infidelity-rises",
    "Table 1, section 3",
    "Infidelity of local and global IG increases from the second or third randomized layer on.",
    "1e-4 → 213 to 18,000 (local), 2.8 → 6,200 to 1.3e7 (global)",
)
FIRST = _claim(
    "first-layer-falls",
    "Table 1",
    "Randomizing the last layer alone lowers the infidelity of both.",
    "1e-4 → 2e-6 (local), 2.84 → 0.064 (global)",
)
FLAT = _claim(
    "sensitivity-unchanged",
    "Table 1, appendix A",
    "Max-sensitivity remains almost unchanged at every layer, for both.",
    "0.26 → 0.28 to 0.41 (local), 0.29 → 0.29 to 0.45 (global)",
)
ABOVE = _claim(
    "global-more-sensitive",
    "Table 1",
    "Max-sensitivity is higher for global IG than for local IG at every layer.",
    "by 0.002 to 0.05",
)


def judge(folder: Path) -> list[Finding]:
    """Judge the four claims."""
    facts, scores = read_facts(folder), stored_arrays(folder)["scores"]
    stages = [ORIGINAL, *facts["stages"]]
    infidelity, sensitivity = (
        {method: _column(scores, metric, method) for method in ("local", "global")} for metric in METRICS[:2]
    )
    rises = {method: rising(table, THIRD) for method, table in infidelity.items()}
    falls = {method: ratios(table[1], table[0]) for method, table in infidelity.items()}
    spans = {method: unchanged(table) for method, table in sensitivity.items()}
    gaps = [
        float(globally - locally)
        for globally, locally in zip(*(defined_mean(sensitivity[method]) for method in IG_TITLES), strict=True)
    ]
    lowest = int(np.argmin(gaps))  # the position of a NaN, if there is one
    judged = [
        Judged(
            RISES,
            "; ".join(
                f"{method} × {number(least)} to × {number(most)} (share of the response "
                f"{span(_column(scores, SHARE, method), THIRD)})"
                for method, (least, most, _) in rises.items()
            ),
            all(holds for _, _, holds in rises.values()),
            f"rule: from {stages[min(THIRD, len(stages) - 1)]} on, the geometric mean over images and trials of "
            "infidelity / that of the trained network is above 1 with its 95 % interval at every stage",
        ),
        Judged(
            FIRST,
            "; ".join(f"{m} × {estimate(r, number)}" for m, r in falls.items()),
            all(bool(ratio.high < 1) for ratio in falls.values()),
            f"rule: at {stages[1]} that ratio is below 1 with its 95 % interval",
        ),
        Judged(
            FLAT,
            "; ".join(f"{method} × {low:.2f} to × {high:.2f}" for method, (low, high) in spans.items()),
            all(low >= 1 / UNCHANGED and high <= UNCHANGED for low, high in spans.values()),
            flat_rule("both"),
        ),
        Judged(
            ABOVE,
            f"least difference {gaps[lowest]:.3f}, at {stages[lowest]}",
            gaps[lowest] > 0,
            "rule: the mean over images and trials of global IG is above that of local IG at every stage",
        ),
    ]
    return findings(facts, judged, undefined_note(scores))


TABLE1 = Experiment(
    name="table1",
    title="Infidelity and max-sensitivity of global and local IG by randomized layer (table 1)",
    compute=compute,
    draw=draw,
    judge=judge,
    covers={"Table 1": "*"},
    inputs=Inputs(photographs=True, networks=("inception_v3",)),
)

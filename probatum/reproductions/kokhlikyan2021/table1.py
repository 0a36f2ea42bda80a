"""Table 1: infidelity and max-sensitivity of global and local IG at every stage of the cascade."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from probatum.randomization import preset
from probatum.report import boxes_figure
from probatum.reproductions.base import Context, store_arrays, write_facts
from probatum.reproductions.kokhlikyan2021.judging import (
    IMAGES,
    ORIGINAL,
    UNITS,
    by_stage,
    counted,
    relative_responses,
    rising,
    span,
    testable,
    unchanged,
    undefined_note,
)
from probatum.reproductions.kokhlikyan2021.quality import HOMOGENEOUS, METRICS, QUANTITIES, SHARE, TITLES, scored
from probatum.reproductions.kokhlikyan2021.quality_table import write_quality_table
from probatum.reproductions.kokhlikyan2021.subjects import INPUTS, facts_of, load_subject
from probatum.reproductions.kokhlikyan2021.variants import IG_TITLES, ig_variants
from probatum.reproductions.results import Claims, Results, experiment
from probatum.reproductions.rules import Outcome, above, at_stages, below, ratio, worst
from probatum.reproductions.subjects import wants_networks

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
    sizes = context.pick(PHOTOGRAPH_SIZES) if wants_networks(context) else DIGIT_SIZES
    subject = load_subject(context, sizes.images)
    randomizer = subject.randomizer(context, preset("kokhlikyan"))
    result = scored(context, subject, ig_variants(sizes.steps), sizes.samples, randomizer, sizes.trials)
    store_arrays(folder, scores=result.scores)
    stages = list(result.stages[1:])
    facts = facts_of(context, subject) | {
        "stages": stages,
        "trials": sizes.trials,
        "steps": sizes.steps,
        "samples": sizes.samples,
    }
    write_facts(folder, **facts)
    caption = f"Means over {counted(facts)}. {_protocol(facts)}"
    write_quality_table(folder, "table1", stages, result.scores[:, :2], caption)


class Table(Results):
    """Scores of both variants of IG at each stage, the trained network first."""

    @property
    def stages(self) -> list[str]:
        """The trained network and the stages of its randomization."""
        return [ORIGINAL, *self.facts["stages"]]

    def column(self, metric: str, variant: str) -> Float[np.ndarray, "stage image trial"]:
        """The scores of one variant of IG under one metric."""
        place = list(IG_TITLES).index(variant), METRICS.index(metric)
        column: Float[np.ndarray, "stage image trial"] = self.arrays["scores"][place]
        return column

    def responses(self, variant: str, first: int, last: int | None = None) -> dict[str, float]:
        """Relative responses of the logit to the perturbations of a variant of IG, for some stages."""
        found = relative_responses(self.column("infidelity", variant), self.column(SHARE, variant))
        return by_stage(self.stages, found, first, last)

    @property
    def note(self) -> str:
        """How many scores are undefined."""
        return undefined_note(self.arrays["scores"])


def draw(found: Table) -> dict[str, Figure]:
    """Draw box plots of the scores; the table itself is `table1.md` and `table1.csv`."""
    return {
        "" if metric == METRICS[0] else metric: boxes_figure(
            {title: found.column(metric, variant) for variant, title in IG_TITLES.items()},
            metric_title=TITLES[metric],
            column_titles=found.stages,
            quantity=quantity,
            caption=f"{counted(found.facts)}; the trained network is scored once. {_protocol(found.facts)}",
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


claims = Claims(Table, "Table 1", IMAGES)
VARIANTS = {variant: IG_TITLES[variant] for variant in ("local", "global")}


@claims.each(
    VARIANTS,
    "table1-infidelity-rises-{key}",
    "Infidelity of {title} increases from the second or third randomized layer on.",
    {"local": "1e-4 → 213 to 18,000", "global": "2.8 → 6,200 to 1.3e7"},
    where="Table 1, section 3",
)
def _rises(variant: str, found: Table) -> Outcome:
    rises = rising("infidelity", found.stages, found.column("infidelity", variant), THIRD)
    share = f"; share of the response {span(found.column(SHARE, variant), THIRD)}"
    return testable(replace(rises, ours=rises.ours + share), found.responses(variant, THIRD))


@claims.each(
    VARIANTS,
    "table1-first-layer-falls-{key}",
    "Randomizing the last layer alone lowers the infidelity of {title}.",
    {"local": "1e-4 → 2e-6", "global": "2.84 → 0.064"},
)
def _first(variant: str, found: Table) -> Outcome:
    scores = found.column("infidelity", variant)
    what = f"infidelity at {found.stages[1]} / that of the trained network"
    return testable(below(ratio(what, scores[1], scores[0], *UNITS), 1.0), found.responses(variant, 1, 2))


@claims.each(
    VARIANTS,
    "table1-sensitivity-unchanged-{key}",
    "Max-sensitivity of {title} remains almost unchanged at every layer.",
    {"local": "0.26 → 0.28 to 0.41", "global": "0.29 → 0.29 to 0.45"},
    where="Table 1, appendix A",
)
def _flat(variant: str, found: Table) -> Outcome:
    return unchanged("max-sensitivity", found.stages, found.column("max-sensitivity", variant))


@claims(
    "table1-global-more-sensitive",
    "Max-sensitivity is higher for global IG than for local IG at every layer.",
    "by 0.006 to 0.05",
)
def _more(found: Table) -> Outcome:
    gaps = found.column("max-sensitivity", "global") - found.column("max-sensitivity", "local")
    means = at_stages("max-sensitivity, global less local", found.stages, gaps, *UNITS)
    return worst(above(mean, 0.0) for mean in means)


TABLE1 = experiment(
    "table1",
    "Infidelity and max-sensitivity of global and local IG by randomized layer (table 1)",
    compute,
    draw,
    claims,
    covers={"Table 1": "*"},
    inputs=INPUTS,
)

"""Vision transformers on digits and on photographs: maps and verdicts as the blocks become random."""

from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure

from probatum.data.datasets import data_title
from probatum.experiments.levels import Level, read_levels, store_levels
from probatum.experiments.options import methods_with_options
from probatum.experiments.verdicts import SENSITIVE_UP_TO
from probatum.maps import get_reduction
from probatum.metrics import METRICS
from probatum.randomization import preset
from probatum.report import curves_figure, grid_figure
from probatum.reproductions.base import Context, Inputs, store_arrays, write_facts
from probatum.reproductions.hatching import drawable
from probatum.reproductions.results import Claims, Results, experiment
from probatum.reproductions.rules import NOT_COMPUTED, Mean, Outcome, above, all_of, below, fact, measure
from probatum.reproductions.subjects import Subject, cascade
from probatum.reproductions.transformers.methods import CONTROL, EXPECTED, TITLES
from probatum.reproductions.transformers.networks import TINY, VisionSizes, digits_subject, photographs_subject

DIGITS_SIZES = {
    "paper": VisionSizes(train=60_000, epochs=20, images=20, trials=5, samples=50, steps=50),
    "cpu": VisionSizes(train=10_000, epochs=8, images=20, trials=3, samples=25, steps=25),
    "quick": VisionSizes(train=4000, epochs=10, images=10, trials=2, samples=10, steps=10, window=7),
}
PHOTOGRAPH_SIZES = {
    "paper": VisionSizes(train=5000, epochs=60, images=20, trials=5, samples=50, steps=50),
    "cpu": VisionSizes(train=5000, epochs=12, images=20, trials=3, samples=25, steps=25),
    "quick": VisionSizes(train=1000, epochs=4, images=10, trials=2, samples=10, steps=10, window=16),
}


def compute(
    make: Callable[[Context, VisionSizes], Subject | None],
    sizes: dict[str, VisionSizes],
    metrics: tuple[str, ...],
    context: Context,
    folder: Path,
) -> None:
    """Randomizes a vision transformer block by block and compares its maps.

    Args:
        make: trains the network.
        sizes: by preset.
        metrics: names.
        context: the configuration.
        folder: receives the scores, the maps of one image, and `levels.csv`.
    """
    size = context.pick(sizes)
    subject = make(context, size)
    if subject is None:
        write_facts(folder, missing=f"give {TINY}/ in the folder of --data-dir")
        return
    methods = methods_with_options(tuple(TITLES), {"samples": size.samples, "steps": size.steps, "window": size.window})
    found = cascade(context, subject, methods, metrics, preset("adebayo"), trials=size.trials, keep_maps=1)
    store_levels(folder / "levels.csv", subject.title, found)
    reduce = get_reduction("abs-normalized")
    kept = found.maps[found.image_names[0]]
    store_arrays(
        folder,
        scores=np.where(found.live, found.scores, np.nan),
        ceiling=found.ceiling,
        maps=np.stack([reduce(torch.from_numpy(kept[name]))[:, 0].numpy() for name in TITLES]),
        picture=subject.data.pictures()[0].permute(1, 2, 0).numpy().squeeze(),
    )
    write_facts(
        folder,
        preset=context.config.preset,
        seed=context.config.seed,
        network=subject.title,
        used=subject.used,
        data=data_title(subject.data.name),
        metrics=list(metrics),
        stages=list(found.stages),
        shown=subject.class_name(found.targets[0]),
        images=len(found.image_names),
        setting=subject.setting.to_json(),
    )


class Cascade(Results):
    """The cascade of one network."""

    @cached_property
    def levels(self) -> dict[tuple[str, str], Level]:
        """Chance, ceiling and share retained after the last stage, by method and metric."""
        return {(each.method, each.metric): each for each in read_levels(self.folder / "levels.csv")}

    def of(self, method: str, metric: str) -> Float[np.ndarray, "stage image trial"]:
        """The live scores of a method under a metric."""
        table: np.ndarray = self.arrays["scores"][list(TITLES).index(method), self.facts["metrics"].index(metric)]
        return table

    def shares(self, method: str) -> list[Mean]:
        """The share of a method's map that random weights leave, under each metric that can tell."""
        given = {"image": self.facts["images"]}
        each = [self.levels[method, metric] for metric in self.facts["metrics"]]
        return [
            Mean(f"share under {level.metric}", level.share, level.low, level.high, self._live(level), given)
            for level in each
            if np.isfinite([level.share, level.low, level.high]).all()
        ]

    def _live(self, level: Level) -> dict[str, int]:
        exists = np.isfinite(self.of(level.method, level.metric)[-1])
        return {"image": int(exists.any(axis=1).sum())}


def draw(found: Cascade) -> dict[str, Figure]:
    """The maps of one image and the curves of every metric."""
    facts = found.facts
    protocol = (
        f"{facts['network']} on {facts['data']}, blocks drawn anew by their own initializers from the output down, "
        f"preset {facts['preset']}, seed {facts['seed']}."
    )
    figures = {
        "maps": grid_figure(
            [drawable(row) for row in found.arrays["maps"]],
            list(TITLES.values()),
            ["trained", *facts["stages"]],
            image=np.clip(found.arrays["picture"], 0, 1),
            image_title=facts["shown"],
            caption=f"{protocol} Maps: {get_reduction('abs-normalized').title}.",
        )
    }
    for row, metric in enumerate(facts["metrics"]):
        ceilings = found.arrays["ceiling"][:, row].mean(axis=1)
        figures[metric] = curves_figure(
            {title: found.of(name, metric) for name, title in TITLES.items() if name != CONTROL},
            metric_title=METRICS[metric].title,
            column_titles=facts["stages"],
            control=float(np.nanmean(found.of(CONTROL, metric)[-1])),
            ceiling={title: float(c) for title, c in zip(TITLES.values(), ceilings, strict=True) if np.isfinite(c)},
            caption=protocol,
        )
    return figures


def claims_on(where: str) -> Claims[Cascade]:
    """The claims on one network, as the findings name it."""
    claims = Claims(Cascade, where)
    tested = {name: title for name, title in TITLES.items() if name != CONTROL}
    key = where.lower().replace(" ", "-")

    @claims.each(
        tested,
        f"{key}-sensitive-{{key}}",
        "Random weights leave at most a quarter of the map of {title}.",
        EXPECTED,
        role="main result",
    )
    def sensitive(method: str, found: Cascade) -> Outcome:
        shares = found.shares(method)
        return all_of(below(share, SENSITIVE_UP_TO) for share in shares) if shares else NOT_COMPUTED

    @claims(
        f"{key}-below-input-x-gradient",
        "Conservative Propagation retains less of its magnitudes than Input × Gradient.",
        "expected: gradients through attention and norms are what makes Input × Gradient noisy (Ali et al. 2022)",
    )
    def less(found: Cascade) -> Outcome:
        first, second = (
            found.of(name, "spearman-abs")[-1] for name in ("input-x-gradient", "conservative-propagation")
        )
        what = "rank correlation of magnitudes, Input × Gradient less Conservative Propagation"
        return above(measure(what, first - second, "image", "trial"), 0.0)

    @claims(f"{key}-control", "The edge detector's maps do not change.", "by construction", about=(), role="self-test")
    def control(found: Cascade) -> Outcome:
        least = float(np.nanmin([found.of(CONTROL, metric) for metric in found.facts["metrics"]]))
        return fact(least > 1 - 1e-5, f"least similarity {least:.6f}", "1 up to rounding in float32", own_setting=True)

    return claims


DIGITS = experiment(
    "digits",
    "A vision transformer on digits",
    partial(compute, digits_subject, DIGITS_SIZES, ("ssim", "spearman", "spearman-abs")),
    draw,
    claims_on("ViT on digits"),
    covers={"Figure 1": "maps", "Figure 2": "*"},
    inputs=Inputs(data=("MNIST",)),
)
PHOTOGRAPHS = experiment(
    "photographs",
    "A vision transformer on ten classes of Tiny-ImageNet",
    partial(compute, photographs_subject, PHOTOGRAPH_SIZES, ("ssim", "spearman", "spearman-abs", "hog-pearson")),
    draw,
    claims_on("ViT on photographs"),
    covers={"Figure 3": "maps", "Figure 4": "*"},
    inputs=Inputs(data=(TINY,)),
)

"""Infidelity, max-sensitivity and their like of several methods, of a trained model and of its randomized versions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from probatum.attributions import InputXGradient, Method, SmoothGrad, attribute
from probatum.attributions.base import MethodsLike, named_methods
from probatum.attributions.baselines import Baseline, as_baseline
from probatum.engine import (
    Compute,
    Extra,
    Output,
    PreparedModel,
    Targets,
    TargetsLike,
    all_logits,
    prepare_like,
    prepare_with,
)
from probatum.engine.probabilities import probabilities
from probatum.errors import InvalidInput
from probatum.experiments.result import position
from probatum.experiments.tables import Table
from probatum.metrics.quality import Case, Explain, Forward, Product, Quality, get_quality
from probatum.progress import Progress, shows_progress
from probatum.randomization import Randomizer
from probatum.runs.cells import Cell, cell_store

if TYPE_CHECKING:
    from matplotlib.figure import Figure

IMAGES_AT_ONCE = 16
TRAINED = "trained"


@dataclass(frozen=True, eq=False, repr=False)
class QualityResult:
    """The scores of quality metrics.

    Args:
        methods: names.
        metrics: names.
        stages: "trained", then the stages of the randomizer in the order visited.
        image_names: one for each image.
        targets: (image,) the explained classes.
        local_or_global: by method, whether its maps are local or global.
        scores: (method, metric, stage, image, trial); the trained model's are the same in every trial. NaN where a
            metric says that it is undefined, as max-sensitivity is of a zero map.
    """

    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    stages: tuple[str, ...]
    image_names: tuple[str, ...]
    targets: tuple[int, ...]
    local_or_global: Mapping[str, Product]
    scores: Float[np.ndarray, "method metric stage image trial"]

    def __repr__(self) -> str:
        return str(self._table())

    def _repr_html_(self) -> str:
        return self._table().to_html()

    def _table(self) -> Table:
        """The trained model's mean score of each method under each metric, over the images where it exists."""
        title = f"Mean scores of the trained model: {len(self.image_names)} images"
        scores = self.scores[:, :, 0, :, 0]
        exists = np.isfinite(scores)
        counts = exists.sum(axis=-1)
        sums = np.where(exists, scores, 0.0).sum(axis=-1)
        means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
        rows = [(name, *(f"{mean:.3g}" for mean in row)) for name, row in zip(self.methods, means, strict=True)]
        return Table(title, ("method", *self.metrics), rows)

    def to_pandas(self) -> Any:
        """One row for each score, as a `pandas.DataFrame`.

        Raises:
            InvalidInput: pandas is not installed.
        """
        axes = (self.methods, self.metrics, self.stages, self.image_names, range(self.scores.shape[-1]))
        rows = [
            (*(axis[at] for axis, at in zip(axes, place, strict=True)), float(self.scores[place]))
            for place in np.ndindex(self.scores.shape)
        ]
        return Table("", ("method", "metric", "stage", "image", "trial", "score"), rows).to_pandas()

    def plot(self, metric: str | None = None) -> "Figure":
        """Draws the trained model's mean scores as bars, or one metric's scores against the stages.

        Args:
            metric: one of this result's, whose scores are drawn stage by stage; None draws the bars of all metrics.

        Returns:
            a matplotlib figure, which a notebook shows and `figure.savefig` writes.
        """
        from probatum.report.results import quality_curves_figure, quality_figure

        if metric is None:
            return quality_figure(self)
        position("metric", metric, self.metrics)
        return quality_curves_figure(self, metric)

    def of(self, method: str, metric: str) -> Float[np.ndarray, "stage image trial"]:
        """The scores of one method under one metric."""
        row, column = position("method", method, self.methods), position("metric", metric, self.metrics)
        scores: np.ndarray = self.scores[row, column]
        return scores

    def undefined(self, method: str, metric: str) -> int:
        """How many of these scores are undefined."""
        return int(np.isnan(self.of(method, metric)).sum())


def product_of(method: Method) -> Product:
    """Tells whether a method's maps hold the factor x − x₀ ("global") or not ("local")."""
    if isinstance(method, SmoothGrad):
        return product_of(method.method)
    multiplied = isinstance(method, InputXGradient) or getattr(method, "multiply_by_inputs", False)
    return "global" if multiplied else "local"


@shows_progress
def quality_scores(
    model: nn.Module,
    images: Tensor,
    targets: TargetsLike | None = None,
    *,
    methods: MethodsLike,
    metrics: Mapping[str, Quality] | Sequence[str] = ("infidelity", "max-sensitivity"),
    randomizer: Randomizer | None = None,
    trials: int = 1,
    local_or_global: Mapping[str, Product] | None = None,
    baseline: Baseline | Tensor | str = "zero",
    feature_dim: int | None = 1,
    reduce: Callable[[Tensor], Tensor] | None = None,
    seed: int = 0,
    image_names: Sequence[str] | None = None,
    precision: str | None = None,
    channels_last: bool = False,
    fold_batch_norm: bool = False,
    output: Output | None = None,
    extra: Extra | None = None,
    memory_budget: int | str | None = None,
    cells: Path | None = None,
    progress: Progress | None = None,
) -> QualityResult:
    """Scores each method's maps of a model, and of its randomized versions where there is a randomizer.

    The maps of all methods at the same points are computed together, as in `attribute`; a metric that disturbs the
    input calls the model once for all methods of a kind. Targets are the trained model's predictions or those
    given, and every version of the model meets the same disturbances.

    Source: Kokhlikyan et al. (2021), Figures 1, 2 and 6, Tables 1 and 2.

    Args:
        model: any classifier; left as it is.
        images: (batch, ...), preprocessed; embeddings (batch, token, dimension) likewise.
        targets: as in `attribute`; None is the trained model's predictions.
        methods: as in `attribute`.
        metrics: names of the table, or metrics of your own by name.
        randomizer: makes the further versions of the model; None scores the model alone.
        trials: independent randomizations.
        local_or_global: whether a method's maps are "local" or "global"; what is not named here follows `product_of`.
        baseline: x₀ of what is removed, best that of the methods.
        feature_dim: dimension of the batch whose entries are one feature: 1 for the channels of images, −1 for
            embeddings, None where every number is a feature.
        reduce: applied to the maps before max-sensitivity compares them, as the sum over the embedding is.
        seed: of the methods' noise and of the disturbances.
        image_names: one for each image; numbers where not given.
        precision: as in `sanity_check`, like the next two.
        channels_last: the layout of images and activations.
        fold_batch_norm: whether batch norms become part of convolutions.
        output: where the logits are in what the model returns, as in `engine.prepare`.
        extra: further inputs of the model, one row an image, as in `attribute`; metrics do not disturb them.
        memory_budget: as in `attribute`.
        cells: a folder where the scores of each version of the model on each 16 images are stored as they come, so that
            an interrupted call continues, as in `sanity_check`.
        progress: called with (metrics computed, in all, the version of the model), a metric being counted for every
            version and every 16 images.

    Returns:
        the scores (method, metric, stage, image, trial), in each metric's units; `Quality.lower_is_better` tells which
        way is up.

    Raises:
        InvalidInput, ModelError: what the parts raise.
    """
    methods = named_methods(methods)
    names = tuple(image_names or (f"image-{index:03d}" for index in range(len(images))))
    if len(names) != len(images) or len(set(names)) < len(names):
        raise InvalidInput(f"{len(set(names))} image names for {len(images)} images; give each its own")
    if trials < 1:
        raise InvalidInput(f"trials is {trials}; there is at least one")
    if unknown := set(local_or_global or {}) - set(methods):
        raise InvalidInput(f"local_or_global names {', '.join(sorted(unknown))}, which is none of the methods")
    table = metrics if isinstance(metrics, Mapping) else {name: get_quality(name) for name in metrics}
    kinds = {name: product_of(method) for name, method in methods.items()} | dict(local_or_global or {})
    compute = Compute(precision, channels_last, fold_batch_norm, memory_budget)
    trained = prepare_with(model, compute, example=images, output=output, extra=extra)
    images = trained.accept(images)
    trained.require_extra(images)
    if targets is None:
        targets = all_logits(trained, images).argmax(1)
    targets = Targets.of(images, targets).classes
    stages = (TRAINED, *(stage.name for stage in (randomizer.stages if randomizer else ())))
    scores = np.full((len(methods), len(table), len(stages), len(images), trials), np.nan)
    baselines = as_baseline(baseline)(images)
    parts = [slice(first, min(first + IMAGES_AT_ONCE, len(images))) for first in range(0, len(images), IMAGES_AT_ONCE)]
    total, done = len(parts) * (1 + trials * (len(stages) - 1)) * len(table), 0
    settings = ("quality", methods, table, randomizer, kinds, baselines, feature_dim, reduce, seed)
    store = None if cells is None else cell_store(cells, trained, images, targets, *settings)
    for part in parts:
        for version, (stage, trial, prepared) in enumerate(_versions(trained, randomizer, trials)):
            cell = Cell(part.start, part.stop, version)
            stored = store.load(cell) if store is not None else None
            if stored is not None:
                scores[:, :, stage, part, trial] = stored["scores"][..., None]
                done += len(table)
                continue
            explain, forward, probability = _callables(prepared.of_images(part), targets[part], methods, seed)
            everything = torch.arange(part.stop - part.start, device=images.device)
            maps = explain(images[part], everything)
            case = Case(
                forward,
                explain if reduce is None else _reduced(explain, reduce),
                images[part],
                maps,
                kinds,
                None if reduce is None else {name: reduce(values) for name, values in maps.items()},
                baselines[part],
                feature_dim,
                probability,
                seed,
            )
            for column, metric in enumerate(table.values()):
                if progress is not None:
                    progress(done, total, stages[stage])
                done += 1
                found = metric.measure.scores(case)
                for row, name in enumerate(methods):
                    scores[row, column, stage, part, trial] = found[name].cpu().double().numpy()[:, None]
            if store is not None:
                store.save(cell, {"scores": scores[:, :, stage, part, trial][..., 0]})
    return QualityResult(
        tuple(methods), tuple(table), stages, names, tuple(int(target) for target in targets), kinds, scores
    )


def _versions(
    trained: PreparedModel, randomizer: Randomizer | None, trials: int
) -> Iterator[tuple[int, slice, PreparedModel]]:
    """The models: the number of their stage, the trials that they count for, and their prepared model."""
    yield 0, slice(None), trained
    for trial in range(trials if randomizer else 0):
        assert randomizer is not None
        for step, _, randomized in randomizer.steps(trial, start=1):
            yield step, slice(trial, trial + 1), prepare_like(randomized, trained)


def _callables(
    prepared: PreparedModel, targets: Tensor, methods: Mapping[str, Method], seed: int
) -> tuple[Explain, Forward, Forward]:
    """The maps of all methods, the target's logit and its probability, at points made from some images."""

    def explain(points: Tensor, image: Tensor) -> Mapping[str, Tensor]:
        here = prepared.of_images(image)
        return attribute(here, points, targets[image], methods, seed=seed)

    def forward(points: Tensor, image: Tensor) -> Tensor:
        logits = all_logits(prepared.of_images(image), points)
        return logits.gather(1, targets[image, None])[:, 0]

    def probability(points: Tensor, image: Tensor) -> Tensor:
        logits = all_logits(prepared.of_images(image), points)
        return probabilities(logits).gather(1, targets[image, None])[:, 0]

    return explain, forward, probability


def _reduced(explain: Explain, reduce: Callable[[Tensor], Tensor]) -> Explain:
    return lambda points, image: {name: reduce(maps) for name, maps in explain(points, image).items()}

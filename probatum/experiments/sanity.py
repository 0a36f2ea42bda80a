"""The sanity check: maps of a trained model compared with the maps of ever more randomized versions of it.

This is the loop where attributions, randomization, map reductions and metrics meet.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from probatum.attributions import Method, attribute_variants
from probatum.engine import Variant, View, all_logits, prepare
from probatum.errors import InvalidInput
from probatum.maps import get_reduction
from probatum.metrics import Metric, get_metric, is_constant
from probatum.randomization import Randomizer, Reset, automatic_stages

IMAGES_AT_ONCE = 16  # at most, whose maps are held in memory together: of all methods and all stages
MAPS_AT_ONCE = 512 << 20  # bytes of such maps, which bound the images further

Progress = Callable[[int, int, str], None]
"""Called with (points done, points in all, what is being done)."""


@dataclass(frozen=True, eq=False)
class SanityResult:
    """The scores of a sanity check.

    Args:
        methods: names.
        metrics: names.
        stages: names, in the order visited; the trained model itself is not among them, for its score would be perfect
            by definition.
        image_names: one for each image.
        targets: (image,) the explained classes.
        scores: (method, metric, stage, image, trial).
        constant: (method, stage, image, trial): whether the map of the trained model (1), of the randomized one (2) or
            of both (3) is constant, so that correlations follow the metrics' rule; 0 where neither is.
        ceiling: (method, metric, image) the noise ceiling: the score of the trained model's map against itself under
            another seed, which no comparison can be expected to exceed; NaN for methods without noise.
        maps: {image name: {method: (1 + stages, channel, height, width)}} of the images that were kept, from trial 0;
            the first map is that of the trained model.
    """

    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    stages: tuple[str, ...]
    image_names: tuple[str, ...]
    targets: tuple[int, ...]
    scores: Float[np.ndarray, "method metric stage image trial"]
    constant: np.ndarray
    ceiling: Float[np.ndarray, "method metric image"]
    maps: dict[str, dict[str, np.ndarray]] = field(default_factory=dict, repr=False)

    def of(self, method: str, metric: str) -> Float[np.ndarray, "stage image trial"]:
        """The scores of one method under one metric."""
        scores: np.ndarray = self.scores[self.methods.index(method), self.metrics.index(metric)]
        return scores


def sanity_check(
    model: nn.Module,
    images: Tensor,
    targets: Tensor | None = None,
    *,
    methods: Mapping[str, Method],
    metrics: Mapping[str, Metric] | Sequence[str] = ("ssim", "spearman", "spearman-abs"),
    randomizer: Randomizer | None = None,
    trials: int = 1,
    seed: int = 0,
    image_names: Sequence[str] | None = None,
    keep_maps: int = 0,
    precision: str | None = None,
    channels_last: bool = False,
    fold_batch_norm: bool = False,
    memory_budget: int | str | None = None,
    progress: Progress | None = None,
) -> SanityResult:
    """Compares each method's maps before and after randomizing a model, stage by stage.

    The target stays what it is for the trained model, unless the randomizer names another. Each metric first reduces
    the maps as its protocol says. The stages of a trial are explained together, so that they share what they compute
    alike; the images are worked on in blocks of `block_size`.

    Source: Adebayo et al. (2018), arXiv:1810.03292, section 3.

    Args:
        model: any classifier; left as it is.
        images: (batch, channel, height, width) or (batch, ...), preprocessed.
        targets: class indices (batch,), or None for the trained model's predictions.
        methods: by name.
        metrics: names of the table, or metrics of your own by name.
        randomizer: which weights are drawn, how and in what order; None cascades through all layers with each layer's
            own initialiser.
        trials: independent randomizations.
        seed: of the methods' noise; the noise ceiling takes the next one.
        image_names: one for each image; numbers where not given.
        keep_maps: of how many of the first images the maps are kept.
        precision: as in `attribute`, like the next two.
        channels_last: the layout of images and activations.
        fold_batch_norm: whether batch norms become part of convolutions; folded anew for each randomized model.
        memory_budget: as in `attribute`.
        progress: see `Progress`.

    Raises:
        InvalidInput, ModelError: what the parts raise; NaN maps among it.
    """
    names = tuple(image_names or (f"image-{index:03d}" for index in range(len(images))))
    if len(names) != len(images):
        raise InvalidInput(f"{len(names)} image names for {len(images)} images; give one each")
    table = metrics if isinstance(metrics, Mapping) else {name: get_metric(name) for name in metrics}
    randomizer = randomizer or Randomizer(model, automatic_stages(model, images), Reset(), seed=seed)
    trained = prepare(model, precision, channels_last=channels_last, fold_batch_norm=fold_batch_norm, example=images)
    if targets is None:
        targets = all_logits(trained, images, memory_budget=memory_budget).argmax(1)
    stages = tuple(stage.name for stage in randomizer.stages)
    shape = (len(methods), len(table), len(stages), len(images), trials)
    scores = np.full(shape, np.nan)
    constant = np.zeros((shape[0], *shape[2:]), dtype=np.int8)
    noisy = {name: method for name, method in methods.items() if method.stochastic}
    ceiling = np.full((len(methods), len(table), len(images)), np.nan)
    kept: dict[str, dict[str, np.ndarray]] = {}
    ticker = _Ticker(progress, passes=1 + bool(noisy) + trials * len(stages), images=len(images))

    size = block_size(images, len(methods), len(stages))
    for first in range(0, len(images), size):
        part = slice(first, min(first + size, len(images)))

        def explain(
            views: Sequence[View],
            what: str,
            aimed: Tensor = targets[part],
            part: slice = part,
            methods: Mapping[str, Method] = methods,
            seed: int = seed,
        ) -> list[dict[str, Tensor]]:
            return attribute_variants(
                [Variant(view, aimed) for view in views],
                images[part],
                methods,
                seed=seed,
                memory_budget=memory_budget,
                progress=ticker.started(what, len(views) * (part.stop - part.start)),
            )

        reference = _Reference(explain([trained], "trained model")[0], table)
        if noisy:
            (again,) = explain([trained], "trained model under another seed", methods=noisy, seed=seed + 1)
            for row, name in enumerate(methods):
                if name in noisy:
                    ceiling[row, :, part] = reference.compare(name, again[name])
        keep = range(part.start, min(part.stop, keep_maps))
        for image in keep:
            kept[names[image]] = {
                name: np.empty((1 + len(stages), *maps.shape[1:]), dtype=np.float32)
                for name, maps in reference.maps.items()
            }
        _store(kept, names, keep, part.start, 0, reference.maps)
        for trial in range(trials):
            aimed = randomizer.targets(images[part], targets[part], trial)
            views = [
                prepare(
                    step.model, precision, channels_last=channels_last, fold_batch_norm=fold_batch_norm, like=trained
                )
                for step in randomizer.steps(trial, start=1)
            ]
            what = "randomized models" + (f", trial {trial + 1} of {trials}" if trials > 1 else "")
            for stage, maps in enumerate(explain(views, what, aimed)):
                for row, name in enumerate(methods):
                    scores[row, :, stage, part, trial] = reference.compare(name, maps[name])
                    constant[row, stage, part, trial] = reference.constant(name, maps[name])
                if trial == 0:
                    _store(kept, names, keep, part.start, stage + 1, maps)
    return SanityResult(
        tuple(methods),
        tuple(table),
        stages,
        names,
        tuple(int(target) for target in targets),
        scores,
        constant,
        ceiling,
        kept,
    )


def block_size(images: Tensor, methods: int, stages: int) -> int:
    """How many images are worked on at once: a matter of their size and of how many maps each has, nothing else.

    The images are cut in order, so that a block is the same block in every run of the same check.
    """
    return max(1, min(IMAGES_AT_ONCE, MAPS_AT_ONCE // (images[0].nbytes * methods * stages)))


class _Reference:
    """The maps of the trained model, prepared once for all comparisons."""

    def __init__(self, maps: dict[str, Tensor], metrics: Mapping[str, Metric]) -> None:
        self.maps = maps
        self._metrics = metrics
        self._constant = {name: is_constant(values) for name, values in maps.items()}
        self._prepared = {
            (name, key): metric.prepare(_reduced(metric, values))
            for name, values in maps.items()
            for key, metric in metrics.items()
        }

    def compare(self, name: str, maps: Tensor) -> Float[np.ndarray, "metric image"]:
        """Scores the maps of one method under every metric."""
        scores = [
            metric.compare(self._prepared[name, key], metric.prepare(_reduced(metric, maps)))
            for key, metric in self._metrics.items()
        ]
        return torch.stack(scores).cpu().double().numpy()

    def constant(self, name: str, maps: Tensor) -> np.ndarray:
        """Tells which of the two maps is constant: 1 the reference, 2 the other, 3 both."""
        codes: np.ndarray = (self._constant[name].int() + 2 * is_constant(maps).int()).cpu().numpy()
        return codes


class _Ticker:
    """Adds up passes over the images; each counts as much as the first, which shows how many points one has."""

    def __init__(self, progress: Progress | None, passes: int, images: int) -> None:
        self._progress, self._rounds = progress, passes * images
        self._per_image = 0.0
        self._before = 0.0

    def started(self, what: str, images: int) -> Callable[[int, int], None] | None:
        """Returns the callback of one pass over some of the images."""
        if self._progress is None:
            return None
        report = self._progress

        def tick(done: int, total: int) -> None:
            self._per_image = self._per_image or total / images
            whole = self._per_image * images
            report(round(self._before + whole * done / total), round(self._per_image * self._rounds), what)
            if done == total:
                self._before += whole

        return tick


def _reduced(metric: Metric, maps: Tensor) -> Tensor:
    return get_reduction(metric.reduction)(maps)


def _store(
    kept: dict[str, dict[str, np.ndarray]],
    names: tuple[str, ...],
    keep: range,
    first: int,
    step: int,
    maps: dict[str, Tensor],
) -> None:
    for image in keep:
        for name, values in maps.items():
            kept[names[image]][name][step] = values[image - first].float().cpu().numpy()

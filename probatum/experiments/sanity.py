"""The sanity check: maps of a trained model compared with the maps of ever more randomized versions of it.

This is where attributions, randomization, map reductions and metrics meet.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor, nn

from probatum.attributions import METHODS, Explainer, Method, attribute_variants, resolved
from probatum.attributions.base import MethodsLike, named_methods
from probatum.engine import (
    Compute,
    Extra,
    Maps,
    Output,
    PreparedModel,
    Targets,
    TargetsLike,
    Tick,
    Variant,
    all_logits,
    prepare_like,
    prepare_with,
)
from probatum.engine.arguments import require_count
from probatum.errors import InvalidInput, ModelError
from probatum.experiments.build import smoothed
from probatum.experiments.chance import OTHERS, groups, partners
from probatum.experiments.draws import Draws, live_draws
from probatum.experiments.gathering import PassedCells, ResultBuilder, Ticker, concatenated
from probatum.experiments.options import set_fields
from probatum.experiments.references import Reference, not_finite
from probatum.experiments.result import AGAIN, LEVEL, TRAINED, Failure, SanityResult
from probatum.experiments.rounds import Round, compute_until_decided, level_of, rounds_of
from probatum.maps import get_reduction
from probatum.metrics import Metric, get_metric
from probatum.progress import Progress, shows_progress
from probatum.randomization import Randomizer, automatic_stages, usual_stages
from probatum.randomization import preset as get_preset
from probatum.runs.cells import Arrays, Cell, CellStore, cell_store
from probatum.runs.ranks import ALONE, Ranks

IMAGES_AT_ONCE = 16  # at most, whose maps are held in memory together: of all methods and all stages
MAPS_AT_ONCE = 512 << 20  # bytes of such maps, which bound the images further
DEFAULT_PRESET = "adebayo"
DEFAULT_METRICS = ("ssim", "spearman", "spearman-abs")

OnNaN = Literal["raise", "record"]


@shows_progress
def sanity_check(
    model: nn.Module,
    images: Tensor,
    targets: TargetsLike | None = None,
    *,
    methods: MethodsLike,
    metrics: Mapping[str, Metric] | Sequence[str] | None = None,
    preset: str | None = None,
    randomizer: Randomizer | None = None,
    trials: int | None = None,
    seed: int = 0,
    image_names: Sequence[str] | None = None,
    keep_maps: int = 0,
    precision: str | None = None,
    channels_last: bool = False,
    fold_batch_norm: bool = False,
    output: Output | None = None,
    extra: Extra | None = None,
    memory_budget: int | str | None = None,
    on_nan: OnNaN = "raise",
    until_decided: bool = False,
    cells: Path | None = None,
    progress: Progress | None = None,
) -> SanityResult:
    """Compares each method's maps before and after randomizing a model, stage by stage.

        s = metric(r(M(x; θ)), r(M(x; θ_k)))  for each stage k, r being the metric's map reduction

    Targets are the trained model's predictions or those given, unless the randomizer names others. Each metric first
    reduces the maps as its protocol says. The stages of a trial are explained together, so that layers that they share
    are computed once; the images are processed in blocks of `block_size`. Randomized networks whose logits are the same
    for every image are drawn again (`experiments.draws`). The chance level of each score is measured, too: each
    randomized map is also compared with the trained model's maps of a few other images (`experiments.chance`).

    Source: Adebayo et al. (2018), arXiv:1810.03292, section 3.

    Args:
        model: any classifier; left as it is.
        images: (batch, channel, height, width) or (batch, ...), preprocessed.
        targets: as in `attribute`; None is the trained model's predictions.
        methods: as in `attribute`.
        metrics: names of the table, or metrics of your own by name; None are the preset's, or else SSIM and both rank
            correlations.
        preset: a paper's protocol by its name in `PRESETS`: randomizer, metrics, trials and what it does to methods.
        randomizer: instead of a preset, which weights are drawn, how and in what order; without either, all layers in
            cascade, or blocks in networks of more than 20 layers, with each layer's own initializer.
        trials: independent randomizations; None is the preset's number, or 1.
        seed: of the methods' noise; the noise ceiling takes the next one.
        image_names: one for each image; numbers where not given.
        keep_maps: of how many of the first images the maps are kept.
        precision: as in `attribute`, like the next two.
        channels_last: the layout of images and activations.
        fold_batch_norm: whether batch norms become part of convolutions; folded anew for each randomized model.
        output: where the logits are in what the model returns, as in `engine.prepare`.
        extra: further inputs of the model, one row an image, as in `attribute`.
        memory_budget: as in `attribute`.
        on_nan: "raise" an error for a map with NaN or infinite values, or "record" it among the result's failures, and
            with them the images for which an `Explainer` raised an error.
        until_decided: whether the check begins with 10 images and 2 trials, doubles both, and ends when no verdict is
            left that more of them may decide; the images and trials given are then the most. The intervals are wider,
            so that looking again and again makes errors no likelier: see `experiments.rounds`, also for its limits.
        cells: a folder where parts are stored as they are computed. A check that was interrupted continues when it is
            called again with the same folder, and its scores are those of one that was not, to the bit on the same
            machine with as many threads (on CUDA, with a memory budget that is given). The parts of other checks may
            lie there too; none is removed. Code, attributes and hooks of models and methods belong
            to what is compared; a check whose parts hold anything else, such as a random generator, begins anew.
        progress: see `Progress`.

    Returns:
        the scores (method, metric, stage, image, trial): at most 1 for similarities and from 0 upwards for distances;
        `judge` says what they mean.

    Raises:
        InvalidInput: no method, metric or trial, names that repeat, a metric that cannot score maps of this shape, or
            what the parts raise.
        ModelError: what the parts raise; NaN maps among it, unless `on_nan` is "record".
    """
    compute = Compute(precision, channels_last, fold_batch_norm, memory_budget)
    if preset == "localization":
        raise InvalidInput("localization randomizes nothing and compares no maps; call localization_check")
    protocol = get_preset(preset or DEFAULT_PRESET)
    if preset is not None and randomizer is not None:
        raise InvalidInput("a preset brings its own randomizer; give one of the two")
    named = named_methods(methods)
    if protocol.smoothing is not None:
        named = {name: smoothed(method, protocol.smoothing) for name, method in named.items()}
    trials = protocol.trials if trials is None else trials
    require_count("trials", trials)
    metrics = protocol.metrics or DEFAULT_METRICS if metrics is None else metrics
    if not metrics:
        raise InvalidInput("a check needs at least one metric")
    names = tuple(image_names or (f"image-{index:03d}" for index in range(len(images))))
    if len(names) != len(images) or len(set(names)) < len(names):
        raise InvalidInput(f"{len(set(names))} image names for {len(images)} images; give each its own")
    prepared = prepare_with(model, compute, example=images, output=output, extra=extra)
    prepared.require_extra(images)
    if targets is None:
        targets = all_logits(prepared, images).argmax(1)
    targets = Targets.of(images, targets).classes
    if randomizer is not None:
        randomizer.require_unused(model, images, output, prepared.extra)
    else:
        stages = usual_stages(automatic_stages(model, images, output, prepared.extra))
        randomizer = protocol.randomizer(model, stages, seed)
    work = SanityWork(
        trained=prepared,
        images=images,
        targets=targets,
        methods=resolved(named, prepared, images),
        metrics=metrics if isinstance(metrics, Mapping) else {name: get_metric(name) for name in metrics},
        randomizer=randomizer,
        trials=trials,
        seed=seed,
        image_names=names,
        keep_maps=keep_maps,
        on_nan=on_nan,
        rounds=rounds_of(len(images), trials) if until_decided else (),
    )
    if until_decided:
        with nullcontext(cells) if cells is not None else TemporaryDirectory() as folder:
            store = work.store(Path(folder))
            return compute_until_decided(work, store, progress)[0].gathered(store)
    return work.result(progress, None if cells is None else work.store(cells))


def block_size(images: Tensor, methods: int, stages: int) -> int:
    """How many images are worked on at once: a matter of their size and of how many maps each has, nothing else.

    The images are cut in order, so that a block is the same block in every run of the same check.
    """
    return max(1, min(IMAGES_AT_ONCE, MAPS_AT_ONCE // (images[0].nbytes * methods * stages)))


@dataclass(frozen=True, eq=False)
class SanityWork:
    """A sanity check cut into cells, each of which is computed without regard to the others of its kind.

    Args:
        trained: the prepared model.
        images: as in `sanity_check`, like all that follows.
        targets: class indices (batch,).
        methods: by name.
        metrics: by name.
        randomizer: of the same model.
        trials: independent randomizations.
        seed: of the methods' noise.
        image_names: one for each image.
        keep_maps: of how many of the first images the maps are kept.
        on_nan: as in `sanity_check`.
        rounds: of a check that ends when its verdicts are decided; each has images and groups of its own.
        stopped: the methods that an earlier round decided, and what they were computed on.
        drawn: which draws of the weights the trials use; None finds out.
    """

    trained: PreparedModel
    images: Tensor
    targets: Tensor
    methods: Mapping[str, Method]
    metrics: Mapping[str, Metric]
    randomizer: Randomizer
    trials: int
    seed: int
    image_names: tuple[str, ...]
    keep_maps: int
    on_nan: OnNaN
    rounds: tuple[Round, ...] = ()
    stopped: Mapping[str, Round] = field(default_factory=dict)
    drawn: Draws | None = None

    def __post_init__(self) -> None:
        _require_scorable(self.metrics, self.images)

    @property
    def level(self) -> float:
        """The level of the verdicts' intervals, which is higher where the check looks at them after each round."""
        return level_of(len(self.rounds)) if self.rounds else LEVEL

    def within(self, part: Round) -> "SanityWork":
        """The work of the first images and trials; its cells are cells of the whole."""
        draws = self.draws
        return replace(
            self,
            trained=self.trained.of_images(slice(part.images)),
            images=self.images[: part.images],
            targets=self.targets[: part.images],
            image_names=self.image_names[: part.images],
            trials=part.trials,
            drawn=Draws(draws.used[: part.trials], draws.dead),
        )

    @cached_property
    def stages(self) -> tuple[str, ...]:
        """Names, in the order visited."""
        return tuple(stage.name for stage in self.randomizer.stages)

    @cached_property
    def draws(self) -> Draws:
        """Which draws of the weights the trials use."""
        return self.drawn or live_draws(self.randomizer, self.trained, self.images, self.trials)

    @cached_property
    def noisy(self) -> dict[str, Method]:
        """The methods that have a noise ceiling: those with noise, and those of others, which may have it unsaid."""
        known = {Explainer, *(type(entry.make()) for entry in METHODS.values())}
        return {name: each for name, each in self.methods.items() if each.stochastic or type(each) not in known}

    @cached_property
    def cells(self) -> list[Cell]:
        """All cells; block by block, the trained model's first."""
        size = block_size(self.images, len(self.methods), len(self.stages))
        return [
            Cell(first, min(first + size, part.stop), trial)
            for part in self._parts
            for first in range(part.start, part.stop, size)
            for trial in (None, *range(self.trials))
        ]

    @cached_property
    def groups(self) -> list[list[Cell]]:
        """The cells of the trained model, grouped by the images that are compared for the chance level."""
        size = block_size(self.images, len(self.methods), len(self.stages))
        blocks = [cell for cell in self.cells if cell.trial is None]
        return [
            [cell for cell in blocks if cell.first - part.start in group]
            for part in self._parts
            for group in groups(len(part), size, self.images[0].nbytes * len(self.methods))
        ]

    def rows_of(self, cell: Cell) -> list[int]:
        """The methods that are computed in a cell, as rows of the result: all but those that were decided before."""
        return [
            row
            for row, name in enumerate(self.methods)
            if name not in self.stopped or self.stopped[name].holds(cell.stop, cell.trial)
        ]

    def stages_of(self, cell: Cell) -> slice:
        """The stages that are computed in a cell: after the first round the last one alone, which is judged."""
        later = self.rounds and not self.rounds[0].holds(cell.stop, cell.trial)
        return slice(len(self.stages) - 1 if later else 0, None)

    @cached_property
    def asked(self) -> Bool[np.ndarray, "method stage image trial"]:
        """Which comparisons are made."""
        asked = np.zeros((len(self.methods), len(self.stages), len(self.images), self.trials), dtype=bool)
        for cell in self.cells:
            if cell.trial is not None:
                asked[self.rows_of(cell), self.stages_of(cell), cell.part, cell.trial] = True
        return asked

    @property
    def _parts(self) -> list[range]:
        """The images of each round; all in one where there are no rounds."""
        ends = [each.images for each in self.rounds if each.images < len(self.images)] + [len(self.images)]
        return [range(first, stop) for first, stop in zip([0, *ends], ends, strict=False)]

    @cached_property
    def partners(self) -> list[list[int]]:
        """The other images with whose trained maps each image's randomized maps are compared."""
        whole = [range(cells[0].first, cells[-1].stop) for cells in self.groups]
        return [partners(group, image) for group in whole for image in group]

    def store(self, folder: Path) -> CellStore:
        """The place of this work's cells in a folder that is made where there is none."""
        settings = (self.methods, self.metrics, self.randomizer, self.trials, self.seed, self.keep_maps, OTHERS)
        rounds = [self.rounds] if self.rounds else []  # whose images are compared with one another for chance
        return cell_store(folder, self.trained, self.images, self.targets, "sanity", *settings, self.on_nan, *rounds)

    def result(self, progress: Progress | None = None, store: CellStore | None = None) -> SanityResult:
        """Computes all cells, save those that are stored, and puts them together."""
        if store is not None:
            self.compute(store, progress)
            return self.gathered(store)
        builder = ResultBuilder(self)
        self.compute(PassedCells(builder), progress)
        return builder.result()

    def compute(
        self,
        store: CellStore | PassedCells,
        progress: Progress | None = None,
        ranks: Ranks = ALONE,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """Computes and stores the cells that are missing; several processes take one after another.

        A process alone goes from group to group, and so holds the trained model's maps of one group. Several compute
        all maps of the trained model first, for a group may be shared among them.
        """
        numbers = ranks.decide(lambda: [number for number, cell in enumerate(self.cells) if store.load(cell) is None])
        missing = {self.cells[number] for number in numbers}
        if say is not None and len(missing) < len(self.cells):
            say(f"continuing: {len(self.cells) - len(missing)} of {len(self.cells)} cells are there")
        rounds = self.groups if ranks.size == 1 else [[block for blocks in self.groups for block in blocks]]
        trained, randomized = (
            [[cell for cell in part if cell in missing] for part in parts]
            for parts in (rounds, [self._randomized(blocks) for blocks in rounds])
        )
        todo = [cell for pair in zip(trained, randomized, strict=True) for cells in pair for cell in cells]
        *before, passes = accumulate((self.passes(cell) * (cell.stop - cell.first) for cell in todo), initial=0)
        ticker, start = Ticker(progress, passes), dict(zip(todo, before, strict=True))
        for first, second in zip(trained, randomized, strict=True):
            for cell in ranks.pieces(first):
                ticker.move_to(start[cell])
                store.save(cell, self.explain_trained(cell, ticker))
            ranks.barrier()
            group, found = list[Cell](), list[Arrays]()
            for cell in ranks.pieces(second):
                ticker.move_to(start[cell])
                if self.group_of(cell) != group:
                    group = self.group_of(cell)
                    found = [store.require(block) for block in group]
                store.save(cell, self.compare_randomized(cell, found, ticker))
        ranks.barrier()

    def _randomized(self, blocks: Sequence[Cell]) -> list[Cell]:
        """The cells of all trials on these blocks."""
        return [Cell(block.first, block.stop, trial) for block in blocks for trial in range(self.trials)]

    def gathered(self, store: CellStore) -> SanityResult:
        """Puts the stored cells together."""
        builder = ResultBuilder(self)
        for cell in self.cells:
            builder.add(cell, store.require(cell))
        return builder.result()

    def passes(self, cell: Cell) -> int:
        """How often all methods explain an image of a cell."""
        stages = len(self.stages[self.stages_of(cell)])
        return stages if cell.trial is not None else 1 + bool(self.noisy)

    def kept(self, cell: Cell) -> range:
        """The images of a cell whose maps are kept; those of later rounds have no maps of all stages."""
        whole = self.rounds[0].images if self.rounds else self.keep_maps
        return range(cell.first, min(cell.stop, self.keep_maps, whole))

    def explain_trained(self, cell: Cell, ticker: Ticker) -> Arrays:
        """The trained model's maps by method, "maps/0" and so on, and the noise ceiling (method, metric, image)."""
        targets, count = self.targets[cell.part], cell.stop - cell.first
        here, rows, names = self.trained.of_images(cell.part), self.rows_of(cell), tuple(self.methods)
        methods = {names[row]: self.methods[names[row]] for row in rows}
        (maps,) = self._explain([here], cell, targets, methods, self.seed, ticker.started(TRAINED, count))
        failed, again = np.zeros((2, len(names), count), dtype=bool)
        failed[rows] = self._failed(maps, cell, TRAINED)
        found = {f"maps/{row}": values.cpu().numpy() for row, values in zip(rows, maps.values(), strict=True)}
        passes = [maps]
        reference = Reference(maps, self.metrics, range(count), [])
        ceiling = np.full((len(names), len(self.metrics), count), np.nan)
        noisy = {name: method for name, method in self.noisy.items() if name in methods}
        if noisy:
            tick = ticker.started(AGAIN, count)
            (second,) = self._explain([here], cell, targets, noisy, self.seed + 1, tick)
            passes.append(second)
            rows = [names.index(name) for name in noisy]
            again[rows] = self._failed(second, cell, AGAIN)
            for row, (name, values) in zip(rows, second.items(), strict=True):
                scores = reference.compare(name, [values])[:, 0, 0]
                ceiling[row] = np.where(failed[row] | again[row], np.nan, scores)
        return found | self._spent(passes) | {"ceiling": ceiling, "failed": np.stack([failed, again])}

    def group_of(self, cell: Cell) -> list[Cell]:
        """The cells of the trained model whose maps a cell is compared with."""
        return next(blocks for blocks in self.groups if cell.block in blocks)

    def reference(self, cell: Cell, trained: Sequence[Arrays]) -> Reference:
        """The trained model's maps of the images of a cell and of their partners.

        Args:
            cell: whose images.
            trained: what `explain_trained` found for the cells of its group.
        """
        first = self.group_of(cell)[0].first
        images = range(cell.first, cell.stop)
        needed = sorted({*images, *(other for image in images for other in self.partners[image])})
        place = {image: position for position, image in enumerate(needed)}
        rows = [image - first for image in needed]
        names = tuple(self.methods)
        maps = {
            names[row]: torch.from_numpy(concatenated([found[f"maps/{row}"] for found in trained])[rows])
            for row in self.rows_of(cell)
        }
        return Reference(
            {name: values.to(self.images.device) for name, values in maps.items()},
            self.metrics,
            [place[image] for image in images],
            [
                [place[other] for other in others]
                for others in zip(*(self.partners[image] for image in images), strict=True)
            ],
        )

    def compare_randomized(self, cell: Cell, trained: Sequence[Arrays], ticker: Ticker) -> Arrays:
        """Scores (method, metric, stage, image), constant maps and failures (method, stage, image), and kept maps.

        The scores against the trained maps of other images, for the chance level, have a further axis of these.

        Args:
            cell: with a trial.
            trained: what `explain_trained` found for the cells of its group.
            ticker: of the progress.
        """
        assert cell.trial is not None
        reference = self.reference(cell, trained)
        draw = self.draws.used[cell.trial]
        images, here = self.images[cell.part], self.trained.of_images(cell.part)
        aimed = self.randomizer.targets(images, self.targets[cell.part], draw, here.output, here.extra)
        views, stages = [], self.stages_of(cell)
        for step in self.randomizer.steps(draw, start=1 + stages.start):
            self.randomizer.require_unused(step.model, images, here.output, here.extra)
            views.append(prepare_like(step.model, here))
        count, rows, names = cell.stop - cell.first, self.rows_of(cell), tuple(self.methods)
        methods = {names[row]: self.methods[names[row]] for row in rows}
        what = "randomized models" + (f", trial {cell.trial + 1} of {self.trials}" if self.trials > 1 else "")
        tick = ticker.started(what, len(views) * count)
        every = self._explain(views, cell, aimed, methods, self.seed, tick)
        shape = (len(names), len(self.stages), count)  # with the methods and stages that this cell has not
        failed, constant = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=np.int8)
        pairs = np.full((*shape[:1], len(self.metrics), *shape[1:], 1 + reference.others), np.nan)
        for number, maps in enumerate(every, stages.start):
            failed[rows, number] = self._failed(maps, cell, self.stages[number], cell.trial)
        keep, kept = slice(len(self.kept(cell)) if cell.trial == 0 else 0), {}
        for row, name in zip(rows, methods, strict=True):
            found = [maps[name] for maps in every]
            pairs[row, :, stages] = np.moveaxis(reference.compare(name, found), 2, -1)  # (metric, stage, image, other)
            constant[row, stages] = reference.constant(name, found)
            # (kept image, stage, ...)
            kept[f"maps/{row}"] = np.stack([values[keep].float().cpu().numpy() for values in found], axis=1)
        return (kept | self._spent(every, stages.start)) | {
            "scores": pairs[..., 0],
            "chance": pairs[..., 1:],
            "constant": constant,
            "failed": failed,
        }

    def _explain(
        self,
        views: Sequence[PreparedModel],
        cell: Cell,
        targets: Tensor,
        methods: Mapping[str, Method],
        seed: int,
        tick: Tick | None,
    ) -> list[Maps]:
        if self.on_nan == "record":  # an explainer's error is one, too
            methods = {name: set_fields(each, {"on_error": "skip"})[0] for name, each in methods.items()}
        found = attribute_variants(
            [Variant(prepared, targets) for prepared in views],
            self.images[cell.part],
            methods,
            seed=seed,
            finite=False,
            progress=tick,
        )
        return [Maps({name: _in_full(values) for name, values in maps.items()}, maps.efforts) for maps in found]

    def _spent(self, passes: Sequence[Maps], first: int = 0) -> Arrays:
        """What the maps of each pass took, (pass, method, image, 3); nothing where all methods have fixed points.

        The passes of the stages before the first one that was computed took nothing, NaN.
        """
        efforts = [maps.efforts for maps in passes]
        if not any(efforts):
            return {}
        images = len(next(iter(passes[0].values())))
        spent = np.full((first + len(passes), len(self.methods), images, 3), np.nan)
        for number, found in enumerate(efforts, first):
            for row, name in enumerate(self.methods):
                if name in found:
                    columns = (found[name].points, found[name].figure, found[name].enough)
                    spent[number, row] = np.stack([column.double().cpu().numpy() for column in columns], axis=1)
        return {"spent": spent}

    def _failed(self, maps: dict[str, Tensor], cell: Cell, stage: str, trial: int | None = None) -> np.ndarray:
        """(method, image): which maps are not finite; these become maps of NaN."""
        failed = torch.stack([not_finite(values) for values in maps.values()])
        for (name, values), bad in zip(maps.items(), failed, strict=True):
            if bool(bad.any()):
                image = self.image_names[cell.first + int(bad.nonzero()[0])]
                if self.on_nan == "raise":
                    what = Failure(image, name, stage, trial, self.trained.name)
                    raise ModelError(
                        f"the map {what} has NaN or infinite values; on_nan='record' counts it as a failure"
                    )
                values[bad] = torch.nan
        found: np.ndarray = failed.cpu().numpy()
        return found


def _require_scorable(metrics: Mapping[str, Metric], images: Tensor) -> None:
    """Prepare a blank map for each metric, so that an unsuitable metric fails before the first gradient."""
    blank = torch.zeros(1, *images.shape[1:])
    for name, metric in metrics.items():
        try:
            metric.prepare(get_reduction(metric.reduction)(blank))
        except InvalidInput as error:
            shape = "x".join(map(str, images.shape[1:]))
            raise InvalidInput(f"metric {name!r} cannot score maps of {shape} inputs: {error}") from error


def _in_full(maps: Tensor) -> Tensor:
    """Maps of half precision in float32, for NumPy knows no bfloat16 and metrics need the digits."""
    return maps.float() if maps.dtype in (torch.float16, torch.bfloat16) else maps

"""A whole check: configuration in, run folder out."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from probatum.attributions import title_of
from probatum.engine import relu_coverage
from probatum.experiments.build import Setup, choose_device, identity_of_subject, set_up
from probatum.experiments.config import CheckConfig
from probatum.experiments.model_options import identity_of_code
from probatum.experiments.result import SanityResult
from probatum.experiments.rounds import Look, compute_until_decided, rounds_of
from probatum.experiments.run_folder import read_run, write_results
from probatum.experiments.sanity import SanityWork
from probatum.maps import get_reduction
from probatum.models import save_checkpoint
from probatum.progress import Progress
from probatum.runs.cells import CellStore
from probatum.runs.files import write_arrays
from probatum.runs.fingerprint import fingerprint, weights_hash
from probatum.runs.identity import software
from probatum.runs.kinds import Computation, Kind, execute
from probatum.runs.plain_values import describe
from probatum.runs.ranks import ALONE, Ranks
from probatum.runs.remote import Folder
from probatum.runs.resume import RunInWork, Say

TOP_CLASSES = 5  # of each image, whose probabilities the record holds


def run_check(
    config: CheckConfig,
    folder: Folder,
    progress: Progress | None = None,
    setup: Setup | None = None,
    *,
    ranks: Ranks = ALONE,
    draw: Callable[[Path], object] | None = None,
    say: Say | None = None,
) -> SanityResult:
    """Runs the check that a configuration describes, or what is left of it, and writes its record into a folder.

    The folder receives `config.json` (the configuration and all facts that a figure needs), `results.csv`, `maps/`, and
    `weights.pt` where a network was trained. A run that was interrupted continues where it stopped, and its results are
    those of one that was not, bit for bit on the same machine.

    Args:
        config: what to do.
        folder: none, an empty one, or that of an unfinished run of the same configuration.
        progress: called with (done, in all, what is being done), for the training first and then for the check.
        setup: what the configuration names, where it is at hand already.
        ranks: the processes that share the work; all of them call this function.
        draw: called with the folder in every process when all results are there, before the run counts as finished.
        say: called with sentences about a run that continues.

    Raises:
        InvalidInput, ModelError: what the parts raise; the folder holds something else, or an unfinished run of another
            configuration.
    """
    device = ranks.device(setup.data.images.device if setup is not None else choose_device(config.device))
    kind = CHECK if setup is None else replace(CHECK, prepare=lambda config, run: CheckRun(config, run, setup))
    return execute(kind, config, folder, device, progress=progress, ranks=ranks, draw=draw, say=say)


class CheckRun(Computation[SanityResult]):
    """A check whose network and images are loaded.

    Args:
        config: of the check.
        run: its folder and processes.
        setup: what the configuration names; None loads it.
    """

    def __init__(self, config: CheckConfig, run: RunInWork, setup: Setup | None = None) -> None:
        self._config, self._run = config, run
        self._setup = setup or set_up_together(config, run)
        self._work = sanity_work(config, self._setup, run.memory_budget)
        self._looks: tuple[Look, ...] = ()
        self.cells = len(self._work.cells)

    @property
    def identity(self) -> dict[str, Any]:
        """Configuration, weights, images and software."""
        return identity_of(self._config, self._setup)

    def compute(self, store: CellStore) -> None:
        """Computes this process's share of the missing cells; in rounds, those of as many as it takes."""
        run = self._run
        if not self._work.rounds:
            self._work.compute(store, run.progress, run.ranks, run.say)
            return
        self._work, self._looks = compute_until_decided(self._work, store, run.progress, run.ranks, run.say)
        self._setup = first_images(self._setup, self._looks[-1])

    def result(self, store: CellStore) -> SanityResult:
        """Puts the cells together."""
        return self._work.gathered(store)

    def write(self, result: SanityResult) -> dict[str, Any]:
        """Writes scores, maps, pictures and the weights of a network that was trained."""
        folder, setup = self._run.folder, self._setup
        write_results(folder, result)
        write_arrays(folder / "images.npz", {"pictures": setup.data.pictures().cpu().numpy()})
        if setup.training is not None:
            save_checkpoint(setup.model, folder / "weights.pt")
        facts = record(self._config, setup, result)
        if self._looks:
            facts["rounds"] = {"level": result.level, "looks": [asdict(look) for look in self._looks]}
        return facts


def first_images(setup: Setup, look: Look) -> Setup:
    """What a check works on that ended after the images and trials of a look."""
    part = slice(look.images)
    return replace(
        setup,
        data=setup.data.subset(range(look.images)),
        targets=setup.targets[part],
        probabilities=setup.probabilities[part],
        extra=tuple(each[part] for each in setup.extra),
        trials=look.trials,
    )


def identity_of(config: CheckConfig, setup: Setup) -> dict[str, Any]:
    """Everything that determines the numbers of a check, with the code of one's own methods and models."""
    return {
        "config": config.to_json(),
        "methods": fingerprint(setup.methods),
        **identity_of_subject(setup),
        **identity_of_code(config, setup.model),
    }


def set_up_together(config: CheckConfig, run: RunInWork) -> Setup:
    """Sets up in every process; the first one alone trains or downloads weights, which it stores for all."""
    in_turns = config.weights in ("train", "default")
    if in_turns and not run.ranks.is_main:
        run.ranks.barrier()
    setup = set_up(config, run.progress, run.device, run.weights, run.say)
    if in_turns and run.ranks.is_main:
        run.ranks.barrier()
    return setup


def sanity_work(config: CheckConfig, setup: Setup, memory_budget: int | None = None) -> SanityWork:
    """The cells of a check; a memory budget in bytes stands in for the device's default."""
    return SanityWork(
        trained=setup.prepared(config.compute.limited(memory_budget)),
        images=setup.data.images,
        targets=setup.targets,
        methods=setup.methods,
        metrics=setup.metrics,
        randomizer=setup.randomizer,
        trials=setup.trials,
        seed=config.seed,
        image_names=setup.data.image_names,
        keep_maps=min(config.keep_maps, len(setup.data)),
        on_nan="record",
        rounds=rounds_of(len(setup.data), setup.trials) if config.until_decided else (),
    )


def record(config: CheckConfig, setup: Setup, result: SanityResult) -> dict[str, Any]:
    """Everything besides the configuration that determines a run or is needed to read it, as JSON values."""
    randomizer, spec = setup.randomizer, setup.spec
    labels = setup.data.labels
    account = randomizer.account()
    coverage = relu_coverage(setup.model, setup.data.images, output=setup.output, extra=setup.extra or None)
    draws = result.draws
    assert draws is not None, "a result that was read back tells nothing of its draws"
    return {
        "software": software(),
        "device": setup.data.images.device.type,
        "model": {
            "name": spec.name,
            "title": spec.title,
            "weights_sha256": weights_hash(setup.model),
            "relu_calls": str(coverage),
            "relu_share": coverage.share,
            "explained": explained(setup),
            "test_accuracy": setup.training.best_accuracy if setup.training else None,
            "training": [asdict(epoch) for epoch in setup.training.history] if setup.training else None,
        },
        "data": {
            "name": setup.data.name,
            "images": [
                {
                    "name": name,
                    "label": int(labels[index]) if labels is not None else None,
                    "label_class": setup.label_name(int(labels[index])) if labels is not None else None,
                    "target": int(setup.targets[index]),
                    "class": setup.class_name(int(setup.targets[index])),
                    "confidence": float(setup.confidences[index]),
                    "top": _top_classes(setup, index),
                }
                for index, name in enumerate(setup.data.image_names)
            ],
            "preprocessing": describe(setup.data.preprocessing),
            "skipped": [{"name": name, "fault": fault} for name, fault in setup.skipped],
        },
        "methods": {name: {"title": title_of(name)} | describe(method) for name, method in setup.methods.items()},
        "refused": [{"method": name, "reason": reason} for name, reason in setup.refused],
        "metrics": {
            name: describe(metric) | {"reduction_title": get_reduction(metric.reduction).title}
            for name, metric in setup.metrics.items()
        },
        "randomization": {
            "preset": setup.protocol,
            "order": randomizer.order,
            "initializer": describe(randomizer.initializer),
            "batch_norm": randomizer.batch_norm,
            "redraw": randomizer.redraw,
            "trials": setup.trials,
            "targets": [
                randomizer.targets(setup.data.images, setup.targets, draw, setup.output, setup.extra).tolist()
                for draw in draws.used
            ],
            "draws": list(draws.used),
            "dead draws": list(draws.dead),
            "seed": randomizer.seed,
            "stages": {stage.name: list(stage.modules) for stage in randomizer.stages},
            "unused": list(randomizer.plan.unused),
            "parameters": sum(entry.count for entry in account if entry.state in ("re-drawn", "same value", "unused")),
            "re-drawn": sum(entry.count for entry in account if entry.state == "re-drawn"),
        },
        "kept_images": list(result.maps),
        "failures": len(result.failures),
        "constant_maps": {method: int((result.constant[row] > 0).sum()) for row, method in enumerate(result.methods)},
    }


def explained(setup: Setup) -> str:
    """Which values of the model are explained, in words."""
    return f"values before the last ReLU, {setup.last_relu}" if setup.last_relu else "logits"


def _top_classes(setup: Setup, image: int) -> list[dict[str, Any]]:
    """The most probable classes of an image, the first first."""
    row = setup.probabilities[image]
    best = row.topk(min(TOP_CLASSES, len(row)))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [{"index": index, "class": setup.class_name(index), "probability": share} for index, share in pairs]


CHECK = Kind(
    "check",
    read=lambda values: CheckConfig.from_json(values["config"]),
    values=lambda config: {"config": config.to_json()},
    prepare=CheckRun,
    load=lambda folder: read_run(folder).result,
)
"""The model-randomization check, as runs know it; rooms above draw and show it."""

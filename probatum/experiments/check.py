"""A whole check: configuration in, run folder out."""

import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy
import torch
import torchvision

import probatum
from probatum.attributions import METHODS
from probatum.engine import relu_coverage
from probatum.experiments.config import CheckConfig
from probatum.experiments.sanity import Progress, SanityResult, sanity_check
from probatum.experiments.setup import Setup, describe, set_up, weights_hash
from probatum.experiments.store import write_json, write_results
from probatum.maps import get_reduction
from probatum.models import save_checkpoint


def run_check(
    config: CheckConfig, folder: Path, progress: Progress | None = None, setup: Setup | None = None
) -> tuple[Setup, SanityResult]:
    """Runs the check that a configuration describes and writes its record into a folder.

    The folder receives `config.json` (the configuration and all facts that a figure needs), `results.csv`, `maps/`, and
    `weights.pt` where a network was trained.

    Args:
        config: what to do.
        folder: an existing, empty folder.
        progress: called with (done, in all, what is being done), for the training first and then for the check.
        setup: what the configuration names, where it is at hand already.
    """
    setup = setup or set_up(config, progress)
    result = check(config, setup, progress)
    write_json(folder / "config.json", record(config, setup, result))
    write_results(folder, result)
    numpy.savez(folder / "images.npz", allow_pickle=False, pictures=setup.data.pictures().numpy())
    if setup.training is not None:
        save_checkpoint(setup.model, folder / "weights.pt")
    return setup, result


def check(config: CheckConfig, setup: Setup, progress: Progress | None = None) -> SanityResult:
    """Runs the check on what was set up, and writes nothing."""
    return sanity_check(
        setup.model,
        setup.images,
        setup.targets,
        methods=setup.methods,
        metrics=setup.metrics,
        randomizer=setup.randomizer,
        trials=setup.trials,
        seed=config.seed,
        image_names=setup.data.image_names,
        keep_maps=min(config.keep_maps, len(setup.data)),
        precision=config.precision,
        channels_last=config.channels_last,
        fold_batch_norm=config.fold_batch_norm,
        memory_budget=config.memory_budget,
        progress=progress,
    )


def record(config: CheckConfig, setup: Setup, result: SanityResult) -> dict[str, Any]:
    """Everything that determines a run or is needed to read it, as JSON values."""
    randomizer, spec = setup.randomizer, setup.spec
    labels = setup.data.labels
    account = randomizer.account()
    return {
        "config": config.to_json(),
        "software": {
            "probatum": probatum.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "numpy": numpy.__version__,
        },
        "device": setup.images.device.type,
        "model": {
            "name": spec.name,
            "title": spec.title,
            "weights_sha256": weights_hash(setup.model),
            "relu_calls": str(relu_coverage(setup.model, setup.images)),
            "test_accuracy": setup.training.best_accuracy if setup.training else None,
            "training": [asdict(epoch) for epoch in setup.training.history] if setup.training else None,
        },
        "data": {
            "name": setup.data.name,
            "images": [
                {
                    "name": name,
                    "label": int(labels[index]) if labels is not None else None,
                    "target": int(setup.targets[index]),
                    "class": _class_name(setup, int(setup.targets[index])),
                    "confidence": float(setup.confidences[index]),
                }
                for index, name in enumerate(setup.data.image_names)
            ],
            "preprocessing": describe(setup.data.preprocessing),
        },
        "methods": {name: {"title": METHODS[name].title} | describe(method) for name, method in setup.methods.items()},
        "metrics": {
            name: describe(metric) | {"reduction_title": get_reduction(metric.reduction).title}
            for name, metric in setup.metrics.items()
        },
        "randomization": {
            "preset": config.preset,
            "order": randomizer.order,
            "initialiser": describe(randomizer.initialiser),
            "batch_norm": randomizer.batch_norm,
            "redraw": randomizer.redraw,
            "trials": setup.trials,
            "targets": [
                randomizer.targets(setup.images, setup.targets, trial).tolist() for trial in range(setup.trials)
            ],
            "seed": randomizer.seed,
            "stages": {stage.name: list(stage.modules) for stage in randomizer.stages},
            "unused": list(randomizer.plan.unused),
            "parameters": sum(entry.count for entry in account if entry.state in ("re-drawn", "same value", "unused")),
            "re-drawn": sum(entry.count for entry in account if entry.state == "re-drawn"),
        },
        "kept_images": list(result.maps),
        "constant_maps": {method: int((result.constant[row] > 0).sum()) for row, method in enumerate(result.methods)},
    }


def _class_name(setup: Setup, target: int) -> str:
    return setup.class_names[target] if setup.class_names is not None else str(target)

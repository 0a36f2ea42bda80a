"""Run folders from Python: `check_model` and `attribute_model` for a model, images and methods that are at hand."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from probatum.attributions.base import MethodsLike
from probatum.data import Preprocessing
from probatum.engine import Extra, Output, TargetsLike
from probatum.errors import LeftOutWarning, warn
from probatum.experiments import Run, read_run
from probatum.experiments.explain import Explanation
from probatum.experiments.objects import (
    ATTRIBUTION_OF_OBJECTS,
    CHECK_OF_OBJECTS,
    CheckedObjects,
    ImagesLike,
    Objects,
    config_of,
    images_of,
    methods_by_name,
)
from probatum.metrics import Metric
from probatum.progress import Progress
from probatum.randomization import Randomizer
from probatum.report.run import draw_attribution, draw_run
from probatum.runs.kinds import execute
from probatum.runs.remote import Folder, opened


def check_model(
    model: nn.Module,
    images: ImagesLike,
    folder: Folder,
    *,
    targets: TargetsLike | None = None,
    class_names: Sequence[str] | None = None,
    image_names: Sequence[str] | None = None,
    preprocessing: Preprocessing | None = None,
    pictures: Tensor | None = None,
    limit: int | None = None,
    methods: MethodsLike | None = None,
    metrics: Mapping[str, Metric] | Sequence[str] | None = None,
    preset: str | Randomizer = "adebayo",
    title: str | None = None,
    output: Output | None = None,
    extra: Extra | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Run:
    """Checks a model that is at hand and writes the run folder that `probatum check` writes, with `report.html`.

    A call that was interrupted continues when it is made again with the same folder and with objects that compute the
    same: weights, code, attributes and hooks of the model, methods, images and settings are compared. Where the folder
    holds the finished run of the same objects, its stored result is returned and nothing is computed again. `read_run`,
    `judge` and `probatum report` work on the folder; `probatum rerun` cannot, because no file names the model.

    Args:
        model: any classifier of (batch, channel, height, width); left as it is.
        images: (batch, channel, height, width), floating point, preprocessed; or a folder, an image file, a list of
            files or a .txt list of them, with `preprocessing`.
        folder: none, an empty one, or that of the same check, finished or not; a path or, as a text, an address in
            object storage such as "s3://bucket/run".
        targets: as in `attribute`; None is the model's predictions.
        class_names: of all classes, in the order of the logits; None shows their numbers.
        image_names: one for each image; None shows their paths or numbers.
        preprocessing: from pixels to inputs. Its inverse makes the report's pictures; the baseline "black" needs it.
        pictures: (batch, 1 or 3, height, width) in [0, 1], to show instead. Where there is neither, the values of the
            images are scaled to [0, 1].
        limit: at most so many images.
        methods: as in `attribute`: names, methods, or a dict of either. None are the ten usual methods and the edge
            detector, without those that the model cannot have, such as Guided Backprop without a ReLU: a warning names
            each of these, and `config.json` the reason.
        metrics: names of the table, or metrics by name; None are the preset's, or else the usual ones.
        preset: a paper's protocol by name, or a randomizer of the same model.
        title: of the model in the report; None is its class's name.
        output: as in `attribute`: where the logits are in what the model returns.
        extra: as in `attribute`: further inputs of the model, one row an image.
        progress: called with (done, in all, what is being done).
        settings: further fields of `CheckConfig`, such as `trials=3`, `samples=10`, `layer="blocks.11"`, `seed=1`,
            `keep_maps=5` or `memory_budget="2 GiB"`. The precision is float64 where the model's weights are, and
            float32 elsewhere.

    Returns:
        the run as `read_run` reads it: `judge(run.result)` gives the verdicts.

    Raises:
        InvalidInput: an argument is not usable, or the folder holds something else; the message names what differs.
        UnknownName: no such method, metric, preset or setting.
        ModelError: the model cannot be explained by one of the methods.
    """
    randomizer = preset if isinstance(preset, Randomizer) else None
    named: dict[str, Any] = {} if randomizer is not None else {"preset": preset}
    own = metrics if isinstance(metrics, Mapping) else None
    if metrics is not None and own is None:
        named["metrics"] = tuple(metrics)
    image_set = images_of(
        images, model, preprocessing=preprocessing, image_names=image_names, pictures=pictures, limit=limit
    )
    objects = CheckedObjects(
        model=model,
        title=title or type(model).__name__,
        images=image_set,
        targets=targets,
        class_names=None if class_names is None else tuple(class_names),
        methods=methods_by_name(methods),
        output=output,
        extra=tuple(extra or ()),
        config=config_of(model, methods, settings, randomizer, **named),
        metrics=own,
        randomizer=randomizer,
    )
    with opened(folder) as path:
        execute(CHECK_OF_OBJECTS, objects, path, torch.device(objects.device), progress=progress, draw=draw_run)
        run = read_run(path)
    for refused in run.config["refused"]:
        warn(LeftOutWarning(f"{refused['method']} is left out: {refused['reason']}"))
    return run


def attribute_model(
    model: nn.Module,
    images: ImagesLike,
    folder: Folder,
    *,
    targets: TargetsLike | None = None,
    class_names: Sequence[str] | None = None,
    image_names: Sequence[str] | None = None,
    preprocessing: Preprocessing | None = None,
    pictures: Tensor | None = None,
    limit: int | None = None,
    methods: MethodsLike | None = None,
    title: str | None = None,
    formats: Sequence[str] = (),
    output: Output | None = None,
    extra: Extra | None = None,
    progress: Progress | None = None,
    **settings: Any,
) -> Explanation:
    """Explains images by a model that is at hand and writes the folder that `probatum attribute` writes.

    The folder has the maps as arrays and as figures, and `report.html`. A call that was interrupted continues, and one
    that was finished returns what is stored, as with `check_model`.

    Args:
        model: as in `check_model`, like all that follows; `settings` of the randomization play no part.
        images: to explain.
        folder: to write.
        targets: classes to explain.
        class_names: of all classes.
        image_names: one for each image.
        preprocessing: from pixels to inputs.
        pictures: to show.
        limit: at most so many images.
        methods: as in `check_model`.
        title: of the model.
        formats: of the stored maps besides `.npz`: "pt", "png" and "tif", see `write_maps`.
        output: where the logits are.
        extra: further inputs.
        progress: called with (done, in all, what is being done).
        settings: further fields of `CheckConfig`.

    Returns:
        names, classes, pictures and the maps by method, (image, channel, height, width) float32 each.

    Raises:
        InvalidInput, UnknownName, ModelError: as `check_model`.
    """
    image_set = images_of(
        images, model, preprocessing=preprocessing, image_names=image_names, pictures=pictures, limit=limit
    )
    objects = Objects(
        model=model,
        title=title or type(model).__name__,
        images=image_set,
        targets=targets,
        class_names=None if class_names is None else tuple(class_names),
        methods=methods_by_name(methods),
        output=output,
        extra=tuple(extra or ()),
        config=config_of(model, methods, settings),
        formats=tuple(formats),
    )
    device = torch.device(objects.device)
    found = execute(ATTRIBUTION_OF_OBJECTS, objects, folder, device, progress=progress, draw=draw_attribution)
    for name, reason in found.refused:
        warn(LeftOutWarning(f"{name} is left out: {reason}"))
    return found

"""A model and the images that it classifies."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from probatum.data import ImageSet
from probatum.engine import (
    Compute,
    Extra,
    Output,
    PreparedModel,
    Targets,
    TargetsLike,
    all_logits,
    prepare,
    prepare_with,
)
from probatum.errors import InvalidInput
from probatum.experiments.model_options import running
from probatum.models import ModelSpec
from probatum.runs.identity import identity_of_inputs, identity_of_software


@dataclass(frozen=True, eq=False, kw_only=True)
class Subject:
    """A model and images to explain.

    Args:
        spec: facts about the model.
        model: on its device.
        data: the images, on the model's device.
        targets: the classes to explain, the predicted ones where none are given.
        probabilities: softmax probabilities of all classes, (image, class).
        class_names: of the model's classes, or None.
        skipped: name and fault of each image that could not be read and was left out.
        output: where the logits are in what the model returns, as in `prepare`.
        extra: further inputs of the model, one row an image, as in `prepare`.
    """

    spec: ModelSpec
    model: nn.Module
    data: ImageSet
    targets: Tensor
    probabilities: Tensor
    class_names: tuple[str, ...] | None
    skipped: tuple[tuple[str, str], ...] = ()
    output: Output | None = None
    extra: Extra = ()

    @property
    def confidences(self) -> Tensor:
        """The targets' softmax probabilities, (image,)."""
        return self.probabilities.gather(1, self.targets[:, None])[:, 0]

    def class_name(self, index: int) -> str:
        """The name of a class, or its number where it has none."""
        return self.class_names[index] if self.class_names is not None else str(index)

    def label_name(self, label: int) -> str:
        """The name of a label, which for a folder of photographs numbers its sub-folders."""
        return self.data.class_names[label] if self.data.class_names is not None else self.class_name(label)

    def prepared(self, compute: Compute) -> PreparedModel:
        """The prepared model, with the images as its example."""
        return prepare_with(self.model, compute, example=self.data.images, output=self.output, extra=self.extra)


def subject_of(
    spec: ModelSpec,
    model: nn.Module,
    data: ImageSet,
    targets: TargetsLike | None = None,
    *,
    class_names: Callable[[int], tuple[str, ...] | None],
    memory_budget: int | str | None,
    skipped: tuple[tuple[str, str], ...] = (),
    output: Output | None = None,
    extra: Extra = (),
) -> Subject:
    """Classifies the images of a model that is at hand.

    Args:
        spec: facts about the model.
        model: on the images' device, like all tensors.
        data: the images.
        targets: the classes to explain, as in `attribute`; None is the predicted ones.
        class_names: names so many classes, or knows no names of theirs.
        memory_budget: as in `attribute`.
        skipped: as in `Subject`, like the next two.
        output: where the logits are.
        extra: further inputs.

    Raises:
        InvalidInput: a target is out of range.
        ModelError: the model does not take the images.
    """
    prepared = prepare(model, memory_budget=memory_budget, output=output, extra=extra or None)
    prepared.require_extra(data.images)
    with running(spec, data.images):
        probabilities = all_logits(prepared, data.images).softmax(1)
    chosen = probabilities.argmax(1)
    if targets is not None:
        given = Targets.of(data.images, targets)
        if given.lowest < 0 or given.highest >= probabilities.shape[1]:
            wrong = given.lowest if given.lowest < 0 else given.highest
            raise InvalidInput(
                f"target {wrong} is out of range: {spec.title} has classes 0 to {probabilities.shape[1] - 1}"
            )
        chosen = given.classes.to(torch.int64)
    return Subject(
        spec=spec,
        model=model,
        data=data,
        targets=chosen,
        probabilities=probabilities,
        class_names=class_names(probabilities.shape[1]),
        skipped=skipped,
        output=output,
        extra=extra,
    )


def identity_of_subject(subject: Subject) -> dict[str, Any]:
    """Weights, images, targets and software, as JSON values."""
    return {
        **identity_of_inputs(subject.model, subject.data.images, subject.targets),
        "image names": list(subject.data.image_names),
        **identity_of_software(subject.data.images.device),
    }

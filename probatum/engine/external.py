"""Maps that a function from outside makes: called with a model of its own, seeded, and watched.

The engine's hooks and modes stay out of these calls, which may register hooks, take gradients and draw random numbers.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from probatum.engine.budget import is_out_of_memory, one_row_too_large
from probatum.engine.copying import copy_model
from probatum.engine.noise import splitmix64
from probatum.engine.prepared_model import PreparedModel
from probatum.engine.sampling import Rows
from probatum.engine.state import first_difference
from probatum.errors import ModelError
from probatum.imports import described

MakeMaps: TypeAlias = Callable[[nn.Module, Tensor, Tensor], Tensor | np.ndarray]
"""(model, images, targets) -> maps; images (rows, ...), targets (rows,) class indices."""


@dataclass(frozen=True, eq=False)
class ExternalMaps:
    """The maps that a function makes of the points.

    Args:
        call: the function.
        title: its name in messages.
        images_at_once: most points in one call.
        on_error: "stop" where the function raises an error, or "skip" the points of the call: their maps are NaN.
    """

    call: MakeMaps
    title: str
    images_at_once: int = 1
    on_error: Literal["stop", "skip"] = "stop"


class ExternalCall:
    """A function beside the model that it explains.

    The function gets a copy of the model with weights of its own, in eval mode, whose parameters require gradients. It
    is the module itself where that returns (rows, classes) logits for the images alone, and else a module `LogitsOf`
    around it.

    Args:
        external: the function.
        prepared: the model.
    """

    def __init__(self, external: ExternalMaps, prepared: PreparedModel) -> None:
        self._external, self._prepared = external, prepared
        self._copy: nn.Module | None = None

    @property
    def rows(self) -> int:
        """Most points in one call: one where the model has further inputs, which must be repeated for more points."""
        return 1 if self._prepared.extra else self._external.images_at_once

    def __call__(self, rows: Rows, classes: Int64[Tensor, " rows"]) -> Float[Tensor, "rows *shape"] | None:
        """The maps of some points; None where the function raised an error and `on_error` is "skip".

        Raises:
            ModelError: the function raised an error, returned no maps of the points, or changed the model or its
                arguments.
            MemoryBudgetError: memory ran out.
        """
        model = self._model(rows)
        images, targets = rows.points.clone(), classes.clone()
        device = self._prepared.device
        with seeded(_seed(rows), device), torch.enable_grad(), self._autocast():
            try:
                found = self._external.call(model, images, targets)
            except Exception as error:
                if is_out_of_memory(error):
                    raise one_row_too_large(error) from error
                self._copy = None  # the error may have left anything in it
                if self._external.on_error == "skip":
                    return None
                raise ModelError(
                    f"{self._external.title} raised an error at image {int(rows.image[0])} of its batch: "
                    f"{described(error)}"
                ) from error
        maps = self._accepted(found, rows.points)
        if not torch.equal(images, rows.points) or not torch.equal(targets, classes):
            changed = "targets" if torch.equal(images, rows.points) else "images"
            raise ModelError(f"{self._external.title} writes into the {changed} it is given; let it work on a copy")
        self._require_model_as_found()
        return maps

    def _model(self, rows: Rows) -> nn.Module:
        """The copy as a module that returns (rows, classes) logits; it is made where there is none."""
        if self._copy is None:
            self._copy = _own_copy(self._prepared.model)
        if self._prepared.output is None and not self._prepared.extra:
            with torch.no_grad():
                answer = self._copy(rows.points[:1].clone())
            if isinstance(answer, Tensor) and answer.ndim == 2 and answer.shape[1] > 1:
                return self._copy
        return LogitsOf(self._prepared.of_images(rows.image[:1]), self._copy).eval()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self._prepared.device.type, torch.bfloat16, self._prepared.compute.precision == "bfloat16"
        )

    def _accepted(self, found: object, points: Tensor) -> Tensor:
        """The maps in the points' type; ModelError where they are no maps of these points."""
        title = self._external.title
        if isinstance(found, np.ndarray):
            try:
                found = torch.from_numpy(np.ascontiguousarray(found)).to(points.device)
            except TypeError as error:
                raise ModelError(f"{title} returns an array of {found.dtype}, not of numbers") from error
        if not isinstance(found, Tensor) or found.is_complex():
            what = str(found.dtype) if isinstance(found, Tensor) else f"a {type(found).__name__}"
            raise ModelError(f"{title} returns {what}, not one tensor of maps")
        if found.device != points.device:
            raise ModelError(f"{title} returns maps on {found.device}, its images are on {points.device}")
        maps = found.detach().as_subclass(Tensor).to(points.dtype)
        whole = points.shape
        if maps.shape == whole or (len(whole) > 2 and maps.shape == (whole[0], 1, *whole[2:])):
            return maps
        if len(whole) > 2 and maps.shape == (whole[0], *whole[2:]):
            return maps[:, None]
        raise ModelError(
            f"{title} returns maps of shape {tuple(maps.shape)} for images of shape {tuple(whole)}; it must return one "
            "map an image, of all channels or one"
        )

    def _require_model_as_found(self) -> None:
        """Raises ModelError where the function left traces in its copy of the model."""
        assert self._copy is not None
        left = first_difference(self._copy, self._prepared.model)
        if left is not None:
            raise ModelError(f"{self._external.title} leaves the model changed: {left}; let it restore what it changes")


class LogitsOf(nn.Module):
    """A model and its further inputs as one module: images -> logits (rows, classes).

    Args:
        prepared: says where the logits are and what the model takes after the images.
        model: its copy, whose layers are those of `self.model`.
    """

    def __init__(self, prepared: PreparedModel, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self._prepared = prepared

    def forward(self, images: Tensor) -> Tensor:
        """The logits; the further inputs of one image go with each of its versions."""
        image = torch.zeros(len(images), dtype=torch.int64, device=images.device) if self._prepared.extra else None
        return replace(self._prepared, model=self.model).logits(images, image)


def _own_copy(model: nn.Module) -> nn.Module:
    """A copy that shares no storage with the model and whose parameters require gradients, as a trained model's do."""
    with torch.inference_mode(False):
        model = copy_model(model, own=lambda name: True)
        model.eval()  # an overridden train() may return nothing
        for parameter in model.parameters():
            parameter.requires_grad_(parameter.is_floating_point())
    return model


def _seed(rows: Rows) -> int:
    """Of the first point: by its image, the run's seed and the noise sample alone, 32 bits."""
    return int(splitmix64(rows.keys[:1] + rows.sample[:1])) & 0xFFFF_FFFF


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seeds the global generators of Python, NumPy and torch; restores them and the default type afterwards."""
    dtype, python = torch.get_default_dtype(), random.getstate()
    numpy = np.random.get_state()  # noqa: NPY002, for it is the global generator that functions from outside use
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
            torch.set_default_dtype(dtype)

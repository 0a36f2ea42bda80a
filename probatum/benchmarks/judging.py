"""The correctness gate: maps of one image beside a literal float64 reference."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from probatum.benchmarks.config import Sizes, Subject
from probatum.benchmarks.panels import IG_SG
from probatum.benchmarks.reference import SMOOTHED, Reference, deviation, deviation_of_scaled, recorded_points

UNJUDGED = (*IG_SG, "lrp")
"""Methods without a reference of this size: nested samples of paths, and LRP, which writes each layer as a matrix."""
ROWS = 16  # of probatum's calls that are judged: a given chunk needs no row measured apart, so all points are the map's

Explain = Callable[[nn.Module, Tensor, Tensor], Mapping[str, Tensor]]
"""From a model, images and targets to maps by method."""


class Judge:
    """Compares maps of the first image with the reference; what does not depend on noise is computed once.

    Args:
        subject: the model and images.
        sizes: of the methods.
    """

    def __init__(self, subject: Subject, sizes: Sizes) -> None:
        self._one, self._sizes = subject.first(1), sizes
        self._reference = Reference(subject.model, subject.layer, self._one.images, self._one.targets)
        self._known: dict[str, Tensor] = {}

    def error(self, explain: Explain, *apart: Explain) -> float | None:
        """The largest relative distance over all maps of a call; None where none of them can be judged.

        Args:
            explain: what makes the maps.
            apart: calls of single methods with noise, each of which looks at the points that its map is judged at. Of
                a call that makes one map, the points are its own.
        """
        with recorded_points(self._one.model) as points:
            maps = dict(explain(self._one.model, self._one.images, self._one.targets))
        seen = {name: torch.cat(points) for name in maps if name in SMOOTHED and len(maps) == 1}
        for call in apart:
            with recorded_points(self._one.model) as points:
                names = call(self._one.model, self._one.images, self._one.targets)
            seen |= {name: torch.cat(points) for name in names}
        errors = [self._deviation(name, found, seen.get(name)) for name, found in maps.items() if name not in UNJUDGED]
        judged = [error for error in errors if error is not None]
        return max(judged) if judged else None

    def error_of_scaled(self, name: str, found: Tensor) -> float | None:
        """The distance of a map of the first image that was shifted and scaled."""
        return deviation_of_scaled(found, self._expected(name))

    def _deviation(self, name: str, found: Tensor, points: Tensor | None) -> float | None:
        if name in SMOOTHED:
            if points is None or len(points) != self._sizes.samples:
                return None
            return deviation(found, self._reference.map(name, points=points))
        return deviation(found, self._expected(name))

    def _expected(self, name: str) -> Tensor:
        """The reference of a method without noise."""
        if name not in self._known:
            self._known[name] = self._reference.map(name, steps=self._sizes.steps)
        return self._known[name]

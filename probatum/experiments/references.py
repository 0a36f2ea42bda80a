"""Comparisons of randomized maps with the trained model's maps, of one cell of a sanity check."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from probatum.maps import get_reduction
from probatum.metrics import Metric, is_constant


class Reference:
    """The maps of the trained model, for the comparisons of one cell.

    Args:
        maps: by method, of the cell's images and their partners.
        metrics: by name.
        own: where the maps of the cell's images are.
        others: (other, image) where the maps of each image's partners are.
    """

    def __init__(
        self,
        maps: dict[str, Tensor],
        metrics: Mapping[str, Metric],
        own: Sequence[int],
        others: Sequence[Sequence[int]],
    ) -> None:
        self._maps, self._metrics = maps, metrics
        self._rows = [list(own), *map(list, others)]

    @property
    def others(self) -> int:
        """With how many other images each image is compared."""
        return len(self._rows) - 1

    def compare(self, name: str, stages: Sequence[Tensor]) -> Float[np.ndarray, "metric stage reference image"]:
        """Scores the maps of one method under every metric: against the same images, and against each partner.

        A score with a map that is not finite is NaN; so is one with a partner where a map is constant.
        """
        maps = _blanked(self._maps[name])
        scores = torch.empty(len(self._metrics), len(stages), len(self._rows), len(self._rows[0]), dtype=torch.float64)
        for metric, found in zip(self._metrics.values(), scores, strict=True):
            prepared = metric.prepare(get_reduction(metric.reduction)(maps))
            references = [tuple(part[rows] for part in prepared) for rows in self._rows]
            for stage, values in enumerate(stages):
                found[stage] = torch.stack(metric.compare_with_all(references, _reduced(metric, values)))
        failed, flat = not_finite(self._maps[name]).cpu(), is_constant(maps).cpu()
        for stage, values in enumerate(stages):
            scores[:, stage, :, not_finite(values).cpu()] = torch.nan
            scores[:, stage, 1:, is_constant(_blanked(values)).cpu()] = torch.nan
        for reference, rows in enumerate(self._rows):
            scores[:, :, reference, failed[rows]] = torch.nan
            if reference:
                scores[:, :, reference, flat[rows]] = torch.nan
        return scores.numpy()

    def constant(self, name: str, stages: Sequence[Tensor]) -> Int[np.ndarray, "stage image"]:
        """Tells which of two maps is constant: 1 the reference, 2 the other, 3 both; 0 too where one is not finite."""
        own = self._maps[name][self._rows[0]]
        codes = []
        for values in stages:
            code = is_constant(_blanked(own)).int() + 2 * is_constant(_blanked(values)).int()
            codes.append(torch.where(not_finite(own) | not_finite(values), 0, code))
        return torch.stack(codes).cpu().numpy().astype(np.int8)


def not_finite(maps: Tensor) -> Tensor:
    """True for each map that holds NaN or an infinite value."""
    return ~maps.isfinite().flatten(1).all(1)


def _blanked(maps: Tensor) -> Tensor:
    """Maps that are not finite as maps of zeros, which every reduction and metric takes."""
    bad = not_finite(maps)
    return torch.where(bad.view(-1, *[1] * (maps.ndim - 1)), 0, maps)


def _reduced(metric: Metric, maps: Tensor) -> Tensor:
    return get_reduction(metric.reduction)(_blanked(maps))

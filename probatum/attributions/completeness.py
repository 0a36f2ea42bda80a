"""Base class of methods that satisfy completeness: their maps sum to a change of the logit."""

from abc import abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from probatum.attributions.base import Method
from probatum.engine import (
    Expansion,
    PointStream,
    PreparedModel,
    Rows,
    Targets,
    TargetsLike,
    all_logits,
    image_keys,
    prepare,
)
from probatum.errors import InvalidInput

_ROWS = 64  # of a small batch's baselines that are made at a time


class CompleteMethod(Method):
    """A method whose global maps sum to the change of the logit from baseline to image, or to its mean over several.

    Σ M(x) = 1/K Σ_k S_c(x) − S_c(x′_k)
    """

    multiply_by_inputs: bool

    @abstractmethod
    def endpoints(self, images: Tensor) -> tuple[Expansion, ...]:
        """The chain whose rows go from their baselines to their origins: those that the maps are made of."""

    def convergence_delta(
        self,
        model: nn.Module | PreparedModel,
        images: Tensor,
        targets: TargetsLike | None,
        maps: Float[Tensor, "batch *shape"],
        *,
        seed: int = 0,
        memory_budget: int | str | None = None,
        precision: str | None = None,
    ) -> Float[Tensor, " batch"]:
        """How far maps are from complete: Σ M(x) − 1/K Σ_k (S_c(x) − S_c(x′_k)), in units of the logit.

        Args:
            model: as in `attribute`, like all that follows but the maps: what the maps were computed with.
            images: (batch, ...).
            targets: class indices (batch,), one index for all, or None for the predicted classes.
            maps: this method's maps; the missing factor is put on local ones.
            seed: of drawn baselines.
            memory_budget: for the activations of one model call.
            precision: "float32", "float64", or None for the model's own.

        Raises:
            InvalidInput: local maps of several baselines, whose factors cannot be put on the mean.
        """
        prepared = prepare(model, precision, memory_budget=memory_budget)
        images = prepared.accept(images)
        batch = len(images)
        exact = torch.promote_types(prepared.dtype, torch.float32)  # differences and sums of half precision round
        stream = PointStream.of(images, image_keys(images, seed), self.endpoints(images))
        if targets is None:
            targets = all_logits(prepared, images).argmax(1)
        classes = Targets.of(images, targets).classes
        if not self.multiply_by_inputs:
            if len(stream) > batch:
                raise InvalidInput(
                    f"local maps of {self.title} are a mean over several baselines and have no sum to compare; take "
                    "multiply_by_inputs=True"
                )
            rows = stream.rows(0, batch)
            maps = maps * (rows.origins.to(exact) - _given(rows))
        change = torch.zeros(batch, dtype=exact, device=images.device)
        step = max(batch, _ROWS)
        for start in range(0, len(stream), step):
            rows = stream.rows(start, start + step)
            end, begin = (all_logits(prepared, at) for at in (rows.origins, _given(rows)))
            rise = (end.to(exact) - begin).gather(1, classes[rows.image, None])[:, 0]
            change.index_add_(0, rows.image, rows.weights * rise)
        return maps.to(exact).flatten(1).sum(1) - change


def _given(rows: Rows) -> Tensor:
    assert rows.baselines is not None, "the method's ends have no baselines"
    return rows.baselines

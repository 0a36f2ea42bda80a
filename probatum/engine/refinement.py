"""Points that are added round by round, until the map of each image is as good as was asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int64
from torch import Tensor

from probatum.engine.sampling import Expansion


@dataclass(frozen=True, eq=False)
class Effort:
    """How many points the maps of a method took that adds points until they are good enough.

    Args:
        points: (batch,) where the model was evaluated for each image: its gradients.
        figure: (batch,) the error or agreement that was reached, as the method defines it.
        enough: (batch,) whether that is what was asked for; False where the bound on the points came first.
    """

    points: Int64[Tensor, " batch"]
    figure: Float[Tensor, " batch"]
    enough: Bool[Tensor, " batch"]


class Maps(dict[str, Tensor]):
    """Maps by name, with the efforts of those that points were added to.

    Args:
        maps: by name.
        efforts: by the names of methods that have a tolerance or a ceiling.
    """

    def __init__(self, maps: dict[str, Tensor], efforts: dict[str, Effort]) -> None:
        super().__init__(maps)
        self.efforts = efforts


@runtime_checkable
class Refinement(Protocol):
    """When a map is good enough, and which points are added while it is not.

    Each round adds points to those before. Sums of the maps of all points so far, under one or several weightings, are
    what maps are made of, so that no point is ever evaluated again and none is kept. Images leave one by one.
    """

    @property
    def chains(self) -> tuple[tuple[Expansion, ...], ...]:
        """The new points of each round. Requests that are equal here share their evaluations."""

    @property
    def sums(self) -> int:
        """How many weightings there are."""

    def columns(self, sample: Int64[Tensor, " rows"]) -> Float[Tensor, "rows sums"]:
        """The factor of points by their `Rows.sample`, in each weighting."""

    def facts(self, images: Tensor, logits: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
        """Measures once for all rounds what `read` needs of each image, (batch, ...) each.

        `logits` gives the target's logit of points, one an image: (batch,).
        """

    def read(self, done: int, sums: Float[Tensor, "images sums *shape"], *facts: Tensor) -> tuple[Tensor, Tensor]:
        """The maps after so many rounds, (images, ...), and how good they are, (images,)."""

    def enough(self, figure: Float[Tensor, " images"]) -> Bool[Tensor, " images"]:
        """Tells which images need no more points."""

"""Running requests whose points are added round by round, each image until its maps are good enough."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Int64
from torch import Tensor

from probatum.engine.budget import Budget
from probatum.engine.chunks import ChunkedRun, VariantState
from probatum.engine.evaluate import Measurement
from probatum.engine.logits import logits_within
from probatum.engine.refinement import Effort, Refinement
from probatum.engine.requests import Request
from probatum.engine.sampling import PointStream


@dataclass(eq=False)
class RefinedRun:
    """Adds rounds of points for the images of one version of a model after another.

    Versions share no layers here, for each goes on with images of its own.

    Args:
        rounds: the streams of all images, one a round.
        members: the requests that are answered there.
        measurements: what is measured at each point.
        budget: chooses the rows of a chunk.
        tick: called with the number of points that were done, and at the end with those that were not needed.
    """

    rounds: tuple[PointStream, ...]
    members: Mapping[str, Request]
    measurements: frozenset[Measurement]
    budget: Budget
    tick: Callable[[int], None]

    def run(self, state: VariantState) -> None:
        """Finishes the maps of one version."""
        state.begin(self.members)
        images, spent = self.rounds[0].images, 0
        open_maps = {
            name: OpenMaps.of(request.refinement, images, self._target_logits(state))
            for name, request in self.members.items()
            if request.refinement is not None
        }
        for number, stream in enumerate(self.rounds, start=1):
            pending = torch.stack([each.pending for each in open_maps.values()]).any(0).nonzero()[:, 0]
            if not len(pending):
                break
            points = stream if len(pending) == len(images) else stream.of_images(pending)
            ChunkedRun(points, self.measurements, self.budget, self.tick).run([state])
            spent += len(points)
            for name, each in open_maps.items():
                each.read(number, stream.per_image, state.accumulators[name].result())
        self.tick(sum(map(len, self.rounds)) - spent)
        for name, each in open_maps.items():
            state.maps[name], state.efforts[name] = each.finished()

    def _target_logits(self, state: VariantState) -> Callable[[Tensor], Tensor]:
        """Gives the logits of the targets at one point an image."""
        assert state.targets is not None, "the classes of the images were predicted before"
        classes = state.targets.classes

        def logits(points: Tensor) -> Tensor:
            return logits_within(state.prepared, points, self.budget).gather(1, classes[:, None])[:, 0]

        return logits


@dataclass(eq=False)
class OpenMaps:
    """The maps of one request while points are added.

    Args:
        refinement: of the request.
        facts: what it needs of each image.
        effort: so far.
        maps: so far; those of images that are not pending are final.
    """

    refinement: Refinement
    facts: tuple[Tensor, ...]
    effort: Effort
    maps: Tensor | None = None

    @classmethod
    def of(cls, refinement: Refinement, images: Tensor, logits: Callable[[Tensor], Tensor]) -> "OpenMaps":
        """Begins with no points."""
        nothing = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        figure = torch.full_like(nothing, torch.nan, dtype=torch.promote_types(images.dtype, torch.float32))
        return cls(refinement, refinement.facts(images, logits), Effort(nothing, figure, nothing > 0))

    @property
    def pending(self) -> Tensor:
        """(batch,) which images need more points."""
        return ~self.effort.enough

    def read(self, done: int, points: int, sums: Tensor) -> None:
        """Takes the sums after a round that added so many points to each pending image."""
        which: Int64[Tensor, " pending"] = self.pending.nonzero()[:, 0]
        maps, figure = self.refinement.read(done, sums[which], *(fact[which] for fact in self.facts))
        if self.maps is None:
            self.maps = maps.new_zeros(len(self.effort.points), *maps.shape[1:])
        self.maps[which] = maps
        effort = self.effort
        self.effort = replace(
            effort,
            points=effort.points + points * self.pending,
            figure=effort.figure.index_put((which,), figure.to(effort.figure)),
            enough=effort.enough.index_put((which,), self.refinement.enough(figure)),
        )

    def finished(self) -> tuple[Tensor, Effort]:
        """The maps and what they took."""
        assert self.maps is not None, "there was no round"
        return self.maps, self.effort

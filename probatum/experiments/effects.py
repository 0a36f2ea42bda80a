"""Maps of models trained on tasks with known regions, compared with those of untrained ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from probatum.attributions import Method, attribute
from probatum.engine import all_logits, prepare
from probatum.errors import InvalidInput
from probatum.maps import get_reduction
from probatum.metrics.effects import causal_effect, region_share, unit_maps
from probatum.progress import Progress

REDUCTIONS = ("abs-normalized", "signed")
"""The compared quantities: the magnitude as the figures show it, and the signed values."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A model with the classes whose logits are explained; None for those that it predicts."""

    model: nn.Module
    targets: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Effects:
    """How far trained models move the maps, and where these lie.

    Every map is reduced and divided by its Euclidean norm before it is compared: the logits of an untrained model are
    small, and so the size of its maps would tell it from a trained one without regard to what they show. A score is NaN
    where one of its maps is zero (or, for shares, where the region is empty).

    Args:
        distance: (reduction, method, trained, image, untrained): ‖S(x; M_t) − S(x; M′)‖.
        distance_floor: (reduction, method, image, untrained): the same between untrained models.
        effect: (reduction, method, image, untrained): ‖Λ(x)‖ of `causal_effect`.
        effect_floor: likewise, with other untrained models in place of the trained ones.
        share: (method, trained, region, image): share of the map's magnitude inside.
        untrained_share: (method, region, image, untrained).
        panels: (method, 1 + trained, shown image, height, width): ABS maps of the first untrained model, then of each
            trained one.
    """

    distance: Float[np.ndarray, "reduction method trained image untrained"] = field(repr=False)
    distance_floor: Float[np.ndarray, "reduction method image untrained"] = field(repr=False)
    effect: Float[np.ndarray, "reduction method image untrained"] = field(repr=False)
    effect_floor: Float[np.ndarray, "reduction method image untrained"] = field(repr=False)
    share: Float[np.ndarray, "method trained region image"] = field(repr=False)
    untrained_share: Float[np.ndarray, "method region image untrained"] = field(repr=False)
    panels: Float[np.ndarray, "method one_plus_trained shown height width"] = field(repr=False)


def measure_effects(
    trained: Mapping[str, Subject],
    untrained: Sequence[Subject],
    images: Float[Tensor, "image channel height width"],
    weights: Float[Tensor, "image trained"],
    regions: Mapping[str, Bool[Tensor, "image height width"]],
    methods: Mapping[str, Method],
    *,
    shown: int,
    memory_budget: int | str | None = None,
    progress: Progress | None = None,
) -> Effects:
    """Compares the maps of trained models with those of several untrained ones.

    Source: Yona & Greenfeld 2021, equation 1. A *floor* is the same score with untrained models instead of the trained
    ones, the next ones in turn: what a change of random weights does. It is ours; the paper has one untrained model.

    Args:
        trained: models by name.
        untrained: at least one more than there are trained ones.
        images: preprocessed, on the models' device.
        weights: Pr(T = t | X = x) for each trained model's task; 0 for a model that is shown but trained on none.
        regions: of each image, by name.
        methods: by name.
        shown: of how many of the first images the maps are kept.
        memory_budget: as in `attribute`.
        progress: called with (models explained, in all, what).

    Raises:
        InvalidInput, ModelError: too few untrained models, and what the parts raise.
    """
    if len(untrained) <= len(trained):
        raise InvalidInput(
            f"{len(trained)} trained models need {len(trained) + 1} untrained ones, not {len(untrained)}"
        )
    names = [*trained, *(f"untrained {number + 1}" for number in range(len(untrained)))]
    maps: dict[str, list[Tensor]] = {name: [] for name in methods}
    for number, (name, subject) in enumerate(zip(names, [*trained.values(), *untrained], strict=True)):
        if progress is not None:
            progress(number, len(names), f"maps of the model {name}")
        prepared = prepare(subject.model, memory_budget=memory_budget)
        targets = all_logits(prepared, images).argmax(1)
        targets = targets if subject.targets is None else subject.targets
        found = attribute(prepared, images, targets, methods)
        for method, values in found.items():
            maps[method].append(values)
    scores = [
        _scores(torch.stack(maps[name]), len(trained), weights, list(regions.values()), shown) for name in methods
    ]
    # Those that depend on a reduction have it as their first axis.
    joined = {key: np.stack([score[key] for score in scores]) for key in scores[0]}
    by_reduction = ("distance", "distance_floor", "effect", "effect_floor")
    return Effects(**{key: value.swapaxes(0, 1) if key in by_reduction else value for key, value in joined.items()})


def _scores(
    maps: Float[Tensor, "model image channel height width"],
    count: int,
    weights: Float[Tensor, "image trained"],
    regions: Sequence[Tensor],
    shown: int,
) -> dict[str, np.ndarray]:
    """All scores of one method; the first `count` models are the trained ones."""
    scores: dict[str, list[Tensor]] = {"distance": [], "distance_floor": [], "effect": [], "effect_floor": []}
    for reduction in REDUCTIONS:
        reduce = get_reduction(reduction)
        units = unit_maps(torch.stack([reduce(values) for values in maps]))  # (model, image, 1, height, width)
        own, others = units[:count], units[count:]
        chances = weights.to(units)
        gaps = torch.linalg.vector_norm(own[:, None] - others[None], dim=(-3, -2, -1))  # (trained, untrained, image)
        scores["distance"].append(gaps.transpose(1, 2))
        floors = torch.linalg.vector_norm(others.roll(-1, 0) - others, dim=(-3, -2, -1))
        scores["distance_floor"].append(floors.T)
        scores["effect"].append(causal_effect(own, others, chances).T)
        instead = [
            causal_effect(torch.stack([others.roll(-1 - t, 0)[k] for t in range(count)]), others[k][None], chances)[0]
            for k in range(len(others))
        ]
        scores["effect_floor"].append(torch.stack(instead, dim=1))
    shares = torch.stack([torch.stack([region_share(values, region) for region in regions]) for values in maps])
    absolute = get_reduction("abs-normalized")
    panels = torch.stack([absolute(values[:shown])[:, 0] for values in (maps[count], *maps[:count])])
    found = {key: torch.stack(values) for key, values in scores.items()}
    found |= {"share": shares[:count], "untrained_share": shares[count:].permute(1, 2, 0), "panels": panels}
    return {key: value.cpu().numpy() for key, value in found.items()}

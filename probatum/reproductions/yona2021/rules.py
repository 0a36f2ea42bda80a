"""The rules that the three studies share, and the claims on Λ, equation 1, which the paper makes of every task."""

import numpy as np
from jaxtyping import Float

from probatum.reproductions.base import Role
from probatum.reproductions.results import Claims
from probatum.reproductions.rules import Outcome, above, all_of, proportion
from probatum.reproductions.yona2021.studies import Stored

AS_CLEAR = 0.8  # of the Gradient's excess, which Guided Backprop must reach to tell the models apart as clearly
SEEN = "seen in the figure"
METHODS = {"GBP": "Guided Backprop", "Gradient": "Gradient"}
"""Methods as statements call them."""
ROLES: dict[str, Role] = {"GBP": "main result", "Gradient": "result"}
"""The paper is about Guided Backprop, beside which the Gradient stands."""


def accurate(model: str, bound: float, found: Stored) -> Outcome:
    """The test accuracy of every training, in the best epoch on these very images, lies above a bound."""
    reached: list[float] = found.facts["accuracies"][model]
    what = f"test accuracy in the best epoch of the worst of {len(reached)} trainings"
    return above(proportion(what, min(reached), int(found.facts["tested"])), bound)


def excess(
    found: Stored, name: str, method: str, model: str | None = None
) -> Float[np.ndarray, "training image untrained"]:
    """By how much a distance exceeds that between untrained models."""
    own, floor = found.scores(name, method, model), found.scores(f"{name}_floor", method)
    return np.asarray(own - floor)


def highlights(region: str, model: str, method: str, found: Stored) -> Outcome:
    """More of the map lies in a region than of an untrained model's map, and than by area."""
    place = found.regions.index(region)
    chance = np.maximum(found.share(method, None, place), found.area(place))
    what = (
        f"share of {found.titles[method]}'s map in the {region}, less the larger of its share of the area and the "
        "share without training"
    )
    return above(found.mean(what, found.share(method, model, place) - chance), 0.0)


def causal_effect(claims: Claims[Stored], study: str, images: str, where: str) -> None:
    """Add the claims on Λ.

    Args:
        claims: of a study.
        study: in names.
        images: in statements.
        where: figure or section that shows it.
    """

    @claims.each(METHODS, f"{study} effect {{key}}", f"On {images}, Λ of {{title}} is not zero.", SEEN, where=where,
                 role=ROLES)  # fmt: skip
    def effect(method: str, found: Stored) -> Outcome:
        """Λ is larger than with untrained models instead of the trained ones."""
        what = f"‖Λ‖ of {found.titles[method]} less that of untrained models"
        return above(found.mean(what, excess(found, "effect", method)), 0.0)

    @claims(
        f"{study} as clear",
        f"On {images}, Guided Backprop tells the trained from the random model as clearly as Gradient does.",
        SEEN,
        where="section 4",
        role="main result",
    )
    def as_clear(found: Stored) -> Outcome:
        """Guided Backprop's excess of ‖Λ‖ is above 0 and not much smaller than the Gradient's.

        Not ‖Λ‖ itself: it is largest for maps of pure noise, which no training changes.
        """
        own, other = (excess(found, "effect", method) for method in METHODS)
        margin = found.mean(f"this difference less {AS_CLEAR:g} of that of Gradient", own - AS_CLEAR * other)
        return all_of([effect("GBP", found), above(margin, 0.0)])

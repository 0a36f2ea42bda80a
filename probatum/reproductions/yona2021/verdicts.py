"""The claims of the paper, each with the rule by which the stored scores judge it."""

from collections.abc import Callable
from functools import partial

import numpy as np

from probatum.reproductions.base import Claim
from probatum.reproductions.rules import NOT_COMPUTED, Mean, Outcome, above, all_of, below, between, proportion
from probatum.reproductions.setting import PHOTOGRAPHS, PRETRAINED, judge
from probatum.reproductions.yona2021.results import ABSOLUTE, GBP, GRADIENT, Stored
from probatum.reproductions.yona2021.studies import PAPER_DIGITS, PAPER_PAIRS

AS_CLEAR = 0.8  # of the Gradient's excess, which Guided Backprop must reach to tell the models apart as clearly
NEAR = 0.1  # a distance between maps of norm 1 that is approximately zero; the most is 1.41

_SEEN = "seen in the figure"
_TRAINED = (PHOTOGRAPHS, PRETRAINED)


def _accuracy(model: str, bound: float, stored: Stored) -> Outcome:
    """The test accuracy of every training, in the best epoch on these very images, lies above a bound."""
    reached: list[float] = stored.facts["accuracies"][model]
    what = f"test accuracy in the best epoch of the worst of {len(reached)} trainings"
    return above(proportion(what, min(reached), int(stored.facts["tested"])), bound)


def _excess(stored: Stored, name: str, method: int, *place: int) -> np.ndarray:
    """By how much a distance exceeds that between untrained models, (image, untrained model)."""
    own, floor = (stored.scores(one, ABSOLUTE, method, *at) for one, at in ((name, place), (f"{name}_floor", ())))
    excess: np.ndarray = own - floor
    return excess


def _distance(model: str, rule: Callable[[Mean, float], Outcome], stored: Stored) -> Outcome:
    """The distance of Guided Backprop's maps of a trained model from those of an untrained one."""
    excess = _excess(stored, "distance", GBP, stored.trained.index(model))
    return rule(stored.mean(f"distance for the {model} model less that between untrained models", excess), NEAR)


def _farther(stored: Stored) -> Outcome:
    """The distance is larger for the halved digits than for the digits."""
    digit, half = (_excess(stored, "distance", GBP, stored.trained.index(name)) for name in ("digit", "half"))
    return above(stored.mean("distance for the half-digit model less that for the digit model", half - digit), 0.0)


def _effect(method: int, stored: Stored) -> Outcome:
    """Λ is larger than with untrained models instead of the trained ones."""
    what = f"‖Λ‖ of {stored.methods[method]} less the same without training"
    return above(stored.mean(what, _excess(stored, "effect", method)), 0.0)


def _as_clear(stored: Stored) -> Outcome:
    """Guided Backprop's excess of ‖Λ‖ is above 0 and not much smaller than the Gradient's.

    Not ‖Λ‖ itself: it is largest for maps of pure noise, which no training changes.
    """
    own, other = (_excess(stored, "effect", method) for method in (GBP, GRADIENT))
    margin = stored.mean(f"that excess less {AS_CLEAR:g} of the Gradient's", own - AS_CLEAR * other)
    return all_of([_effect(GBP, stored), above(margin, 0.0)])


def _region(model: str, method: int, stored: Stored) -> Outcome:
    """More of the map lies in the region of the model's task than of an untrained model's map, and than by area."""
    region = stored.region_of(model)
    own = stored.share(method, stored.trained.index(model), region)
    chance = np.maximum(stored.share(method, None, region), stored.area(region))
    what = f"share of {stored.methods[method]} in the {stored.regions[region]} less that by area or without training"
    return above(stored.mean(what, own - chance), 0.0)


def _both_images(model: str | None, stored: Stored) -> Outcome:
    """About half of the map lies in either image, whatever the method."""
    if model is not None and model not in stored.trained:
        return NOT_COMPUTED
    place = None if model is None else stored.trained.index(model)
    shares = {title: stored.share(method, place, 0) for method, title in enumerate(stored.methods)}
    return all_of(between(stored.mean(f"share of {title}", share), 0.4, 0.6) for title, share in shares.items())


def _telling(
    study: str, where: str, about: tuple[str, ...] = ()
) -> tuple[tuple[Claim, Callable[[Stored], Outcome]], ...]:
    """The claims on Λ, equation 1, which the paper makes of every task."""
    what = {"half": "digits", "shapes": "digits with shapes", "pairs": "pairs of photographs"}[study]
    return (
        (
            Claim(
                f"{study} effect GBP",
                where,
                f"on {what}, Λ of Guided Backprop is not zero",
                _SEEN,
                about,
                "main result",
            ),
            partial(_effect, GBP),
        ),
        (
            Claim(f"{study} effect Gradient", where, f"on {what}, Λ of the Gradient is not zero", _SEEN, about),
            partial(_effect, GRADIENT),
        ),
        (
            Claim(
                f"{study} as clear",
                "section 4",
                f"on {what}, Guided Backprop tells the trained from the random model as clearly as the Gradient does",
                _SEEN,
                about,
                "main result",
            ),
            _as_clear,
        ),
    )


judge_half = judge(
    Stored,
    (
        Claim("digit accuracy", "section 4.1", "a CNN learns the digits", "near-perfect accuracy", (PAPER_DIGITS,)),
        partial(_accuracy, "digit", 0.98),
    ),
    (
        Claim("half accuracy", "section 4.1", "the CNN tells halved digits", "perfect accuracy", (PAPER_DIGITS,)),
        partial(_accuracy, "half", 0.995),
    ),
    (
        Claim(
            "digit difference",
            "section 4.1",
            "for Guided Backprop on a digit, the model trained on digits and a random one differ little",
            "approximately zero",
            (PAPER_DIGITS,),
            "main result",
        ),
        partial(_distance, "digit", below),
    ),
    (
        Claim(
            "half difference",
            "Figure 1",
            "for Guided Backprop on a digit, the model trained on halved digits and a random one differ much",
            "far from zero",
            (PAPER_DIGITS,),
            "main result",
        ),
        partial(_distance, "half", above),
    ),
    (
        Claim(
            "half farther",
            "section 4.1",
            "for Guided Backprop, the half-digit model is farther from a random one than the digit model is",
            "far from zero, and approximately zero",
            (PAPER_DIGITS,),
        ),
        _farther,
    ),
    *_telling("half", "section 4.1", (PAPER_DIGITS,)),
)

judge_shapes = judge(
    Stored,
    (
        Claim("shape accuracy", "section 4.2", "the CNN names the shape on a digit", "0.99", (PAPER_DIGITS,)),
        partial(_accuracy, "shape", 0.98),
    ),
    (
        Claim("digit on shapes accuracy", "section 4.2", "the CNN learns digits with shapes", "0.99", (PAPER_DIGITS,)),
        partial(_accuracy, "digit", 0.98),
    ),
    *(
        (
            Claim(
                f"shapes {region} {short}",
                "Figure 2",
                f"{title} of the model that names the {region} highlights the {region}",
                _SEEN,
                (PAPER_DIGITS,),
                "main result" if method == GBP else "result",
            ),
            partial(_region, region, method),
        )
        for short, title, method in (("GBP", "Guided Backprop", GBP), ("Gradient", "the Gradient", GRADIENT))
        for region in ("shape", "digit")
    ),
    *_telling("shapes", "Figure 2", (PAPER_DIGITS,)),
)

judge_pairs = judge(
    Stored,
    (
        Claim(
            "pair accuracy",
            "section 4.2",
            "a fine-tuned ResNet-18 learns the pairs",
            "test accuracy about 0.77",
            (*_TRAINED, PAPER_PAIRS),
        ),
        partial(_accuracy, "pairs", 0.72),
    ),
    *(
        (
            Claim(
                f"pairs region {short}",
                "Figure 3",
                f"{title} focuses on the image that decides",
                _SEEN,
                (*_TRAINED, PAPER_PAIRS),
                "main result" if method == GBP else "result",
            ),
            partial(_region, "pairs", method),
        )
        for short, title, method in (("GBP", "Guided Backprop", GBP), ("Gradient", "the Gradient", GRADIENT))
    ),
    (
        Claim("pairs random", "Figure 3", "a random model shows both images", _SEEN, _TRAINED),
        partial(_both_images, None),
    ),
    (
        Claim("pairs start", "Figure 3", "the pretrained model without fine-tuning shows both images", _SEEN, _TRAINED),
        partial(_both_images, "start"),
    ),
    *_telling("pairs", "Figure 3", (*_TRAINED, PAPER_PAIRS)),
)

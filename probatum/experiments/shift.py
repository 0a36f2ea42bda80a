"""Input-shift invariance: maps of two networks that compute the same function of shifted inputs should be equal."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from probatum.attributions import Gradient, InputXGradient, Method, attribute
from probatum.attributions.base import MethodsLike, named_methods
from probatum.engine import Extra, Output, PreparedModel, Targets, TargetsLike, Tick, all_logits, prepare, prepare_with
from probatum.errors import InvalidInput, UnknownName
from probatum.experiments.intervals import bootstrap_interval
from probatum.experiments.tables import Table
from probatum.models.shifted import require_equal, shift_of, shifted_network
from probatum.progress import Progress, shows_progress

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROUNDING = 1e-6  # relative difference of float64 maps that are equal
LEAST_IMAGES = 5  # that decide on a method with noise
NOISE_MARGIN = 0.25  # of the noise; a method whose difference may be larger is not called invariant
LEVEL = 0.99  # of the interval over images

Word = Literal["invariant", "not invariant", "undecided"]
INVARIANT, NOT_INVARIANT, UNDECIDED = get_args(Word)

CONTROLS: dict[str, tuple[Method, Word]] = {
    "gradient (control)": (Gradient(), INVARIANT),
    "input-x-gradient (control)": (InputXGradient(), NOT_INVARIANT),
}


@dataclass(frozen=True)
class ShiftVerdict:
    """The verdict on one method.

    Args:
        method: name.
        word: the verdict.
        reason: the numbers that decided, in words.
        difference: mean relative difference of the two maps over the live images; NaN where there is none.
        largest: of these differences.
        noise: mean relative difference of the maps of two seeds; NaN for a method without noise.
        live: images whose map is finite and not zero; the others take no part.
        images: how many there are.
    """

    method: str
    word: Word
    reason: str
    difference: float
    largest: float
    noise: float
    live: int
    images: int


@dataclass(frozen=True, eq=False, repr=False)
class ShiftResult:
    """The maps of two networks compared, where one computes the same function of inputs that are shifted.

    Args:
        methods: names, the controls last.
        image_names: one for each image.
        targets: (image,) the explained classes.
        shift: of each channel, or one number for all.
        differences: (method, image) ‖M₂(x + d) − M₁(x)‖ / ‖M₁(x)‖; NaN where M₁ is zero or a map is not finite.
        noise: (method, image) the same for M₁ under another seed; NaN for methods without noise.
    """

    methods: tuple[str, ...]
    image_names: tuple[str, ...]
    targets: tuple[int, ...]
    shift: tuple[float, ...]
    differences: Float[np.ndarray, "method image"]
    noise: Float[np.ndarray, "method image"]

    def __repr__(self) -> str:
        return "\n".join([str(self._table()), *self.broken])

    def _repr_html_(self) -> str:
        return self._table().to_html()

    def _table(self) -> Table:
        rows = [
            (each.method, each.word, f"{each.difference:.2g}", "" if np.isnan(each.noise) else f"{each.noise:.2g}",
             f"{each.live} of {each.images}")
            for each in self.verdicts.values()
        ]  # fmt: skip
        shift = ", ".join(f"{level:g}" for level in self.shift)
        title = f"Invariance to an input shift of {shift}: {len(self.image_names)} images"
        return Table(title, ("method", "verdict", "relative difference", "noise", "live"), rows)

    def to_pandas(self) -> Any:
        """One row for each method and image, as a `pandas.DataFrame`; InvalidInput where pandas is not installed."""
        rows = [
            (method, self.verdicts[method].word, image, float(self.differences[row, at]), float(self.noise[row, at]))
            for row, method in enumerate(self.methods)
            for at, image in enumerate(self.image_names)
        ]
        return Table("", ("method", "verdict", "image", "difference", "noise"), rows).to_pandas()

    def plot(self) -> "Figure":
        """Draws each method's mean relative difference beside its noise, as a matplotlib figure."""
        from probatum.report.results import shift_figure

        return shift_figure(self)

    @cached_property
    def verdicts(self) -> dict[str, ShiftVerdict]:
        """The verdict on each method, by name; see `shift_check`."""
        return {name: _verdict(name, self.differences[row], self.noise[row]) for row, name in enumerate(self.methods)}

    def verdict(self, method: str) -> ShiftVerdict:
        """The verdict on one method."""
        if method not in self.verdicts:
            raise UnknownName("method", method, self.verdicts)
        return self.verdicts[method]

    @property
    def broken(self) -> tuple[str, ...]:
        """The controls that did not come out as such; the check means nothing then."""
        return tuple(self._broken())

    def _broken(self) -> Iterator[str]:
        for name, (_, expected) in CONTROLS.items():
            found = self.verdicts[name]
            if found.word != expected:
                yield f"{name} is {expected} by construction, but was found {found.word}: {found.reason}"


def _verdict(method: str, differences: Float[np.ndarray, " image"], noise: Float[np.ndarray, " image"]) -> ShiftVerdict:
    """Reads one method's differences by the rules of `shift_check`."""
    live = np.isfinite(differences)
    count, stochastic = int(live.sum()), bool(np.isfinite(noise).any())
    if not count:
        reason = "no image has a map that is finite and not zero"
        return ShiftVerdict(method, UNDECIDED, reason, np.nan, np.nan, np.nan, 0, len(live))
    mean, most = float(differences[live].mean()), float(differences[live].max())
    level = float(noise[live].mean()) if stochastic else np.nan
    word, reason = _without_noise(most) if not stochastic else _with_noise(differences[live], noise[live])
    return ShiftVerdict(method, word, reason, mean, most, level, count, len(live))


def _without_noise(most: float) -> tuple[Word, str]:
    bound = f"the largest relative difference is {most:.2g}, bound {ROUNDING:g}"
    return (INVARIANT if most <= ROUNDING else NOT_INVARIANT), bound


def _with_noise(differences: Float[np.ndarray, " image"], noise: Float[np.ndarray, " image"]) -> tuple[Word, str]:
    if len(differences) < LEAST_IMAGES:
        return UNDECIDED, f"{len(differences)} images cannot tell a shift from noise; {LEAST_IMAGES} are the least"
    level = float(noise.mean())
    found = bootstrap_interval((differences - noise)[:, None], LEVEL)
    low, high = float(found.low), float(found.high)
    reason = f"difference less noise [{low:.2g}, {high:.2g}], noise {level:.2g}"
    if low > ROUNDING:
        return NOT_INVARIANT, reason
    if high <= max(NOISE_MARGIN * level, ROUNDING):
        return INVARIANT, f"{reason}: equal within noise"
    return UNDECIDED, f"{reason}; more images or more samples would decide"


@shows_progress
def shift_check(
    model: nn.Module,
    images: Tensor,
    targets: TargetsLike | None = None,
    *,
    methods: MethodsLike,
    shift: float | Sequence[float] = 1.0,
    seed: int = 0,
    image_names: Sequence[str] | None = None,
    output: Output | None = None,
    extra: Extra | None = None,
    memory_budget: int | str | None = None,
    progress: Progress | None = None,
) -> ShiftResult:
    """Tells for each method whether its maps stay the same when a constant is added to all inputs of the network.

        f₂(x + d) = f₁(x) for all x:    difference = ‖M(x + d; f₂) − M(x; f₁)‖ / ‖M(x; f₁)‖

    The second network differs from the first in the bias of its first linear or convolutional layer alone, which makes
    up for the shift exactly, at padded borders too; the equality of the logits is verified. Both compute in float64.

    1. A map that is zero or not finite takes no part.
    2. A method without noise is "invariant" where no relative difference exceeds 10⁻⁶, else "not invariant".
    3. Noise differs between x and x + d, so a method with noise is measured against itself under another seed. With at
       least 5 images, it is "not invariant" where the 99 % interval of difference less noise lies above 0, "invariant"
       where that interval ends below a quarter of the noise, and "undecided" otherwise.

    Two controls are added: the gradient, invariant by construction, and input × gradient, whose difference is
    ‖d ⊙ ∂f/∂x‖. Methods with a fixed reference point, such as Integrated Gradients from zero, are not invariant; those
    whose reference point moves with the input (baseline "mean") are.

    Source: Kindermans et al. (2017), arXiv:1711.00867, section 2.

    Args:
        model: any classifier; left as it is.
        images: (batch, channel, ...), preprocessed.
        targets: as in `attribute`; None is the model's predictions.
        methods: as in `attribute`.
        shift: d, in units of the preprocessed images: one number, or one for each channel.
        seed: of the methods' noise; the noise is measured with the next one.
        image_names: one for each image; numbers where not given.
        output: where the logits are in what the model returns, as in `engine.prepare`.
        extra: further inputs of the model, one row an image, as in `attribute`.
        memory_budget: as in `attribute`.
        progress: called with (points done, points in all, what is being explained).

    Returns:
        the differences (method, image) and the verdict on each method.

    Raises:
        InvalidInput: a shift that is none, names that repeat, or what the parts raise.
        ModelError: the first layer cannot make up for the shift, or what the parts raise.

    Differs from the paper: differences are numbers with a bound instead of pictures; noise is told from the shift.
    """
    named = named_methods(methods)
    if taken := set(CONTROLS) & set(named):
        raise InvalidInput(f"{', '.join(sorted(taken))} is the name of a control; give the method another")
    names = tuple(image_names or (f"image-{index:03d}" for index in range(len(images))))
    if len(names) != len(images) or len(set(names)) < len(names):
        raise InvalidInput(f"{len(set(names))} image names for {len(images)} images; give each its own")
    first = prepare(model, "float64", memory_budget=memory_budget, output=output, extra=extra)
    images = first.accept(images).double()
    first.require_extra(images)
    moved = shift_of(images, shift)
    second = prepare_with(shifted_network(first, images, moved), first.compute, output=output, extra=extra)
    logits = all_logits(first, images)
    require_equal(all_logits(second, images + moved), logits, first.name)
    aimed = Targets.of(images, logits.argmax(1) if targets is None else targets).classes
    every = named | {name: method for name, (method, _) in CONTROLS.items()}
    noisy = {name: method for name, method in every.items() if method.stochastic}

    def maps(prepared: PreparedModel, at: Tensor, of: Mapping[str, Method], seed: int, part: int, what: str) -> Any:
        tick = None if progress is None else _part(progress, part, 2 + bool(noisy), what)
        return attribute(prepared, at, aimed, of, seed=seed, progress=tick)

    plain = maps(first, images, every, seed, 0, "the model")
    shifted = maps(second, images + moved, every, seed, 1, "the shifted model")
    again = maps(first, images, noisy, seed + 1, 2, "the model, seed + 1") if noisy else {}
    nothing = np.full(len(images), np.nan)
    return ShiftResult(
        tuple(every),
        names,
        tuple(aimed.tolist()),
        tuple(moved.flatten(2)[0, :, 0].tolist()) if not isinstance(shift, (int, float)) else (float(shift),),
        np.stack([_relative(shifted[name], plain[name]) for name in every]),
        np.stack([_relative(again[name], plain[name]) if name in again else nothing for name in every]),
    )


def _relative(maps: Tensor, reference: Tensor) -> Float[np.ndarray, " image"]:
    """‖a − b‖ / ‖b‖ of each image; NaN where b is zero."""
    gap, size = (maps - reference).flatten(1).norm(dim=1), reference.flatten(1).norm(dim=1)
    found: np.ndarray = torch.where(size > 0, gap / size, torch.nan).cpu().numpy()
    return found


def _part(progress: Progress, part: int, parts: int, what: str) -> Tick:
    """The callback of one of several attributions, as a part of the progress of all."""
    return lambda done, total: progress(part * total + done, parts * total, what)

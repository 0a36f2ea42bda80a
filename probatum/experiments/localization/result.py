"""Results of the localization check, and the verdicts on them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from probatum.errors import UnknownName
from probatum.experiments.intervals import share_interval
from probatum.experiments.localization.grids import Grid
from probatum.experiments.tables import Table
from probatum.experiments.verdicts import INSENSITIVE_FROM, LEAST_IMAGES, ROUNDING, SENSITIVE_UP_TO
from probatum.models.disconnected import CELLS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SETTINGS = ("GridPG", "DiFull")
CHANCE = 1 / CELLS
LOCALIZES_FROM = CHANCE + INSENSITIVE_FROM * (1 - CHANCE)  # half of the way from chance to 1
NOT_UP_TO = CHANCE + SENSITIVE_UP_TO * (1 - CHANCE)  # a quarter of it

Word = Literal["localizes", "does not", "undecided"]
LOCALIZES, DOES_NOT, UNDECIDED = get_args(Word)


@dataclass(frozen=True)
class LocalizationVerdict:
    """The verdict on one method in one setting.

    Args:
        method: name.
        setting: "GridPG" or "DiFull".
        word: the verdict.
        reason: the rule and the numbers that decided, in words.
        share: mean share of the positive attribution that lies in the explained cell; NaN where there is none.
        low: lower end of its 95 % interval over images and rounds.
        high: upper end.
        outside: mean share of the absolute attribution that lies in the other cells.
        live: explanations with a positive attribution; the others take no part.
        explained: how many there are.
    """

    method: str
    setting: str
    word: Word
    reason: str
    share: float
    low: float
    high: float
    outside: float
    live: int
    explained: int


@dataclass(frozen=True, eq=False, repr=False)
class LocalizationResult:
    """The scores of a localization check.

    Args:
        methods: names.
        image_names: of the images that stand in grids.
        targets: (image,) their predicted classes.
        grids: of each round, each with the images of its cells.
        shares: (setting, method, image, round) the share of the positive attribution that lies in the cell of the
            image, where its class is explained; NaN where nothing is positive, and where an image is in no grid of the
            round.
        outside: (setting, method, image, round) the share of the absolute attribution that lies in the other cells.
        left_out: name of each image that was not used, and why.
        edges: name of the edge detector among the methods, the control that never uses the model.
        gradient: name of the gradient among them, the control that is exactly 0 outside of the cell in DiFull.
        maps: (setting, method, cell, tall, wide) those of the first grid for each explained cell, summed over channels.
    """

    methods: tuple[str, ...]
    image_names: tuple[str, ...]
    targets: tuple[int, ...]
    grids: tuple[tuple[Grid, ...], ...]
    shares: Float[np.ndarray, "setting method image round"]
    outside: Float[np.ndarray, "setting method image round"]
    left_out: tuple[tuple[str, str], ...]
    edges: str
    gradient: str
    maps: Float[np.ndarray, "setting method cell tall wide"] = field(repr=False)

    def __repr__(self) -> str:
        left = [f"{len(self.left_out)} images were left out: {name}: {why}" for name, why in self.left_out[:1]]
        return "\n".join([str(self._table()), *left, *self.broken])

    def _repr_html_(self) -> str:
        return self._table().to_html()

    def _table(self) -> Table:
        """The word on each method in each setting, and the numbers beside it."""
        columns = ["method"]
        for setting in SETTINGS:
            columns += [setting, "share", "low", "high", "outside"]
        rows = []
        for method in self.methods:
            row: list[Any] = [method]
            for setting in SETTINGS:
                each = self.verdict(method, setting)
                row += [each.word, each.share, each.low, each.high, f"{each.outside:.2g}"]
            rows.append(row)
        grids = sum(map(len, self.grids))
        title = f"Share of positive attribution in the explained cell, chance {CHANCE:g}: {grids} grids"
        return Table(f"{title} of {len(self.image_names)} images", columns, rows)

    def to_pandas(self) -> Any:
        """One row for each explanation, as a `pandas.DataFrame`; InvalidInput where pandas is not installed."""
        return Table("", COLUMNS, list(self.rows())).to_pandas()

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """One row for each image in a grid, method and setting, as `COLUMNS` names them."""
        for turn, grids in enumerate(self.grids):
            for number, grid in enumerate(grids):
                for cell, image in enumerate(grid):
                    for row, method in enumerate(self.methods):
                        for place, setting in enumerate(SETTINGS):
                            at = (place, row, image, turn)
                            where = (self.image_names[image], self.targets[image], method, setting, turn, number, cell)
                            yield *where, float(self.shares[at]), float(self.outside[at])

    def plot(self) -> "Figure":
        """Draws the shares of each method in both settings with their intervals, as a matplotlib figure."""
        from probatum.report.localization import shares_figure

        return shares_figure(self)

    @cached_property
    def verdicts(self) -> dict[tuple[str, str], LocalizationVerdict]:
        """The verdict on each method in each setting, by both names; see `localization_check`."""
        placed = np.zeros(self.shares.shape[2:], dtype=bool)
        for turn, grids in enumerate(self.grids):
            placed[[image for grid in grids for image in grid], turn] = True
        return {
            (method, setting): _verdict(method, setting, self.shares[place, row], self.outside[place, row], placed)
            for row, method in enumerate(self.methods)
            for place, setting in enumerate(SETTINGS)
        }

    def verdict(self, method: str, setting: str) -> LocalizationVerdict:
        """The verdict on one method in one setting."""
        if method not in self.methods:
            raise UnknownName("method", method, self.methods)
        if setting not in SETTINGS:
            raise UnknownName("setting", setting, SETTINGS)
        return self.verdicts[method, setting]

    @property
    def broken(self) -> tuple[str, ...]:
        """What was wrong with each control; the check means nothing then."""
        return tuple(self._broken())

    def _broken(self) -> Iterator[str]:
        row = self.methods.index(self.edges)
        for place, setting in enumerate(SETTINGS):
            shares = self.shares[place, row]
            means = np.array(
                [shares[list(grid), turn].mean() for turn, grids in enumerate(self.grids) for grid in grids]
            )
            if np.isfinite(means).any() and np.nanmax(np.abs(means - CHANCE)) > ROUNDING:
                yield (
                    f"{self.edges} never uses the model, so the cells of a grid share its map, but in {setting} their "
                    f"mean is {np.nanmean(means):.4g}, not {CHANCE:g}"
                )
        leak = self.outside[1, self.methods.index(self.gradient)]
        if np.isfinite(leak).any() and np.nanmax(leak) > 0:
            yield f"{self.gradient} is 0 outside of the cell in DiFull, but {np.nanmax(leak):.3g} of it lies there"


COLUMNS = ("image", "target", "method", "setting", "round", "grid", "cell", "share", "outside")


def _verdict(
    method: str,
    setting: str,
    shares: Float[np.ndarray, "image round"],
    outside: Float[np.ndarray, "image round"],
    placed: np.ndarray,
) -> LocalizationVerdict:
    """Reads one method's shares in one setting by the rules of `localization_check`."""
    live = np.isfinite(shares)
    images, count, explained = int(live.any(axis=1).sum()), int(live.sum()), int(placed.sum())
    exists = np.isfinite(outside)
    leak = float(outside[exists].mean()) if exists.any() else np.nan
    if not live.any():
        why = "no map is positive anywhere"
        return LocalizationVerdict(method, setting, UNDECIDED, why, np.nan, np.nan, np.nan, leak, count, explained)
    chances, ones = np.full(shares.shape, CHANCE), np.ones(len(shares))
    found = share_interval(shares, ones, chances)
    mean, low, high = (CHANCE + (1 - CHANCE) * value for value in (found.value, found.low, found.high))
    word, reason = _word(images, low, high)
    return LocalizationVerdict(method, setting, word, reason, mean, low, high, leak, count, explained)


def _word(images: int, low: float, high: float) -> tuple[Word, str]:
    if images < LEAST_IMAGES:
        return UNDECIDED, f"{images} images with a positive map decide nothing; {LEAST_IMAGES} are the least"
    interval = f"share [{low:.2f}, {high:.2f}], chance {CHANCE:g}, bounds {NOT_UP_TO:.2f} and {LOCALIZES_FROM:.2f}"
    if low >= LOCALIZES_FROM - ROUNDING:
        return LOCALIZES, interval
    if high <= NOT_UP_TO + ROUNDING:
        return DOES_NOT, interval
    if low >= NOT_UP_TO and high <= LOCALIZES_FROM:
        return UNDECIDED, f"localizes in part: {interval}"
    return UNDECIDED, f"{interval}; more images or rounds would decide"

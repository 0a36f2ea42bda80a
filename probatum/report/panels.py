"""From the arrays of a caller to the cells of a figure: checked, never rescaled."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, UInt8

from probatum.errors import InvalidInput, UnknownName
from probatum.report.layout import Cell
from probatum.report.style import LIMITS, MapStyle

Map: TypeAlias = Float[np.ndarray, "_ _"]
Picture: TypeAlias = (
    Float[np.ndarray, "_ _ 3"] | Float[np.ndarray, "_ _"] | UInt8[np.ndarray, "_ _ 3"] | UInt8[np.ndarray, "_ _"]
)
MapTable: TypeAlias = Sequence[Sequence[Map | None]] | Float[np.ndarray, "_ _ _ _"]

_ROUNDING = 1e-5  # how far a normalized value may lie outside its range: float32 arithmetic


def map_cell(values: Map, style: MapStyle, place: str) -> Cell:
    """A map as a cell; `place` names it in an error."""
    if style not in LIMITS:
        raise UnknownName("map style", style, LIMITS)
    lowest, highest = LIMITS[style]
    _check(values, place, lowest, highest, f"normalize an {style} map to [{lowest:g}, {highest:g}] first")
    return Cell(np.clip(values, lowest, highest), style)


def map_cells(panels: MapTable, style: MapStyle) -> list[list[Cell | None]]:
    """A table of maps as cells; None stays None."""
    return [
        [None if values is None else map_cell(values, style, f"panel ({r}, {c})") for c, values in enumerate(row)]
        for r, row in enumerate(panels)
    ]


def picture(values: Picture, place: str) -> Float[np.ndarray, "_ _ 3"]:
    """A photograph or digit as (height, width, 3) in [0, 1]; a gray one repeats its channel."""
    scaled = values / 255.0 if values.dtype == np.uint8 else values.astype(np.float64)
    _check(scaled, place, 0.0, 1.0, "give a picture as floats in [0, 1] or as uint8")
    scaled = np.clip(scaled, 0.0, 1.0)
    return np.repeat(scaled[..., None], 3, axis=-1) if scaled.ndim == 2 else scaled


def _check(values: np.ndarray, place: str, lowest: float, highest: float, way_out: str) -> None:
    """Raises InvalidInput for an empty array, NaN, and values outside a range."""
    if not values.size:
        raise InvalidInput(f"{place} is empty: its shape is {values.shape}")
    if np.isnan(values).any():
        raise InvalidInput(f"{place} holds NaN; give None for a map that could not be made")
    least, most = float(values.min()), float(values.max())
    if least < lowest - _ROUNDING or most > highest + _ROUNDING:
        raise InvalidInput(f"{place} has values from {least:.6g} to {most:.6g}; {way_out}")

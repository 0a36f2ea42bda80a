"""Maps as figures take them: a constant map shows nothing, and its cell is hatched in the figures of all papers."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float


def drawable(panels: Iterable[Float[np.ndarray, "height width"]]) -> list[np.ndarray | None]:
    """The maps of a row; None, drawn as a hatched cell, for a constant one."""
    return [None if values.min() == values.max() else values for values in panels]

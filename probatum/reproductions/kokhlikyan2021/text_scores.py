"""Token scores of the text experiments: how they are made, drawn and counted."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from probatum.report.boxes import Quantity
from probatum.report.tokens import TokenMap
from probatum.reproductions.base import joined
from probatum.reproductions.kokhlikyan2021.judging import some

QUALITY = ("infidelity", "max-sensitivity")
QUANTITIES: dict[str, Quantity] = {
    "cosine": "similarity",
    "spearman": "similarity",
    "euclidean": "distance",
    "infidelity": "magnitude",
    "max-sensitivity": "distance",
}
SCORES = "summed over their dimensions and scaled to length 1"
SCORED = "infidelity under noise of 0.03 (local) and removal of all words (global), max-sensitivity within ±0.02"


def token_map(
    tokens: Sequence[str], scores: Float[np.ndarray, " token"], quality: Float[np.ndarray, " metric"]
) -> TokenMap:
    """A sentence with the scores of its tokens, and below it their quality, in the order of `QUALITY`."""
    infidelity, sensitivity = quality
    return TokenMap(tuple(tokens), scores, f"infid. {infidelity:.2g}, max-sens. {sensitivity:.2g}")


def missing_note(arrays: Mapping[str, np.ndarray]) -> str:
    """How many comparisons had constant scores, and how many scores of quality are undefined; "" if none."""
    return joined(
        some(arrays["constant"] > 0, "comparisons had constant scores, left out"),
        some(np.isnan(arrays["quality"]), "infidelities and max-sensitivities are undefined"),
    )

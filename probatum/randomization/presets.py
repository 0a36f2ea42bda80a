"""The papers' randomisation protocols as data."""

from dataclasses import dataclass

from torch import nn

from probatum.errors import UnknownName
from probatum.randomization.initialisers import Initialiser, Moments, Normal, Reset, Xavier
from probatum.randomization.randomizer import Randomizer
from probatum.randomization.stages import StagePlan


@dataclass(frozen=True)
class Preset:
    """A randomisation protocol; `stages` and the seed are the caller's.

    Args:
        source: the paper.
        initialiser: how a parameter is re-drawn.
        order: in which order the stages are visited.
        batch_norm: what happens to running statistics.
        redraw: whether every step draws anew.
        trials: number of independent runs.
    """

    source: str
    initialiser: Initialiser
    order: str = "cascading"
    batch_norm: str = "keep-statistics"
    redraw: bool = False
    trials: int = 1

    def randomizer(self, model: nn.Module, plan: StagePlan, seed: int = 0) -> Randomizer:
        """Applies the protocol to a model."""
        return Randomizer(model, plan, self.initialiser, self.order, seed, self.batch_norm, self.redraw)


_ADEBAYO = "Adebayo et al. (2018), arXiv 1810.03292"

PRESETS: dict[str, Preset] = {
    "adebayo": Preset(_ADEBAYO, Reset()),
    "adebayo-independent": Preset(_ADEBAYO, Reset(), order="independent"),
    "wienecke": Preset("Wienecke & Hinrichs (2021)", Moments(), redraw=True),
    "shin": Preset("Shin & Nemeth (2021)", Normal(0.01)),
    "kokhlikyan": Preset("Kokhlikyan et al. (2021)", Xavier(), trials=10),
    "bottom-up": Preset("Binder et al. (2023)", Reset(), order="bottom-up"),
}


def preset(name: str) -> Preset:
    """Looks a protocol up by its name in `PRESETS`."""
    if name not in PRESETS:
        raise UnknownName("randomisation preset", name, PRESETS)
    return PRESETS[name]

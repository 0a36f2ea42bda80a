"""The papers' randomization protocols as data."""

from dataclasses import dataclass

from torch import nn

from probatum.errors import UnknownName
from probatum.randomization.initializers import Identity, Initializer, Moments, Normal, Reset, Xavier
from probatum.randomization.randomizer import Randomizer
from probatum.randomization.stages import StagePlan


@dataclass(frozen=True)
class Smoothing:
    """Smoothing of every method under test: its maps are averaged over noisy copies of the image.

    Args:
        samples: noise samples.
        noise_fraction: standard deviation of the noise, as a fraction of each image's range.
    """

    samples: int = 50
    noise_fraction: float = 0.1


@dataclass(frozen=True)
class Preset:
    """A randomization protocol; the caller chooses the stages and the seed.

    Args:
        source: the paper.
        initializer: how a parameter is re-drawn.
        order: in which order the stages are visited.
        batch_norm: "keep-statistics" or "reset-statistics", see `Randomizer`.
        redraw: True if every step re-draws all its stages.
        trials: number of independent randomizations.
        metrics: names of the protocol's metrics; None leaves the choice open.
        smoothing: of the methods under test; None for none.
    """

    source: str
    initializer: Initializer
    order: str = "cascading"
    batch_norm: str = "keep-statistics"
    redraw: bool = False
    trials: int = 1
    metrics: tuple[str, ...] | None = None
    smoothing: Smoothing | None = None

    def randomizer(self, model: nn.Module, plan: StagePlan, seed: int = 0) -> Randomizer:
        """Apply the protocol to a model."""
        return Randomizer(model, plan, self.initializer, self.order, seed, self.batch_norm, self.redraw)


_ADEBAYO = "Adebayo et al. (2018), arXiv 1810.03292"
_HEDSTROM = "Hedström et al. (2024), arXiv 2401.06465"

PRESETS: dict[str, Preset] = {
    "adebayo": Preset(_ADEBAYO, Reset()),
    "adebayo-independent": Preset(_ADEBAYO, Reset(), order="independent"),
    "wienecke": Preset("Wienecke & Hinrichs (2021)", Moments(), redraw=True),
    "shin": Preset("Shin & Nemeth (2021)", Normal(0.01)),
    "kokhlikyan": Preset("Kokhlikyan et al. (2021)", Xavier(), trials=10),
    # Binder et al. show that randomizing from the output down does not change the activations below, which limits how
    # far maps can change. From the input up, the first step already changes all activations.
    "bottom-up": Preset("Binder et al. (2023), arXiv 2211.12486", Reset(), order="bottom-up"),
    # The numbers are those of the authors' own code for ImageNet.
    "smprt": Preset(_HEDSTROM, Reset(), order="bottom-up", smoothing=Smoothing()),
    "emprt": Preset(_HEDSTROM, Reset(), order="full", metrics=("entropy-rise",)),
    "random-logit": Preset("Sixt et al. (2020), arXiv 1912.09818", Identity(), order="logit"),
}


def preset(name: str) -> Preset:
    """Look up a protocol by its name in `PRESETS`."""
    if name not in PRESETS:
        raise UnknownName("randomization preset", name, PRESETS)
    return PRESETS[name]

"""The other libraries, called as their users call them; each is imported only where it is measured."""

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Rival:
    """A library to compare with.

    Args:
        name: as in tables.
        distribution: what pip installs.
        package: what is imported.
    """

    name: str
    distribution: str
    package: str

    @property
    def installed(self) -> bool:
        """True if it can be imported here."""
        return importlib.util.find_spec(self.package) is not None


CAPTUM = Rival("Captum", "captum", "captum")
QUANTUS = Rival("Quantus", "quantus", "quantus")
GRAD_CAM = Rival("pytorch-grad-cam", "grad-cam", "pytorch_grad_cam")
PAIR = Rival("PAIR saliency", "saliency", "saliency")
ZENNIT = Rival("Zennit", "zennit", "zennit")
RIVALS = {rival.distribution: rival for rival in (CAPTUM, QUANTUS, GRAD_CAM, PAIR, ZENNIT)}


def absent(rivals: Iterable[Rival]) -> list[str]:
    """A line for each rival that is not installed."""
    return [
        f"{rival.name} is not installed and was left out; `pip install {rival.distribution}` brings it in"
        for rival in rivals
        if not rival.installed
    ]

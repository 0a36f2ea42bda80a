"""The papers that can be reproduced, by name."""

from probatum.reproductions import adebayo2018, kokhlikyan2021, shin2021, transformers, wienecke2021, yona2021
from probatum.reproductions.base import Paper

_ALL: tuple[Paper, ...] = (
    adebayo2018.PAPER,
    kokhlikyan2021.PAPER,
    shin2021.PAPER,
    wienecke2021.PAPER,
    yona2021.PAPER,
    transformers.PAPER,
)

PAPERS: dict[str, Paper] = {paper.name: paper for paper in _ALL}

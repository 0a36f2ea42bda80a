"""The papers that can be reproduced, by name."""

from probatum.reproductions.base import Paper

_ALL: tuple[Paper, ...] = ()

PAPERS: dict[str, Paper] = {paper.name: paper for paper in _ALL}

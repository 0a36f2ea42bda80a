"""The maps of a page with everything that its script shows beside them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from probatum.errors import InvalidInput
from probatum.maps import get_reduction
from probatum.report.html.pictures import PREFIX, DataURI, photograph, sheet
from probatum.report.style import MapStyle

STYLES: tuple[MapStyle, ...] = ("abs-normalized", "diverging")
_STYLE_TITLES = {"abs-normalized": "absolute", "diverging": "signed"}
_PICTURE_SIDE, _THUMBNAIL_SIDE = 224, 72
_LARGE_PICTURES = 24
SHOWN_PICTURES = 60  # images with a thumbnail and details of their own


@dataclass(frozen=True)
class Explorer:
    """The map browser.

    Args:
        methods: titles.
        controls: whether each is a control.
        stages: titles of the maps of a method, the trained model first.
        images: name, title and picture of each image that is shown.
        metrics: titles of the scores.
        side: pixels of a map's longer side in the page.
        original_side: in the run.
        left_out: images whose maps did not fit.
        data: for the script.
    """

    methods: list[str]
    controls: list[bool]
    stages: list[str]
    images: list[dict[str, Any]]
    metrics: list[str]
    side: int
    original_side: int
    left_out: int
    data: dict[str, Any] = field(repr=False)

    @property
    def pixelated(self) -> bool:
        """True if maps are so small that they are enlarged without smoothing."""
        return self.original_side <= 64

    @property
    def styles(self) -> list[tuple[str, str]]:
        """Name and meaning of the map styles."""
        return [(_STYLE_TITLES[style], get_reduction(style).title) for style in STYLES]

    def map(self, method: int, stage: int) -> DataURI | None:
        """The first image's absolute map, shown before the script runs."""
        body = self.data["maps"][0][0][method][stage]
        return None if body is None else DataURI(PREFIX + body)


def explorer(
    *,
    methods: Sequence[str],
    controls: Sequence[bool],
    stages: Sequence[str],
    images: Sequence[dict[str, Any]],
    metrics: Sequence[str],
    read: Callable[[int], Sequence[np.ndarray]],
    values: Sequence[Any] = (),
) -> Explorer | None:
    """Gathers the map browser; None where no maps were kept.

    Args:
        methods: titles.
        controls: whether each is a control.
        stages: titles of the maps of a method.
        images: with "name", "title" and "picture", those whose maps were kept.
        metrics: titles of the scores.
        read: the maps of an image by its number, for each method (stage, channel, height, width).
        values: for each image, method and stage but the first what to tell of it, see `data.values` in the script.
    """
    if not images:
        return None

    def checked(number: int) -> Sequence[np.ndarray]:
        maps = read(number)
        for title, one in zip(methods, maps, strict=True):
            if one.ndim != 4 or len(one) != len(stages) or 0 in one.shape or not np.issubdtype(one.dtype, np.floating):
                raise InvalidInput(f"the maps of {title} for image {number} have shape {one.shape}")
        return maps

    pages = sheet(len(images), checked, STYLES)
    shown = list(images[: len(pages.maps)])
    return Explorer(
        list(methods),
        list(controls),
        list(stages),
        shown,
        list(metrics),
        pages.side,
        pages.original_side,
        pages.left_out,
        {
            "prefix": DataURI(PREFIX),
            "methods": list(methods),
            "stages": list(stages),
            "images": [{"title": image["title"], "name": image["name"]} for image in shown],
            "styles": [_STYLE_TITLES[style] for style in STYLES],
            "metrics": list(metrics),
            "maps": [
                [
                    [[None if m is None else DataURI(m.removeprefix(PREFIX)) for m in row] for row in rows]
                    for rows in page
                ]
                for page in pages.maps
            ],
            "values": list(values)[: len(shown)],
        },
    )


def pictures_of(pictures: np.ndarray | None, kept: int) -> list[DataURI]:
    """A picture for each image: larger where its maps are shown, a thumbnail for some more."""
    if pictures is None:
        return []
    large = min(kept, _LARGE_PICTURES)
    return [
        photograph(values, _PICTURE_SIDE if number < large else _THUMBNAIL_SIDE)
        for number, values in enumerate(pictures[:SHOWN_PICTURES])
    ]

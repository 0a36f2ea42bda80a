"""The sanity card of a run for the README of its model: the verdicts as JSON, and a badge as SVG."""

import html
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probatum.attributions import is_control, title_of
from probatum.experiments import Judgement, Run, judge
from probatum.experiments.frozen import FrozenVerdict
from probatum.experiments.verdicts import INSENSITIVE, SENSITIVE, UNDECIDED
from probatum.runs.files import write_json
from probatum.storage import write_whole

LABEL = "sanity check"
LABEL_COLOR, GOOD, OPEN, BAD, BROKEN = "#3a3f44", "#1a6e48", "#7a5200", "#a8321d", "#5a5f66"  # under white text

_HEIGHT, _SIZE, _PADDING = 20, 11, 7.0  # pixels
_NARROW, _WIDE = 3.6, 9.5  # pixels of a letter at this size, of a common sans serif; the others are 6.4 wide
_USUAL = 6.4


@dataclass(frozen=True)
class Badge:
    """Two words side by side.

    Args:
        message: on the right.
        color: of its background.
    """

    message: str
    color: str

    def svg(self) -> str:
        """The picture, with a text alternative; the letters are stretched to the width that is reserved for them."""
        left, right = (_width(text) + 2 * _PADDING for text in (LABEL, self.message))
        name = html.escape(f"{LABEL}: {self.message}")
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right:.0f}" height="{_HEIGHT}" role="img" '
            f'aria-label="{name}"><title>{name}</title>'
            f'<clipPath id="r"><rect width="{left + right:.0f}" height="{_HEIGHT}" rx="3"/></clipPath>'
            f'<g clip-path="url(#r)"><rect width="{left:.0f}" height="{_HEIGHT}" fill="{LABEL_COLOR}"/>'
            f'<rect x="{left:.0f}" width="{right:.0f}" height="{_HEIGHT}" fill="{self.color}"/></g>'
            f'<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="{_SIZE}">'
            f"{_text(LABEL, _PADDING)}{_text(self.message, left + _PADDING)}</g></svg>\n"
        )


def badge_of(judgement: Judgement) -> Badge:
    """How many methods have which verdict; the color is that of the worst. Controls are not counted."""
    if judgement.broken:
        return Badge("control failed", BROKEN)
    words = [summary.word for name, summary in judgement.summaries.items() if not is_control(name)]
    counts = Counter(words)
    named = [f"{counts[word]} {word}" for word in (SENSITIVE, INSENSITIVE, UNDECIDED) if counts[word]]
    color = BAD if counts[INSENSITIVE] else OPEN if counts[UNDECIDED] else GOOD
    return Badge(", ".join(named) or "no methods", color)


def write_card(run: Run, folder: Path) -> list[Path]:
    """Writes `sanity-card.json` and `sanity-card.svg` into a folder, which is made where there is none.

    Args:
        run: a finished check.
        folder: of the card.

    Returns:
        the two files.
    """
    judgement = judge(run.result)
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "sanity-card.json", folder / "sanity-card.svg"]
    write_json(files[0], _card(run.config, judgement))
    write_whole(files[1], badge_of(judgement).svg().encode())
    return files


def _card(config: Mapping[str, Any], judgement: Judgement) -> dict[str, Any]:
    return {
        "badge": badge_of(judgement).message,
        "model": {name: config["model"][name] for name in ("title", "weights_sha256")},
        "data": {"name": config["data"]["name"], "images": judgement.images},
        "randomization": {name: config["randomization"][name] for name in ("preset", "order", "trials", "seed")},
        "stage": judgement.stages[-1],
        "verdicts": {
            name: {
                "title": title_of(name),
                "control": is_control(name),
                **vars(FrozenVerdict.of(summary)),
                "reason": summary.reason,
            }
            for name, summary in judgement.summaries.items()
        },
        "notes": list(judgement.notes),
        "broken": list(judgement.broken),
        "software": config["software"],
    }


def _text(text: str, x: float) -> str:
    return f'<text x="{x:.1f}" y="14" textLength="{_width(text):.1f}">{html.escape(text)}</text>'


def _width(text: str) -> float:
    """Approximate width of a text in pixels."""
    return sum(_NARROW if sign in " ,.:;iljtfr'" else _WIDE if sign in "mwMW" else _USUAL for sign in text)

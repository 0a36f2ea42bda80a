"""Draws the two diagrams of "How the engine works" as SVG: the rooms of the package, and one call of `attribute`.

    python docs/make_diagrams.py

They are narrow, so that their type can be read on a phone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

FOLDER = Path(__file__).parent / "figures"
WIDTH, MARGIN, GAP = 440, 10, 10
INK, FAINT, LINE, FILL = "#222222", "#555555", "#00796b", "#e0f2f1"

LAYERS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("cli", "the command"),),
    (("terminal", "options, messages"),),
    (("reproductions", "papers, claims"), ("benchmarks", "speed, rivals"), ("conformance", "laws")),
    (("report", "figures and pages"),),
    (("experiments", "checks, comparisons, verdicts"),),
    (("runs", "folders that resume"),),
    (
        *(("attributions", "a method a file"), ("randomization", "random weights"), ("metrics", "similarity, quality")),
        *(("maps", "reductions"), ("models", "networks, stages"), ("data", "images, sentences")),
    ),
    (("engine", "points, chunks, passes, rules"),),
)
"""Rooms from the top down, with a few words on each; a room imports from the layers below its own alone."""

STEPS = (
    ("1  Request", ("Each method says at which points it needs", "what: gradients, layers, logits.")),
    ("2  Plan", ("Equal chains of points are merged. Here Gradient", "and Guided Backprop share the image itself.")),
    ("3  Chunk", ("Points are made as they are needed, as many", "rows at once as the memory budget holds.")),
    ("4  Forward, once", ("Rules see each call of a torch function.", "Layers that are asked for are kept.")),
    ("5  Backward", ("One pass for the plain gradient, and one", "for each rule.")),
    ("6  Value and sum", ("Each method's formula, point by point; sums", "by image, so that memory does not grow.")),
    ("7  Check", ("Maps are finite, and complete where the", "method promises it. Else: an error that says why.")),
)
"""What happens in a call of `attribute`, in order."""


@dataclass(frozen=True)
class Canvas:
    """An SVG picture of a fixed width that grows downward."""

    parts: list[str]

    def box(self, x: float, y: float, width: float, height: float, fill: str = FILL) -> None:
        """A rounded box."""
        place = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
        self.parts.append(f'<rect {place} rx="5" fill="{fill}" stroke="{LINE}"/>')

    def text(self, x: float, y: float, words: str, *, size: float = 13, kind: str = "plain") -> None:
        """A line of text, centered where `kind` says so."""
        self.parts.append(f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" class="{kind}">{escape(words)}</text>')

    def arrow(self, x: float, y: float, length: float) -> None:
        """An arrow downward."""
        self.parts.append(f'<path d="M{x:g} {y:g}v{length - 4:g}" stroke="{LINE}" marker-end="url(#head)"/>')

    def written(self, height: float, title: str) -> str:
        """The picture as text."""
        style = (
            "text{font-family:Helvetica,Arial,sans-serif;fill:" + INK + "}"
            ".room{font-family:Menlo,Consolas,monospace;font-weight:bold;text-anchor:middle}"
            ".under{fill:" + FAINT + ";text-anchor:middle}.step{font-weight:bold}.beside{fill:" + FAINT + "}"
        )
        head = (
            '<marker id="head" markerWidth="8" markerHeight="8" refX="2" refY="4" orient="auto">'
            f'<path d="M0 0L6 4L0 8z" fill="{LINE}"/></marker>'
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" role="img">'
            f"<title>{escape(title)}</title><style>{style}</style><defs>{head}</defs>\n"
            + "\n".join(self.parts)
            + "\n</svg>\n"
        )


def house(layers: Sequence[Sequence[tuple[str, str]]]) -> str:
    """Boxes for the rooms of each layer, at most three beside each other, and arrows to the layer below."""
    canvas, height, y = Canvas([]), 50, MARGIN
    for layer in layers:
        if y > MARGIN:
            canvas.arrow(WIDTH / 2, y + 2, 16)
            y += 20
        columns = min(3, len(layer))
        width = (WIDTH - 2 * MARGIN - GAP * (columns - 1)) / columns
        for number, (room, what) in enumerate(layer):
            x, top = MARGIN + number % 3 * (width + GAP), y + number // 3 * (height + GAP)
            canvas.box(x, top, width, height)
            canvas.text(x + width / 2, top + 21, room, size=14, kind="room")
            canvas.text(x + width / 2, top + 39, what, size=12, kind="under")
        y = top + height
    return canvas.written(y + MARGIN, "The rooms of probatum, from the command line down to the engine")


def call(steps: Sequence[tuple[str, Sequence[str]]]) -> str:
    """A box for each step, with a small drawing of the points beside it."""
    canvas, height, y = Canvas([]), 68, MARGIN
    for number, (title, lines) in enumerate(steps):
        if number:
            canvas.arrow(60, y - 14, 12)
        canvas.box(MARGIN, y, WIDTH - 2 * MARGIN, height, "#ffffff")
        _pictogram(canvas, number, y)
        canvas.text(125, y + 20, title, size=14, kind="step")
        for line, words in enumerate(lines):
            canvas.text(125, y + 39 + 17 * line, words, size=12.5, kind="beside")
        y += height + 16
    return canvas.written(y - 16 + MARGIN, "One call of attribute, from requests to checked maps")


def _pictogram(canvas: Canvas, step: int, y: float) -> None:
    """What there is at a step: methods, images, rows of points, passes, sums, maps."""
    middle = y + 34
    if step == 0:
        for row in range(3):
            canvas.box(24, y + 11 + 17 * row, 80, 13)
            canvas.text(64, y + 21 + 17 * row, ("gradient", "guided", "smoothgrad")[row], size=10, kind="under")
    elif step == 1:
        canvas.box(24, middle - 16, 22, 32)
        canvas.text(35, middle + 4, "x", kind="under")
        canvas.box(54, middle - 16, 52, 32)
        canvas.text(80, middle + 4, "x + noise", size=10, kind="under")
    elif step == 2:
        for row in range(4):
            for column in range(5):
                canvas.box(28 + 15 * column, y + 9 + 13 * row, 12, 10, FILL if row < 2 else "#ffffff")
    elif step in (3, 4):
        for layer in range(4):
            canvas.box(28 + 20 * layer, middle - 16 + 3 * layer, 12, 32 - 6 * layer)
        left, right = (28, 100) if step == 3 else (100, 28)
        canvas.parts.append(
            f'<path d="M{left} {middle + 24:g}H{right + (-4 if step == 3 else 4)}" stroke="{LINE}" '
            'marker-end="url(#head)"/>'
        )
    elif step == 5:
        canvas.text(64, middle + 12, "Σ", size=34, kind="under")
    else:
        for column in range(3):
            canvas.box(26 + 27 * column, middle - 11, 22, 22)
        canvas.text(64, middle + 28, "✓", size=13, kind="under")


def drawn() -> dict[str, str]:
    """File name and text of each picture."""
    return {"engine-rooms.svg": house(LAYERS), "engine-call.svg": call(STEPS)}


def main() -> None:
    """Writes both."""
    for name, text in drawn().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

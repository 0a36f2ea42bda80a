"""Colored tokens: the sign is readable without color, and no token is markup."""

from html.parser import HTMLParser

import numpy as np
import pytest
from canvas import HOSTILE, assert_nothing_overlaps, words
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.patches import Rectangle
from rich.console import Console

from probatum.errors import InvalidInput
from probatum.report.save import save_figure
from probatum.report.tokens import TokenMap, tokens_figure, tokens_html, tokens_page, tokens_text


def token_map(*pairs, note=""):
    return TokenMap(tuple(token for token, _ in pairs), np.array([score for _, score in pairs]), note)


GOOD = token_map(("[CLS]", 0.0), ("a", -0.05), ("fine", 0.5), ("mess", -1.0), note="(negative 0.93)")


class Spans(HTMLParser):
    """Every tag, and the attributes and text of the spans."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags, self.spans, self.inside = [], [], False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "span":
            self.spans.append([dict(attrs), ""])
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "span"

    def handle_data(self, data):
        if self.inside:
            self.spans[-1][1] += data


def luminance(color):
    channels = np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_colors_follow_the_scores():
    zero, faint, positive, negative = GOOD.colors()
    assert zero == "#ffffff"
    red, green, blue = (int(negative[place : place + 2], 16) for place in (1, 3, 5))
    assert red > max(green, blue)
    red, green, _ = (int(positive[place : place + 2], 16) for place in (1, 3, 5))
    assert green > red
    assert luminance(faint) > luminance(negative)
    # The ink #1a1a1a keeps the contrast of 4.5 that WCAG asks of text, also on the full colors.
    for color in token_map(("x", 1.0), ("y", -1.0)).colors():
        assert (luminance(color) + 0.05) / (luminance("#1a1a1a") + 0.05) > 4.5
    assert token_map(("x", 0.0)).colors() == ["#ffffff"]


def test_html_shows_scores_and_signs():
    spans = Spans(tokens_html({"row": [GOOD]}, ["column"], "protocol")).spans
    assert [text for _, text in spans] == ["[CLS]", "a", "fine", "mess"]
    assert [attributes["title"] for attributes, _ in spans] == ["+0", "-0.05", "+0.5", "-1"]
    assert ["underline" in attributes["style"] for attributes, _ in spans] == [False, True, False, True]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=8), min_size=1, max_size=4), st.text(max_size=12))
def test_no_token_is_markup(tokens, title):
    tokens = [*tokens, "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "\x1b[31m\u202e"]
    shown = token_map(*((token, 1.0) for token in tokens), note=title)
    page = tokens_page(title, tokens_html({title: [shown]}, [title], title))
    page.encode("utf-8")
    found = Spans(page)
    assert set(found.tags) <= {
        "html",
        "head",
        "meta",
        "title",
        "body",
        "main",
        "h1",
        "table",
        "thead",
        "tbody",
        "tr",
        "td",
        "th",
        "span",
        "p",
    }
    assert len(found.spans) == len(tokens)
    assert all(set(attributes) == {"title", "style"} for attributes, _ in found.spans)
    assert found.spans[-3][1] == "<script>alert(1)</script>"
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_the_terminal_shows_the_sign_without_color():
    hostile = token_map(("good", 1.0), ("[red]bad[/red]", -0.5), ("\x1b[31m", 0.1), note="(p)")
    line = tokens_text(hostile)
    assert line.plain == "good [red]bad[/red] \ufffd[31m (p)"
    underlined = [span for span in line.spans if span.style.underline]
    assert [line.plain[span.start : span.end] for span in underlined] == ["[red]bad[/red]"]
    console = Console(file=open("/dev/null", "w"), record=True, force_terminal=True, color_system="truecolor")  # noqa: SIM115
    with console.file:
        console.print(line)
    assert "[red]bad[/red]" in console.export_text()


def test_the_figure_holds_every_token_and_breaks_lines():
    many = token_map(*((f"word{number}", (-1.0) ** number) for number in range(40)), note="(negative 0.93)")
    figure = tokens_figure({"trained": [GOOD, many], "classifier": [many, GOOD]}, ["IG", "gradient"], "protocol")
    shown = words(figure)
    assert shown.count("fine") == 2
    assert all(shown.count(f"word{number}") == 2 for number in range(40))
    boxes = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert len(boxes) == 2 * (4 + 40)
    assert max(box.get_x() + box.get_width() for box in boxes) <= figure.get_figwidth()
    assert len({round(box.get_y(), 3) for box in boxes}) > 4
    assert_nothing_overlaps(figure)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_covers_anything(hostile):
    shown = token_map(("a", 0.1), (hostile, -1.0), ("b", 0.3), note=hostile)
    figure = tokens_figure({hostile: [shown, GOOD], "second": [GOOD, shown]}, [hostile, "c"], hostile)
    assert_nothing_overlaps(figure)


def test_the_same_figure_has_the_same_bytes(tmp_path):
    first, second = (save_figure(tokens_figure({"r": [GOOD]}), tmp_path / name)[0].read_bytes() for name in "ab")
    assert first == second


def test_impossible_tables_are_refused():
    for rows, titles in [
        ({}, ()),
        ({"a": []}, ()),
        ({"a": [GOOD], "b": [GOOD, GOOD]}, ()),
        ({"a": [GOOD]}, ("x", "y")),
    ]:
        for draw in (tokens_figure, tokens_html):
            with pytest.raises(InvalidInput):
                draw(rows, titles)
    with pytest.raises(InvalidInput):
        token_map(("a", float("nan")))
    with pytest.raises(InvalidInput):
        TokenMap(("a", "b"), np.zeros(1))

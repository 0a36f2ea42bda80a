"""Text as it can be drawn: cleaned, measured, broken, shortened."""

import pytest
from canvas import HOSTILE
from hypothesis import given, settings
from hypothesis import strategies as st

from probatum.report.text import clean, fits, height, longest, shorten, width, wrap


def test_clean():
    assert clean("  a\n\tb ") == "a b"
    assert clean("日\x00本\u202e_$\ud800") == "\ufffd\ufffd_$"
    assert clean("Gradient ⊙ Input, σ = 0.15, −1") == "Gradient ⊙ Input, σ = 0.15, −1"


def test_width_grows_with_size_and_length():
    assert width("", 7.0) == 0
    assert width("Gradient", 14.0) == pytest.approx(2 * width("Gradient", 7.0), rel=1e-12)
    assert width("Gradients", 7.0) > width("Gradient", 7.0)
    assert height("a\nb", 7.0) == pytest.approx(2 * height("a", 7.0))
    assert longest("a\nbbb", 7.0) == width("bbb", 7.0)


@settings(max_examples=40, deadline=None)
@given(text=st.text(max_size=60) | st.sampled_from(HOSTILE), limit=st.floats(0.3, 2.0), lines=st.integers(1, 3))
def test_wrapped_text_fits_and_loses_nothing_without_saying_so(text, limit, lines):
    rows = wrap(text, limit, 7.0, lines).split("\n")
    assert len(rows) <= lines
    assert all(width(row, 7.0) <= limit for row in rows)
    whole = "".join("".join(rows).split()) == "".join(clean(text).split())
    assert whole == fits(text, limit, 7.0, lines)
    assert whole or any("…" in row for row in rows)


def test_shortening_keeps_both_ends_and_as_much_as_fits():
    name = "encoder.layer.11"
    short = shorten(name, 0.6, 7.0)
    head, tail = short.split("…")
    assert name.startswith(head)
    assert name.endswith(tail)
    assert head
    assert tail
    wider = name[: len(head) + 1] + "…" + name[len(name) - len(tail) :]
    assert width(wider, 7.0) > 0.6 >= width(short, 7.0)
    assert shorten(name, 5.0, 7.0) == name


@pytest.mark.parametrize(
    ("text", "limit", "lines", "expected"),
    [
        ("Guided Grad-CAM", 0.65, 2, "Guided\nGrad-CAM"),  # at the space, though more would fit up to the hyphen
        ("IG-SmoothGrad", 0.62, 2, "IG-\nSmoothGrad"),
        ("soft-coated wheaten terrier", 0.85, 2, "soft-coated\nwheaten terrier"),
        ("bert.encoder.layer.11", 0.75, 2, "bert.encoder.\nlayer.11"),
        ("a - b", 0.2, 3, "a -\nb"),
    ],
)
def test_where_lines_end(text, limit, lines, expected):
    assert wrap(text, limit, 7.0, lines) == expected

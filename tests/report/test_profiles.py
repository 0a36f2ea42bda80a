"""Panels of profiles: what is drawn where, titles that fit, refusals."""

import numpy as np
import pytest
from canvas import HOSTILE, assert_nothing_overlaps, words

from probatum.errors import InvalidInput
from probatum.report.profiles import Profile, profiles_figure

OFFSETS = np.linspace(-1, 1, 11)


def panels(count, lines=3, note="infidelity 1.0e-04\nmax-sensitivity 0.3"):
    values = np.random.default_rng(0).normal(size=(count, lines, 11))
    return {f"network {number}": Profile(values[number], note) for number in range(count)}


def test_lines_go_through_the_middle():
    table = panels(4)
    figure = profiles_figure(table, OFFSETS, ["a", "b", "c"], axis_title="change", value_title="logit", caption="note")
    drawn = [axes for axes in figure.axes if axes.get_label().startswith("profile")]
    assert len(drawn) == 4
    for axes, panel in zip(drawn, table.values(), strict=True):
        curves = [line for line in axes.get_lines() if len(line.get_xdata()) == 11]
        for curve, values in zip(curves, panel.values, strict=True):
            np.testing.assert_array_equal(curve.get_ydata(), values - values[5])
    assert {"change", "logit", "note", "a", "b", "c", "network 3"} <= set(words(figure))
    assert_nothing_overlaps(figure)


@pytest.mark.parametrize("count", [1, 3, 4])
def test_titles_of_any_kind_fit(count):
    table = {HOSTILE[number] + str(number): panel for number, panel in enumerate(panels(count).values())}
    figure = profiles_figure(table, OFFSETS, HOSTILE[:3], axis_title=HOSTILE[2], value_title=HOSTILE[2], caption="c")
    assert_nothing_overlaps(figure)


def test_what_is_no_profile_is_refused():
    options = {"axis_title": "x", "value_title": "y"}
    with pytest.raises(InvalidInput, match="at least one panel"):
        profiles_figure({}, OFFSETS, ["a"], **options)
    with pytest.raises(InvalidInput, match="shape"):
        profiles_figure(panels(1), OFFSETS, ["a"], **options)
    with pytest.raises(InvalidInput, match="finite"):
        profiles_figure({"a": Profile(np.full((1, 11), np.nan))}, OFFSETS, ["a"], **options)

"""A contest judges before it times, goes on without a rival that fails, and stops where probatum fails."""

import math

import pytest

from probatum.benchmarks.contest import Arena, Contestant
from probatum.benchmarks.timing import Stopwatch


def arena(**how):
    return Arena(Stopwatch(least=0.0), **how)


def fail():
    raise ValueError("it has\nno such layer")


def test_entries_carry_the_error_and_one_window_a_round():
    done = []
    contestants = [
        Contestant("probatum", lambda: done.append("work"), judge=lambda: done.append("judge") or 0.5, maps=3),
        Contestant("Captum", lambda: None, "defaults", lambda: math.nan, note="a note"),
    ]
    (ours, captum), lines = arena().compete("a contest", contestants, rounds=4)
    assert lines == []
    assert done[0] == "judge"
    assert (ours.error, ours.maps, len(ours.seconds)) == (0.5, 3, 4)
    assert (captum.name, captum.error, captum.note, len(captum.seconds)) == ("Captum, defaults", None, "a note", 4)


def test_a_rival_that_fails_is_named_and_left_out():
    contestants = [Contestant("probatum", lambda: None), Contestant("Captum", fail), Contestant("PAIR", int, "", fail)]
    entries, lines = arena(rounds=1).compete("a contest", contestants, rounds=9)
    assert [(entry.who, len(entry.seconds)) for entry in entries] == [("probatum", 1)]
    assert lines == [
        "a contest: Captum failed: ValueError: it has no such layer",
        "a contest: PAIR failed: ValueError: it has no such layer",
    ]


@pytest.mark.parametrize("who", ["probatum", "bare"])
def test_what_fails_here_is_raised(who):
    with pytest.raises(ValueError, match="no such layer"):
        arena().compete("a contest", [Contestant(who, fail)], rounds=1)


def test_long_work_is_done_once_a_round():
    done = []
    arena().compete("a contest", [Contestant("probatum", lambda: done.append(1), long=True)], rounds=2)
    assert len(done) == 2

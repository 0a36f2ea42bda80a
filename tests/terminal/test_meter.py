"""The expected time: when it is named, and what it says."""

import io

import pytest
from rich.console import Console

from probatum.progress import duration
from probatum.terminal.meter import Meter


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def told():
    """A meter, its clock, and what it has said."""
    clock, said = Clock(), io.StringIO()
    return Meter(Console(file=said, width=200), None, "fewer --images", clock), clock, said


def test_the_expected_time_is_named_once_within_seconds(told):
    meter, clock, said = told
    meter(0, 100, "trained model")
    clock.now = 4.0
    meter(2, 100, "trained model")
    assert said.getvalue() == "expected time: about 3 min; fewer --images\n"
    clock.now = 5.0
    meter(4, 100, "randomized models")
    assert said.getvalue().count("expected") == 1


def test_short_work_is_not_announced(told):
    meter, clock, said = told
    meter(0, 100, "trained model")
    clock.now = 4.0
    meter(50, 100, "trained model")
    clock.now = 5.0
    meter(51, 100, "trained model")
    assert said.getvalue() == ""


def test_a_training_has_a_time_of_its_own(told):
    meter, clock, said = told
    meter(0, 100, "training basic CNN")
    clock.now = 4.0
    meter(1, 100, "training basic CNN")
    assert "training basic CNN will take about 7 min" in said.getvalue()
    assert "--images" not in said.getvalue()
    meter(0, 200, "trained model")
    clock.now = 8.0
    meter(1, 200, "trained model")
    assert "expected time: about 13 min; fewer --images" in said.getvalue()


def test_a_second_part_of_the_same_length_is_estimated_by_itself():
    clock, said = Clock(), io.StringIO()
    meter = Meter(Console(file=said, width=200), None, clock=clock, in_parts=True)
    for begin, part in ((0.0, "figure1 (1 of 2): training A"), (1000.0, "figure1 (1 of 2): maps of A")):
        clock.now = begin
        meter(0, 10, part)
        clock.now = begin + 40.0
        meter(1, 10, part)
        clock.now = begin + 990.0
        meter(10, 10, part)
    assert said.getvalue().count("will take about 7 min; what follows is estimated afterwards") == 2
    assert "expected time" not in said.getvalue()


@pytest.mark.parametrize(
    ("seconds", "words"), [(45.0, "45 s"), (89.4, "89 s"), (90.0, "2 min"), (3600.0, "60 min"), (10800.0, "3.0 h")]
)
def test_durations(seconds, words):
    assert duration(seconds) == words

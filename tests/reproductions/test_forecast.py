"""The time that is left of a whole reproduction, against numbers computed by hand."""

import pytest
import torch

from probatum.reproductions import PAPERS
from probatum.reproductions.base import PRESETS
from probatum.reproductions.forecast import (
    MINUTES,
    Forecast,
    WholeClock,
    minutes_in_words,
    probe_pace,
    reference_seconds,
)

EXPECTED = {"a": 120.0, "b": 60.0, "c": 240.0}


def test_the_probe_speaks_first():
    assert Forecast(EXPECTED, probe=2.0).left("a", 30.0) == pytest.approx(2 * 420 - 30)


def test_finished_experiments_soon_speak_louder():
    forecast = Forecast(EXPECTED, probe=1.0, took={"a": 360.0})
    assert forecast.pace == pytest.approx((60 + 360) / (60 + 120))  # 7/3, between the probe's 1 and the 3 of "a"
    assert forecast.left("b", 0.0) == pytest.approx(7 / 3 * 300)


def test_an_experiment_that_takes_longer_makes_the_rest_longer():
    assert Forecast(EXPECTED, probe=1.0).left("a", 240.0) == pytest.approx(2 * 300)  # twice as long as expected


@pytest.mark.parametrize("probe", [0.1, 10.0])
def test_after_a_minute_a_wrong_probe_misleads_by_less_than_two(probe):
    """The true pace is 1: after an experiment of two minutes a probe that is ten times too slow counts for a third."""
    forecast = Forecast({"a": 600.0, "b": 600.0}, probe, took={"a": 600.0})
    assert 0.5 < forecast.left("b", 0.0) / 600 < 2


def test_the_clock_is_quiet_at_first_and_then_tells_what_is_left():
    now = [0.0]
    clock = WholeClock(EXPECTED, torch.device("cpu"), clock=lambda: now[0], probe=lambda device: 1.0)
    clock.begin("a")
    now[0] = 4.0
    assert clock.words() == ""
    now[0] = 120.0
    assert clock.words() == "; all done in about 5 min"
    assert clock.end() == 120.0
    clock.begin("b")
    now[0] = 180.0
    assert clock.words() == "; all done in about 4 min"


def test_every_experiment_has_its_minutes():
    for name, paper in PAPERS.items():
        names = [experiment.name for experiment in paper.experiments]
        assert set(MINUTES[name]) == set(names)
        for preset in PRESETS:
            assert min(reference_seconds(name, preset, names).values()) > 0
    assert minutes_in_words("kokhlikyan2021", "data-randomization") == "7.7"
    assert minutes_in_words("wienecke2021", "table2_2") == "85.6"
    assert reference_seconds("somebody2020", "quick", ["figure1"]) == {"figure1": 60.0}


def test_the_probe_measures():
    assert probe_pace(torch.device("cpu")) > 0

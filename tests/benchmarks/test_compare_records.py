"""A record beside a stored one."""

from dataclasses import replace

import pytest
from benchmarks.made import TIMES, record

from probatum.benchmarks import BenchConfig, Entry
from probatum.benchmarks.compare import (
    Regression,
    compare,
    ratio_of_medians,
    read_changes,
    require_comparable,
    require_no_regression,
    write_changes,
)
from probatum.errors import InvalidInput

ROUNDS = (1.0, 1.02, 0.98, 1.01, 0.99, 1.0)


def timed(factor, rounds=ROUNDS, bare=1.0, **facts):
    """A record in which a method takes `factor` times as long as the bare model."""
    made = record(
        Entry("Gradient", "probatum", seconds=tuple(factor * bare * value for value in rounds)),
        Entry("Gradient", "bare", seconds=tuple(bare for _ in rounds)),
    )
    return replace(made, **facts)


def test_a_slower_method_is_found_whatever_the_machine():
    (change,), lines = compare([timed(1.5, bare=7.0)], [timed(1.0)])
    assert change.word == "slower"
    assert change.ratio == pytest.approx(1.5)
    assert 1.4 < change.low < change.ratio < change.high < 1.6
    assert "Gradient, probatum: 1.50 times" in str(change)
    assert lines == []
    assert compare([timed(1.0)], [timed(1.5)])[0][0].word == "faster"


@pytest.mark.parametrize(
    ("now", "word"),
    [
        (timed(1.05), "same"),  # below the tolerance
        (timed(1.2, (0.5, 1.0, 1.0, 2.0, 0.6, 1.9)), "same"),  # the interval holds 1
        (timed(3.0, ROUNDS[:3]), "open"),
    ],
)
def test_small_uncertain_and_few_changes_are_none(now, word):
    assert compare([now], [timed(1.0)])[0][0].word == word


def test_seconds_count_on_the_same_machine_alone():
    alone = record(Entry("Check", "probatum", seconds=(2.0,) * 6))
    before = record(Entry("Check", "probatum", seconds=(1.0,) * 6))
    (change,), _ = compare([alone], [before])
    assert (change.unit, change.word) == ("seconds", "slower")
    other = replace(before, environment=before.environment | {"processor": "another"})
    changes, lines = compare([alone], [other])
    assert changes == []
    assert "another machine" in lines[0]


def test_what_only_one_record_has_is_named():
    assert compare([timed(1.0)], [record(Entry("Panel", "probatum", seconds=(1.0,)))])[1] == [
        "Panel, probatum: only stored",
        "Gradient, probatum: not stored",
    ]


def test_interval_of_medians_by_hand():
    assert ratio_of_medians((2.0, 2.0, 2.0), (1.0, 1.0, 1.0)) == (2.0, 2.0, 2.0)
    low, middle, high = ratio_of_medians((1.0, 2.0, 3.0), (1.0, 1.0, 1.0))
    assert (low, middle, high) == (1.0, 2.0, 3.0)


def test_records_of_other_models_batches_or_suites_are_refused():
    stored = [replace(TIMES, config=BenchConfig(model="mlp", batch=(2,)).to_json())]
    require_comparable(["methods"], BenchConfig(model="mlp", batch=(2,)).to_json(), stored)
    for config, message in (
        (BenchConfig(model="basic_cnn", batch=(2,)), "model mlp, this one with basic_cnn"),
        (BenchConfig(model="mlp", batch=(2, 4)), "batch 2, this one with 2,4"),
        (BenchConfig(model="mlp", batch=(2,), quick=True), "quick"),
    ):
        with pytest.raises(InvalidInput, match=message):
            require_comparable(["methods"], config.to_json(), stored)
    with pytest.raises(InvalidInput, match="no suite panel"):
        require_comparable(["panel"], BenchConfig().to_json(), stored)


def test_a_regression_fails_the_run(tmp_path):
    require_no_regression(tmp_path)  # not compared
    changes, lines = compare([timed(1.5)], [timed(1.0)])
    write_changes(tmp_path, changes, lines)
    assert read_changes(tmp_path) == (changes, lines)
    with pytest.raises(Regression, match="Gradient"):
        require_no_regression(tmp_path)

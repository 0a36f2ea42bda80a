"""Windows, turns and ratios, with a clock that is set by hand."""

import gc

import pytest

from probatum.benchmarks.timing import Stopwatch, interleave, ratio, spread
from probatum.errors import InvalidInput


class Clock:
    """Time passes only where work lets it pass; everything that happens is written down."""

    def __init__(self):
        self.now = 0.0
        self.log = []

    def __call__(self):
        return self.now

    def work(self, name, seconds):
        def work():
            assert not gc.isenabled(), "garbage would be collected inside a window"
            self.log.append(name)
            self.now += seconds

        return work

    def synchronize(self):
        self.log.append("|")
        self.now += 0.25  # what the device still had to do counts


def test_a_window_is_the_mean_call_with_the_wait_at_its_end():
    clock = Clock()
    seconds = Stopwatch(clock, clock.synchronize).window(clock.work("a", 2.0), repeats=4)
    assert clock.log == ["|", "a", "a", "a", "a", "|"]
    assert seconds == (4 * 2.0 + 0.25) / 4
    assert gc.isenabled()


def test_garbage_collection_comes_back_after_an_error():
    def fail():
        raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        Stopwatch().window(fail, 1)
    assert gc.isenabled()


@pytest.mark.parametrize(("seconds", "calls", "expected"), [(0.3, 2, 4), (2.0, 2, 1), (10.0, 1, 1), (50.0, 1, 1)])
def test_short_work_fills_a_window_and_long_work_is_not_done_twice(seconds, calls, expected):
    clock = Clock()
    assert Stopwatch(clock, least=1.0).repeats(clock.work("a", seconds)) == expected
    assert len(clock.log) == calls


def test_works_take_turns_and_every_second_round_runs_backwards():
    clock = Clock()
    works = {"a": (clock.work("a", 1.0), 1), "b": (clock.work("b", 2.0), 2), "c": (clock.work("c", 3.0), 1)}
    ticks = []
    times = interleave(works, 3, Stopwatch(clock), ticks.append)
    assert "".join(clock.log) == "abbc" + "cbba" + "abbc"
    assert "".join(ticks) == "abccbaabc"
    assert times == {"a": (1.0,) * 3, "b": (2.0,) * 3, "c": (3.0,) * 3}


def test_no_round_is_refused():
    with pytest.raises(InvalidInput, match="rounds is 0"):
        interleave({}, 0, Stopwatch())


def test_median_and_quartiles():
    assert spread([4.0, 1.0, 3.0, 2.0, 5.0]) == (2.0, 3.0, 4.0)
    assert spread([7.0]) == (7.0, 7.0, 7.0)
    with pytest.raises(InvalidInput, match="no value"):
        spread([])


def test_ratios_are_paired_by_round():
    # The machine was ten times slower in the second round: the ratio of medians is 1.5, that of the pairs 2.
    assert ratio([2.0, 40.0, 3.0], [1.0, 20.0, 2.0]).median == 2.0
    with pytest.raises(InvalidInput, match="3 and 2 windows"):
        ratio([1.0, 2.0, 3.0], [1.0, 2.0])

"""The cost of a check on paper."""

import pytest
from benchmarks.made import TIMES, record

from probatum.attributions import METHODS
from probatum.benchmarks import Entry, write_records
from probatum.benchmarks.cost import CheckSize, check_size, main, measured_rate
from probatum.errors import InvalidInput
from probatum.experiments.chance import partners


def test_gradients_are_counted_by_the_engine_that_takes_them():
    size = check_size(["gradient", "input-x-gradient", "smoothgrad"], images=10, stages=3, trials=2)
    samples = METHODS["smoothgrad"].make().samples
    assert (size.gradients, size.noisy, size.maps) == (1 + samples, samples, 3)  # the first two share a gradient
    assert size.all_gradients == 10 * ((1 + samples) * 7 + samples)


def test_seconds_by_hand():
    size = CheckSize(images=100, stages=9, trials=1, gradients=10, noisy=0, maps=1, metrics=1)
    assert size.seconds(100.0) == 100
    assert size.seconds(100.0, devices=4) == 25
    assert size.seconds(100.0, pairs_per_second=63.0) == 200


@pytest.mark.parametrize("images", [4, 30])
def test_each_map_is_compared_with_its_own_and_with_those_of_its_partners(images):
    size = CheckSize(images, stages=2, trials=3, gradients=1, noisy=0, maps=5, metrics=1)
    assert size.all_pairs == images * 2 * 3 * 5 * (1 + len(partners(range(images), 0)))


def test_the_rate_of_a_record(tmp_path, capsys):
    assert measured_rate([TIMES]) == 4.0
    with pytest.raises(InvalidInput, match="gradients per second"):
        measured_rate([record(Entry("Check", "probatum", seconds=(1.0,)))])
    write_records([TIMES], tmp_path / "record.json")
    words = main(["--record", str(tmp_path), "--methods", "gradient", "--images", "36", "--devices", "1,2"])
    assert "2 x 4 gradients/s: 0.0 hours, without the metrics" in words
    assert "36 images, 1 methods, 18 stages: 1 gradients an image" in words

"""The study of verdicts: its measures on known numbers, its known methods, and all of it in its smallest form."""

from pathlib import Path

import numpy as np
import pytest
import torch
from nets import ConvNet, images, seeded

from probatum import attribute
from probatum.benchmarks import BenchConfig, read_records, run_suite
from probatum.benchmarks.agreement import krippendorff_alpha, rank_agreement, reliability
from probatum.benchmarks.known_maps import FixedMap, ImageItself, Noise
from probatum.experiments import judge, sanity_check
from probatum.experiments.adversary import NoiseOfWeights
from probatum.experiments.verdicts import INSENSITIVE, SENSITIVE, UNDECIDED
from probatum.randomization import Randomizer, Reset, automatic_stages

nan = np.nan
RECORDS = Path(__file__).parents[2] / "benchmarks" / "records"


def test_alpha_is_that_of_krippendorffs_own_example():
    # Krippendorff (2011), four observers and twelve units with missing values; interval data: 0.849.
    values = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
            [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
        ]
    )
    assert krippendorff_alpha(values) == pytest.approx(0.849, abs=5e-4)
    assert krippendorff_alpha(np.tile([1.0, 2.0, 5.0], (3, 1))) == 1
    assert np.isnan(krippendorff_alpha(np.ones((3, 4))))
    assert np.isnan(krippendorff_alpha(np.array([[1.0, nan], [nan, 2.0]])))


def test_reliability_and_agreement_look_at_ranks():
    order = np.array([0.1, 0.5, 0.9])
    assert reliability(np.stack([order, order**3, order * 7], axis=1)) == 1
    assert reliability(np.stack([order, order[::-1]], axis=1)) < 0
    assert rank_agreement(np.stack([order, order**2, -order])) == pytest.approx(-1 / 3)
    assert rank_agreement(np.array([[0.1, 0.2, nan], [0.3, 0.4, 0.0]])) == pytest.approx(1)
    assert np.isnan(rank_agreement(np.array([[0.1, nan], [0.3, 0.4]])))


def test_known_methods_are_what_they_are_said_to_be():
    net, other, x = seeded(ConvNet), seeded(ConvNet, 1), images(3)
    methods = {"image": ImageItself(), "fixed": FixedMap(), "noise": Noise(), "weights": NoiseOfWeights()}
    first, second = (attribute(model, x, 0, methods) for model in (net, other))
    again = attribute(net, x[1:], 0, methods)
    assert torch.equal(first["image"], x)
    assert torch.equal(first["fixed"], second["fixed"])
    assert torch.equal(first["fixed"][0], first["fixed"][1])
    assert torch.equal(first["weights"][1:], again["weights"])
    assert not torch.equal(first["weights"], second["weights"])
    assert not torch.equal(first["noise"][1:], again["noise"])


class Unsaid(Noise):
    """Noise that does not say so."""

    stochastic = False


def test_the_verdicts_on_known_methods():
    net, x = seeded(ConvNet), images(6, (2, 24, 24))
    methods = {"image": ImageItself(), "fixed": FixedMap(), "noise": Noise(), "weights": NoiseOfWeights()}
    methods["unsaid"] = Unsaid()
    walk = Randomizer(net, automatic_stages(net, x), Reset(), "full")
    result = sanity_check(net, x, methods=methods, metrics=("ssim", "spearman"), randomizer=walk, trials=2)
    words = {name: summary.word for name, summary in judge(result).summaries.items()}
    assert words == {
        "image": INSENSITIVE,
        "fixed": INSENSITIVE,
        "noise": UNDECIDED,
        "unsaid": UNDECIDED,
        "weights": SENSITIVE,
    }


def test_the_study_in_its_smallest_form():
    record = run_suite("verdicts", BenchConfig(quick=True, threads=1, device="cpu"))
    values = {entry.variant: entry.scores.get("value") for entry in record.entries}
    assert values["methods that never use the model, called sensitive"] == 0
    assert values["a sensitive method, called insensitive"] == 0
    assert values["verdicts that turn into their opposite"] == 0
    assert any(name.startswith("noise that is redrawn") for name in values)
    notes = {entry.variant: entry.note for entry in record.entries}
    assert notes["share retained by edges"] == INSENSITIVE


def test_the_newest_record_reaches_what_verdicts_promise():
    record = read_records(sorted(RECORDS.glob("*-verdicts/record.json"))[-1])[0]
    values: dict[str, list[float]] = {}
    for entry in record.entries:
        if "value" in entry.scores:
            values.setdefault(entry.variant.partition(" (")[0], []).append(entry.scores["value"])
    assert {len(found) for found in values.values()} == {len(record.contests)} == {4}
    assert max(values["methods that never use the model, called sensitive"]) == 0
    assert max(values["a sensitive method, called insensitive"]) == 0
    assert max(values["methods with opposite words from two metrics, with chance levels"]) == 0
    assert max(values["verdicts that turn into their opposite"]) <= 0.02
    assert min(values["noise that is redrawn, left undecided"]) >= 0.95

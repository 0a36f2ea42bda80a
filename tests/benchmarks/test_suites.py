"""Each suite in its smallest form, the rivals that are missing, and options that make no sense."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from benchmarks.made import ENVIRONMENT

from probatum.benchmarks import RIVALS, SUITES, USUAL, BenchConfig, Record, figure, run_suite, table
from probatum.benchmarks import worker as memory_worker
from probatum.benchmarks.config import QUICK, Subject, many_images
from probatum.benchmarks.contest import Arena
from probatum.benchmarks.rivals import CAPTUM, Rival, absent
from probatum.benchmarks.suites import estimators, gradients, launching, memory, memory_large, methods
from probatum.benchmarks.suites.check import cascade_of
from probatum.benchmarks.suites.metrics import contestants, pairs
from probatum.benchmarks.timing import Stopwatch
from probatum.engine import chunks, prepare_with
from probatum.engine.graphs import LEAST_CALLS, RecordedEvaluation
from probatum.errors import InvalidInput, UnknownName
from probatum.metrics import get_metric
from probatum.models import model_spec

TINY = BenchConfig(model="basic_cnn", batch=(2,), rounds=1, quick=True, threads=1, device="cpu")


@pytest.fixture
def no_rivals(monkeypatch):
    monkeypatch.setattr(Rival, "installed", property(lambda self: False))


def well_made(record):
    assert Record.from_json(record.to_json()) == record
    headings, rows = table(record)
    assert len(rows) == len(record.entries) > 0
    assert all(len(row) == len(headings) for row in rows)
    figure(record)
    return record


@pytest.mark.parametrize("name", ["methods", "precision", "throughput", "compiled", "metrics", "check"])
def test_a_suite_alone_measures_probatum_and_says_who_is_missing(name, no_rivals):
    found = well_made(run_suite(name, TINY))
    assert {entry.who for entry in found.entries} <= {"probatum", "bare", "scikit-image, scipy"}
    assert any("Captum is not installed" in line for line in found.lines) == (
        name not in ("check", "compiled", "metrics")
    )
    assert not any("failed" in line for line in found.lines)
    assert all(len(entry.seconds) == 1 and min(entry.seconds) > 0 for entry in found.entries)
    assert found.environment["threads"] == 1


@pytest.mark.skipif(not CAPTUM.installed, reason="Captum is not installed")
@pytest.mark.parametrize("name", ["panel", "cascade"])
def test_captum_makes_the_same_maps(name):
    found = well_made(run_suite(name, TINY))
    assert not any("failed" in line for line in found.lines)
    errors = [entry.error for entry in found.entries if entry.who in ("probatum", "Captum", "script")]
    assert any(entry.who in ("Captum", "script") for entry in found.entries)
    # One ReLU or pooling that decides otherwise than in float64 is allowed for.
    assert all(error < 1e-2 for error in errors if error is not None)
    assert sum(error is not None for error in errors) >= 2


@pytest.mark.skipif(any(not rival.installed for rival in RIVALS.values()), reason="not every rival is installed")
def test_every_rival_takes_part():
    found = [well_made(run_suite(name, TINY)) for name in ("methods", "metrics")]
    assert {rival.name for rival in RIVALS.values()} <= {entry.who for record in found for entry in record.entries}
    assert not any("failed" in line for record in found for line in record.lines)


class Replayed:
    """Stands for CUDA's recorder: runs the recorded work again, with another result where that is asked for."""

    def __init__(self, offset=0.0):
        self.offset = offset

    def record(self, work):
        outputs = work()

        def replay():
            for own, fresh in zip(outputs, work(), strict=True):
                own.copy_(fresh + self.offset if fresh.is_floating_point() else fresh)

        return outputs, replay


class Refused:
    """Fails as a capture does where the host reads a value."""

    def record(self, work):
        raise RuntimeError("operation not permitted when stream is capturing")


def launched(recorder, monkeypatch):
    """The suite `graphs` on the CPU as on CUDA, with a recorder in the place of CUDA's."""

    def prepared(model, compute, **options):
        found = prepare_with(model, replace(compute, cuda_graphs=False), **options)
        return replace(found, compute=compute)

    monkeypatch.setattr(launching, "prepare_with", prepared)
    monkeypatch.setattr(chunks, "RecordedEvaluation", partial(RecordedEvaluation, recorder=recorder))
    return well_made(run_suite("graphs", TINY))


def test_calls_as_a_graph_are_compared_with_calls_one_by_one(monkeypatch):
    eager, graph, bare = launched(Replayed(), monkeypatch).entries
    assert (eager.note, graph.note, bare.who) == ("", "the bits of one by one", "bare")
    assert eager.gradients == graph.gradients == bare.gradients == 2 * LEAST_CALLS
    assert max(eager.error, graph.error) < 1e-5
    _, wrong, _ = launched(Replayed(1.0), monkeypatch).entries
    assert wrong.note.startswith("differs from one by one by")
    assert wrong.error > 0.1


def test_calls_that_cannot_be_recorded_or_compiled_are_named(monkeypatch):
    found = launched(Refused(), monkeypatch)
    assert [entry.variant for entry in found.entries] == ["one by one", ""]
    assert "capturing" in found.lines[0]


def test_what_ran_leaves_threads_and_random_numbers_as_they_were(no_rivals):
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    run_suite("check", TINY)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_memory_is_measured_in_another_process(monkeypatch, no_rivals):
    monkeypatch.setattr(memory, "QUICK_CASES", memory.QUICK_CASES[:1])
    (entry,) = well_made(run_suite("memory", TINY)).entries
    assert entry.memory is not None
    assert 0 <= entry.memory < 1 << 30
    assert entry.gradients == TINY.one_batch * QUICK.samples


def test_a_worker_that_fails_says_why(monkeypatch):
    def fail(*arguments, **keywords):
        raise RuntimeError("can't allocate memory")

    monkeypatch.setattr(memory_worker, "attribute", fail)
    job = {"config": {"quick": True}, "model": "basic_cnn", "batch": 1, "method": "smoothgrad", "options": {}}
    answer = memory_worker.measure(job | {"rival": None})
    assert answer == {"failure": "RuntimeError: can't allocate memory", "memory_ran_out": True}


@pytest.mark.parametrize("ran_out", [True, False])
def test_a_rival_that_fails_otherwise_is_not_said_to_need_too_much_memory(ran_out, monkeypatch):
    def measured(*arguments, rival):
        return {"failure": "why", "memory_ran_out": ran_out} if rival else {"memory": 1 << 20}

    monkeypatch.setattr(memory, "measured", measured)
    monkeypatch.setattr(Rival, "installed", property(lambda self: True))
    found = memory.run(BenchConfig(quick=True), Arena(Stopwatch()))
    notes = [entry.note for entry in found.entries if entry.who == memory.CAPTUM.name]
    assert all("beyond the cap" in note for note in notes)
    assert bool(notes) is ran_out
    assert any("why" in line for line in found.lines) is not ran_out


def test_methods_that_take_too_much_memory_are_named(monkeypatch):
    asked = []

    def measured(config, model, batch, method, options, *, seconds):
        asked.append((method, options["samples"], options.get("window")))
        if method == "occlusion":
            return {"failure": "why"}
        return {"memory": options["samples"] << 30, "process": 5 << 30 if method == "lrp" else 1 << 30}

    monkeypatch.setattr(memory_large, "measured", measured)
    options = BenchConfig(model="squeezenet1_0", input_size=64, methods=("gradient", "smoothgrad", "lrp", "occlusion"))
    found = memory_large.run(options, Arena(Stopwatch()))
    few, many = memory_large.POINTS
    assert asked == [("gradient", few, 32), ("smoothgrad", few, 32), ("smoothgrad", many, 32), *asked[3:]]
    assert [method for method, *_ in asked[3:]] == ["lrp", "occlusion"]
    grown, large, failed = found.lines
    assert "SmoothGrad" in grown
    assert "more points" in grown
    assert "LRP" in large
    assert "exceeds 4 GiB" in large
    assert "Occlusion" in failed
    assert "why" in failed
    assert len(found.entries) == 4
    drawn = figure(Record("memory-large", "", {}, ENVIRONMENT, tuple(found.entries)))
    assert [bar.get_width() for bar in drawn.axes[0].patches] == [1, 1, 1, 5]


def test_points_of_a_memory_case_in_words():
    assert memory.MemoryCase("integrated-gradients-sg", 1).words == "1 image, 25 × 50 points each"
    joint = memory.MemoryCase("integrated-gradients-sg", 8, joint=True)
    assert (joint.words, joint.gradients) == ("8 images, 50 points each", 400)


def test_agreement_of_the_estimators(monkeypatch):
    monkeypatch.setattr(estimators, "trained_subject", lambda config, case, arena: Subject.load(config, case.model, 2))
    found = well_made(run_suite("estimators", TINY))
    distances = [entry.scores["relative L2"] for entry in found.entries if entry.variant.startswith("joint")]
    assert distances == sorted(distances, reverse=True)  # more gradients, better agreement


def test_distance_and_gradients_needed_by_hand():
    a, b = torch.tensor([[3.0, 0.0], [1.0, 1.0]]), torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    assert estimators.relative_distance(a, b).tolist() == [1.0, 0.0]
    curve = [
        estimators.Entry("c", "probatum", gradients=n, scores={"d": score}) for n, score in ((10, 3.0), (1000, 1.0))
    ]
    assert estimators.gradients_for(2.0, curve, "d") == pytest.approx(100)
    assert estimators.gradients_for(0.5, curve, "d") is None


def test_metrics_agree_with_the_loops():
    for name in ("ssim", "spearman", "spearman-abs", "hog-pearson"):
        found = contestants(get_metric(name), *pairs(name, 3, 64, torch.device("cpu"), 0))
        assert all(one.judge() < 1e-6 for one in found if one.judge is not None), name


def test_options_choose_cases_once():
    chosen = methods.chosen(BenchConfig(model="resnet18", batch=(4,)))
    assert len(set(chosen)) == len(chosen)
    assert {(case.model, case.batch) for case in chosen} == {("resnet18", 4)}
    assert [case.model for case in estimators.chosen(BenchConfig(model="resnet18"))] == ["resnet18", "basic_cnn"]
    assert [case.model for case in estimators.chosen(BenchConfig(model="mlp"))] == ["mlp"]


def test_images_differ_from_each_other():
    found = many_images(model_spec("squeezenet1_0"), 7, small=True)
    assert found.shape == (7, 3, 96, 96)
    for number, image in enumerate(found):
        assert not any(torch.equal(image, other) for other in found[:number])


def test_bad_options():
    with pytest.raises(UnknownName, match="did you mean 'methods'"):
        run_suite("method", TINY)
    with pytest.raises(UnknownName, match="no model"):
        BenchConfig(model="resnet19")
    for options in ({"batch": (0,)}, {"rounds": 0}, {"threads": 0}):
        with pytest.raises(InvalidInput, match=f"{next(iter(options))} is 0"):
            BenchConfig(**options)
    with pytest.raises(InvalidInput, match="name it with --model"):
        BenchConfig(weights="squeezenet.pt")
    if not torch.cuda.is_available():
        with pytest.raises(InvalidInput, match="no CUDA device here"):
            run_suite("check", BenchConfig(device="cuda", quick=True))


def test_a_configuration_travels_without_paths():
    config = BenchConfig(model="mlp", weights="/somewhere/weights.pt", data_dir="/somewhere/data")
    assert (config.to_json()["weights"], config.to_json()["data_dir"]) == ("weights.pt", "data")


def test_what_runs_unasked_takes_at_most_ten_minutes_a_suite():
    assert set(SUITES) - set(USUAL) == {
        "cascade-whole",
        "throughput",
        "graphs",
        "compiled",
        "memory-large",
        "verdicts-long",
    }
    assert all(0 < SUITES[name].minutes <= 10 for name in USUAL)


def test_a_short_cascade_leaves_no_layer_out():
    subject = Subject.load(TINY, "basic_cnn", 1)
    whole, short = cascade_of(subject, 0), cascade_of(subject, 0, stages=2)
    assert [stage.name for stage in short.stages] == [whole.stages[0].name, "all the rest"]
    last, same = (randomizer.model(len(randomizer.stages)).state_dict() for randomizer in (whole, short))
    assert all(torch.equal(last[name], same[name]) for name in last)
    assert cascade_of(subject, 0, stages=9).stages == whole.stages


def test_lines_of_missing_rivals(no_rivals):
    (line,) = absent([CAPTUM])
    assert "pip install captum" in line


NET = """
import torch
from torch import nn

preprocessing = {"input_size": 32, "mean": [0.5] * 3, "std": [0.25] * 3}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.head = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Linear(4, 5)

    def forward(self, images):
        return {"logits": self.head(self.relu(self.conv(images)).mean((2, 3)))}
"""


def test_a_model_of_ones_own_is_timed(code_folder, no_rivals):
    (code_folder / "net.py").write_text(NET)
    config = BenchConfig(model="./net.py:Net", batch=(2,), rounds=1, quick=True, threads=1, device="cpu")
    subject = Subject.load(config, "resnet18", 8)
    assert subject.images.shape == (2, 3, 96, 96)
    assert subject.model(subject.images).shape == (2, 5)  # logits, whatever the module returns
    found = well_made(run_suite("methods", config))
    assert {entry.who for entry in found.entries} == {"probatum", "bare"}
    assert not any("failed" in line for line in found.lines)


def test_the_gradients_of_a_check_are_counted_in_four_ways(monkeypatch):
    monkeypatch.setattr(gradients, "trained_subject", lambda config, case, arena: Subject.load(config, case.model, 2))
    found = well_made(run_suite("gradients", TINY))
    fixed, decided, refined, both = found.entries
    assert [entry.scores["images"] for entry in (fixed, refined)] == [2, 2]
    assert fixed.scores["same verdicts"] == 7
    assert fixed.gradients > refined.gradients / 10 > 0
    assert decided.gradients == fixed.gradients  # two images have one round
    assert both.gradients == refined.gradients

"""The roofline of a machine, the work of a model counted, and the page that shows both."""

import json

import pytest
import torch
from benchmarks.made import ENVIRONMENT, ROOFLINE, SUBJECT, TIMES
from torch.nn import functional as F

from probatum.attributions import get_method, literal
from probatum.benchmarks import BenchConfig, run_suite, write_records
from probatum.benchmarks.bare import Passes
from probatum.benchmarks.config import Subject
from probatum.benchmarks.kind import BENCHMARK, BenchRequest
from probatum.benchmarks.page import bench_page
from probatum.benchmarks.roofline import bare_models, method_costs
from probatum.benchmarks.suites.roofline import judge
from probatum.benchmarks.work import Work, count_work
from probatum.errors import InvalidInput


def test_operations_by_hand():
    a, b = torch.randn(3, 5), torch.randn(5, 7)
    assert count_work(lambda: a @ b) == Work(2 * 3 * 5 * 7, 4 * (15 + 35 + 21))
    image, filters = torch.randn(2, 3, 8, 8, requires_grad=True), torch.randn(4, 3, 3, 3)
    forward = 2 * (2 * 4 * 6 * 6) * (3 * 3 * 3)
    assert count_work(lambda: F.conv2d(image.detach(), filters)).flops == forward
    # The input gradient of a convolution is as much work again; weights that are frozen have none.
    assert count_work(lambda: torch.autograd.grad(F.conv2d(image, filters).sum(), image)).flops == 2 * forward


def test_attention_is_counted_on_the_cpu():
    query, key, value = (torch.randn(1, 2, rows, 8, requires_grad=True) for rows in (6, 5, 5))
    work = count_work(lambda: F.scaled_dot_product_attention(query, key, value))
    assert work.flops == 4 * 2 * 6 * 5 * 8  # scores and weighted sum of two heads
    assert count_work(lambda: F.scaled_dot_product_attention(query, key, value).sum().backward()).flops > 2 * work.flops


def test_bytes_by_hand():
    a = torch.zeros(10, 10)
    assert count_work(lambda: a + 1).traffic == 800
    assert count_work(lambda: a.add_(1)).traffic == 800
    assert count_work(lambda: a.t()[2:]).traffic == 0  # views move nothing
    assert count_work(lambda: torch.empty(10)).traffic == 0
    assert count_work(lambda: torch.zeros(1).expand(100) + 1).traffic >= 4 + 4 + 400


def test_roofline_time_is_the_longer_of_computing_and_moving():
    assert Work(100, 10).seconds(10.0, 10.0) == 10
    assert Work(10, 100).seconds(10.0, 10.0) == 10


def test_shares_of_a_record_by_hand():
    (bare,) = bare_models(ROOFLINE)
    assert bare.subject == SUBJECT
    assert bare.intensity == 20
    assert bare.limit == "arithmetic"
    assert bare.share == (pytest.approx(0.3125), pytest.approx(0.375), pytest.approx(0.4375))  # of 2 s in 4 and 8 s
    gradient, edges = method_costs(ROOFLINE)
    assert (gradient.title, gradient.subject, gradient.overhead) == ("Gradient", SUBJECT, (1.5, 1.5, 1.5))
    assert edges.overhead is None


@pytest.fixture
def folder(tmp_path):
    def write(*records, compare=None, quick=False):
        write_records(records, tmp_path / "record.json")
        config = BenchConfig(quick=quick)
        request = BenchRequest(config, tuple(each.suite for each in records), compare)
        values = BENCHMARK.asked(request)
        (tmp_path / "config.json").write_text(json.dumps(values))
        return tmp_path, values

    return write


def test_the_page_shows_machine_model_and_methods(folder):
    page = bench_page(*folder(ROOFLINE, TIMES))
    assert "Speed of Net" in page
    assert "38 %" in page  # of the roofline
    assert "1.50" in page  # times the bare model
    assert "calls no model" in page
    assert "slow | and wrong" in page  # the table of another suite
    assert "its times mean nothing" not in page
    assert "its times mean nothing" in bench_page(*folder(ROOFLINE, quick=True))
    assert ENVIRONMENT["processor"] in page


def test_the_suite_measures_one_model_at_several_batches():
    config = BenchConfig(
        "basic_cnn", batch=(1, 2), methods=("gradient", "smoothgrad"), rounds=1, quick=True, device="cpu"
    )
    found = run_suite("roofline", config)
    assert [each.subject for each in bare_models(found)] == [f"basic CNN, {batch} × 1×28×28" for batch in (1, 2)]
    costs = {(each.title, each.ours.maps): each.ours for each in method_costs(found)}
    assert {key: entry.gradients for key, entry in costs.items()} == {
        ("Gradient", 1): 1, ("SmoothGrad", 1): 10, ("Gradient", 2): 2, ("SmoothGrad", 2): 20,
    }  # fmt: skip
    assert costs["Gradient", 1].error < 1e-5
    assert costs["SmoothGrad", 1].error is None


def test_lrp_of_a_large_layer_is_not_judged(monkeypatch):
    monkeypatch.setattr(literal, "LARGEST_MATRIX", 1000)
    subject = Subject.load(BenchConfig(model="mlp", batch=(1,), device="cpu"), "mlp", 1)
    judged = judge("lrp", get_method("lrp"), subject, Passes(1, 0, 1))
    assert judged.error is None
    assert "too large" in judged.note


def test_options_that_fit_no_suite_are_refused():
    with pytest.raises(InvalidInput, match="panel takes one batch"):
        BenchRequest(BenchConfig(batch=(1, 8)), ("panel",))
    with pytest.raises(InvalidInput, match="--methods goes with roofline"):
        BenchRequest(BenchConfig(methods=("gradient",)), ("panel",))
    with pytest.raises(InvalidInput, match="input_size is 0"):
        BenchConfig(input_size=0)

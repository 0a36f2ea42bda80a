"""The same maps on a CUDA device, whose state is left as found."""

import pytest
import torch
from attributions.table import METHODS
from nets import ConvNet, images, seeded

from probatum import attribute
from probatum.attributions import Gradient, SmoothGrad
from probatum.engine import Noise, PointStream, Targets, prepare
from probatum.engine.budget import CUDA_SHARE, default_budget
from probatum.engine.evaluate import evaluate
from probatum.engine.graphs import RecordedEvaluation
from probatum.engine.noise import image_keys, standard_normal
from probatum.engine.precision import computing
from probatum.errors import InvalidInput, MemoryBudgetError

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]

TARGETS = torch.tensor([0, 3, 1, 2, 1])


def relative_error(maps, expected):
    return float((maps.cpu() - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("targets", [TARGETS, None], ids=["targets", "predicted"])
def test_maps_are_those_of_the_cpu(targets):
    model, x = seeded(ConvNet), images()
    expected = attribute(model, x, targets, METHODS, seed=5)
    found = attribute(model.cuda(), x.cuda(), targets if targets is None else targets.cuda(), METHODS, seed=5)
    for name, maps in found.items():
        assert maps.is_cuda
        assert relative_error(maps, expected[name]) < 1e-9, name


def test_float32_maps_do_not_use_short_products():
    model, x = seeded(ConvNet, dtype=torch.float32), images(dtype=torch.float32)
    expected = Gradient()(model, x, TARGETS, precision="float64")
    torch.backends.cuda.matmul.allow_tf32, kept = True, torch.backends.cuda.matmul.allow_tf32
    try:
        # TensorFloat-32 has 10 bits of mantissa: about 1e-3.
        assert relative_error(Gradient()(model.cuda(), x.cuda(), TARGETS), expected) < 1e-4
        assert torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.backends.cuda.matmul.allow_tf32 = kept


@pytest.mark.parametrize(("precision", "error"), [("tf32", 0.01), ("bfloat16", 0.1)])
def test_short_products_are_used_where_they_are_asked_for(precision, error):
    if torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("the device has no short products")
    model, x = seeded(ConvNet, dtype=torch.float32).cuda(), images(dtype=torch.float32).cuda()
    expected = Gradient()(model.cpu(), x.cpu(), TARGETS, precision="float64")
    flags = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    maps = Gradient()(model.cuda(), x, TARGETS, precision=precision)
    assert maps.dtype == torch.float32
    assert relative_error(maps, expected) < error
    assert (torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()) == flags


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noise_is_that_of_the_cpu(dtype):
    x = images(8, dtype=dtype)
    keys, samples = image_keys(x, 3), torch.arange(8)
    assert torch.equal(image_keys(x.cuda(), 3).cpu(), keys)
    expected = standard_normal(keys, samples, x.shape[1:], dtype)
    found = standard_normal(keys.cuda(), samples.cuda(), x.shape[1:], dtype).cpu()
    # The two devices' log, sqrt and cos differ in their last bits.
    torch.testing.assert_close(found, expected, rtol=16 * torch.finfo(dtype).eps, atol=64 * torch.finfo(dtype).eps)


def test_random_state_of_the_device_is_not_touched():
    state = torch.cuda.get_rng_state()
    SmoothGrad(samples=3)(seeded(ConvNet).cuda(), images().cuda(), None)
    assert torch.equal(torch.cuda.get_rng_state(), state)


def test_images_and_model_are_on_one_device():
    with pytest.raises(InvalidInput, match="images are on cpu, ConvNet is on cuda:0; move one to the other"):
        Gradient()(seeded(ConvNet).cuda(), images(), 0)
    with pytest.raises(InvalidInput, match="images are on cuda:0, ConvNet is on cpu"):
        Gradient()(seeded(ConvNet), images().cuda(), 0)


def test_targets_may_be_on_the_cpu():
    model, x = seeded(ConvNet).cuda(), images().cuda()
    assert torch.equal(Gradient()(model, x, TARGETS), Gradient()(model, x, TARGETS.cuda()))


def test_the_default_budget_is_half_of_the_free_memory():
    free, _ = torch.cuda.mem_get_info()
    assert default_budget(torch.device("cuda", 0)) == pytest.approx(CUDA_SHARE * free, rel=0.05)


@pytest.mark.parametrize("budget", ["2 MiB", "16 MiB"])
def test_memory_stays_within_the_budget(budget):
    model, x = prepare(seeded(ConvNet, dtype=torch.float32).cuda()), images(64, dtype=torch.float32).cuda()
    method = SmoothGrad(samples=50)
    method(model, x[:2], 0)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    maps = method(model, x, 0, memory_budget=budget)
    used = torch.cuda.max_memory_allocated() - before - 2 * maps.nbytes
    # Convolutions take a workspace of their own beside what autograd keeps.
    assert used < {"2 MiB": 2, "16 MiB": 16}[budget] * 2**20 + 32 * 2**20


def test_running_out_of_memory_on_the_device_is_survived():
    total = torch.cuda.get_device_properties(0).total_memory
    model, x = seeded(ConvNet).cuda(), images(64).cuda()
    expected = SmoothGrad(samples=400)(model, x, 0, chunk=64)
    allowed = torch.cuda.memory_reserved() + 300 * 2**20
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(allowed / total)
    try:
        maps = SmoothGrad(samples=400)(model, x, 0, chunk=64 * 400)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert relative_error(maps, expected.cpu()) < 1e-9


def test_a_budget_below_one_row_is_refused():
    with pytest.raises(MemoryBudgetError, match="one row needs"):
        Gradient()(seeded(ConvNet).cuda(), images().cuda(), 0, memory_budget="10 KiB")


@pytest.mark.parametrize("name", ["smoothgrad", "guided-backprop-sg", "grad-cam-sg"])
def test_chunks_replayed_as_a_cuda_graph_have_the_bits_of_chunks_that_are_not(name):
    model, x = seeded(ConvNet).cuda(), images().cuda()
    prepared = prepare(model)
    request = METHODS[name].request(prepared, x)
    stream = PointStream.of(x, image_keys(x, 0), (Noise(20),))
    targets = Targets.of(x, TARGETS.cuda())
    recorded = RecordedEvaluation(prepared, request.measurements)
    with computing(prepared.device):
        for start in range(0, len(stream), 30):  # the last chunk is smaller
            rows = stream.rows(start, start + 30)
            aims = targets.at(rows.image)
            expected, _ = evaluate(prepared, rows.points, aims, request.measurements, image=rows.image)
            found, _ = recorded(rows, aims)
            for need, tensors in expected.items():
                assert all(torch.equal(a, b) for a, b in zip(found[need], tensors, strict=True))


def test_maps_with_cuda_graphs_are_those_without():
    model, x = seeded(ConvNet).cuda(), images().cuda()
    methods = {"sg": SmoothGrad(samples=40), "gradient": Gradient()}
    expected = attribute(model, x, TARGETS.cuda(), methods, chunk=8)
    found = attribute(prepare(model, cuda_graphs=True), x, TARGETS.cuda(), methods, chunk=8)
    for name, maps in found.items():  # sums on CUDA have no fixed order
        torch.testing.assert_close(maps, expected[name], rtol=1e-9, atol=1e-12)

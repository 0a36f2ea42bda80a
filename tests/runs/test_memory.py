"""Peak memory is seen even where it is given back before the block ends."""

import threading
from pathlib import Path

import pytest
import torch

from probatum.runs.memory import PeakMemory

SIZE = 256 << 20
linux = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is read from Linux's /proc")


@linux
def test_a_passing_allocation_is_seen():
    with PeakMemory(torch.device("cpu")) as memory:
        block = torch.ones(SIZE, dtype=torch.uint8)  # so large that it is mapped for itself and given back at once
        threading.Event().wait(0.05)
        del block
    assert memory.grown is not None
    assert memory.grown == pytest.approx(SIZE, rel=0.1)  # other threads of the process come and go


@linux
def test_the_watching_ends_with_the_block_also_after_an_error():
    threads = threading.active_count()
    memory = PeakMemory(torch.device("cpu"))
    with pytest.raises(RuntimeError, match="inside"), memory:
        raise RuntimeError("inside")
    assert threading.active_count() == threads
    assert memory.grown is not None


def test_nothing_is_claimed_where_nothing_can_be_read(monkeypatch):
    monkeypatch.setattr("probatum.runs.memory._STATUS", Path("/nowhere"))
    with PeakMemory(torch.device("cpu")) as memory:
        pass
    assert memory.grown is None


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_counts_what_torch_allocates():
    with PeakMemory(torch.device("cuda")) as memory:
        block = torch.ones(SIZE, dtype=torch.uint8, device="cuda")
        del block
    assert memory.grown == SIZE

"""Inside the stream of chunks nothing waits for the device: no number is read on the host."""

import pytest
import torch
from attributions.table import METHODS, REFINED
from nets import ConvNet, images, seeded
from torch.utils._python_dispatch import TorchDispatchMode

from probatum.attributions import SmoothGrad
from probatum.engine import prepare

TARGETS = torch.tensor([0, 3, 1, 2, 1])
# What reads a number, or makes a shape that only the device knows.
WAITS = {
    torch.ops.aten._local_scalar_dense,
    torch.ops.aten.is_nonzero,
    torch.ops.aten.item,
    torch.ops.aten.equal,
    torch.ops.aten.nonzero,
    torch.ops.aten.masked_select,
    torch.ops.aten._unique2,
    torch.ops.aten.unique_consecutive,
    torch.ops.aten.unique_dim_consecutive,
    torch.ops.aten.repeat_interleave,
}


class Watch(TorchDispatchMode):
    """Collects the operations that wait, while it is switched on."""

    def __init__(self) -> None:
        super().__init__()
        self.on = False
        self.seen: list[str] = []
        self.waits: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if self.on:
            self.seen.append(str(func))
            if func.overloadpacket in WAITS:
                self.waits.append(str(func))
            # An index by truth values has a length that only the device knows; numbers come from the host.
            if func.overloadpacket is torch.ops.aten.index and any(
                i.dtype == torch.bool for i in args[1] if i is not None
            ):
                self.waits.append(str(func))
            if func.overloadpacket is torch.ops.aten.lift_fresh:
                self.waits.append(str(func))
        return func(*args, **(kwargs or {}))

    def between(self, done: int, total: int) -> None:
        """Watches from the first chunk's end to the last chunk's."""
        self.on = done < total


@pytest.mark.parametrize("targets", [TARGETS, None], ids=["targets", "predicted"])
@pytest.mark.parametrize("name", [name for name in METHODS if name not in REFINED])  # which ask whether it is enough
def test_no_chunk_after_the_first_waits_for_the_device(name, targets):
    model = prepare(seeded(ConvNet))
    watch = Watch()
    with watch:
        METHODS[name](model, images(), targets, chunk=2, progress=watch.between)
    assert not watch.waits
    if name != "edge-detector":  # one pass over all images
        call = "convolution" if name.startswith("occlusion") else "backward"  # it takes no gradients
        assert any(call in each for each in watch.seen), "nothing was watched"


def test_the_watch_sees_what_waits():
    watch = Watch()
    with watch:
        watch.between(0, 1)
        x = torch.ones(3)
        assert bool((x > 0).any())
        x[x > 0]
        x.sum().item()
        torch.tensor([1.0, 2.0])
    assert len(watch.waits) == 4


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_cuda_itself_sees_no_wait():
    model, x = prepare(seeded(ConvNet).cuda()), images().cuda()
    method = SmoothGrad(METHODS["integrated-gradients"], samples=4)
    method(model, x, TARGETS, chunk=2)  # constants and kernels are loaded

    def between(done: int, total: int) -> None:
        torch.cuda.set_sync_debug_mode("error" if done < total else "default")

    try:
        method(model, x, TARGETS, chunk=2, progress=between)
    finally:
        torch.cuda.set_sync_debug_mode("default")

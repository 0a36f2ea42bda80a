"""What the machine can do: the speed of a large matrix product, and of a copy that no cache holds."""

from dataclasses import dataclass

import torch

from probatum.benchmarks.contest import MACHINE, Contestant

PRODUCT, COPY = "matrix product", "copy"


@dataclass(frozen=True)
class MachineSizes:
    """How large the two measurements are.

    Args:
        side: of the two square matrices.
        copied: bytes that are copied; beyond the caches.
    """

    side: int
    copied: int


ON_CPU = MachineSizes(side=1536, copied=256 << 20)
ON_CUDA = MachineSizes(side=8192, copied=4 << 30)
QUICK = MachineSizes(side=256, copied=1 << 20)


def machine(device: torch.device, sizes: MachineSizes) -> list[Contestant]:
    """A product of matrices and a copy, both of float32, as contestants beside the bare model.

    A copy of n bytes counts as 2n, those read and those written.
    """
    a, b = (torch.rand(sizes.side, sizes.side, device=device) for _ in range(2))
    product = torch.empty_like(a)
    source = torch.rand(sizes.copied // 4, device=device)
    target = torch.empty_like(source)
    return [
        Contestant(
            MACHINE, lambda: torch.mm(a, b, out=product), f"{PRODUCT}, {sizes.side} × {sizes.side}",
            flops=2 * sizes.side**3,
        ),
        Contestant(
            MACHINE, lambda: target.copy_(source), f"{COPY} of {sizes.copied >> 20} MiB",
            traffic=2 * sizes.copied,
        ),
    ]  # fmt: skip

"""Noise streams keyed by (seed, image, sample).

The numbers come from counters, not from a generator with a state: an image meets the same noise whatever its neighbors
in the batch, the chunk, the order, the process or the device. An image is known by its content, so a caller has no
identifiers to keep. Integers are exact on every device; the normal numbers made from them agree up to rounding.
"""

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def _signed(word: int) -> int:
    """Reads an unsigned 64-bit constant as the int64 that torch computes with (its arithmetic wraps around)."""
    return word - (1 << 64) if word >= 1 << 63 else word


_STEP = _signed(0x9E3779B97F4A7C15)
_FIRST = _signed(0xBF58476D1CE4E5B9)
_SECOND = _signed(0x94D049BB133111EB)
_BITS = 24  # of each uniform number: what float32 holds, so that float32 and float64 see the same noise


def _shift(words: Tensor, bits: int) -> Tensor:
    """Shifts right without carrying the sign."""
    return (words >> bits).bitwise_and_((1 << (64 - bits)) - 1)


def splitmix64(words: Int64[Tensor, "*shape"]) -> Int64[Tensor, "*shape"]:
    """Maps 64-bit words one to one onto well-mixed words: the finalizer of SplitMix64 (Steele, Lea & Flood, 2014)."""
    words = words ^ _shift(words, 30)
    words *= _FIRST
    words ^= _shift(words, 27)
    words *= _SECOND
    words ^= _shift(words, 31)
    return words


def image_keys(images: Float[Tensor, "batch *shape"], seed: int) -> Int64[Tensor, " batch"]:
    """Hashes each image's float32 content, together with the seed, to the key of its noise stream.

    The hash is Σ_j c_j · bits(x_j) modulo 2^64 with pseudo-random odd c_j, scrambled; adding zero makes −0 and 0 one.
    """
    words = (images.detach().float().flatten(1) + 0.0).view(torch.int32).long()  # (batch, pixels)
    positions = torch.arange(1, words.shape[1] + 1, device=words.device)
    seed = (int(seed) + (1 << 63)) % (1 << 64) - (1 << 63)  # of any integer, its last 64 bits
    content = (words * (splitmix64(positions * _STEP) | 1)).sum(1)
    return splitmix64(content + splitmix64(torch.full_like(content, seed) * _STEP + _FIRST))


def standard_normal(
    keys: Int64[Tensor, " rows"], samples: Int64[Tensor, " rows"], shape: torch.Size, dtype: torch.dtype
) -> Float[Tensor, "rows *shape"]:
    """Draws N(0, 1) numbers for each (key, sample) by the transform of Box & Muller (1958) on counter-based uniforms.

    Args:
        keys: one stream a row, from `image_keys`.
        samples: which sample of the stream a row wants.
        shape: of one row.
        dtype: floating-point type of the result.
    """
    exact = torch.promote_types(dtype, torch.float32)  # float16 cannot hold the counters
    pairs = (math.prod(shape) + 1) // 2
    counters = torch.arange(1, pairs + 1, device=keys.device) * _STEP
    bits = splitmix64(splitmix64(keys + samples * _SECOND)[:, None] + counters)  # (rows, pairs)
    scale = 2.0**-_BITS
    radius = _shift(bits, 64 - _BITS).to(exact).add_(0.5).mul_(scale).log_().mul_(-2.0).sqrt_()
    angle = bits.bitwise_and_((1 << _BITS) - 1).to(exact).add_(0.5).mul_(2.0 * math.pi * scale)
    normal = torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)  # (rows, 2 * pairs)
    return normal[:, : math.prod(shape)].reshape(-1, *shape).to(dtype)


def uniform(
    keys: Int64[Tensor, " rows"], samples: Int64[Tensor, " rows"], dtype: torch.dtype
) -> Float[Tensor, " rows"]:
    """Draws one number of U(0, 1) for each (key, sample), by the counter 0 that `standard_normal` leaves free."""
    bits = splitmix64(splitmix64(keys + samples * _SECOND))
    return _shift(bits, 64 - _BITS).to(torch.promote_types(dtype, torch.float32)).add_(0.5).mul_(2.0**-_BITS).to(dtype)

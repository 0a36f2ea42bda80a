"""Floating-point types, memory layouts and devices."""

import torch

from probatum.conformance.law import ROUNDING, distance, law, require, targets
from probatum.conformance.networks import ConvNet, images, seeded
from probatum.conformance.subject import Subject


@law("types")
def type_of_maps(subject: Subject) -> float:
    """Maps of float64 images have float64: 0 where that is so, else 1."""
    return float(subject.explain(seeded(ConvNet), images(), targets()).dtype != torch.float64)


@law("types", 1e-3)
def float32_agrees(subject: Subject) -> float:
    """Maps in float32 are those in float64; sums of squares may lose half of the seven digits."""
    require(not (subject.is_external and subject.method.stochastic), "its noise differs between the types")
    expected = subject.explain(seeded(ConvNet), images(), targets())
    return distance(subject.explain(seeded(ConvNet).float(), images().float(), targets()), expected)


@law("types")
def bfloat16_runs(subject: Subject) -> float:
    """A bfloat16 model has finite maps of a floating-point type: the number of values that are not."""
    maps = subject.explain(seeded(ConvNet).bfloat16(), images().bfloat16(), targets())
    return float((~maps.isfinite()).sum()) if maps.is_floating_point() else float(maps.numel())


@law("types", ROUNDING)
def strides_of_images(subject: Subject) -> float:
    """Images whose channels lie next to each other in memory have the same maps."""
    batch = images().contiguous(memory_format=torch.channels_last)
    expected = subject.explain(seeded(ConvNet), images(), targets())
    return distance(subject.explain(seeded(ConvNet), batch, targets()), expected)


@law("types", ROUNDING)
def maps_on_cuda(subject: Subject) -> float:
    """On CUDA maps are on the images' device, with the values of the CPU up to the order of float64 sums."""
    require(torch.cuda.device_count() > 0, "there is no CUDA device")
    require(not (subject.is_external and subject.method.stochastic), "its noise differs between devices")
    expected = subject.explain(seeded(ConvNet), images(), targets())
    found = subject.explain(seeded(ConvNet).cuda(), images().cuda(), targets().cuda())
    return distance(found.cpu(), expected) if found.is_cuda else float("inf")

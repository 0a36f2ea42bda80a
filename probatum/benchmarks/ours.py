"""probatum as a contestant: from the prepared view, as its own sanity check calls it."""

from collections.abc import Sequence

from torch import Tensor, nn

from probatum.attributions import attribute
from probatum.benchmarks.config import Sizes, Subject
from probatum.benchmarks.contest import Contestant
from probatum.benchmarks.judging import ROWS, Judge
from probatum.benchmarks.panels import build
from probatum.benchmarks.record import OURS
from probatum.benchmarks.reference import SMOOTHED, recorded_points


def ours(
    subject: Subject,
    names: Sequence[str],
    sizes: Sizes,
    judge: Judge,
    *,
    gradients: int | None = None,
    note: str = "",
) -> Contestant:
    """Some methods in one call of `attribute`, judged on the first image.

    Args:
        subject: the model and images.
        names: of the panels.
        sizes: samples and steps.
        judge: of the subject.
        gradients: of the contestant.
        note: likewise.
    """
    methods = build(names, sizes, subject.layer)

    def explain(model: nn.Module, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        return attribute(model, images, targets, methods, chunk=ROWS)

    def smoothed(model: nn.Module, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        noisy = {name: methods[name] for name in names if name in SMOOTHED}
        return attribute(model, images, targets, noisy, chunk=ROWS)

    apart = [smoothed] if len(names) > 1 and set(names) & set(SMOOTHED) else []
    return Contestant(
        OURS,
        lambda: attribute(subject.prepared, subject.images, subject.targets, methods),
        judge=lambda: judge.error(explain, *apart),
        maps=len(names) * len(subject.images),
        gradients=gradients,
        note=note,
    )


def rows_of(subject: Subject, names: Sequence[str], sizes: Sizes) -> int:
    """The most rows that one model call of ours holds: what a tuned rival is given."""
    with recorded_points(subject.model) as points:
        attribute(subject.model, subject.images, subject.targets, build(names, sizes, subject.layer))
    return max(len(batch) for batch in points)

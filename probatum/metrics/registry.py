"""Table of similarity metrics, each with the protocol under which papers report it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from probatum.errors import InvalidInput, UnknownName
from probatum.metrics.entropy import EntropyRise
from probatum.metrics.histograms import HOGCorrelation
from probatum.metrics.inputs import Features, Measure, compare, compare_maps, compare_with_all, prepare, score
from probatum.metrics.ranks import Spearman
from probatum.metrics.structural import SSIM_PRESETS
from probatum.metrics.vectors import Cosine, Euclidean, Pearson
from probatum.plugins import registered

ADEBAYO = "Adebayo et al. 2018, arXiv:1810.03292"
KOKHLIKYAN = "Kokhlikyan et al. 2021, Investigating sanity checks for saliency maps with image and text classification"
HEDSTROM = "Hedström et al. 2024, arXiv:2401.06465"

Kind = Literal["similarity", "distance", "rise"]
"""At most 1, for identical maps; from 0, for identical maps, upwards; above 0 where the second map is more complex."""


@dataclass(frozen=True)
class Metric:
    """A similarity of two batches of maps, as a paper uses it; called as metric(a, b) -> (batch,).

    To change settings, replace the measure: `dataclasses.replace(metric, measure=HOGCorrelation(cell_size=4))`.

    Args:
        name: key in `METRICS`, recorded in results.
        title: as written in figures.
        measure: the computation and its settings.
        reduction: name of the map reduction that the protocol applies first.
        source: paper that defines the protocol.
        perfect: score of identical maps.
        kind: how a score is read.
        chance: score of unrelated maps, if known in advance; None lets a check measure it between maps of different
            images.
    """

    name: str
    title: str
    measure: Measure
    reduction: str
    source: str
    perfect: float = 1.0
    kind: Kind = "similarity"
    chance: float | None = None

    def prepare(self, maps: Tensor) -> Features:
        """Compute the features of one batch of maps, once for any number of comparisons."""
        return prepare(self.measure, maps)

    def compare(self, features_a: Features, features_b: Features) -> Float[Tensor, " batch"]:
        """Score each pair of prepared maps."""
        return compare(self.measure, features_a, features_b)

    def compare_maps(self, features_a: Features, maps: Tensor) -> Float[Tensor, " batch"]:
        """Score each pair of a prepared map and one that is compared only once."""
        return compare_maps(self.measure, features_a, maps)

    def compare_with_all(self, references: Sequence[Features], maps: Tensor) -> tuple[Float[Tensor, " batch"], ...]:
        """Score maps against several batches of prepared maps."""
        return compare_with_all(self.measure, references, maps)

    def __call__(self, a: Tensor, b: Tensor) -> Float[Tensor, " batch"]:
        """Score each pair of maps."""
        return score(self.measure, a, b)


def _ssim(name: str, preset_name: str) -> Metric:
    preset = SSIM_PRESETS[preset_name]
    return Metric(name, "SSIM", preset.measure, preset.reduction, preset.source)


METRICS = {
    metric.name: metric
    for metric in (
        # The default: the code of the paper that proposed the check, with the window recommended by Wang et al.
        _ssim("ssim", "adebayo-notebook"),
        *(_ssim(f"ssim-{preset_name}", preset_name) for preset_name in SSIM_PRESETS),
        Metric("spearman", "Rank correlation (no ABS)", Spearman(), "diverging", ADEBAYO),
        Metric("spearman-abs", "Rank correlation (ABS)", Spearman(absolute=True), "abs-normalized", ADEBAYO),
        Metric("pearson", "Pearson correlation", Pearson(), "signed", "Pearson 1895; no protocol of its own"),
        Metric("hog-pearson", "HOGs similarity", HOGCorrelation(), "min-max", ADEBAYO),
        Metric(
            "hog-spearman", "Rank correlation of HOGs", HOGCorrelation(by_rank=True), "min-max", f"{ADEBAYO}, notebook"
        ),
        Metric("cosine", "Cosine similarity", Cosine(), "identity", KOKHLIKYAN),
        Metric("euclidean", "Euclidean distance", Euclidean(), "identity", KOKHLIKYAN, perfect=0.0, kind="distance"),
        Metric("entropy-rise", "Entropy increase", EntropyRise(), "signed", HEDSTROM, perfect=0.0, kind="rise"),
    )
}


def get_metric(name: str) -> Metric:
    """Look up a metric.

    Args:
        name: key in `METRICS`, or a name that an installed package registers.

    Returns:
        The metric.

    Raises:
        UnknownName: no such metric; the message suggests similar names.
        InvalidInput: the package's code cannot be imported, or the object is no `Metric`.
    """
    if name in METRICS:
        return METRICS[name]
    found = registered("metrics", METRICS)
    if name not in found:
        raise UnknownName("metric", name, [*METRICS, *found])
    metric = found[name].load()
    if not isinstance(metric, Metric):
        raise InvalidInput(f"{name!r} of the package {found[name].package} is a {type(metric).__name__}, not a Metric")
    return replace(metric, name=name)


def is_metric_name(name: str) -> bool:
    """True if a name is in the table or registered; nothing is imported."""
    return name in METRICS or name in registered("metrics", METRICS)

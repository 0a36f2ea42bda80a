"""What the package says of the similarity metrics of a file, behind the text of its page `docs/metrics/*.md`."""

import method_facts
from markup import file_of, linked, table

from probatum import metrics
from probatum.metrics import METRICS, Metric


def written() -> list[str]:
    """Paths of the pages, in the order of the table."""
    return list(dict.fromkeys(page_of(metric) for metric in METRICS.values()))


def page_of(metric: Metric) -> str:
    """Where the page of a metric lies."""
    return f"metrics/{type(metric.measure).__module__.rpartition('.')[2]}.md"


def fill(path: str, text: str) -> str:
    """The text of a page with the facts behind it; the text itself where the page is none of a metric."""
    metrics = {name: metric for name, metric in METRICS.items() if page_of(metric) == path}
    if not metrics:
        return text
    return "\n\n".join((text.rstrip(), *_variants(metrics), *_reliability(metrics), *_reference(metrics)))


def _variants(metrics: dict[str, Metric]) -> list[str]:
    rows = [
        (f"`{name}`", f"`{each.reduction}`", f"{each.perfect:g}", linked(each.source)) for name, each in metrics.items()
    ]
    return ["## By name", table(("metric", "of maps reduced by", "identical maps", "source"), rows)]


def _reliability(metrics: dict[str, Metric]) -> list[str]:
    rows = [(f"`{name}`", *alphas) for name in metrics for alphas in method_facts.alphas(name)]
    if not rows:
        return []
    return [
        "## Reliability",
        "Krippendorff's alpha says how well images agree on the order of the methods: 1 perfectly, 0 not at all. Raw "
        "scores, and [shares](../concepts.md#share-retained) after calibration, from "
        "[the study of verdicts](../verdicts.md#how-far-verdicts-can-be-trusted):",
        table(("metric", "network", "raw", "calibrated"), rows),
    ]


def _reference(found: dict[str, Metric]) -> list[str]:
    kinds = dict.fromkeys(type(metric.measure) for metric in found.values())
    module = next(iter(kinds)).__module__
    documented = (_documented(kind) for kind in kinds)
    return ["## Reference", f"Source: {file_of(module)}", *documented]


def _documented(kind: type) -> str:
    """The docstring of a measure, or a link to it where the reference of the package has it."""
    path = f"{kind.__module__}.{kind.__qualname__}"
    if kind.__name__ in metrics.__all__:
        return f"[`{kind.__name__}`][{path}]"
    return f"::: {path}\n    options:\n      members: false\n      heading_level: 3"

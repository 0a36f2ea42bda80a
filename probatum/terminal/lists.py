"""Makes `catalog.json` from the registries; run `python -m probatum.terminal.lists` after changing one of them."""

import json
from collections.abc import Sequence
from typing import Any

from probatum.attributions import COMPOSITES, METHODS
from probatum.benchmarks import SUITES, USUAL
from probatum.conformance import LAWS
from probatum.data import DATASETS
from probatum.data.download import DOWNLOADS
from probatum.engine import PRECISIONS
from probatum.experiments.config import (
    BASELINES,
    DEFAULT_METHODS,
    DEFAULT_METRICS,
    INTERPOLATIONS,
    LAST_RELU,
    ON_ERROR,
    STAGES,
)
from probatum.experiments.localization.run import PRESET as LOCALIZATION
from probatum.experiments.localization.work import ROUNDS
from probatum.experiments.text.models import RECIPES
from probatum.experiments.text.run import USUAL_METHODS
from probatum.experiments.text.scores import BASELINES as TEXT_BASELINES
from probatum.metrics import METRICS
from probatum.metrics.quality import QUALITY
from probatum.models import MODELS
from probatum.randomization import BATCH_NORM, INITIALIZERS, ORDERS, PRESETS
from probatum.reproductions import PAPERS
from probatum.terminal.catalog import CATALOG, Kind, Table

RAO = "Rao et al. (2022), arXiv 2205.10435"


def tables() -> dict[Kind, Table]:
    """Columns and rows of each list."""
    return {
        Kind.methods: (
            ("name", "title", "source", "module"),
            [(name, entry.title, entry.source, entry.where) for name, entry in METHODS.items()],
        ),
        Kind.metrics: (
            ("name", "title", "maps", "source", "module"),
            [(n, m.title, m.reduction, m.source, type(m.measure).__module__) for n, m in METRICS.items()],
        ),
        Kind.quality: (
            ("name", "title", "better", "source", "module"),
            [
                (n, q.title, "lower" if q.lower_is_better else "higher", q.source, type(q.measure).__module__)
                for n, q in QUALITY.items()
            ],
        ),
        Kind.models: (
            ("name", "title", "input", "stages", "module"),
            [
                (n, s.title, f"{s.channels}×{s.input_size}×{s.input_size}", _stages(s.stages), s.where)
                for n, s in MODELS.items()
            ],
        ),
        Kind.data: (
            ("name", "title", "training", "test", "module"),
            [(n, s.title, f"{s.sizes[0]}", f"{s.sizes[1]}", s.where) for n, s in DATASETS.items()],
        ),
        Kind.papers: (
            ("name", "title", "citation", "figures", "variants", "module"),
            [(n, p.title, p.citation, ", ".join(p.names), ", ".join(p.variants), p.module) for n, p in PAPERS.items()],
        ),
        Kind.presets: (
            ("name", "order", "initializer", "batch norm", "trials", "metrics", "methods", "source"),
            [
                (
                    n,
                    p.order,
                    type(p.initializer).__name__,
                    p.batch_norm,
                    str(p.trials),
                    ", ".join(p.metrics or ("any",)),
                    f"averaged over {p.smoothing.samples} noisy images" if p.smoothing else "as they are",
                    p.source,
                )
                for n, p in PRESETS.items()
            ]
            + [(LOCALIZATION, "nothing", "none", "", f"{ROUNDS} rounds", "share in the cell", "on grids", RAO)],
        ),
        Kind.initializers: (
            ("name", "what it draws", "module"),
            [(n, (type(i).__doc__ or "").splitlines()[0], type(i).__module__) for n, i in INITIALIZERS.items()],
        ),
        Kind.suites: (
            ("name", "title", "minutes", "module"),
            [(n, s.title, str(s.minutes), s.run.__module__) for n, s in SUITES.items()],
        ),
        Kind.laws: (
            ("name", "about", "law"),
            [(n, each.kind, each.statement) for n, each in LAWS.items()],
        ),
    }


def catalog() -> dict[str, Any]:
    """The lists, the values that options may have, and the names that they stand for where they are not given."""
    return {
        "tables": {
            kind.value: {"columns": list(columns), "rows": [list(row) for row in rows]}
            for kind, (columns, rows) in tables().items()
        },
        "choices": {
            "stages": list(STAGES),
            "order": list(ORDERS),
            "batch-norm": list(BATCH_NORM),
            "baseline": list(BASELINES),
            "composite": list(COMPOSITES),
            "interpolation": list(INTERPOLATIONS),
            "precision": list(PRECISIONS),
            "on-error": list(ON_ERROR),
            "last-relu": list(LAST_RELU),
            "text-model": list(RECIPES),
            "download": list(DOWNLOADS),
            "text-baseline": list(TEXT_BASELINES),
        },
        "defaults": {
            "methods": list(DEFAULT_METHODS),
            "metrics": list(DEFAULT_METRICS),
            "text-methods": list(USUAL_METHODS),
            "suites": list(USUAL),
        },
    }


def _stages(stages: Sequence[object] | None) -> str:
    return f"{len(stages)}, by table" if stages else "layers or blocks"


if __name__ == "__main__":
    CATALOG.write_text(json.dumps(catalog(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

"""What there is, as `probatum list` shows it."""

from collections.abc import Sequence
from enum import Enum

from probatum.attributions import METHODS
from probatum.data import DATASETS
from probatum.metrics import METRICS
from probatum.metrics.quality import QUALITY
from probatum.models import MODELS
from probatum.randomization import INITIALISERS, PRESETS
from probatum.reproductions import PAPERS

Table = tuple[Sequence[str], Sequence[Sequence[str]]]


class Kind(str, Enum):
    """What `probatum list` can list."""

    methods = "methods"
    metrics = "metrics"
    quality = "quality"
    models = "models"
    data = "data"
    papers = "papers"
    presets = "presets"
    initialisers = "initialisers"


def table_of(kind: Kind) -> Table:
    """Columns and rows of one list."""
    tables: dict[Kind, Table] = {
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
            ("name", "title", "citation", "figures", "module"),
            [(n, p.title, p.citation, ", ".join(e.name for e in p.experiments), p.module) for n, p in PAPERS.items()],
        ),
        Kind.presets: (
            ("name", "order", "initialiser", "batch norm", "trials", "metrics", "methods", "source"),
            [
                (
                    n,
                    p.order,
                    type(p.initialiser).__name__,
                    p.batch_norm,
                    str(p.trials),
                    ", ".join(p.metrics or ("any",)),
                    f"averaged over {p.smoothing.samples} noisy images" if p.smoothing else "as they are",
                    p.source,
                )
                for n, p in PRESETS.items()
            ],
        ),
        Kind.initialisers: (
            ("name", "what it draws", "module"),
            [(n, (type(i).__doc__ or "").splitlines()[0], type(i).__module__) for n, i in INITIALISERS.items()],
        ),
    }
    return tables[kind]


def _stages(stages: Sequence[object] | None) -> str:
    return f"{len(stages)}, by table" if stages else "by layer"

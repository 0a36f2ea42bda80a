"""The written page of each file of similarity metrics: it exists, and its code runs as it stands."""

import pytest
import torch
from docs.code_blocks import PAGES, python_blocks

from probatum.metrics import METRICS

NAMES = sorted({type(metric.measure).__module__.rpartition(".")[2] for metric in METRICS.values()})


def test_every_metric_has_a_page_and_every_page_a_metric():
    assert sorted(path.stem for path in (PAGES / "metrics").glob("*.md")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_its_code_runs(name):
    generator = torch.Generator().manual_seed(0)
    maps, others, larger = (torch.rand(2, 1, side, side, generator=generator) for side in (16, 16, 48))
    names = {"maps": maps, "others": others, "larger": larger}
    for block in python_blocks(f"metrics/{name}.md"):
        exec(block, names)
    scores = [each for each in names.values() if isinstance(each, torch.Tensor) and each.ndim == 1]
    assert scores
    assert all(each.shape == (2,) and torch.isfinite(each).all() for each in scores)

"""Training is done once: equal trainings share their weights, different ones do not."""

import json

import pytest
import torch
from torch import nn

from probatum.models import TrainingConfig
from probatum.runs.cache import cache_folder, train_once

CONFIG = TrainingConfig(epochs=2, batch_size=8, learning_rate=0.05)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PROBATUM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def train(config=CONFIG, seed=0, shift=0.0, count=32, stop_at=None):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(count, 1, 4, 4, generator=generator) + shift
    labels = (images.mean((1, 2, 3)) > shift).long()
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    calls = []

    def progress(*facts):
        calls.append(facts)
        if facts[0] == stop_at:
            raise KeyboardInterrupt

    report = train_once(model, images, labels, images, labels, config, what="a test", progress=progress)
    return model, report, len(calls)


def test_an_equal_training_is_loaded(folder):
    first, report, calls = train()
    again, same, none = train()
    assert calls > 0
    assert none == 0
    assert same == report
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    assert not again.training
    assert cache_folder() == folder
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"shift": 0.5}, {"config": TrainingConfig(epochs=3, batch_size=8, learning_rate=0.05)}]
)
def test_another_training_is_not(change):
    train()
    assert train(**change)[2] > 0


@pytest.mark.parametrize("suffix", [".pt", ".json"])
@pytest.mark.parametrize("content", [b"", b"{}", b"damaged"])
def test_a_damaged_entry_is_trained_again(suffix, content, folder):
    _, report, _ = train()
    next(folder.glob(f"*{suffix}")).write_bytes(content)
    _, again, calls = train()
    assert calls > 0
    assert again == report
    assert json.loads(next(folder.glob("*.json")).read_text())["best"]["accuracy"] == report.best_accuracy


def test_a_cache_that_cannot_be_written_costs_no_training(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PROBATUM_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match="the training is not kept: .*; set PROBATUM_CACHE"):
        _, report, _ = train()
    assert report.best_accuracy > 0


def test_an_interrupted_training_is_resumed(folder):
    config = TrainingConfig(epochs=3, batch_size=1_000, learning_rate=0.05)
    with pytest.raises(KeyboardInterrupt):
        train(config, count=5_000, stop_at=12)
    assert [path.suffix for path in folder.iterdir()] == [".unfinished"]
    _, report, calls = train(config, count=5_000)
    assert calls == 5
    assert len(report.history) == 3
    assert {path.suffix for path in folder.iterdir()} == {".pt", ".json"}

"""Text classifiers are trained on the spot, once, and know what they should."""

import json

import numpy as np
import pytest
import torch

from probatum.data.sst2 import read_sst2
from probatum.errors import InvalidInput, ModelError
from probatum.experiments.text.models import (
    TextRecipe,
    load_sentences,
    load_text_model,
    memorizing,
    permuted_text_model,
    trained_text_model,
)
from probatum.experiments.text.scores import explain_text, known_share, text_methods
from probatum.models.text import EncoderSizes, TextTraining, pad_ids, text_accuracy
from probatum.runs.cache import cache_folder

TINY = TextRecipe(EncoderSizes(dimensions=8, heads=2, hidden=8), TextTraining(epochs=1, batch_size=16))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PROBATUM_CACHE", str(tmp_path / "cache"))


def test_the_embedded_sentences_are_learnt_in_seconds_and_for_the_right_reasons():
    model, report = load_text_model("sentences")
    assert report.best_accuracy >= 0.95
    test = load_sentences("sentences", "test")
    ids = pad_ids(model.encode(test.sentences))
    assert text_accuracy(model.network, ids, test.labels) == report.best_accuracy
    again, same = load_text_model("sentences", progress=lambda *call: pytest.fail("it was trained again"))
    assert same == report
    for one, other in zip(model.network.state_dict().values(), again.network.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    # Most of what Integrated Gradients gives falls on the words that decide; they are a fifth of all words.
    some = test.subset(range(30))
    found = explain_text(model, some.sentences, text_methods(model, ["integrated-gradients"], steps=30))
    shares = [known_share(e, "integrated-gradients", d) for e, d in zip(found, some.decisive, strict=True)]
    chance = [len(d) / len(e.tokens) for e, d in zip(found, some.decisive, strict=True)]
    assert np.mean(shares) > 2.5 * np.mean(chance)
    assert max(abs(explanation.delta["integrated-gradients"]) for explanation in found) < 0.1


def few(split, count=48):
    return load_sentences("sentences", split).subset(range(count))


def test_an_equal_training_is_loaded_and_another_one_is_not():
    calls = []

    def report(*call):
        calls.append(call)

    def train(seed=0, labels=None, recipe=TINY):
        calls.clear()
        model, _ = trained_text_model(few("train"), few("test"), recipe, seed=seed, progress=report)
        return model.network.state_dict(), len(calls)

    first, steps = train()
    again, none = train()
    assert (steps, none) == (3, 0)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert train(seed=1)[1] == 3
    assert train(recipe=TextRecipe(TINY.sizes, TextTraining(epochs=2, batch_size=16)))[1] == 6
    assert len(list(cache_folder().iterdir())) == 6
    for suffix, content in (("json", b"{}"), ("pt", b"damaged"), ("json", b"")):
        for file in cache_folder().glob(f"*.{suffix}"):
            file.write_bytes(content)
        repaired, steps = train()
        assert steps == 3
        assert all(torch.equal(first[name], repaired[name]) for name in first)
    assert json.loads(next(cache_folder().glob("*.json")).read_text() or "{}") is not None


def test_permuted_labels_are_learnt_by_heart():
    train = few("train", 80)
    recipe = memorizing(TextRecipe(EncoderSizes(dimensions=16, hidden=32), TextTraining(epochs=1, batch_size=16)))
    model, report, agreement = permuted_text_model(train, recipe, seed=3)
    assert report.reached_target
    assert report.best_accuracy >= 0.95
    assert 0.3 < agreement < 0.7
    ids = pad_ids(model.encode(train.sentences))
    assert text_accuracy(model.network, ids, train.labels) == pytest.approx(agreement, abs=0.06)


def test_what_cannot_be_loaded_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="give the data folder"):
        load_text_model("sst2")
    with pytest.raises(InvalidInput, match=r"train\.tsv cannot be read"):
        load_text_model("sst2", tmp_path)
    with pytest.raises((InvalidInput, ModelError)):
        load_text_model(str(tmp_path / "absent"))


@pytest.mark.long
def test_sst2_is_learnt_in_minutes(data_root):
    if not (data_root / "sst2").is_dir():
        pytest.skip("no sst2/ in PROBATUM_DATA")
    model, report = load_text_model("sst2", data_root)
    assert report.best_accuracy >= 0.80
    test = load_sentences("sst2", "test", data_root)
    assert text_accuracy(model.network, pad_ids(model.encode(test.sentences)), test.labels) == report.best_accuracy
    assert report.best_accuracy < 0.86  # what sentences alone teach; more would mean that dev sentences leaked
    unseen = read_sst2(data_root, "test")
    assert text_accuracy(model.network, pad_ids(model.encode(unseen.sentences)), unseen.labels) >= 0.79

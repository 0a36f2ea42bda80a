"""The small encoder: exact without padding, differentiable in its embeddings, trained in seconds."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from probatum.attributions import Gradient, IntegratedGradients
from probatum.data.sentences import make_sentences
from probatum.engine import used_parameters
from probatum.errors import InvalidInput, ModelError
from probatum.models.text import (
    EncoderSizes,
    TextClassifier,
    TextTraining,
    make_text_model,
    pad_ids,
    text_accuracy,
    train_text,
)

SENTENCES = ("a good film", "the plot is not good at all", "a bad film", "it is good")
TINY = EncoderSizes(dimensions=8, layers=2, heads=2, hidden=12)


@pytest.fixture(scope="module")
def model():
    made = make_text_model(SENTENCES, ("negative", "positive"), TINY, max_tokens=12, seed=1)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # before training the layers add nothing
        for parameter in made.network.encoder.parameters():
            parameter.normal_(std=0.4, generator=generator)
    return made


def replica(network, embeddings):
    """The logits of one sentence in float64, written out from the published formulas."""
    weights = {name: value.double() for name, value in network.state_dict().items()}

    def linear(name, x):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(name, x):
        scaled = x / ((x**2).mean(-1, keepdim=True) + 0.1).sqrt()
        return scaled * weights[f"{name}.weight"]

    x = embeddings + weights["embeddings.positions"][: len(embeddings)]
    width = TINY.dimensions // TINY.heads
    for layer in range(TINY.layers):
        at = f"encoder.layer.{layer}.attention"
        y = norm(f"{at}.norm", x)
        heads = []
        for head in range(TINY.heads):
            part = slice(head * width, (head + 1) * width)
            q, k, v = (linear(f"{at}.{name}", y)[:, part] for name in ("query", "key", "value"))
            heads.append((q @ k.T / math.sqrt(width)).exp().div((q @ k.T / math.sqrt(width)).exp().sum(1, True)) @ v)
        x = x + linear(f"{at}.output", torch.cat(heads, 1))
        forward = f"encoder.layer.{layer}.feed_forward"
        y = linear(f"{forward}.1", norm(f"{forward}.0", x))
        x = x + linear(f"{forward}.4", y * 0.5 * (1 + torch.erf(y / math.sqrt(2))))
    return linear("classifier", torch.tanh(linear("pooler.dense", x.mean(0))))


def test_the_gradient_of_embeddings_is_that_of_a_literal_float64_computation(model):
    for sentence in SENTENCES:
        embeddings = model.embed(model.encode([sentence]))
        leaf = embeddings[0].double().requires_grad_()
        logits = replica(model.network, leaf)
        torch.testing.assert_close(model.network.double()(leaf[None])[0], logits, rtol=1e-12, atol=1e-12)
        expected = torch.autograd.grad(logits[1], leaf)[0]
        found = Gradient()(model.network, embeddings, 1, precision="float64")
        model.network.float()
        torch.testing.assert_close(found[0], expected, rtol=1e-10, atol=1e-13)


def test_integrated_gradients_of_embeddings_are_complete(model):
    method = IntegratedGradients(steps=40, rule="gauss-legendre")
    embeddings = model.embed(model.encode(SENTENCES[:1]))
    maps = method(model.network, embeddings, 0, precision="float64")
    delta = method.convergence_delta(model.network, embeddings, 0, maps, precision="float64")
    assert maps.abs().sum() > 1e-3
    assert float(delta.abs().max()) < 1e-10


def test_padded_ids_and_bare_embeddings_give_one_answer(model):
    encoded = model.encode(SENTENCES)
    padded = pad_ids(encoded)
    network = model.network
    feature_dim = network(padded)
    for row, sentence in enumerate(encoded):
        alone = network(model.embed([sentence]))[0]
        torch.testing.assert_close(feature_dim[row], alone, rtol=1e-5, atol=1e-6)  # float32: sums of other length
        torch.testing.assert_close(network(torch.tensor([sentence.ids]))[0], alone, rtol=0, atol=0)
    more = torch.nn.functional.pad(padded, (0, 2))
    torch.testing.assert_close(network(more), feature_dim, rtol=1e-5, atol=1e-6)


def test_what_embeddings_use_is_what_the_stages_hold(model):
    embeddings = model.embed(model.encode(SENTENCES[:1]))
    staged = [path for _, paths in model.stages for path in paths]
    held = {name for name in dict(model.network.named_parameters()) if name.startswith(tuple(staged))}
    assert held == used_parameters(model.network, embeddings)
    assert [name for name, _ in model.stages] == [
        "classifier",
        "pooler",
        "encoder.layer.1",
        "encoder.layer.0",
        "embeddings",
    ]
    assert set(dict(model.network.named_parameters())) - held == {"embeddings.words.weight"}


def test_before_training_the_layers_add_nothing():
    network = make_text_model(SENTENCES, ("negative", "positive"), TINY).network
    states = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(network.encoder(states, None), states)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**16))
def test_weights_depend_on_the_seed_alone(seed):
    before = torch.get_rng_state()
    first, second = (make_text_model(SENTENCES, ("n", "p"), TINY, seed=seed).network.state_dict() for _ in range(2))
    other = make_text_model(SENTENCES, ("n", "p"), TINY, seed=seed + 1).network.state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])
    assert not first["embeddings.words.weight"][0].any()


def test_bad_embeddings_and_sentences_are_refused(model):
    with pytest.raises(ModelError, match="at most 12 tokens of 8 dimensions"):
        model.network(torch.zeros(1, 13, 8))
    with pytest.raises(ModelError, match="at most 12 tokens of 8 dimensions"):
        model.network(torch.zeros(1, 3, 9))
    with pytest.raises(InvalidInput, match="same number of tokens"):
        model.embed(model.encode(SENTENCES[:2]))
    with pytest.raises(InvalidInput, match="at least one sentence"):
        model.encode([])
    with pytest.raises(InvalidInput, match="a list"):
        model.encode("a good film")
    with pytest.raises(InvalidInput, match="there are no sentences"):
        pad_ids([])
    for sizes in ({"dimensions": 6, "heads": 4}, {"layers": 0}, {"dropout": 1.0}, {"word_dropout": -0.1}):
        with pytest.raises(InvalidInput):
            EncoderSizes(**sizes)


def test_dropout_is_shared_by_the_tokens_of_a_sentence():
    torch.manual_seed(0)
    network = TextClassifier(9, 5, 2, EncoderSizes(dimensions=16, dropout=0.5, word_dropout=0.0)).train()
    ones = network.embeddings.dropout(torch.ones(3, 5, 16))
    assert set(ones.flatten().tolist()) == {0.0, 2.0}
    assert torch.equal(ones, ones[:, :1].expand_as(ones))
    assert not torch.equal(ones[0], ones[1])
    assert torch.equal(network.eval().embeddings.dropout(ones), ones)


def test_training_is_repeatable_and_leaves_the_world_alone():
    data = make_sentences(60)
    runs = []
    for _ in range(2):
        model = make_text_model(data.sentences, data.class_names, TINY)
        ids = pad_ids(model.encode(data.sentences))
        before = torch.get_rng_state()
        calls = []
        report = train_text(
            model.network,
            ids,
            data.labels,
            ids,
            data.labels,
            TextTraining(2, batch_size=16),
            lambda *call, calls=calls: calls.append(call),
        )
        assert torch.equal(torch.get_rng_state(), before)
        assert not model.network.training
        assert [call[:2] for call in calls] == [(step, 8) for step in range(1, 9)]
        assert report.best_accuracy == text_accuracy(model.network, ids, data.labels)
        runs.append((report, model.network.state_dict()))
    assert runs[0][0] == runs[1][0]
    assert all(torch.equal(runs[0][1][name], runs[1][1][name]) for name in runs[0][1])
    assert not runs[0][1]["embeddings.words.weight"][0].any()  # [PAD] stays at zero


def test_an_interrupted_training_ends_in_the_same_bits(tmp_path):
    data = make_sentences(50)
    labels, config = data.labels.repeat(100), TextTraining(3, batch_size=1000)

    def training(*given):
        model = make_text_model(data.sentences, data.class_names, EncoderSizes(4, layers=1, heads=1, hidden=4))
        ids = pad_ids(model.encode(data.sentences))[:, :4]
        report = train_text(model.network, ids.repeat(100, 1), labels, ids, data.labels, config, *given)
        return report, model.network.state_dict()

    def stop(done, total, what):
        if what == "epoch 3 of 3":
            raise KeyboardInterrupt

    whole, weights = training()
    with pytest.raises(KeyboardInterrupt):
        training(stop, tmp_path / "training.unfinished")
    steps = []
    report, resumed = training(lambda done, *_: steps.append(done), tmp_path / "training.unfinished")
    assert steps == [11, 12, 13, 14, 15]
    assert report == whole
    assert all(torch.equal(resumed[name], weights[name]) for name in weights)


def test_training_stops_at_its_target():
    data = make_sentences(30)
    model = make_text_model(data.sentences, data.class_names, EncoderSizes(16, dropout=0.0, word_dropout=0.0))
    ids = pad_ids(model.encode(data.sentences))
    config = TextTraining(100, batch_size=10, learning_rate=0.01, averaging=0.5, monitor="train", target_accuracy=0.95)
    report = train_text(model.network, ids, data.labels, ids[:1], data.labels[:1], config)
    assert report.reached_target
    assert len(report.history) < 100
    assert report.best_accuracy >= 0.95


def test_impossible_trainings_are_refused():
    data = make_sentences(8)
    model = make_text_model(data.sentences, data.class_names, TINY)
    ids = pad_ids(model.encode(data.sentences))
    with pytest.raises(InvalidInput, match="8 training sentences with 7 labels"):
        train_text(model.network, ids, data.labels[:7], ids, data.labels, TextTraining(1))
    with pytest.raises(InvalidInput, match=r"labels reach 1\.\.2"):
        train_text(model.network, ids, data.labels + 1, ids, data.labels, TextTraining(1))
    with pytest.raises(InvalidInput, match="one label per"):
        text_accuracy(model.network, ids, data.labels[:7])
    for wrong in (
        {"epochs": 0},
        {"learning_rate": 0.0},
        {"weight_decay": -1.0},
        {"averaging": 1.0},
        {"batch_size": 0},
    ):
        with pytest.raises(InvalidInput):
            TextTraining(**{"epochs": 1, **wrong})

"""Scores of tokens: literal sums of gradients, neighbors that do not matter, and cascades over all stages."""

import numpy as np
import pytest
import torch
from torch import nn

from probatum.attributions import Gradient, IntegratedGradients, SmoothGrad
from probatum.engine import used_parameters
from probatum.errors import InvalidInput, ModelError, UnknownName
from probatum.experiments.text.cascade import text_cascade, text_stages
from probatum.experiments.text.labels import text_label_test
from probatum.experiments.text.scores import (
    PadBaseline,
    explain_text,
    known_share,
    text_baseline,
    text_methods,
    token_scores,
)
from probatum.metrics import cosine, euclidean, spearman
from probatum.models.text import EncoderSizes, make_text_model
from probatum.randomization import preset

SENTENCES = ("a good film", "the plot is not good", "a bad film", "it is a bad film")
TINY = EncoderSizes(dimensions=8, layers=2, heads=2, hidden=12)
METHODS = {"gradient": Gradient(), "ig": IntegratedGradients(steps=3), "sg": SmoothGrad(samples=2)}


def model(seed=1):
    made = make_text_model(SENTENCES, ("negative", "positive"), TINY, max_tokens=16, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():  # before training the layers add nothing
        for parameter in made.network.encoder.parameters():
            parameter.normal_(std=0.4, generator=generator)
    return made


@pytest.fixture(scope="module")
def subject():
    return model()


def test_scores_are_literal_sums_of_gradients(subject):
    found = explain_text(subject, SENTENCES, METHODS, precision="float64", normalize=False)
    scaled = explain_text(subject, SENTENCES, METHODS, precision="float64")
    assert [explanation.sentence for explanation in found] == list(SENTENCES)
    network = model().network.double()
    for sentence, explanation, unit in zip(SENTENCES, found, scaled, strict=True):
        ids = torch.tensor([subject.tokenizer.encode(sentence).ids])
        leaf = network.embeddings.words(ids).detach().requires_grad_()
        logits = network(leaf)
        target = int(logits.argmax())
        gradient = torch.autograd.grad(logits[0, target], leaf)[0][0]
        expected = [sum(value.item() for value in row) for row in gradient]
        np.testing.assert_allclose(explanation.scores["gradient"], expected, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(unit.scores["gradient"], np.array(expected) / np.linalg.norm(expected), rtol=1e-10)
        assert explanation.target == target
        assert explanation.class_name == ("negative", "positive")[target]
        assert explanation.confidence == pytest.approx(logits.softmax(1)[0, target].item(), abs=1e-12)
        assert explanation.tokens == ("[CLS]", *sentence.split(), "[SEP]")


def test_neither_neighbors_nor_order_nor_chunks_matter(subject):
    feature_dim = explain_text(subject, SENTENCES, METHODS, targets=1)
    backwards = explain_text(subject, SENTENCES[::-1], METHODS, targets=[1] * 4, memory_budget="300 KiB")[::-1]
    for sentence, one, other in zip(SENTENCES, feature_dim, backwards, strict=True):
        (alone,) = explain_text(subject, [sentence], METHODS, targets=1)
        for name in METHODS:
            np.testing.assert_allclose(one.scores[name], alone.scores[name], rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(one.scores[name], other.scores[name], rtol=1e-4, atol=1e-6)
    (again,) = explain_text(subject, SENTENCES[:1], METHODS, targets=1, seed=1)
    assert np.abs(feature_dim[0].scores["sg"] - again.scores["sg"]).max() > 1e-4


def test_integrated_gradients_of_tokens_sum_to_the_change_of_the_logit(subject):
    methods = {"ig": IntegratedGradients(120, text_baseline(subject, "pad"), rule="gauss-legendre")}
    for explanation in explain_text(subject, SENTENCES, methods, precision="float64", normalize=False):
        network = model().network.double()
        words = network.embeddings.words(torch.tensor([subject.tokenizer.encode(explanation.sentence).ids]))
        bare = words.clone()
        bare[:, 1:-1] = 0  # [PAD] is the zero embedding
        change = (network(words) - network(bare))[0, explanation.target]
        assert float(explanation.scores["ig"].sum()) == pytest.approx(change.item(), rel=1e-5)
        assert explanation.delta["ig"] == pytest.approx(
            float(explanation.scores["ig"].sum()) - change.item(), abs=1e-12
        )
        assert explanation.scores["ig"][0] == explanation.scores["ig"][-1] == 0  # markers do not travel


def test_baselines(subject):
    baseline = text_baseline(subject, "pad")
    assert isinstance(baseline, PadBaseline)
    assert (baseline.leading, baseline.trailing) == (1, 1)
    assert "tensor" not in repr(baseline)
    assert text_baseline(subject, "zero") == "zero"
    with pytest.raises(UnknownName, match="no baseline of text"):
        text_baseline(subject, "blurred")
    methods = text_methods(
        subject, ["gradient", "integrated-gradients-sg", "integrated-gradients-local"], steps=7, samples=3
    )
    nested = methods["integrated-gradients-sg"]
    assert nested.samples == 3
    assert nested.method.steps == methods["integrated-gradients-local"].steps == 7
    assert isinstance(nested.method.baseline, PadBaseline)
    assert not methods["integrated-gradients-local"].multiply_by_inputs
    embeddings = subject.embed(subject.encode(SENTENCES[:1]))
    wrong = IntegratedGradients(baseline=torch.zeros(1, 3, 8))
    with pytest.raises(InvalidInput, match="does not fit"):
        wrong(subject.network, embeddings)


def test_scores_of_zero_maps_stay_zero():
    assert not token_scores(torch.zeros(2, 3, 4), normalize=True).any()
    assert token_scores(torch.ones(1, 4, 2), normalize=True).tolist() == [[0.5] * 4]
    assert token_scores(torch.ones(1, 4, 2), normalize=False).tolist() == [[2.0] * 4]


def test_a_cascade_visits_every_stage(subject):
    ticks = []
    result = text_cascade(subject, SENTENCES, METHODS, trials=2, progress=lambda *call: ticks.append(call))
    stages = ("classifier", "pooler", "encoder.layer.1", "encoder.layer.0", "embeddings")
    assert result.stages == stages
    assert result.metrics == ("cosine", "euclidean", "spearman")
    assert result.scores.shape == (3, 3, 5, 4, 2)
    assert result.constant.shape == (3, 5, 4, 2)
    assert np.isfinite(result.scores).all()
    assert not result.constant.any()
    assert result.kept.shape == (3, 5, 4)
    assert result.kept.min() > 1e-4  # no layer norm after these embeddings
    assert np.isfinite(result.ceiling).all(axis=(1, 2)).tolist() == [False, False, True]
    assert result.of("ig", "cosine").shape == (5, 4, 2)
    assert ticks[-1][0] == ticks[-1][1] == 4000
    assert [tick[0] for tick in ticks] == sorted(tick[0] for tick in ticks)
    # The same by hand: the models of the preset, explained one by one.
    randomizer = preset("kokhlikyan").randomizer(subject.network, text_stages(subject, subject.encode(SENTENCES)[0]), 0)
    targets = [explanation.target for explanation in result.trained]
    for step, trial in ((1, 1), (5, 0)):
        other = model()
        other.network.load_state_dict(randomizer.model(step, trial).state_dict())
        for row, explanation in enumerate(explain_text(other, SENTENCES, METHODS, targets)):
            for place, name in enumerate(METHODS):
                a, b = (torch.from_numpy(each.scores[name])[None] for each in (result.trained[row], explanation))
                expected = [float(metric(a, b)) for metric in (cosine, euclidean, spearman)]
                np.testing.assert_allclose(result.scores[place, :, step - 1, row, trial], expected, atol=1e-5)
                if trial == 0:
                    np.testing.assert_allclose(result.randomized[row][name][step - 1], b[0], atol=1e-5)


def test_the_identity_changes_nothing(subject, monkeypatch):
    from probatum.randomization import PRESETS, Identity, Preset

    monkeypatch.setitem(PRESETS, "nothing", Preset("control", Identity()))
    result = text_cascade(subject, SENTENCES, {"ig": METHODS["ig"]}, protocol="nothing")
    np.testing.assert_allclose(result.of("ig", "cosine"), 1, atol=1e-6)
    np.testing.assert_allclose(result.of("ig", "euclidean"), 0, atol=1e-6)
    np.testing.assert_allclose(result.of("ig", "spearman"), 1, atol=1e-12)


def test_stages_hold_what_embeddings_use(subject):
    encoded = subject.encode(SENTENCES)[0]
    embeddings = subject.embed([encoded])
    plan = text_stages(subject, encoded)
    assert plan.unused == ("embeddings.words",)
    randomizer = preset("kokhlikyan").randomizer(subject.network, plan)
    states = {entry.name: entry.state for entry in randomizer.account()}
    assert {name for name, state in states.items() if state == "unused"} == {"embeddings.words.weight"}
    assert {name for name, state in states.items() if state not in ("unused", "kept")} == used_parameters(
        subject.network, embeddings
    )


def test_label_test(subject):
    other = model(seed=2)
    result = text_label_test(subject, other, SENTENCES, METHODS)
    assert result.scores.shape == (3, 3, 4)
    assert not result.constant.any()
    assert [a.target for a in result.true] == [b.target for b in result.permuted]
    a, b = (torch.from_numpy(each[1].scores["ig"])[None] for each in (result.true, result.permuted))
    np.testing.assert_allclose(
        result.scores[1, :, 1], [float(cosine(a, b)), float(euclidean(a, b)), float(spearman(a, b))], atol=1e-12
    )
    same = text_label_test(subject, subject, SENTENCES, {"ig": METHODS["ig"]})
    np.testing.assert_allclose(same.scores[0], [[1] * 4, [0] * 4, [1] * 4], atol=1e-6)
    assert np.isfinite(result.scores).all()


def test_bad_questions_have_one_answer(subject):
    with pytest.raises(InvalidInput, match="has no words"):
        explain_text(subject, ["a film", ""], METHODS)
    with pytest.raises(InvalidInput, match="at most 16"):
        text_cascade(subject, ["film " * 15], METHODS)
    with pytest.raises(InvalidInput, match="2 targets for 1 sentences"):
        explain_text(subject, SENTENCES[:1], METHODS, targets=[0, 1])
    with pytest.raises(InvalidInput, match="target 2 is out of range"):
        explain_text(subject, SENTENCES[:1], METHODS, targets=2)
    with pytest.raises(UnknownName):
        text_methods(subject, ["gradiant"])
    for name in ("grad-cam", "edge-detector", "guided-backprop"):
        with pytest.raises((InvalidInput, ModelError)):
            explain_text(subject, SENTENCES[:1], text_methods(subject, [name]))


def test_the_share_of_known_words(subject):
    (explanation,) = explain_text(subject, SENTENCES[1:2], METHODS)
    scores = np.abs(explanation.scores["ig"])
    expected = (scores[4] + scores[5]) / scores.sum()  # "not good" behind "[CLS] the plot is"
    assert known_share(explanation, "ig", (3, 4)) == pytest.approx(expected, abs=1e-6)
    explanation.scores["zero"] = np.zeros(7)
    assert np.isnan(known_share(explanation, "zero", (3, 4)))


@pytest.mark.extra
def test_hugging_face_models_cascade_block_by_block(tmp_path):
    transformers = pytest.importorskip("transformers", reason="the extra text is not installed")
    from probatum.models.text import load_text_classifier

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *("the", "plot", "is", "not", "a", "good", "bad", "film")]
    config = transformers.DistilBertConfig(
        vocab_size=len(words), dim=16, n_layers=2, n_heads=2, hidden_dim=24, max_position_embeddings=12
    )
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        network = transformers.DistilBertForSequenceClassification(config)
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.3)
    network.save_pretrained(tmp_path / "tiny")
    transformers.BertTokenizer(vocab={word: n for n, word in enumerate(words)}).save_pretrained(tmp_path / "tiny")
    tiny = load_text_classifier(str(tmp_path / "tiny"))
    result = text_cascade(tiny, SENTENCES[:2], {"gradient": Gradient()}, trials=1)
    assert result.stages == (
        *("classifier", "pre_classifier", "distilbert.transformer.layer.1", "distilbert.transformer.layer.0"),
        "distilbert.embeddings.position_embeddings",
    )
    plan = text_stages(tiny, tiny.encode(SENTENCES)[0])
    assert plan.unused == ("model.distilbert.embeddings.word_embeddings",)
    assert np.isfinite(result.scores).all()
    # Layer norm follows the embeddings: the gradient sums to nothing but rounding, which the result tells.
    assert result.kept.shape == (1, 5, 2)
    assert result.kept.max() < 1e-5
    assert all(explanation.kept["gradient"] < 1e-5 for explanation in result.trained)
    (precise,) = explain_text(tiny, SENTENCES[:1], {"gradient": Gradient()}, precision="float64")
    assert precise.kept["gradient"] < 1e-13
    assert precise.is_rounding("gradient")
    (travelled,) = explain_text(tiny, SENTENCES[:1], {"ig": IntegratedGradients(steps=4)})
    assert travelled.kept["ig"] > 1e-3
    assert not travelled.is_rounding("ig")
    assert tiny.network.model.config.num_labels == 2

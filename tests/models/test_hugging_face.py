"""Hugging Face classifiers, made here: tiny, random, with a vocabulary of a few words."""

import json
import shutil
import sys

import pytest
import torch

from probatum.attributions import Gradient, IntegratedGradients
from probatum.engine import prepare
from probatum.errors import InvalidInput, ModelError
from probatum.models.text import load_text_classifier

transformers = pytest.importorskip("transformers", reason="the extra text is not installed")
pytestmark = pytest.mark.extra

WORDS = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "bad", "film"),
    *("the", "is", "not", "very", "##ly", "plot", ".", ","),
]
BERT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
SIZES = {
    "Bert": BERT,
    "Roberta": BERT,
    "Electra": BERT | {"embedding_size": 8},
    "DistilBert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24},
    "GPT2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "bos_token_id": 2, "eos_token_id": 3},
}


def save(folder, kind="Bert", words=WORDS, head="ForSequenceClassification", **settings):
    settings = {"max_position_embeddings": 12, "pad_token_id": 0, "id2label": {0: "negative", 1: "positive"}} | settings
    config = getattr(transformers, f"{kind}Config")(vocab_size=len(WORDS), **SIZES[kind], **settings)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = getattr(transformers, f"{kind}{head}")(config)
        with torch.no_grad():
            for parameter in model.parameters():  # random biases and norms too, so that every one of them matters
                parameter.normal_(std=0.3)
    model.save_pretrained(folder)
    transformers.BertTokenizer(vocab={word: number for number, word in enumerate(words)}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return save(tmp_path_factory.mktemp("bert") / "tiny-bert")


@pytest.fixture(scope="module")
def loaded(bert):
    return load_text_classifier(str(bert))


def test_a_bert_in_the_papers_stages(loaded, bert):
    assert loaded.title == "tiny-bert"
    assert loaded.class_names == ("negative", "positive")
    assert loaded.tokenizer.max_tokens == 12
    assert [name for name, _ in loaded.stages] == [
        *("classifier", "bert.pooler", "bert.encoder.layer.1", "bert.encoder.layer.0", "bert.embeddings")
    ]
    assert loaded.network.model.config._attn_implementation == "eager"
    assert not loaded.network.training
    (encoded,) = loaded.encode(["Not a good film, badly [SEP]"])
    assert encoded.tokens == ("[CLS]", "not", "a", "good", "film", ",", "bad", "##ly", *["[UNK]"] * 3, "[SEP]")
    assert encoded.special == (True, *[False] * 10, True)


def test_embeddings_take_the_place_of_words_alone(loaded):
    encoded = loaded.encode(["a good film", "the plot is"])
    embeddings = loaded.embed(encoded)
    model = loaded.network.model
    expected = model(input_ids=torch.tensor([sentence.ids for sentence in encoded])).logits
    torch.testing.assert_close(loaded.network(embeddings), expected, rtol=1e-6, atol=1e-6)
    assert torch.equal(embeddings[0, 1], model.bert.embeddings.word_embeddings.weight[WORDS.index("a")])
    assert torch.equal(loaded.pad_embedding(), model.bert.embeddings.word_embeddings.weight[0])


def test_attributions_in_float64_equal_autograds_own_and_are_complete(loaded):
    embeddings = loaded.embed(loaded.encode(["the film is not good ."]))
    before = {name: value.clone() for name, value in loaded.network.state_dict().items()}
    model = prepare(loaded.network, "float64")
    leaf = embeddings.double().requires_grad_()
    expected = torch.autograd.grad(model.model.model(inputs_embeds=leaf).logits[0, 1], leaf)[0]
    assert model.model is not loaded.network
    torch.testing.assert_close(Gradient()(model, embeddings, 1), expected, rtol=1e-12, atol=1e-14)
    method = IntegratedGradients(steps=80, rule="gauss-legendre")
    maps = method(model, embeddings, 1)
    assert float(method.convergence_delta(model, embeddings, 1, maps).abs().max()) < 1e-6
    alone = Gradient()(loaded.network, embeddings, 1)
    both = Gradient()(loaded.network, torch.cat([embeddings, embeddings.flip(1)]), 1)
    torch.testing.assert_close(both[:1], alone, rtol=1e-5, atol=1e-6)
    assert all(torch.equal(before[name], value) for name, value in loaded.network.state_dict().items())


@pytest.mark.parametrize(("kind", "limit"), [("Roberta", 11), ("Electra", 12), ("DistilBert", 12), ("GPT2", 12)])
def test_other_classifiers(kind, limit, tmp_path):
    model = load_text_classifier(str(save(tmp_path / kind, kind)))
    assert model.tokenizer.max_tokens == limit
    embeddings = model.embed(model.encode(["a good film", "the plot is"]))
    maps = IntegratedGradients(steps=4)(model.network, embeddings, 0)
    torch.testing.assert_close(
        maps[1:], IntegratedGradients(steps=4)(model.network, embeddings[1:], 0), rtol=1e-4, atol=1e-6
    )
    assert (model.stages is not None) == (kind == "Roberta")
    longest = "film " * (limit - 2)
    model.network(model.embed(model.encode([longest])))
    with pytest.raises(InvalidInput, match=f"at most {limit}"):
        model.encode([longest + "film"])


@pytest.mark.parametrize("kind", ["Bert", "Roberta", "Electra", "DistilBert"])
def test_padding_changes_nothing(kind, tmp_path):
    model = load_text_classifier(str(save(tmp_path / kind, kind)))
    (encoded,) = model.encode(["a good film"])
    ids = torch.tensor([encoded.ids])
    padded = torch.nn.functional.pad(ids, (0, 3), value=model.tokenizer.pad_id)
    torch.testing.assert_close(model.network(padded), model.network(ids), rtol=1e-5, atol=1e-6)


def test_a_new_head_for_a_checkpoint_without_one(tmp_path):
    folder = str(save(tmp_path / "base", head="Model"))
    with pytest.raises(ModelError, match="not a sequence classifier"):
        load_text_classifier(folder)
    state = torch.random.get_rng_state()
    names = ("bad", "fair", "good")
    models = [load_text_classifier(folder, new_head=names, seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(torch.random.get_rng_state(), state)
    assert models[0].class_names == names
    heads = [model.network.model.classifier.weight for model in models]
    assert heads[0].shape == (3, 16)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    trained = transformers.BertModel.from_pretrained(folder).state_dict()
    for name, value in models[0].network.model.bert.state_dict().items():
        assert torch.equal(value, trained[name])


def test_a_head_that_is_there_is_kept(bert, loaded, tmp_path):
    again = load_text_classifier(str(bert), new_head=("negative", "positive"), seed=5)
    assert torch.equal(again.network.model.classifier.weight, loaded.network.model.classifier.weight)
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_text_classifier(str(bert), new_head=("bad", "fair", "good"))


def test_sentences_that_cannot_be_encoded_are_refused(loaded):
    with pytest.raises(InvalidInput, match="has no words"):
        loaded.encode(["a film", "  "])
    with pytest.raises(InvalidInput, match=r"13 tokens.* at most 12"):
        loaded.encode(["film " * 11])


def test_nothing_is_said_while_loading(bert, capfd):
    level = transformers.utils.logging.get_verbosity()
    load_text_classifier(str(bert))
    assert capfd.readouterr() == ("", "")
    assert transformers.utils.logging.get_verbosity() == level
    assert transformers.utils.logging.is_progress_bar_enabled()


def test_a_tokenizer_of_another_model_is_refused(tmp_path):
    save(tmp_path / "large", words=[*WORDS, "movie", "actor"])
    with pytest.raises(InvalidInput, match="do not match: 19 tokens, 17 embeddings"):
        load_text_classifier(str(tmp_path / "large"))


@pytest.mark.parametrize("marker", ["pad_token", "cls_token"])
def test_a_tokenizer_without_markers_is_refused(marker, tmp_path):
    save(tmp_path / "bare")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "bare")
    setattr(tokenizer, marker, None)
    tokenizer.save_pretrained(tmp_path / "bare")
    settings = tmp_path / "bare" / "tokenizer_config.json"
    values = json.loads(settings.read_text())
    settings.write_text(json.dumps(values | {marker: None}))
    with pytest.raises(InvalidInput, match=f"has no {marker}"):
        load_text_classifier(str(tmp_path / "bare"))


def test_what_is_no_classifier_is_refused(bert, tmp_path):
    save(tmp_path / "bare", head="Model")
    with pytest.raises(ModelError, match="not a sequence classifier"):
        load_text_classifier(str(tmp_path / "bare"))
    save(tmp_path / "one", id2label={0: "score"})
    with pytest.raises(ModelError, match="regression"):
        load_text_classifier(str(tmp_path / "one"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_text_classifier(str(tmp_path / "empty"))
    with pytest.raises(InvalidInput, match="there is no folder"):
        load_text_classifier(str(tmp_path / "absent"))


def test_pickles_are_never_read(bert, tmp_path):
    folder = tmp_path / "pickled"
    shutil.copytree(bert, folder)
    (folder / "model.safetensors").unlink()
    torch.save(torch.nn.Linear(1, 1), folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors"):
        load_text_classifier(str(folder))
    (folder / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_text_classifier(str(folder))


def test_weights_that_are_not_finite_are_refused(bert, tmp_path):
    shutil.copytree(bert, tmp_path / "nan")
    model = transformers.BertForSequenceClassification.from_pretrained(tmp_path / "nan")
    with torch.no_grad():
        model.classifier.weight[0, 0] = torch.nan
    model.save_pretrained(tmp_path / "nan")
    with pytest.raises(InvalidInput, match=r"classifier\.weight holds values that are not finite"):
        load_text_classifier(str(tmp_path / "nan"))


def test_a_model_that_answers_embeddings_otherwise_is_refused(bert, tmp_path, monkeypatch):
    forward = transformers.BertForSequenceClassification.forward

    def scaled(self, input_ids=None, inputs_embeds=None, **rest):
        return forward(self, input_ids, inputs_embeds=None if inputs_embeds is None else 2 * inputs_embeds, **rest)

    monkeypatch.setattr(transformers.BertForSequenceClassification, "forward", scaled)
    with pytest.raises(ModelError, match="embeddings"):
        load_text_classifier(str(bert))


def test_without_transformers_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelError, match=r"probatum\[text\]"):
        load_text_classifier("tiny-bert")

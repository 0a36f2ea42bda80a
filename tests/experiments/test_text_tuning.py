"""Fine-tuning of a tiny BERT: it learns, it is done once, it is refused where padding would be misread."""

import pytest
import torch

from probatum.data.sentence_set import SentenceSet
from probatum.errors import InvalidInput
from probatum.experiments.text import tuning as text_tuning
from probatum.experiments.text.tuning import FINE_TUNING, fine_tuned_text_model
from probatum.models.text import TextTraining

transformers = pytest.importorskip("transformers", reason="the extra text is not installed")
pytestmark = pytest.mark.extra

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "bad", "film", "plot"]
DATA = SentenceSet(
    "opinions",
    ("a good film", "a bad film", "good plot", "bad plot", "a good plot", "a bad plot", "good film", "bad film"),
    torch.arange(8) % 2,
    ("positive", "negative"),
)
TRAINING = TextTraining(epochs=20, batch_size=4, learning_rate=1e-2, weight_decay=0.0, averaging=0.0)


def bert(folder, pad="[PAD]"):
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=8,
    )
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        transformers.BertModel(config).save_pretrained(folder)
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    transformers.BertTokenizer(vocab=vocabulary, pad_token=pad).save_pretrained(folder)
    return str(folder)


def test_the_defaults_are_those_of_the_trainer():
    facts = (FINE_TUNING.epochs, FINE_TUNING.batch_size, FINE_TUNING.learning_rate, FINE_TUNING.weight_decay)
    assert facts == (3, 8, 5e-5, 0.0)
    assert FINE_TUNING.averaging == 0.0


def test_it_learns_once(tmp_path, monkeypatch):
    monkeypatch.setenv("PROBATUM_CACHE", str(tmp_path / "cache"))
    folder = bert(tmp_path / "bert")
    steps = []
    model, report = fine_tuned_text_model(folder, DATA, DATA, TRAINING, progress=lambda *call: steps.append(call))
    assert report.best_accuracy == 1.0
    assert steps[-1] == (40, 40, "fine-tuning on opinions")
    assert not model.network.training
    embeddings = model.embed(model.encode(DATA.sentences[:2]))
    assert model.network(embeddings).argmax(1).tolist() == [0, 1]

    def never(*_):
        raise AssertionError("it was trained again")

    monkeypatch.setattr(text_tuning, "train_text", never)
    again, remembered = fine_tuned_text_model(folder, DATA, DATA, TRAINING)
    assert remembered == report
    assert all(torch.equal(a, b) for a, b in zip(again.network.parameters(), model.network.parameters(), strict=True))
    with pytest.raises(AssertionError, match="trained again"):
        fine_tuned_text_model(folder, DATA, DATA, TRAINING, seed=1)
    (entry,) = (tmp_path / "cache").glob("*.pt")
    entry.write_bytes(b"damaged")
    with pytest.raises(AssertionError, match="trained again"):
        fine_tuned_text_model(folder, DATA, DATA, TRAINING)


def test_another_padding_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="pads by token 4"):
        fine_tuned_text_model(bert(tmp_path / "bert", pad="[MASK]"), DATA, DATA, TRAINING)

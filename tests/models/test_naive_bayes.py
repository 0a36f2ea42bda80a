"""Words that begin as naive Bayes knows them."""

import math

import pytest
import torch

from probatum.errors import InvalidInput
from probatum.models.text import EncoderSizes, make_text_model, naive_bayes_start, pad_ids
from probatum.models.text.naive_bayes import log_count_ratios
from probatum.models.text.tokenizer import SPECIAL

SENTENCES = ("good good film", "good plot", "bad film", "bad bad plot", "bad")
LABELS = torch.tensor([1, 1, 0, 0, 0])


@pytest.fixture
def model():
    return make_text_model(SENTENCES, ("negative", "positive"), EncoderSizes(dimensions=16))


def test_ratios_count_sentences_once(model):
    ids = pad_ids(model.encode(SENTENCES))
    ratios = log_count_ratios(ids, LABELS, len(model.tokenizer))
    # One is added to every count: 8 ids, of which [CLS] and [SEP] are in all sentences and [PAD] in the shorter ones.
    padded = [(ids[label == LABELS] == 0).any(1).sum().item() for label in (0, 1)]
    totals = [8 + 2 * 3 + (1 + 1 + 3) + padded[0], 8 + 2 * 2 + (1 + 1 + 2) + padded[1]]
    places = {word: len(SPECIAL) + place for place, word in enumerate(model.tokenizer.words)}
    for word, (negative, positive) in {"good": (1, 3), "bad": (4, 1), "film": (2, 2), "plot": (2, 2)}.items():
        expected = math.log(positive / totals[1]) - math.log(negative / totals[0])
        assert ratios[places[word]].item() == pytest.approx(expected, abs=1e-6)


def test_embeddings_point_where_the_ratios_do(model):
    ids = pad_ids(model.encode(SENTENCES))
    before = torch.get_rng_state()
    naive_bayes_start(model.network, ids, LABELS, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    first = model.network.state_dict()
    ratios = log_count_ratios(ids, LABELS, len(model.tokenizer))
    good, bad = (len(SPECIAL) + model.tokenizer.words.index(word) for word in ("good", "bad"))
    embedded = model.network.embed(torch.tensor([[good, bad, 0]]))[0]
    assert torch.cosine_similarity(embedded[0], embedded[1], dim=0) < -0.99
    lengths = embedded.norm(dim=1)
    assert (lengths[0] / lengths[1]).item() == pytest.approx(
        ((ratios[good].abs() + 0.1) / (ratios[bad].abs() + 0.1)).item(),
        rel=0.1,  # the noise is 2 % of a dimension
    )
    assert lengths[2] == 0
    naive_bayes_start(model.network, ids, LABELS, seed=1)
    assert all(torch.equal(first[name], value) for name, value in model.network.state_dict().items())


def test_other_labels_are_refused(model):
    ids = pad_ids(model.encode(SENTENCES))
    with pytest.raises(InvalidInput, match="0 and 1"):
        naive_bayes_start(model.network, ids, LABELS + 1)

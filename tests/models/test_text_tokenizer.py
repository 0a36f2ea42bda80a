"""Words to ids and back."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from probatum.errors import InvalidInput
from probatum.models.text.tokenizer import CLS, SEP, SPECIAL, UNK, Tokenizer, WordTokenizer, split_words

WORDS = ("'s", ".", "bad", "do", "film", "good", "n't")


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("It's GOOD.", ["it", "'s", "good", "."]),
        ("You don't, can't; won’t", ["you", "do", "n't", ",", "ca", "n't", ";", "wo", "n't"]),
        ("it 's a film you do n't like", ["it", "'s", "a", "film", "you", "do", "n't", "like"]),
        ("[CLS] cliché-ridden\tÉté", ["[", "cls", "]", "cliché", "-", "ridden", "été"]),
        ("cafe\u0301", ["café"]),
        ("'' \n", ["'", "'"]),
    ],
)
def test_words(sentence, words):
    assert split_words(sentence) == words


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30))
@example("don'tn't n'tn't 's'sx ''s")
@example("İSTANBUL ŉ ß")
def test_splitting_again_changes_nothing(sentence):
    words = split_words(sentence)
    assert split_words(" ".join(words)) == words
    assert not set(words) & set(SPECIAL)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=9))
def test_known_words_come_back(words):
    tokenizer = WordTokenizer.from_sentences([" ".join(WORDS)])
    assert tokenizer.words == WORDS
    sentence = " ".join(words)
    encoded = tokenizer.encode(sentence)
    assert tokenizer.decode(encoded.ids) == sentence
    assert encoded.tokens == ("[CLS]", *words, "[SEP]")
    assert encoded.ids[0] == CLS
    assert encoded.ids[-1] == SEP
    assert encoded.special == (True, *[False] * len(words), True)
    assert len(encoded) == len(encoded.ids)
    assert max(encoded.ids) < len(tokenizer)


def test_an_unknown_word_is_shown_as_it_was_written():
    tokenizer = WordTokenizer.from_sentences(["a good film", "a bad film"], min_count=2)
    assert tokenizer.words == ("a", "film")
    encoded = tokenizer.encode("A superb film")
    assert encoded.tokens[2] == "superb"
    assert encoded.ids[2] == UNK
    assert tokenizer.decode(encoded.ids) == "a [UNK] film"
    assert isinstance(tokenizer, Tokenizer)


def test_sentences_that_cannot_be_encoded_are_refused():
    tokenizer = WordTokenizer(WORDS, max_tokens=5)
    assert len(tokenizer.encode("a good film")) == 5
    with pytest.raises(InvalidInput, match=r"6 tokens.* at most 5"):
        tokenizer.encode("a very good film")
    for empty in ("", " \t\n"):
        with pytest.raises(InvalidInput, match="has no words"):
            tokenizer.encode(empty)
    with pytest.raises(InvalidInput, match="out of range"):
        tokenizer.decode([99])


@pytest.mark.parametrize(
    "arguments", [{"words": ("a", "a")}, {"words": ("[PAD]",)}, {"words": ("a",), "max_tokens": 2}]
)
def test_impossible_vocabularies_are_refused(arguments):
    with pytest.raises(InvalidInput):
        WordTokenizer(**arguments)

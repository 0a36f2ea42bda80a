"""Tokenization of sentences: lower-case words between [CLS] and [SEP]."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, runtime_checkable

from probatum.errors import InvalidInput

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
PAD, UNK, CLS, SEP = range(4)
"""Ids of the special tokens of `WordTokenizer`."""

# "don't" becomes "do" and "n't", "film's" becomes "film" and "'s", as in the Penn Treebank and in SST-2; any other
# punctuation mark is a token of its own.
_TOKEN = re.compile(r"\w+?(?=n't\b)|n't\b|'(?:s|re|ve|ll|d|m)\b|\w+|[^\w\s]")


@dataclass(frozen=True)
class Encoded:
    """A tokenized sentence.

    Args:
        ids: one per token.
        tokens: as shown in figures; unknown words are shown as written.
        special: True for special tokens that the tokenizer added.
    """

    ids: tuple[int, ...]
    tokens: tuple[str, ...]
    special: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.ids)


@runtime_checkable
class Tokenizer(Protocol):
    """Turns sentences into ids."""

    @property
    def max_tokens(self) -> int:
        """Maximum number of tokens of a sentence, including special tokens."""

    @property
    def pad_id(self) -> int:
        """Id of the padding token."""

    def encode(self, sentence: str) -> Encoded:
        """Tokenize a sentence; InvalidInput if it is empty or too long."""


def split_words(sentence: str) -> list[str]:
    """Split a sentence into lower-case words and punctuation; idempotent on the words joined by spaces."""
    return _TOKEN.findall(unicodedata.normalize("NFC", sentence).lower().replace("’", "'"))


def check_length(sentence: str, tokens: int, markers: int, max_tokens: int) -> None:
    """Check that a sentence has words, and at most as many tokens as the classifier has positions."""
    if tokens <= markers:
        raise InvalidInput(f"sentence {sentence[:40]!r} has no words; give some text")
    if tokens > max_tokens:
        raise InvalidInput(
            f"sentence '{sentence[:40]}…' has {tokens} tokens; the classifier accepts at most {max_tokens}; shorten it"
        )


@dataclass(frozen=True)
class WordTokenizer:
    """A vocabulary of whole words.

    Args:
        words: the vocabulary; ids follow those of the special tokens.
        max_tokens: maximum number of tokens of a sentence, including [CLS] and [SEP].
    """

    words: tuple[str, ...] = field(repr=False)
    max_tokens: int = 64

    def __post_init__(self) -> None:
        if len(set(self.words)) < len(self.words) or set(self.words) & set(SPECIAL):
            raise InvalidInput("a word is in the vocabulary twice, or is a special token")
        if self.max_tokens < 3:
            raise InvalidInput(f"max_tokens is {self.max_tokens}; [CLS], a word and [SEP] need 3")

    @classmethod
    def from_sentences(cls, sentences: Iterable[str], min_count: int = 1, max_tokens: int = 64) -> "WordTokenizer":
        """Make a vocabulary of the words that occur at least `min_count` times, in alphabetical order."""
        counts = Counter(word for sentence in sentences for word in split_words(sentence))
        return cls(tuple(sorted(word for word, count in counts.items() if count >= min_count)), max_tokens)

    @property
    def pad_id(self) -> int:
        """Id of [PAD]."""
        return PAD

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, len(SPECIAL))}

    def __len__(self) -> int:
        """Number of ids, including those of the special tokens."""
        return len(SPECIAL) + len(self.words)

    def encode(self, sentence: str) -> Encoded:
        """Tokenize a sentence as [CLS], the words, [SEP]; unknown words get the id of [UNK].

        Raises:
            InvalidInput: the sentence has no words, or too many.
        """
        words = split_words(sentence)
        check_length(sentence, len(words) + 2, 2, self.max_tokens)
        return Encoded(
            ids=(CLS, *(self._ids.get(word, UNK) for word in words), SEP),
            tokens=(SPECIAL[CLS], *words, SPECIAL[SEP]),
            special=(True, *[False] * len(words), True),
        )

    def decode(self, ids: Iterable[int]) -> str:
        """Return the words of some ids, joined by spaces, without [PAD], [CLS] and [SEP].

        Raises:
            InvalidInput: an id out of range.
        """
        vocabulary = (*SPECIAL, *self.words)
        chosen = list(ids)
        if any(not 0 <= number < len(vocabulary) for number in chosen):
            raise InvalidInput(f"the vocabulary has ids 0 to {len(vocabulary) - 1}; {chosen} is out of range")
        return " ".join(vocabulary[number] for number in chosen if number not in (PAD, CLS, SEP))

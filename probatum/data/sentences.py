"""Synthetic sentences with opinions, for text checks that need no download.

The words that determine each label are known, so the share of an explanation on them can be measured. The sentences are
not reviews, and results on them are not results on SST-2.
"""

import numpy as np
import torch

from probatum.data.sentence_set import SentenceSet
from probatum.errors import InvalidInput, UnknownName

POSITIVE = (
    *("good", "great", "lovely", "brilliant", "charming", "clever", "moving", "funny", "fresh", "graceful"),
    *("honest", "inspired", "magnificent", "memorable", "perfect", "powerful", "sharp", "stylish", "warm", "witty"),
)
NEGATIVE = (
    *("bad", "awful", "boring", "bland", "clumsy", "confusing", "dreadful", "dull", "empty", "feeble"),
    *("flat", "forgettable", "hollow", "lazy", "messy", "pointless", "silly", "stale", "tedious", "weak"),
)
NEGATIONS = ("not", "never", "hardly", "no longer")
INTENSIFIERS = ("very", "really", "quite", "truly", "rather", "utterly", "especially")
CLASS_NAMES = ("negative", "positive")
SIZES = (4_000, 1_000)
"""Default number of sentences in the "train" and "test" splits."""

_SPLITS = ("train", "test")
_OPENINGS = ("", "", "all in all", "in the end", "to my surprise", "on a second look", "as far as i can tell")
_NOUNS = ("film", "plot", "music", "cast", "ending", "dialogue", "camera work", "story", "script", "lighting")
_VERBS = ("is", "was", "seems", "felt", "looks")
_CLOSINGS = ("", "", "to me", "for a debut", "from start to finish", "on a small screen", "at this length")


def make_sentences(count: int | None = None, split: str = "train", seed: int = 0) -> SentenceSet:
    """Make the first `count` sentences of an endless random stream, negative and positive in turn.

    An opinion is an adjective about a noun, with an optional intensifier and an optional negation that inverts it. On
    average every third sentence has two opinions joined by "but", of which the second determines the label. `decisive`
    holds the positions of the adjective that determines the label and of the negation before it. Sentence i depends
    only on (seed, split, i), not on `count`.

    Args:
        count: number of sentences, at least 1; None for the default in `SIZES`.
        split: "train" or "test", two independent streams over the same words.
        seed: of both streams, at least 0.

    Returns:
        Lower-case sentences without punctuation, of 4 to 27 words.

    Raises:
        InvalidInput: a count or seed out of range.
        UnknownName: an unknown split.
    """
    if split not in _SPLITS:
        raise UnknownName("split", split, _SPLITS)
    stream = _SPLITS.index(split)
    count = SIZES[stream] if count is None else count
    if count < 1 or seed < 0:
        raise InvalidInput(f"count is {count} and seed is {seed}; count must be at least 1 and seed at least 0")
    made = [_sentence(index % 2, np.random.default_rng([seed, stream, index])) for index in range(count)]
    return SentenceSet(
        name="sentences",
        sentences=tuple(" ".join(words) for words, _ in made),
        labels=torch.arange(count) % 2,
        class_names=CLASS_NAMES,
        decisive=tuple(positions for _, positions in made),
    )


def _sentence(label: int, rng: np.random.Generator) -> tuple[list[str], tuple[int, ...]]:
    """Return the words, and the positions of those that determine the label."""
    words = _pick(_OPENINGS, rng).split()
    if rng.random() < 1 / 3:
        words += [*_opinion(int(rng.integers(2)), rng)[0], "but"]
    opinion, inside = _opinion(label, rng)
    positions = tuple(len(words) + position for position in inside)
    return words + opinion + _pick(_CLOSINGS, rng).split(), positions


def _opinion(label: int, rng: np.random.Generator) -> tuple[list[str], tuple[int, ...]]:
    words = ["the", *_pick(_NOUNS, rng).split(), _pick(_VERBS, rng)]
    negated = rng.random() < 0.3
    negation = _pick(NEGATIONS, rng).split() if negated else []
    decisive = [len(words) + index for index in range(len(negation))]
    words += negation
    if rng.random() < 0.5:
        words.append(_pick(INTENSIFIERS, rng))
    decisive.append(len(words))
    words.append(_pick((NEGATIVE, POSITIVE)[label ^ negated], rng))
    return words, tuple(decisive)


def _pick(choices: tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]

"""Opinions in plain words: sentences that the package makes itself, for text checks that need no download.

Which words decide the label is known, so that one can measure how much of an explanation falls on them. They are no
reviews, and no result on them is one on SST-2.
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
"""The usual number of sentences in the "train" and "test" splits."""

_SPLITS = ("train", "test")
_OPENINGS = ("", "", "all in all", "in the end", "to my surprise", "on a second look", "as far as i can tell")
_NOUNS = ("film", "plot", "music", "cast", "ending", "dialogue", "camera work", "story", "script", "lighting")
_VERBS = ("is", "was", "seems", "felt", "looks")
_CLOSINGS = ("", "", "to me", "for a debut", "from start to finish", "on a small screen", "at this length")


def make_sentences(count: int | None = None, split: str = "train", seed: int = 0) -> SentenceSet:
    """The first `count` opinions of an endless random stream, negative and positive in turn.

    An opinion is an adjective about a noun, maybe intensified, maybe negated, which turns it round. Every third
    sentence, on average, has two opinions joined by "but", of which the second one counts. The label is decided by the
    adjective that counts and by the negation before it; `decisive` holds their positions. Sentence i depends on (seed,
    split, i) alone: it is the same however many are asked for.

    Args:
        count: number of sentences, at least 1; as many as `SIZES` says where omitted.
        split: "train" or "test", two independent streams over the same words.
        seed: of both streams, from 0.

    Returns:
        lower-case sentences without punctuation, of 4 to 27 words.

    Raises:
        InvalidInput: a count or seed out of range.
        UnknownName: another split.
    """
    if split not in _SPLITS:
        raise UnknownName("split", split, _SPLITS)
    stream = _SPLITS.index(split)
    count = SIZES[stream] if count is None else count
    if count < 1 or seed < 0:
        raise InvalidInput(f"count is {count} and seed is {seed}; ask for at least 1 sentence and a seed from 0")
    made = [_sentence(index % 2, np.random.default_rng([seed, stream, index])) for index in range(count)]
    return SentenceSet(
        name="sentences",
        sentences=tuple(" ".join(words) for words, _ in made),
        labels=torch.arange(count) % 2,
        class_names=CLASS_NAMES,
        decisive=tuple(positions for _, positions in made),
    )


def _sentence(label: int, rng: np.random.Generator) -> tuple[list[str], tuple[int, ...]]:
    """The words, and the positions of those that decide."""
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

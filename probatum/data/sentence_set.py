"""A named set of labeled sentences, held in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from jaxtyping import Int64
from torch import Tensor

from probatum.errors import InvalidInput


@dataclass(frozen=True, eq=False)
class SentenceSet:
    """Sentences with labels.

    Args:
        name: used in results and figures.
        sentences: plain text, none of it empty.
        labels: (sentence,) class indices.
        class_names: the name of every class, in the order of the labels.
        decisive: positions of the words that determine each sentence's label, counted from 0 and split at spaces; None
            if unknown.

    Raises:
        InvalidInput: the parts do not match.
    """

    name: str
    sentences: tuple[str, ...] = field(repr=False)
    labels: Int64[Tensor, " sentence"] = field(repr=False)
    class_names: tuple[str, ...]
    decisive: tuple[tuple[int, ...], ...] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.labels.shape != (len(self.sentences),):
            raise InvalidInput(f"{self.name}: {len(self.sentences)} sentences with labels {tuple(self.labels.shape)}")
        for number, sentence in enumerate(self.sentences):
            if not sentence.strip():
                raise InvalidInput(f"{self.name}: sentence {number} is empty")
        if len(self.labels):
            low, high = int(self.labels.min()), int(self.labels.max())
            if low < 0 or high >= len(self.class_names):
                raise InvalidInput(f"{self.name}: labels reach {low}..{high} with {len(self.class_names)} classes")
        if self.decisive is not None:
            if len(self.decisive) != len(self.sentences):
                raise InvalidInput(f"{self.name}: decisive words of {len(self.decisive)} sentences")
            for sentence, positions in zip(self.sentences, self.decisive, strict=True):
                if not all(0 <= position < len(sentence.split()) for position in positions):
                    raise InvalidInput(f"{self.name}: {sentence!r} has no words {positions}")

    def __len__(self) -> int:
        return len(self.sentences)

    def subset(self, indices: Sequence[int]) -> "SentenceSet":
        """Return the sentences at `indices`, in that order; InvalidInput for an index out of range."""
        chosen = [int(index) for index in indices]
        if any(not 0 <= index < len(self) for index in chosen):
            raise InvalidInput(f"{self.name} holds sentences 0..{len(self) - 1}; {chosen} is out of range")
        return replace(
            self,
            sentences=tuple(self.sentences[index] for index in chosen),
            labels=self.labels[chosen],
            decisive=None if self.decisive is None else tuple(self.decisive[index] for index in chosen),
        )

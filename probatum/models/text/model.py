"""A sentence classifier with its tokenizer, as the text experiments use it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from probatum.errors import InvalidInput
from probatum.models.stages import Stages
from probatum.models.text.encoder import EmbeddingClassifier, EncoderSizes, TextClassifier
from probatum.models.text.tokenizer import Encoded, Tokenizer, WordTokenizer


@dataclass(frozen=True, eq=False)
class TextModel:
    """A sentence classifier with its tokenizer.

    Args:
        title: as written in figures.
        network: maps ids or embeddings to logits.
        tokenizer: maps sentences to ids.
        class_names: in the order of the logits.
        stages: (name, module paths) from the output to the input; None for one stage per block.
    """

    title: str
    network: EmbeddingClassifier
    tokenizer: Tokenizer
    class_names: tuple[str, ...]
    stages: Stages | None = field(default=None, repr=False)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.network.parameters()).device

    def encode(self, sentences: Sequence[str]) -> list[Encoded]:
        """Return the tokens of some sentences; InvalidInput if there is none, or one is empty or too long."""
        if isinstance(sentences, str) or not len(sentences):
            raise InvalidInput("give a list of at least one sentence")
        return [self.tokenizer.encode(sentence) for sentence in sentences]

    def embed(self, encoded: Sequence[Encoded]) -> Float[Tensor, "sentence tokens dimensions"]:
        """Return the embeddings of sentences of equal length, detached.

        Raises:
            InvalidInput: the sentences differ in length.
        """
        if len({len(sentence) for sentence in encoded}) != 1:
            raise InvalidInput("sentences that are embedded together must have the same number of tokens")
        ids = torch.tensor([sentence.ids for sentence in encoded], device=self.device)
        with torch.no_grad():
            return self.network.embed(ids)

    def pad_embedding(self) -> Float[Tensor, " dimensions"]:
        """Embedding of the padding token."""
        with torch.no_grad():
            return self.network.embed(torch.tensor([[self.tokenizer.pad_id]], device=self.device))[0, 0]

    def to(self, device: torch.device | str) -> "TextModel":
        """Move the network to a device in place, as `nn.Module.to` does, and return the model."""
        return replace(self, network=self.network.to(device))


def make_text_model(
    sentences: Sequence[str],
    class_names: tuple[str, ...],
    sizes: EncoderSizes | None = None,
    *,
    max_tokens: int = 64,
    seed: int = 0,
) -> TextModel:
    """Make a small encoder with random weights and a vocabulary from sentences, in eval mode on the CPU.

    Args:
        sentences: their words form the vocabulary.
        class_names: in the order of the logits.
        sizes: of the encoder.
        max_tokens: maximum number of tokens of a sentence, including [CLS] and [SEP].
        seed: of the weights; the global random state does not change.
    """
    tokenizer = WordTokenizer.from_sentences(sentences, max_tokens=max_tokens)
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = TextClassifier(len(tokenizer), max_tokens, len(class_names), sizes)
    network.eval()
    return TextModel("small encoder", network, tokenizer, class_names, network.stages)

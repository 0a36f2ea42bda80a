"""A small transformer encoder that classifies sentences, with modules named after BERT's stages."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from probatum.errors import InvalidInput, ModelError
from probatum.models.stages import Stages
from probatum.models.text.tokenizer import PAD

_FLOOR = 0.1  # added to the mean square, so that weak states stay weak instead of being scaled up


class EmbeddingClassifier(nn.Module):
    """A classifier of sentences that takes token ids or, for attribution, the embeddings of the tokens.

    Ids are integers (batch, tokens), embeddings are floating point (batch, tokens, dimensions); both give logits
    (batch, classes). Embeddings have no padding: all sentences of a batch have the same length, so that no sentence
    depends on the others through a mask.
    """

    def embed(self, ids: Int64[Tensor, "batch tokens"]) -> Float[Tensor, "batch tokens dimensions"]:
        """Return the token embeddings before positions are added, which attributions explain."""
        raise NotImplementedError


@dataclass(frozen=True)
class EncoderSizes:
    """The shape of a `TextClassifier`.

    Args:
        dimensions: of an embedding and of every hidden state.
        layers: number of layers of the encoder.
        heads: attention heads per layer; they divide the dimensions.
        hidden: width of the feed-forward part of a layer.
        dropout: share of the dimensions of a hidden state set to zero in training, the same dimensions for all tokens
            of a sentence (Gal and Ghahramani 2016, arXiv 1512.05287).
        word_dropout: share of the words replaced by [PAD], the zero embedding, in training.
    """

    dimensions: int = 64
    layers: int = 2
    heads: int = 4
    hidden: int = 128
    dropout: float = 0.3
    word_dropout: float = 0.5

    def __post_init__(self) -> None:
        if min(self.dimensions, self.layers, self.heads, self.hidden) < 1 or self.dimensions % self.heads:
            raise InvalidInput(
                f"{self.dimensions} dimensions cannot be divided among {self.heads} heads; all sizes must be at least 1"
            )
        for name in ("dropout", "word_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise InvalidInput(f"{name} is {getattr(self, name)}; it must be in [0, 1)")


class TextClassifier(EmbeddingClassifier):
    """Word and position embeddings, attention layers, the mean over tokens, a dense layer, and the logits.

    Layers are residual and normalize their input (Xiong et al. 2020, arXiv 2002.04745); each starts as the identity
    (Zhang, Dauphin and Ma 2019, arXiv 1901.09321). Attention and mean ignore [PAD] in token ids; embeddings have none.

    Args:
        vocabulary: number of ids, including those of the special tokens.
        max_tokens: number of positions.
        num_classes: number of logits.
        sizes: of the layers.

    Differs from BERT (Devlin et al. 2019, arXiv 1810.04805):
        1. The pooler takes the mean of all tokens, not [CLS] alone: a few thousand sentences are too few for [CLS] to
           learn to collect them.
        2. Layers normalize before, not after, and divide by the root of 0.1 + mean square without subtracting the mean
           (Zhang and Sennrich 2019, arXiv 1910.07467): an uninformative word is not scaled up to the size of the
           others, and the path from [PAD] to a word is smooth. BERT's layer norm is invariant to a constant added to
           all dimensions of an embedding, so gradients summed over the dimensions are zero up to rounding; here they
           are not.
        3. There are no token types; [PAD] means "no word here", in training (`word_dropout`) and in a baseline.
    """

    def __init__(
        self, vocabulary: int, max_tokens: int = 64, num_classes: int = 2, sizes: EncoderSizes | None = None
    ) -> None:
        super().__init__()
        self.sizes = sizes or EncoderSizes()
        self.embeddings = _Embeddings(vocabulary, max_tokens, self.sizes)
        self.encoder = _Encoder(self.sizes)
        self.pooler = _Pooler(self.sizes)
        self.classifier = nn.Linear(self.sizes.dimensions, num_classes)

    @property
    def stages(self) -> Stages:
        """Stages in the order of Kokhlikyan et al. (2021), followed by the positions, which the paper keeps trained."""
        layers = [f"encoder.layer.{number}" for number in reversed(range(self.sizes.layers))]
        return (
            *((path, (path,)) for path in ("classifier", "pooler", *layers)),
            ("embeddings", ("embeddings.positions",)),
        )

    def embed(self, ids: Int64[Tensor, "batch tokens"]) -> Float[Tensor, "batch tokens dimensions"]:
        """Return the word embeddings; that of [PAD] is zero."""
        vectors: Tensor = self.embeddings.words(ids) * self.embeddings.strength[ids]
        return vectors

    def forward(
        self, inputs: Int64[Tensor, "batch tokens"] | Float[Tensor, "batch tokens dimensions"]
    ) -> Float[Tensor, "batch classes"]:
        """Return the logits of sentences given by ids or by embeddings.

        Raises:
            ModelError: more tokens than positions, or embeddings of the wrong width.
        """
        known = None
        if not inputs.is_floating_point():
            known = inputs != PAD
            inputs = self.embed(inputs)
        states = self.encoder(self.embeddings(inputs), known)
        logits: Tensor = self.classifier(self.pooler(states, known))
        return logits


class _Embeddings(nn.Module):
    """Word embeddings, and the positions that are added to them.

    A word's embedding is its row of the table times its strength, which is not trained; see `naive_bayes_start`.
    """

    strength: Tensor

    def __init__(self, vocabulary: int, max_tokens: int, sizes: EncoderSizes) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, sizes.dimensions, padding_idx=PAD)
        self.register_buffer("strength", torch.ones(vocabulary, 1))
        self.positions = nn.Parameter(torch.empty(max_tokens, sizes.dimensions))
        self.word_dropout = sizes.word_dropout
        self.dropout = _SharedDropout(sizes.dropout)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw small words and smaller positions, so that a word's meaning hardly depends on its position."""
        with torch.no_grad():
            nn.init.normal_(self.words.weight, std=0.2)[PAD] = 0
            nn.init.normal_(self.positions, std=0.02)

    def forward(self, vectors: Float[Tensor, "batch tokens dimensions"]) -> Float[Tensor, "batch tokens dimensions"]:
        tokens, dimensions = vectors.shape[1:]
        if tokens > len(self.positions) or dimensions != self.positions.shape[1]:
            raise ModelError(
                f"embeddings are (tokens, dimensions) = {(tokens, dimensions)}; the classifier takes at most "
                f"{len(self.positions)} tokens of {self.positions.shape[1]} dimensions"
            )
        if self.training and self.word_dropout:
            kept = torch.rand(vectors.shape[:2], device=vectors.device) >= self.word_dropout
            vectors = vectors * kept[..., None]
        out: Tensor = self.dropout(vectors + self.positions[:tokens])
        return out


class _Encoder(nn.Module):
    def __init__(self, sizes: EncoderSizes) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_Layer(sizes) for _ in range(sizes.layers))

    def forward(self, states: Tensor, known: Bool[Tensor, "batch tokens"] | None) -> Tensor:
        for layer in self.layer:
            states = layer(states, known)
        return states


class _Layer(nn.Module):
    """x + attention(norm x), then x + feed-forward(norm x)."""

    def __init__(self, sizes: EncoderSizes) -> None:
        super().__init__()
        self.attention = _Attention(sizes)
        self.feed_forward = nn.Sequential(
            nn.RMSNorm(sizes.dimensions, eps=_FLOOR),
            nn.Linear(sizes.dimensions, sizes.hidden),
            nn.GELU(),
            _SharedDropout(sizes.dropout),
            nn.Linear(sizes.hidden, sizes.dimensions),
            _SharedDropout(sizes.dropout),
        )
        for last in (self.attention.output, self.feed_forward[-2]):  # a layer starts as the identity
            for parameter in last.parameters():
                nn.init.zeros_(parameter)

    def forward(self, states: Tensor, known: Bool[Tensor, "batch tokens"] | None) -> Tensor:
        states = states + self.attention(states, known)
        out: Tensor = states + self.feed_forward(states)
        return out


class _Attention(nn.Module):
    """Scaled dot products of several heads (Vaswani et al. 2017, arXiv 1706.03762), written out.

    torch's fused attention computes differently with and without gradients.
    """

    def __init__(self, sizes: EncoderSizes) -> None:
        super().__init__()
        self.heads = sizes.heads
        self.norm = nn.RMSNorm(sizes.dimensions, eps=_FLOOR)
        self.query, self.key, self.value, self.output = (
            nn.Linear(sizes.dimensions, sizes.dimensions) for _ in range(4)
        )
        self.dropout = _SharedDropout(sizes.dropout)

    def forward(
        self, states: Float[Tensor, "batch tokens dimensions"], known: Bool[Tensor, "batch tokens"] | None
    ) -> Float[Tensor, "batch tokens dimensions"]:
        states = self.norm(states)
        query, key, value = (self._split(part(states)) for part in (self.query, self.key, self.value))
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[3])  # (batch, heads, tokens, tokens)
        if known is not None:
            scores = scores.masked_fill(~known[:, None, None], -torch.inf)
        mixed = scores.softmax(3) @ value
        joined: Tensor = self.dropout(self.output(mixed.transpose(1, 2).flatten(2)))
        return joined

    def _split(self, states: Tensor) -> Tensor:
        batch, tokens, _ = states.shape
        return states.view(batch, tokens, self.heads, -1).transpose(1, 2)  # (batch, heads, tokens, dimensions / heads)


class _Pooler(nn.Module):
    """tanh(W · mean of the tokens + b)."""

    def __init__(self, sizes: EncoderSizes) -> None:
        super().__init__()
        self.dropout = _SharedDropout(sizes.dropout)
        self.dense = nn.Linear(sizes.dimensions, sizes.dimensions)

    def forward(
        self, states: Float[Tensor, "batch tokens dimensions"], known: Bool[Tensor, "batch tokens"] | None
    ) -> Float[Tensor, "batch dimensions"]:
        share = torch.ones_like(states[..., :1]) if known is None else known[..., None].to(states)
        mean = (states * share).sum(1) / share.sum(1)
        pooled: Tensor = self.dropout(F.tanh(self.dense(self.dropout(mean))))
        return pooled


class _SharedDropout(nn.Module):
    """Dropout of whole dimensions, the same ones for all tokens: one draw per sentence, not per token."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, states: Float[Tensor, "batch *tokens dimensions"]) -> Float[Tensor, "batch *tokens dimensions"]:
        if not self.training or self.share == 0:
            return states
        shape = (len(states), *[1] * (states.ndim - 2), states.shape[-1])
        kept = torch.rand(shape, device=states.device) >= self.share
        return states * (kept / (1 - self.share))

"""Word embeddings initialized from naive Bayes, for classifiers trained on a few thousand sentences."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from probatum.errors import InvalidInput
from probatum.models.text.encoder import TextClassifier
from probatum.models.text.tokenizer import SPECIAL

_FLOOR = 0.1  # strength of a word that is equally frequent in both classes
_PACE = 0.3  # learning speed of embeddings relative to the other parameters


def log_count_ratios(
    ids: Int64[Tensor, "sentence tokens"], labels: Int64[Tensor, " _"], vocabulary: int
) -> Float[Tensor, " vocabulary"]:
    """Log ratio of each word's frequency in sentences of class 1 and of class 0.

        r_w = log((1 + n_w1) / Σ_v (1 + n_v1)) − log((1 + n_w0) / Σ_v (1 + n_v0))

    with n_wc the number of sentences of class c that contain the word.

    Source: Wang & Manning (2012), "Baselines and bigrams: simple, good sentiment and topic classification".

    Args:
        ids: padded sentences.
        labels: (sentence,) 0 or 1.
        vocabulary: number of ids.

    Raises:
        InvalidInput: a label other than 0 and 1, or no sentence of one of them.
    """
    if len(labels) == 0 or not set(labels.tolist()) <= {0, 1}:
        raise InvalidInput("naive Bayes needs sentences of the classes 0 and 1 alone")
    held = torch.zeros(len(ids), vocabulary, dtype=torch.bool).scatter_(1, ids.cpu(), True)
    counts = torch.stack([1.0 + held[labels.cpu() == label].sum(0) for label in (0, 1)])
    shares = (counts / counts.sum(1, keepdim=True)).log()
    return shares[1] - shares[0]


def naive_bayes_start(
    network: TextClassifier, ids: Int64[Tensor, "sentence tokens"], labels: Int64[Tensor, " _"], seed: int = 0
) -> None:
    """Set embeddings to e_w = r_w · u before training, with a random direction u of length about one.

    The strength of a word is proportional to |r_w| + 0.1, so that uninformative words cannot be used to memorize
    sentences.

    Args:
        network: changed in place.
        ids: padded training sentences.
        labels: (sentence,) 0 or 1.
        seed: of u; the global random state is not used.
    """
    table = network.embeddings.words.weight
    ratios = log_count_ratios(ids, labels, len(table)).to(table)
    generator = torch.Generator().manual_seed(seed)
    direction = torch.randn(table.shape[1], generator=generator) / table.shape[1] ** 0.5
    noise = 0.02 * torch.randn(table.shape, generator=generator)
    words = slice(len(SPECIAL), None)
    with torch.no_grad():
        network.embeddings.strength[words] = _PACE * (ratios[words, None].abs() + _FLOOR)
        table[words] = (ratios[words, None].sign() * direction.to(table) + noise[words].to(table)) / _PACE

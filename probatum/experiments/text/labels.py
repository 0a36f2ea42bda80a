"""Token scores of a text classifier that learnt the labels, and of one that learnt permuted labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from probatum.attributions import Method
from probatum.errors import InvalidInput
from probatum.experiments.text.cascade import METRICS
from probatum.experiments.text.scores import TextExplanation, explain_text
from probatum.metrics import get_metric, is_constant
from probatum.models.text import TextModel


@dataclass(frozen=True, eq=False)
class TextLabelTest:
    """Token scores of a classifier that learnt the labels, and of one that learnt permuted labels.

    Args:
        methods: names.
        metrics: names.
        true: explanations under the first classifier.
        permuted: under the second, of the same classes.
        scores: (method, metric, sentence), the similarity of the two.
        constant: (method, sentence), codes of `SanityResult`.
    """

    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    true: tuple[TextExplanation, ...]
    permuted: tuple[TextExplanation, ...]
    scores: Float[np.ndarray, "method metric sentence"]
    constant: np.ndarray


def text_label_test(
    true: TextModel,
    permuted: TextModel,
    sentences: Sequence[str],
    methods: Mapping[str, Method],
    targets: int | Sequence[int] | None = None,
    *,
    metrics: Sequence[str] = METRICS,
    normalize: bool = True,
    seed: int = 0,
    precision: str | None = None,
    memory_budget: int | str | None = None,
) -> TextLabelTest:
    """Compares the token scores of two classifiers, of which the second learnt labels that say nothing.

    Source: Adebayo et al. (2018), arXiv:1810.03292, data randomization test; Kokhlikyan et al. (2021), figure 12.

    Args:
        true: the classifier that learnt the labels.
        permuted: the other one, with the same tokens and classes.
        sentences: plain text.
        methods: by name.
        targets: as of `explain_text`; what the first classifier predicts where omitted.
        metrics: names of similarity metrics.
        normalize: as of `explain_text`.
        seed: of the methods' noise.
        precision: as in `attribute`.
        memory_budget: as in `attribute`.

    Raises:
        InvalidInput: the two classifiers split a sentence differently.
    """
    common: dict[str, Any] = {"seed": seed, "precision": precision, "memory_budget": memory_budget}
    first = explain_text(true, sentences, methods, targets, normalize=normalize, **common)
    second = explain_text(
        permuted, sentences, methods, [explanation.target for explanation in first], normalize=normalize, **common
    )
    scores = np.zeros((len(methods), len(metrics), len(first)))
    constant = np.zeros((len(methods), len(first)), dtype=np.int8)
    for row, (a, b) in enumerate(zip(first, second, strict=True)):
        if a.tokens != b.tokens:
            raise InvalidInput(f"the two classifiers split {a.sentence[:40]!r} differently; give them one tokenizer")
        for place, name in enumerate(methods):
            pair = [torch.from_numpy(explanation.scores[name])[None] for explanation in (a, b)]
            scores[place, :, row] = [float(get_metric(metric)(*pair)) for metric in metrics]
            constant[place, row] = int(is_constant(pair[0])) + 2 * int(is_constant(pair[1]))
    return TextLabelTest(tuple(methods), tuple(metrics), tuple(first), tuple(second), scores, constant)

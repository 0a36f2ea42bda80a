"""Scores of tokens: attributions of embeddings, summed over the embedding dimension.

Sentences are explained in groups of equal length, without padding: no score can depend on a neighbor.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probatum.attributions import IntegratedGradients, Method, attribute
from probatum.engine import all_logits, prepare
from probatum.errors import InvalidInput, UnknownName
from probatum.experiments.options import methods_with_options
from probatum.models.text import Encoded, TextModel
from probatum.progress import Progress, shows_progress

BASELINES = ("pad", "zero")


@dataclass(frozen=True, eq=False)
class PadBaseline:
    """Sentences whose words are replaced by [PAD], the markers round them kept.

    Args:
        pad: (dimensions,) the embedding of [PAD].
        leading: markers before the words.
        trailing: markers after them.
    """

    pad: Float[Tensor, " dimensions"] = field(repr=False)
    leading: int
    trailing: int

    def __call__(self, embeddings: Tensor) -> Tensor:
        """(sentence, tokens, dimensions) of the baselines."""
        padded = embeddings.clone()
        padded[:, self.leading : embeddings.shape[1] - self.trailing] = self.pad.to(embeddings)
        return padded


def text_baseline(model: TextModel, name: str) -> PadBaseline | str:
    """The baseline "pad" or "zero" for the embeddings of a model."""
    if name not in BASELINES:
        raise UnknownName("baseline of text", name, BASELINES)
    if name == "zero":
        return name
    special = model.tokenizer.encode("a").special
    words = [position for position, marker in enumerate(special) if not marker]
    return PadBaseline(model.pad_embedding(), words[0], len(special) - 1 - words[-1])


def text_methods(
    model: TextModel,
    names: Sequence[str],
    *,
    baseline: str = "pad",
    steps: int | None = None,
    samples: int | None = None,
) -> dict[str, Method]:
    """Methods of the table with a baseline for text; steps and samples are the methods' own where not given."""
    return methods_with_options(
        names, {"steps": steps, "samples": samples}, usual={"baseline": text_baseline(model, baseline)}
    )


@dataclass(frozen=True, eq=False)
class TextExplanation:
    """The explanation of one sentence.

    Args:
        sentence: as it was given.
        tokens: as the classifier saw it.
        target: the class that is explained.
        class_name: of the target.
        confidence: softmax probability of the target.
        scores: by method, (token,): the attribution of each token's embedding, summed over its dimensions; positive
            where the token speaks for the target.
        kept: by method, the share of the attribution, 0..1, that summing over the dimensions leaves: Σ_t |Σ_d m| over
            Σ_t Σ_d |m|. Where it is no larger than the rounding of the computation, the scores mean nothing.
        delta: by method, for those that know it: how far the sum of the unscaled scores is from the change of the logit
            between the baseline and the sentence; more steps make it smaller.
    """

    sentence: str
    tokens: tuple[str, ...]
    target: int
    class_name: str
    confidence: float
    scores: dict[str, Float[np.ndarray, " _"]]
    kept: dict[str, float]
    delta: dict[str, float]

    def is_rounding(self, method: str) -> bool:
        """True if the scores of a method are what rounding left of sums that vanish."""
        return self.kept[method] < 100 * float(np.finfo(self.scores[method].dtype).eps)


def token_scores(maps: Float[Tensor, "sentence token dimension"], *, normalize: bool) -> Tensor:
    """Sums maps over the embedding dimension and, if asked for, scales each sentence to length 1: (sentence, token).

    Source: Kokhlikyan et al. (2021), section 3. Scores that are all zero stay zero.
    """
    scores = maps.sum(2)
    if not normalize:
        return scores
    lengths: Tensor = torch.linalg.vector_norm(scores, dim=1, keepdim=True)
    return scores / lengths.masked_fill(lengths == 0, 1.0)


def share_kept(maps: Float[Tensor, "sentence token dimension"]) -> Float[Tensor, " sentence"]:
    """How much of each sentence's attribution is left after summing over the embedding dimension, 0..1.

    A network that normalizes embeddings by layer norm, as BERT does, does not see a constant added to all dimensions of
    one of them. Then Σ_d ∂ S_c / ∂ x_d = 0, and what is left of the gradient, and of every mean of gradients, is
    rounding; a map that is all zero keeps 0.
    """
    sizes = maps.abs().sum((1, 2))
    return maps.sum(2).abs().sum(1) / sizes.masked_fill(sizes == 0, 1.0)


@shows_progress
def explain_text(
    model: TextModel,
    sentences: Sequence[str],
    methods: Mapping[str, Method],
    targets: int | Sequence[int] | None = None,
    *,
    normalize: bool = True,
    seed: int = 0,
    precision: str | None = None,
    memory_budget: int | str | None = None,
    progress: Progress | None = None,
) -> list[TextExplanation]:
    """Scores the tokens of some sentences.

    Args:
        model: a classifier with its tokenizer.
        sentences: plain text.
        methods: by name.
        targets: one class for each sentence, one for all, or None for the predicted classes.
        normalize: whether the scores of a sentence are divided by their Euclidean length.
        seed: of the methods' noise.
        precision: as in `attribute`.
        memory_budget: as in `attribute`.
        progress: called with (points done, points in all, what).

    Raises:
        InvalidInput, ModelError: what the parts raise.
    """
    encoded = model.encode(sentences)
    prepared = prepare(model.network, precision, memory_budget=memory_budget)
    wanted = _targets(targets, len(encoded), len(model.class_names))
    found: dict[int, TextExplanation] = {}
    for rows in equal_lengths(encoded):
        embeddings = model.embed([encoded[row] for row in rows])
        probabilities = all_logits(prepared, embeddings).softmax(1)
        aimed = probabilities.argmax(1)
        if wanted is not None:
            aimed = torch.tensor([wanted[row] for row in rows], device=aimed.device)
        maps = attribute(
            prepared,
            embeddings,
            aimed,
            methods,
            seed=seed,
            progress=share_of(progress, len(found), len(rows), len(encoded), "explaining"),
        )
        for name, values in maps.items():
            if values.shape != embeddings.shape:  # as those of Grad-CAM, which reads the tokens as channels
                raise InvalidInput(
                    f"{methods[name].title} gives a map of shape {tuple(values.shape[1:])} for embeddings of shape "
                    f"{tuple(embeddings.shape[1:])}; choose a method that scores every number of the embeddings"
                )
        scores = {name: token_scores(values, normalize=normalize).cpu().numpy() for name, values in maps.items()}
        deltas: dict[str, Tensor] = {
            name: method.convergence_delta(prepared, embeddings, aimed, maps[name])
            for name, method in methods.items()
            if isinstance(method, IntegratedGradients)
        }
        kept = {name: share_kept(values) for name, values in maps.items()}
        for place, row in enumerate(rows):
            target = int(aimed[place])
            found[row] = TextExplanation(
                sentence=sentences[row],
                tokens=encoded[row].tokens,
                target=target,
                class_name=model.class_names[target],
                confidence=float(probabilities[place, target]),
                scores={name: values[place] for name, values in scores.items()},
                kept={name: float(shares[place]) for name, shares in kept.items()},
                delta={name: float(values[place]) for name, values in deltas.items()},
            )
    return [found[row] for row in range(len(encoded))]


def known_share(explanation: TextExplanation, method: str, decisive: Sequence[int], markers: int = 1) -> float:
    """The share of the absolute scores that falls on the words which decide the label, 0..1; NaN without any score.

    Args:
        explanation: of a sentence of `data.sentences`, whose words and tokens are the same.
        method: whose scores.
        decisive: positions of the words.
        markers: tokens before the first word.
    """
    sizes = np.abs(explanation.scores[method])
    total = float(sizes.sum())
    return float(sizes[[position + markers for position in decisive]].sum()) / total if total else float("nan")


def equal_lengths(encoded: Sequence[Encoded]) -> list[list[int]]:
    """The sentences of each length, the shortest first."""
    groups: dict[int, list[int]] = {}
    for row, sentence in enumerate(encoded):
        groups.setdefault(len(sentence), []).append(row)
    return [groups[length] for length in sorted(groups)]


def _targets(targets: int | Sequence[int] | None, sentences: int, classes: int) -> list[int] | None:
    if targets is None:
        return None
    listed = [targets] * sentences if isinstance(targets, int) else [int(target) for target in targets]
    if len(listed) != sentences:
        raise InvalidInput(f"{len(listed)} targets for {sentences} sentences; give one each, or one for all")
    bad = next((target for target in listed if not 0 <= target < classes), None)
    if bad is not None:
        raise InvalidInput(f"target {bad} is out of range: the model has classes 0 to {classes - 1}")
    return listed


def share_of(progress: Progress | None, before: int, size: int, everything: int, what: str | None = None) -> Any:
    """The callback of one group of sentences: its share of the progress of all, in thousandths of a sentence."""
    if progress is None:
        return None
    report = progress

    def tick(done: int, total: int, doing: str = "") -> None:
        report(round(1000 * (before + size * done / total)), 1000 * everything, what or doing)

    return tick

"""Token scores before and after randomizing a text classifier, stage by stage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probatum.attributions import Method
from probatum.experiments.sanity import sanity_check
from probatum.experiments.text.scores import (
    TextExplanation,
    equal_lengths,
    explain_text,
    share_kept,
    share_of,
    token_scores,
)
from probatum.metrics import Features, Measure, Metric, get_metric
from probatum.models.text import Encoded, TextModel
from probatum.progress import Progress, shows_progress
from probatum.randomization import Stage, StagePlan, automatic_stages, preset, stages_from_table

METRICS = ("cosine", "euclidean", "spearman")
"""The metrics of Kokhlikyan et al. (2021), appendix B."""


@dataclass(frozen=True, eq=False)
class TextCascade:
    """How the scores of tokens change while the layers of a classifier are randomized.

    Args:
        methods: names.
        metrics: names.
        stages: names, the output first; the trained model is not among them.
        trained: explanations under the trained model.
        scores: (method, metric, stage, sentence, trial), similarity to the trained model's token scores.
        constant: (method, stage, sentence, trial), codes of `SanityResult`.
        ceiling: (method, metric, sentence), the noise ceiling of `SanityResult`.
        randomized: for each sentence, by method: (stage, token) the token scores of trial 0.
        kept: (method, stage, sentence), `share_kept` of trial 0.
    """

    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    stages: tuple[str, ...]
    trained: tuple[TextExplanation, ...]
    scores: Float[np.ndarray, "method metric stage sentence trial"]
    constant: np.ndarray
    ceiling: Float[np.ndarray, "method metric sentence"]
    randomized: tuple[dict[str, Float[np.ndarray, "stage _"]], ...]
    kept: Float[np.ndarray, "method stage sentence"]

    def of(self, method: str, metric: str) -> Float[np.ndarray, "stage sentence trial"]:
        """The scores of one method under one metric."""
        scores: np.ndarray = self.scores[self.methods.index(method), self.metrics.index(metric)]
        return scores


@shows_progress
def text_cascade(
    model: TextModel,
    sentences: Sequence[str],
    methods: Mapping[str, Method],
    targets: int | Sequence[int] | None = None,
    *,
    metrics: Sequence[str] = METRICS,
    protocol: str = "kokhlikyan",
    trials: int | None = None,
    normalize: bool = True,
    seed: int = 0,
    precision: str | None = None,
    memory_budget: int | str | None = None,
    progress: Progress | None = None,
) -> TextCascade:
    """Compares token scores before and after randomizing a classifier, stage by stage.

    Every sentence meets the same random weights, and keeps the target that it has under the trained model.

    Source: Kokhlikyan et al. (2021), section 3 and appendix B.

    Args:
        model: a classifier with its tokenizer.
        sentences: plain text.
        methods: by name.
        targets: as of `explain_text`.
        metrics: names of similarity metrics, applied to token scores as they are.
        protocol: name of a randomization preset.
        trials: independent randomizations; the preset's where omitted.
        normalize: as of `explain_text`.
        seed: of the randomization and of the methods' noise.
        precision: as in `attribute`.
        memory_budget: as in `attribute`.
        progress: called with (thousandths of a sentence done, in all, what).

    Raises:
        InvalidInput, ModelError: what the parts raise.

    Differs from the paper:
        1. After the encoder's layers follow the rest of the embeddings (positions, token types, normalization), which
           the paper leaves trained. The table of words is no part of the function that is explained.
    """
    common: dict[str, Any] = {"seed": seed, "precision": precision, "memory_budget": memory_budget}
    trained = explain_text(model, sentences, methods, targets, normalize=normalize, **common)
    encoded = model.encode(sentences)
    chosen = preset(protocol)
    randomizer = chosen.randomizer(model.network, text_stages(model, encoded[0]), seed)
    table = {name: _on_tokens(get_metric(name), normalize) for name in metrics}
    parts = []
    groups = equal_lengths(encoded)
    done = 0
    for rows in groups:
        aimed = torch.tensor([trained[row].target for row in rows], device=model.device)
        result = sanity_check(
            model.network,
            model.embed([encoded[row] for row in rows]),
            aimed,
            methods=methods,
            metrics=table,
            randomizer=randomizer,
            trials=trials or chosen.trials,
            image_names=[str(row) for row in rows],
            keep_maps=len(rows),
            progress=share_of(progress, done, len(rows), len(encoded)),
            **common,
        )
        parts.append(result)
        done += len(rows)
    order = np.argsort(np.concatenate(groups))
    maps = {int(row): values for part in parts for row, values in part.maps.items()}
    randomized = [
        {name: torch.from_numpy(values[1:]) for name, values in maps[row].items()} for row in range(len(encoded))
    ]
    return TextCascade(
        methods=tuple(methods),
        metrics=tuple(metrics),
        stages=parts[0].stages,
        trained=tuple(trained),
        scores=np.concatenate([part.scores for part in parts], axis=3)[:, :, :, order],
        constant=np.concatenate([part.constant for part in parts], axis=2)[:, :, order],
        ceiling=np.concatenate([part.ceiling for part in parts], axis=2)[:, :, order],
        randomized=tuple(
            {name: token_scores(values, normalize=normalize).numpy() for name, values in sentence.items()}
            for sentence in randomized
        ),
        kept=np.array([[share_kept(sentence[name]).numpy() for sentence in randomized] for name in methods]).swapaxes(
            1, 2
        ),
    )


def text_stages(model: TextModel, sentence: Encoded) -> StagePlan:
    """The stages of a classifier: those of its table, or else one of every block of its layers, the output first."""
    embeddings = model.embed([sentence])
    if model.stages is not None:
        return stages_from_table(model.network, model.stages, images=embeddings)
    plan = automatic_stages(model.network, embeddings)
    blocks: dict[str, list[str]] = {}
    for stage in plan.stages:
        blocks.setdefault(_block(stage.name), []).extend(stage.modules)
    return StagePlan(tuple(Stage(name, tuple(modules)) for name, modules in blocks.items()), plan.unused)


def _block(path: str) -> str:
    """The path up to its first number, which is the place in a list of equal blocks; without the wrapper's "model"."""
    parts = path.removeprefix("model.").split(".")
    number = next((place for place, part in enumerate(parts) if part.isdigit()), len(parts) - 1)
    return ".".join(parts[: number + 1])


@dataclass(frozen=True)
class _TokenMeasure:
    """A measure of token scores, applied to maps of embeddings."""

    inner: Measure
    normalize: bool
    images: ClassVar[bool] = False

    def features(self, maps: Tensor) -> Features:
        return self.inner.features(token_scores(maps, normalize=self.normalize))

    def similarity(self, features_a: Features, features_b: Features) -> Float[Tensor, " batch"]:
        return self.inner.similarity(features_a, features_b)


def _on_tokens(metric: Metric, normalize: bool) -> Metric:
    return replace(metric, measure=_TokenMeasure(metric.measure, normalize), reduction="identity")

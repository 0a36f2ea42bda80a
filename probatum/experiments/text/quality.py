"""Infidelity and max-sensitivity of attributions of embeddings, over sentences of any length."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from probatum.attributions import Method
from probatum.experiments.quality import QualityResult, quality_scores
from probatum.experiments.text.cascade import text_stages
from probatum.experiments.text.scores import equal_lengths, share_of, text_baseline, token_scores
from probatum.metrics.quality import Quality
from probatum.models.text import TextModel
from probatum.progress import Progress, shows_progress
from probatum.randomization import preset


@shows_progress
def text_quality(
    model: TextModel,
    sentences: Sequence[str],
    methods: Mapping[str, Method],
    targets: Sequence[int],
    *,
    metrics: Mapping[str, Quality] | Sequence[str] = ("infidelity", "max-sensitivity"),
    baseline: str = "pad",
    protocol: str | None = None,
    trials: int = 1,
    seed: int = 0,
    precision: str | None = None,
    memory_budget: int | str | None = None,
    progress: Progress | None = None,
) -> QualityResult:
    """Scores each method's maps of the embeddings under a classifier and, with a protocol, its randomized versions.

    The embeddings are disturbed number by number; max-sensitivity compares token scores, their sums over the embedding.
    Every sentence meets the same random weights, those of `text_cascade` under the same seed.

    Source: Kokhlikyan et al. (2021), figures 3, 10 and 12, table 2.

    Args:
        model: a classifier with its tokenizer.
        sentences: plain text.
        methods: by name, with the baseline named below.
        targets: the class that is explained, for each sentence.
        metrics: as of `quality_scores`.
        baseline: "pad" or "zero", what global maps are measured against.
        protocol: name of a randomization preset; None scores the classifier alone.
        trials: independent randomizations.
        seed: of the randomization, the methods' noise and the disturbances.
        precision: as in `attribute`.
        memory_budget: as in `attribute`.
        progress: called with (thousandths of a sentence done, in all, what).

    Returns:
        the scores, the sentences in the place of the images, named by their numbers.

    Raises:
        InvalidInput, ModelError: what the parts raise.
    """
    encoded = model.encode(sentences)
    randomizer = None
    if protocol is not None:
        randomizer = preset(protocol).randomizer(model.network, text_stages(model, encoded[0]), seed)
    groups = equal_lengths(encoded)
    parts: list[QualityResult] = []
    done = 0
    for rows in groups:
        parts.append(
            quality_scores(
                model.network,
                model.embed([encoded[row] for row in rows]),
                torch.tensor([targets[row] for row in rows], device=model.device),
                methods=methods,
                metrics=metrics,
                randomizer=randomizer,
                trials=trials,
                baseline=text_baseline(model, baseline),
                feature_dim=-1,
                reduce=lambda maps: token_scores(maps, normalize=False),
                seed=seed,
                image_names=[str(row) for row in rows],
                precision=precision,
                memory_budget=memory_budget,
                progress=share_of(progress, done, len(rows), len(encoded)),
            )
        )
        done += len(rows)
    order = np.argsort(np.concatenate(groups))
    first = parts[0]
    return QualityResult(
        first.methods,
        first.metrics,
        first.stages,
        tuple(str(row) for row in range(len(encoded))),
        tuple(int(target) for target in targets),
        first.local_or_global,
        np.concatenate([part.scores for part in parts], axis=3)[:, :, :, order],
    )

"""Yona & Greenfeld 2021: on suitable tasks, Guided Backprop distinguishes trained models from random ones.

Each study trains its models, compares their maps with those of untrained models and stores every score; figures and
verdicts come from the stored scores.

Differs from the paper:
    1. It shows Λ by examples; here its norm is measured, over several untrained models, beside the same without
       training.
    2. Figure 3 explains the pretrained network under its new last layer, as fine-tuning begins, and a fourth column for
       the ImageNet class itself; the paper does not tell which it shows.
    3. The bottom half of digits is deleted, as section 4.1 says; the caption of Figure 1 says the top half, as the
       variant "top-half" has it.
    4. All networks on digits have ten logits, so that one untrained model has the architecture of all of them.
    5. Every network is trained three times; it trains each once.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from probatum.attributions import Gradient, GuidedBackprop
from probatum.experiments.effects import Effects, measure_effects
from probatum.reproductions.base import Context, Experiment, Finding, Inputs, Paper, store_arrays, write_facts
from probatum.reproductions.yona2021 import figures, verdicts
from probatum.reproductions.yona2021.results import GBP, GRADIENT
from probatum.reproductions.yona2021.studies import SIZES, Study, half_study, pairs_study, shapes_study

Make = Callable[[Context, bool, int], Study]
"""Makes one training of a study: takes the context, if examples are wanted, and the number of the training from 0."""

INPUTS: dict[Make, Inputs] = {
    half_study: Inputs(data=("MNIST",)),
    shapes_study: Inputs(data=("MNIST",)),
    pairs_study: Inputs(data=("tiny-imagenet-200",), networks=("resnet18",)),
}
SCORES = ("distance", "distance_floor", "effect", "effect_floor", "share")
METHODS = {"Guided Backprop": GuidedBackprop(), "Gradient": Gradient()}


def compute(make: Make, context: Context, folder: Path, *, examples: bool) -> None:
    """Trains the models of a study, or loads them, and stores the scores and maps of all methods.

    Scores are those of several trainings, from other first weights and in other orders of the images. All explain the
    same images; maps are shown of the first.

    Args:
        make: trains the models.
        context: the configuration.
        folder: receives `facts.json` and `arrays.npz`.
        examples: whether more examples are wanted instead of many scores.
    """
    trainings = 1 if examples else context.pick(SIZES).trainings
    study = make(context, examples, 0)
    found, accuracies = [_measured(context, study)], [study.accuracies]
    for turn in range(1, trainings):
        other = make(context, examples, turn)
        found.append(_measured(context, other))
        accuracies.append(other.accuracies)
    arrays = {
        name: np.stack([getattr(one, name) for one in found]) for name in SCORES
    }  # the training is the first axis
    arrays["panels"] = found[0].panels
    arrays["untrained_share"] = found[0].untrained_share
    arrays["pictures"] = study.pictures[: study.shown].numpy()
    arrays["area"] = np.stack([region.float().mean((1, 2)).cpu().numpy() for region in study.regions.values()])
    arrays["counted"] = study.counted.numpy()
    store_arrays(folder, **arrays)
    write_facts(
        folder,
        **study.facts,
        accuracies={name: [one[name] for one in accuracies] for name in study.accuracies},
        used=f"{study.facts['network']}; {study.facts['images']}",
        trained=list(study.trained),
        regions=list(study.regions),
        methods=list(METHODS),
        untrained=len(study.untrained),
        shown_names=list(study.shown_names),
        seed=context.config.seed,
        preset=context.config.preset,
    )


def _measured(context: Context, study: Study) -> Effects:
    return measure_effects(
        study.trained,
        study.untrained,
        study.images,
        study.weights,
        study.regions,
        METHODS,
        shown=study.shown,
        memory_budget=context.config.memory_budget,
        progress=context.progress,
    )


def _nothing(folder: Path) -> list[Finding]:
    """Judges nothing, because the figures of further examples make no claim."""
    return []


def _examples(number: int, title: str, make: Make, method: int) -> Experiment:
    return Experiment(
        f"figure{number}",
        title,
        partial(compute, make, examples=True),
        partial(figures.draw_examples, method),
        _nothing,
        covers={f"Figure {number}": ""},
        inputs=INPUTS[make],
    )


def _study(number: int, title: str, make: Make, draw: Any, judge: Any) -> Experiment:
    return Experiment(
        f"figure{number}",
        title,
        partial(compute, make, examples=False),
        draw,
        judge,
        covers={f"Figure {number}": ""},
        inputs=INPUTS[make],
    )


PAPER = Paper(
    name="yona2021",
    title="Revisiting Sanity Checks for Saliency Maps",
    citation="Yona & Greenfeld, 2021, arXiv:2110.14297",
    experiments=(
        _study(
            1,
            "Halved digits, and the causal effect on digits",
            half_study,
            figures.draw_half,
            verdicts.judge_half,
        ),
        _study(2, "shapes on digits, two tasks", shapes_study, figures.draw_study, verdicts.judge_shapes),
        _study(3, "pairs of photographs", pairs_study, figures.draw_study, verdicts.judge_pairs),
        _examples(4, "shapes on digits, Gradient: more examples", shapes_study, GRADIENT),
        _examples(5, "shapes on digits, Guided Backprop: more examples", shapes_study, GBP),
        _examples(6, "pairs of photographs, Gradient: more examples", pairs_study, GRADIENT),
        _examples(7, "pairs of photographs, Guided Backprop: more examples", pairs_study, GBP),
    ),
    module="probatum.reproductions.yona2021",
    variants={"top-half": "the top half of digits is deleted, as the caption of Figure 1 says"},
)

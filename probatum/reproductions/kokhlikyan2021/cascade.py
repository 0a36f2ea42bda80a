"""Figures 1, 4 and 5: global against local Integrated Gradients under cascading Xavier randomization."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor, nn

from probatum.attributions import IntegratedGradients
from probatum.data import ImageSet, load_photographs
from probatum.engine import all_logits, prepare
from probatum.errors import InvalidInput
from probatum.experiments import SanityResult, sanity_check
from probatum.experiments.setup import preprocessing_of, weights_hash
from probatum.maps import get_reduction
from probatum.metrics import get_metric
from probatum.models import load_model, model_spec
from probatum.randomization import StagePlan, automatic_stages, preset, stages_from_table
from probatum.report import bootstrap_interval
from probatum.report.boxes import boxes_figure
from probatum.report.map_band import MapBand
from probatum.report.style import MapStyle
from probatum.reproductions.base import (
    Claim,
    Context,
    Experiment,
    Finding,
    Verdict,
    read_arrays,
    read_facts,
    write_arrays,
    write_facts,
)
from probatum.reproductions.kokhlikyan2021 import digits_cnn
from probatum.reproductions.kokhlikyan2021.digits_cnn import DigitSizes, load_digits, trained_cnn

METHODS = {"global": "Global IG", "local": "Local IG"}
SSIM, SSIM_NOTEBOOK, RANK, RANK_ABS = "ssim-adebayo-issue", "ssim-adebayo-notebook", "spearman", "spearman-abs"
METRICS = (SSIM, SSIM_NOTEBOOK, RANK, RANK_ABS)
STYLES: tuple[MapStyle, ...] = ("absolute", "diverging")

INCEPTION_STAGES = (
    ("fc", ("fc",)),
    ("Mixed_7", ("Mixed_7c", "Mixed_7b", "Mixed_7a")),
    ("Mixed_6", ("Mixed_6e", "Mixed_6d", "Mixed_6c", "Mixed_6b", "Mixed_6a")),
    ("Mixed_5", ("Mixed_5d", "Mixed_5c", "Mixed_5b")),
    *((name, (name,)) for name in ("Conv2d_4a_3x3", "Conv2d_3b_1x1", "Conv2d_2b_3x3", "Conv2d_2a_3x3")),
    ("Conv2d_1a_3x3", ("Conv2d_1a_3x3",)),
)
"""The stages of the paper's table 1."""
THIRD = 2  # position of the third layer, from which on the paper sees a difference


@dataclass(frozen=True)
class Sizes:
    """How much is computed: images, randomizations and steps of IG."""

    images: int
    trials: int
    steps: int


PAPER = Sizes(images=10, trials=10, steps=50)
QUICK_PHOTOGRAPHS = Sizes(images=4, trials=3, steps=15)
QUICK_DIGITS = Sizes(images=10, trials=10, steps=25)


@dataclass(frozen=True, eq=False)
class Subject:
    """What is randomized: a network with its stages and the images that it explains.

    Args:
        title: of the network with its weights and data, as captions have it.
        model: on its device.
        plan: its stages.
        data: on the CPU.
        trained: whether the weights were learnt.
        substitution: how it differs from the paper's Inception v3 on photographs; "" where it does not.
    """

    title: str
    model: nn.Module
    plan: StagePlan
    data: ImageSet
    trained: bool
    substitution: str


def compute(context: Context, folder: Path) -> None:
    """Explains the trained network and each randomized one, and compares."""
    config = context.config
    name = config.model or ("inception_v3" if config.preset == "paper" or config.weights != "default" else None)
    sizes = context.pick(quick=QUICK_PHOTOGRAPHS if name else QUICK_DIGITS, paper=PAPER)
    subject = _photographs(context, name, sizes) if name else _digits(context, sizes)
    images = subject.data.images.to(context.device)
    probabilities = all_logits(prepare(subject.model), images, memory_budget=config.memory_budget).softmax(1)
    protocol = preset("kokhlikyan")
    result = sanity_check(
        subject.model,
        images,
        probabilities.argmax(1),
        methods={key: IntegratedGradients(sizes.steps, multiply_by_inputs=key == "global") for key in METHODS},
        metrics=METRICS,
        randomizer=protocol.randomizer(subject.model, subject.plan, config.seed),
        trials=sizes.trials,
        seed=config.seed,
        image_names=subject.data.image_names,
        keep_maps=len(images),
        memory_budget=config.memory_budget,
        progress=context.progress,
    )
    shown = result.maps[subject.data.image_names[0]]
    write_arrays(
        folder,
        scores=result.scores,
        constant=result.constant,
        strangers=strangers(result),
        picture=subject.data.pictures()[0].permute(1, 2, 0).numpy(),
        **{
            f"{key}-{style}": get_reduction(style)(torch.from_numpy(shown[key]))[:, 0].numpy()
            for key in METHODS
            for style in STYLES
        },
    )
    write_facts(
        folder,
        preset=config.preset,
        network=subject.title,
        trained=subject.trained,
        substitution=subject.substitution,
        weights_sha256=weights_hash(subject.model),
        stages=list(result.stages),
        images=list(result.image_names),
        explained=_class_name(subject, name, int(result.targets[0])),
        confidence=float(probabilities[0].max()),
        trials=sizes.trials,
        steps=sizes.steps,
        seed=config.seed,
    )


def _photographs(context: Context, name: str, sizes: Sizes) -> Subject:
    """A pretrained network of torchvision on photographs."""
    config, spec = context.config, model_spec(name)
    if spec.channels != 3:
        raise InvalidInput(f"{spec.title} takes no photographs; without --model the basic CNN is trained on digits")
    source = config.photographs or context.data_folder("imagenet-samples")
    if source is None:
        raise InvalidInput(
            f"{spec.title} needs photographs; give a folder of them with --photographs, or imagenet-samples/ in the "
            "data folder with --data-dir"
        )
    data = load_photographs(source, preprocessing_of(spec), limit=sizes.images)
    if len(data) < max(2, sizes.images):
        raise InvalidInput(f"{source} holds {len(data)} photographs; {max(2, sizes.images)} are needed")
    model = load_model(name, config.weights, seed=config.seed).to(context.device)
    table = INCEPTION_STAGES if name == "inception_v3" else spec.stages
    first = data.images[:1].to(context.device)
    plan = stages_from_table(model, table, images=first) if table else automatic_stages(model, first)
    trained = config.weights != "none"
    weights = {"default": "torchvision's weights", "none": "random weights"}.get(config.weights, "given weights")
    instead = "" if name == "inception_v3" else f"{spec.title} instead of Inception v3"
    return Subject(f"{spec.title} ({weights}) on {data.name}", model, plan, data, trained, instead)


def _digits(context: Context, sizes: Sizes) -> Subject:
    """The basic CNN, trained here on the true labels."""
    digit_sizes: DigitSizes = context.pick(quick=digits_cnn.QUICK, paper=digits_cnn.PAPER)
    digits = load_digits(context, digit_sizes)
    model, report = trained_cnn(
        context,
        digits,
        digit_sizes.true,
        digits_cnn.labels_of(digits.train),
        start=context.config.seed,
        what="the basic CNN",
    )
    data = digits.test.take_per_class(-(-sizes.images // 10)).subset(range(sizes.images))
    stages = model_spec("basic_cnn").stages
    assert stages is not None, "the basic CNN has a table of stages"
    title = f"basic CNN (test accuracy {report.best_accuracy:.3f}) on {digits.title}"
    return Subject(
        title,
        model,
        stages_from_table(model, stages),
        data,
        True,
        f"the basic CNN on {digits.title} instead of Inception v3 on photographs",
    )


def _class_name(subject: Subject, name: str | None, target: int) -> str:
    names = model_spec(name).class_names if name else subject.data.class_names
    return names[target] if names is not None and target < len(names) else str(target)


def strangers(result: SanityResult) -> Float[np.ndarray, "method metric stage image"]:
    """The mean score of each randomized map (trial 0) against the trained network's maps of the other images.

    What a map shares with maps of other images is no structure of its own image: a score of no more is none.
    """
    count = len(result.image_names)
    scores = np.zeros((len(result.methods), len(result.metrics), len(result.stages), count))
    for m, method in enumerate(result.methods):
        maps = torch.from_numpy(np.stack([result.maps[image][method] for image in result.image_names]))
        for k, key in enumerate(result.metrics):
            metric = get_metric(key)
            reduce = get_reduction(metric.reduction)
            trained = reduce(maps[:, 0])
            for stage in range(len(result.stages)):
                randomized = metric.prepare(reduce(maps[:, 1 + stage]))
                others: list[Tensor] = [
                    metric.compare(metric.prepare(trained.roll(shift, 0)), randomized) for shift in range(1, count)
                ]
                scores[m, k, stage] = torch.stack(others).mean(0).numpy()
    return scores


def draw(folder: Path) -> dict[str, Figure]:
    """Figure 1 in both map styles, the rank correlations of figure 4, and the mean SSIM of figure 5."""
    facts, arrays = read_facts(folder), read_arrays(folder)
    picture = arrays["picture"][..., 0] if arrays["picture"].shape[2] == 1 else arrays["picture"]
    figures: dict[str, Figure] = {}
    for style in STYLES:
        band = MapBand(
            {title: list(arrays[f"{key}-{style}"]) for key, title in METHODS.items()},
            style=style,
            image=np.clip(picture, 0, 1),
            image_title=f"{facts['explained']} ({facts['confidence']:.2f})",
        )
        figures["" if style == "absolute" else style] = _boxes(facts, arrays, SSIM, band)
    figures["ssim-notebook"] = _boxes(facts, arrays, SSIM_NOTEBOOK)
    figures["spearman"] = _boxes(facts, arrays, RANK)
    figures["spearman-abs"] = _boxes(facts, arrays, RANK_ABS)
    figures["ssim-mean"] = _boxes(facts, arrays, SSIM, mean=True)
    return figures


def _boxes(
    facts: dict[str, Any],
    arrays: dict[str, np.ndarray],
    metric: str,
    band: MapBand | None = None,
    *,
    mean: bool = False,
) -> Figure:
    """The box plots of one metric, over images and trials or over trials of the mean over images."""
    k, count = METRICS.index(metric), len(facts["images"])
    scores = arrays["scores"][:, k]  # (method, stage, image, trial)
    reduction = get_reduction(get_metric(metric).reduction).title
    over = (
        f"of the mean over {count} images, {facts['trials']} trials"
        if mean
        else (f"{count} images × {facts['trials']} trials")
    )
    return boxes_figure(
        {
            title: scores[m].mean(axis=1, keepdims=True) if mean else scores[m]
            for m, title in enumerate(METHODS.values())
        },
        metric_title=f"{get_metric(metric).title} ({metric})",
        column_titles=facts["stages"],
        undefined=None
        if mean
        else {title: (arrays["constant"][m] > 0).sum(axis=(1, 2)) for m, title in enumerate(METHODS.values())},
        reference={title: arrays["strangers"][m, k].mean(axis=1) for m, title in enumerate(METHODS.values())},
        reference_title="maps of other images",
        band=band,
        caption=f"{facts['network']}; preset {facts['preset']}; cascading Xavier randomization, batch-norm statistics "
        f"kept; IG of {facts['steps']} steps from zero; compared maps: {reduction}; {over}; seed {facts['seed']}.",
    )


def _claim(name: str, where: str, statement: str, paper: str) -> Claim:
    return Claim(f"cascade-{name}", where, statement, paper)


HALF = _claim(
    "ssim-half",
    "Figure 1, section 3",
    "The SSIM of local IG is about half of that of global IG under cascading randomization.",
    "almost half",
)
RANDOM = _claim(
    "local-looks-random",
    "Figure 1, section 3",
    "From the third layer on the maps of local IG look random, those of global IG keep structure of the image.",
    "seen by eye",
)
RANKS = _claim(
    "spearman-zero",
    "Figure 4, appendix A",
    "The rank correlation is close to zero from the first randomized layer to the last, for global and local IG.",
    "close to zero",
)
IMAGES = _claim(
    "ten-images",
    "Figure 5, appendix A",
    "The SSIM of single images is distributed like that of ten: global IG above local IG.",
    "similar relative distributions",
)


def judge(folder: Path) -> list[Finding]:
    """Judges the four claims."""
    facts, arrays = read_facts(folder), read_arrays(folder)
    judged = [_half(arrays), _random(arrays), _ranks(arrays), _images(arrays)]
    constant = int((arrays["constant"] > 0).sum())
    findings = []
    for claim, ours, holds, why in judged:
        verdict: Verdict = "reproduced" if holds else "not reproduced"
        if not facts["trained"]:
            verdict, why = "not comparable", "the network has random weights: nothing learnt is destroyed"
        elif facts["substitution"]:
            why = f"{why}; judged on {facts['substitution']}"
        if constant:
            why = f"{why}; {constant} of {arrays['constant'].size} comparisons had a constant map"
        findings.append(Finding(claim, ours, verdict, why))
    return findings


Judged = tuple[Claim, str, bool, str]


def _half(arrays: dict[str, np.ndarray]) -> Judged:
    """Ratio of the mean SSIM, and whether the difference is beyond chance."""
    ours, apart = {}, {}
    for metric in (SSIM, SSIM_NOTEBOOK):
        both = arrays["scores"][:, METRICS.index(metric)]  # (method, stage, image, trial)
        ours[metric] = float(both[1].mean() / both[0].mean())
        apart[metric] = float(bootstrap_interval((both[0] - both[1]).mean(axis=0)).low) > 0
    both = arrays["scores"][:, METRICS.index(SSIM)]
    return (
        HALF,
        f"{both[1].mean():.2f} / {both[0].mean():.2f} = {ours[SSIM]:.2f} (min–max maps: {ours[SSIM_NOTEBOOK]:.2f})",
        1 / 3 <= ours[SSIM] <= 2 / 3 and apart[SSIM],
        "rule: the ratio of the means over stages, images and trials lies in [1/3, 2/3], and the 95 % interval of the "
        "difference excludes 0; the paper does not say how maps are normalised for SSIM: judged on maps in [−1, 1] "
        "whose zero stays zero, the ratio of maps stretched to [0, 1] in brackets",
    )


def _random(arrays: dict[str, np.ndarray]) -> Judged:
    """How much more like their own image's map than like other images' maps the randomized maps are."""
    k = METRICS.index(RANK_ABS)
    excess = arrays["scores"][:, k, THIRD:, :, 0] - arrays["strangers"][:, k, THIRD:]  # (method, stage, image)
    most, least = float(excess[1].mean(axis=1).max()), float(excess[0].mean(axis=1).min())
    return (
        RANDOM,
        f"local at most {most:.2f}, global at least {least:.2f}",
        most <= 0.1 < least,
        "rule: rank correlation (ABS) with the trained network's map of the same image, less that with its maps of the "
        "other images: the local mean is at most 0.1 at every stage from the third on, the global mean above",
    )


def _ranks(arrays: dict[str, np.ndarray]) -> Judged:
    means = arrays["scores"][:, METRICS.index(RANK)].mean(axis=(2, 3))  # (method, stage)
    furthest = np.abs(means).max(axis=1)
    return (
        RANKS,
        f"furthest mean from zero: global {furthest[0]:.2f}, local {furthest[1]:.2f}",
        bool((furthest <= 0.1).all()),
        "rule: the mean signed rank correlation over images and trials lies within ±0.1 at every stage, for both",
    )


def _images(arrays: dict[str, np.ndarray]) -> Judged:
    means = arrays["scores"][:, METRICS.index(SSIM)].mean(axis=(1, 3))  # (method, image)
    above, count = int((means[0] > means[1]).sum()), means.shape[1]
    return (
        IMAGES,
        f"global above local for {above} of {count} images",
        above >= 0.9 * count,
        "rule: the mean SSIM over stages and trials of global IG is above that of local IG for 9 of 10 images",
    )


CASCADE = Experiment(
    name="figure1",
    title="Global against local IG under cascading Xavier randomization (figures 1, 4 and 5)",
    compute=compute,
    draw=draw,
    judge=judge,
)

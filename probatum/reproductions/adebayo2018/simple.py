"""Two models with gradients in closed form: a linear model, and one random convolution with sum pooling."""

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from probatum.attributions import (
    METHODS,
    EdgeDetector,
    Gradient,
    InputXGradient,
    IntegratedGradients,
    Method,
    SmoothGrad,
    attribute,
)
from probatum.data import ImageSet, Preprocessing, load_photographs
from probatum.data.shipped import shipped_photographs
from probatum.maps import REDUCTIONS
from probatum.models.analytic import LinearModel, SumPoolingConv
from probatum.randomization import stream
from probatum.report import bootstrap_interval, methods_figure
from probatum.report.bars import bars_figure
from probatum.report.style import MapStyle
from probatum.reproductions.adebayo2018.checks import displayed, panel, read_panels, titles_of, write_panels
from probatum.reproductions.adebayo2018.edges import MEASURES, RANKS, STRUCTURE, likeness
from probatum.reproductions.adebayo2018.photographs import SHOWN_FIRST, photograph_files
from probatum.reproductions.adebayo2018.setting import CONTROL, SIZES, datasets, load_small
from probatum.reproductions.base import (
    Claim,
    Context,
    Finding,
    read_facts,
    store_arrays,
    stored_arrays,
    write_facts,
)
from probatum.reproductions.hatching import drawable
from probatum.reproductions.rules import above, fact, measure, ratio
from probatum.reproductions.setting import conclude
from probatum.runs.cache import train_once

CONSTANT = Claim(
    "linear-gradient",
    "analysis of simple models, linear model",
    "The gradient of a linear model is its coefficients, whatever the input.",
    "exact, by algebra",
    role="self-test",
)
SMOOTH_IDENTITY = Claim(
    "linear-smoothgrad",
    "analysis of simple models, linear model",
    "On a linear model SmoothGrad is Gradient.",
    "exact, by algebra",
    role="self-test",
)
PATH_IDENTITY = Claim(
    "linear-integrated-gradients",
    "analysis of simple models, linear model",
    "On a linear model Integrated Gradients from zero is Input × Gradient.",
    "exact, by algebra",
    role="self-test",
)
WHERE = "analysis of simple models, one convolution with sum pooling"
ALONG_EDGES = Claim(
    "pooling-gradient",
    WHERE,
    "The gradient of a random convolution with sum pooling is constant except at the edges of the image.",
    "by algebra, and by eye",
)
LIKE_EDGES = Claim(
    "pooling-likeness",
    WHERE,
    "Input × Gradient of a random convolution with sum pooling looks like an edge detector.",
    "by eye",
)
MORE = {
    measured: Claim(
        f"pooling-likeness-{short}",
        WHERE,
        f"By {MEASURES[measured].title}, it does so more than Input × Gradient of a random linear model.",
        "by eye",
    )
    for measured, short in ((RANKS, "rank"), (STRUCTURE, "ssim"))
}
Network = TypeVar("Network", bound=nn.Module)
GRAY = Preprocessing((0.0,), (1.0,), resize=256, crop=224)
TARGET = 3  # of the linear model: one class for all images, so that their gradients can be compared
DRAWN = 3
UNITS = ("image", "filter")
ROUNDING = 1e-10
ALIKE = 0.3  # rank correlation with the edge detector
SHIPPED = "the photographs of scikit-image"
LINEAR = "Linear: Input × Gradient"


def compute(context: Context, folder: Path) -> None:
    """Explain a trained linear model and random sum-pooling networks."""
    dataset = datasets(context)[0]
    linear = _explain_linear(context, dataset, folder)
    data = _gray_photographs(context)
    images, seed = data.images.to(context.device), context.config.seed
    filters = context.pick(SIZES).filters
    # Integrated Gradients from zero is Input × Gradient here too: a scaled image activates the same windows.
    methods: dict[str, Method] = {"gradient": Gradient(), "input-x-gradient": InputXGradient(), CONTROL: EdgeDetector()}
    scores, ratios = [], []
    for number in range(filters):
        context.progress(number, filters, "random filters")
        pooling = drawn(SumPoolingConv(), seed, f"sum-pooling {number}").to(images)
        control = drawn(LinearModel(1, size=images.shape[2]), seed, f"linear {number}").to(images)
        maps = attribute(pooling, images, 0, methods, memory_budget=context.config.memory_budget)
        if number == 0:
            shown = {name: values[:DRAWN] for name, values in maps.items()}
            write_panels(folder / "sum-pooling.npz", data.pictures()[:DRAWN], shown)
        edges = maps.pop(CONTROL)
        inner = (..., slice(1, -1), slice(1, -1))  # at the border the zeros of the padding change the gradient
        ratios.append(_edge_ratio(maps["gradient"][inner], pooling.conv.weight, edges[inner]))
        maps[LINEAR] = InputXGradient()(control, images, 0)
        scores.append(np.stack([likeness(values, edges) for values in maps.values()]))
    # scores (method, measure, image, filter), ratios (image, filter)
    store_arrays(folder, scores=np.stack(scores, axis=-1), ratios=np.stack(ratios, axis=-1))
    write_facts(
        folder,
        linear=linear,
        methods=[METHODS["gradient"].title, METHODS["input-x-gradient"].title, LINEAR],
        images=len(images),
        data=data.name,
        rows=[SHOWN_FIRST.get(Path(name).stem, Path(name).stem) for name in data.image_names[:DRAWN]],
        filters=filters,
        protocol=f"preset {context.config.preset}, seed {seed}",
    )


def _edge_ratio(gradient: Tensor, weight: Tensor, edges: Tensor) -> np.ndarray:
    """Mean edge strength where the gradient is neither 0 nor Σ w, in units of its mean elsewhere; NaN without either.

    The gradient of a pixel is 0 where no window over it is active, and Σ w where all are.
    """
    total, tolerance = weight.sum(), 1e-5 * weight.abs().sum()
    changed = (torch.minimum(gradient.abs(), (gradient - total).abs()) > tolerance).to(edges)
    ratios = (edges * changed).mean((1, 2, 3)) / changed.mean((1, 2, 3))
    ratios /= (edges * (1 - changed)).mean((1, 2, 3)) / (1 - changed).mean((1, 2, 3))
    return ratios.cpu().double().numpy()


def _explain_linear(context: Context, dataset: str, folder: Path) -> dict[str, object]:
    """Train a linear model, store its maps, and measure their deviation from the closed form."""
    sizes, seed = context.pick(SIZES), context.config.seed
    training = load_small(context, dataset, "train", sizes.train_images)
    test = load_small(context, dataset, "test", sizes.test_images)
    assert training.labels is not None
    assert test.labels is not None
    model = drawn(LinearModel(), seed, "linear").to(context.device)
    report = train_once(
        model,
        training.images,
        training.labels,
        test.images,
        test.labels,
        replace(sizes.training, seed=seed),
        what=f"a linear model on {dataset}",
        progress=context.progress,
    )
    data, points = test.take_per_class(sizes.per_class), sizes.points
    methods: dict[str, Method] = {
        "gradient": Gradient(),
        "smoothgrad": SmoothGrad(samples=points.samples),
        "input-x-gradient": InputXGradient(),
        "integrated-gradients": IntegratedGradients(points.steps),
        CONTROL: EdgeDetector(),
    }
    images = data.images.to(context.device)
    maps = attribute(model, images, TARGET, methods, seed=seed, precision="float64")
    chosen = torch.arange(DRAWN) * sizes.per_class  # an image of each of the first classes
    write_panels(folder / "linear.npz", data.pictures()[chosen], {name: m[chosen] for name, m in maps.items()})
    gradient, product = maps["gradient"], maps["input-x-gradient"]
    return {
        "dataset": dataset,
        "accuracy": report.best_accuracy,
        "images": len(data),
        "rows": [f"digit {row}" if dataset in ("digits", "mnist") else str(row) for row in range(DRAWN)],
        "gradient_spread": _relative(gradient, gradient[:1]),
        "smoothgrad_gap": _relative(maps["smoothgrad"], gradient),
        "integrated_gap": _relative(maps["integrated-gradients"], product),
        "points": str(points),
    }


def _relative(maps: Tensor, others: Tensor) -> float:
    """Largest difference of two maps in units of the largest value of the second."""
    return float((maps - others).abs().max() / others.abs().max())


def _gray_photographs(context: Context) -> ImageSet:
    """The given photographs in gray, or those that scikit-image ships."""
    files = photograph_files(context)
    count = context.pick(SIZES).photographs
    return load_photographs(files[:count], GRAY) if files else replace(shipped_photographs(GRAY), name=SHIPPED)


def drawn(model: Network, seed: int, name: str) -> Network:
    """The model with weights from N(0, 1 / fan-in) and biases of zero, from streams of their own."""
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            values = torch.randn(parameter.shape, generator=stream(seed, 0, f"{name}.{key}"))
            parameter.copy_(values / parameter[0].numel() ** 0.5 if parameter.ndim > 1 else torch.zeros_like(parameter))
    return model.eval()


def draw(folder: Path) -> dict[str, Figure]:
    """Draw the maps of both models and the edges, and their similarity."""
    facts, scores = read_facts(folder), stored_arrays(folder)["scores"]
    linear = facts["linear"]
    pooling = f"Σ ReLU(w * x), a random 3 × 3 filter, on {facts['data']}; {facts['protocol']}"
    return {
        "linear": _side_by_side(
            folder / "linear.npz",
            linear["rows"],
            "diverging",
            f"Linear model on {linear['dataset']} (test accuracy {linear['accuracy']:.3f}), target {TARGET} for all; "
            f"{linear['points']}; {facts['protocol']}",
        ),
        "sum-pooling": _side_by_side(
            folder / "sum-pooling.npz", facts["rows"], "abs-normalized", f"{pooling}; the first filter"
        ),
        "likeness": bars_figure(
            {
                metric.title: dict(zip(facts["methods"], map(bootstrap_interval, scores[:, place]), strict=True))
                for place, metric in enumerate(MEASURES.values())
            },
            limits=(-0.2, 1.0),
            control=LINEAR,
            caption=f"Similarity to the edge detector's map, both reduced to ABS. {pooling}. Bars: mean over "
            f"{facts['images']} images and {facts['filters']} filters with its 95 % bootstrap interval.",
        ),
    }


def _side_by_side(path: Path, rows: list[str], style: MapStyle, caption: str) -> Figure:
    panels = read_panels(path)
    methods = [name for name in panels if name not in ("pictures", CONTROL)]
    count = range(len(panels["pictures"]))
    return methods_figure(
        displayed(panels["pictures"]),
        [drawable(np.stack([panel(panels[name], style)[row] for name in methods])) for row in count],
        rows,
        titles_of(methods),
        edges=[panel(panels[CONTROL], "abs-normalized")[row] for row in count],
        style=style,
        caption=f"{caption}; maps: {REDUCTIONS[style].title}.",
    )


def judge(folder: Path) -> list[Finding]:
    """Judges the claims on the two models."""
    facts, arrays = read_facts(folder), stored_arrays(folder)
    linear = facts["linear"]
    exact = f"no difference beyond rounding ({ROUNDING:g}, in float64)"
    name = f"linear model on {linear['dataset']}"
    findings = [
        conclude(claim, fact(linear[key] <= ROUNDING, f"{name}: {linear[key]:.1e} of the largest value", exact))
        for claim, key in (
            (CONSTANT, "gradient_spread"),
            (SMOOTH_IDENTITY, "smoothgrad_gap"),
            (PATH_IDENTITY, "integrated_gap"),
        )
    ]
    pooling = f"{facts['filters']} random filters on {facts['data']}"
    edges = ratio(
        f"{pooling}: strength of edges where it is not constant / elsewhere",
        arrays["ratios"],
        np.ones_like(arrays["ratios"]),
        *UNITS,
    )
    product = facts["methods"].index(METHODS["input-x-gradient"].title)
    scores = dict(zip(MEASURES, arrays["scores"].swapaxes(0, 1), strict=True))  # (method, image, filter) by measure
    alike = measure(f"{pooling}: {MEASURES[RANKS].title} with the edge detector", scores[RANKS][product], *UNITS)
    findings += [conclude(ALONG_EDGES, above(edges, 1.0)), conclude(LIKE_EDGES, above(alike, ALIKE))]
    for measured, claim in MORE.items():
        gain = scores[measured][product] - scores[measured][-1]
        what = f"{pooling}: {MEASURES[measured].title} with the edge detector, less that of the linear model"
        findings.append(conclude(claim, above(measure(what, gain, *UNITS), 0.0)))
    return findings

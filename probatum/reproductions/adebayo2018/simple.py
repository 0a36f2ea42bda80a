"""Two models with gradients in closed form: a linear model, and one random convolution with sum pooling."""

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float
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
from probatum.data import DATASETS, UNIT_RANGE, ImageSet, Preprocessing, load_photographs
from probatum.data.shipped import shipped_photographs
from probatum.maps import REDUCTIONS
from probatum.models.analytic import LinearModel, SumPoolingConv
from probatum.randomization import stream
from probatum.report import bootstrap_interval, methods_figure
from probatum.report.bars import bars_figure
from probatum.report.style import MapStyle
from probatum.reproductions.adebayo2018.checks import panel, titles_of, write_panels
from probatum.reproductions.adebayo2018.edges import MEASURES, RANKS, STRUCTURE
from probatum.reproductions.adebayo2018.photographs import SHOWN_FIRST, photograph_files
from probatum.reproductions.adebayo2018.setting import CONTROL, INPUTS, SIZES
from probatum.reproductions.base import Context, store_arrays, write_facts
from probatum.reproductions.digits import load_digits, similarity, trained
from probatum.reproductions.hatching import displayed, drawable
from probatum.reproductions.results import Claims, Results, experiment
from probatum.reproductions.rules import Outcome, above, fact, measure, ratio
from probatum.reproductions.setting import Setting
from probatum.runs.files import read_arrays

Network = TypeVar("Network", bound=nn.Module)
GRAY = Preprocessing((0.0,), (1.0,), resize=256, crop=224)
TARGET = 3  # of the linear model: one class for all images, so that their gradients can be compared
DRAWN = 3
UNITS = ("image", "filter")
ROUNDING = 1e-10
ALIKE = 0.3  # rank correlation with the edge detector
SHIPPED = "the photographs of scikit-image"
LINEAR = "Linear: Input × Gradient"
PRODUCT = METHODS["input-x-gradient"].title
GAPS = {"gradient": "gradient_spread", "smoothgrad": "smoothgrad_gap", "integrated-gradients": "integrated_gap"}
"""Facts that measure the deviation of each method from the closed form."""


def compute(context: Context, folder: Path) -> None:
    """Explain a trained linear model and random sum-pooling networks."""
    linear = _explain_linear(context, folder)
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
        scores.append(similarity(maps, dict.fromkeys(maps, edges), MEASURES))
    # scores (method, measure, image, filter), ratios (image, filter)
    store_arrays(folder, scores=np.stack(scores, axis=-1), ratios=np.stack(ratios, axis=-1))
    write_facts(
        folder,
        linear=linear,
        methods=[METHODS["gradient"].title, PRODUCT, LINEAR],
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


def _explain_linear(context: Context, folder: Path) -> dict[str, object]:
    """Train a linear model, store its maps, and measure their deviation from the closed form."""
    sizes, seed = context.pick(SIZES), context.config.seed
    digits = load_digits(context, sizes.train_images, sizes.test_images, UNIT_RANGE)
    model = drawn(LinearModel(), seed, "linear").to(context.device)
    report = trained(context, model, digits, replace(sizes.training, seed=seed), f"a linear model on {digits.title}")
    data, points = digits.test.take_per_class(sizes.per_class), sizes.points
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
        "dataset": digits.name,
        "accuracy": report.best_accuracy,
        "images": len(data),
        "rows": [f"digit {row}" for row in range(DRAWN)],
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


class Simple(Results):
    """Maps of the linear model and of the random filters."""

    @property
    def setting(self) -> Setting:
        """Nothing replaces these models."""
        return Setting()

    @property
    def linear(self) -> str:
        """The linear model, in words."""
        return f"Linear model on {DATASETS[self.facts['linear']['dataset']].title}"

    @property
    def pooling(self) -> str:
        """The random filters, in words."""
        return f"{self.facts['filters']} random filters on {self.facts['data']}"

    def likeness(self, method: str, measured: str) -> Float[np.ndarray, "image filter"]:
        """Similarity of a method's maps to the edge detector's, by one of `MEASURES`."""
        row, column = self.facts["methods"].index(method), list(MEASURES).index(measured)
        found: Float[np.ndarray, "image filter"] = self.arrays["scores"][row, column]
        return found


def draw(found: Simple) -> dict[str, Figure]:
    """Draw the maps of both models and the edges, and their similarity."""
    facts, scores = found.facts, found.arrays["scores"]
    linear = facts["linear"]
    pooling = f"Σ ReLU(w * x), a random 3 × 3 filter, on {facts['data']}; {facts['protocol']}"
    return {
        "linear": _side_by_side(
            found.folder / "linear.npz",
            linear["rows"],
            "diverging",
            f"{found.linear} (test accuracy {linear['accuracy']:.3f}), target {TARGET} for all; "
            f"{linear['points']}; {facts['protocol']}",
        ),
        "sum-pooling": _side_by_side(
            found.folder / "sum-pooling.npz", facts["rows"], "abs-normalized", f"{pooling}; the first filter"
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
    panels = read_arrays(path)
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


claims = Claims(Simple, "analysis of simple models, one convolution with sum pooling")


@claims.each(
    {
        "gradient": "The gradient of a linear model is its coefficients, whatever the input",
        "smoothgrad": "On a linear model SmoothGrad is Gradient",
        "integrated-gradients": "On a linear model Integrated Gradients from zero is Input × Gradient",
    },
    "linear-{key}",
    "{title}.",
    "exact, by algebra",
    where="analysis of simple models, linear model",
    role="self-test",
)
def _identity(method: str, found: Simple) -> Outcome:
    linear = found.facts["linear"]
    gap = linear[GAPS[method]]
    ours = f"{found.linear}: both differ by at most {gap:.1e} of the largest value"
    return fact(gap <= ROUNDING, ours, f"no difference beyond rounding ({ROUNDING:g}, in float64)")


@claims(
    "pooling-gradient",
    "The gradient of a random convolution with sum pooling is constant except at the edges of the image.",
    "by algebra, and by eye",
)
def _along_edges(found: Simple) -> Outcome:
    ratios = found.arrays["ratios"]
    what = f"{found.pooling}: strength of edges where the gradient is not constant / elsewhere"
    return above(ratio(what, ratios, np.ones_like(ratios), *UNITS), 1.0)


@claims(
    "pooling-likeness",
    "Input × Gradient of a random convolution with sum pooling looks like an edge detector.",
    "by eye",
)
def _like_edges(found: Simple) -> Outcome:
    what = f"{found.pooling}: {MEASURES[RANKS].title} with the edge detector"
    return above(measure(what, found.likeness(PRODUCT, RANKS), *UNITS), ALIKE)


@claims.each(
    {"rank": "ABS rank correlation", "ssim": "SSIM of ABS maps"},
    "pooling-likeness-{key}",
    "By {title}, Input × Gradient of such a network looks more like edges than that of a random linear model.",
    "by eye",
)
def _more(key: str, found: Simple) -> Outcome:
    measured = {"rank": RANKS, "ssim": STRUCTURE}[key]
    gain = found.likeness(PRODUCT, measured) - found.likeness(LINEAR, measured)
    what = f"{found.pooling}: {MEASURES[measured].title} with the edge detector, less that of the linear model"
    return above(measure(what, gain, *UNITS), 0.0)


SIMPLE = experiment(
    "simple-models",
    "A linear model, and one random convolution with sum pooling",
    compute,
    draw,
    claims,
    inputs=INPUTS,
)

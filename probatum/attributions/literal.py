"""Every method once more, as its paper writes it: one image, one sample, one step at a time.

These functions are slow and plain. They are there to be read, and to be compared with: the tests hold every fast method
to them, in float64, and each method's page shows them. Of the engine they use the random numbers, without which a
method with noise has no answer to compare with, and the choice of a layer for Grad-CAM.

    literal(IntegratedGradients(steps=50), Problem(model, target=3, image=image), image)
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from probatum.attributions.attention_rollout import AttentionRollout
from probatum.attributions.base import Method
from probatum.attributions.baselines import Baselines, as_baseline, as_distribution
from probatum.attributions.class_activation import ClassActivationMap
from probatum.attributions.conservative_propagation import ConservativePropagation
from probatum.attributions.deconvnet import DeconvNet
from probatum.attributions.deeplift import DeepLIFT
from probatum.attributions.deeplift_shap import DeepLiftSHAP
from probatum.attributions.edge_detector import EdgeDetector
from probatum.attributions.grad_cam import GradCAM
from probatum.attributions.grad_cam_plus_plus import GradCAMPlusPlus
from probatum.attributions.gradient import Gradient
from probatum.attributions.gradient_shap import GradientSHAP
from probatum.attributions.guided_backprop import GuidedBackprop
from probatum.attributions.guided_grad_cam import GuidedGradCAM
from probatum.attributions.hires_cam import HiResCAM
from probatum.attributions.input_x_gradient import InputXGradient
from probatum.attributions.integrated_gradients import IntegratedGradients
from probatum.attributions.layer_cam import LayerCAM
from probatum.attributions.lrp import LRP
from probatum.attributions.occlusion import Occlusion
from probatum.attributions.smoothgrad import SmoothGrad
from probatum.engine import (
    AlphaBeta,
    Box,
    Epsilon,
    Flat,
    Gamma,
    GivenBaselines,
    LayerRule,
    NoisyBaselines,
    RelevanceRule,
    WSquare,
    find_layer,
    image_keys,
    prepare,
    token_layouts,
)
from probatum.engine.batch_norm import lay_out_gradients
from probatum.engine.noise import splitmix64, standard_normal, uniform


@dataclass(frozen=True, eq=False)
class Problem:
    """One image, its model and its target.

    Args:
        model: in eval mode; (batch, ...) -> (batch, classes) logits.
        target: the class.
        image: (...), without noise; baselines and random numbers depend on it.
        seed: of the random numbers.
        sample: the number of the noisy image under SmoothGrad.
    """

    model: nn.Module
    target: int
    image: Tensor
    seed: int = 0
    sample: int = 0

    def logit(self, x: Tensor) -> Tensor:
        """S_c(x)."""
        logit: Tensor = self.model(x.clone()[None])[0, self.target]
        return logit

    def gradient(self, x: Tensor) -> Tensor:
        """∂ S_c(x) / ∂ x."""
        x = x.detach().clone().requires_grad_()
        return derivative(self.logit(x), x)

    def key(self, purpose: int = 0) -> Tensor:
        """The stream of random numbers: 0 is SmoothGrad's; the baselines, choices, positions and noise have others."""
        key = image_keys(self.image[None], self.seed)
        return splitmix64(key + purpose) if purpose else key

    def normal(self, number: int, purpose: int = 0) -> Tensor:
        """ε ~ N(0, 1), of the shape of the image."""
        number_ = torch.tensor([number])
        return standard_normal(self.key(purpose), number_, self.image.shape, self.image.dtype)[0]

    def uniform(self, number: int, purpose: int = 0) -> float:
        """One number of U(0, 1)."""
        return float(uniform(self.key(purpose), torch.tensor([number]), torch.float64))

    @property
    def range(self) -> float:
        """The difference of the largest and the smallest value of the image."""
        return float(self.image.max() - self.image.min())


LARGEST_MATRIX = 1 << 27  # numbers of a layer as LRP writes it out: 1 GiB in float64, of which a rule takes several


def derivative(logit: Tensor, x: Tensor) -> Tensor:
    """∂ logit / ∂ x, with a mend for batch norms of one image, whose gradient PyTorch gets wrong on a CPU."""
    lay_out_gradients(logit)
    return torch.autograd.grad(logit, x)[0]


@singledispatch
def literal(method: Method, problem: Problem, x: Tensor) -> Tensor:
    """The map of a method at x, which is the image or a noisy version of it: of its shape, (1, ...) for Grad-CAM."""
    raise NotImplementedError(f"{type(method).__name__} has no literal form")


@literal.register(Gradient)
def gradient(method: Gradient, problem: Problem, x: Tensor) -> Tensor:
    """∂ S_c / ∂ x."""
    return problem.gradient(x)


@literal.register(InputXGradient)
def input_x_gradient(method: InputXGradient, problem: Problem, x: Tensor) -> Tensor:
    """The product x ⊙ ∂ S_c / ∂ x."""
    return x * problem.gradient(x)


class _GuidedReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, arriving: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        passed: Tensor = (x > 0) * (arriving > 0) * arriving
        return passed


@literal.register(GuidedBackprop)
def guided_backprop(method: GuidedBackprop, problem: Problem, x: Tensor) -> Tensor:
    """The gradient, where each ReLU passes 1[x > 0] · 1[R_out > 0] · R_out."""
    with _Replacing(relu=_GuidedReLU.apply):
        return problem.gradient(x)


class _DeconvolutionReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, arriving: Tensor) -> Tensor:
        passed: Tensor = (arriving > 0) * arriving
        return passed


@literal.register(DeconvNet)
def deconvnet(method: DeconvNet, problem: Problem, x: Tensor) -> Tensor:
    """The gradient, where each ReLU passes 1[R_out > 0] · R_out."""
    with _Replacing(relu=_DeconvolutionReLU.apply):
        return problem.gradient(x)


class _HoldingConstants(TorchFunctionMode):
    """Calls of layer norm, softmax, attention and activations, with their norms, weights and slopes held constant."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = getattr(func, "__name__", "").strip("_"), kwargs or {}
        if name == "layer_norm":
            return _with_deviation_held(*args, **kwargs)
        if name == "scaled_dot_product_attention":
            query, key, value = args
            weights = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)
            return weights.detach() @ value
        if name == "softmax":
            return func(*args, **kwargs).detach()
        if name in ("gelu", "silu", "tanh"):
            x = args[0]
            slope = func(x, *args[1:], **kwargs) / x
            return x * slope.detach()
        return func(*args, **kwargs)


def _with_deviation_held(x: Tensor, shape: Any, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    axes = tuple(range(-len(shape), 0))
    deviation = (x.var(axes, correction=0, keepdim=True) + eps).sqrt()
    return (x - x.mean(axes, keepdim=True)) / deviation.detach() * weight + bias


@literal.register(ConservativePropagation)
def conservative_propagation(method: ConservativePropagation, problem: Problem, x: Tensor) -> Tensor:
    """The product x ⊙ ∂ S_c / ∂ x with constants held, for networks of the calls above and linear ones."""
    with _HoldingConstants():
        signal = problem.gradient(x)
    return x * signal if method.multiply_by_inputs else signal


@literal.register(GradCAM)
def grad_cam(method: GradCAM, problem: Problem, x: Tensor) -> Tensor:
    """The sum of the feature maps, each times its mean gradient; rectified, and enlarged to the image."""
    features, slopes = _features(method, problem, x)
    cam = torch.full_like(features[0], method.offset)
    for feature, slope in zip(features, slopes, strict=True):
        cam += slope.mean() * feature
    return _enlarged(cam, method, x)


def _features(method: ClassActivationMap, problem: Problem, x: Tensor) -> tuple[Tensor, Tensor]:
    """The feature maps A_k of the layer and ∂ S_c / ∂ A_k: (channel, height, width) each."""
    maps: list[Tensor] = []
    path = method.path(prepare(problem.model), x[None])
    hook = find_layer(problem.model, path).register_forward_hook(lambda layer, inputs, output: _kept(output, maps))
    logit = problem.logit(x.clone().requires_grad_())
    hook.remove()
    return maps[0][0].detach(), derivative(logit, maps[0])[0]


def _enlarged(cam: Tensor, method: ClassActivationMap, x: Tensor) -> Tensor:
    cam = cam.relu() if method.relu else cam
    return F.interpolate(cam[None, None], size=x.shape[1:], mode="bilinear", align_corners=False)[0]


@literal.register(GradCAMPlusPlus)
def grad_cam_plus_plus(method: GradCAMPlusPlus, problem: Problem, x: Tensor) -> Tensor:
    """The sum of the feature maps, each times Σ_ij α_ij ReLU(g_ij), α = g² / (2 g² + Σ A · g³) where g is not zero."""
    features, slopes = _features(method, problem, x)
    cam = torch.zeros_like(features[0])
    for feature, g in zip(features, slopes, strict=True):
        alpha = torch.where(g == 0, 0.0, g**2 / (2 * g**2 + feature.sum() * g**3))
        cam += (alpha * g.relu()).sum() * feature
    return _enlarged(cam, method, x)


@literal.register(HiResCAM)
def hires_cam(method: HiResCAM, problem: Problem, x: Tensor) -> Tensor:
    """The sum over the channels of features times gradients."""
    cam = sum(feature * slope for feature, slope in zip(*_features(method, problem, x), strict=True))
    return _enlarged(torch.as_tensor(cam), method, x)


@literal.register(LayerCAM)
def layer_cam(method: LayerCAM, problem: Problem, x: Tensor) -> Tensor:
    """The sum over the channels of features times positive gradients."""
    cam = sum(feature * slope.relu() for feature, slope in zip(*_features(method, problem, x), strict=True))
    return _enlarged(torch.as_tensor(cam), method, x)


@literal.register(GuidedGradCAM)
def guided_grad_cam(method: GuidedGradCAM, problem: Problem, x: Tensor) -> Tensor:
    """Guided Backprop ⊙ Grad-CAM."""
    return literal(GuidedBackprop(), problem, x) * literal(GradCAM(method.layer, offset=method.offset), problem, x)


@literal.register(IntegratedGradients)
def integrated_gradients(method: IntegratedGradients, problem: Problem, x: Tensor) -> Tensor:
    """(x − x′) ⊙ Σ_k w_k ∂ S_c(x′ + α_k (x − x′)) / ∂ x; under a tolerance by ever larger rules, each from scratch."""
    n = method.steps
    if method.tolerance is not None:
        return _until_complete(method, problem, x)
    if method.rule == "midpoint":
        path = [((k + 0.5) / n, 1 / n) for k in range(n)]
    elif method.rule == "right":
        path = [((k + 1) / n, 1 / n) for k in range(n)]
    elif method.rule == "trapezoid":
        path = [(k / (n - 1), (0.5 if k in (0, n - 1) else 1) / (n - 1)) for k in range(n)]
    else:
        path = [((node + 1) / 2, weight / 2) for node, weight in zip(*np.polynomial.legendre.leggauss(n), strict=True)]
    return _on_path(method, problem, x, path)


def _until_complete(method: IntegratedGradients, problem: Problem, x: Tensor) -> Tensor:
    assert method.tolerance is not None
    start = as_baseline(method.baseline)(problem.image[None])[0]
    change = problem.logit(x) - problem.logit(start)
    points = 7 if method.steps >= 7 else 3 if method.steps >= 3 else 1
    while True:
        maps = _on_path(method, problem, x, _fejer(points))
        whole = maps if method.multiply_by_inputs else (x - start) * maps
        if (whole.sum() - change).abs() <= method.tolerance * change.abs() or 2 * points + 1 > method.steps:
            return maps
        points = 2 * points + 1


def _fejer(n: int) -> list[tuple[float, float]]:
    """Fejér's second rule: the polynomial of degree n − 1 through the values at cos(i π / (n + 1)), integrated."""
    nodes = np.cos(np.arange(1, n + 1) * np.pi / (n + 1))
    integrals = [2 / (1 - k * k) if k % 2 == 0 else 0.0 for k in range(n)]  # of Chebyshev's polynomials over [−1, 1]
    weights = np.linalg.solve(np.polynomial.chebyshev.chebvander(nodes, n - 1).T, integrals)
    return [((1 - node) / 2, weight / 2) for node, weight in zip(nodes, weights, strict=True)]


def _on_path(method: IntegratedGradients, problem: Problem, x: Tensor, path: list[tuple[float, float]]) -> Tensor:
    start = as_baseline(method.baseline)(problem.image[None])[0]
    total = torch.zeros_like(x)
    for alpha, weight in path:
        total += weight * problem.gradient(start + alpha * (x - start))
    return (x - start) * total if method.multiply_by_inputs else total


@literal.register(SmoothGrad)
def smoothgrad(method: SmoothGrad, problem: Problem, x: Tensor) -> Tensor:
    """A statistic of m(x + σ ε_k); the joint estimator takes the path of noisy image k at α_k = (k + u_k) / n alone.

    Under a ceiling no more samples are taken than it needs; of the joint estimator that has no literal form.
    """
    sigma = method.noise_fraction * problem.range if method.noise_std is None else method.noise_std
    n, maps = method.samples, []
    for k in range(n):
        noisy = x + sigma * problem.normal(k)
        if method.estimator == "joint":
            assert isinstance(method.method, IntegratedGradients)
            maps.append(_on_path(method.method, problem, noisy, [((k + problem.uniform(k)) / n, 1.0)]))
        else:
            maps.append(literal(method.method, replace(problem, sample=k), noisy))
        if method.ceiling is not None and _agrees(maps, method.ceiling):
            break
    mean = torch.stack(maps).mean(0)
    if method.statistic == "mean":
        return mean
    if method.statistic == "square":
        return sum((m**2 for m in maps), torch.zeros_like(mean)) / n
    return sum(((m - mean) ** 2 for m in maps), torch.zeros_like(mean)) / n


def _agrees(maps: list[Tensor], ceiling: float) -> bool:
    """Whether the means of the even and the odd samples agree so well, where it is time to look."""
    look = 0
    while look < len(maps):
        look += max(10, 2 * (look // 8))
    if len(maps) != look:
        return False
    even, odd = (torch.stack(half).mean(0).abs().flatten() for half in (maps[::2], maps[1::2]))
    r = np.corrcoef(rankdata(even), rankdata(odd))[0, 1]
    return bool(2 * r / (1 + r) >= ceiling)


class _RescaledReLU(torch.autograd.Function):
    """A ReLU of two rows, the image's and the baseline's."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        return rows.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, arriving: Tensor) -> Tensor:
        (rows,) = ctx.saved_tensors
        x, start = rows
        quotient = (x.clamp(min=0) - start.clamp(min=0)) / (x - start)
        passed: Tensor = torch.where(x == start, (x > 0).to(x.dtype), quotient) * arriving
        return passed


class _RescaledMaxPool(torch.autograd.Function):
    """A max-pool of two rows; its difference goes to where the higher of the two maxima is."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, options: dict[str, Any]) -> Tensor:
        pooled: Tensor
        pooled, where = F.max_pool2d(rows, **options | {"return_indices": True})
        ctx.save_for_backward(rows, pooled, where)
        return pooled

    @staticmethod
    def backward(ctx: Any, arriving: Tensor) -> tuple[Tensor, None]:
        rows, pooled, where = ctx.saved_tensors
        rise = pooled[0] - pooled[1]
        place = torch.where(rise >= 0, where[0], where[1]).flatten(1)  # (channel, windows)
        way = (rows[0] - rows[1]).flatten(1).gather(1, place)
        multiplier = torch.where(way == 0, 1.0, rise.flatten(1) / way)
        passed = torch.zeros_like(rows).flatten(2)
        for signal, row in zip(arriving, passed, strict=True):
            row.scatter_add_(1, place, multiplier * signal.flatten(1))
        return passed.reshape(rows.shape), None


@literal.register(DeepLIFT)
def deeplift(method: DeepLIFT, problem: Problem, x: Tensor) -> Tensor:
    """(x − x′) ⊙ m, where each ReLU and each max-pool has Δout / Δin for a gradient; networks of these alone."""
    return _from_baseline(method, problem, x, as_baseline(method.baseline)(problem.image[None])[0])


def _from_baseline(method: DeepLIFT | DeepLiftSHAP, problem: Problem, x: Tensor, start: Tensor) -> Tensor:
    rows = torch.stack([x, start]).detach().requires_grad_()
    with _Replacing(relu=_RescaledReLU.apply, max_pool2d=_RescaledMaxPool.apply):
        logit = problem.model(rows.clone())[0, problem.target]
        m = derivative(logit, rows)[0]
    return (x - start) * m if method.multiply_by_inputs else m


@literal.register(DeepLiftSHAP)
def deeplift_shap(method: DeepLiftSHAP, problem: Problem, x: Tensor) -> Tensor:
    """The mean of DeepLIFT's maps over the baselines."""
    starts = _all_baselines(method.baselines, problem)
    return torch.stack([_from_baseline(method, problem, x, start) for start in starts]).mean(0)


def _all_baselines(baselines: Baselines, problem: Problem) -> list[Tensor]:
    if not isinstance(baselines, NoisyBaselines):
        given = as_distribution(baselines, problem.image[None])
        assert isinstance(given, GivenBaselines)
        return list(given.tensor[0])
    center = baselines.center(problem.image[None])[0]
    sigma = baselines.fraction * problem.range
    return [center + sigma * problem.normal(k, purpose=1) for k in range(baselines.count)]


@literal.register(GradientSHAP)
def gradient_shap(method: GradientSHAP, problem: Problem, x: Tensor) -> Tensor:
    """The mean of (x̃_k − x′_k) ⊙ ∂ S_c(x′_k + α_k (x̃_k − x′_k)) / ∂ x over random baselines, positions and noise."""
    starts = _all_baselines(method.baselines, problem)
    total = torch.zeros_like(x)
    for k in range(problem.sample * method.samples, (problem.sample + 1) * method.samples):
        start = starts[int(problem.uniform(k, purpose=2) * len(starts))]
        alpha = problem.uniform(k, purpose=3)
        end = x + method.noise_fraction * problem.range * problem.normal(k, purpose=4)
        slope = problem.gradient(start + alpha * (end - start))
        total += (end - start) * slope if method.multiply_by_inputs else slope
    return total / method.samples


@literal.register(LRP)
def lrp(method: LRP, problem: Problem, x: Tensor) -> Tensor:
    """S_c(x) handed back through networks of convolutions, linear layers, ReLUs, max-pools, means and residual sums."""
    folded = prepare(problem.model, fold_batch_norm=True, example=x[None]).model
    x = x.detach().clone().requires_grad_()
    with _Relevance(method.rule):
        logit = folded(x.clone()[None])[0, problem.target]
    return torch.autograd.grad(logit, x, logit.detach())[0]


class _Relevance(TorchFunctionMode):
    """Gives each call a backward pass that shares relevance out."""

    def __init__(self, rule: RelevanceRule) -> None:
        super().__init__()
        self._rule, self._first = rule, rule.first

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = getattr(func, "__name__", "").strip("_"), kwargs or {}
        if name in ("conv2d", "linear"):
            rule = self._first or (self._rule.convolution if name == "conv2d" else self._rule.dense)
            self._first = None
            return _SharedOut.apply(args[0], lambda a: func(a, *args[1:], **kwargs), rule)
        if name == "mean":
            return _SharedOut.apply(args[0], lambda a: func(a, *args[1:], **kwargs), Epsilon())
        if name == "add" and all(isinstance(each, Tensor) and each.requires_grad for each in args):
            return _SharedOut.apply(torch.stack(args), lambda pair: pair.sum(0), Epsilon())
        if name in ("relu", "sub"):
            return _PassedOn.apply(args[0], lambda a: func(a, *args[1:], **kwargs))
        return func(*args, **kwargs)


class _PassedOn(torch.autograd.Function):
    """A function of one number: all relevance."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        return function(a.clone())

    @staticmethod
    def backward(ctx: Any, relevance: Tensor) -> tuple[Tensor, None]:
        return relevance, None


class _SharedOut(torch.autograd.Function):
    """A layer z_j = Σ_i w_ji a_i + b_j: the matrix w is its Jacobian."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, function: Callable[[Tensor], Tensor], rule: LayerRule) -> Tensor:
        ctx.a, ctx.function, ctx.rule = a.clone(), function, rule
        z = function(a)
        if z.numel() * a.numel() > LARGEST_MATRIX:
            raise NotImplementedError(
                f"a layer of {a.numel():,} inputs and {z.numel():,} outputs is too large a matrix"
            )
        return z

    @staticmethod
    def backward(ctx: Any, relevance: Tensor) -> tuple[Tensor, None, None]:
        a, rule = ctx.a, ctx.rule
        b = ctx.function(torch.zeros_like(a)).flatten()
        w = torch.autograd.functional.jacobian(ctx.function, a).reshape(len(b), a.numel())  # type: ignore[no-untyped-call]
        return _shared_out(rule, a.flatten(), w, b, relevance.flatten()).reshape(a.shape), None, None


def _shared_out(rule: LayerRule, a: Tensor, w: Tensor, b: Tensor, relevance: Tensor) -> Tensor:
    """The relevance of a, by the matrix c of its products with w, (output, input)."""
    c = w * a
    if isinstance(rule, Epsilon):
        return _by(c, b, relevance, rule.epsilon)
    if isinstance(rule, AlphaBeta):
        positive = _by(c.clamp(min=0), b.clamp(min=0), relevance)
        return rule.alpha * positive - rule.beta * _by(c.clamp(max=0), b.clamp(max=0), relevance)
    if isinstance(rule, Gamma):
        z, gamma = c.sum(1) + b, rule.gamma
        above = _by(c + gamma * c.clamp(min=0), b + gamma * b.clamp(min=0), relevance * (z > 0))
        return above + _by(c + gamma * c.clamp(max=0), b + gamma * b.clamp(max=0), relevance * (z < 0))
    if isinstance(rule, Box):
        low = a.min() if rule.low is None else torch.as_tensor(rule.low)
        high = a.max() if rule.high is None else torch.as_tensor(rule.high)
        return _by(c - low * w.clamp(min=0) - high * w.clamp(max=0), torch.zeros_like(b), relevance)
    if isinstance(rule, WSquare):
        return _by(w**2, b**2, relevance)
    assert isinstance(rule, Flat)
    return _by((w != 0).to(w.dtype), torch.zeros_like(b), relevance)


def _by(c: Tensor, b: Tensor, relevance: Tensor, epsilon: float = 1e-6) -> Tensor:
    """R_i = Σ_j c_ji / (z_j + ε sign(z_j)) R_j."""
    z = c.sum(1) + b
    return (c / (z + epsilon * torch.where(z < 0, -1.0, 1.0))[:, None] * relevance[:, None]).sum(0)


class _RecordingAttention(TorchFunctionMode):
    """Keeps the weights of each attention."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is F.scaled_dot_product_attention:
            query, key = args[:2]
            self.weights.append((query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)[0])
        elif getattr(func, "__name__", "") == "softmax":
            self.weights.append(result[0])
        return result


@literal.register(AttentionRollout)
def attention_rollout(method: AttentionRollout, problem: Problem, x: Tensor) -> Tensor:
    """The class token's row of Ã_L ⋯ Ã_1, Ã = ½ mean over heads + ½ I; without one, the mean of all rows."""
    recording = _RecordingAttention()
    with recording:
        problem.logit(x)
    (layout,) = token_layouts(prepare(problem.model), x[None])
    identity = torch.eye(layout.count, dtype=x.dtype)
    rollout = identity
    for heads in recording.weights:
        rollout = (heads.mean(0) / 2 + identity / 2) @ rollout
    row = rollout[0] if layout.prefix else rollout.mean(0)
    places = row[layout.prefix :].reshape(1, 1, *layout.grid)
    return F.interpolate(places, size=x.shape[1:], mode="bilinear", align_corners=False)[0]


@literal.register(Occlusion)
def occlusion(method: Occlusion, problem: Problem, x: Tensor) -> Tensor:
    """At each value the mean fall of the logit over the windows that hide it."""
    window, stride = method.sizes(x.shape)
    start = as_baseline(method.baseline)(problem.image[None])[0]
    total, windows = torch.zeros_like(x), torch.zeros_like(x)
    axes = zip(x.shape, window, stride, strict=True)
    for corner in itertools.product(*(range(0, length - size + step, step) for length, size, step in axes)):
        place = tuple(slice(first, first + size) for first, size in zip(corner, window, strict=True))
        hidden = x.clone()
        hidden[place] = start[place]
        total[place] += problem.logit(x) - problem.logit(hidden)
        windows[place] += 1
    return total / windows


@literal.register(EdgeDetector)
def edge_detector(method: EdgeDetector, problem: Problem, x: Tensor) -> Tensor:
    """√((G_h² + G_v²) / 2), each G a difference of neighbors' weighted sums."""
    p = F.pad(x[None], (1, 1, 1, 1), mode="replicate")[0]
    height, width = x.shape[1:]

    def at(down: int, right: int) -> Tensor:
        return p[:, 1 + down : 1 + down + height, 1 + right : 1 + right + width]

    across = (at(-1, 1) + 2 * at(0, 1) + at(1, 1) - at(-1, -1) - 2 * at(0, -1) - at(1, -1)) / 4
    along = (at(1, -1) + 2 * at(1, 0) + at(1, 1) - at(-1, -1) - 2 * at(-1, 0) - at(-1, 1)) / 4
    return ((across**2 + along**2) / 2).sqrt()


def _kept(output: Tensor, maps: list[Tensor]) -> Tensor:
    """Keeps a layer's output and gives the model a copy, which it may overwrite."""
    maps.append(output)
    return output.clone()


class _Replacing(TorchFunctionMode):
    """Calls other functions in the place of ReLUs and max-pools, whatever module or function makes the call."""

    def __init__(self, **functions: Callable[..., Any]) -> None:
        super().__init__()
        self._functions = functions

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = getattr(func, "__name__", "").strip("_"), kwargs or {}
        if name not in self._functions:
            return func(*args, **kwargs)
        if name == "relu":
            return self._functions[name](args[0])
        return self._functions[name](args[0], {"kernel_size": args[1], **kwargs})

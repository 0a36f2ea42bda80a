"""The paper's seven methods and its cascade, and storing, reading and drawing of results."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probatum.attributions import GuidedBackprop, InputXGradient, IntegratedGradients, Method, SmoothGrad
from probatum.engine import PLAIN, Evaluation, PreparedModel, Request, relu_coverage
from probatum.experiments.levels import store_levels
from probatum.experiments.run_folder import write_results
from probatum.maps import get_reduction
from probatum.metrics import get_metric
from probatum.models import PAPER_MNIST, QUICK_DIGITS, TrainingConfig
from probatum.randomization import preset
from probatum.reproductions.base import Context
from probatum.reproductions.hatching import displayed, drawable
from probatum.reproductions.results import Results
from probatum.reproductions.rules import live_scores
from probatum.reproductions.subjects import Subject, cascade
from probatum.runs.files import read_arrays, write_arrays, write_json
from probatum.runs.fingerprint import weights_hash
from probatum.runs.plain_values import describe

TITLES = {
    "gradient": "Gradient",
    "smoothgrad": "SmoothGrad",
    "input-x-gradient": "Gradient ⊙ Input",
    "input-x-gradient-sg": "Gradient ⊙ Input-SG",
    "guided-backprop": "Guided Back-propagation",
    "integrated-gradients": "Integrated Gradients",
    "integrated-gradients-sg": "Integrated Gradients-SG",
}
"""The seven methods of section 3, in its order and under its names."""

NOISE_STD = 0.15  # in units of the network's input, as the noise tunnel of Captum takes its `stdevs`
SSIM, RANK = "ssim-wienecke", "spearman-abs"
SIMILAR = 0.5  # the mean correlation from which on two sets of maps are called similar


@dataclass(frozen=True)
class Effort:
    """Sizes of one experiment.

    Args:
        images: number of images.
        samples: noise samples of SmoothGrad and of Gradient ⊙ Input-SG.
        steps: path steps of Integrated Gradients.
        nested: noise samples of Integrated Gradients-SG, each with `steps` steps.
        estimator: of Integrated Gradients-SG: "joint" draws noise and a point of the path together, one call of the
            model a sample; see `SmoothGrad`.
    """

    images: int
    samples: int = 50
    steps: int = 50
    nested: int = 50
    estimator: Literal["nested", "joint"] = "nested"


@dataclass(frozen=True)
class WieneckeSizes:
    """Sizes of all experiments.

    Args:
        train_images: of the basic CNN; None is all of MNIST.
        test_images: on which its accuracy is measured.
        training: its hyperparameters.
        gradient_digits: behind the numbers of figure 1, of which five are shown.
        digits: figure 3; one digit is shown.
        overlays: figure 4.
        photograph: figure 6; the first is shown.
        curves: figure 8.
        guided: photographs for the first failure.
        nested: Integrated Gradients-SG for the second failure.
        budget: memory budget of the second failure.
    """

    train_images: int | None
    test_images: int
    training: TrainingConfig
    gradient_digits: int
    digits: Effort
    overlays: Effort
    photograph: Effort
    curves: Effort
    guided: int
    nested: Effort
    budget: str


SIZES = {
    "paper": WieneckeSizes(
        train_images=None,
        test_images=10_000,
        training=PAPER_MNIST,
        gradient_digits=100,
        digits=Effort(50),
        overlays=Effort(5),
        photograph=Effort(5),
        curves=Effort(20),
        guided=20,
        nested=Effort(4),
        budget="512 MiB",
    ),
    "cpu": WieneckeSizes(
        train_images=None,
        test_images=10_000,
        training=PAPER_MNIST,
        gradient_digits=100,
        digits=Effort(50, estimator="joint"),
        overlays=Effort(8, samples=10),
        photograph=Effort(5, samples=10, steps=10, nested=10, estimator="joint"),
        curves=Effort(12, samples=10, steps=10, nested=10, estimator="joint"),
        guided=10,
        nested=Effort(1, steps=25, nested=25),
        budget="256 MiB",
    ),
    "quick": WieneckeSizes(
        train_images=10_000,
        test_images=2_000,
        training=QUICK_DIGITS,
        gradient_digits=50,
        digits=Effort(20, samples=25, steps=25, nested=5),
        overlays=Effort(4, samples=5),
        photograph=Effort(1, samples=10, steps=8, nested=3),
        curves=Effort(8, samples=5, steps=5, nested=2),
        guided=5,
        nested=Effort(1, steps=50, nested=25),
        budget="256 MiB",
    ),
}


@dataclass(frozen=True)
class AbsoluteGradient(Method):
    """The size of the gradient, |∂ S_c / ∂ x|: what `Saliency` of Captum, the paper's Gradient, returns by default.

    Under SmoothGrad the sizes are averaged, so that noise no longer cancels. The lost sign accounts for the low SSIM of
    the paper's Gradient, below 0.4 where Adebayo et al. (2018) have 0.7: with SqueezeNet 1.0 on 8 photographs it
    ends at 0.37 without and at 0.75 with the sign.
    """

    title = "Gradient"

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """States one point, the image itself."""
        return Request(self.value, frozenset({PLAIN}))

    @staticmethod
    def value(at: Evaluation) -> Tensor:
        """|∂S_c/∂x|, the absolute gradient."""
        return at.gradient.abs()


def methods(effort: Effort) -> dict[str, Method]:
    """The seven methods with Captum's defaults, which the paper kept but for those of the noise."""
    path = IntegratedGradients(effort.steps, rule="gauss-legendre")

    def smooth(method: Method, samples: int, estimator: Literal["nested", "joint"] = "nested") -> Method:
        return SmoothGrad(method, samples, noise_std=NOISE_STD, estimator=estimator)

    made: tuple[Method, ...] = (
        AbsoluteGradient(),
        smooth(AbsoluteGradient(), effort.samples),
        InputXGradient(),
        smooth(InputXGradient(), effort.samples),
        GuidedBackprop(),
        path,
        smooth(path, effort.nested, effort.estimator),
    )
    return dict(zip(TITLES, made, strict=True))


def run_cascade(
    context: Context,
    folder: Path,
    subject: Subject,
    chosen: Mapping[str, Method],
    *,
    keep: int,
    facts: Mapping[str, Any],
) -> None:
    """Runs the sanity check under the paper's protocol and stores it as a run folder.

    Args:
        context: what may be used.
        folder: receives the run.
        subject: the network with the images, explained for their predicted classes.
        chosen: methods by name.
        keep: of how many images the maps are stored.
        facts: what else the figures and rules need.
    """
    confidences, targets = subject.probabilities(context).max(1)
    metrics = {name: get_metric(name) for name in (SSIM, RANK)}
    result = cascade(context, subject, chosen, metrics, preset("wienecke"), targets=targets, keep_maps=keep)
    write_results(folder, result)
    store_levels(folder / "levels.csv", subject.used, result)
    write_arrays(folder / "images.npz", {"pictures": subject.data.pictures()[:keep].numpy()})
    about = {
        "preset": context.config.preset,
        "seed": context.config.seed,
        "model": subject.name,
        "model_title": subject.title,
        "weights_sha256": weights_hash(subject.model),
        "relu_calls": relu_coverage(subject.model, subject.data.images[:1].to(context.device)).guided,
        "data": subject.data.name,
        "methods": {name: describe(method) for name, method in chosen.items()},
        "classes": [subject.class_name(target) for target in targets.tolist()],
        "confidences": confidences.tolist(),
        "stages": {stage.name: list(stage.modules) for stage in subject.plan(context).stages},
        "kept_images": list(result.maps),
    }
    write_json(folder / "config.json", about | dict(facts))


class Cascade(Results):
    """What `run_cascade` stored."""

    @property
    def pictures(self) -> list[np.ndarray]:
        """The kept images as a figure takes them, (height, width) or (height, width, 3) in [0, 1]."""
        return displayed(read_arrays(self.folder / "images.npz")["pictures"])

    @property
    def columns(self) -> list[str]:
        """The titles of the stages, the trained network first."""
        return ["normal", *self.run.result.stages]

    def maps(self, method: str, reduction: str = "abs-normalized") -> Float[np.ndarray, "image stage height width"]:
        """The kept maps of a method, the trained network's first, reduced as they are shown: in [0, 1]."""
        reduce = get_reduction(reduction)
        held = [reduce(torch.from_numpy(maps[method]))[:, 0].numpy() for maps in self.run.result.maps.values()]
        return np.stack(held)

    def panels(self, method: str) -> list[list[np.ndarray | None]]:
        """The kept maps of a method as a figure takes them."""
        return [drawable(row) for row in self.maps(method)]

    def explained(self, index: int) -> str:
        """The predicted class of an image, with its confidence."""
        return f"{self.facts['classes'][index]} ({self.facts['confidences'][index]:.2f})"

    def scores(self, method: str, metric: str) -> Float[np.ndarray, "stage image"]:
        """The live scores of a method, NaN where a map is constant."""
        return live_scores(self.run.result, method, metric)[..., 0]

    def likeness(self, one: str, other: str) -> Float[np.ndarray, "stage image"]:
        """Correlation of the kept maps of two methods under the same network, as they are shown.

        Pearson's, for the paper compares what the eye sees: ranks would weigh the faint background as much as the
        digit. NaN where a map is constant.
        """
        metric = get_metric("pearson")
        scores = []
        for a, b in zip(self.maps(one), self.maps(other), strict=True):
            both = a.any(axis=(1, 2)) & b.any(axis=(1, 2))
            score = metric(torch.from_numpy(a[:, None]), torch.from_numpy(b[:, None])).numpy()
            scores.append(np.where(both, score, np.nan))
        return np.stack(scores, axis=1)

    def brightness(self, method: str) -> Float[np.ndarray, "stage image"]:
        """The mean of each kept map as it is shown, in [0, 1]; NaN where it is constant."""
        maps = self.maps(method)
        means: Float[np.ndarray, "stage image"] = np.where(maps.any(axis=(2, 3)), maps.mean(axis=(2, 3)), np.nan).T
        return means

    def caption(self, shown: Collection[str]) -> str:
        """The protocol in a few words, with the number of constant maps of the methods that are shown."""
        config, result = self.facts, self.run.result
        noise = f"noise of standard deviation {NOISE_STD} in units of the input"
        parts = [f"{config['network']} on {config['data_title']}"]
        parts.append("cascade: N(mean, std) of each parameter's own values, all stages above drawn again at every step")
        made = config["methods"]
        if "smoothgrad" in made or "input-x-gradient-sg" in made:
            samples = made.get("smoothgrad", made.get("input-x-gradient-sg"))["samples"]
            parts.append(f"SG: {samples} samples, {noise}")
        if "integrated-gradients" in made:
            parts.append(f"IG: {made['integrated-gradients']['steps']} steps from zero")
        if "integrated-gradients-sg" in made:
            nested = made["integrated-gradients-sg"]
            joint = nested["estimator"] == "joint"
            points = "points, noise and path drawn jointly" if joint else f"× {nested['method']['steps']}"
            parts.append(f"IG-SG: {nested['samples']} {points}, {noise}")
        constant = result.constant[[result.methods.index(name) for name in shown]] > 0
        parts.append(f"constant maps: {int(constant.sum())} of {constant.size}")
        return "; ".join([*parts, f"preset {config['preset']}, seed {config['seed']}"])

"""Figure 7: IG and IG-SmoothGrad, global and local, of a network trained on permuted labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from probatum.attributions import IntegratedGradients, Method, SmoothGrad
from probatum.data import UNIT_RANGE
from probatum.maps import absolute_sum, get_reduction
from probatum.metrics import get_metric, is_constant, spearman
from probatum.models import accuracy
from probatum.randomization import permute_labels
from probatum.report import boxes_figure, methods_figure
from probatum.report.style import MapStyle
from probatum.reproductions.base import Context, Inputs, store_arrays, write_facts
from probatum.reproductions.digits import MNIST, digits_setting, labels_of, load_digits
from probatum.reproductions.hatching import drawable
from probatum.reproductions.kokhlikyan2021 import digits_cnn
from probatum.reproductions.kokhlikyan2021.digits_cnn import MEMORIZED, trained_cnn
from probatum.reproductions.kokhlikyan2021.judging import NOT_LEARNT
from probatum.reproductions.results import Claims, Results, experiment
from probatum.reproductions.rules import Mean, Outcome, above, between, fact, live, measure
from probatum.reproductions.setting import Setting
from probatum.reproductions.subjects import explain

METHODS = {
    "ig-global": "IG, global",
    "ig-sg-global": "IG-SG, global",
    "ig-local": "IG, local",
    "ig-sg-local": "IG-SG, local",
}
GLOBAL, LOCAL = (0, 1), (2, 3)
TRUE, AGAIN, PERMUTED = range(3)
ABOUT = (MNIST, "60,000 permuted labels")
NETWORKS = ("true labels", "true labels, other initial weights", "permuted labels")
METRICS = ("ssim-adebayo-issue", "spearman", "spearman-abs")
STYLES: tuple[MapStyle, ...] = ("abs-normalized", "diverging")


@dataclass(frozen=True)
class LabelSizes:
    """Number of images per class, steps of IG, noise samples, and images shown."""

    per_class: int
    steps: int
    samples: int
    shown: int = 3


SIZES = {
    "paper": LabelSizes(per_class=10, steps=50, samples=25),
    "cpu": LabelSizes(per_class=3, steps=25, samples=5),
    "quick": LabelSizes(per_class=2, steps=20, samples=10),
}


def methods(sizes: LabelSizes) -> dict[str, Method]:
    """Return IG and IG-SG, global and local."""
    found: dict[str, Method] = {}
    for variant in ("global", "local"):
        inner = IntegratedGradients(sizes.steps, multiply_by_inputs=variant == "global")
        found |= {f"ig-{variant}": inner, f"ig-sg-{variant}": SmoothGrad(inner, samples=sizes.samples)}
    return {name: found[name] for name in METHODS}


def compute(context: Context, folder: Path) -> None:
    """Train on true labels, on true labels from other initial weights and on permuted labels, and compare the maps."""
    seed = context.config.seed
    sizes, training = context.pick(SIZES), context.pick(digits_cnn.SIZES)
    # As in the notebook of Adebayo et al.: zero is black.
    digits = load_digits(context, training.train_images, training.test_images, UNIT_RANGE)
    chosen, true = digits.test.take_per_class(sizes.per_class), labels_of(digits.train)
    first: list[dict[str, Tensor]] = []
    accuracies, compared, agreement = [], [], 0.0
    for turn in range(training.trainings):
        maps: list[dict[str, Tensor]] = []
        reached: list[dict[str, float]] = []
        permuted = permute_labels(true[: training.memorized], seed + turn)
        plans = (
            (training.true, true, seed + 2 * turn),
            (training.true, true, seed + 2 * turn + 1),
            (training.permuted, permuted.labels, seed + 2 * turn),
        )
        for name, (config, labels, start) in zip(NETWORKS, plans, strict=True):
            what = f"on {name}, {turn + 1} of {training.trainings}"
            model, _ = trained_cnn(context, digits, config, labels, start=start, what=what)
            reached.append(
                {
                    "train": accuracy(model, digits.train.images[: len(labels)], labels),
                    "test": accuracy(model, digits.test.images, labels_of(digits.test)),
                }
            )
            maps.append(explain(context, model, chosen.images, labels_of(chosen), methods(sizes), f"maps, {name}"))
        accuracies.append(reached)
        compared.append(_compared(maps, chosen.images))
        first, agreement = first or maps, agreement or permuted.agreement
    shown = slice(0, len(chosen), max(1, len(chosen) // sizes.shown))
    store_arrays(
        folder,
        **{key: np.stack([one[key] for one in compared]) for key in compared[0]},
        pictures=chosen.pictures()[shown][: sizes.shown, 0].numpy(),
        **{
            style: np.stack([_shown(first[network], style, shown)[: sizes.shown] for network in (TRUE, PERMUTED)])
            for style in STYLES
        },
    )
    memorized = training.memorized or len(digits.train)
    write_facts(
        folder,
        preset=context.config.preset,
        data=digits.title,
        setting=setting_of(digits.title, memorized).to_json(),
        train_images=len(digits.train),
        memorized=memorized,
        test_images=len(digits.test),
        images=len(chosen),
        shown=labels_of(chosen)[shown][: sizes.shown].tolist(),
        accuracies=accuracies,
        agreement=agreement,
        steps=sizes.steps,
        samples=sizes.samples,
        seed=seed,
    )


def setting_of(data: str, memorized: int) -> Setting:
    """What replaced MNIST and the training on all of it."""
    return digits_setting(data, {ABOUT[1]: f"{memorized:,}"} if memorized < 60_000 else {})


def _compared(maps: list[dict[str, Tensor]], images: Tensor) -> dict[str, np.ndarray]:
    """Score the maps against those of the true labels, and against |x − x₀|.

    Returns:
        `scores` (network, metric, method, image) and `constant` (network, method, image) of the second and third
        network, `input` (network, method, image) of the first and third.
    """
    scores = np.zeros((2, len(METRICS), len(METHODS), len(images)))
    constant = np.zeros((2, len(METHODS), len(images)), dtype=bool)
    structure = np.zeros((2, len(METHODS), len(images)))
    for m, method in enumerate(METHODS):
        trained = maps[TRUE][method]
        for n, network in enumerate((AGAIN, PERMUTED)):
            other = maps[network][method]
            constant[n, m] = (is_constant(trained) | is_constant(other)).numpy()
            for k, key in enumerate(METRICS):
                metric = get_metric(key)
                reduce = get_reduction(metric.reduction)
                scores[n, k, m] = metric(reduce(trained), reduce(other)).numpy()
        for n, network in enumerate((TRUE, PERMUTED)):
            # |x − x₀| for the zero baseline: the structure that the multiplier adds.
            found = spearman(absolute_sum(maps[network][method]), absolute_sum(images))
            structure[n, m] = found.masked_fill(is_constant(maps[network][method]), torch.nan).numpy()
    return {"scores": scores, "constant": constant, "input": structure}


def _shown(maps: Mapping[str, Tensor], style: MapStyle, which: slice) -> np.ndarray:
    """Return the maps to show, (image, method, height, width)."""
    reduced = [get_reduction(style)(maps[method][which])[:, 0] for method in METHODS]
    stacked: np.ndarray = torch.stack(reduced, dim=1).cpu().numpy()
    return stacked


class Labels(Results):
    """Similarities of maps of networks trained on true and on permuted labels, each several times."""

    @property
    def live(self) -> Float[np.ndarray, "training network metric method image"]:
        """The live scores of the second and third network against the first."""
        return live(self.arrays["scores"], self.arrays["constant"], axis=2)

    def reached(self, network: int, data: str) -> float:
        """The lowest accuracy of all trainings."""
        return min(float(turn[network][data]) for turn in self.facts["accuracies"])

    @property
    def note(self) -> str:
        """Tells if a training failed."""
        learnt = self.reached(PERMUTED, "train") >= MEMORIZED and self.reached(TRUE, "test") >= LEARNT
        return "" if learnt else NOT_LEARNT


def draw(found: Labels) -> dict[str, Figure]:
    """Draw figure 7 in both map styles, and box plots of the similarities."""
    facts, arrays = found.facts, found.arrays
    rows = [(image, network) for image in range(len(facts["shown"])) for network in (0, 1)]
    figures = {
        "" if style == "abs-normalized" else style: methods_figure(
            [arrays["pictures"][image] for image, _ in rows],
            [drawable(arrays[style][network, image]) for image, network in rows],
            [("True labels", "Permuted labels")[network] for _, network in rows],
            list(METHODS.values()),
            style=style,
            caption=f"{_protocol(facts)}; maps: {get_reduction(style).title}.",
        )
        for style in STYLES
    }
    for k, key in enumerate(METRICS):
        metric = get_metric(key)
        figures[key.removesuffix("-adebayo-issue")] = boxes_figure(
            {_capital(NETWORKS[n]): _by_method(found.live[:, n - 1, k]) for n in (AGAIN, PERMUTED)},
            metric_title=f"{metric.title} ({key})",
            column_titles=list(METHODS.values()),
            caption=f"Maps of a network trained as given in the legend, compared with those of one trained on the true "
            f"labels. {_protocol(facts)}; compared maps: {get_reduction(metric.reduction).title}.",
        )
    figures["input"] = boxes_figure(
        {_capital(NETWORKS[n]): _by_method(arrays["input"][:, r]) for r, n in enumerate((TRUE, PERMUTED))},
        metric_title="Rank correlation of |map| with |x − x₀|",
        column_titles=list(METHODS.values()),
        caption=f"Similarity of maps to the input. {_protocol(facts)}.",
    )
    return figures


def _by_method(scores: np.ndarray) -> np.ndarray:
    """(training, method, image) scores as (method, all)."""
    return scores.swapaxes(0, 1).reshape(scores.shape[1], -1)


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]


def _protocol(facts: dict[str, Any]) -> str:
    true, _, permuted = facts["accuracies"][0]
    return (
        f"Basic CNN on {facts['data']}, preset {facts['preset']}: {facts['train_images']} training images, test "
        f"accuracy {true['test']:.3f} (true labels), training accuracy {permuted['train']:.3f} of {facts['memorized']} "
        f"permuted labels in the first of {len(facts['accuracies'])} trainings (of which "
        f"{facts['agreement']:.0%} are true by chance); target: the true class; "
        f"{facts['images']} test digits; IG of {facts['steps']} steps from black, SG of "
        f"{facts['samples']} samples, noise 15 % of the range; seed {facts['seed']}"
    )


LEARNT = 0.95  # of the test digits
UNITS = ("training", "image")
claims = Claims(Labels, "Figure 7, appendix A", ABOUT)


@claims("labels-learnt", "The networks learn the true labels.", "trained; accuracy not stated", about=(MNIST,))
def _learnt(found: Labels) -> Outcome:
    share = found.reached(TRUE, "test")
    return fact(share >= LEARNT, f"at least {share:.3f} of test digits", f"every training reaches {LEARNT}")


@claims(
    "labels-memorized", "The networks memorize the permuted labels.", "trained; accuracy not stated", about=(MNIST,)
)
def _memorized(found: Labels) -> Outcome:
    share = found.reached(PERMUTED, "train")
    return fact(share >= MEMORIZED, f"at least {share:.3f} of training labels", f"every training reaches {MEMORIZED}")


@claims.each(
    {method: title for m, (method, title) in enumerate(METHODS.items()) if m in GLOBAL},
    "labels-{key}-input",
    "After label randomization the maps of {title} still show the input.",
    "seen by eye",
)
def _shows(method: str, found: Labels) -> Outcome:
    return above(_follows(method, found), 0.4)


@claims.each(
    {method: title for m, (method, title) in enumerate(METHODS.items()) if m in LOCAL},
    "labels-{key}-input",
    "After label randomization the maps of {title} carry almost no structure of the input.",
    "seen by eye",
)
def _hides(method: str, found: Labels) -> Outcome:
    return between(_follows(method, found), -0.2, 0.2)


def _follows(method: str, found: Labels) -> Mean:
    scores = found.arrays["input"][:, 1, list(METHODS).index(method)]
    return measure("rank correlation of |map| with |x − x₀|", scores, *UNITS)


@claims.each(
    {"ig": "IG", "ig-sg": "IG-SG"},
    "labels-multiplier-{key}",
    "The multiplier makes maps of {title} of networks with true and with permuted labels more similar.",
    "similar results regardless of the parameters (abstract)",
)
def _multiplier(name: str, found: Labels) -> Outcome:
    ssim = found.live[:, PERMUTED - 1, 0]  # (training, method, image)
    one, other = (ssim[:, list(METHODS).index(f"{name}-{variant}")] for variant in ("global", "local"))
    return above(measure("SSIM, global less local", one - other, *UNITS), 0.0)


LABELS = experiment(
    "data-randomization",
    "IG and IG-SG, global and local, before and after label randomization on MNIST (figure 7)",
    compute,
    draw,
    claims,
    covers={"Figure 7": "*"},
    inputs=Inputs(data=("MNIST",)),
)

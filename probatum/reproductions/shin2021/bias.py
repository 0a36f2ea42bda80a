"""Figure 7: maps that reveal a bias in the training images."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64, UInt8
from matplotlib.figure import Figure
from torch import Tensor, nn

from probatum.data import DATASETS, IMAGENET, UNIT_RANGE, Preprocessing, load_dataset
from probatum.data.confounded import PATCH, SIDE, ConfoundedDigits, confounded_digits
from probatum.maps import get_reduction
from probatum.metrics.effects import region_share
from probatum.models import TrainingConfig, accuracy, load_model, model_spec, predict
from probatum.models.shin import WideAlexNet
from probatum.report import bootstrap_interval, methods_figure
from probatum.report.dots import dots_figure
from probatum.reproductions.base import Context, Inputs, store_arrays, write_facts
from probatum.reproductions.digits import labels_of
from probatum.reproductions.hatching import drawable
from probatum.reproductions.results import Claims, Results, experiment
from probatum.reproductions.rules import Mean, Outcome, above, below, measure
from probatum.reproductions.setting import Setting
from probatum.reproductions.shin2021.setting import LAYERS, METHODS, SAMPLES, methods
from probatum.reproductions.subjects import before_last_relu, explain
from probatum.runs.cache import train_once

CLASSES = (1, 7)  # the digits of the two classes
SHARES = {"biased": (0.96, 0.82), "balanced": (0.5, 0.5)}
"""Share of the images of each class that agree with the confounder: the paper's, and no correlation."""
BROKEN = (0.0, 0.0)  # of the test set: every texture belongs to the other class
AREA = PATCH**2 / SIDE**2  # of the confounder in an image, the share of an even map


@dataclass(frozen=True)
class BiasSizes:
    """Sizes of the experiment.

    Args:
        network: "pretrained", AlexNet finetuned from ImageNet's weights, or "narrow", a small copy of that of B.3.
        preprocessing: of the pictures.
        train_images: per class.
        test_images: per class, in the validation set and in the test set.
        explained: test images with maps.
        training: the recipe, up to the seed.
        trainings: of each network, with other textures, first weights and order.
    """

    network: Literal["pretrained", "narrow"]
    preprocessing: Preprocessing
    train_images: int
    test_images: int
    explained: int
    training: TrainingConfig
    trainings: int = 3


# The paper gives neither the training recipe nor the number of test images.
SIZES = {
    "paper": BiasSizes(
        "pretrained",
        Preprocessing(IMAGENET.mean, IMAGENET.std, resize=224),
        175,
        200,
        100,
        TrainingConfig(25, 8, 0.001, "sgd", 0.9),
    ),
    "cpu": BiasSizes(
        "pretrained",
        Preprocessing(IMAGENET.mean, IMAGENET.std, resize=128),
        100,
        100,
        30,
        TrainingConfig(5, 8, 1e-4, "sgd", 0.9),  # with 0.001 the loss of SqueezeNet diverges
    ),
    "quick": BiasSizes(
        "narrow",
        Preprocessing((0.1307,) * 3, (0.3081,) * 3, resize=128),
        200,
        100,
        50,
        TrainingConfig(12, 16, 5e-4, "adam", schedule="linear"),
    ),
}
WIDTH = 0.125  # of the narrow network
FOOLED = 0.7  # accuracy below which a network fails: the paper's 0.56 and something more
UNITS = ("training", "image")


def compute(context: Context, folder: Path) -> None:
    """Train biased and balanced networks, and test and explain them on images without the correlation."""
    sizes, seed = context.pick(SIZES), context.config.seed
    digits = {
        "train": _digits(context, "train", sizes.train_images),
        "test": _digits(context, "test", sizes.test_images),
    }
    broken = confounded_digits(*digits["test"], BROKEN, seed + 2)
    images = sizes.preprocessing.apply(broken.images)
    explained = (broken.labels == 0).nonzero().flatten()[: sizes.explained]
    regions = _enlarged(broken.regions[explained], images.shape[-1])
    arrays: dict[str, np.ndarray] = {}
    facts, title, first = {}, "", {}
    for name, shares in SHARES.items():
        runs = []
        for turn in range(sizes.trainings):
            model, layer, title, found = _trained(context, digits, name, shares, turn)
            said = predict(model, images)
            table, what = methods(sizes.preprocessing, layer), f"maps of the {name} network"
            maps = explain(context, model, images[explained], said[explained], table, what)
            runs.append((said.numpy(), np.stack([region_share(maps[m], regions).numpy() for m in METHODS]), found))
            if turn == 0:
                first[name] = torch.stack([get_reduction("abs-normalized")(maps[m])[:, 0] for m in METHODS])
        arrays[f"{name}-said"] = np.stack([one for one, _, _ in runs])  # (training, image)
        arrays[f"{name}-shares"] = np.stack([one for _, one, _ in runs])  # (training, method, image)
        facts[name] = {
            "validation": [found["validation"] for _, _, found in runs],
            "agree": runs[0][2]["agree"],
        }
    # The paper shows an image that the biased network gets wrong and the balanced one right.
    biased, balanced = (arrays[f"{name}-said"][0, explained.numpy()] for name in SHARES)
    shown = int(np.argmax((biased == 1) & (balanced == 0)))
    arrays |= {f"{name}-maps": maps[:, shown].numpy() for name, maps in first.items()}
    store_arrays(
        folder,
        labels=broken.labels.numpy(),
        explained=explained.numpy(),
        picture=broken.images[explained[shown], 0].numpy(),
        **arrays,
    )
    write_facts(
        folder,
        preset=context.config.preset,
        seed=seed,
        data=DATASETS[_source(context)].title,
        shown=int(explained[shown]),
        network=title,
        used=f"{title}; {DATASETS[_source(context)].title} with stripes",
        train_images=2 * sizes.train_images,
        validated=2 * sizes.test_images,
        setting=_setting(title, sizes).to_json(),
        networks=facts,
    )


def _setting(network: str, sizes: BiasSizes) -> Setting:
    """What replaced the paper's photographs and network."""
    digits = "digits with stripes instead of photographs, which are not public; in the test set every texture disagrees"
    scratch = f"{network}, trained from scratch, instead of AlexNet finetuned from ImageNet's weights"
    return Setting((digits,) if sizes.network == "pretrained" else (digits, scratch))


def _trained(
    context: Context,
    digits: dict[str, tuple[Tensor, Tensor]],
    name: str,
    shares: tuple[float, float],
    turn: int,
) -> tuple[nn.Module, str | None, str, dict[str, Any]]:
    """One of the trainings: the network, Grad-CAM's layer, the title, and facts about it and its images."""
    sizes, seed = context.pick(SIZES), context.config.seed + 10 * turn
    training_set = confounded_digits(*digits["train"], shares, seed)
    valid_set = confounded_digits(*digits["test"], shares, seed + 1)
    valid_images = sizes.preprocessing.apply(valid_set.images)
    model, layer, title = _network(context, sizes, seed, valid_images)
    train_once(
        model,
        sizes.preprocessing.apply(training_set.images),
        training_set.labels,
        valid_images,
        valid_set.labels,
        replace(sizes.training, seed=seed),
        what=f"the {name} network, {turn + 1} of {sizes.trainings}",
        progress=context.progress,
    )
    facts = {
        "validation": accuracy(model, valid_images, valid_set.labels),
        "agree": [_agreement(training_set, label) for label in (0, 1)],
    }
    return model, layer, title, facts


def _source(context: Context) -> str:
    return "mnist" if context.data_folder("MNIST") else "digits"


def _digits(
    context: Context, split: str, per_class: int
) -> tuple[UInt8[Tensor, "image 1 28 28"], Int64[Tensor, " image"]]:
    """The first digits of the two classes as pixels, and which class."""
    config = context.config
    enough = 12 * per_class + 100  # the rarest of ten classes has 9 % of MNIST
    pool = load_dataset(_source(context), split, enough, config.data_dir, config.seed, preprocessing=UNIT_RANGE)
    wanted = (labels_of(pool)[:, None] == torch.tensor(CLASSES)).any(dim=1)
    chosen = pool.subset(wanted.nonzero().flatten()).take_per_class(per_class)
    return (chosen.images * 255).round().to(torch.uint8), (labels_of(chosen) == CLASSES[1]).long()


def _network(context: Context, sizes: BiasSizes, seed: int, images: Tensor) -> tuple[nn.Module, str | None, str]:
    """Return the network before this training, Grad-CAM's layer, and the title.

    Of a network that ends in a ReLU, the values before it are trained: behind it, the gradient of a class that is
    negative for all images is zero, and training cannot revive it.
    """
    config = context.config
    if sizes.network == "narrow":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            small = WideAlexNet(2, WIDTH)
        return small.to(context.device), LAYERS["alexnet"], f"AlexNet of appendix B at {WIDTH:g} of its widths"
    spec = model_spec(config.model or "alexnet")
    if config.weights in ("default", "none"):
        model = load_model(spec.name, config.weights, num_classes=2, seed=seed)
    else:
        model = load_model(spec.name, "none", num_classes=2, seed=seed)
        own, given = model.state_dict(), load_model(spec.name, config.weights).state_dict()
        model.load_state_dict({key: given[key] if given[key].shape == own[key].shape else own[key] for key in own})
    title = f"{spec.title} finetuned from {'random' if config.weights == 'none' else 'ImageNet'} weights"
    model, values = before_last_relu(model.to(context.device), images)
    return model, spec.grad_cam_layer, f"{title}, {values}" if values else title


def _enlarged(regions: Bool[Tensor, "image height width"], side: int) -> Bool[Tensor, "image larger larger"]:
    """The regions, enlarged to the size of the network's inputs."""
    return F.interpolate(regions[:, None].float(), size=(side, side), mode="nearest-exact")[:, 0] > 0.5


def _agreement(data: ConfoundedDigits, label: int) -> float:
    """The share of the images of a class whose texture agrees with it."""
    return float((data.textures[data.labels == label] == label).double().mean())


class Networks(Results):
    """Predictions of the biased and the balanced networks, and shares of their maps on the confounder."""

    def right(self, name: str) -> Float[np.ndarray, "training image"]:
        """1 where a network is right on a test image of the class whose bond is broken."""
        said, labels = self.arrays[f"{name}-said"], self.arrays["labels"]
        right: Float[np.ndarray, "training image"] = (said == labels)[:, labels == 0].astype(float)
        return right

    def shares(self, name: str, method: str) -> Float[np.ndarray, "training image"]:
        """The share of each map on the confounder; NaN for an empty map."""
        found: Float[np.ndarray, "training image"] = self.arrays[f"{name}-shares"][:, list(METHODS).index(method)]
        return found

    @property
    def fooled(self) -> Mean:
        """Accuracy of the biased networks on test images that break the bond."""
        return measure("accuracy", self.right("biased"), *UNITS).within(0.0, 1.0)

    @property
    def note(self) -> str:
        """Nothing can reveal a bias that the networks do not have."""
        if self.fooled.value < FOOLED:
            return ""
        return f"the biased networks are right on {self.fooled.value:.2f} of images that break the bond: hardly biased"


def draw(found: Networks) -> dict[str, Figure]:
    """Draw figure 7, one image under both networks, and the share of each map on the confounder."""
    facts, arrays = found.facts, found.arrays
    protocol = (
        f"Preset {facts['preset']}: {CLASSES[0]} and {CLASSES[1]} of {facts['data']}, "
        f"{facts['train_images']} training images, stripes that agree with {SHARES['biased'][0]:.0%} and "
        f"{SHARES['biased'][1]:.0%} of the classes (biased), with half of each (balanced), with no test image; "
        f"{facts['network']}, seed {facts['seed']}; maps of the predicted class, SmoothGrad n = {SAMPLES}, σ = 20/255."
    )
    size = arrays["biased-maps"].shape[-1]
    places = np.arange(size) * SIDE // size
    picture = arrays["picture"][places][:, places]
    said = {name: CLASSES[int(arrays[f"{name}-said"][0, facts["shown"]])] for name in SHARES}
    maps = methods_figure(
        [picture] * len(METHODS),
        [drawable(arrays[f"{name}-maps"][row] for name in SHARES) for row in range(len(METHODS))],
        list(METHODS.values()),
        [f"{name} network: {said[name]}" for name in SHARES],
        photograph_title=f"test image: {CLASSES[int(arrays['labels'][facts['shown']])]}",
        caption=f"Figure 7. {protocol} Maps: {get_reduction('abs-normalized').title}. The first test "
        "image that the biased network gets wrong and the balanced one right, or the first of all.",
    )
    empty = (
        f"{int(np.isnan(found.shares(name, method)).sum())} of {title} ({name})"
        for name in SHARES
        for method, title in METHODS.items()
    )
    shares = dots_figure(
        {
            title: {f"{name} network": bootstrap_interval(found.shares(name, method).T) for name in SHARES}
            for method, title in METHODS.items()
        },
        axis_title="share of the map on the confounder",
        limits=(0.0, 1.0),
        reference=(AREA, "share of the image's area"),
        caption=f"{protocol} Means over {len(arrays['biased-shares'])} trainings and {len(arrays['explained'])} test "
        f"images of the class {CLASSES[0]} with 95 % bootstrap intervals; empty maps, left out: {', '.join(empty)}.",
    )
    return {"": maps, "shares": shares}


claims = Claims(Networks, "Section 4.3")


@claims(
    "validation",
    "The biased network does well on images biased like its training.",
    "a good validation accuracy",
)
def _validation(found: Networks) -> Outcome:
    reached = np.array(found.facts["networks"]["biased"]["validation"])
    return above(measure("validation accuracy", reached, "training").within(0.0, 1.0), 0.85)


@claims(
    "broken-bond-biased",
    "On test images of one class that break the bond, the biased network fails.",
    "accuracy 0.56",
)
def _fails(found: Networks) -> Outcome:
    return below(found.fooled, FOOLED)


@claims(
    "broken-bond",
    "On these images the balanced network is better than the biased one.",
    "accuracy 0.56, then 0.81",
    role="main result",
)
def _repaired(found: Networks) -> Outcome:
    gain = found.right("balanced") - found.right("biased")
    return above(measure("accuracy, balanced less biased", gain, *UNITS), 0.0)


@claims.each(
    METHODS,
    "{key}-bias",
    "{title} of the biased network points at the confounder.",
    "seen by eye",
    where="Figure 7",
)
def _points(method: str, found: Networks) -> Outcome:
    what = f"share of the map on the confounder, which takes {AREA:.2f} of the area"
    return above(measure(what, found.shares("biased", method), *UNITS).within(0.0, 1.0), AREA)


@claims.each(
    METHODS,
    "{key}-unbiased",
    "{title} of the balanced network points at the confounder less than that of the biased one.",
    "seen by eye",
    where="Figure 7",
)
def _turns(method: str, found: Networks) -> Outcome:
    less = found.shares("biased", method) - found.shares("balanced", method)
    return above(measure("share of the map on the confounder, biased less balanced", less, *UNITS), 0.0)


BIAS = experiment(
    "figure7",
    "Maps that reveal a bias",
    compute,
    draw,
    claims,
    covers={"Figure 7": "*"},
    inputs=Inputs(data=("MNIST",), networks=("alexnet",)),
)

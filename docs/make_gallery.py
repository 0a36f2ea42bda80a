"""Draws the pictures of the gallery: maps of three photographs by two pretrained networks, and a cascade.

    python docs/make_gallery.py --squeezenet squeezenet1_0.pth --efficientnet tf_efficientnet_lite0.pth

The photographs are `chelsea.png`, `coffee.png` (CC0) and `rocket.jpg` (public domain) of scikit-image.
"""

import argparse
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import skimage
from make_figures import alive, maps_of
from matplotlib.figure import Figure
from PIL import Image

from probatum.attributions import METHODS
from probatum.experiments import CheckConfig, Setup, set_up
from probatum.maps import get_reduction
from probatum.randomization import Randomizer
from probatum.report import grid_figure, methods_figure, save_figure

FOLDER = Path(__file__).parent / "figures" / "gallery"
PHOTOGRAPHS = ("chelsea.png", "coffee.png", "rocket.jpg")
SHOWN = (
    *("gradient", "smoothgrad", "input-x-gradient", "integrated-gradients", "deeplift", "lrp"),
    *("guided-backprop", "grad-cam", "guided-grad-cam", "occlusion", "edge-detector"),
)
DPI, QUALITY = 180, 75  # of WebP, at which each picture stays below 300 kB
REDUCTION = get_reduction("abs-normalized")


def photographs(model: str, weights: str, count: int) -> Setup:
    """The first photographs, and a network that classifies them."""
    with TemporaryDirectory() as folder:
        for name in PHOTOGRAPHS[:count]:
            shutil.copy(Path(skimage.__file__).parent / "data" / name, folder)
        return set_up(CheckConfig(folder, images=count, model=model, weights=weights, methods=SHOWN))


def pictures(setup: Setup) -> list[np.ndarray]:
    """The photographs (height, width, 3)."""
    return [picture.permute(1, 2, 0).numpy() for picture in setup.data.pictures()]


def predicted(setup: Setup) -> list[str]:
    """The predicted class of each photograph, with its probability."""
    classes = setup.class_names or ()
    names = [classes[int(target)] for target in setup.targets]
    return [f"{name}\n{float(sure):.2f}" for name, sure in zip(names, setup.confidences, strict=True)]


def draw_methods(setup: Setup, name: str) -> None:
    """A row for each photograph, a column for each method, of the trained network."""
    maps = maps_of(setup, setup.randomizer, [0])
    panels = [[REDUCTION(maps[method][0])[row, 0].numpy() for method in SHOWN] for row in range(len(setup.targets))]
    titles = [METHODS[method].title for method in SHOWN]
    store(methods_figure(pictures(setup), panels, predicted(setup), titles), name)


def draw_cascade(setup: Setup, randomizer: Randomizer, name: str) -> None:
    """A row for each method, a column for every second stage, of one photograph."""
    last = len(randomizer.stages)
    steps = sorted({0, *range(1, last, 2), last})
    maps = maps_of(setup, randomizer, steps)
    panels = [[REDUCTION(each)[0, 0].numpy() for each in maps[method]] for method in SHOWN]
    titles = ["trained", *(randomizer.stages[step - 1].name for step in steps[1:])]
    store(grid_figure(panels, [METHODS[method].title for method in SHOWN], titles, image=pictures(setup)[0]), name)


def store(figure: Figure, name: str) -> None:
    """Writes a picture as WebP."""
    (path,) = save_figure(figure, FOLDER / name, ["png"], dpi=DPI)
    Image.open(path).convert("RGB").save(path.with_suffix(".webp"), quality=QUALITY, method=6)
    path.unlink()


def main() -> None:
    """Draws all of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--squeezenet", required=True, help="a checkpoint of torchvision's SqueezeNet 1.0")
    parser.add_argument("--efficientnet", required=True, help="a checkpoint of timm's tf_efficientnet_lite0")
    options = parser.parse_args()
    networks = {"squeezenet1_0": options.squeezenet, "timm:tf_efficientnet_lite0": options.efficientnet}
    for model, weights in networks.items():
        draw_methods(photographs(model, weights, len(PHOTOGRAPHS)), f"methods-{model.removeprefix('timm:')}")
    cat = photographs("timm:tf_efficientnet_lite0", options.efficientnet, 1)
    draw_cascade(cat, alive(cat, [0]), "cascade-tf_efficientnet_lite0")


if __name__ == "__main__":
    main()

"""Draws the picture that the README opens with: maps of a photograph, and the verdict of the study on each method.

    python docs/make_overview.py --weights squeezenet1_0.pth    # ImageNet weights of torchvision's SqueezeNet 1.0

The photograph is `chelsea.png` of scikit-image, CC0 by its photographer Stéfan van der Walt. Verdicts and shares are
those of the newest record of `probatum bench verdicts`.
"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np
from make_figures import alive, compress, configuration, maps_of
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from probatum.attributions import METHODS
from probatum.benchmarks import read_records
from probatum.benchmarks.record import SHARES, Entry
from probatum.experiments import set_up
from probatum.experiments.verdicts import INSENSITIVE_FROM, SENSITIVE_UP_TO
from probatum.maps import get_reduction
from probatum.report import save_figure

DOCS = Path(__file__).parent
NETWORK = "SqueezeNet 1.0"
ROWS = ("gradient", "smoothgrad", "input-x-gradient", "integrated-gradients", "guided-backprop", "edge-detector")
STUDIED_AS = {"edge-detector": "edges"}  # a name of the study
COLORS = {"sensitive": "#1b7837", "undecided": "#777777", "insensitive": "#b2182b"}
MARKERS = ("o", "s", "^", "D")


def studied() -> dict[str, Entry]:
    """What the newest study found on the network, by the method's name there."""
    path = sorted((DOCS.parent / "benchmarks" / "records").glob("*-verdicts/record.json"))[-1]
    entries = [entry for entry in read_records(path)[0].entries if entry.contest == NETWORK]
    return {entry.variant.removeprefix(SHARES): entry for entry in entries if entry.variant.startswith(SHARES)}


def draw_share(axes: Axes, entry: Entry, metrics: tuple[str, ...]) -> None:
    """A row's shares on the scale from chance to ceiling, and the word."""
    word = entry.note.partition(":")[0]
    axes.axvspan(-0.15, SENSITIVE_UP_TO, color=COLORS["sensitive"], alpha=0.10, linewidth=0)
    axes.axvspan(INSENSITIVE_FROM, 1.1, color=COLORS["insensitive"], alpha=0.10, linewidth=0)
    for metric, marker in zip(metrics, MARKERS, strict=True):
        if metric in entry.scores:
            axes.plot(entry.scores[metric], 0, marker, color=COLORS[word], markersize=7, alpha=0.8)
    axes.set(xlim=(-0.15, 1.1), ylim=(-1, 1), yticks=[], xticks=[0, SENSITIVE_UP_TO, INSENSITIVE_FROM, 1])
    axes.tick_params(labelbottom=False)
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.text(1.14, 0, word, color=COLORS[word], fontsize=13, fontweight="bold", va="center")


def main() -> None:
    """Draws `figures/overview.png`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--weights", required=True, help="a checkpoint of torchvision's SqueezeNet 1.0")
    setup = set_up(configuration(ROWS, parser.parse_args().weights))
    last = len(setup.randomizer.stages)
    maps, found = maps_of(setup, alive(setup, [0, last]), [0, last]), studied()
    metrics = tuple(found["edges"].scores)
    matplotlib.rcParams["font.size"] = 11
    figure = Figure(figsize=(10.5, 1.3 * len(ROWS) + 0.9), layout="constrained")
    grid = figure.subplots(len(ROWS), 4, width_ratios=(1, 1, 1, 2.4), squeeze=False)
    reduction = get_reduction("abs-normalized")
    for row, name in enumerate(ROWS):
        photograph, trained, random, share = grid[row]
        pictures = [setup.data.pictures()[0].permute(1, 2, 0).numpy()] if row == 0 else []
        shown = [*pictures, *(reduction(each)[0, 0].numpy() for each in maps[name])]
        for axes, values in zip((photograph, trained, random)[-len(shown) :], shown, strict=True):
            axes.imshow(np.asarray(values), cmap="gray", interpolation="nearest")
        for axes in (photograph, trained, random):
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        trained.set_ylabel(METHODS[name].title, rotation=0, ha="right", va="center", fontsize=12)
        draw_share(share, found[STUDIED_AS.get(name, name)], metrics)
    for axes, title in zip(grid[0], ("", "trained", "random weights", "share of the map that remains"), strict=True):
        axes.set_title(title, fontsize=12)
    grid[-1][3].tick_params(labelbottom=True)
    grid[-1][3].set_xticklabels(["0\nchance", "¼", "½", "1\nceiling"])
    marks = [
        Line2D([], [], color="#444444", linestyle="", marker=marker, markersize=7, label=metric)
        for metric, marker in zip(metrics, MARKERS, strict=True)
    ]
    figure.legend(handles=marks, loc="outside lower center", ncols=len(metrics), frameon=False)
    (path,) = save_figure(figure, DOCS / "figures" / "overview", ["png"], dpi=110)
    compress(path)


if __name__ == "__main__":
    main()

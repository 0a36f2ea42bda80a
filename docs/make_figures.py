"""Draws what the methods' pages show: each method's maps of one photograph while a network loses its weights.

    python docs/make_figures.py --weights squeezenet1_0.pth    # every method, ImageNet weights of SqueezeNet 1.0
    python docs/make_figures.py --methods gradient             # one method, on a digit, with the package's own CNN
    python docs/make_figures.py --methods attention-rollout    # on a digit, with a small vision transformer

The photograph is `chelsea.png` of scikit-image, CC0 by its photographer Stéfan van der Walt. What was drawn, and with
which weights, is recorded in `figures/methods/facts.json`, from which the pages take their captions.
"""

import argparse
import io
import json
from dataclasses import replace
from pathlib import Path

import skimage
from PIL import Image
from torch import Tensor
from torchvision.models import VisionTransformer

from probatum.attributions import METHODS, AttentionRollout, attribute_variants
from probatum.data import load_dataset
from probatum.engine import Variant, all_logits, prepare
from probatum.errors import ModelError
from probatum.experiments import CheckConfig, Setup, set_up
from probatum.maps import get_reduction
from probatum.models import TrainingConfig
from probatum.randomization import Randomizer
from probatum.report import methods_figure, save_figure
from probatum.reproductions.digits import labels_of
from probatum.reproductions.transformers.networks import vision_transformer
from probatum.runs.cache import train_once
from probatum.runs.fingerprint import weights_hash

FOLDER = Path(__file__).parent / "figures" / "methods"
FACTS = FOLDER / "facts.json"
PHOTOGRAPH = Path(skimage.__file__).parent / "data" / "chelsea.png"
DPI, COLORS = 110, 192  # noise does not compress; few dots and colors keep each picture below 60 KB


def configuration(names: tuple[str, ...], weights: str | None) -> CheckConfig:
    """What is drawn: a photograph where there are weights, else a digit."""
    if any(METHODS[name].make() == AttentionRollout() for name in names):
        return CheckConfig(images=1, model=f"{__file__}:digits_transformer", weights="default", methods=names)
    if weights is None:
        return CheckConfig(images=1, methods=names)
    return CheckConfig(str(PHOTOGRAPH), images=1, model="squeezenet1_0", weights=weights, methods=names)


def digits_transformer() -> VisionTransformer:
    """The vision transformer of the study of transformers, trained on 4000 rendered digits."""
    model = vision_transformer(28, 4, 1, 64, 4, seed=0)
    train, test = (load_dataset("digits", split, count) for split, count in (("train", 4000), ("test", 1000)))
    config = TrainingConfig(10, 64, 1e-3, schedule="linear")
    train_once(model, train.images, labels_of(train), test.images, labels_of(test), config, what="the transformer")
    return model


def alive(setup: Setup, steps: list[int]) -> Randomizer:
    """The randomizer of the first seed under which the explained logit is above zero at every step.

    SqueezeNet's logits come out of a ReLU. Where a random network's logit is zero, so is each map, and there is nothing
    to see.
    """
    for seed in range(1000):
        randomizer = replace(setup.randomizer, seed=seed)
        logits = [all_logits(prepare(randomizer.model(step)), setup.data.images) for step in steps]
        if all(float(each[0, setup.targets[0]]) > 0 for each in logits):
            return randomizer
    raise ModelError("under a thousand seeds the explained logit vanishes; draw another image")


def maps_of(setup: Setup, randomizer: Randomizer, steps: list[int]) -> dict[str, list[Tensor]]:
    """Each method's map at each step of the cascade, step 0 being the trained model."""
    variants = [Variant(prepare(randomizer.model(step)), setup.targets) for step in steps]
    found = attribute_variants(variants, setup.data.images, setup.methods, seed=randomizer.seed)
    return {name: [maps[name].cpu() for maps in found] for name in setup.methods}


def draw(name: str, maps: list[Tensor], titles: list[str], class_name: str, setup: Setup) -> None:
    """Writes the picture of one method."""
    reduction = get_reduction("abs-normalized")
    figure = methods_figure(
        [setup.data.pictures()[0].permute(1, 2, 0).numpy().squeeze()],
        [[reduction(each)[0, 0].numpy() for each in maps]],
        [METHODS[name].title],
        titles,
        photograph_title=class_name,
    )
    (path,) = save_figure(figure, FOLDER / name, ["png"], dpi=DPI)
    compress(path)


def compress(path: Path) -> None:
    """Writes a picture again with few colors."""
    picture, content = Image.open(path).convert("RGB"), io.BytesIO()
    picture.quantize(COLORS, dither=Image.Dither.NONE).save(content, "PNG", optimize=True)
    path.write_bytes(content.getvalue())


def main() -> None:
    """Draws the methods that are asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--weights", help="a checkpoint of torchvision's SqueezeNet 1.0; without it, a digit is drawn")
    parser.add_argument("--methods", default=",".join(METHODS), help="names, separated by commas")
    options = parser.parse_args()
    names = tuple(options.methods.split(","))
    config = configuration(names, options.weights)
    setup = set_up(config)
    steps = sorted({0, 1, len(setup.randomizer.stages) // 2, len(setup.randomizer.stages)})
    randomizer = alive(setup, steps)
    between = [f"random down to {randomizer.stages[step - 1].name}" for step in steps[1:-1]]
    titles = ["trained", *between, "all layers random"]
    index = int(setup.targets[0])
    class_name = setup.class_names[index] if setup.class_names else str(index)
    facts = {
        "image": setup.data.image_names[0],
        "model": setup.spec.title,
        "weights_sha256": weights_hash(setup.model),
        "class": class_name,
        "probability": round(float(setup.confidences[0]), 3),
        "seed": randomizer.seed,
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    record = json.loads(FACTS.read_text(encoding="utf-8")) if FACTS.exists() else {}
    for name, maps in maps_of(setup, randomizer, steps).items():
        draw(name, maps, titles, class_name, setup)
        record[name] = facts
    ordered = {name: record[name] for name in METHODS if name in record}
    FACTS.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

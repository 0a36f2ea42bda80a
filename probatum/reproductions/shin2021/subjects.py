"""The trained networks that are explained, with the images that they explain."""

from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from probatum.data import DATASETS, EXTENSIONS, ImageSet, image_files, load_photographs
from probatum.errors import InvalidInput
from probatum.experiments.build import preprocessing_of
from probatum.models import load_model, model_spec
from probatum.models.stages import STAGES, Stages
from probatum.reproductions.base import Context
from probatum.reproductions.findings import joined
from probatum.reproductions.networks import before_last_relu
from probatum.reproductions.setting import PHOTOGRAPHS, PRETRAINED, Setting
from probatum.reproductions.shin2021 import labels
from probatum.reproductions.shin2021.setting import LAYERS, NETWORKS, TITLES

IMAGES = (PRETRAINED, PHOTOGRAPHS)
"""What claims on the pretrained networks are about."""

SHOWN = "broccoli"  # the photograph of Figures 2 and 5, where it is among the given ones


@dataclass(frozen=True, eq=False)
class Subject:
    """A network, the images it explains, and where its methods look.

    Args:
        name: for files.
        title: for figures; random weights are named.
        model: on the context's device.
        data: preprocessed for it, the photograph of broccoli first.
        class_names: of the network's classes.
        stages: (name, module paths) from the output to the input, or None: layer by layer.
        layer: that Grad-CAM reads, or None: the one that it finds.
        setting: what replaced the paper's networks and images.
    """

    name: str
    title: str
    model: nn.Module
    data: ImageSet
    class_names: tuple[str, ...]
    stages: Stages | None
    layer: str | None
    setting: Setting


def wants_photographs(context: Context) -> bool:
    """Return True if ImageNet networks are requested: in the preset "paper", or if one is named."""
    return not context.config.substitutes or context.config.model is not None


def photograph_subjects(context: Context, count: int) -> list[Subject]:
    """Networks of ImageNet with up to `count` photographs: AlexNet and VGG-11, or the one that is named.

    Raises:
        InvalidInput: no photographs, or a network that takes none.
        ModelError: published weights that cannot be had.
    """
    config = context.config
    files = _photographs(context, count)
    subjects = []
    for name in NETWORKS if config.model is None else (config.model,):
        spec = model_spec(name)
        if spec.channels != 3 or spec.class_names is None:
            raise InvalidInput(f"{spec.title} takes no photographs; give --model alexnet, vgg11 or squeezenet1_0, say")
        random = config.weights == "none"
        data = load_photographs(files, preprocessing_of(spec))
        loaded = load_model(name, config.weights, seed=config.seed).to(context.device)
        model, behind = before_last_relu(loaded, data.images)
        stand_ins = (joined(f"{spec.title} instead of AlexNet and VGG-11", behind),) if name not in NETWORKS else ()
        lacks = {PRETRAINED: "the weights are random: give --weights"} if random else {}
        subjects.append(
            Subject(
                name=name,
                title=f"{spec.title} with random weights" if random else spec.title,
                model=model,
                data=data,
                class_names=spec.class_names,
                stages=spec.stages,
                layer=spec.grad_cam_layer,
                setting=Setting(stand_ins, lacks),
            )
        )
    return subjects


def digit_subjects(context: Context, count: int) -> list[Subject]:
    """Return the networks of Figure 4 trained on true labels, with test digits, as a substitution."""
    sizes = context.pick(labels.SIZES)
    train_set, test_set = labels.digits(context, sizes)
    title = DATASETS[train_set.name].title
    stand_in = (
        f"AlexNet and VGG-11 of appendix B at {sizes.width:g} of the printed widths, trained on {sizes.train_images} "
        f"images of {title}, instead of pretrained networks, and test digits instead of photographs"
    )
    missing = "small networks were trained on digits: give --model, --weights and --photographs or --data-dir"
    return [
        Subject(
            name=name,
            title=TITLES[name],
            model=labels.trained(context, name, "true-0", sizes, train_set, test_set)[0],
            data=replace(test_set.subset(range(count)), name=title),
            class_names=test_set.class_names or (),
            stages=STAGES[name],
            layer=LAYERS[name],
            setting=Setting((stand_in,), dict.fromkeys(IMAGES, missing)),
        )
        for name in NETWORKS
    ]


def _photographs(context: Context, count: int) -> list[Path]:
    """`count` files spread evenly over the sorted folder, the photograph of broccoli first where there is one."""
    given = context.config.photographs
    folder = Path(given) if given is not None else context.data_folder("imagenet-samples")
    if folder is None or not folder.is_dir():
        raise InvalidInput(
            f"there are no photographs{f' at {folder}' if folder else ''}; give a folder with --photographs, "
            "or imagenet-samples/ in the folder of --data-dir"
        )
    files = image_files(folder)
    if not files:
        raise InvalidInput(f"the folder {folder} holds no image ({', '.join(EXTENSIONS)})")
    first = [file for file in files if SHOWN in file.stem.lower()][:1]
    others = [file for file in files if file not in first]
    wanted = min(count - len(first), len(others))
    return first + [others[index * len(others) // wanted] for index in range(wanted)]

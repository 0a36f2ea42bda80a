"""The ImageNet network and the photographs that it explains."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from probatum.data import ImageSet, Preprocessing, load_photographs
from probatum.errors import InvalidInput
from probatum.experiments.build import preprocessing_of
from probatum.models import ModelSpec, load_model, model_spec
from probatum.reproductions import subjects
from probatum.reproductions.base import Context
from probatum.reproductions.findings import joined
from probatum.reproductions.setting import PRETRAINED, Setting
from probatum.reproductions.subjects import before_last_relu

PAPER_NETWORK = "inception_v3"
SHOWN_FIRST = {
    "ILSVRC2012_val_00015410": "junco",
    "ILSVRC2012_val_00010495": "corn",
    "ILSVRC2012_val_00032239": "terrier",
}
"""The photographs of the paper's figures, which come first where they are among the given ones."""

INCEPTION = Preprocessing((0.5,) * 3, (0.5,) * 3, resize=299, keep_ratio=False)
"""Of the authors' photographs: both sides squashed to 299 pixels, values in [−1, 1]."""

MISSING_NETWORK = (
    "no pretrained network was given; take --model inception_v3, which torchvision downloads, or any other with "
    "--weights FILE, or --preset cpu"
)
MISSING_PHOTOGRAPHS = (
    "no photographs were given; take --photographs FOLDER, or --data-dir with imagenet-samples/ and imagenet-demo/, "
    "the photographs of the authors' repository"
)


@dataclass(frozen=True, eq=False)
class ImageNetTask:
    """A network with photographs.

    Args:
        spec: facts about the network.
        model: on the context's device.
        photographs: preprocessed for it.
        untrained: True if its weights are random.
        layer: the values that are explained where they are not the network's outputs, in words; else "".
    """

    spec: ModelSpec
    model: nn.Module
    photographs: ImageSet
    untrained: bool
    layer: str

    @property
    def title(self) -> str:
        """The network as figures call it."""
        return f"{self.spec.title} with random weights" if self.untrained else self.spec.title

    @property
    def setting(self) -> Setting:
        """The network that replaces the paper's."""
        random = {PRETRAINED: "the weights are random: give --weights"} if self.untrained else {}
        other = self.spec.name != PAPER_NETWORK or self.untrained
        stand_in = joined(f"{self.title} instead of a trained Inception v3", self.layer)
        return Setting((stand_in,) if other else (), random)


def imagenet_task(context: Context, count: int) -> ImageNetTask | str:
    """Load the network and at most `count` photographs, or return the reason why there are none.

    Raises:
        InvalidInput: the preset "paper" without photographs, or a network that takes none.
        ModelError: published weights that cannot be loaded.
    """
    config = context.config
    if config.substitutes and config.model is None:
        return MISSING_NETWORK
    files = photograph_files(context)
    if not files:
        if not config.substitutes or config.model is not None:
            raise InvalidInput(MISSING_PHOTOGRAPHS)
        return MISSING_PHOTOGRAPHS
    spec = model_spec(config.model or PAPER_NETWORK)
    if spec.channels != 3:
        raise InvalidInput(f"{spec.title} takes no photographs; give --model inception_v3 or another of torchvision's")
    preprocessing = INCEPTION if context.wants("inception-preprocessing") else preprocessing_of(spec)
    photographs = load_photographs(files[:count], preprocessing)
    loaded = load_model(spec.name, config.weights, seed=config.seed).to(context.device)
    model, layer = before_last_relu(loaded, photographs.images)
    return ImageNetTask(spec, model, photographs, config.weights == "none", layer)


def photograph_files(context: Context) -> list[Path]:
    """All given photographs, those of the paper's figures first and then by folder and name."""
    first = {name: place for place, name in enumerate(SHOWN_FIRST)}
    return sorted(subjects.photograph_files(context), key=lambda file: first.get(file.stem, len(first)))

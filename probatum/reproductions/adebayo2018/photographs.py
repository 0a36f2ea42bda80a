"""The ImageNet network and the photographs that it explains."""

from pathlib import Path

from probatum.data import Preprocessing, load_photographs
from probatum.errors import InvalidInput
from probatum.reproductions import subjects
from probatum.reproductions.adebayo2018.setting import SIZES
from probatum.reproductions.base import Context
from probatum.reproductions.subjects import Subject, pretrained

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


def imagenet_subject(context: Context) -> Subject | str:
    """The network with its photographs, or the reason why there are none.

    Raises:
        InvalidInput: the preset "paper" without photographs, or a network that takes none.
        ModelError: published weights that cannot be loaded.
    """
    config = context.config
    if config.substitutes and config.model is None:
        return MISSING_NETWORK
    files = photograph_files(context)[: context.pick(SIZES).photographs]
    if not files:
        if not config.substitutes or config.model is not None:
            raise InvalidInput(MISSING_PHOTOGRAPHS)
        return MISSING_PHOTOGRAPHS
    squashed = load_photographs(files, INCEPTION) if context.wants("inception-preprocessing") else files
    return pretrained(context, config.model or PAPER_NETWORK, config.weights, squashed, (PAPER_NETWORK,))


def photograph_files(context: Context) -> list[Path]:
    """All given photographs, those of the paper's figures first and then by folder and name."""
    first = {name: place for place, name in enumerate(SHOWN_FIRST)}
    return sorted(subjects.photograph_files(context), key=lambda file: first.get(file.stem, len(first)))

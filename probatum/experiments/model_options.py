"""From a configuration to the metadata of its model: inputs as asked for, names of the classes."""

from pathlib import Path

from probatum.data import DATASETS
from probatum.errors import InvalidInput
from probatum.experiments.config import CheckConfig
from probatum.models import ModelSpec


def class_names_of(config: CheckConfig, spec: ModelSpec, classes: int) -> tuple[str, ...] | None:
    """The names of a model's classes: those of `classes`, of the data set, or of the published weights.

    Args:
        config: names the list of classes and the data.
        spec: of the model.
        classes: how many logits the model has; names of another number of classes are not its own.

    Returns:
        One name per logit, or None where nothing names them.

    Raises:
        InvalidInput: the list that is asked for has another length.
    """
    if config.classes is not None:
        names = read_class_names(Path(config.classes))
        if len(names) != classes:
            raise InvalidInput(f"{config.classes} names {len(names)} classes, {spec.title} has {classes} logits")
        return names
    of_data = DATASETS[config.data].class_names if config.data in DATASETS else None
    return next((names for names in (of_data, spec.class_names) if names and len(names) == classes), None)


def read_class_names(path: Path) -> tuple[str, ...]:
    """The lines of a text file, or the sub-folders of a folder in the order of torchvision's ImageFolder.

    Raises:
        InvalidInput: there is no such file or folder, or there are no names in it.
    """
    if path.is_dir():
        names = sorted(each.name for each in path.iterdir() if each.is_dir() and not each.name.startswith("."))
    else:
        try:
            names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"{path} is no text file with one class a line, and no folder ({error})") from error
        while names and not names[-1]:
            names.pop()
    if not names or not all(names):
        raise InvalidInput(f"{path} does not name one class a line")
    return tuple(names)

"""Methods that a model cannot have, found on one image before the work begins."""

from collections.abc import Callable, Mapping

from torch import Tensor

from probatum.attributions import METHODS, Method, attribute
from probatum.engine import PreparedModel
from probatum.errors import ModelError
from probatum.experiments.options import SHORT, set_fields

Refusals = tuple[tuple[str, str], ...]
"""Name and reason of each method that is left out."""


def refusals(methods: Mapping[str, Method], prepared: PreparedModel, image: Tensor, target: int | None) -> Refusals:
    """Explains one image by each method, with few points, and gives the name and reason of those that fail."""
    found = []
    for name, method in methods.items():
        short = set_fields(method, SHORT)[0]
        try:
            attribute(prepared, image, target, {name: short})
        except ModelError as error:
            found.append((name, str(error)))
    return tuple(found)


def fitting_methods(
    methods: Mapping[str, Method],
    prepared: PreparedModel,
    image: Tensor,
    target: int | None,
    say: Callable[[str], None] | None,
) -> tuple[dict[str, Method], Refusals]:
    """The methods that a model can have, and the others with their reasons, each of which is said.

    Raises:
        ModelError: the model can have none of them but controls.
    """
    refused = refusals(methods, prepared, image, target)
    names = {name for name, _ in refused}
    left = {name: method for name, method in methods.items() if name not in names}
    if refused and all(name in METHODS and METHODS[name].control for name in left):
        raise ModelError(refused[0][1])
    for name, reason in refused if say is not None else ():
        assert say is not None
        say(f"{name} is left out: {reason}")
    return left, refused

"""Explainer: an attribution method of anybody, given as a function."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Literal

from torch import Tensor

from probatum.attributions.base import Method
from probatum.engine import Evaluation, ExternalMaps, MakeMaps, PreparedModel, Request
from probatum.engine.arguments import require_count
from probatum.errors import InvalidInput


@dataclass(frozen=True)
class Explainer(Method):
    """Maps that a function makes, `call(model, images, targets) -> maps`, of this or another library.

    The function is called with a copy of the model in eval mode that is its own to hook, to take gradients of and to
    call; with images (rows, ...) and targets (rows,), class indices. It returns one map an image, a tensor on the
    images' device or an array: (rows, channel, height, width), (rows, 1, height, width) or (rows, height, width). It
    must explain the model that it is given, which is another one at each stage of a randomization.

    Before each call the global generators of Python, NumPy and torch are seeded from the run's seed and the image, and
    they are restored afterwards. So a map that draws from them depends on the model, the image, the target and the seed
    alone, as long as images are explained one by one.

    Args:
        call: the function.
        title: for tables and figures; empty takes the function's name.
        stochastic: whether the maps depend on the seed; a check then measures the noise ceiling.
        images_at_once: most images in one call. Above 1 it is faster, and a map may depend on the other images of the
            call: as it does where random numbers are drawn, or statistics are taken over the batch.
        on_error: "stop" where the function raises an error, or "skip" the image: its map is NaN. Of maps of NaN, a
            check with `on_nan="record"` counts the failures, and other calls refuse them.
        package: the distribution that the maps come from, such as "captum"; None is the function's own, if any.
        version: of the package; None is that of the installed one.
        source: where the function stands, for records; empty takes its module and name.

    Raises:
        InvalidInput: `call` is no function, `images_at_once` is not positive, or the package is not installed.
        ModelError: when it explains: the function raised an error, returned no maps of the images or maps on another
            device, wrote into its arguments, or left the model changed, such as with a hook.
    """

    call: MakeMaps = field(repr=False)
    title: str = ""
    stochastic: bool = True
    images_at_once: int = 1
    on_error: Literal["stop", "skip"] = "stop"
    package: str | None = None
    version: str | None = None
    source: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.call, type) or not callable(self.call):
            kind = type(self.call)
            found = f"the class {self.call.__name__}" if isinstance(self.call, type) else f"a {kind.__name__}"
            raise InvalidInput(
                f"a method is {found}; give an instance such as Gradient(), a name such as 'gradient', or a function "
                "(model, images, targets) -> maps"
            )
        require_count("images_at_once of an explainer", self.images_at_once)
        if self.on_error not in ("stop", "skip"):
            raise InvalidInput(f"on_error {self.on_error!r} does not exist; choose from stop, skip")
        function = _function(self.call)
        module, name = str(getattr(function, "__module__", "")), str(getattr(function, "__qualname__", ""))
        package = self.package or _distribution(module)
        known = {
            "title": self.title or name.rpartition(".")[2],
            "package": package,
            "version": self.version or _version(package),
            "source": self.source or f"{module}:{name}",
        }
        for setting, text in known.items():
            object.__setattr__(self, setting, text)

    def request(self, prepared: PreparedModel, images: Tensor) -> Request:
        """The function's maps of the images."""
        external = ExternalMaps(self.call, self.title, self.images_at_once, self.on_error)
        return Request(functools.partial(_maps, external), frozenset({external}))


def _maps(external: ExternalMaps, at: Evaluation) -> Tensor:
    return at.results[external][0]


def _function(call: Callable[..., Any]) -> Any:
    """What has a module and a name: the function inside a partial, or the class of an object."""
    while isinstance(call, functools.partial):
        call = call.func
    return call if hasattr(call, "__qualname__") else type(call)


@functools.cache
def _distribution(module: str) -> str | None:
    """The installed distribution that a module belongs to; None for one's own files and for what several have."""
    top = module.partition(".")[0]
    found = set(metadata.packages_distributions().get(top, []))
    if not found:  # Python 3.10 knows only the packages that list their modules
        return _installed_name(top)
    return found.pop() if len(found) == 1 else None


def _installed_name(package: str) -> str | None:
    """The name as the installed package spells it: `xai-friend` for xai_friend."""
    try:
        return metadata.metadata(package)["Name"]
    except (metadata.PackageNotFoundError, ValueError):
        return None


def _version(package: str | None) -> str | None:
    if package is None:
        return None
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError as error:
        raise InvalidInput(f"package {package!r} is not installed; give the name that pip knows") from error

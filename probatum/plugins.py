"""Methods, metrics and models that installed packages register by entry points.

A package registers them in its `pyproject.toml`, and they have names here as soon as it is installed:

    [project.entry-points."probatum.methods"]
    lime = "mypackage.explainers:lime"

Names are read from the packages' metadata; code runs when one is asked for.
"""

from collections.abc import Container
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Literal, TypeAlias

from probatum.errors import InvalidInput, RegistrationWarning, warn
from probatum.imports import described, is_import_path

Group: TypeAlias = Literal["methods", "metrics", "models"]


@dataclass(frozen=True)
class Registered:
    """An entry of a package.

    Args:
        name: by which it is asked for.
        path: `package.module:name` of the object.
        package: the distribution that registers it.
        version: of the package.
    """

    name: str
    path: str
    package: str
    version: str

    def load(self) -> Any:
        """Imports the object; InvalidInput that names the package where its code fails."""
        try:
            return metadata.EntryPoint(self.name, self.path, "probatum").load()
        except Exception as error:
            raise InvalidInput(
                f"{self.name!r} of the package {self.package} {self.version} cannot be loaded: {described(error)}"
            ) from error


def registered(group: Group, taken: Container[str] = ()) -> dict[str, Registered]:
    """The entries of all installed packages by name.

    An entry that cannot be used is left out with a `RegistrationWarning` that names its package: one without the form
    `module:name`, or whose name is taken by this package or by a package before it.

    Args:
        group: of what they register.
        taken: names that no package may take.
    """
    found: dict[str, Registered] = {}
    for point in sorted(metadata.entry_points(group=f"probatum.{group}"), key=_order):
        package, version = _origin(point)
        fault = None
        if not is_import_path(point.value):
            fault = f"it has no form module:name, but {point.value!r}"
        elif point.name in taken:
            fault = "the name is taken by probatum"
        elif point.name in found:
            fault = f"the name is taken by the package {found[point.name].package}"
        if fault is None:
            found[point.name] = Registered(point.name, point.value, package, version)
        else:
            warn(
                RegistrationWarning(f"{point.name!r} in probatum.{group} of the package {package} is left out: {fault}")
            )
    return found


def _order(point: metadata.EntryPoint) -> tuple[str, str]:
    return _origin(point)[0], point.name


def _origin(point: metadata.EntryPoint) -> tuple[str, str]:
    """Name and version of the package."""
    package = point.dist
    return (package.name, package.version) if package is not None else ("unknown", "")

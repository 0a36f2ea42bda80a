"""Attribution maps for PyTorch classifiers, and the sanity checks that tell which of them deserve trust."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probatum.api import attribute_model, check_model
    from probatum.attributions import attribute, attribute_stream
    from probatum.experiments import judge, read_run, sanity_check

__all__ = [
    "attribute",
    "attribute_model",
    "attribute_stream",
    "check_model",
    "judge",
    "read_run",
    "sanity_check",
]
__version__ = "0.2.0"

_MODULES = {
    "attributions": ("attribute", "attribute_stream"),
    "experiments": ("judge", "read_run", "sanity_check"),
    "api": ("attribute_model", "check_model"),
}


def __getattr__(name: str) -> Any:
    """Imports torch only when a function is asked for, so that the command line answers at once."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"probatum.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

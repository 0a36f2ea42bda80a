"""Attribution maps for PyTorch classifiers, and the sanity checks that tell which of them deserve trust."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probatum.attributions import attribute, attribute_stream

__all__ = ["attribute", "attribute_stream"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Imports torch only when a function is asked for, so that the command line answers at once."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from probatum import attributions

    return getattr(attributions, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

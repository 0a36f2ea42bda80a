"""Titles of methods, also of those that are not in this package's table."""

from probatum.attributions import METHODS


def title_of(method: str) -> str:
    """The title of a method, or the name of one that is not in the table."""
    return METHODS[method].title if method in METHODS else method


def is_control(method: str) -> bool:
    """Tells whether a method is known to never use the model."""
    return method in METHODS and METHODS[method].control

"""Checks of arguments that many functions take."""

from numbers import Integral

from probatum.errors import InvalidInput


def require_count(what: str, value: object, least: int = 1) -> None:
    """Raises InvalidInput unless a number is an int of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InvalidInput(f"{what} is {value!r}; give a whole number (int) of at least {least}")
    if int(value) < least:
        raise InvalidInput(f"{what} is {value}; give at least {least}")

"""Names as people write them: the nearest ones to a misspelt one, and the numbers of figures."""

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path


def near(name: str, choices: Iterable[str]) -> list[str]:
    """At most three of the choices that resemble a name, the nearest first."""
    by_lower_case = {choice.lower(): choice for choice in choices}
    found = difflib.get_close_matches(name.lower(), by_lower_case, n=3, cutoff=0.5)
    return [by_lower_case[low] for low in found]


def near_paths(path: Path) -> tuple[Path, list[Path]]:
    """The first part of a path that does not exist, and what resembles it in the folder around it."""
    absent = path
    while not absent.parent.exists() and absent.parent != absent:
        absent = absent.parent
    try:
        beside = [name for name in os.listdir(absent.parent) if not name.startswith(".")]
    except OSError:  # no folder, or one that may not be read
        beside = []
    return absent, [absent.parent / name for name in near(absent.name, beside)]


def figure_key(number: str) -> str:
    """A figure or table as the terminal takes it: "Figure 10", "figure-10" and "fig10" are "figure10"."""
    plain = re.sub(r"[^a-z0-9]", "", number.lower())
    return re.sub(r"^fig(?=\d)", "figure", plain)

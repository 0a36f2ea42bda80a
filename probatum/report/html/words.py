"""Texts and numbers as the page shows them."""

import math
import shlex
import unicodedata
from collections.abc import Iterable
from dataclasses import fields
from pathlib import PurePath
from typing import Any

from probatum.attributions import title_of
from probatum.experiments.config import CheckConfig

LONGEST = 600  # letters of one text; names and labels come from anywhere
_NO_OPTION = ("on_refused",)  # of `CheckConfig`: it follows from whether methods are named
_UNSEEN = frozenset(("Cc", "Cf", "Cn", "Co", "Cs"))


def plain(text: str) -> str:
    """A text in one line without signs that act on their surroundings: these are spelt out, as ⟨U+202E⟩.

    White space is one space; control, format (direction among them), surrogate and unassigned signs are spelt out.
    """
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"
    line = " ".join(text.split())
    return "".join(f"⟨U+{ord(sign):04X}⟩" if unicodedata.category(sign) in _UNSEEN else sign for sign in line)


def number(value: float, digits: int = 2) -> str:
    """A number with a true minus sign and no negative zero; a dash where there is none."""
    if not math.isfinite(value):
        return "–"
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def listed(names: Iterable[str]) -> str:
    """Names in a row: "a, b and c"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def refusals_in_words(refused: Iterable[dict[str, Any]]) -> list[str]:
    """A sentence for each method that was left out, from `config.json`."""
    return [f"{title_of(str(each['method']))} was left out: {each['reason']}." for each in refused]


def settings(facts: dict[str, Any]) -> str:
    """One line of the output of `experiments.build.describe`: "SmoothGrad(Gradient, samples 50)"."""
    parts = []
    for name, value in facts.items():
        if name in ("class", "title") or value is None:
            continue
        if isinstance(value, dict):
            parts.append(settings(value))
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            parts.append(f"{name.replace('_', ' ')} {shown}")
    inner = ", ".join(part for part in parts if part)
    kind = str(facts.get("class", ""))
    return f"{kind}({inner})" if inner else kind


def short_name(path: str) -> str:
    """The last part of a path; folders of somebody's machine are no news."""
    return PurePath(path).name or path


def command(verb: str, config: dict[str, Any], positional: Iterable[str] = (), skip: Iterable[str] = ()) -> str:
    """The command line of a configuration: every setting that is not the default, quoted for a POSIX shell."""
    words = ["probatum", verb, *map(str, positional)]
    for field in fields(CheckConfig):
        value = config.get(field.name, field.default)
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        if value == default or field.name in (*_NO_OPTION, *skip):
            continue
        if value is True:
            words.append(f"--{field.name.replace('_', '-')}")
            continue
        shown = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        words += [f"--{field.name.replace('_', '-')}", shown]
    return shlex.join(words)

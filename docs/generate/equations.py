"""Equations of the pages, `$...$` in a line and `$$...$$` apart, as MathML, which browsers show without a script."""

import re

from latex2mathml.converter import convert

_CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
_APART = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)
_IN_LINE = re.compile(r"\$([^$\n]+)\$")


def typeset(text: str) -> str:
    """Replaces the equations of a page; code stays as it is."""
    parts = _CODE.split(text)
    parts[::2] = [_IN_LINE.sub(_inline, _APART.sub(_block, part)) for part in parts[::2]]
    return "".join(parts)


def _block(found: re.Match[str]) -> str:
    return f'<div class="equation">{convert(_one_line(found[1]), display="block")}</div>'


def _inline(found: re.Match[str]) -> str:
    return convert(found[1])


def _one_line(latex: str) -> str:
    return " ".join(latex.split())

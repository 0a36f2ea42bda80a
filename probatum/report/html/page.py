"""Templates into one file: texts cleaned and escaped, style and script inlined, everything else forbidden."""

import base64
import hashlib
import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, UndefinedError
from markupsafe import Markup

from probatum.errors import InvalidInput
from probatum.experiments.tables import count
from probatum.report.html.pictures import DataURI
from probatum.report.html.words import number, plain

_MARKUP = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


def render(template: str, **values: Any) -> str:
    """The page that a template makes of some values; `data` becomes the JSON that the script reads."""
    style, script = _asset("report.css"), _asset("report.js")
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    )
    values |= {"data": json_text(values.get("data"))}
    try:
        page = (
            _templates()
            .get_template(template)
            .render(**values, policy=policy, style=Markup(style), script=Markup(script))
        )
    except UndefinedError as error:
        raise InvalidInput(f"a value that the page shows is not there: {error}") from error
    return _dense(page)


def json_text(values: Any) -> Markup:
    """JSON that is ASCII and holds no sign of HTML: inside a script element it cannot end it, nor open another."""
    return Markup(json.dumps(_cleaned(values), separators=(",", ":"), allow_nan=False).translate(_MARKUP))


def _cleaned(values: Any) -> Any:
    """Copies values, with every text made plain."""
    if isinstance(values, dict):
        return {plain(key): _cleaned(value) for key, value in values.items()}
    if isinstance(values, (list, tuple)):
        return [_cleaned(value) for value in values]
    return _shown(values)


def _shown(value: Any) -> Any:
    """Makes a text plain; every text that enters the page passes through here."""
    return plain(value) if isinstance(value, str) and not isinstance(value, (DataURI, Markup)) else value


@lru_cache(maxsize=1)
def _templates() -> Environment:
    """The templates of this package, everything escaped."""
    templates = Environment(
        loader=PackageLoader("probatum.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"number": number, "count": count}
    return templates


def _asset(name: str) -> str:
    return _dense(files("probatum.report.html").joinpath("templates", name).read_text(encoding="utf-8")).strip()


def _dense(text: str) -> str:
    """Without empty lines, in assets too: the browser hashes what stands in the page."""
    return "\n".join(line.rstrip() for line in text.split("\n") if line.strip()) + "\n"


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

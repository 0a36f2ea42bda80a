"""What happens while the site is built: pages are made from the tables of the package, so that none is forgotten."""

import re
from typing import Any

import api_pages
import equations
import fact_tables
import method_pages
import metric_pages
import paper_pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_MADE: dict[str, str] = {}  # path and text of each generated page
_NAME = re.compile(r"(<t[dh]>(?:<code>[^<]*</code>, )*)<code>([\w.-]{1,20})</code>")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Makes the pages, and lists them in the navigation at the entries that name their folder."""
    for room in (method_pages, paper_pages, api_pages):
        _MADE.update(room.pages())
    config.nav = [_listed(entry) for entry in config.nav or []]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages."""
    for path, text in _MADE.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Puts tables of facts into written pages, or facts behind their text, and sets the equations."""
    text = fact_tables.fill(markdown)
    for room in (method_pages, metric_pages, paper_pages):
        text = room.fill(page.file.src_uri, text)
    return equations.typeset(text)


def on_page_content(html: str, **_: Any) -> str:
    """Marks short names in tables, which the style sheet does not break."""
    return _NAME.sub(r'\1<code class="name">\2</code>', html)


def _listed(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    ((title, target),) = entry.items()
    if isinstance(target, list):
        return {title: [_listed(each) for each in target]}
    if target.endswith("/"):
        paths = (*_MADE, *method_pages.written(), *metric_pages.written(), *paper_pages.written())
        return {title: [path for path in paths if path.startswith(target)]}
    return entry

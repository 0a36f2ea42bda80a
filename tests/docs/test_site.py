"""The documentation site: a strict build, which fails at a dead link, and what must be on its pages."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from probatum.attributions import METHODS
from probatum.reproductions import PAPERS

ROOT = Path(__file__).parents[2]
PICTURES = {path.stem: path for path in (ROOT / "docs" / "figures" / "methods").glob("*.png")}
LARGEST = 75_000  # bytes of a picture, for there is one for every method


def test_every_method_has_a_small_picture():
    lacking = sorted(set(METHODS) - set(PICTURES))
    assert not lacking, f"run: python docs/make_figures.py --methods {','.join(lacking)}"
    assert [name for name, path in PICTURES.items() if path.stat().st_size > LARGEST] == []


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    for module in ("mkdocs", "material", "mkdocstrings_handlers.python"):
        try:
            found = importlib.util.find_spec(module)
        except ModuleNotFoundError:
            found = None
        if found is None:
            pytest.skip(f"{module} is not installed; pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def text_of(site: Path, page: str) -> str:
    return (site / page).read_text(encoding="utf-8")


@pytest.mark.extra
@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_page_with_equation_source_and_picture(name, site):
    module = type(METHODS[name].make()).__module__
    page = text_of(site, f"methods/{module.rpartition('.')[2].replace('_', '-')}.html")
    assert f"figures/methods/{name}.png" in page
    assert f"{module.replace('.', '/')}.py" in page
    assert re.search(r"(M|M\(x\)|M\(x\)_i|R_in) = ", page)
    assert f'id="{name}"' in page


@pytest.mark.extra
def test_differences_from_the_paper_are_on_the_page(site):
    assert "Differs from the paper" in text_of(site, "methods/deeplift.html")


@pytest.mark.extra
@pytest.mark.parametrize("paper", PAPERS)
def test_every_paper_has_a_page_with_its_scorecard(paper, site):
    page = text_of(site, f"papers/{paper}.html")
    assert f"probatum reproduce {paper}" in page
    assert "Verdict." in page


@pytest.mark.extra
def test_commands_and_columns_are_those_of_the_code(site):
    commands = text_of(site, "cli.html")
    assert all(f"probatum {name}" in commands for name in ("check", "attribute", "reproduce", "bench", "list"))
    assert "--keep-maps" in commands
    assert "image,target,method,stage,step,trial,metric,score,constant" in text_of(site, "runs.html")


@pytest.mark.extra
def test_no_page_loads_anything_from_elsewhere(site):
    loads = re.compile(r"""<(?:script|link|img|iframe)[^>]+(?:src|href)=["']?(?:https?:)?//[^"'> ]+""")
    for page in site.rglob("*.html"):
        assert loads.findall(page.read_text(encoding="utf-8")) == [], page.name


@pytest.mark.extra
def test_no_mark_was_left_and_no_path_of_this_machine_got_in(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "<!-- table" not in text, page.name
        assert str(ROOT) not in text, page.name

"""The files around the package agree with it: version, citation, changelog, paper."""

import re
from pathlib import Path

import pytest

import probatum

TOP = Path(__file__).parents[1]


def text(name: str) -> str:
    return (TOP / name).read_text(encoding="utf-8")


def test_version_is_the_same_everywhere():
    assert re.findall(r"^version: (.+)$", text("CITATION.cff"), re.MULTILINE) == [probatum.__version__]
    headings = re.findall(r"^## \[(.+?)\]", text("CHANGELOG.md"), re.MULTILINE)
    unreleased = text("CHANGELOG.md").partition("## [Unreleased]")[2].partition("\n## ")[0]
    assert probatum.__version__ in headings or probatum.__version__ in unreleased


def test_the_package_carries_its_license_and_its_types():
    assert "BSD 3-Clause" in text("LICENSE")
    assert Path(probatum.__file__).with_name("py.typed").is_file()


@pytest.mark.parametrize("key", ["cff-version", "message", "title", "authors", "license", "type"])
def test_the_citation_has_what_its_format_requires(key):
    assert re.search(rf"^{key}:", text("CITATION.cff"), re.MULTILINE)


def test_the_paper_cites_what_its_bibliography_holds():
    cited = set(re.findall(r"@([a-z]+\d{4})", text("paper.md")))
    assert cited == set(re.findall(r"^@\w+\{(\w+),", text("paper.bib"), re.MULTILINE))


def test_what_is_installed_without_extras_is_needed():
    """Each distribution that every installation brings is imported by the package."""
    imported = "\n".join(path.read_text(encoding="utf-8") for path in (TOP / "probatum").rglob("*.py"))
    block = text("pyproject.toml").partition("\ndependencies = [")[2].partition("]")[0]
    names = {"scikit-image": "skimage", "opencv-python-headless": "cv2", "pillow": "PIL"}
    for name in re.findall(r'"([a-z-]+)>=', block):
        module = names.get(name, name.replace("-", "_"))
        assert re.search(rf"^\s*(import|from) {module}\b", imported, re.MULTILINE), name


def test_the_page_of_licenses_names_every_package_that_is_installed():
    block = text("pyproject.toml").partition("\ndependencies = [")[2].partition("\ndocs = [")[0]
    page = text("docs/licenses.md")
    assert [name for name in re.findall(r'"([a-z-]+)>=', block) if name not in page] == []


def test_opencv_is_imported_where_digits_are_rendered_and_nowhere_else():
    sources = Path(probatum.__file__).parent.rglob("*.py")
    at_import = re.compile(r"^(import|from) cv2", re.MULTILINE)
    assert not [path.name for path in sources if at_import.search(path.read_text(encoding="utf-8"))]

"""Objects of a user's own code by name."""

import sys

import pytest

from probatum.attributions import get_method, is_method_name
from probatum.errors import InvalidInput, UnknownName
from probatum.imports import import_object, is_import_path
from probatum.models.registry import find_source

CODE = """
from dataclasses import dataclass
from beside import number

@dataclass(frozen=True)
class Thing:
    size: int = number

    def double(self):
        return 2 * self.size

thing = Thing()
loads = []
loads.append(1)
"""


@pytest.fixture
def folder(code_folder):
    """A file, a module that it imports, and a package."""
    (code_folder / "calendar.py").write_text(CODE)
    (code_folder / "beside.py").write_text("number = 21")
    (code_folder / "own_package").mkdir()
    (code_folder / "own_package" / "__init__.py").touch()
    (code_folder / "own_package" / "things.py").write_text("from own_package import other\nmake = list")
    (code_folder / "own_package" / "other.py").touch()
    return code_folder


def test_a_file_is_imported_once_with_its_neighbors_and_hides_no_module_of_its_name(folder):
    import calendar

    thing = import_object("./calendar.py:thing")
    assert thing.double() == 42
    assert import_object(f"{folder / 'calendar.py'}:Thing.double")(thing) == 42
    assert import_object("calendar.py:loads") == [1]
    assert sys.modules["calendar"] is calendar


def test_a_module_is_found_from_the_current_folder(folder):
    assert import_object("own_package.things:make") is list
    assert import_object("collections:OrderedDict.fromkeys")("a") == {"a": None}


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("1 / 0", ["ZeroDivisionError", "broken.py, line 2"]),
        ("def f(:", ["SyntaxError", "broken.py, line 2"]),
        ("import absent_library", ["absent_library"]),
        ("raise SystemExit('stop\\nhere')", ["SystemExit", "stop"]),
    ],
)
def test_an_error_in_the_code_is_named_in_one_line_and_the_next_import_runs_it_again(folder, code, named):
    for path in ("./broken.py:f", "broken:f"):
        (folder / "broken.py").write_text(f"\n{code}\n")
        with pytest.raises(InvalidInput) as caught:
            import_object(path)
        assert "broken" in str(caught.value)
        assert all(word in str(caught.value) for word in named)
        assert "\n" not in str(caught.value)
    (folder / "broken.py").write_text("f = 3")
    assert import_object("./broken.py:f") == 3


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("absent.py:f", "absent.py"),
        ("absent_package.models:f", "absent_package"),
        ("own_package.absent:f", "own_package.absent"),
    ],
)
def test_what_is_not_there_is_named(folder, path, named):
    with pytest.raises(InvalidInput, match=named):
        import_object(path)


def test_a_wrong_name_suggests_the_right_one(folder):
    with pytest.raises(UnknownName, match=r"thin.*'thing'"):
        import_object("calendar.py:thin")


def test_only_what_the_file_defines_is_offered(folder):
    (folder / "few.py").write_text(
        "import math\nfrom pathlib import Path\nclass Own: pass\nmade = Own()\ndef call(): pass\n"
    )
    with pytest.raises(UnknownName, match=r"choose from: Own, call, made$"):
        import_object("few.py:zebra")


@pytest.mark.parametrize("path", ["a/b", "resnet18", "hf:org/name", "https://x.org/a.py", ":f", "a.py:", "timm:a b"])
def test_a_text_of_another_form_is_refused(path):
    assert not is_import_path(path)
    with pytest.raises(InvalidInput, match=r"package\.module:name"):
        import_object(path)


@pytest.mark.parametrize("named", [find_source, get_method, is_method_name])
def test_a_file_without_the_name_of_an_object_is_told_how_to_name_one(named):
    with pytest.raises(InvalidInput, match=r"\./net\.py:NAME"):
        named("./net.py")

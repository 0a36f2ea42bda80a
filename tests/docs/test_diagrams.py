"""The diagrams of the engine's page: they are those of the script, and show the layers that the tests enforce."""

import runpy

from docs.code_blocks import PAGES
from test_layering import BELOW, PACKAGE

SCRIPT = runpy.run_path(str(PAGES / "make_diagrams.py"))
LAYER = {room: depth for depth, layer in enumerate(SCRIPT["LAYERS"]) for room, _ in layer}


def test_the_stored_pictures_are_those_of_the_script():
    for name, text in SCRIPT["drawn"]().items():
        assert (PAGES / "figures" / name).read_text(encoding="utf-8") == text, "run: python docs/make_diagrams.py"


def test_every_folder_of_the_package_has_its_place():
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders | {"cli", "maps"} == set(LAYER)


def test_a_room_may_import_from_the_layers_below_alone():
    assert all(LAYER[room] < LAYER[below] for room in LAYER for below in BELOW[room] & set(LAYER))

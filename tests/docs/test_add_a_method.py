"""The worked example of "Add a method in one file": its code runs as it stands, and its method keeps the laws."""

import sys
from types import ModuleType

import pytest
import torch
from attributions import table, test_laws
from docs.code_blocks import python_blocks
from nets import ConvNet, images, seeded

from probatum.attributions import registry

THE_FILE, FROM_PYTHON, ROW, LAWS_ROW, ITS_TEST = python_blocks("add-a-method.md")
NAME = "xgrad-cam"
LAWS = (
    test_laws.test_computed_together_equals_computed_alone,
    test_laws.test_only_noisy_methods_depend_on_the_seed,
)


@pytest.fixture
def method(monkeypatch):
    """The class, where its file would be."""
    module = ModuleType("probatum.attributions.xgrad_cam")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(THE_FILE, "xgrad_cam.py", "exec"), vars(module))
    return module.XGradCAM


@pytest.fixture
def listed(method, monkeypatch):
    """The method in the table of the laws, by the page's own line."""
    monkeypatch.setitem(table.METHODS, NAME, None)  # so that the row is taken out again
    monkeypatch.setitem(table.POINTS, NAME, 1)
    exec(LAWS_ROW, {"METHODS": table.METHODS, "XGradCAM": method})
    monkeypatch.setitem(table.EVERY, NAME, table.METHODS[NAME])
    return table.METHODS[NAME]


def test_its_use_from_python(method):
    names = {"model": seeded(ConvNet), "images": images(2, (2, 16, 14))}  # SSIM needs 11 pixels
    exec(FROM_PYTHON, names)
    assert list(names["panel"]) == ["XGrad-CAM", "Grad-CAM", "SmoothGrad"]
    assert all(maps.shape == (2, 1, 16, 14) for maps in names["panel"].values())
    assert names["result"].methods == (NAME,)


def test_its_row_in_the_registry(method, monkeypatch):
    monkeypatch.setitem(registry.METHODS, NAME, None)
    exec(ROW, {"METHODS": registry.METHODS, "MethodEntry": registry.MethodEntry, "XGradCAM": method})
    assert registry.get_method(NAME) == method()
    assert registry.METHODS[NAME].title == method.title


def test_its_own_test_passes(method):
    names = {}
    exec(ITS_TEST, names)
    names["test_map_sums_to_the_logit_less_its_bias"]()


def test_its_own_test_can_fail(method, monkeypatch):
    monkeypatch.setattr(method, "value", lambda self, at, feature_map: feature_map.read(at)[0].sum(1, keepdim=True))
    names = {}
    exec(ITS_TEST, names)
    with pytest.raises(AssertionError):
        names["test_map_sums_to_the_logit_less_its_bias"]()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_it_is_independent(listed, dtype, tolerance):
    test_laws.test_independence_of_neighbors_chunk_order_and_other_methods(NAME, dtype, tolerance)


@pytest.mark.parametrize("mode", [True, False])
def test_it_leaves_the_callers_world_as_found(listed, mode):
    test_laws.test_the_callers_world_is_left_as_found(NAME, mode, raises=False)


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_it_calls_the_model_as_seldom_as_the_chunk_allows(listed, chunk):
    test_laws.test_model_calls_are_as_few_as_the_chunk_allows(NAME, chunk)


@pytest.mark.parametrize("law", LAWS)
def test_it_keeps_the_law(listed, law):
    law(NAME, {NAME: listed(table.network(NAME), images(), test_laws.TARGETS, seed=3)})

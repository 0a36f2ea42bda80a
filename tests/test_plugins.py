"""Entry points of installed packages: names without imports, objects when they are asked for, faults that name them."""

import sys

import numpy as np
import pytest
import torch
from nets import ConvNet, images, seeded

from probatum.attributions import attribute, get_method
from probatum.errors import InvalidInput, RegistrationWarning, UnknownName
from probatum.experiments import CheckConfig, sanity_check
from probatum.metrics import get_metric
from probatum.models import load_model
from probatum.plugins import registered
from probatum.terminal.catalog import Kind, names, table_of

CODE = """
from dataclasses import replace
import torch
from probatum.attributions import Gradient
from probatum.metrics import METRICS

def squares(model, images, targets):
    return images.square()

class Own(Gradient):
    title = "Own gradient"

own = Own()
angle = replace(METRICS["cosine"], title="Angle")

def make():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a package with entry points into a folder on the import path."""

    def into(name, code, **groups):
        module = name.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(code)
        info = tmp_path / f"{module}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        lines = [f"[probatum.{group}]\n" + "\n".join(f"{k} = {v}" for k, v in e.items()) for group, e in groups.items()]
        (info / "entry_points.txt").write_text("\n\n".join(lines) + "\n")
        monkeypatch.delitem(sys.modules, module, raising=False)

    monkeypatch.syspath_prepend(tmp_path)
    return into


@pytest.fixture
def friend(install):
    methods = {"squares": "xai_friend:squares", "own-gradient": "xai_friend:own"}
    install(
        "xai-friend", CODE, methods=methods, metrics={"angle": "xai_friend:angle"}, models={"tiny": "xai_friend:make"}
    )


def test_registered_names_are_listed_without_an_import(friend):
    assert names(Kind.methods)[-2:] == ["own-gradient", "squares"]
    columns, rows = table_of(Kind.methods)
    assert dict(zip(columns, rows[-1], strict=True))["source"] == "xai-friend 1.2"
    assert names(Kind.metrics)[-1] == "angle"
    assert names(Kind.models)[-1] == "tiny"
    CheckConfig(methods=("squares",), metrics=("angle",))
    assert "xai_friend" not in sys.modules


def test_registered_methods_and_metrics_are_used_by_name(friend):
    net, batch = seeded(ConvNet), images(2)
    maps = attribute(net, batch, None, ["squares", "own-gradient", "gradient"])
    assert torch.equal(maps["squares"], batch.square())
    assert torch.equal(maps["own-gradient"], maps["gradient"])
    squares = get_method("squares")
    assert (squares.title, squares.package, squares.version) == ("squares", "xai-friend", "1.2")
    result = sanity_check(net, batch, methods=["gradient"], metrics=["angle", "cosine"])
    np.testing.assert_array_equal(result.of("gradient", "angle"), result.of("gradient", "cosine"))
    assert get_metric("angle").name == "angle"


def test_registered_models_are_loaded_by_name(friend):
    model = load_model("tiny", seed=0)
    assert model(torch.ones(1, 3, 2, 2)).shape == (1, 3)
    with pytest.raises(UnknownName, match="'tiny'"):
        load_model("tinny")


def test_what_cannot_be_loaded_names_its_package(install):
    install("xai-broken", "import no_such_module", methods={"lost": "xai_broken:f"}, metrics={"odd": "math:pi"})
    with pytest.raises(InvalidInput, match=r"'lost' of the package xai-broken 1\.2.*no_such_module"):
        get_method("lost")
    with pytest.raises(InvalidInput, match=r"xai-broken.*not a Metric"):
        get_metric("odd")
    with pytest.raises(UnknownName, match="'lost'"):
        get_method("lostt")


@pytest.mark.parametrize(
    ("entry", "words"),
    [({"gradient": "xai_rude:f"}, "taken by probatum"), ({"odd": "no module"}, "form"), ({"same": "a:f"}, "xai-first")],
)
def test_what_cannot_be_registered_is_left_out_with_a_warning(install, entry, words):
    install("xai-first", "", methods={"same": "xai_first:f"})
    install("xai-rude", "", methods=entry)
    with pytest.warns(RegistrationWarning, match=rf"xai-rude.*{words}"):
        found = registered("methods", {"gradient"})
    assert {each.package for each in found.values()} == {"xai-first"}

"""The options of a check reach every method that has a field of that name, and no option is ignored."""

from dataclasses import dataclass, fields, is_dataclass, replace

import pytest

from probatum.attributions import (
    METHODS,
    Black,
    DeepLiftSHAP,
    Gradient,
    GradientSHAP,
    IntegratedGradients,
    MethodEntry,
    SmoothGrad,
)
from probatum.attributions.baselines import as_baseline
from probatum.errors import InvalidInput
from probatum.experiments.build import configured_methods, preprocessing_of
from probatum.experiments.config import DEFAULT_METHODS, CheckConfig
from probatum.models import model_spec

SPEC = model_spec("resnet18")
GIVEN = {"samples": 7, "steps": 9, "layer": "layer1", "layout": "tokens:1:14x14", "baseline": "blurred"} | {
    "composite": "epsilon-gamma"
}


def configured(*names, **options):
    return configured_methods(CheckConfig(methods=names, **options), SPEC, preprocessing_of(SPEC))


def held(method):
    """All (option, value) in a method and its parts; of noisy baselines under the options' names."""
    for field in fields(method):
        value = getattr(method, field.name)
        yield {"center": "baseline", "count": "samples"}.get(field.name, field.name), value
        if is_dataclass(value):
            yield from held(value)


@dataclass(frozen=True)
class Late(Gradient):
    """A method that is added later."""

    samples: int = 1
    steps: int = 1
    layer: str | None = None
    layout: str = "auto"
    baseline: str = "mean"
    composite: str = "epsilon"


@pytest.mark.parametrize("name", METHODS)
def test_without_options_a_method_is_the_tables(name):
    made = METHODS[name].make()
    if "layer" in dict(held(made)):
        made = replace(made, layer=SPEC.grad_cam_layer)
    assert configured(name)[name] == made


@pytest.mark.parametrize("option", GIVEN)
@pytest.mark.parametrize("name", METHODS)
def test_an_option_reaches_each_method_that_has_it_and_is_refused_by_the_others(name, option):
    before = list(held(METHODS[name].make()))
    if option not in dict(before):
        with pytest.raises(InvalidInput, match=f"--{option} fits none of the chosen methods \\({name}\\)"):
            configured(name, **{option: GIVEN[option]})
        return
    found = [value for key, value in held(configured(name, **{option: GIVEN[option]})[name]) if key == option]
    wanted = GIVEN[option] if option != "baseline" else as_baseline(GIVEN[option])
    reached = [(as_baseline(value) if option == "baseline" else value) == wanted for value in found]
    # GradientSHAP draws one baseline a sample, so that its own samples are meant.
    assert all(reached) or (isinstance(METHODS[name].make(), GradientSHAP) and reached == [True, False])


def test_a_method_that_is_added_later_takes_its_options(monkeypatch):
    monkeypatch.setitem(METHODS, "late", MethodEntry("Late", Late, "nobody"))
    monkeypatch.setitem(METHODS, "late-sg", MethodEntry("Late-SG", lambda: SmoothGrad(Late()), "nobody"))
    late = Late(**GIVEN)
    assert configured("late", "late-sg", **GIVEN) == {"late": late, "late-sg": SmoothGrad(late, samples=7)}
    assert configured("late")["late"] == Late(layer=SPEC.grad_cam_layer)  # its own baseline stays
    assert "late" not in CheckConfig().methods


def test_one_method_that_has_an_option_is_enough():
    assert configured("gradient", "integrated-gradients", steps=9)["integrated-gradients"].steps == 9


def test_the_refusal_names_methods_that_have_it():
    with pytest.raises(InvalidInput, match="integrated-gradients"):
        configured("gradient", steps=9)


def test_a_preset_that_smooths_takes_the_samples():
    assert configured("gradient", preset="smprt", samples=7) == {"gradient": SmoothGrad(Gradient(), 7, 0.1)}


def test_black_depends_on_the_preprocessing():
    black = Black(preprocessing_of(SPEC).black)
    names = ("integrated-gradients", "deeplift-shap", "gradient-shap")
    path, deep, gradient = configured(*names, baseline="black", samples=7).values()
    assert path == IntegratedGradients(baseline=black)
    assert (deep.baselines.center, deep.baselines.count) == (black, 7)
    assert (gradient.baselines.center, gradient.samples) == (black, 7)
    assert isinstance(deep, DeepLiftSHAP)


def test_the_default_methods_are_written_down():
    assert CheckConfig().methods == DEFAULT_METHODS
    assert (
        *("gradient", "smoothgrad", "input-x-gradient", "input-x-gradient-sg", "guided-backprop", "grad-cam"),
        *("guided-grad-cam", "integrated-gradients", "integrated-gradients-local"),
        "integrated-gradients-sg-joint",
        "edge-detector",
    ) == DEFAULT_METHODS

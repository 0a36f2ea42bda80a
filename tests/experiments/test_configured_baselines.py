"""The options of a check reach the methods with baselines."""

import pytest

from probatum.attributions import METHODS, Black, DeepLIFT, DeepLiftSHAP, GradientSHAP
from probatum.attributions.baselines import as_baseline
from probatum.experiments.build import configured_method, preprocessing_of
from probatum.experiments.config import DEFAULT_METHODS, CheckConfig
from probatum.models import model_spec

FAMILY = [name for name in METHODS if name.startswith(("deeplift", "gradient-shap"))]
SPEC = model_spec("resnet18")


def configured(name, **options):
    return configured_method(name, CheckConfig(**options), SPEC, preprocessing_of(SPEC))


@pytest.mark.parametrize("name", FAMILY)
def test_without_options_they_are_the_tables(name):
    assert configured(name) == METHODS[name].make()
    assert configured(name).multiply_by_inputs is not name.endswith("local")


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("baseline", ["black", "blurred"])
def test_baseline_and_samples_reach_them(name, baseline):
    method = configured(name, baseline=baseline, samples=7)
    expected = Black(preprocessing_of(SPEC).black) if baseline == "black" else as_baseline(baseline)
    if isinstance(method, DeepLIFT):
        assert as_baseline(method.baseline) == expected
        return
    assert method.baselines.center == expected
    assert isinstance(method, (DeepLiftSHAP, GradientSHAP))
    assert (method.baselines.count if isinstance(method, DeepLiftSHAP) else method.samples) == 7


def test_they_are_asked_for_by_name():
    assert len(FAMILY) == 6
    assert not set(FAMILY) & set(DEFAULT_METHODS)

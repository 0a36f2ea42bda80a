import pytest
import torch
from random_nets import IMAGES, trained

from probatum.errors import UnknownName
from probatum.randomization import (
    PRESETS,
    Identity,
    Moments,
    Normal,
    Reset,
    Smoothing,
    Xavier,
    automatic_stages,
    preset,
)

FACTS = {  # order, initializer, redraw, trials
    "adebayo": ("cascading", Reset(), False, 1),
    "adebayo-independent": ("independent", Reset(), False, 1),
    "wienecke": ("cascading", Moments(), True, 1),
    "shin": ("cascading", Normal(0.01), False, 1),
    "kokhlikyan": ("cascading", Xavier("uniform"), False, 10),
    "bottom-up": ("bottom-up", Reset(), False, 1),
    "smprt": ("bottom-up", Reset(), False, 1),
    "emprt": ("full", Reset(), False, 1),
    "random-logit": ("logit", Identity(), False, 1),
}


def test_presets_are_the_papers_protocols():
    facts = {name: (each.order, each.initializer, each.redraw, each.trials) for name, each in PRESETS.items()}
    assert facts == FACTS
    assert all(each.batch_norm == "keep-statistics" for each in PRESETS.values())


@pytest.mark.parametrize("name", PRESETS)
def test_presets_make_randomizers(name):
    model = trained("resnet")
    made = preset(name).randomizer(model, automatic_stages(model, IMAGES), seed=3)
    assert (made.order, made.initializer, made.redraw, made.seed) == (*FACTS[name][:3], 3)
    targets = model(IMAGES).argmax(1)
    same_logits = torch.equal(made.model(1)(IMAGES), model(IMAGES))
    same_targets = torch.equal(made.targets(IMAGES, targets), targets)
    assert (same_logits, same_targets) == ((True, False) if name == "random-logit" else (False, True))


def test_what_belongs_to_a_protocol_beside_the_randomization():
    assert {name for name, each in PRESETS.items() if each.metrics} == {"emprt"}
    assert PRESETS["emprt"].metrics == ("entropy-rise",)
    assert {name for name, each in PRESETS.items() if each.smoothing} == {"smprt"}
    assert PRESETS["smprt"].smoothing == Smoothing(samples=50, noise_fraction=0.1)


def test_unknown_presets_are_refused():
    with pytest.raises(UnknownName, match="did you mean 'adebayo'"):
        preset("adebajo")

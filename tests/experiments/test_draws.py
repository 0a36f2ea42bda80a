"""Dead randomized networks are drawn again, and the result says which draws it used."""

import numpy as np
import torch
from nets import ConvNet, images, seeded

from probatum.attributions import Gradient
from probatum.engine import prepare
from probatum.experiments import sanity_check
from probatum.experiments.draws import Draws, live_draws
from probatum.randomization import Identity, Normal, Randomizer, automatic_stages

SHAPE = (2, 12, 12)


class _Kills(Randomizer):
    """Some draws have zeros for weights."""

    dead = (0,)

    def model(self, step, trial=0):
        model = super().model(step, trial)
        if step and trial in self.dead:
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.zero_()
        return model


def draws_of(dead, trials, count=3):
    net, x = seeded(ConvNet), images(count, SHAPE)

    class Kills(_Kills):
        pass

    Kills.dead = dead
    return live_draws(Kills(net, automatic_stages(net, x), Normal(0.5)), prepare(net), x, trials)


def test_dead_draws_are_replaced_by_later_ones():
    assert draws_of((), 3) == Draws((0, 1, 2))
    assert draws_of((0, 2), 3) == Draws((1, 3, 4), (0, 2))
    assert "2 of 5" in draws_of((0, 2), 3).sentence
    assert draws_of((), 3).sentence == ""
    assert draws_of(range(100), 2) == Draws((0, 1))  # nothing else can be had
    assert draws_of(range(100), 2, 1) == Draws((0, 1))  # one image cannot tell


def test_no_draw_is_looked_for_where_nothing_is_drawn():
    net, x = seeded(ConvNet), images(3, SHAPE)
    randomizer = Randomizer(net, automatic_stages(net, x), Identity())
    assert live_draws(randomizer, prepare(net), x, 2) == Draws((0, 1))


def test_a_check_uses_the_live_draws():
    net, x = seeded(ConvNet), images(5, SHAPE)
    options = {"methods": {"gradient": Gradient()}, "metrics": ("pearson",)}
    stages = automatic_stages(net, x)
    plain = sanity_check(net, x, randomizer=Randomizer(net, stages, Normal(0.5)), trials=3, **options)
    assert plain.draws == Draws((0, 1, 2))
    found = sanity_check(net, x, randomizer=_Kills(net, stages, Normal(0.5)), trials=2, **options)
    assert found.draws == Draws((1, 2), (0,))
    np.testing.assert_array_equal(found.scores, plain.scores[..., 1:])

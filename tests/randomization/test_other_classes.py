"""The classes of the random-logit test: another one, fairly drawn, by the image's content alone."""

import pytest
import torch
from nets import images

from probatum.errors import InvalidInput
from probatum.randomization import other_classes


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_the_class_is_another_one_and_all_others_are_equally_likely(classes):
    x = images(3000, (1, 4, 3))
    targets = torch.arange(3000) % classes
    drawn = other_classes(x, targets, classes, seed=0)
    assert drawn.dtype == targets.dtype
    assert (drawn != targets).all()
    assert drawn.min() == 0
    assert drawn.max() == classes - 1
    steps = torch.bincount((drawn - targets) % classes, minlength=classes)[1:].double()
    expected = 3000 / (classes - 1)
    assert (steps - expected).abs().max() < 5 * expected**0.5  # five standard deviations of a count


def test_the_draw_depends_on_the_image_the_seed_and_the_trial_alone():
    x = images(40, (1, 4, 3))
    targets = torch.arange(40) % 10
    drawn = other_classes(x, targets, 10, seed=3, trial=1)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    assert torch.equal(other_classes(x[order], targets[order], 10, seed=3, trial=1), drawn[order])
    assert torch.equal(other_classes(x[5:6], targets[5:6], 10, seed=3, trial=1), drawn[5:6])
    for other in ({"seed": 4, "trial": 1}, {"seed": 3, "trial": 0}):
        assert 0 < (other_classes(x, targets, 10, **other) == drawn).sum() < 20  # one in nine agrees by chance


def test_global_random_state_is_left_as_found():
    before = torch.get_rng_state()
    other_classes(images(3), torch.zeros(3, dtype=torch.long), 4, seed=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_no_other_class_and_no_such_class_are_refused():
    with pytest.raises(InvalidInput, match="one class"):
        other_classes(images(2), torch.zeros(2, dtype=torch.long), 1, seed=0)
    with pytest.raises(InvalidInput, match="from 0 to 4"):
        other_classes(images(2), torch.tensor([0, 4]), 4, seed=0)

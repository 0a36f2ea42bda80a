import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from probatum.errors import InvalidInput
from probatum.randomization import permute_labels, random_labels

LABELS = torch.arange(10).repeat(600)


def test_a_permutation_keeps_the_class_counts():
    drawn = permute_labels(LABELS, seed=0)
    assert torch.equal(drawn.labels.bincount(), LABELS.bincount())
    # chance agreement is 1 in 10; six standard errors of 6000 labels
    assert drawn.agreement == pytest.approx(0.1, abs=6 * (0.09 / 6000) ** 0.5)
    assert drawn.agreement == float((drawn.labels == LABELS).double().mean())


def test_random_labels_are_uniform():
    drawn = random_labels(torch.zeros(6000, dtype=torch.int64), classes=4, seed=0)
    assert drawn.labels.bincount(minlength=4).double().div(6000).tolist() == pytest.approx([0.25] * 4, abs=0.034)
    assert drawn.agreement == pytest.approx(0.25, abs=0.034)  # six standard errors


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(0, 2**31))
def test_laws(values, seed):
    labels = torch.tensor(values, dtype=torch.int32)
    state = torch.get_rng_state()
    for randomize in (permute_labels, lambda labels, seed: random_labels(labels, 6, seed)):
        drawn = randomize(labels, seed)
        assert torch.equal(drawn.labels, randomize(labels, seed).labels)
        assert (drawn.labels.dtype, drawn.labels.shape) == (labels.dtype, labels.shape)
        assert 0 <= int(drawn.labels.min()) <= int(drawn.labels.max()) < 6
        assert 0.0 <= drawn.agreement <= 1.0
    assert sorted(permute_labels(labels, seed).labels.tolist()) == sorted(values)
    assert torch.equal(torch.get_rng_state(), state)
    assert labels.tolist() == values


def test_seeds_differ():
    assert not torch.equal(permute_labels(LABELS, 0).labels, permute_labels(LABELS, 1).labels)


def test_wrong_labels_are_refused():
    with pytest.raises(InvalidInput, match=r"run from 0 to 9, outside \[0, 5\)"):
        random_labels(LABELS, classes=5, seed=0)
    with pytest.raises(InvalidInput, match="no labels"):
        permute_labels(LABELS[:0], seed=0)

import dataclasses

import pytest
import torch

from probatum.data import UNIT_RANGE, ImageSet
from probatum.errors import InvalidInput


@pytest.fixture
def images():
    return ImageSet(
        name="six",
        images=torch.arange(6.0)[:, None, None, None].expand(6, 1, 2, 2) / 10,
        labels=torch.tensor([2, 0, 2, 0, 2, 1]),
        class_names=("a", "b", "c"),
        image_names=tuple("uvwxyz"),
        preprocessing=UNIT_RANGE,
    )


def test_subset(images):
    chosen = images.subset([4, 1])
    assert len(chosen) == 2
    assert chosen.image_names == ("y", "v")
    assert chosen.labels.tolist() == [2, 0]
    assert torch.equal(chosen.images, images.images[[4, 1]])
    assert images.subset(torch.tensor([3])).image_names == ("x",)
    for wrong in ([6], [-1]):
        with pytest.raises(InvalidInput, match="out of range"):
            images.subset(wrong)
    with pytest.raises(InvalidInput, match="share a name"):
        images.subset([1, 1])


def test_take_per_class(images):
    assert images.take_per_class(1).image_names == ("v", "z", "u")
    with pytest.raises(InvalidInput, match="class b has 1 images, not 2"):
        images.take_per_class(2)
    with pytest.raises(InvalidInput, match="no labels"):
        dataclasses.replace(images, labels=None).take_per_class(1)
    with pytest.raises(InvalidInput, match="count is 0"):
        images.take_per_class(0)


def test_pictures(images):
    assert torch.equal(images.pictures(), images.images)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_names": tuple("uvwxy")}, "one name"),
        ({"image_names": tuple("uuwxyz")}, "share a name"),
        ({"class_names": ("a", "b")}, "labels reach 0..2 with 2 classes"),
        ({"images": torch.zeros(6, 3, 2, 2)}, "3 channels"),
    ],
)
def test_parts_that_do_not_fit(images, changes, message):
    with pytest.raises(InvalidInput, match=message):
        dataclasses.replace(images, **changes)

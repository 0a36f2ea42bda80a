"""The photographs that come with scikit-image."""

import pytest

from probatum.data import IMAGENET
from probatum.data.shipped import SHIPPED, shipped_photographs
from probatum.errors import InvalidInput


def test_five_photographs_without_a_download():
    data = shipped_photographs(IMAGENET)
    assert data.images.shape == (5, 3, 224, 224)
    assert data.image_names == SHIPPED
    assert data.name == "scikit-image"
    # Real photographs: no two are alike and none is flat.
    assert (data.pictures().flatten(1).std(1) > 0.1).all()


def test_fewer_are_the_first_of_them():
    assert shipped_photographs(IMAGENET, 2).image_names == SHIPPED[:2]


@pytest.mark.parametrize("count", [0, 6])
def test_more_than_there_are(count):
    with pytest.raises(InvalidInput, match="5 are shipped"):
        shipped_photographs(IMAGENET, count)

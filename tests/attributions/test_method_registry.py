"""The table of methods by name."""

import pytest
from attributions import table

from probatum.attributions import METHODS, Method, SmoothGrad, get_method
from probatum.errors import UnknownName


@pytest.mark.parametrize("name", METHODS)
def test_every_name_builds_a_method_anew(name):
    method = get_method(name)
    assert isinstance(method, Method)
    assert method == get_method(name)
    assert method is not get_method(name)
    assert METHODS[name].where == type(method).__module__


def test_a_method_on_its_own_has_the_title_of_its_row():
    for entry in METHODS.values():
        method = entry.make()
        if not isinstance(method, SmoothGrad) and not entry.title.endswith("(local)"):
            assert entry.title == method.title


def test_every_method_is_in_the_table_of_the_laws():
    assert METHODS.keys() - table.EVERY.keys() == set()


def test_titles_are_different():
    assert len({entry.title for entry in METHODS.values()}) == len(METHODS)


def test_a_misspelt_method_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="no method is called 'Smooth-Grad'; did you mean 'smoothgrad'"):
        get_method("Smooth-Grad")

"""Warnings of the package in the terminal: one line each, once; those of other libraries as Python shows them."""

import warnings

import pytest

from probatum.errors import MemoryBudgetWarning, ProbabilitiesWarning, warn
from probatum.terminal.ending import plain_warnings


def given(*found: Warning) -> None:
    with warnings.catch_warnings(), plain_warnings():
        warnings.simplefilter("always")
        for each in found:
            warnings.warn(each, stacklevel=1)


def test_a_warning_is_one_line_and_comes_once(capsys):
    given(ProbabilitiesWarning("it returns\nprobabilities"), ProbabilitiesWarning("it returns\nprobabilities"))
    assert capsys.readouterr().err == "warning: it returns probabilities\n"


def test_warnings_of_other_libraries_are_shown_as_before(capsys, monkeypatch):
    others = []
    monkeypatch.setattr(warnings, "showwarning", lambda message, *place: others.append(str(message)))
    with plain_warnings():
        for each in (UserWarning("of a library"), MemoryBudgetWarning("raised")):
            warnings.showwarning(each, type(each), __file__, 1)
    assert others == ["of a library"]
    assert capsys.readouterr().err == "warning: raised\n"


def test_afterwards_warnings_are_as_before():
    before = warnings.showwarning
    given()
    assert warnings.showwarning is before
    with pytest.warns(ProbabilitiesWarning, match="again"):
        warn(ProbabilitiesWarning("again"))

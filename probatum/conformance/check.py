"""Checks of an explainer against all laws: as a result, as an error, or as tests of pytest."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch

from probatum.attributions import Method, as_method
from probatum.attributions.base import MethodLike
from probatum.conformance.law import LAWS, Law, Outcome
from probatum.conformance.subject import Claims, Subject, claims_of
from probatum.errors import ProbatumError, UnknownName
from probatum.experiments.tables import Table

COLUMNS = ("law", "status", "measured", "tolerance", "reason")


class NotConforming(ProbatumError, AssertionError):
    """An explainer breaks laws that it is not expected to break."""


@dataclass(frozen=True, repr=False)
class Conformance:
    """What came of the laws for one explainer.

    Args:
        title: of the explainer.
        package: that its maps come from, and the version; None for one's own.
        outcomes: one for each law.
        expected: laws that it is expected to break, and why.
    """

    title: str
    package: str | None
    outcomes: tuple[Outcome, ...]
    expected: Mapping[str, str]

    def __repr__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table().to_html()

    @property
    def broken(self) -> tuple[Outcome, ...]:
        """The laws that it breaks and is not expected to."""
        return tuple(each for each in self.outcomes if each.status == "failed" and each.law not in self.expected)

    def count(self, status: str) -> int:
        """How many laws have this status."""
        return sum(each.status == status for each in self.outcomes)

    def table(self) -> Table:
        """One row for each law, in words."""
        counts = f"{self.count('passed')} passed, {self.count('failed')} failed, {self.count('not applicable')} n/a"
        named = f" ({self.package})" if self.package else ""
        rows = [(*row[:2], *(f"{number:.1e}" for number in row[2:4]), row[4]) for row in self._rows()]
        return Table(f"{self.title}{named}: {counts}", COLUMNS, rows)

    def to_pandas(self) -> Any:
        """One row for each law as a `pandas.DataFrame`; InvalidInput where pandas is not installed."""
        return Table("", COLUMNS, self._rows()).to_pandas()

    def to_json(self) -> dict[str, Any]:
        """The outcomes as JSON values; numbers that JSON lacks are null."""
        outcomes = [asdict(each) for each in self.outcomes]
        for each in outcomes:
            each["measured"] = each["measured"] if math.isfinite(each["measured"]) else None
        return {"title": self.title, "package": self.package, "expected": dict(self.expected), "outcomes": outcomes}

    def _rows(self) -> list[tuple[str, str, float, float, str]]:
        return [
            (each.law, self._word(each), each.measured, LAWS[each.law].tolerance, self._reason(each))
            for each in self.outcomes
        ]

    def _word(self, outcome: Outcome) -> str:
        return "failed as expected" if outcome.status == "failed" and outcome.law in self.expected else outcome.status

    def _reason(self, outcome: Outcome) -> str:
        return self.expected.get(outcome.law, outcome.words) if outcome.status == "failed" else outcome.words


def check_explainer(
    explainer: MethodLike,
    *,
    claims: Claims | None = None,
    expected_failed_checks: Mapping[str, str] | None = None,
    laws: Sequence[str] | None = None,
    on_fail: Literal["raise", "report"] = "raise",
) -> Conformance:
    """Checks an explainer against the laws, on small networks in float64, in seconds.

    A function is called on the networks directly, without the copies, seeds and checks that `attribute` puts around it,
    save that it is seeded where maps are compared.

    Args:
        explainer: a method, an `Explainer`, a function (model, images, targets) -> maps, or the name of one of these.
        claims: what it claims beyond that; None are those known of the package's methods, and none of others.
        expected_failed_checks: names of laws that it is expected to break, and why.
        laws: names of those to check; None are all.
        on_fail: "raise" an error where it breaks another law than those expected, or only "report" it.

    Raises:
        NotConforming: a law is broken, with the number that was measured.
        UnknownName: a law that does not exist.
        InvalidInput: the explainer is none.
    """
    subject, chosen = _subject(explainer, claims), _laws(laws or LAWS)
    expected = {law.name: (expected_failed_checks or {})[law.name] for law in _laws(expected_failed_checks or ())}
    method = subject.method
    package = " ".join(filter(None, (getattr(method, "package", None), getattr(method, "version", None)))) or None
    with torch.random.fork_rng([]):
        found = Conformance(method.title, package, tuple(law.check(subject) for law in chosen), expected)
    if found.broken and on_fail == "raise":
        shown = "; ".join(f"{each.law}: {each.words or f'measured {each.measured:.3g}'}" for each in found.broken)
        raise NotConforming(f"{found.title} breaks {len(found.broken)} of {len(chosen)} laws: {shown}")
    return found


def parametrize_with_checks(
    explainers: Iterable[MethodLike],
    *,
    claims: Mapping[str, Claims] | None = None,
    expected_failed_checks: Callable[[Method], Mapping[str, str]] | None = None,
) -> Any:
    """A decorator for pytest: one test for each explainer and law, in the style of scikit-learn.

        @parametrize_with_checks([my_explainer])
        def test_it_conforms(explainer, check):
            check(explainer)

    Args:
        explainers: as in `check_explainer`.
        claims: of explainers, by title.
        expected_failed_checks: the laws that an explainer is expected to break, and why; these tests are xfail.

    Raises:
        UnknownName: an expected failure of a law that does not exist.
    """
    import pytest

    parameters = []
    for each in explainers:
        method = as_method(each)
        known = (claims or {}).get(method.title)
        expected = dict(expected_failed_checks(method)) if expected_failed_checks else {}
        _laws(expected)
        for name in LAWS:
            marks = [pytest.mark.xfail(reason=expected[name])] if name in expected else []
            parameters.append(pytest.param(method, Check(name, known), id=f"{method.title}-{name}", marks=marks))
    return pytest.mark.parametrize(("explainer", "check"), parameters)


@dataclass(frozen=True)
class Check:
    """One law as a function of an explainer.

    Args:
        law: its name.
        claims: as in `check_explainer`.
    """

    law: str
    claims: Claims | None = None

    def __call__(self, explainer: MethodLike) -> Outcome:
        """The outcome; NotConforming where the law is broken."""
        return check_explainer(explainer, claims=self.claims, laws=[self.law]).outcomes[0]


def _subject(explainer: MethodLike, claims: Claims | None) -> Subject:
    method = as_method(explainer)
    return Subject(method, claims_of(method) if claims is None else claims)


def _laws(names: Iterable[str]) -> list[Law]:
    for name in names:
        if name not in LAWS:
            raise UnknownName("law", name, LAWS)
    return [LAWS[name] for name in names]

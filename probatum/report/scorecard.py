"""Order and summary of the findings of a reproduction, as `scorecard.json` holds them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

VERDICTS = ("reproduced", "not reproduced", "undecided", "not comparable")
ROLES = ("main result", "result", "self-test")


def count_verdicts(findings: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many claims have each of `VERDICTS`; self-tests are not among them."""
    counts = Counter(finding["verdict"] for finding in findings if finding["claim"]["role"] != "self-test")
    return {verdict: counts[verdict] for verdict in VERDICTS}


def count_self_tests(findings: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """How many self-tests passed, of how many."""
    tests = [finding["verdict"] for finding in findings if finding["claim"]["role"] == "self-test"]
    return tests.count("reproduced"), len(tests)


def tally(findings: Sequence[Mapping[str, Any]]) -> str:
    """Count the verdicts in words, self-tests apart: "4 reproduced, 1 undecided; 2 of 2 self-tests passed"."""
    parts = [", ".join(f"{count} {verdict}" for verdict, count in count_verdicts(findings).items() if count)]
    passed, tests = count_self_tests(findings)
    if tests:
        parts.append(f"{passed} of {tests} self-tests passed")
    return "; ".join(filter(None, parts)) or "no claim was tested"


def by_role(findings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The findings, main results first and self-tests last."""
    return sorted(findings, key=lambda finding: ROLES.index(finding["claim"]["role"]))

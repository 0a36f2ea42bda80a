"""Order and summary of the findings of a reproduction, as `scorecard.json` holds them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

VERDICTS = ("reproduced", "not reproduced", "undecided", "not comparable")
ROLES = ("main result", "result", "self-test")


def tally(findings: Sequence[Mapping[str, Any]]) -> str:
    """Count the verdicts in words, self-tests apart: "4 reproduced, 1 undecided; 2 of 2 self-tests passed"."""
    tests = [finding["verdict"] for finding in findings if finding["claim"]["role"] == "self-test"]
    counts = Counter(finding["verdict"] for finding in findings if finding["claim"]["role"] != "self-test")
    parts = [", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])]
    if tests:
        parts.append(f"{tests.count('reproduced')} of {len(tests)} self-tests passed")
    return "; ".join(filter(None, parts)) or "no claim was tested"


def by_role(findings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The findings, main results first and self-tests last."""
    return sorted(findings, key=lambda finding: ROLES.index(finding["claim"]["role"]))

"""Conformance: named laws that every explainer should keep, checked on small networks in float64."""

import probatum.conformance.laws  # noqa: F401, for it fills the table
from probatum.conformance.check import Check, Conformance, NotConforming, check_explainer, parametrize_with_checks
from probatum.conformance.law import LAWS, Law, NotApplicable, Outcome
from probatum.conformance.subject import Claims

__all__ = [
    "LAWS",
    "Check",
    "Claims",
    "Conformance",
    "Law",
    "NotApplicable",
    "NotConforming",
    "Outcome",
    "check_explainer",
    "parametrize_with_checks",
]

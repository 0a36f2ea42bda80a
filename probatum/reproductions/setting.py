"""When a claim can be judged although something of the paper was replaced: one rule for all papers.

A claim states what it is `about`: the things of the paper without which it says nothing. An experiment states in its
`Setting` what it replaced.

1. If a stand-in lacks something that the claim is about, the claim is "not comparable", and the finding says what is
   lacking and how to get it. Our number is still shown.
2. If only a size is smaller than the paper's, a rule that is met is met all the same. A rule that is missed, or cannot
   decide, is "not comparable": the size may be the reason.
3. In all other cases the rule decides, and the finding names every stand-in.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from probatum.reproductions.base import NOT_COMPARABLE, REPRODUCED, Claim, Finding, joined
from probatum.reproductions.rules import Outcome

PRETRAINED = "a pretrained network"
PHOTOGRAPHS = "photographs"


@dataclass(frozen=True)
class Setting:
    """What an experiment replaced of the paper's setting.

    Args:
        stand_ins: what was used instead of what, such as "SqueezeNet 1.0 instead of Inception v3".
        lacks: what a claim can be about and the stand-ins are not, with the reason and the way out: {"batch norm":
            "SqueezeNet has none: give --model resnet18"}.
        smaller: sizes that a claim can be about and that are smaller here: {"50 epochs": "3 epochs"}.
    """

    stand_ins: tuple[str, ...] = ()
    lacks: Mapping[str, str] = field(default_factory=dict)
    smaller: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `write_facts`."""
        return asdict(self) | {"stand_ins": list(self.stand_ins)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Setting":
        """Read the output of `to_json`."""
        return cls(tuple(values["stand_ins"]), dict(values["lacks"]), dict(values["smaller"]))


def conclude(claim: Claim, outcome: Outcome, setting: Setting = Setting(), *notes: str) -> Finding:
    """Make the finding on a claim from what its rule says; see the rule above.

    Args:
        claim: of the paper.
        outcome: of its rule.
        setting: of the experiment.
        notes: of the experiment, such as the number of constant maps.
    """
    if outcome.own_setting:
        setting = Setting()
    lacking = [f"the claim is about {one}, but {setting.lacks[one]}" for one in claim.about if one in setting.lacks]
    smaller = [f"{setting.smaller[one]} instead of {one}" for one in claim.about if one in setting.smaller]
    said = f"judged on {', '.join(setting.stand_ins)}" if setting.stand_ins else ""
    verdict, why = outcome.verdict, joined(outcome.why, *smaller)
    if lacking:
        verdict, why = NOT_COMPARABLE, joined(*lacking, _would_be(outcome))
    elif smaller and outcome.verdict != REPRODUCED:
        verdict, why = NOT_COMPARABLE, joined(f"too small to decide: {', '.join(smaller)}", _would_be(outcome))
    notes = (*outcome.notes, *notes)
    return Finding(claim, outcome.ours, verdict, joined(why, said), joined(*notes), outcome.unshown)


def _would_be(outcome: Outcome) -> str:
    """The rule, and what it says about the number of the stand-in; "" where there is none."""
    if not outcome.rule:
        return ""
    said = {"reproduced": "met", "not reproduced": "missed"}.get(outcome.verdict, outcome.verdict)
    return f"the rule, {outcome.rule}, is {said} here"

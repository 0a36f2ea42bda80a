"""Verdicts that are stored, so that a later check of the same model can be compared with them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probatum.errors import InvalidInput, UnknownName
from probatum.experiments.config import CheckConfig
from probatum.experiments.run_folder import Run
from probatum.experiments.verdicts import INSENSITIVE, SENSITIVE, UNDECIDED, Judgement, Summary, judge
from probatum.runs.files import read_json, reading, write_json
from probatum.runs.kinds import GIVEN

NAME = "verdicts.json"


@dataclass(frozen=True)
class FrozenVerdict:
    """The stored verdict on one method.

    Args:
        word: "sensitive", "insensitive" or "undecided".
        metric: the one whose numbers follow.
        value: the share retained, or a rise; None where there is none, as for the next two.
        low: lower end of its 95 % interval.
        high: upper end.
    """

    word: str
    metric: str
    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, summary: Summary) -> "FrozenVerdict":
        """The verdict of a judgement."""
        lead = summary.leading
        value, low, high = (each if math.isfinite(each) else None for each in (lead.value, lead.low, lead.high))
        return cls(summary.word, lead.metric, value, low, high)

    def __str__(self) -> str:
        if self.value is None or self.low is None or self.high is None:
            return self.word
        return f"{self.word} ({self.metric}: {self.value:.2f} [{self.low:.2f}, {self.high:.2f}])"


@dataclass(frozen=True)
class FrozenVerdicts:
    """The stored verdicts of a check.

    Args:
        model: its title.
        weights_sha256: of its weights.
        config: the check's configuration as JSON values.
        given: whether the model was given as an object, so that the configuration does not name it.
        verdicts: by method.
    """

    model: str
    weights_sha256: str
    config: dict[str, Any]
    given: bool
    verdicts: dict[str, FrozenVerdict]

    def changes(self, judgement: Judgement) -> dict[str, str]:
        """The methods whose verdicts differ from the stored ones, each with both verdicts in words."""
        found = {name: FrozenVerdict.of(summary) for name, summary in judgement.summaries.items()}
        return {
            name: f"{before} -> {found.get(name, 'not checked')}"
            for name, before in self.verdicts.items()
            if name not in found or found[name].word != before.word
        }

    def check_config(self, **changes: Any) -> CheckConfig:
        """The configuration of an equal check, with some settings replaced.

        Raises:
            InvalidInput: the model was given as an object, and no other is named; or a setting does not fit.
        """
        if self.given and "model" not in changes:
            raise InvalidInput(f"{self.model} was given as an object, so a model has to be named")
        stored = self.config | ({"weights": "default", "classes": None, "device": "auto"} if self.given else {})
        return CheckConfig.from_json(stored | changes)


def freeze(run: Run) -> FrozenVerdicts:
    """The verdicts of a run.

    Raises:
        InvalidInput: a control failed, so that the verdicts mean nothing.
    """
    judgement, model = judge(run.result), run.config["model"]
    if judgement.broken:
        raise InvalidInput(f"{'; '.join(judgement.broken)}; the verdicts of {run.folder} cannot be trusted")
    verdicts = {name: FrozenVerdict.of(summary) for name, summary in judgement.summaries.items()}
    given = GIVEN in run.config
    return FrozenVerdicts(str(model["title"]), str(model["weights_sha256"]), run.config["config"], given, verdicts)


def write_verdicts(frozen: FrozenVerdicts, path: Path) -> None:
    """Writes verdicts as a small JSON file."""
    write_json(
        path,
        {
            "model": frozen.model,
            "weights_sha256": frozen.weights_sha256,
            "config": frozen.config,
            "given": frozen.given,
            "verdicts": {name: vars(verdict) for name, verdict in frozen.verdicts.items()},
        },
    )


def read_verdicts(path: Path | str) -> FrozenVerdicts:
    """Reads what `write_verdicts` wrote; InvalidInput where it is not that."""
    path = Path(path)
    with reading(path, "frozen verdicts; `probatum verdicts freeze RUN` writes some"):
        values = read_json(path)
        verdicts = {str(name): _verdict(each) for name, each in values["verdicts"].items()}
        if not verdicts or not isinstance(values["config"], dict) or not isinstance(values["given"], bool):
            raise InvalidInput(f"{path} names no verdicts, or not the check that they are of")
        model, weights = str(values["model"]), str(values["weights_sha256"])
        return FrozenVerdicts(model, weights, values["config"], values["given"], verdicts)


def _verdict(values: Mapping[str, Any]) -> FrozenVerdict:
    words = (SENSITIVE, INSENSITIVE, UNDECIDED)
    if values["word"] not in words:
        raise UnknownName("verdict", str(values["word"])[:60], words)
    numbers = [None if values[name] is None else float(values[name]) for name in ("value", "low", "high")]
    return FrozenVerdict(values["word"], str(values["metric"]), *numbers)

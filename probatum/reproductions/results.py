"""Results of an experiment, stored once in its folder, and the paper's claims on them, each with its rule.

A paper's experiment is read from top to bottom: what it computes and draws, then its claims, each above the rule that
judges it, and at last `experiment`, which puts them together:

    claims = Claims(Results, where="Figure 6", about=(PHOTOGRAPHS,))

    @claims("grad-cam-below", "Grad-CAM deteriorates more than SmoothGrad.", "lower SRC", role="main result")
    def below(found: Results) -> Outcome:
        return above(measure("SRC, SmoothGrad less Grad-CAM", found.arrays["less"], "image"), 0.0)

    FIGURE_6 = experiment("figure6", "Cascading randomization", compute, draw, claims, covers={"Figure 6": "*"})
"""

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from matplotlib.figure import Figure

from probatum.experiments import Run, read_run
from probatum.reproductions.base import (
    NOT_COMPARABLE,
    Claim,
    Context,
    Experiment,
    Finding,
    Inputs,
    Role,
    read_facts,
    stored_arrays,
)
from probatum.reproductions.rules import Outcome
from probatum.reproductions.setting import Setting, conclude
from probatum.runs.files import read_json


class Results:
    """Stored results of an experiment.

    Args:
        folder: of the experiment; its facts are `facts.json`, or the `config.json` of a run folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Plain values."""
        config = self.folder / "config.json"
        values: dict[str, Any] = read_json(config) if config.is_file() else read_facts(self.folder)
        return values

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays by name."""
        return stored_arrays(self.folder)

    @cached_property
    def run(self) -> Run:
        """The experiment's folder as that of a sanity check."""
        return read_run(self.folder)

    @property
    def setting(self) -> Setting:
        """What the experiment replaced of the paper's setting."""
        return Setting.from_json(self.facts["setting"])

    @property
    def missing(self) -> str:
        """What must be given to compute the experiment; "" if it was computed."""
        return str(self.facts.get("missing", ""))

    @property
    def note(self) -> str:
        """Added to the reason of every finding, such as the number of constant maps."""
        return ""


R = TypeVar("R", bound=Results)
Rule = Callable[[R], Outcome]
KeyedRule = Callable[[str, R], Outcome]


class Claims(Generic[R]):
    """The claims of an experiment in the order of its file, each with its rule.

    Args:
        read: reads the results from the folder of the experiment.
        where: figure, table or section of the claims that name none.
        about: of the claims that say nothing else; see `Claim`.
    """

    def __init__(self, read: Callable[[Path], R], where: str = "", about: tuple[str, ...] = ()) -> None:
        self.read = read
        self._where = where
        self._about = about
        self.judged: list[tuple[Claim, Rule[R]]] = []

    def __call__(
        self,
        name: str,
        statement: str,
        paper: str,
        *,
        where: str | None = None,
        about: tuple[str, ...] | None = None,
        role: Role = "result",
    ) -> Callable[[Rule[R]], Rule[R]]:
        """Decorate the rule of a claim, a function of the results; see `Claim` for the arguments."""

        def judged_by(rule: Rule[R]) -> Rule[R]:
            self._add(Claim(name, self._at(where), statement, paper, self._on(about), role), rule)
            return rule

        return judged_by

    def each(
        self,
        titles: Mapping[str, str],
        name: str,
        statement: str,
        paper: str | Mapping[str, str],
        *,
        where: str | None = None,
        about: tuple[str, ...] | None = None,
        role: Role | Mapping[str, Role] = "result",
    ) -> Callable[[KeyedRule[R]], KeyedRule[R]]:
        """Decorate the rule of one claim about each of several things, a function of the thing's key and the results.

        Args:
            titles: of the things, by key.
            name: with {key} in it.
            statement: with {title} in it.
            paper: what the paper says of all of them, or of each by key.
            where: see `Claim`.
            about: see `Claim`.
            role: see `Claim`; of all of them, or of each by key.
        """

        def judged_by(rule: KeyedRule[R]) -> KeyedRule[R]:
            for key, title in titles.items():
                words = paper if isinstance(paper, str) else paper[key]
                made = name.format(key=key), self._at(where), statement.format(title=title), words
                self._add(
                    Claim(*made, self._on(about), role if isinstance(role, str) else role[key]), partial(rule, key)
                )
            return rule

        return judged_by

    def _at(self, where: str | None) -> str:
        return self._where if where is None else where

    def _on(self, about: tuple[str, ...] | None) -> tuple[str, ...]:
        return self._about if about is None else about

    def _add(self, claim: Claim, rule: Rule[R]) -> None:
        self.judged.append((claim, rule))

    def judge(self, folder: Path) -> list[Finding]:
        """The finding on each claim from the stored results; "not comparable" where something was missing."""
        found = self.read(folder)
        if found.missing:
            return [Finding(claim, "not computed", NOT_COMPARABLE, found.missing) for claim, _ in self.judged]
        return [conclude(claim, rule(found), found.setting, found.note) for claim, rule in self.judged]


def experiment(
    name: str,
    title: str,
    compute: Callable[[Context, Path], None],
    draw: Callable[[R], dict[str, Figure]],
    claims: Claims[R],
    *,
    covers: Mapping[str, str] | None = None,
    inputs: Inputs | None = None,
) -> Experiment:
    """Make an experiment of its parts; without what it takes, it has no figures.

    Args:
        name: as the terminal takes it.
        title: of the experiment.
        compute: writes results to an existing, empty folder, or what is `missing`.
        draw: returns the figures by name.
        claims: with their rules.
        covers: see `Experiment`.
        inputs: that it reads.
    """

    def figures(folder: Path) -> dict[str, Figure]:
        found = claims.read(folder)
        return {} if found.missing else draw(found)

    return Experiment(name, title, compute, figures, claims.judge, covers or {}, inputs or Inputs())

"""Plugin of pytest: a test for each method, which fails when its verdict is no longer the stored one.

    probatum check --model mymodels:make --data images --out run
    probatum verdicts freeze run --out verdicts.json
    pytest --probatum-verdicts verdicts.json

The check is run once, as it was when the verdicts were stored; options replace its model, images, methods and settings.
The module lies beside the package and imports it when a check is asked for, so that other test runs start as fast as
without it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from probatum.experiments import Judgement
    from probatum.experiments.frozen import FrozenVerdicts

_OPTIONS = {  # of pytest, and the setting of the check that each replaces
    "--probatum-model": ("model", str, "model: a name, package.module:make or file.py:make"),
    "--probatum-weights": ("weights", str, "'default', 'none', 'train' or a checkpoint"),
    "--probatum-images": ("data", str, "folder of images, or the name of a data set"),
    "--probatum-count": ("images", int, "how many images"),
    "--probatum-methods": ("methods", str, "methods, separated by commas; the others are not tested"),
    "--probatum-preset": ("preset", str, "randomization preset"),
    "--probatum-trials": ("trials", int, "independent randomizations"),
    "--probatum-samples": ("samples", int, "noise samples of the methods"),
    "--probatum-steps": ("steps", int, "path steps of the methods"),
    "--probatum-device": ("device", str, "auto, cpu, cuda, ..."),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options."""
    group = parser.getgroup("probatum", "verdicts of probatum")
    group.addoption("--probatum-verdicts", metavar="FILE", help="verdicts stored by `probatum verdicts freeze`")
    group.addoption("--probatum-out", metavar="FOLDER", help="keep the run with its report.html in this new folder")
    for option, (_, kind, words) in _OPTIONS.items():
        group.addoption(option, type=kind, help=f"instead of the stored check's: {words}")


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Adds a test for each stored verdict."""
    file, asked = config.getoption("--probatum-verdicts"), _asked(config)
    if file is None:
        if asked:
            raise pytest.UsageError(
                "there are no verdicts to compare with; store some by `probatum verdicts freeze RUN --out FILE`, and "
                "give --probatum-verdicts FILE"
            )
        return
    from probatum.errors import ProbatumError
    from probatum.experiments.frozen import read_verdicts

    try:
        check = StoredCheck(read_verdicts(Path(file)), asked, config.getoption("--probatum-out"))
    except ProbatumError as error:
        raise pytest.UsageError(str(error)) from error
    items += [VerdictItem.from_parent(session, name=f"verdict[{name}]", check=check, method=name) for name in check]


def _asked(config: pytest.Config) -> dict[str, Any]:
    found = {setting: config.getoption(option) for option, (setting, _, _) in _OPTIONS.items()}
    return {setting: value for setting, value in found.items() if value is not None}


class StoredCheck:
    """The check of stored verdicts, run when its first verdict is asked for.

    Args:
        frozen: the stored verdicts.
        changes: settings in place of the stored check's.
        folder: of the run; None makes one that is removed.
    """

    def __init__(self, frozen: FrozenVerdicts, changes: dict[str, Any], folder: str | None) -> None:
        from probatum.errors import UnknownName

        self.frozen, self._folder = frozen, folder
        self._methods = [name.strip() for name in changes.pop("methods", ",".join(frozen.verdicts)).split(",")]
        for name in self._methods:
            if name not in frozen.verdicts:
                raise UnknownName("stored verdict", name, frozen.verdicts)
        self._config = frozen.check_config(**changes, methods=self._methods)
        self._judgement: Judgement | None = None

    def __iter__(self) -> Iterator[str]:
        return iter(self._methods)

    def judgement(self) -> Judgement:
        """The verdicts of today."""
        if self._judgement is None:
            if self._folder is not None:
                self._judgement = self._run(Path(self._folder))
            else:
                with tempfile.TemporaryDirectory() as scratch:
                    self._judgement = self._run(Path(scratch) / "run")
        return self._judgement

    def _run(self, folder: Path) -> Judgement:
        from probatum.experiments import judge, run_check
        from probatum.report.run import draw_run

        return judge(run_check(self._config, folder, draw=None if self._folder is None else draw_run))


class VerdictChanged(Exception):
    """A verdict is no longer the stored one."""


class VerdictItem(pytest.Item):
    """The test of one verdict."""

    def __init__(self, check: StoredCheck, method: str, **known: Any) -> None:
        super().__init__(**known)
        self._check, self._method = check, method

    def runtest(self) -> None:
        """Compares the verdict of today with the stored one."""
        changed = self._check.frozen.changes(self._check.judgement()).get(self._method)
        if changed is not None:
            reason = self._check.judgement().summary(self._method).reason
            raise VerdictChanged(f"the verdict on {self._method} has changed: {changed}; {reason}")
        broken = self._check.judgement().broken
        if broken:
            raise VerdictChanged(f"the check is broken: {'; '.join(broken)}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """One line for what the check itself finds wrong."""
        from probatum.errors import ProbatumError

        if excinfo.errisinstance((VerdictChanged, ProbatumError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where the item is listed."""
        return self.path, None, f"probatum: {self.name}"

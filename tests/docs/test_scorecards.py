"""The kept scorecards: README counts their verdicts, they fit the experiments, and figures stay small."""

import json
import re
from pathlib import Path

import pytest

from probatum.report.scorecard import count_self_tests, count_verdicts
from probatum.reproductions import PAPERS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LARGEST = 500_000  # bytes of a figure
LONGEST = 320  # letters of our number, of the reason or of the notes: what is read at a glance
KEPT = sorted(path.stem for path in (ROOT / "docs" / "scorecards").glob("*.json"))


def card(paper: str) -> dict:
    return json.loads((ROOT / "docs" / "scorecards" / f"{paper}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("paper", KEPT)
def test_readme_counts_the_verdicts_of_the_kept_scorecard(paper):
    findings = card(paper)["findings"]
    counts = [*map(str, count_verdicts(findings).values()), "{} of {}".format(*count_self_tests(findings))]
    (row,) = re.findall(rf"^\| .*\[`{paper}`\].* \|$", README, re.MULTILINE)
    assert [cell.strip() for cell in row.split("|")[3:8]] == counts, f"README says otherwise: {row}"


@pytest.mark.parametrize("paper", KEPT)
def test_a_kept_scorecard_is_of_experiments_that_there_are(paper):
    kept, known = card(paper), {experiment.name for experiment in PAPERS[paper].experiments}
    computed = {name for run in kept["runs"] for name in run["experiments"]}
    assert computed | set(kept["not_computed"]) == known
    assert {finding["experiment"] for finding in kept["findings"]} <= computed
    assert all(run["command"].startswith(f"probatum reproduce {paper} ") for run in kept["runs"])
    files = [ROOT / "docs" / "figures" / "papers" / paper / figure["file"] for figure in kept["figures"]]
    assert files
    assert max(file.stat().st_size for file in files) <= LARGEST


@pytest.mark.parametrize("paper", KEPT)
def test_a_finding_is_read_at_a_glance(paper):
    parts = {
        (finding["claim"]["name"], part): len(finding[part])
        for finding in card(paper)["findings"]
        for part in ("ours", "why", "notes")
    }
    assert {key: size for key, size in parts.items() if size > LONGEST} == {}

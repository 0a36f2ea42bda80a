"""A page for each paper that can be reproduced: its experiments, and the scorecard of a run that is kept here."""

import json
from pathlib import Path
from typing import Any

from markup import file_of, linked, table

from probatum.report.scorecard import by_role, tally
from probatum.reproductions import PAPERS, Paper

SCORECARDS = Path(__file__).parents[1] / "scorecards"
_LOOK = {"reproduced": "success", "not reproduced": "failure", "undecided": "question", "not comparable": "quote"}


def pages() -> dict[str, str]:
    """Path and text of every page, the overview first."""
    cards = {name: _card(name) for name in PAPERS}
    rows = [
        (f"[`{name}`]({name}.md)", paper.title, linked(paper.citation), _counted(cards[name]))
        for name, paper in PAPERS.items()
    ]
    overview = [
        "# Reproductions",
        "`probatum reproduce PAPER` reruns the experiments of a paper, draws its figures and judges its claims. Each "
        'claim is data: what the paper says, its number, ours, a verdict, and the rule that decided it. "Undecided" '
        'means that the interval reaches across the bound of the rule, "not comparable" that what the claim is about '
        "was replaced. Self-tests, which only a fault of probatum could make fail, are counted apart. The scorecards "
        "below come from quick runs with what the package carries, in minutes on a CPU: digits that it renders, and "
        "small networks trained on them. What takes ImageNet's photographs and a pretrained network is not comparable "
        "there. The kept runs are older than the present claims, which state one thing each; a new run judges more. "
        "`--preset paper` runs the papers' own sizes, data and networks, `--preset cpu` what two cores do in hours.",
        table(("", "paper", "source", "the kept quick run"), rows),
    ]
    return {"papers/index.md": "\n\n".join(overview)} | {
        f"papers/{name}.md": _page(paper, cards[name]) for name, paper in PAPERS.items()
    }


def _card(name: str) -> dict[str, Any] | None:
    path = SCORECARDS / f"{name}.json"
    card: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    return card


def _counted(card: dict[str, Any] | None) -> str:
    return tally(card["findings"]) if card else "none"


def _page(paper: Paper, card: dict[str, Any] | None) -> str:
    experiments = [
        (f"`{experiment.name}`", ", ".join(experiment.numbers) or "–", experiment.title)
        for experiment in paper.experiments
    ]
    parts = [
        f"# {paper.title}",
        f"{linked(paper.citation)}. Source: {file_of(paper.module, package=True)}",
        f"::: {paper.module}\n    options:\n      members: false\n      show_root_heading: false\n"
        "      show_root_toc_entry: false",
        "## Experiments",
        f"```sh\nprobatum reproduce {paper.name}                  # all of them\n"
        f"probatum reproduce {paper.name} {paper.experiments[0].name}\n```",
        table(("name", "in the paper", "what it shows"), experiments),
        "## Scorecard",
    ]
    if card is None:
        command = f"probatum reproduce {paper.name} --out RUN && python docs/make_scorecards.py RUN"
        return "\n\n".join([*parts, f"No run is kept here yet: `{command}` makes one."])
    parts += [
        f"{_counted(card)}. Made by `{card['command']}` with {card['versions']}, on {card['device']}.",
        *(_finding(finding) for finding in by_role(card["findings"])),
    ]
    return "\n\n".join(parts)


def _finding(finding: dict[str, Any]) -> str:
    claim = finding["claim"]
    title = " ".join(f"{claim['where']}: {claim['statement']}".replace('"', "'").split())
    lines = {"Paper": claim["paper"], "Ours": finding["ours"], "Verdict": f"{finding['verdict']}; {finding['why']}"}
    body = "\n\n".join(f"    **{name}.** {' '.join(text.split())}" for name, text in lines.items())
    return f'!!! {_LOOK[finding["verdict"]]} "{title}"\n\n{body}'

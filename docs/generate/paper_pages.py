"""A page for each paper that can be reproduced: its experiments, and the scorecard and figures of the kept runs."""

import json
from pathlib import Path
from typing import Any

from markup import file_of, linked, table

from probatum.report.scorecard import VERDICTS, by_role, count_self_tests, count_verdicts, tally
from probatum.reproductions import PAPERS, Experiment, Paper

SCORECARDS = Path(__file__).parents[1] / "scorecards"
_LOOK = {"reproduced": "success", "not reproduced": "failure", "undecided": "question", "not comparable": "quote"}
_CORES = "two busy CPU cores"  # of the machine on which the kept runs were made


def pages() -> dict[str, str]:
    """Path and text of every page, the overview first."""
    cards = {name: read_card(name) for name in PAPERS}
    rows = [
        (
            f"[`{name}`]({name}.md)",
            f"{paper.title}<br>{linked(paper.citation)}",
            *map(str, count_verdicts(cards[name]["findings"]).values()),
            "{} of {}".format(*count_self_tests(cards[name]["findings"])),
            f"{sum(run['hours'] for run in cards[name]['runs']):.1f} h",
        )
        for name, paper in PAPERS.items()
    ]
    overview = [
        "# Reproductions",
        "`probatum reproduce PAPER` reruns the experiments of a paper, draws its figures and judges its claims. Each "
        'claim is data: what the paper says, its number, ours, a verdict, and the rule that decided it. "Undecided" '
        'means that the interval reaches across the bound of the rule, "not comparable" that what the claim is about '
        "was replaced, or that a smaller size may be the reason. Self-tests, which only a fault of probatum could make "
        "fail, are counted apart.",
        f"The scorecards below come from `--preset cpu` on {_CORES}, with real data: MNIST, Tiny-ImageNet, SST-2, "
        "photographs of ImageNet. Published weights were those of SqueezeNet 1.0, EfficientNet-Lite0 and MiniLM, which "
        "stand in for the papers' networks; every verdict names its stand-in. Figures that show photographs of "
        "ImageNet are left out here; a run draws them. `--preset paper` takes the papers' own networks and sizes: "
        "50 epochs, 55,000 permuted labels, ten trials, Integrated Gradients-SmoothGrad of 50 × 50 points, which want "
        "a GPU. `--preset quick` needs no data and takes minutes.",
        table(("", "paper", *VERDICTS, "self-tests passed", "took"), rows),
    ]
    return {"papers/index.md": "\n\n".join(overview)} | {
        f"papers/{name}.md": _page(paper, cards[name]) for name, paper in PAPERS.items()
    }


def read_card(name: str) -> dict[str, Any]:
    """The kept scorecard of a paper, empty where there is none."""
    path = SCORECARDS / f"{name}.json"
    nothing = {"runs": [], "not_computed": [], "findings": [], "figures": []}
    card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else nothing
    return card


def _page(paper: Paper, card: dict[str, Any]) -> str:
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
        *_variants(paper),
        "## Scorecard",
    ]
    if not card["runs"]:
        command = f"probatum reproduce {paper.name} --preset cpu --out RUN && python docs/make_scorecards.py RUN"
        return "\n\n".join([*parts, f"No run is kept here yet: `{command}` makes one."])
    parts += [f"{tally(card['findings'])}.", *map(_run, card["runs"])]
    if card["not_computed"]:
        parts.append(f"Not computed: {', '.join(f'`{name}`' for name in card['not_computed'])}.")
    return "\n\n".join(
        [*parts, *(line for experiment in paper.experiments for line in _shown(paper.name, experiment, card))]
    )


def _variants(paper: Paper) -> list[str]:
    if not paper.variants:
        return []
    rows = [(f"`--variant {name}`", what) for name, what in paper.variants.items()]
    return ["## Variants", table(("", "what it changes"), rows)]


def _run(run: dict[str, Any]) -> str:
    where = _CORES if run["device"] == "cpu" else run["device"]
    time = f"{run['hours']:.1f} hours" if run["hours"] >= 1 else f"{60 * run['hours']:.0f} minutes"
    return f"`{run['command']}` took {time} on {where}, {run['date']}, with {run['versions']}."


def _shown(name: str, experiment: Experiment, card: dict[str, Any]) -> list[str]:
    """The figures of an experiment, and its claims beside them."""
    findings = by_role([one for one in card["findings"] if one["experiment"] == experiment.name])
    figures = [one for one in card["figures"] if one["experiment"] == experiment.name]
    if not findings and not figures:
        return []
    pictures = [
        f"![{one['number']} of {name}](../figures/papers/{name}/{one['file']}){{ loading=lazy }}" for one in figures
    ]
    return [f"### {experiment.title}", *pictures, *map(_finding, findings)]


def _finding(finding: dict[str, Any]) -> str:
    claim = finding["claim"]
    title = " ".join(f"{claim['where']}: {claim['statement']}".replace('"', "'").split())
    lines = {"Paper": claim["paper"], "Ours": finding["ours"], "Verdict": f"{finding['verdict']}; {finding['why']}"}
    body = "\n\n".join(f"    **{name}.** {' '.join(text.split())}" for name, text in lines.items())
    return f'!!! {_LOOK[finding["verdict"]]} "{title}"\n\n{body}'

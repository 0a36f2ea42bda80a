"""What the package knows of each reproduced paper, behind the text of its page: runs, claims, figures.

The pages themselves are written by hand, `docs/papers/*.md`: question, findings, how to read the figures.
"""

import json
import re
from pathlib import Path
from typing import Any

from markup import file_of, linked, table

from probatum.metrics import METRICS
from probatum.report.scorecard import VERDICTS, by_role, count_self_tests, count_verdicts, tally
from probatum.reproductions import PAPERS, Experiment, Paper
from probatum.reproductions.forecast import minutes_in_words
from probatum.reproductions.inputs import DATA

_BIBLIOGRAPHY = Path(__file__).parents[2] / "paper.bib"
SCORECARDS = Path(__file__).parents[1] / "scorecards"
_LOOK = {"reproduced": "success", "not reproduced": "failure", "undecided": "question", "not comparable": "quote"}
_CORES = "two busy CPU cores"  # of the machine on which the kept runs were made


def pages() -> dict[str, str]:
    """Path and text of the overview."""
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
    return {"papers/index.md": "\n\n".join(overview)}


def written() -> list[str]:
    """Paths of the pages, in the order of the table."""
    return [page_of(name) for name in PAPERS]


def page_of(name: str) -> str:
    """Where the page of a paper lies."""
    return f"papers/{name}.md"


def fill(path: str, text: str) -> str:
    """The text of a page with the facts behind it; the text itself where the page is none of a paper."""
    paper = {page_of(name): paper for name, paper in PAPERS.items()}.get(path)
    if paper is None:
        return text
    title, _, rest = text.partition("\n")
    return "\n\n".join((title, f"*{linked(paper.citation)}*", rest.strip(), *_facts(paper, read_card(paper.name))))


def read_card(name: str) -> dict[str, Any]:
    """The kept scorecard of a paper, empty where there is none."""
    path = SCORECARDS / f"{name}.json"
    nothing = {"runs": [], "not_computed": [], "findings": [], "figures": []}
    card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else nothing
    return card


def _facts(paper: Paper, card: dict[str, Any]) -> list[str]:
    return [*_rerun(paper, card), *_differences(paper), *_scorecard(paper, card), *_citation(paper)]


def _rerun(paper: Paper, card: dict[str, Any]) -> list[str]:
    """Commands, with what they need and how long they took."""
    needed = dict.fromkeys(name for experiment in paper.experiments for name in experiment.inputs.data)
    commands = [
        f"# In minutes, with substitutes for missing data\nprobatum reproduce {paper.name}\n",
        "# With real data, in hours on two cores",
        *(DATA[name] for name in needed),
        f"probatum reproduce {paper.name} --preset cpu --data-dir DIR\n",
        f"# One experiment\nprobatum reproduce {paper.name} {paper.experiments[0].name} --preset cpu --data-dir DIR",
    ]
    rows = [
        (
            f"`{one.name}`",
            ", ".join(one.numbers) or "–",
            one.title,
            _needs(one),
            minutes_in_words(paper.name, one.name),
        )
        for one in paper.experiments
    ]
    runs = [f"- `{run['command']}`: {_time(run)}, {run['date']}, with {run['versions']}." for run in card["runs"]]
    return [
        "## Rerun it",
        "```sh\n" + "\n".join(commands) + "\n```",
        table(
            ("experiment", "in the paper", "what it shows", "needs with `--preset cpu`", "minutes with `--preset cpu`"),
            rows,
        ),
        *_variants(paper),
        *([f"The runs of this page, on {_CORES}:", "\n".join(runs)] if runs else []),
    ]


def _needs(experiment: Experiment) -> str:
    """Data and networks of an experiment."""
    inputs = experiment.inputs
    networks = " and ".join(f"`{name}`" for name in inputs.networks)
    return "; ".join(
        [
            *(f"`{name}/`" for name in inputs.data),
            *(["photographs (`--photographs`)"] if inputs.photographs else []),
            *([f"{networks} (or `--model`)"] if networks else []),
            *([f"`{inputs.text}` (or `--text-model`)"] if inputs.text else []),
        ]
    )


def _differences(paper: Paper) -> list[str]:
    """The docstring of the module."""
    return [
        "## How this rerun is made",
        f"Source: {file_of(paper.module, package=True)}",
        f"::: {paper.module}\n    options:\n      members: false\n      show_root_heading: false\n"
        "      show_root_toc_entry: false",
    ]


def _scorecard(paper: Paper, card: dict[str, Any]) -> list[str]:
    """Each claim beside the figures of its experiment."""
    if not card["runs"]:
        command = f"probatum reproduce {paper.name} --preset cpu --out RUN && python docs/make_scorecards.py RUN"
        return ["## Scorecard", f"No run is kept here yet: `{command}` makes one."]
    missing = ", ".join(f"`{name}`" for name in card["not_computed"])
    return [
        "## Scorecard",
        f"{tally(card['findings'])}. [What the verdicts mean](index.md).",
        *([f"Not computed: {missing}."] if missing else []),
        *(line for experiment in paper.experiments for line in _shown(paper.name, experiment, card)),
    ]


def _citation(paper: Paper) -> list[str]:
    """The entry of the bibliography; none for a study of our own."""
    entries = re.findall(r"^@\w+\{.*?^\}$", _BIBLIOGRAPHY.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [f"## Citation\n\n```bibtex\n{entry}\n```" for entry in entries if f"{{{paper.name}," in entry]


def _variants(paper: Paper) -> list[str]:
    if not paper.variants:
        return []
    rows = [(f"`--variant {name}`", what) for name, what in paper.variants.items()]
    return ["Variants of the protocol:", table(("", "what it changes"), rows)]


def _time(run: dict[str, Any]) -> str:
    """How long a run took, in words."""
    if run["hours"] >= 1:
        return f"{run['hours']:.1f} hours"
    return f"{60 * run['hours']:.0f} minutes" if run["hours"] >= 1 / 60 else "under a minute"


def _shown(name: str, experiment: Experiment, card: dict[str, Any]) -> list[str]:
    """The figures of an experiment, and its claims beside them."""
    findings = by_role([one for one in card["findings"] if one["experiment"] == experiment.name])
    figures = [one for one in card["figures"] if one["experiment"] == experiment.name]
    if not findings and not figures:
        return []
    pictures = [_picture(name, experiment, one) for one in figures]
    return [f"### {experiment.title}", *pictures, *map(_finding, findings)]


def _picture(name: str, experiment: Experiment, figure: dict[str, Any]) -> str:
    """A figure with its number, and an alternative text that says what it shows."""
    shown = max((one for one in METRICS if one in figure["file"]), key=len, default=None)
    caption = ": ".join([figure["number"] or "Figure", *([METRICS[shown].title] if shown else [])])
    text = f"{caption}, {experiment.title.partition(' (figure')[0]}"
    return f"![{text}](../figures/papers/{name}/{figure['file']}){{ loading=lazy }}\n\n*{caption}*"


def _finding(finding: dict[str, Any]) -> str:
    claim = finding["claim"]
    title = " ".join(f"{claim['where']}: {claim['statement']}".replace('"', "'").split())
    lines = {"Paper": claim["paper"], "Ours": finding["ours"], "Verdict": f"{finding['verdict']}; {finding['why']}"}
    lines |= {"Notes": finding["notes"]} if finding["notes"] else {}
    body = "\n\n".join(f"    **{name}.** {' '.join(text.split())}" for name, text in lines.items())
    if finding["numbers"]:
        items = "\n".join(f"        - {' '.join(number.split())}" for number in finding["numbers"])
        body += f'\n\n    ??? note "All {len(finding["numbers"])} numbers"\n\n{items}'
    return f'!!! {_LOOK[finding["verdict"]]} "{title}"\n\n{body}'

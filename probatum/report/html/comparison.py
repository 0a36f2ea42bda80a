"""The page of a comparison of presets: one verdict for each method and preset, and the way to each check's own page."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probatum.attributions import is_control, title_of
from probatum.data.datasets import data_title
from probatum.experiments.compare import PresetComparison, read_comparison
from probatum.experiments.run_folder import Run, read_run
from probatum.experiments.tables import count
from probatum.experiments.verdicts import INSENSITIVE_FROM, LEAST_IMAGES, MEASURABLE, SENSITIVE_UP_TO
from probatum.randomization import PRESETS
from probatum.report.html.check_words import BADGES, ORDERS_IN_WORDS, check_warnings, model_warnings, setting_of
from probatum.report.html.comparison_answer import comparison_answer
from probatum.report.html.page import render
from probatum.report.html.words import command, listed, settings, short_name


@dataclass(frozen=True)
class Column:
    """One preset of the comparison."""

    preset: str
    source: str
    metrics: str
    order: str
    initializer: str
    stages: int
    trials: int
    last: str
    broken: tuple[str, ...]

    @property
    def page(self) -> str:
        """Path of the page of this preset's check, relative to this page."""
        return f"{self.preset}/report.html"


def comparison_page(folder: Path, config: dict[str, Any]) -> str:
    """The page of a folder of `probatum check` with several presets, whose `config.json` was read."""
    comparison = read_comparison(folder)
    runs = {preset: read_run(folder / preset) for preset in comparison.presets}
    first = next(iter(runs.values()))
    columns = [_column(preset, run, comparison) for preset, run in runs.items()]
    model = first.config["model"]["title"]
    tested = [name for name in comparison.methods if not is_control(name)]
    data = short_name(data_title(first.config["data"]["name"]))
    return render(
        "comparison.html.j2",
        title=f"{count(len(columns), 'sanity check')} of {model} on {data}",
        story=(
            f"{model[:1].upper()}{model[1:]} was explained on {count(len(first.result.image_names), 'image')} by "
            f"{count(len(tested), 'method')}, and each method was put to {listed(comparison.presets)}. Checks ask "
            "different questions of a method: to pass one of them is not to pass the others."
        ),
        answer=comparison_answer(comparison, {preset: run.config for preset, run in runs.items()}),
        warnings=_warnings(comparison, runs),
        columns=columns,
        rows=[
            {
                "title": title_of(name),
                "control": is_control(name),
                "summaries": [comparison.cell(name, preset) for preset in comparison.presets],
            }
            for name in comparison.methods
        ],
        badges=BADGES,
        bounds=(SENSITIVE_UP_TO, INSENSITIVE_FROM),
        measurable=MEASURABLE,
        least=LEAST_IMAGES,
        facts=setting_of(first),
        commands=[
            ("In the folder of this page:", "probatum rerun . --out ../again"),
            ("Or from anywhere:", command("check", config["config"] | {"preset": ",".join(comparison.presets)})),
        ],
        data=None,
    )


def _column(preset: str, run: Run, comparison: PresetComparison) -> Column:
    judgement, facts = comparison.judgements[preset], run.config["randomization"]
    return Column(
        preset,
        PRESETS[preset].source,
        listed(run.result.metrics),
        ORDERS_IN_WORDS.get(facts["order"], facts["order"]),
        settings(facts["initializer"]),
        len(judgement.stages),
        judgement.trials,
        judgement.stages[-1],
        judgement.broken,
    )


def _warnings(comparison: PresetComparison, runs: dict[str, Run]) -> list[str]:
    """Caveats of the model and of each check; one that several checks share is said once."""
    shared: dict[str, list[str]] = {}
    for preset, run in runs.items():
        for warning in check_warnings(run, comparison.judgements[preset]):
            shared.setdefault(warning, []).append(preset)
    found = model_warnings(next(iter(runs.values())))
    for warning, presets in shared.items():
        found.append(warning if len(presets) == len(runs) else f"{listed(presets)}: {warning}")
    return found

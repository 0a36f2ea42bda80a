"""The page of two checks side by side."""

from pathlib import Path
from typing import Any

from probatum.attributions import is_control, title_of
from probatum.data.datasets import data_title
from probatum.experiments.run_pair import RunPair, read_pair
from probatum.experiments.tables import count
from probatum.report.html.check_words import BADGES
from probatum.report.html.page import render
from probatum.report.html.pictures import stored_figure
from probatum.report.html.words import listed, short_name


def run_pair_page(folder: Path, config: dict[str, Any]) -> str:
    """The page of a folder of `probatum compare`, whose `config.json` was read."""
    pair = read_pair(folder)
    names = [short_name(str(config["runs"][side])) for side in ("first", "second")]
    pictures = [
        {"file": path.name, "uri": uri, "width": width, "height": height}
        for path in sorted((folder / "figures").glob("*.png"))
        for uri, width, height in filter(None, [stored_figure(path)])
    ]
    return render(
        "run_pair.html.j2",
        title=f"{names[0]} beside {names[1]}",
        story=_story(pair),
        warnings=pair_warnings(pair),
        names=names,
        rows=[
            {
                "title": title_of(name),
                "control": is_control(name),
                "changed": name in pair.changed,
                "summaries": [judgement.summary(name) for judgement in pair.judgements],
            }
            for name in pair.methods
        ],
        badges=BADGES,
        figures=pictures,
        differences=[(setting_name(name), *values) for name, *values in pair.settings],
        facts=[
            (side, f"{run.config['model']['title']} on {short_name(data_title(run.config['data']['name']))}")
            for side, run in zip(("First run", "Second run"), (pair.first, pair.second), strict=True)
        ],
        commands=[("In the folder of this page:", "probatum report .")],
        data=None,
    )


def _story(pair: RunPair) -> str:
    if not pair.changed:
        return f"The verdicts on all {count(len(pair.methods), 'common method')} are the same in both runs."
    return (
        f"The verdicts on {len(pair.changed)} of {count(len(pair.methods), 'common method')} differ: "
        f"{listed(map(title_of, pair.changed))}."
    )


def setting_name(name: str) -> str:
    """A setting as readers know it: `seed` for the field `config.seed` of a run."""
    return name.removeprefix("config.")


def pair_warnings(pair: RunPair) -> list[str]:
    """Sentences about what the runs do not have in common, the model first."""
    found = []
    if pair.other_model:
        models = " and ".join(
            f"{run.config['model']['title']} (weights {str(run.config['model']['weights_sha256'])[:12]})"
            for run in (pair.first, pair.second)
        )
        found.append(f"The models differ: {models}.")
    found += [f"A control failed: {what}." for judgement in pair.judgements for what in judgement.broken]
    if pair.first.result.stages != pair.second.result.stages:
        found.append("The runs have different stages, so their curves are not drawn over one another.")
    if pair.first.result.image_names != pair.second.result.image_names:
        found.append("The runs explain different images.")
    for run, other, name in ((pair.first, pair.second, "first"), (pair.second, pair.first, "second")):
        alone = [title_of(method) for method in run.result.methods if method not in other.result.methods]
        if alone:
            found.append(f"In the {name} run alone: {listed(alone)}.")
        metrics = [metric for metric in run.result.metrics if metric not in other.result.metrics]
        if metrics:
            found.append(f"Metrics of the {name} run alone: {listed(metrics)}.")
    return found

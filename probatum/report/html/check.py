"""The page of a sanity check."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from probatum.attributions import METHODS
from probatum.data.datasets import data_title
from probatum.experiments.run_folder import Run, read_run
from probatum.experiments.tables import count
from probatum.experiments.verdicts import (
    INSENSITIVE_FROM,
    LEAST_IMAGES,
    MEASURABLE,
    SENSITIVE_UP_TO,
    Judgement,
    Summary,
    judge,
)
from probatum.metrics import Kind, is_metric_name
from probatum.report.html import charts
from probatum.report.html.answer import answer_of
from probatum.report.html.check_words import BADGES, check_warnings, model_warnings, randomization_of, setting_of, story
from probatum.report.html.explained import METHODS_IN_WORDS, METRICS_IN_WORDS, READINGS
from probatum.report.html.explorer import SHOWN_PICTURES, Explorer, explorer, pictures_of
from probatum.report.html.page import render
from probatum.report.html.words import command, number, settings, short_name
from probatum.report.intervals import Interval, bootstrap_interval
from probatum.runs.files import read_arrays
from probatum.runs.kinds import GIVEN

TRAINED = "Original"


@dataclass(frozen=True)
class Metric:
    """One metric of the run: its intervals, (stage,) each, and what they stand beside."""

    name: str
    title: str
    kind: Kind
    reduction: str
    settings: str
    source: str
    intervals: list[Interval]
    ceilings: list[float]
    scale: charts.Scale
    panels: list[charts.Panel]

    @property
    def label(self) -> str:
        """Title and name of the metric, because several metrics may share a title."""
        return self.title if self.title.lower() == self.name else f"{self.title} ({self.name})"

    @property
    def words(self) -> str:
        """The metric in a sentence; "" where it is not one of this package."""
        return METRICS_IN_WORDS.get(self.name, "")

    @property
    def good(self) -> str:
        """Says which scores speak for a method."""
        return READINGS[self.kind]

    @property
    def reading(self) -> str:
        """Explains how to read a score that is no similarity."""
        return {
            "similarity": "",
            "distance": f"{self.title} is a distance: 0 is identical.",
            "rise": f"{self.title} is a rise: above 0 the randomized model's maps have more of it.",
        }[self.kind]


@dataclass(frozen=True)
class Row:
    """One method of the run."""

    name: str
    title: str
    control: bool
    settings: str
    source: str
    constant: int
    scored: int

    @property
    def words(self) -> str:
        """The method in a sentence; "" where it is not one of this package."""
        return METHODS_IN_WORDS.get(self.name, "")


def check_page(folder: Path, config: dict[str, Any]) -> str:
    """The page of a run folder of `probatum check`, whose `config.json` was read."""
    return page_of_check(read_run(folder))


def page_of_check(run: Run) -> str:
    """The page of a run that was read."""
    rows = _rows(run)
    metrics = [_metric(run, index) for index in range(len(run.result.metrics))]
    images = _images(run)
    browser = _browser(run, rows, metrics, images)
    judgement = _judgement(run)
    return render(
        "check.html.j2",
        title=f"Sanity check of {run.config['model']['title']} on {short_name(data_title(run.config['data']['name']))}",
        run=run.config,
        answer=answer_of(run.config, judgement) if judgement else None,
        numbers={row.name: index for index, row in enumerate(rows)},
        files=_files(run),
        story=story(run),
        warnings=[*check_warnings(run, judgement), *model_warnings(run), *_left_out(browser)],
        rows=rows,
        judged=[judgement.summary(row.name) for row in rows] if judgement else list[Summary](),
        badges=BADGES,
        bounds=(SENSITIVE_UP_TO, INSENSITIVE_FROM),
        measurable=MEASURABLE,
        percent=judgement.percent if judgement else "",
        least=LEAST_IMAGES,
        metrics=metrics,
        stages=run.result.stages,
        places=charts.stage_places(len(run.result.stages)),
        images=images[:SHOWN_PICTURES],
        image_count=len(images),
        last=_last_stage(run),
        browser=browser,
        facts=[*setting_of(run), *randomization_of(run)],
        commands=_commands(run.config),
        data=browser.data if browser else None,
    )


def _commands(config: dict[str, Any]) -> list[tuple[str, str]]:
    """The commands that compute the run again."""
    if GIVEN in config:
        call = f"probatum.{config[GIVEN]['call']}(model, images, folder, ...)"
        return [("In Python, with the settings in config.json:", call)]
    return [
        ("In the folder of this page:", "probatum rerun . --out ../again"),
        ("Or from anywhere:", command("check", config["config"])),
    ]


def _rows(run: Run) -> list[Row]:
    counts = (run.result.constant > 0).sum(axis=(1, 2, 3))
    rows = []
    for index, name in enumerate(run.result.methods):
        facts, entry = run.config["methods"][name], METHODS.get(name)
        rows.append(
            Row(
                name,
                facts["title"],
                entry is not None and entry.control,
                settings(facts),
                entry.source if entry else "",
                int(counts[index]),
                int(run.result.constant[index].size),
            )
        )
    return rows


def _metric(run: Run, index: int) -> Metric:
    name = run.result.metrics[index]
    facts = run.config["metrics"][name]
    alive = np.where(run.result.live[:, index], run.result.scores[:, index], np.nan)
    intervals = [bootstrap_interval(_finite(one)) for one in alive]
    ceilings = [_mean(one) for one in run.result.ceiling[:, index]]
    chances = [bootstrap_interval(_finite(one)) for one in run.result.chance[:, index]]
    ceiling_ends = [_ends(one) for one in run.result.ceiling[:, index]]
    kind: Kind = facts["kind"]
    scale = charts.scale_of([*intervals, *chances], ceilings, kind)
    return Metric(
        name,
        facts["title"],
        kind,
        facts["reduction_title"],
        settings(facts["measure"]),
        facts["source"],
        intervals,
        ceilings,
        scale,
        [
            charts.panel(interval, ceiling, scale, run.result.stages, chance, ends)
            for interval, ceiling, chance, ends in zip(intervals, ceilings, chances, ceiling_ends, strict=True)
        ],
    )


def _judgement(run: Run) -> Judgement | None:
    """The verdicts; None for metrics that are not in the table."""
    if not all(map(is_metric_name, run.result.metrics)):
        return None
    return judge(run.result)


def _finite(scores: np.ndarray) -> np.ndarray:
    """A score, or None where it is infinite."""
    return np.where(np.isfinite(scores), scores, np.nan)


def _mean(scores: np.ndarray) -> float:
    finite = scores[np.isfinite(scores)]
    return float(finite.mean()) if finite.size else math.nan


def _ends(ceiling: np.ndarray) -> tuple[float, float]:
    """The interval of a noise ceiling over images."""
    found = bootstrap_interval(_finite(ceiling)[None, :, None])
    return float(found.low[0]), float(found.high[0])


def _images(run: Run) -> list[dict[str, Any]]:
    """Name, class and picture of each image."""
    kept = len(run.result.maps)
    stored = run.folder / "images.npz"
    pictures = None
    if stored.is_file():
        pictures = read_arrays(stored)["pictures"]
    shown = pictures_of(pictures, kept)
    return [
        {
            "name": facts["name"],
            "class": facts["class"],
            "confidence": facts["confidence"],
            "label": facts["label"],
            "label_class": facts.get("label_class"),
            "top": facts.get("top", []),
            "target": facts["target"],
            "title": f"{facts['class']} ({facts['name']})",
            "picture": shown[index] if index < len(shown) else None,
        }
        for index, facts in enumerate(run.config["data"]["images"])
    ]


def _browser(run: Run, rows: list[Row], metrics: list[Metric], images: list[dict[str, Any]]) -> Explorer | None:
    """The maps of trial 1, each with its own scores and, of several trials, their mean."""
    kept = [images[run.result.image_names.index(name)] for name in run.result.maps]
    stored = list(run.result.maps.values())
    scores, trials = run.result.scores, run.result.scores.shape[4]

    def told(image: int, method: int, stage: int) -> dict[str, Any]:
        cell = scores[method, :, stage, image]
        facts: dict[str, Any] = {"scores": [number(float(one), 4) for one in cell[:, 0]]}
        if trials > 1:
            facts["means"] = [number(_mean(one), 4) for one in cell]
        if code := int(run.result.constant[method, stage, image, 0]):
            whose = ("", "the trained model's map", "this map", "both maps")[code]
            facts["note"] = f"{whose} {'are' if code == 3 else 'is'} constant"
        return facts

    positions = [run.result.image_names.index(name) for name in run.result.maps]
    return explorer(
        methods=[row.title for row in rows],
        controls=[row.control for row in rows],
        stages=[TRAINED, *run.result.stages],
        images=kept,
        metrics=[metric.label for metric in metrics],
        read=lambda image: [stored[image][row.name] for row in rows],
        values=[
            [[told(image, method, stage) for stage in range(len(run.result.stages))] for method in range(len(rows))]
            for image in positions
        ],
    )


def _left_out(browser: Explorer | None) -> list[str]:
    if browser is None or not browser.left_out:
        return []
    kept = count(browser.left_out, "kept image")
    return [f"The maps of {kept} are left out of this page to keep it small; they are in the folder maps."]


def _files(run: Run) -> list[tuple[str, str]]:
    """The files of the folder that a reader may want, with what they hold; their names are ours, not the folder's."""
    known = [
        ("results.csv", "every score, one row for each image, method, stage, trial and metric"),
        ("chance.csv", "the chance level of each score"),
        ("ceiling.csv", "the noise ceilings"),
        ("failures.csv", "maps that are not finite"),
        ("config.json", "the whole configuration"),
        ("maps", "the maps of the kept images, as arrays"),
        ("figures", "all figures as PNG"),
        ("figures/methods.png", "the methods side by side"),
        ("figures/overlays.png", "maps laid over the images"),
    ]
    return [(name, what) for name, what in known if (run.folder / name).exists()]


def _last_stage(run: Run) -> list[list[list[float]]]:
    """`[image][method][metric]`, the mean over trials after the last stage."""
    final = run.result.scores[:, :, -1]  # (method, metric, image, trial)
    return [
        [[_mean(final[m, k, i]) for k in range(final.shape[1])] for m in range(final.shape[0])]
        for i in range(min(final.shape[2], SHOWN_PICTURES))
    ]

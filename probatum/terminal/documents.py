"""Finished runs as JSON values: what `--json` prints beside the kind and the folder."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from probatum.attributions import is_control, title_of
from probatum.experiments import Judgement, PresetComparison, Run, Verdict, judge
from probatum.experiments.localization import LocalizationResult
from probatum.experiments.localization.result import SETTINGS
from probatum.experiments.text.scores import TextExplanation
from probatum.reproductions import Finding
from probatum.runs.files import read_json

_NUMBERS = [field.name for field in fields(Verdict) if field.name not in ("method", "word")]


def check_document(run: Run) -> dict[str, Any]:
    """Model, images and verdicts of a check, as JSON values."""
    model = run.config["model"]
    return {
        "report": str(run.folder / "report.html"),
        "model": {name: model[name] for name in ("name", "title", "weights_sha256", "test_accuracy")},
        "data": {"name": run.config["data"]["name"], "skipped": run.config["data"]["skipped"]},
        **judgement_document(judge(run.result)),
    }


def comparison_document(comparison: PresetComparison, folder: Path) -> dict[str, Any]:
    """The verdicts under each preset, as JSON values."""
    found = {preset: judgement_document(judgement) for preset, judgement in comparison.judgements.items()}
    return {"report": str(folder / "report.html"), "presets": found}


def judgement_document(judgement: Judgement) -> dict[str, Any]:
    """The verdicts of a check, those of all metrics together and of each."""
    return {
        "images": judgement.images,
        "trials": judgement.trials,
        "stages": list(judgement.stages),
        "verdicts": {
            name: {
                "title": title_of(name),
                "control": is_control(name),
                "verdict": summary.word,
                "reason": summary.reason,
                "remedy": summary.remedy,
                "leading": summary.leading.metric,
                "metrics": {each.metric: _verdict(each) for each in summary.verdicts},
            }
            for name, summary in judgement.summaries.items()
        },
        "notes": list(judgement.notes),
        "broken": list(judgement.broken),
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {"verdict": verdict.word, **{name: getattr(verdict, name) for name in _NUMBERS if name != "metric"}}


def localization_document(result: LocalizationResult, folder: Path) -> dict[str, Any]:
    """The verdict on each method in each setting of a localization check."""
    return {
        "report": str(folder / "report.html"),
        "images": len(result.image_names),
        "grids": sum(map(len, result.grids)),
        "left_out": [{"name": name, "why": why} for name, why in result.left_out],
        "verdicts": {
            method: {setting: asdict(result.verdict(method, setting)) for setting in SETTINGS}
            for method in result.methods
        },
        "broken": list(result.broken),
    }


def attribution_document(folder: Path) -> dict[str, Any]:
    """The explained images and the files of their maps, as JSON values."""
    config = read_json(folder / "config.json")
    images = [{**facts, "file": str(folder / "maps" / str(facts["file"]))} for facts in config["images"]]
    return {
        "report": str(folder / "report.html"),
        **{name: config[name] for name in ("model", "methods", "skipped", "refused", "failures")},
        "images": images,
    }


def benchmark_document(folder: Path) -> dict[str, Any]:
    """The records of all suites, as JSON values."""
    return {"records": read_json(folder / "record.json")}


def text_document(found: Sequence[TextExplanation]) -> dict[str, Any]:
    """Each sentence with its class and its tokens' scores, as JSON values."""
    return {
        "sentences": [
            {
                "sentence": each.sentence,
                "class": each.class_name,
                "target": each.target,
                "confidence": each.confidence,
                "tokens": list(each.tokens),
                "scores": {method: scores.tolist() for method, scores in each.scores.items()},
            }
            for each in found
        ]
    }


def reproduction_document(findings: Sequence[Finding], folder: Path) -> dict[str, Any]:
    """The scorecard of a reproduction, as JSON values."""
    return {"report": str(folder / "report.html"), "findings": [asdict(each) for each in findings]}

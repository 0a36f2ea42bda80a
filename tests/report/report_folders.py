"""Small run folders with scores and maps from a generator, and names that are anybody's."""

import json
import shutil

import numpy as np
from benchmarks.made import ROOFLINE, TIMES

from probatum.benchmarks import BenchConfig, write_records
from probatum.benchmarks.compare import compare, write_changes
from probatum.benchmarks.kind import BENCHMARK, BenchRequest
from probatum.experiments.config import CheckConfig
from probatum.experiments.levels import store_levels
from probatum.experiments.run_folder import read_run, write_results
from probatum.experiments.sanity import SanityResult
from probatum.experiments.text.run import TextConfig, write_sentence_scores
from probatum.experiments.text.scores import TextExplanation
from probatum.runs.files import write_json

METHODS = ("gradient", "smoothgrad", "edge-detector")
TITLES = {"gradient": "Gradient", "smoothgrad": "SmoothGrad", "edge-detector": "Edge Detector"}
METRICS = ("ssim", "spearman")
STAGES = ("linear2", "conv2", "conv1")
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{7*7}}",
    "a\u202egpj.exe",
    "bell\x07 tab\t escape\x1b[31m",
    "../../etc/passwd",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "{% include 'x' %}",
    "javascript:alert(1)//'onmouseover='alert(1)",
    "name" * 400,
)


def check_folder(folder, names=("one", "two", "three"), *, kept=2, trials=2, size=(3, 24, 30), label="cat"):
    """A folder as `probatum check` leaves it."""
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    shape = (len(METHODS), len(METRICS), len(STAGES), len(names), trials)
    scores = np.linspace(0.9, 0.1, len(STAGES))[None, None, :, None, None] + generator.uniform(-0.05, 0.05, shape)
    scores[-1] = 1.0
    scores[1] *= 0.5
    constant = np.zeros((shape[0], *shape[2:]), dtype=np.int8)
    constant[0, 1, 0, 0] = 2
    ceiling = np.full((len(METHODS), len(METRICS), len(names)), np.nan)
    ceiling[1] = 0.8
    maps = {
        name: {method: generator.normal(size=(1 + len(STAGES), *size)).astype(np.float32) for method in METHODS}
        for name in names[:kept]
    }
    chance = np.full(scores.shape, 0.05)
    result = SanityResult(METHODS, METRICS, STAGES, names, (0,) * len(names), scores, constant, ceiling, chance, maps)
    write_results(folder, result)
    if kept:
        pictures = generator.uniform(size=(len(names), *size)).astype(np.float32)
        np.savez(folder / "images.npz", allow_pickle=False, pictures=pictures)
    config = {
        "kind": "check",
        "config": CheckConfig(data="digits", methods=METHODS, metrics=METRICS, trials=trials, images=3).to_json(),
        "software": {"probatum": "0.1.0"},
        "device": "cpu",
        "model": {
            "name": "basic_cnn",
            "title": "basic CNN",
            "weights_sha256": "0" * 64,
            "relu_calls": "3 of 3 ReLU calls guided",
            "relu_share": 1.0,
            "explained": "logits",
            "test_accuracy": 0.97,
        },
        "data": {
            "name": "digits",
            "images": [{"name": name, "label": None, "target": 0, "class": label, "confidence": 0.9} for name in names],
            "preprocessing": {"class": "Preprocessing", "mean": [0.5], "std": [0.5]},
        },
        "methods": {name: {"title": TITLES[name], "class": "Method", "samples": 4} for name in METHODS},
        "refused": [],
        "metrics": {
            name: {
                "class": "Metric",
                "title": title,
                "measure": {"class": "Measure"},
                "source": "a paper",
                "perfect": 1.0,
                "kind": "similarity",
                "reduction_title": "ABS",
            }
            for name, title in zip(METRICS, ("SSIM", "Rank correlation"), strict=True)
        },
        "randomization": {
            "preset": "adebayo",
            "order": "cascading",
            "initializer": {"class": "Reset"},
            "batch_norm": "keep-statistics",
            "trials": trials,
            "dead draws": [],
            "seed": 0,
            "parameters": 10,
            "re-drawn": 10,
        },
        "kept_images": list(maps),
    }
    write_json(folder / "config.json", config)
    return folder


def comparison_folder(folder, names=("one", "two", "three"), *, presets=("adebayo", "random-logit"), **options):
    """A folder as `probatum check` with several presets leaves it."""
    for preset in presets:
        stored = json.loads((check_folder(folder / preset, names, **options) / "config.json").read_text("utf-8"))
        config = stored["config"]
    write_json(folder / "config.json", {"kind": "comparison", "config": config, "presets": list(presets)})
    return folder


def explanation_folder(folder, names=("one.jpg", "two.jpg"), *, label="cat", pictures=True):
    """A folder as `probatum attribute` leaves it."""
    generator = np.random.default_rng(0)
    (folder / "maps").mkdir(parents=True)
    images = []
    for number, name in enumerate(names):
        maps = {method: generator.normal(size=(3, 24, 30)).astype(np.float32) for method in METHODS}
        np.savez(folder / "maps" / f"{number:03d}.npz", allow_pickle=False, **maps)
        facts = {"file": "../../x.npz", "image": name, "target": number, "class": label, "confidence": 0.5}
        images.append(facts)
    if pictures:
        np.savez(folder / "images.npz", allow_pickle=False, pictures=generator.uniform(size=(len(names), 3, 24, 30)))
    config = {
        "kind": "attribution",
        "config": CheckConfig(data=names[0], methods=METHODS, weights="none").to_json(),
        "model": {"name": "basic_cnn", "title": "basic CNN", "weights_sha256": "0" * 64},
        "images": images,
        "methods": {name: {"title": TITLES[name], "class": "Method"} for name in METHODS},
        "refused": [],
        "failures": [],
    }
    write_json(folder / "config.json", config)
    return folder


def sentences_folder(folder, names=("a fine film", "a dull film"), *, label="positive"):
    """A folder as `probatum attribute-text` leaves it; each name is a sentence and one of its tokens."""
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True)
    methods, found = ("gradient", "integrated-gradients"), []
    for name in names:
        scores = {method: generator.normal(size=3) for method in methods}
        kept, delta = dict.fromkeys(methods, 1.0), {"integrated-gradients": 0.2}
        found.append(TextExplanation(name, ("[CLS]", name, "[SEP]"), 1, label, 0.9, scores, kept, delta))
    write_sentence_scores(folder, found)
    facts = {
        "model": {"title": "small encoder", "weights_sha256": "0" * 64, "accuracy": 0.9, "class_names": ["no", label]},
        "methods": {method: {"title": method, "class": "Method"} for method in methods},
    }
    config = TextConfig(tuple(names), methods=methods).to_json()
    write_json(folder / "config.json", {"kind": "text attribution", "config": config, **facts})
    return folder


def bench_folder(folder):
    """A folder as `probatum bench --compare` leaves it."""
    folder.mkdir(parents=True)
    records = (ROOFLINE, TIMES)
    write_records(records, folder / "record.json")
    write_changes(folder, *compare(records, records))
    request = BenchRequest(BenchConfig(), tuple(record.suite for record in records), "stored")
    write_json(folder / "config.json", BENCHMARK.asked(request))
    return folder


def reproduction_folder(folder, text="more than half"):
    """A folder as `probatum reproduce` leaves it, with every text replaced."""
    from matplotlib.figure import Figure

    from probatum.report import save_figure

    folder.mkdir(parents=True)
    settings = {"paper": "somebody2020", "figures": ["figure1"], "preset": "quick", "data_dir": None}
    settings |= {"photographs": None, "model": None, "weights": "default", "device": "auto", "seed": 3}
    write_json(folder / "config.json", {"kind": "reproduction", "config": settings | {"memory_budget": None}})
    claims = [
        {
            "claim": {"name": f"claim{number}", "where": f"figure {number}", "statement": text, "paper": text}
            | {"about": [], "role": "result" if number < 3 else "self-test"},
            "ours": text,
            "verdict": verdict,
            "why": text,
            "notes": text,
            "numbers": [text],
            "experiment": "figure10" if number < 2 else "figure1",
        }
        for number, verdict in enumerate(("reproduced", "not reproduced", "undecided", "reproduced"))
    ]
    (folder / "scorecard.json").write_text(json.dumps(claims), encoding="utf-8")
    experiments = [
        {"name": "figure1", "title": "Maps", "covers": {"Figure 2": "maps*"}, "numbers": ["Figure 2"]},
        {"name": "figure10", "title": "Curves", "covers": {"Figure 10": "*"}, "numbers": ["Figure 10"]},
    ]
    (folder / "figure10").mkdir()
    write_json(folder / "figure10" / "facts.json", {})
    (folder / "figure10" / "table2.md").write_text("| layer | score |\n|---|---:|\n| conv1 | 0.25 |\n\nNote.\n")
    experiments = [one | {"used": "a small network"} for one in experiments]
    paper = {"name": "somebody2020", "title": "On maps", "citation": "Somebody (2020)", "experiments": experiments}
    write_json(folder / "paper.json", paper)
    (folder / "figure1").mkdir()
    checked = read_run(check_folder(folder / "check", ("a", "b", "c", "d", "e", "f"), kept=0)).result
    store_levels(folder / "figure1" / "levels.csv", text, checked)
    shutil.rmtree(folder / "check")
    for name in ("figure1", "figure1-maps", "figure10-curves"):
        figure = Figure(figsize=(2, 1))
        figure.add_subplot().plot([0, 1])
        save_figure(figure, folder / "figures" / name)
    return folder

"""Imports go downward only, and what lies below the experiments neither prints nor reads a clock nor picks a device."""

import ast
import subprocess
import sys
from collections.abc import Iterator

from sources import PACKAGE, calls_of, imports_of, modules, room_of

MIDDLE = {"attributions", "randomization", "metrics", "maps", "models", "data"}
BELOW = {
    "names": set(),
    "errors": {"names"},
    "storage": set(),
    "progress": set(),
    "imports": set(),
    "plugins": {"imports"},
    "preprocessing": set(),
    "engine": set(),
    **{room: {"engine"} for room in MIDDLE},
    "runs": {"engine", "models"},
    "experiments": MIDDLE | {"engine", "runs"},
    "conformance": {"attributions", "engine", "experiments"},
    "report": MIDDLE | {"engine", "runs", "experiments"},
    "benchmarks": MIDDLE | {"engine", "runs", "experiments", "report"},
    "reproductions": MIDDLE | {"engine", "runs", "experiments", "report"},
    "terminal": MIDDLE | {"conformance", "engine", "runs", "experiments", "report", "benchmarks", "reproductions"},
    "api": MIDDLE | {"engine", "runs", "experiments", "report"},
    "cli": {"experiments", "benchmarks", "reproductions", "terminal"},
    "__main__": {"cli"},
    "__init__": {"attributions", "experiments", "api"},
}
# The one way upward: `plot` of a result imports the room that draws it when it is called.
PLOTTERS = {
    "experiments/result.py": "probatum.report.results",
    "experiments/faithfulness.py": "probatum.report.faithfulness",
    "experiments/localization/result.py": "probatum.report.localization",
    "experiments/quality.py": "probatum.report.results",
    "experiments/shift.py": "probatum.report.results",
    "experiments/verdicts.py": "probatum.report.verdict_bars",
    "experiments/compare.py": "probatum.report.verdict_table",
}
RIVALS = {"captum", "quantus", "zennit", "pytorch_grad_cam", "saliency", "torchcam"}
CLOCKS = {"time", "datetime", "logging"}
GLOBAL_CALLS = {"print", "warnings.warn", "torch.manual_seed", "torch.set_default_device", "torch.cuda.is_available"}


def allowed_rooms(room: str) -> set[str]:
    """The rooms that a room may import, itself included."""
    return (
        {room, "names", "errors", "storage", "progress", "imports", "plugins", "preprocessing"}
        | BELOW[room]
        | ({"__init__"} if room in ("runs", "cli") else set())
    )


def upward_imports() -> Iterator[str]:
    for module, tree in modules().items():
        for name in imports_of(tree):
            if name.startswith("."):
                yield f"{module} imports relatively"
            elif PLOTTERS.get(module) == name:
                continue
            elif name.partition(".")[0] == "probatum":
                imported = name.split(".")[1] if "." in name else "__init__"
                imported = imported if imported in BELOW else "__init__"  # a name such as the version
                if imported not in allowed_rooms(room_of(module)):
                    yield f"{module} imports {name}"


def test_every_room_has_its_place():
    assert {room_of(module) for module in modules()} - set(BELOW) == set()


def test_imports_go_downward():
    assert list(upward_imports()) == []


def test_results_import_what_draws_them_only_inside_plot():
    for module, plotter in PLOTTERS.items():
        tree = modules()[module]
        importers = [
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef) and plotter in imports_of(ast.Module(node.body, []))
        ]
        assert importers == ["plot"], module
        assert imports_of(tree).count(plotter) == 1, module


def test_no_other_attribution_library_is_imported_outside_the_benchmarks():
    offenders = [
        f"{module} imports {name}"
        for module, tree in modules().items()
        for name in imports_of(tree)
        if room_of(module) != "benchmarks" and name.partition(".")[0] in RIVALS
    ]
    assert offenders == []


def test_below_the_experiments_nothing_reads_a_clock_prints_or_picks_a_device():
    below = {module: tree for module, tree in modules().items() if room_of(module) in MIDDLE | {"engine"}}
    clocks = [
        f"{module} imports {name}"
        for module, tree in below.items()
        for name in imports_of(tree)
        if name.partition(".")[0] in CLOCKS
    ]
    calls = [
        f"{module}:{call.lineno} calls {ast.unparse(call.func)}"
        for module, tree in below.items()
        for call in calls_of(tree)
        if ast.unparse(call.func) in GLOBAL_CALLS
    ]
    assert clocks + calls == []


def test_the_engine_and_its_methods_import_nothing_that_is_slow_and_not_needed():
    script = "import sys, probatum; print(*sys.modules)"
    made = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=PACKAGE.parent
    )
    slow = {"torchvision", "scipy", "skimage", "cv2", "matplotlib", "typer", "transformers", "captum"}
    assert not slow & set(made.stdout.split())

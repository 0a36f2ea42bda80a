"""Imports go downward only, and what lies below the experiments neither prints nor reads a clock nor picks a device."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "probatum"
MODULES = sorted(PACKAGE.rglob("*.py"))
MIDDLE = {"attributions", "randomization", "metrics", "maps", "models", "data"}
BELOW = {
    "errors": set(),
    "engine": set(),
    **{room: {"engine"} for room in MIDDLE},
    "experiments": MIDDLE | {"engine"},
    "report": MIDDLE | {"engine", "experiments"},
    "benchmarks": MIDDLE | {"engine", "experiments"},
    "reproductions": MIDDLE | {"engine", "experiments", "report"},
    "terminal": MIDDLE | {"experiments", "report", "reproductions"},
    "cli": MIDDLE | {"engine", "experiments", "report", "benchmarks", "reproductions", "terminal"},
    "__main__": {"cli"},
    "__init__": {"attributions"},
}


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports_of(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names += [node.module] if node.module != "probatum" else [f"probatum.{a.name}" for a in node.names]
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_go_downward(path):
    room = room_of(path)
    for name in imports_of(path):
        if not name.startswith("probatum"):
            continue
        other = name.split(".")[1] if "." in name else "__init__"
        if other not in BELOW:  # a name of the package itself, such as its version
            other = "__init__"
        allowed = {room, "errors"} | BELOW[room] | ({"__init__"} if room in ("experiments", "cli") else set())
        assert other in allowed, f"{room} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_other_attribution_library_is_imported(path):
    rivals = {"captum", "quantus", "zennit", "pytorch_grad_cam", "saliency", "torchcam"}
    if room_of(path) != "benchmarks":
        assert not rivals & {name.split(".")[0] for name in imports_of(path)}


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if room_of(path) in MIDDLE | {"engine"}],
    ids=lambda path: path.relative_to(PACKAGE).as_posix(),
)
def test_below_the_experiments_nothing_reads_a_clock_prints_or_picks_a_device(path):
    assert not {"time", "datetime", "logging"} & {name.split(".")[0] for name in imports_of(path)}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called != "print"
            assert called not in ("warnings.warn", "torch.manual_seed", "torch.set_default_device")
            assert called != "torch.cuda.is_available"


def test_the_engine_and_its_methods_import_nothing_that_is_slow_and_not_needed():
    script = "import sys, probatum; print(*sys.modules)"
    made = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=PACKAGE.parent
    )
    slow = {"torchvision", "scipy", "skimage", "cv2", "matplotlib", "typer", "transformers", "captum"}
    assert not slow & set(made.stdout.split())

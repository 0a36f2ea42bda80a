"""Help, lists and completion answer at once: nothing slow is imported, and the names are those of the registries."""

import json
import os
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest
import typer

from probatum import cli
from probatum.errors import InvalidInput, UnknownName
from probatum.experiments import CheckConfig
from probatum.experiments.config import DEFAULT_METHODS
from probatum.reproductions import PAPERS
from probatum.terminal import catalog, lists, options, waiting
from probatum.terminal.catalog import Kind

ROOT = Path(__file__).parent.parent
SLOW = {"torch", "torchvision", "numpy", "scipy", "skimage", "cv2", "matplotlib", "PIL", "transformers", "captum"}
SLOW |= {"pydantic"}  # by which newer versions of typer convert values
# At the end of the process, whatever ended it, the modules are written where the test reads them.
SCRIPT = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=open("modules.txt", "w")))
from probatum.cli import main
sys.argv[0] = "probatum"
main()
"""


def started(folder: Path, *arguments: str, code: int = 0, **environment: str) -> tuple[set[str], str]:
    """The packages that a command line imported, and what it wrote: results, or errors where it ends with a code."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, cwd=folder, env=variables
    )
    assert done.returncode == code, done.stderr
    imported = {name.split(".")[0] for name in (folder / "modules.txt").read_text().split()}
    return imported, done.stderr if code else done.stdout


def completed(folder: Path, line: str) -> list[str]:
    """What bash offers where TAB is pressed at the end of a line."""
    words = line.split(" ")
    packages, shown = started(
        folder, _PROBATUM_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1)
    )
    assert not packages & SLOW
    return shown.split()


@pytest.mark.parametrize(
    "arguments",
    [[], ["--version"], ["check", "--help"], ["reproduce", "--help"], ["list"], *(["list", kind] for kind in Kind)],
    ids=" ".join,
)
def test_help_and_lists_import_nothing_slow(arguments, tmp_path):
    packages, shown = started(tmp_path, *arguments)
    assert shown
    assert not packages & SLOW


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("chek", "did you mean 'check'"),
        ("reproduce", "adebayo2018"),
        ("reproduce adebayo", "'adebayo2018'"),
        ("reproduce wienecke2021 figure9", "figure8"),
        ("check --methods gradiant", "'gradient'"),
        ("conform ./mine.py", "./mine.py:NAME"),
    ],
)
def test_a_misspelt_line_is_answered_in_one_line_before_anything_slow_is_imported(line, told, tmp_path):
    packages, error = started(tmp_path, *line.split(), code=2)
    assert told in error.replace("Did", "did")
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert not packages & (SLOW - {"pydantic"})  # typer converts the values of a line by it


OFFERED = ("stages", "order", "initializer", "batch-norm", "baseline", "composite", "precision", "interpolation")


@pytest.mark.parametrize("option", [*OFFERED, "last-relu", "on-error"])
def test_a_line_is_refused_in_the_words_of_the_configuration(option):
    check = typer.main.get_command(cli.app).commands["check"]
    with pytest.raises(UnknownName) as early:
        check.make_context("check", [f"--{option}", "nosuch"])
    with pytest.raises(UnknownName) as late:
        CheckConfig(**{option.replace("-", "_"): "nosuch"})
    assert str(early.value) == str(late.value)


def test_files_that_do_not_exist_are_refused_with_what_lies_beside_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    Path("photos", "cat.jpg").touch()
    commands = typer.main.get_command(cli.app).commands
    for command, arguments, near in (
        ("check", ["--data", "phtos"], "'photos'"),
        ("check", ["--data", "photos/dog-cat.jpg"], "photos/cat.jpg"),
        ("check", ["--weights", "phtos/net.pt"], "the folder phtos does not exist; did you mean photos?"),
        ("attribute", ["photos/cat.jpeg", "--out", "x"], "photos/cat.jpg"),
        ("attribute-text", ["--file", "photo", "--out", "x"], "photos"),
    ):
        with pytest.raises(InvalidInput) as refused:
            commands[command].make_context(command, arguments)
        assert near in str(refused.value), arguments


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("probatum rep", ["report", "reproduce"]),
        ("probatum check --methods gradient,integrated-gradients-l", ["gradient,integrated-gradients-local"]),
        ("probatum check --methods gradient,gradient", ["gradient,gradient-shap", "gradient,gradient-shap-local"]),
        ("probatum check --metrics ssim,hog", ["ssim,hog-pearson", "ssim,hog-spearman"]),
        ("probatum check --preset emprt,ran", ["emprt,random-logit"]),
        ("probatum check --model squeezenet1_", ["squeezenet1_0", "squeezenet1_1"]),
        ("probatum check --precision b", ["bfloat16"]),
        ("probatum check --seed 3 --quiet --preset emp", ["emprt"]),
        ("probatum check --dev", ["--device"]),
        ("probatum reproduce wien", ["wienecke2021"]),
        ("probatum reproduce wienecke2021 figure1", ["figure1"]),
        ("probatum list pap", ["papers"]),
        ("probatum bench pan", ["panel"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_names_are_completed(line, offered, tmp_path):
    assert sorted(completed(tmp_path, line)) == offered


def test_the_catalog_is_what_the_registries_say():
    stored = json.loads(catalog.CATALOG.read_text(encoding="utf-8"))
    made = lists.catalog()
    # torchvision's classifiers grow with its version.
    models = {row[0] for row in made["tables"]["models"]["rows"]}
    assert {row[0] for row in stored["tables"]["models"]["rows"]} <= models
    for each in (stored, made):
        each["tables"].pop("models")
    assert stored == made, "run: python -m probatum.terminal.lists"


@pytest.mark.parametrize("paper", PAPERS)
def test_the_figures_of_each_paper_are_known(paper):
    assert catalog.figures(paper) == list(PAPERS[paper].names)


def test_every_field_of_a_check_is_an_option():
    groups = (options.NetworkOptions, options.MethodOptions, options.ProtocolOptions, options.ComputeOptions)
    grouped = {field.name: field.default for group in groups for field in fields(group)}
    own = {"data", "data_dir", "images", "seed", "on_error", "on_refused"}
    assert {field.name for field in fields(CheckConfig)} == set(grouped) | own
    assert options.chosen_methods(options.MethodOptions()) == {"methods": DEFAULT_METHODS, "on_refused": "skip"}
    for field in fields(CheckConfig):
        if field.name in grouped and field.name not in ("methods", "model", "weights"):
            assert grouped[field.name] == field.default, field.name


def test_the_package_imports_torch_only_when_asked():
    script = (
        "import sys, probatum; assert 'torch' not in sys.modules; from probatum import attribute; attribute.__name__"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
    script = "import probatum; assert 'attribute_stream' in dir(probatum); probatum.absent"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert "has no attribute 'absent'" in done.stderr


@pytest.mark.parametrize(
    ("torch", "code", "told"),
    [
        ("import signal; signal.raise_signal(signal.SIGINT)", 130, "error: interrupted; nothing was written\n"),
        ("raise ImportError('libtorch.so: no')", 1, "cannot be loaded: libtorch.so: no; install it again\n"),
    ],
    ids=["Ctrl-C", "broken"],
)
def test_what_ends_the_loading_of_torch_is_told_in_one_line(torch, code, told, tmp_path):
    (tmp_path / "torch.py").write_text(torch)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    _, error = started(tmp_path, "report", "run", code=code, PYTHONPATH=path)
    assert error.endswith(told)
    assert error.count("\n") == 1


@pytest.mark.parametrize("quiet", [False, True])
def test_long_loading_is_announced(quiet, monkeypatch, capsys):
    monkeypatch.setattr(waiting, "PATIENCE", 0.0)
    with waiting.told_when_long("loading PyTorch", quiet=quiet):
        time.sleep(0.1)
    assert ("loading PyTorch" in capsys.readouterr().err) is not quiet

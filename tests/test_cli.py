"""The terminal: what a user types, what is left on disk, and one clear line for each mistake."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from probatum.benchmarks import kind, read_records, run_suite
from probatum.cli import main
from probatum.errors import ModelError
from probatum.experiments import judge, read_run
from probatum.models import load_model, save_checkpoint

FEW = ["--images", "2", "--keep-maps", "1"]
QUICK = [*FEW, "--samples", "2", "--steps", "2"]


def run(*arguments: object) -> int:
    """The exit code of a command line."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code or 0


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "cnn.pt"
    save_checkpoint(load_model("basic_cnn", "none"), path)
    return path


@pytest.fixture
def photographs(tmp_path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for name in ("one.png", "two.jpg"):
        coarse = generator.integers(0, 256, (6, 7, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((260, 240)).save(folder / name)
    return folder


def test_several_presets_make_a_table_of_verdicts(here, weights, capsys):
    options = ["--weights", weights, *FEW, "--methods", "gradient,edge-detector"]
    assert run("check", "--preset", "emprt, random-logit", *options, "--out", "run") == 0
    shown = capsys.readouterr().out
    assert "✗ insensitive" in shown
    assert sorted(path.name for path in (here / "run").iterdir()) == [
        "config.json",
        "emprt",
        "random-logit",
        "report.html",
        "verdicts.csv",
        "verdicts.png",
    ]
    assert run("report", "run") == 0
    assert run("rerun", "run", "--out", "again") == 0
    assert (here / "again" / "verdicts.csv").read_bytes() == (here / "run" / "verdicts.csv").read_bytes()
    assert run("check", "--preset", "emprt,emprt", *options) == 2
    assert "given twice" in capsys.readouterr().err


def test_a_preset_brings_its_metrics_and_the_user_is_stronger(here, weights):
    options = ["--weights", weights, *FEW, "--methods", "gradient", "--preset", "emprt"]
    assert run("check", *options, "--out", "own") == 0
    assert run("check", *options, "--metrics", "spearman", "--out", "given") == 0
    chosen = [list(json.loads((here / name / "config.json").read_text())["metrics"]) for name in ("own", "given")]
    assert chosen == [["entropy-rise"], ["spearman"]]


def test_check_writes_a_run_that_report_draws_again(here, weights, capsys):
    assert run("check", "--weights", weights, *QUICK, "--trials", "2", "--out", "run") == 0
    shown = capsys.readouterr()
    assert "insensitive" in next(line for line in shown.out.splitlines() if "Edge Detector (control)" in line)
    folder = here / "run"
    assert sorted(path.name for path in here.iterdir()) == ["run"]
    config = json.loads((folder / "config.json").read_text())
    assert config["config"]["weights"] == str(weights)
    assert config["model"]["relu_calls"] == "3 of 3 ReLU calls guided"
    assert list(config["randomization"]["stages"]) == ["linear2", "linear1", "conv2", "conv1"]
    assert config["randomization"]["parameters"] == config["randomization"]["re-drawn"]
    with open(folder / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 11 * 4 * 2 * 4
    assert {row["score"] for row in rows if row["method"] == "edge-detector"} <= {"1.0", "0.9999999999999999"} or all(
        abs(float(row["score"]) - 1) < 1e-6 for row in rows if row["method"] == "edge-detector"
    )
    figures = {path.name: path.read_bytes() for path in (folder / "figures").iterdir()}
    assert set(figures) == {
        *(f"curves-{metric}.png" for metric in ("ssim", "spearman", "spearman-abs", "hog-pearson")),
        *("grid-000-abs-normalized.png", "grid-000-diverging.png", "methods.png", "overlays.png"),
    }
    for path in (folder / "figures").iterdir():
        path.unlink()
    assert run("report", folder) == 0
    assert {path.name: path.read_bytes() for path in (folder / "figures").iterdir()} == figures


def test_scripts_get_json_or_nothing(here, weights, photographs, capsys):
    options = ["--methods", "gradient,edge-detector", "--metrics", "spearman", *FEW]
    assert run("check", "--weights", weights, *options, "--json", "--out", "run") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["folder"], found["images"]) == ("check", "run", 2)
    judged = judge(read_run(here / "run").result)
    for method, verdict in found["verdicts"].items():
        summary = judged.summary(method)
        assert verdict["verdict"] == summary.word
        assert verdict["metrics"]["spearman"]["score"] == summary.leading.score
    assert found["verdicts"]["gradient"]["metrics"]["spearman"]["value"] is None  # two images decide nothing
    assert found["verdicts"]["edge-detector"]["control"]
    assert run("check", "--weights", weights, *options, "--quiet", "--out", "silent") == 0
    assert capsys.readouterr() == ("", "")
    options = ["--model", "squeezenet1_1", "--weights", "none", "--methods", "gradient", "--json"]
    assert run("attribute", photographs, *options, "--out", "maps") == 0
    explained = json.loads(capsys.readouterr().out)["images"]
    assert [Path(each["file"]).is_file() for each in explained] == [True, True]
    assert run("list", "methods", "--json") == 0
    assert {"name", "title"} <= set(json.loads(capsys.readouterr().out)[0])
    assert run("info", "--data-dir", here, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["packages"]["torch"]["extra"] == "needed"
    assert torch.__version__.startswith(facts["packages"]["torch"]["version"])
    assert facts["data"]["mnist"] is False


def test_equal_commands_give_equal_results(here, weights):
    for out in ("a", "b"):
        assert (
            run("check", "--weights", weights, *FEW, "--samples", "2", "--methods", "smoothgrad,grad-cam", "--out", out)
            == 0
        )
    for name in ("results.csv", "config.json", "maps/000.npz"):
        assert (here / "a" / name).read_bytes() == (here / "b" / name).read_bytes()


def test_a_run_is_computed_again_from_its_configuration(here, weights):
    chosen = ["--methods", "smoothgrad,guided-backprop", "--metrics", "ssim"]
    assert run("check", "--weights", weights, *FEW, "--samples", "2", *chosen, "--out", "a") == 0
    for name in ("results.csv", "ceiling.csv"):
        (here / "a" / name).rename(here / name)
    assert run("rerun", "a", "--out", "b") == 0
    for name in ("results.csv", "ceiling.csv"):
        assert (here / "b" / name).read_bytes() == (here / name).read_bytes()


def test_check_without_out_takes_a_new_folder_each_time(here, weights):
    for _ in range(2):
        assert run("check", "--weights", weights, *FEW, "--methods", "gradient", "--metrics", "pearson") == 0
    assert sorted(path.name for path in (here / "runs").iterdir()) == [
        "check-digits-basic_cnn",
        "check-digits-basic_cnn-2",
    ]


def test_check_of_photographs_with_a_torchvision_model(here, photographs):
    model = ["--model", "squeezenet1_1", "--weights", "none", "--input-size", "64"]
    methods = ["--methods", "gradient,grad-cam,edge-detector", "--metrics", "ssim"]
    assert run("check", "--data", photographs, *model, *methods, *FEW, "--out", "run") == 0
    config = json.loads((here / "run" / "config.json").read_text())
    assert [image["name"] for image in config["data"]["images"]] == ["one.png", "two.jpg"]
    assert config["model"]["relu_calls"] == "25 of 25 ReLU calls guided"  # the last one is skipped


def test_attribute_writes_maps_and_pictures(here, photographs, capsys):
    assert (
        run(
            *("attribute", photographs / "one.png", photographs / "two.jpg", "--out", "maps"),
            *("--model", "squeezenet1_1", "--weights", "none", "--methods", "gradient,guided-backprop,grad-cam"),
            *("--target", "7"),
        )
        == 0
    )
    with np.load(here / "maps" / "maps" / "001.npz") as stored:
        shapes = {name: stored[name].shape for name in stored.files}
    assert shapes == {"gradient": (3, 224, 224), "guided-backprop": (3, 224, 224), "grad-cam": (1, 224, 224)}
    facts = json.loads((here / "maps" / "config.json").read_text())["images"]
    assert [image["target"] for image in facts] == [7, 7]
    assert "cock" in capsys.readouterr().out
    pictures = [
        "maps-abs-normalized.png",
        "maps-diverging.png",
        "overlays-abs-normalized.png",
        "overlays-diverging.png",
    ]
    assert sorted(path.name for path in (here / "maps").glob("*.png")) == pictures


def test_train_writes_a_checkpoint_that_check_reads(here, capsys):
    assert run("train", "--out", "mlp.pt", "--model", "mlp", "--epochs", "1", "--train-images", "500") == 0
    assert re.search(r"best test accuracy 0\.\d{4}", capsys.readouterr().out)
    assert set(torch.load(here / "mlp.pt", weights_only=True)) == set(load_model("mlp", "none").state_dict())
    methods = ["--methods", "gradient", "--metrics", "pearson"]
    assert run("check", "--model", "mlp", "--weights", "mlp.pt", *FEW, *methods, "--out", "run") == 0


def test_train_says_when_the_target_is_missed_and_keeps_the_weights(here, capsys):
    few = ["--model", "mlp", "--epochs", "1", "--train-images", "50"]
    assert run("train", "--out", "mlp.pt", *few, "--target-accuracy", "0.999") == 1
    assert "target accuracy 0.999 was not reached" in capsys.readouterr().err
    assert (here / "mlp.pt").exists()


@pytest.mark.parametrize("kind", ["methods", "metrics", "models", "data", "papers", "presets", "initializers"])
def test_lists_name_the_module_or_source_of_everything(kind, capsys):
    assert run("list", kind) == 0
    out = capsys.readouterr().out
    assert "probatum." in out or kind == "presets"
    assert len(out.splitlines()) > 5


@pytest.mark.parametrize(
    "command", [[], ["check"], ["attribute"], ["train"], ["report"], ["reproduce"], ["rerun"], ["list"]]
)
def test_help_has_an_example(command, capsys):
    assert run(*command, "--help") == 0
    out = capsys.readouterr().out
    assert "Usage:" in out
    assert not command or "Example: probatum" in out


BAD = [
    (["check", "--methods", "gradiant"], 2, "did you mean 'gradient'"),
    (["check", "--metrics", "sim"], 2, "did you mean 'ssim'"),
    (["check", "--model", "squeezenet1"], 2, "squeezenet1_0"),
    (["check", "--data", "nowhere"], 2, "no data set, file or folder is called 'nowhere'"),
    (["check", "--data", "mnist"], 2, "MNIST"),
    (["check", "--weights", "nowhere.pt"], 2, "there is no checkpoint file nowhere.pt"),
    (["check", "--device", "cuda:99"], 2, "cuda"),
    (["check", "--device", "gpu"], 2, "device 'gpu' does not exist"),
    (["check", "--memory-budget", "much", "--weights", "none"], 2, "memory budget 'much'"),
    (["check", "--memory-budget", "10 KiB", "--weights", "none"], 1, "give a memory budget of at least"),
    (["check", "--layer", "conv9", "--weights", "none"], 2, "did you mean 'conv2' or 'conv1'"),
    (["check", "--images", "0"], 2, "images is 0"),
    (["check", "--memory-budget", "lots"], 2, "memory budget 'lots'"),
    (["check", "--memory-budget", "10 KiB"], 1, "give a memory budget of at least"),
    (["check", "--layer", "conv9"], 2, "did you mean 'conv2' or 'conv1'"),
    (["check", "--precision", "tf32", "--device", "cpu"], 2, "tf32"),
    (["check", "--images", "1000000000"], 2, "1000000000 images"),
    (["check", "--train-images", "1000000000"], 2, "1000000000 images"),
    (["check", "--seed", "-1"], 2, "seed is -1"),
    (["check", "--methods", "gradient,grad-cam", "--steps", "9"], 2, "--steps fits none of the chosen methods"),
    (["attribute-text", "a film", "--methods", "gradient", "--samples", "9", "--out", "x"], 2, "--samples fits none"),
    (["attribute-text", "a film", "--memory-budget", "lots", "--out", "x"], 2, "memory budget 'lots'"),
    (["attribute", "digits", "--seed", "100000000000000000000000", "--out", "x"], 2, "seed is 1000"),
    (["reproduce", "wienecke2021", "--memory-budget", "lots"], 2, "memory budget 'lots'"),
    (["reproduce", "wienecke2021", "--seed", "-1"], 2, "seed is -1"),
    (["bench", "panel", "--seed", "-1"], 2, "seed is -1"),
    (["train", "--out", "x.pt", "--seed", "-1"], 2, "seed is -1"),
    (["train", "--out", "x.pt", "--model", "resnet18"], 2, "choose from: basic_cnn, mlp"),
    (["check", "--model", "resnet18", "--weights", "none"], 2, "3 channels"),
    (["check", "--model", "mlp", "--methods", "grad-cam", "--weights", "none"], 1, "feature map"),
    (["report", "."], 2, "config.json is missing"),
    (["report", "no/run"], 2, "the folder no does not exist"),
    (["check", "--methods", "lime"], 2, "probatum list methods"),
    (["check", "--data", "mnist", "--data-dir", "nowhere"], 2, "no data folder nowhere"),
    (["download", "mnist", "--data-dir", "/dev/null/data"], 1, "/dev/null/data: Not a directory"),
    (["rerun", ".", "--out", "x"], 2, "holds no run"),
    (["reproduce", "adebayo"], 2, "did you mean 'adebayo2018'"),
    (["reproduce", "wienecke2021", "figure9"], 2, "choose from: table2_2, figure1, figure3"),
    (["reproduce", "wienecke2021", "--preset", "fast"], 2, "quick, cpu, paper"),
    (["train", "--out", "x.pt", "--data", "digit"], 2, "did you mean 'digits'"),
    (["train", "--out", "x.pt", "--preset", "fast"], 2, "choose from: quick, paper"),
    (["attribute", "nowhere.png", "--out", "x", "--model", "squeezenet1_0", "--weights", "none"], 2, "nowhere.png"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), BAD, ids=lambda value: str(value)[:60])
def test_a_mistake_is_one_line_and_leaves_nothing(arguments, code, message, here, capsys):
    assert run(*arguments) == code
    error = capsys.readouterr().err.strip()
    assert message in error
    assert len(error.splitlines()) == 1
    assert error.startswith("error: ")
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("broken.png", b"\x89PNG\r\n\x1a\n0000", "broken.png"),
        ("text.jpg", b"no image", "text.jpg"),
        ("weights.pt", b"no tensors", "weights_only=True"),
    ],
)
def test_unreadable_files_are_named(name, content, message, here, capsys):
    (here / name).write_bytes(content)
    model = ["--model", "squeezenet1_0", "--weights", name if name.endswith(".pt") else "none"]
    source = name if not name.endswith(".pt") else "digits"
    data = ["--data", source] if source != "digits" else ["--data", "digits"]
    if source == "digits":
        model = ["--model", "basic_cnn", "--weights", name]
    assert run("check", *data, *model, "--out", "run") == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in here.iterdir()] == [name]


def test_a_checkpoint_of_another_model_is_refused(here, weights, capsys):
    assert run("check", "--model", "mlp", "--weights", weights, "--out", "run") == 2
    assert "does not fit the model" in capsys.readouterr().err


def test_an_existing_folder_is_refused_and_kept(here, weights, capsys):
    (here / "run").mkdir()
    (here / "run" / "kept").write_text("kept")
    assert run("check", "--weights", weights, *QUICK, "--out", "run") == 2
    assert "run exists already" in capsys.readouterr().err
    assert (here / "run" / "kept").read_text() == "kept"


def test_a_place_that_cannot_be_written_is_refused_before_any_work(here, weights, capsys):
    (here / "file").write_text("kept")
    assert run("check", "--weights", weights, "--out", here / "file" / "run") == 2
    assert "cannot be written" in capsys.readouterr().err


def test_debug_shows_the_traceback(here):
    with pytest.raises(ValueError, match="gradiant"):
        main(["check", "--methods", "gradiant", "--debug"])


def test_bench_keeps_the_suites_that_were_finished(here, capsys, monkeypatch):
    def fail(name, config, progress):
        if name == "metrics":
            raise ModelError("a fault")
        return run_suite(name, config, progress)

    command = ["bench", "precision", "metrics", "--quick", "--model", "basic_cnn", "--out", "bench"]
    with monkeypatch.context() as patch:
        patch.setattr(kind, "run_suite", fail)
        assert run(*command) == 1
        assert "a fault; 1 of 2 suites are stored in bench" in capsys.readouterr().err
        assert [record.suite for record in read_records(here / "bench" / "record.json")] == ["precision"]
        assert run("bench", "metrics", "--quick", "--out", "none") == 1
        assert not (here / "none").exists()
    assert run(*command) == 0
    shown = capsys.readouterr()
    assert "continuing: of 2 suites precision are there" in shown.err
    assert [record.suite for record in read_records(here / "bench" / "record.json")] == ["precision", "metrics"]
    assert (here / "bench" / "precision.png").is_file()

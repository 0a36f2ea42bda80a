"""Runs that are interrupted: what is kept, what is refused, and that the finished run is that of one that was not."""

import json
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_mlp
import torch
from stopping import stop_at

from probatum import cli
from probatum.errors import InvalidInput, ModelError
from probatum.experiments import CheckConfig, compare_presets, read_run, run_check, sanity, set_up
from probatum.experiments.build import model as building
from probatum.runs import identity
from probatum.runs.cells import CellStore
from probatum.runs.resume import requested
from probatum.terminal import commands

CONFIG = CheckConfig(
    model="mlp",
    weights="none",
    images=33,  # 3 blocks, and so 9 cells
    methods=("gradient", "smoothgrad", "edge-detector"),
    metrics=("cosine",),
    trials=2,
    samples=2,
    keep_maps=3,
    device="cpu",
)
COMMAND = [
    *("check", "--model", "mlp", "--weights", "none", "--images", "33", "--samples", "2", "--trials", "2"),
    *("--methods", "gradient,smoothgrad,edge-detector", "--metrics", "cosine", "--device", "cpu"),
]


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    for name, value in tiny_mlp.PLACES.items():
        monkeypatch.setattr(building, name, value)


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    drawn = replace(commands.CHECK, draw=lambda folder, progress, ranks: [read_run(folder).folder])
    monkeypatch.setattr(commands, "CHECK", drawn)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def stored(folder: Path) -> list[Path]:
    return sorted((folder / "unfinished" / "cells").glob("*.npz"))


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        cli.main([str(argument) for argument in arguments])
    return stop.value.code or 0


def kill(root: Path, points: int, weights: str) -> int:
    """How many children were killed; their finished runs equal the one that was left alone."""
    script = Path(__file__).with_name("killed_runs.py")
    command = [sys.executable, script, root, str(points), "1", weights]
    made = subprocess.run(command, check=True, capture_output=True, text=True, env=tiny_mlp.ENVIRONMENT)
    whole = contents(root / "whole")
    assert {"config.json", "results.csv", "ceiling.csv", "figure.png", "images.npz", "maps/000.npz"} <= set(whole)
    for number in range(points):
        assert contents(root / f"run-{number}") == whole
    return int(made.stdout)


def test_a_run_that_is_killed_anywhere_ends_as_one_that_was_not(tmp_path):
    assert kill(tmp_path, 5, "none") >= 5


@pytest.mark.long
def test_runs_killed_at_fifty_points_end_as_one_that_was_not(tmp_path):
    assert kill(tmp_path, 50, "train") >= 50


def test_only_what_is_missing_is_computed(tmp_path, monkeypatch):
    run_check(CONFIG, tmp_path / "whole")
    with monkeypatch.context() as patch:
        stop_at(patch, 6, OSError(28, "No space left on device"))
        with pytest.raises(OSError, match="No space"):
            run_check(CONFIG, tmp_path / "run")
    assert len(stored(tmp_path / "run")) == 5
    stored(tmp_path / "run")[0].write_bytes(b"torn")
    saved, said = [], []
    save = CellStore.save
    monkeypatch.setattr(CellStore, "save", lambda *arguments: saved.append(arguments[1]) or save(*arguments))
    result = run_check(CONFIG, tmp_path / "run", say=said.append)
    assert len(saved) == 9 - 4
    assert said == ["continuing: 4 of 9 cells are there"]
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")
    np.testing.assert_array_equal(result.scores, sanity_of(set_up(CONFIG)).scores)


def sanity_of(made):
    return sanity.sanity_check(
        made.model,
        made.data.images,
        made.targets,
        methods=made.methods,
        metrics=made.metrics,
        randomizer=made.randomizer,
        trials=made.trials,
        precision="float32",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trials": 3}, "trials: 2 -> 3"),
        ({"methods": ("gradient",)}, "methods: gradient,smoothgrad,edge-detector -> gradient"),
        ({"seed": 1, "samples": None}, "samples: 2 -> None, seed: 0 -> 1"),
    ],
)
def test_another_configuration_is_refused_with_the_difference(change, message, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, 4, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            run_check(CONFIG, tmp_path / "run")
    before = contents(tmp_path / "run")
    with pytest.raises(InvalidInput, match=re.escape(message)):
        run_check(replace(CONFIG, **change), tmp_path / "run")
    assert contents(tmp_path / "run") == before


@pytest.mark.parametrize("place", ["unfinished", "unfinished/lock", "unfinished/cells", "maps"])
def test_a_folder_with_links_is_not_continued_and_nothing_elsewhere_is_touched(place, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, 4, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            run_check(CONFIG, tmp_path / "run")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".hidden.part").write_text("mine")
    (tmp_path / "file").write_text("mine")
    link = tmp_path / "run" / place
    if place == "unfinished":
        shutil.copy(link / "run.json", elsewhere)
    if link.is_dir():
        shutil.rmtree(link)
    link.unlink(missing_ok=True)
    link.symlink_to(tmp_path / "file" if place.endswith("lock") else elsewhere)
    before = contents(elsewhere)
    with pytest.raises(InvalidInput, match="is a link; a run is continued only in a folder that has none"):
        run_check(CONFIG, tmp_path / "run")
    assert contents(elsewhere) == before
    assert (tmp_path / "file").read_text() == "mine"


def test_what_a_run_left_that_never_said_what_it_is_is_not_used(tmp_path):
    run_check(CONFIG, tmp_path / "whole")
    state = tmp_path / "run" / "unfinished"
    state.mkdir(parents=True)
    (state / "weights.pt").write_bytes(b"of another network")
    (state / "weights.json").write_text("{}")
    (state / "cells").mkdir()
    (state / "cells" / "x.npz").write_bytes(b"")
    run_check(CONFIG, tmp_path / "run")
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_a_run_of_which_nothing_was_computed_gives_way_to_a_corrected_command(tmp_path, monkeypatch):
    def killed(*_arguments, **_options):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr("probatum.experiments.check.set_up_together", killed)
        patch.setattr("probatum.runs.resume._take_back", lambda *_: None)  # no time for it
        with pytest.raises(SystemExit):
            run_check(CONFIG, tmp_path / "run")
    assert requested(tmp_path / "run")["config"]["images"] == 33
    run_check(replace(CONFIG, images=3), tmp_path / "run")
    assert len(read_run(tmp_path / "run").result.image_names) == 3


def test_other_numerics_weights_or_images_are_refused(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, 4, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            run_check(CONFIG, tmp_path / "run")
    for name, value in (("numerics_hash", "0" * 64), ("weights_hash", "1" * 64), ("tensor_hash", "2" * 64)):
        with monkeypatch.context() as patch:
            patch.setattr(identity, name, lambda *_, value=value: value)
            with pytest.raises(
                InvalidInput, match=r"unfinished run that differs from this one \((probatum|weights|im)"
            ):
                run_check(CONFIG, tmp_path / "run")
    assert len(stored(tmp_path / "run")) == 3


def test_a_hash_of_the_numerics_covers_the_rooms_that_compute():
    root = Path(identity.probatum.__file__).parent
    assert all((root / room).exists() for room in identity._NUMERICS)
    assert re.fullmatch(r"[0-9a-f]{64}", identity.numerics_hash())


def test_a_trained_network_is_not_trained_again(tmp_path, monkeypatch):
    config = replace(CONFIG, weights="train", train_images=50, images=2)
    with monkeypatch.context() as patch:
        stop_at(patch, 1, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt) as stopped:
            run_check(config, tmp_path / "run")
    assert stopped.value.kept == f"the trained network is stored in {tmp_path / 'run'}"

    def never(*arguments, **options):
        raise AssertionError("trained again")

    with monkeypatch.context() as patch:
        stop_at(patch, 1, ModelError("a fault"))
        with pytest.raises(ModelError):
            run_check(config, tmp_path / "run")
    assert (tmp_path / "run" / "unfinished" / "weights.pt").is_file()  # what an earlier command left stays
    shutil.copytree(tmp_path / "run", tmp_path / "other")
    monkeypatch.setattr(building, "train_once", never)
    run_check(config, tmp_path / "run")
    assert (tmp_path / "run" / "weights.pt").is_file()
    assert read_run(tmp_path / "run").config["model"]["test_accuracy"] > 0
    run_check(config, tmp_path / "other")
    assert contents(tmp_path / "run") == contents(tmp_path / "other")


def test_an_interrupted_assembling_is_done_again(tmp_path):
    def fails(folder):
        assert (folder / "results.csv").is_file()
        raise KeyboardInterrupt

    run_check(CONFIG, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run_check(CONFIG, tmp_path / "run", draw=fails)
    (tmp_path / "run" / "results.csv").write_text("torn")
    with pytest.raises(InvalidInput, match="is not finished; give its command again"):
        read_run(tmp_path / "run")
    run_check(CONFIG, tmp_path / "run")
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")
    with pytest.raises(InvalidInput, match="exists already"):
        run_check(CONFIG, tmp_path / "run")


def test_leftovers_of_a_run_that_was_killed_at_its_very_end_vanish(tmp_path):
    run_check(CONFIG, tmp_path / "run")
    whole = contents(tmp_path / "run")
    (tmp_path / "run" / "unfinished").mkdir()
    (tmp_path / "run" / "unfinished" / "lock").touch()
    said = []
    run_check(CONFIG, tmp_path / "run", say=said.append)
    assert "is finished" in said[0]
    assert contents(tmp_path / "run") == whole


def test_a_second_check_does_not_train_again_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PROBATUM_CACHE", str(tmp_path / "cache"))
    config, said = replace(CONFIG, weights="train", train_images=50, images=2), []
    run_check(config, tmp_path / "first", say=said.append)
    assert [sentence.split()[0] for sentence in said] == ["loading"]
    monkeypatch.setattr("probatum.runs.cache.train", lambda *_: pytest.fail("trained again"))
    run_check(config, tmp_path / "second", say=said.append)
    assert "was trained before" in said[2]
    assert len(said) == 3
    assert contents(tmp_path / "first") == contents(tmp_path / "second")


def test_what_is_refused_before_the_first_cell_leaves_nothing(tmp_path):
    with pytest.raises(ModelError, match="feature map"):
        run_check(replace(CONFIG, methods=("grad-cam",), samples=None), tmp_path / "a" / "run")
    assert list(tmp_path.iterdir()) == []


def test_two_processes_do_not_work_on_one_run(tmp_path):
    def again(done, total, what):
        with pytest.raises(InvalidInput, match="another process works on the run"):
            run_check(CONFIG, tmp_path / "run")

    run_check(CONFIG, tmp_path / "run", again)
    assert requested(tmp_path / "run") is None


def test_a_run_goes_on_with_the_threads_that_it_began_with(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, 4, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            run_check(CONFIG, tmp_path / "run")
    seen, before = set(), torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        run_check(CONFIG, tmp_path / "run", lambda *_: seen.add(torch.get_num_threads()))
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
    assert seen == {before}


def test_ctrl_c_says_how_to_continue(here, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        stop_at(patch, 4, signal.SIGINT)
        assert run(*COMMAND, "--out", "run") == 130
    error = capsys.readouterr().err
    assert error == ("error: interrupted; 3 of 9 cells are stored in run: give the same command again to continue\n")
    assert run("report", "run") == 2
    assert "is not finished; give its command again" in capsys.readouterr().err
    assert run(*COMMAND, "--seed", "3", "--out", "run") == 2
    assert "seed: 0 -> 3" in capsys.readouterr().err
    assert run(*COMMAND, "--out", "run") == 0
    assert "continuing: 3 of 9 cells are there" in capsys.readouterr().err
    assert not (here / "run" / "unfinished").exists()


def test_sigterm_ends_as_ctrl_c_does(here, monkeypatch, capsys):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with monkeypatch.context() as patch:
        stop_at(patch, 2, signal.SIGTERM)
        assert run(*COMMAND, "--out", "run") == 143
    assert "interrupted; 1 of 9 cells are stored in run" in capsys.readouterr().err
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_an_interrupt_before_the_first_cell_leaves_nothing(here, monkeypatch, capsys):
    stop_at(monkeypatch, 1, signal.SIGINT)
    assert run(*COMMAND, "--out", "run") == 130
    assert capsys.readouterr().err == "error: interrupted; nothing was written\n"
    assert list(here.iterdir()) == []


def test_without_out_the_unfinished_run_is_found(here, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, 4, signal.SIGINT)
        assert run(*COMMAND) == 130
    assert run(*COMMAND, "--seed", "1") == 0
    assert run(*COMMAND) == 0
    names = ["check-digits-mlp", "check-digits-mlp-2"]
    assert sorted(path.name for path in (here / "runs").iterdir()) == names
    seeds = [json.loads((here / "runs" / name / "config.json").read_text())["config"]["seed"] for name in names]
    assert seeds == [0, 1]


def test_a_comparison_of_presets_continues(tmp_path, monkeypatch):
    presets = ("emprt", "random-logit")
    config = replace(CONFIG, trials=None, metrics=None)
    whole = compare_presets(config, presets, tmp_path / "whole")
    for number in (2, 8):  # in the first check and in the second one
        with monkeypatch.context() as patch:
            stop_at(patch, number, KeyboardInterrupt())
            with pytest.raises(KeyboardInterrupt) as stopped:
                compare_presets(config, presets, tmp_path / "run")
        assert "stored in" in stopped.value.kept
    with pytest.raises(InvalidInput, match="presets: emprt,random-logit -> emprt,smprt"):
        compare_presets(config, ("emprt", "smprt"), tmp_path / "run")
    assert compare_presets(config, presets, tmp_path / "run") == whole
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")

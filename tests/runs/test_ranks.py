"""Several processes on one run: its results are those of one process, and a process that dies is named."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_mlp
import torch
import torch.distributed as dist

from probatum.errors import InvalidInput
from probatum.runs import ranks as ranks_module
from probatum.runs.ended import current_rank
from probatum.runs.ranks import ALONE, Ranks


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_slow_process_holds_the_others_up_for_one_piece_at_most():
    store = dist.HashStore()
    slow, fast = (Ranks(rank, 2, counters=store) for rank in range(2))
    for items in (list("abcde"), []):  # a second list is counted anew
        for_slow = slow.pieces(items)
        first = list(itertools.islice(for_slow, 1))
        assert list(fast.pieces(items)) == items[1:]
        assert [*first, *for_slow] == items[:1]
    assert list(ALONE.pieces("ab")) == ["a", "b"]


def test_a_process_alone_waits_for_nobody(tmp_path):
    ALONE.barrier()
    ALONE.require_shared(tmp_path / "nowhere")
    assert ALONE.is_main
    assert ALONE.broadcast("") == ""
    assert ALONE.broadcast("Köln") == "Köln"
    assert ALONE.all_agree(True)
    assert not ALONE.all_agree(False)


def test_each_process_has_a_device_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert Ranks(5, 6, local_rank=1).device(torch.device("cuda")) == torch.device("cuda", 1)
    assert Ranks(5, 6, local_rank=1).device(torch.device("cpu")) == torch.device("cpu")
    assert ALONE.device(torch.device("cuda", 3)) == torch.device("cuda", 3)
    with pytest.raises(InvalidInput, match="2 processes cannot share cuda:1"):
        Ranks(0, 2).device(torch.device("cuda", 1))
    with pytest.raises(InvalidInput, match="process 3 of this machine has no CUDA device of its own, there are 2"):
        Ranks(2, 3, local_rank=2).device(torch.device("cuda"))


def test_without_torchrun_a_process_is_alone(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with ranks_module.joined_ranks() as ranks:
        assert ranks == ALONE
    assert current_rank() is None


@pytest.fixture(scope="module", params=["none", pytest.param("train", marks=pytest.mark.long)])
def scenarios(request, tmp_path_factory) -> tuple[Path, dict[str, list[str]]]:
    root = tmp_path_factory.mktemp("ranks")
    script = Path(__file__).with_name("forked_ranks.py")
    command = [sys.executable, script, root, request.param]
    made = subprocess.run(command, check=True, capture_output=True, text=True, env=tiny_mlp.ENVIRONMENT)
    return root, {line.split()[0]: line.split()[1:] for line in made.stdout.splitlines()}


def test_two_and_three_processes_make_the_run_of_one(scenarios):
    root, codes = scenarios
    assert codes["whole"] == ["0"]
    assert codes["two"] == ["0", "0"]
    assert codes["three"] == ["0", "0", "0"]
    assert {"results.csv", "ceiling.csv", "config.json", "images.npz", "maps/000.npz"} <= set(contents(root / "whole"))
    assert contents(root / "two") == contents(root / "three") == contents(root / "whole")
    assert (root / "three-0.out").read_text()
    for rank in (1, 2):
        assert (root / f"three-{rank}.out").read_text() == (root / f"three-{rank}.err").read_text() == ""


def test_a_process_that_dies_ends_the_run_which_others_continue(scenarios):
    root, codes = scenarios
    first, died = codes["dying"]
    assert (first, died) == ("1", "-9")
    error = (root / "dying-0.err").read_text()
    assert "error: process 0: another process of this run has ended" in error
    assert "of 9 cells are stored in died: give the same command again to continue" in error
    assert len(error.splitlines()) == 1
    assert codes["continued"] == ["0", "0", "0"]
    assert "of 9 cells are there" in (root / "continued-0.err").read_text()
    assert contents(root / "died") == contents(root / "whole")


def test_folders_that_are_not_shared_are_refused(scenarios):
    root, codes = scenarios
    assert codes["apart"] == ["2", "2"]
    for rank, place in enumerate(("here", "there")):
        assert "give --out on a file system that all machines share" in (root / place / f"apart-{rank}.err").read_text()
        assert not (root / place / "apart").exists()


def test_all_processes_take_the_folder_of_the_first(scenarios):
    root, codes = scenarios
    assert codes["unnamed"] == ["0", "0"]
    assert [path.name for path in (root / "runs").iterdir()] == ["check-digits-mlp"]
    assert contents(root / "runs" / "check-digits-mlp") == contents(root / "whole")


def test_a_mistake_ends_every_process(scenarios):
    root, codes = scenarios
    assert codes["wrong"][0] == "2"
    assert codes["wrong"][1] in ("1", "2")
    assert "error: process 0: device 'cuda:99'" in (root / "wrong-0.err").read_text()
    assert not (root / "wrong").exists()


def test_torchrun_starts_it(tmp_path):
    options = ["check", "--model", "mlp", "--weights", "none", "--images", "2", "--methods", "gradient,edge-detector"]
    options += ["--metrics", "cosine", "--order", "full", "--keep-maps", "0", "--trials", "2", "--device", "cpu"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    made = subprocess.run(
        [*torchrun, "-m", "probatum", *options, "--out", tmp_path / "run"],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert made.returncode == 0, made.stderr
    assert made.stdout.count("run/report.html") == 1
    names = {"ceiling.csv", "chance.csv", "config.json", "figures", "images.npz", "report.html", "results.csv"}
    assert {path.name for path in (tmp_path / "run").iterdir()} == names

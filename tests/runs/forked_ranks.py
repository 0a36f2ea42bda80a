"""What several processes make of one run, forked from one that has everything imported; a folder for each scenario.

A process of its own, because a process that has used autograd cannot fork children that use it.
"""

import os
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path

import tiny_mlp
import torch

from probatum import cli
from probatum.experiments.build.data import load_images
from probatum.models import model_spec
from probatum.runs.cells import CellStore
from probatum.terminal import commands

ARGUMENTS = [
    *("check", "--model", "mlp", "--train-images", "50", "--images", "33", "--samples", "2", "--trials", "2"),
    *("--methods", "gradient,smoothgrad,edge-detector", "--metrics", "cosine", "--keep-maps", "3"),
    *("--device", "cpu"),
]


def rank(number: int, size: int, port: int, place: Path, name: str, options: list[str], dies: bool) -> int:
    """Forks one process; its process id."""
    pid = os.fork()
    if pid:
        return pid
    os.environ.update(RANK=str(number), LOCAL_RANK=str(number), WORLD_SIZE=str(size))
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    place.mkdir(parents=True, exist_ok=True)
    os.chdir(place)
    for stream, kind in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{name}-{number}.{kind}", os.O_CREAT | os.O_WRONLY), stream)
    if dies:
        save, saved = CellStore.save, []

        def save_and_die(store, cell, arrays):
            save(store, cell, arrays)
            saved.append(cell)
            if len(saved) == 2:
                os.kill(os.getpid(), signal.SIGKILL)

        CellStore.save = save_and_die
    commands.CHECK = replace(commands.CHECK, draw=lambda folder, progress, ranks: [])
    try:
        cli.main([*ARGUMENTS, *options])
    except SystemExit as stop:
        sys.stdout.flush()
        os._exit(int(stop.code or 0))
    os._exit(99)


def run(places: list[Path], name: str, options: list[str], dying: int | None = None) -> None:
    """Runs as many ranks as there are places and writes their exit codes, that of a killed one negative."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pids = [rank(n, len(places), port, place, name, options, n == dying) for n, place in enumerate(places)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    os.write(1, f"{name} {' '.join(map(str, codes))}\n".encode())


def main(root: Path, weights: str) -> None:
    tiny_mlp.use()
    torch.set_num_threads(1)
    load_images("digits", model_spec("mlp"), 33, None, 0)  # rendered once, for all that are forked
    options = ["--weights", weights, "--out"]
    run([root], "whole", [*options, "whole"])
    run([root] * 2, "two", [*options, "two"])
    run([root] * 3, "three", [*options, "three"])
    run([root] * 2, "dying", [*options, "died"], dying=1)
    run([root] * 3, "continued", [*options, "died"])
    run([root / "here", root / "there"], "apart", [*options, "apart"])
    run([root] * 2, "unnamed", options[:2])
    run([root] * 2, "wrong", [*options, "wrong", "--device", "cuda:99"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

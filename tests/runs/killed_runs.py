"""Runs a check again and again in children that are killed somewhere, until it is finished; prints how often.

A process of its own, because a process that has used autograd cannot fork children that use it.
"""

import os
import random
import signal
import sys
from pathlib import Path

import tiny_mlp
import torch

from probatum.experiments import CheckConfig, run_check
from probatum.experiments.build.data import load_images
from probatum.models import model_spec
from probatum.storage import write_whole

CONFIG = CheckConfig(
    model="mlp",
    weights=sys.argv[4],
    train_images=50,
    images=33,  # 3 blocks
    methods=("gradient", "smoothgrad", "edge-detector"),
    metrics=("cosine",),
    trials=2,
    samples=2,
    keep_maps=3,
    device="cpu",
    memory_budget="400 KiB",  # of a dozen rows: where chunks end depends on what a row was measured to need
)
KILLS = 3  # of one run, before it may finish


def work(folder: Path) -> None:
    run_check(CONFIG, folder, draw=lambda path: write_whole(path / "figure.png", (path / "results.csv").read_bytes()))


def child(folder: Path, point: int | None = None) -> int:
    """The exit status of a child that dies before its file operation number `point`."""
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    seen = 0

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        name = str(arguments[0]) if arguments else ""
        if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir") and folder.name in name:
            seen += 1
            if seen == point:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audit)
    work(folder)
    os.write(2, f"{seen} operations\n".encode())
    os._exit(0)


def main(root: Path, points: int, seed: int) -> None:
    tiny_mlp.use()
    torch.set_num_threads(1)
    load_images(CONFIG.data, model_spec(CONFIG.model), CONFIG.images, None, CONFIG.seed)  # once, for all children
    generator, killed = random.Random(seed), 0
    assert child(root / "whole") == 0
    for number in range(points):
        folder = root / f"run-{number}"
        status = child(folder, generator.randrange(1, 130))  # an uninterrupted run has more operations than that
        while os.WIFSIGNALED(status):
            killed += 1
            status = child(folder, generator.randrange(1, 400))  # most of the next one lets finish
        assert status == 0, f"{folder}: the child failed"
    sys.stdout.write(f"{killed}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))

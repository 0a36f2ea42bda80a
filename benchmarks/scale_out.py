"""One check by one process and by several, in turns: speed-up, and whether the results are the same bytes.

    python benchmarks/scale_out.py OUT [--processes 2] [--rounds 3] [-- options of probatum check]

Each process is pinned to a core of its own and has one thread; the processes of one check find each other as torchrun's
do. Seconds are of the clock and of the processor. On a machine that others use, too, only those of the processor count:
the speed-up is that of the process that worked longest.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

CHECK = ["--model", "basic_cnn", "--weights", "none", "--images", "16", "--trials", "4", "--device", "cpu", "--quiet"]


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def run_check(processes: int, options: list[str], folder: Path) -> dict[str, object]:
    """Seconds of one check by some processes, of the clock and of each one's processor."""
    settings = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(processes)}
    start, running = time.perf_counter(), []
    for rank in range(processes):
        words = ["taskset", "-c", str(rank), sys.executable, "-m", "probatum", "check", *options, "--out", str(folder)]
        own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1"}
        running.append(subprocess.Popen(words, env=os.environ | settings | own))
    seconds = []
    for process in running:
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"a process of the check failed: {os.waitstatus_to_exitcode(status)}")
        seconds.append(usage.ru_utime + usage.ru_stime)
    return {"processes": processes, "clock": time.perf_counter() - start, "processor": seconds}


def results(folder: Path) -> dict[str, bytes]:
    """The files of a run, without its pictures."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".png", ".html"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def main() -> None:
    """Takes turns and writes the record."""
    words, options = sys.argv[1:], CHECK
    if "--" in words:
        place = words.index("--")
        words, options = words[:place], words[place + 1 :]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(words)
    given.out.mkdir(parents=True)
    record: dict[str, object] = {"check": options, "rounds": [], "identical": []}
    for number in range(given.rounds):
        folders = [given.out / f"{number}-{count}" for count in (1, given.processes)]
        order = (1, given.processes) if number % 2 == 0 else (given.processes, 1)
        record["rounds"] += [run_check(count, options, given.out / f"{number}-{count}") for count in order]
        record["identical"].append(results(folders[0]) == results(folders[1]))
        record["load"] = os.getloadavg()[0]
        alone, shared = (
            [each for each in record["rounds"] if each["processes"] == count] for count in (1, given.processes)
        )
        record["speed-up"] = {
            "processor": statistics.median(max(one["processor"]) for one in alone)
            / statistics.median(max(many["processor"]) for many in shared),
            "clock": statistics.median(one["clock"] for one in alone)
            / statistics.median(many["clock"] for many in shared),
        }
        (given.out / "scale_out.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""One measurement of memory in a process of its own: `python -m probatum.benchmarks.worker JOB`.

The job is JSON: what `measure` takes, and `cap`, the bytes that the process may take besides what it begins with.
"""

import json
import resource
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from probatum.attributions import attribute
from probatum.benchmarks.config import BenchConfig, Sizes, Subject
from probatum.benchmarks.panels import build
from probatum.benchmarks.rivals.captum import captum_map
from probatum.engine.budget import is_out_of_memory
from probatum.runs.memory import PeakMemory
from probatum.runs.plain_values import parse_dataclass


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Runs one method once.

    Args:
        job: `config` (of `BenchConfig`), `model`, `batch`, `method`, `joint`, `sizes` (of `Sizes`), `rival` (whether
            Captum does it, with its defaults).

    Returns:
        `memory` (bytes at the peak above those before the call, or None where they cannot be read), or `failure`.
    """
    config, sizes = parse_dataclass(BenchConfig, job["config"], "benchmark"), Sizes(**job["sizes"])
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    subject = Subject.load(config, job["model"], job["batch"])  # has run the model once, without gradients
    if job["rival"]:
        import_module("captum.attr")  # its code is no part of the measurement
    methods = build([job["method"]], sizes, subject.layer, joint=job["joint"])
    try:
        with warnings.catch_warnings(), PeakMemory(subject.device) as memory:
            warnings.simplefilter("ignore")
            if job["rival"]:
                captum_map(job["method"], subject.model, subject.images, subject.targets, subject.layer, sizes)
            else:
                attribute(subject.model, subject.images, subject.targets, methods)
    except (RuntimeError, MemoryError) as error:
        failure = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        return {"failure": failure, "memory_ran_out": is_out_of_memory(error)}
    return {"memory": memory.grown}


def limit(cap: int) -> None:
    """Lets this process take no more than `cap` bytes besides its present ones, where the system can do that."""
    status = Path("/proc/self/status")
    if status.exists():
        data = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmData"))
        most = int(data.split()[1]) * 1024 + cap
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    limit(given["cap"])
    sys.stdout.write(json.dumps(measure(given)) + "\n")

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

from probatum.attributions import attribute, get_method
from probatum.benchmarks.config import BenchConfig, Sizes, Subject
from probatum.benchmarks.rivals.captum import captum_map
from probatum.engine.budget import is_out_of_memory
from probatum.errors import ProbatumError
from probatum.experiments.options import set_fields
from probatum.runs.memory import PeakMemory, process_peak
from probatum.runs.plain_values import parse_dataclass


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Runs one method once.

    Args:
        job: `config` (of `BenchConfig`), `model`, `batch`, `method`, `options` (of the method's fields), and `rival`,
            for Captum with its defaults: the `Sizes` that its options are, or None.

    Returns:
        `memory` (bytes at the peak above those before the call, or None where they cannot be read) and `process` (bytes
        of the whole process at its peak, likewise), or `failure`.
    """
    config = parse_dataclass(BenchConfig, job["config"], "benchmark")
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    subject = Subject.load(config, job["model"], job["batch"])  # has run the model once, without gradients
    if job["rival"]:
        import_module("captum.attr")  # its code is no part of the measurement
    method = set_fields(get_method(job["method"]), job["options"])[0]
    try:
        with warnings.catch_warnings(), PeakMemory(subject.device) as memory:
            warnings.simplefilter("ignore")
            if job["rival"]:
                sizes = Sizes(**job["rival"])
                captum_map(job["method"], subject.model, subject.images, subject.targets, subject.layer, sizes)
            else:
                attribute(subject.model, subject.images, subject.targets, {job["method"]: method})
    except (RuntimeError, MemoryError, ProbatumError) as error:
        failure = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        return {"failure": failure, "memory_ran_out": is_out_of_memory(error)}
    return {"memory": memory.grown, "process": process_peak()}


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

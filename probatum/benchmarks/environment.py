"""The machine and the software of a measurement: without them a number of seconds says nothing."""

import os
import platform
import subprocess
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from probatum.benchmarks.rivals import RIVALS
from probatum.runs.identity import software

_OURS = ("scipy", "scikit-image", "opencv-python-headless")


def environment(device: torch.device) -> dict[str, Any]:
    """Commit, versions, device, processor, threads, load and time."""
    cuda = device.type == "cuda"
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": _commit(),
        "versions": software()
        | {name: _version(name) for name in (*_OURS, *(rival.distribution for rival in RIVALS.values()))},
        "device": torch.cuda.get_device_name(device) if cuda else "cpu",
        "device_type": device.type,
        "cuda": torch.version.cuda if cuda else None,
        "cudnn": torch.backends.cudnn.version() if cuda else None,  # type: ignore[no-untyped-call]
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2),  # of the last minute: above the threads used, the machine was busy
        "system": platform.system(),
    }


def processor() -> str:
    """The model name of the CPU."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit of the checkout that this package runs from, marked where files differ from it."""
    folder = Path(__file__).parent.parent
    try:
        answers = [
            subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, timeout=20)
            for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no", "--", "."))
        ]
    except (OSError, subprocess.SubprocessError):
        return None
    commit, changes = (answer.stdout.strip() for answer in answers)
    return f"{commit} with changes" if changes else commit

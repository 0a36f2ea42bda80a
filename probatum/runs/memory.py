"""How much memory a piece of work takes at its peak, measured from outside the engine that promises a bound."""

import os
import resource
import threading
from pathlib import Path
from types import TracebackType

import torch

_STATUS = Path("/proc/self/statm")  # Linux alone has it
_INTERVAL = 0.002  # seconds between two looks


class PeakMemory:
    """Watches the memory of the block inside `with`; `grown` then tells by how much it rose at most.

    On CUDA it is what torch allocated beyond what it held at the start. On the CPU it is the growth of the process's
    resident memory, looked at every 2 ms; memory that the process had already freed and takes again does not show.

    Args:
        device: where the work is done.
    """

    def __init__(self, device: torch.device) -> None:
        self.grown: int | None = None
        self._device = device
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._start = self._peak = 0

    def __enter__(self) -> "PeakMemory":
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
            self._start = torch.cuda.memory_allocated(self._device)
        elif _STATUS.exists():
            self._start = self._peak = _resident()
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._device.type == "cuda":
            self.grown = torch.cuda.max_memory_allocated(self._device) - self._start
        elif self._thread is not None:
            self._stop.set()
            self._thread.join()
            self.grown = max(self._peak, _resident()) - self._start

    def _watch(self) -> None:
        while not self._stop.wait(_INTERVAL):
            self._peak = max(self._peak, _resident())


def process_peak() -> int | None:
    """The most bytes of memory that this process has held at any time; None where the system does not tell."""
    if not _STATUS.exists():
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB


def _resident() -> int:
    """Bytes of this process that are in memory."""
    return int(_STATUS.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")

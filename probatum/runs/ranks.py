"""Several processes on one run: started by torchrun, they share the run folder and nothing else.

What is computed travels through files alone; the process group carries barriers, a few numbers and a counter of the
pieces of work that are taken.
"""

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from probatum.errors import InvalidInput, ModelError
from probatum.runs.ended import current_rank

T = TypeVar("T")
BARRIER_TIMEOUT = timedelta(days=14)  # at a barrier, for others that still compute; one that died is noticed at once
_TRIES, _PAUSE = 50, 0.1  # a network file system may show a new file seconds late


@runtime_checkable
class Counters(Protocol):
    """Counters that all processes share, such as a store of torch.distributed."""

    def add(self, key: str, amount: int, /) -> int:
        """Adds to a counter that begins at 0, and returns its value."""


@dataclass(frozen=True)
class Ranks:
    """This process among those that work on the same run; alone where nothing was started with torchrun.

    Args:
        rank: of this process; 0 leads: it trains, assembles and speaks.
        size: how many there are.
        local_rank: its number on its own machine.
        counters: of the pieces of work that are taken, which all processes share; None for a process alone.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    counters: Counters | None = field(default=None, repr=False, compare=False)
    _works: Iterator[int] = field(default_factory=count, repr=False, compare=False)

    @property
    def is_main(self) -> bool:
        """True if this is the process that trains, assembles and speaks."""
        return self.rank == 0

    def pieces(self, items: Sequence[T]) -> Iterator[T]:
        """The items that this process works on, of a list that all processes have.

        Each process takes the next item that nobody has when it is done with its last one, so that a slow process
        holds the others up for one item at most. All processes call this the same number of times, with equal lists.
        """
        work = next(self._works)
        if self.counters is None:
            return iter(items)
        return self._taken(items, self.counters, f"probatum/taken/{work}")

    @staticmethod
    def _taken(items: Sequence[T], counters: Counters, key: str) -> Iterator[T]:
        while True:
            with _others_alive():
                number = counters.add(key, 1) - 1
            if number >= len(items):
                return
            yield items[number]

    def device(self, chosen: torch.device) -> torch.device:
        """The device of this process: one CUDA device each.

        Raises:
            InvalidInput: a certain device was chosen for several processes, or there are too few.
        """
        if self.size == 1 or chosen.type != "cuda":
            return chosen
        if chosen.index is not None:
            raise InvalidInput(
                f"{self.size} processes cannot share {chosen}; give --device cuda, and each takes its own"
            )
        if self.local_rank >= torch.cuda.device_count():
            raise InvalidInput(
                f"process {self.local_rank + 1} of this machine has no CUDA device of its own, there are "
                f"{torch.cuda.device_count()}; start fewer with --nproc-per-node"
            )
        return torch.device("cuda", self.local_rank)

    def barrier(self) -> None:
        """Returns when all processes have come here."""
        self._sum(torch.zeros(1, dtype=torch.int64))

    def all_agree(self, opinion: bool) -> bool:
        """True if all processes say yes."""
        votes = torch.tensor([int(opinion)])
        self._sum(votes)
        return int(votes) == self.size

    def broadcast(self, text: str) -> str:
        """The text of the leading process."""
        content = torch.frombuffer(bytearray(text.encode() or b"\0"), dtype=torch.uint8).long()
        length = torch.tensor([len(content) if self.is_main else 0])
        self._sum(length)
        shared = content if self.is_main else torch.zeros(int(length), dtype=torch.int64)
        self._sum(shared)
        return bytes(shared.tolist()).decode().rstrip("\0")

    def decide(self, find: Callable[[], list[int]]) -> list[int]:
        """Numbers that the leading process finds alone, for the others may change meanwhile what it looks at."""
        numbers: list[int] = json.loads(self.broadcast(json.dumps(find() if self.is_main else [])))
        return numbers

    def require_shared(self, folder: Path) -> None:
        """Raises InvalidInput in every process unless all see the same folder."""
        if self.size == 1:
            return
        token = folder / f"token-{self.broadcast(uuid.uuid4().hex)}"
        if self.is_main:
            token.touch()
        self.barrier()
        seen = any(_exists(token, attempt) for attempt in range(_TRIES))
        agreed = self.all_agree(seen)
        if self.is_main:
            token.unlink()
        if not agreed:
            raise InvalidInput(
                f"not every process sees the folder {folder} of the first one; "
                "give --out on a file system that all machines share"
            )

    def _sum(self, values: torch.Tensor) -> None:
        """Adds up, in place, what all processes have."""
        if self.size == 1:
            return
        with _others_alive():
            dist.all_reduce(values)


ALONE = Ranks()


@contextmanager
def joined_ranks() -> Iterator[Ranks]:
    """Joins the processes that torchrun started; gives a process alone where it was not used."""
    if current_rank() is None:
        yield ALONE
        return
    with _others_alive():
        store, rank, size = next(rendezvous("env://", timeout=BARRIER_TIMEOUT))
        dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=BARRIER_TIMEOUT)
    yield Ranks(rank, size, int(os.environ.get("LOCAL_RANK", "0")), store)
    # torch 2.6 waits in here for the thread of the last collective with Python's lock in hand, and that thread may want
    # the lock once more to let go of what it held.
    time.sleep(_PAUSE)
    dist.destroy_process_group()  # after an error the process ends without it, and the others notice


@contextmanager
def _others_alive() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # torch has no type of its own for a connection that was closed
        raise ModelError("another process of this run has ended; its own message says why") from error


def _exists(path: Path, attempt: int) -> bool:
    if attempt:
        time.sleep(_PAUSE)
    return path.exists()

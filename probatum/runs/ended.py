"""What an error tells of the run that it ended. Imports nothing slow, for a command may end while torch is loading."""

import os

FINISHED = "the finished run is"
"""How the saved progress of a run begins that was finished before the error came."""


def saved_progress(error: BaseException) -> str:
    """Saved progress of a run that this error ended, in words; empty where nothing is saved."""
    return str(getattr(error, "kept", ""))


def current_rank() -> int | None:
    """The rank that torchrun gave to this process; None where it was not used, or for one process."""
    return int(os.environ.get("RANK", "0")) if int(os.environ.get("WORLD_SIZE", "1")) > 1 else None

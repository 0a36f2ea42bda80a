"""Stops a run at one of its cells."""

import signal

from probatum.runs.cells import CellStore


def stop_at(monkeypatch, number, error=KeyboardInterrupt):
    """Raises, or sends the process a signal, instead of storing cell `number`; returns the list that cells enter."""
    save, seen = CellStore.save, []

    def save_or_stop(store, cell, arrays):
        seen.append(cell)
        if len(seen) == number:
            if isinstance(error, signal.Signals):
                signal.raise_signal(error)
            raise error
        save(store, cell, arrays)

    monkeypatch.setattr(CellStore, "save", save_or_stop)
    return seen

"""Locks between processes that work on one home.

Does not belong here: what is locked for how long.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def sole_holder(home: Path, name: str) -> Iterator[None]:
    """Hold a lock of a home; who comes second waits. The kernel frees the lock of a killed process."""
    with _lock_file(home, name) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def held_if_free(home: Path, name: str) -> Iterator[bool]:
    """Hold a lock of a home where nobody does; says whether it is held."""
    with _lock_file(home, name) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _lock_file(home: Path, name: str) -> IO[str]:
    locks = home / "tmp" / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    return (locks / f"{name}.lock").open("w")

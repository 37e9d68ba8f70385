"""One process at a time, where it saves work and nothing depends on it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PAUSE = 0.05


@contextmanager
def alone(file: Path, patience: float) -> Iterator[None]:
    """Hold the lock `file` meanwhile; its folder is made, for this user only, when it is not there.

    Who has waited `patience` seconds for it, or cannot lock at all, goes on without.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        yield
        return
    try:
        _wait(lock, patience)
        yield
    finally:
        os.close(lock)


def _wait(lock: int, patience: float) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(_PAUSE)

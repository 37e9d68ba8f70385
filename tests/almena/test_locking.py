"""One process at a time, but nobody waits for ever."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from almena.locking import alone


def test_one_waits_for_the_other(tmp_path: Path) -> None:
    inside: list[str] = []
    entered = threading.Event()

    def first() -> None:
        with alone(tmp_path / "made" / "lock", 5):
            entered.set()
            time.sleep(0.2)
            inside.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    entered.wait()
    with alone(tmp_path / "made" / "lock", 5):
        inside.append("second")
    thread.join()
    assert inside == ["first", "second"]


def test_who_waits_too_long_goes_on(tmp_path: Path) -> None:
    with alone(tmp_path / "lock", 1):
        began = time.monotonic()
        with alone(tmp_path / "lock", 0.1):
            assert time.monotonic() - began < 5


def test_who_cannot_lock_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with alone(tmp_path / "file" / "lock", 1):
        pass

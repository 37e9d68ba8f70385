"""From `make run` on a fresh clone to the console and to the first alert."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_URL = "http://127.0.0.1:8080/healthz"


def main() -> None:
    """Clone, run, wait; the registry's speed and pip's cache are part of the figure."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "almena"
        subprocess.run(["git", "clone", "-q", str(_ROOT), str(clone)], check=True)
        began = time.monotonic()
        process = subprocess.Popen(["make", "run"], cwd=clone, stdout=subprocess.DEVNULL, start_new_session=True)
        try:
            console = _until(lambda: urllib.request.urlopen(_URL, timeout=1).status == 200, began)
            alert = _until(lambda: _alerts(clone / "data" / "store.sqlite") > 0, began)
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait()
    print(f"{'fresh clone: make run to console':<58} {console:>14.1f} s")
    print(f"{'fresh clone: console to first alert':<58} {alert - console:>14.1f} s", flush=True)


def _until(true: object, began: float) -> float:
    while time.monotonic() - began < 600:
        try:
            if true():  # type: ignore[operator]
                return time.monotonic() - began
        except (OSError, sqlite3.Error):
            pass
        time.sleep(0.05)
    raise TimeoutError("ten minutes and nothing")


def _alerts(path: Path) -> int:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as store:
        return int(store.execute("SELECT count(*) FROM documents WHERE kind = 'alerts'").fetchone()[0])

"""How long a person waits for `almena --help`, and how much of it is Python itself."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

_RUNS = 11


def seconds(*arguments: str) -> list[float]:
    """Wall time of whole processes."""
    found = []
    for _ in range(_RUNS):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        found.append(time.perf_counter() - began)
    return found


def main() -> None:
    """Help beside an empty program."""
    for name, arguments in (("almena --help", ("-m", "almena", "--help")), ("  beside python -c pass", ("-c", "pass"))):
        found = seconds(*arguments)
        print(f"{name:<58} {statistics.median(found):>14.3f} s   ({min(found):.3f} to {max(found):.3f})", flush=True)

"""Runs one command on one processor core and says what it cost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO


@dataclass(frozen=True, slots=True)
class Done:
    """What a process cost."""

    code: int
    cpu: float
    """Seconds of processor time."""
    wall: float
    """Seconds by the clock."""
    peak: int
    """Peak memory in MiB."""


def core() -> int | None:
    """The core that everything measured runs on, or None where the system cannot pin."""
    return max(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else None


def pin() -> None:
    """Put this process on the core; does nothing where the system cannot."""
    chosen = core()
    if chosen is not None:
        os.sched_setaffinity(0, {chosen})


def one_core(
    command: Sequence[str], stdout: int | IO[bytes] | None = None, stderr: int | IO[bytes] | None = None
) -> Done:
    """Run `command` to its end, pinned."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=stdout, stderr=stderr, preexec_fn=pin)  # noqa: PLW1509
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    peak = usage.ru_maxrss // (1024 * 1024 if sys.platform == "darwin" else 1024)
    return Done(process.returncode, usage.ru_utime + usage.ru_stime, wall, peak)

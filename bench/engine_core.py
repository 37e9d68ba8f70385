"""One command on one processor core, and what it cost."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_STATUS = Path("/proc/self/status")


@dataclass(frozen=True, slots=True)
class Done:
    """What a process cost."""

    code: int
    cpu: float
    """Seconds of processor time."""
    wall: float
    """Seconds by the clock."""
    peak: int
    """Peak memory in MiB; never below what the process that started it held at that moment."""


def pin() -> None:
    """Put this process on the machine's last core; does nothing where the system cannot."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def one_core(command: Sequence[str], stdout: int | IO[bytes], stderr: int | IO[bytes]) -> Done:
    """Run `command` to its end, pinned as `pin` does."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=stdout, stderr=stderr, preexec_fn=pin)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    return Done(process.returncode, usage.ru_utime + usage.ru_stime, wall, _mebibytes(usage.ru_maxrss))


def peak() -> int:
    """Peak memory of this process in MiB."""
    if _STATUS.exists():
        high = next((line for line in _STATUS.read_text("ascii").splitlines() if line.startswith("VmHWM:")), None)
        if high is not None:
            return _mebibytes(int(high.split()[1]))
    return _mebibytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _mebibytes(reported: int) -> int:
    return reported // (1024 * 1024 if sys.platform == "darwin" else 1024)

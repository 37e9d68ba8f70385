"""One measured run of the Sigma engine in a process of its own: load, warm, time; one line of JSON out.

`python -m bench.engine_run RULES MODE WARM TIMED...`: events in files of lines of JSON, `MODE` as for `load_rules`.
Each timed file is run once, in order; the line has one entry of each list for each of them.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, cast

import msgspec

from almena.event import Event, decode
from bench.engine_core import pin
from detectors.sigma.detector import SigmaDetector
from detectors.sigma.loader import load_rules


class Run(msgspec.Struct):
    """What one run says."""

    load: float
    """Seconds that the rules took to load, by the clock."""
    rules: int
    loaded: int
    """Memory in MiB at its peak when the rules had been loaded."""
    events: list[int]
    verdicts: list[int]
    cpu: list[float]
    """Seconds of processor time."""
    wall: list[float]
    """Seconds by the clock."""
    peak: list[int]
    """Peak memory in MiB so far, of the whole process."""


def matcher(rules: Path, mode: Literal["ecs", "native"]) -> tuple[Callable[[Event], list[str]], int]:
    """The product's own way from an event to the ids of its rules, and how many rules it has."""
    ruleset = load_rules([rules], mode=mode)
    return SigmaDetector(ruleset).match_ids, len(ruleset.rules)


def verdicts(match: Callable[[Event], list[str]], path: Path) -> tuple[int, list[tuple[int, str]]]:
    """How many events `path` has, and the (number of the event, rule id) pairs."""
    found: list[tuple[int, str]] = []
    number = -1
    with path.open("rb") as lines:
        for number, line in enumerate(lines):
            for rule in match(decode(line)):
                found.append((number, rule))
    return number + 1, found


def main() -> None:
    """Measure what the command line names."""
    pin()
    rules, mode, warm, *timed = sys.argv[1:]
    began = time.perf_counter()
    match, count = matcher(Path(rules), cast('Literal["ecs", "native"]', mode))
    run = Run(time.perf_counter() - began, count, _peak(), [], [], [], [], [])
    verdicts(match, Path(warm))
    for name in timed:
        wall, cpu = time.perf_counter(), time.process_time()
        events, found = verdicts(match, Path(name))
        run.cpu.append(time.process_time() - cpu)
        run.wall.append(time.perf_counter() - wall)
        run.events.append(events)
        run.verdicts.append(len(found))
        run.peak.append(_peak())
    sys.stdout.buffer.write(msgspec.json.encode(run) + b"\n")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 * 1024 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()

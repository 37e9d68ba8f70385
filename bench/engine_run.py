"""One measured run of the Sigma engine in a process of its own: load, warm, time; one line of JSON out.

`python -m bench.engine_run RULES MODE WARM TIMED...`: events in files of lines of JSON, `MODE` as for `load_rules`.
Each timed file is run once, in order; the line has one entry of each list for each of them.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeAlias, cast

import msgspec

from almena.detect import SLICE
from almena.event import Batch, decode
from almena.heap import settle
from bench.engine_core import peak, pin
from detectors.sigma.cache import load_rules
from detectors.sigma.detector import SigmaDetector
from detectors.sigma.inputs import Mode
from detectors.sigma.rules import RuleSet

Match: TypeAlias = Callable[[Batch], Sequence[Sequence[str]]]
"""From events to the ids of the rules that each matches."""
Pair: TypeAlias = tuple[int, str]
"""(number of the event in its file, id of a rule it matches)."""


class Run(msgspec.Struct):
    """What one run says."""

    rules: int
    load: float
    """Seconds that the rules took to load, by the clock."""
    loaded: int
    """Peak memory in MiB when the rules had been loaded."""
    events: list[int]
    verdicts: list[int]
    cpu: list[float]
    """Seconds of processor time."""
    wall: list[float]
    """Seconds by the clock."""
    peak: list[int]
    """Peak memory in MiB of the whole process so far."""


def loaded(rules: Path, mode: Mode) -> RuleSet:
    """The rules of a folder as the product loads them: from its cache, beside the folder, from the second time on."""
    return load_rules([rules], mode, cache=rules.parent / "cache")


def matcher(ruleset: RuleSet) -> Match:
    """The product's own way from events to the ids of their rules: the Sigma detector, fed in batches."""
    many = SigmaDetector(ruleset).match_all
    return lambda events: [[rule.id for rule in matched] if matched else () for matched in many(events)]


def verdicts(match: Match, path: Path) -> tuple[int, list[Pair]]:
    """From the bytes of a file to its verdicts: how many events it has, and its pairs.

    Events are taken in steps as large as those of the product's detect stage.
    """
    found: list[Pair] = []
    count = 0
    with path.open("rb") as file:
        while lines := list(islice(file, SLICE)):
            for number, rules in enumerate(match(Batch(map(decode, lines), lines)), count):
                if rules:
                    found += [(number, rule) for rule in rules]
            count += len(lines)
    return count, found


def start(rules: Path, mode: Mode, warm: Path, *timed: Path) -> Run:
    """Run this module in a process of its own; raises CalledProcessError."""
    command = [sys.executable, "-m", "bench.engine_run", str(rules), mode, str(warm), *map(str, timed)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1])
    return msgspec.json.decode(done.stdout, type=Run)


def main() -> None:
    """Measure what the command line names."""
    pin()
    rules, mode, warm, *timed = sys.argv[1:]
    began = time.perf_counter()
    ruleset = loaded(Path(rules), cast("Mode", mode))
    match = matcher(ruleset)
    settle()  # as the detect role does; the collector stays on
    run = Run(len(ruleset.rules), time.perf_counter() - began, peak(), [], [], [], [], [])
    verdicts(match, Path(warm))
    for name in timed:
        wall, cpu = time.perf_counter(), time.process_time()
        events, found = verdicts(match, Path(name))
        run.cpu.append(time.process_time() - cpu)
        run.wall.append(time.perf_counter() - wall)
        run.events.append(events)
        run.verdicts.append(len(found))
        run.peak.append(peak())
    sys.stdout.buffer.write(msgspec.json.encode(run) + b"\n")


if __name__ == "__main__":
    main()

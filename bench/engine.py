"""The Sigma engine beside RSigma, one core each, from lines of JSON to verdicts: `make bench-engine`.

Docs/benchmarks.md says how it is measured. `python -m bench.engine --lanes otrf --rounds 1 --parts native --no-pairs`
is a quick look; only a whole run is written into that page.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

from corpora import CORPORA

from bench import engine_pairs, engine_report, engine_run
from bench.engine_lanes import (
    RULES,
    SOURCES,
    Lane,
    changed,
    ecs,
    labelled,
    lines_of,
    make,
    new_texts,
    repeated,
    rules_folder,
    some_rules,
    unique,
    write,
)
from bench.engine_report import Figures, Growth, LaneFigures, Series
from bench.peer import ECS, ROOT, ROUTED, Outcome, Peer, PeerError, install
from detectors.sigma.inputs import Mode

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"

DIFFERENCES = ROOT.parent / "differences.tsv"

PARTS = ("native", "ecs", "unique", "growth")

COUNTS = (500, 1_000, 2_000, 3_132)
"""How many rules `growth` takes."""

_REAL, _GENERATED, _UNIQUE = 3.0, 4.0, 0.7
"""The least ratios to reach."""

_LONG_ENOUGH = 1.0
"""Seconds that the peer should run for, its load left out."""

_MOST_TIMES = 60
"""How often its lane is repeated at most."""

_TRIES = 3
"""How often the peer is run until its run takes longer than its load."""

_PASSES = 4
"""How often the lane of new values is continued with values that are new again."""

_FEWEST_ROUNDS = 5
"""Rounds that figures must have to be written down."""


@dataclass
class Bench:
    """One run: where its files are, what is measured, and what was found so far."""

    folder: Path
    rules: Path
    peer: Peer | None
    pairs: bool
    figures: Figures
    nothing: Path = field(init=False)
    """One event no rule is for: what the peer takes for it is its load."""

    def __post_init__(self) -> None:
        self.nothing = self.folder / "one.ndjson"
        self.nothing.write_bytes(b'{"product":"none"}\n')

    def lane(self, name: str, goal: float | None, mode: Mode, lines: Iterable[bytes]) -> None:
        """Measure one lane, and compare its verdicts."""
        with tempfile.TemporaryDirectory(dir=self.folder) as place:
            folder = Path(place) / name
            folder.mkdir()
            lane = make(folder, lines)
            found = LaneFigures(name, goal, lane.events, Series(), {})
            verdicts, theirs = self._time(lane, mode, found)
            if self.peer is not None and self.pairs:
                found.compared = engine_pairs.start(self.rules, mode, lane.whole, lane.half, self.peer, DIFFERENCES)
                _agree(name, found.compared, verdicts, theirs)
        self.figures.lanes.append(found)

    def _time(self, lane: Lane, mode: Mode, found: LaneFigures) -> tuple[int, dict[str, int]]:
        """The rounds of a lane; says how many verdicts each side gave on its second half."""
        mapping = ECS if mode == "ecs" else ()
        ways = {"default": mapping, "routed": (*ROUTED, *mapping)} if self.peer else {}
        times, many = self._long_enough(lane, ways["routed"]) if ways else (1, lane.second)
        verdicts, theirs = 0, dict.fromkeys(ways, 0)
        found.peer = {way: Series() for way in ways}
        for _ in range(self.figures.rounds):
            run = engine_run.start(self.rules, mode, lane.first, lane.second)
            found.ours.add(run.cpu[0], run.wall[0], run.peak[0])
            self.figures.load.append(run.load)
            verdicts = run.verdicts[0]
            say(f"{found.name:<18} ours         {lane.events / run.cpu[0]:>10,.0f}/s  {run.verdicts[0]:>8,} verdicts")
            for way, options in ways.items():
                outcome = self._net(self.rules, many, options, times)
                found.peer[way].add(outcome.cpu, outcome.wall, outcome.peak)
                theirs[way] = outcome.matches // times
                say(
                    f"{'':<18} peer {way:<7} {lane.events / outcome.cpu:>10,.0f}/s  {theirs[way]:>8,} verdicts, "
                    f"ratio {outcome.cpu / run.cpu[0]:.2f}"
                )
        return verdicts, theirs

    def _net(self, rules: Path, events: Path, options: tuple[str, ...], times: int) -> Outcome:
        """What the peer takes for the events once, its load left out; both runs are of this round."""
        assert self.peer is not None
        for _ in range(_TRIES):
            load, full = self.peer.run(rules, self.nothing, options), self.peer.run(rules, events, options)
            if full.cpu > load.cpu and full.wall > load.wall:
                cpu, wall = (full.cpu - load.cpu) / times, (full.wall - load.wall) / times
                return Outcome(full.events, full.matches, cpu, wall, full.peak)
        raise PeerError(f"the peer took no longer for {full.events} events than for one; the machine is too busy")

    def _long_enough(self, lane: Lane, options: tuple[str, ...]) -> tuple[int, Path]:
        """How often the peer takes the second half, and the file of it."""
        assert self.peer is not None
        load, once = self.peer.run(self.rules, self.nothing, options), self.peer.run(self.rules, lane.second, options)
        times = min(_MOST_TIMES, 1 + int(_LONG_ENOUGH / max(once.cpu - load.cpu, 0.001)))
        return times, repeated(lane, times)

    def unique(self) -> None:
        """OTRF with every text its own: speed, and memory as more and more come."""
        self.lane("only new", _UNIQUE, "native", unique(lines_of("otrf")))
        with tempfile.TemporaryDirectory(dir=self.folder) as place:
            plain, first, *more = (Path(place) / f"{number}.ndjson" for number in range(_PASSES + 2))
            half = write(plain, lines_of("otrf")) // 2
            for number, path in enumerate((first, *more)):
                with plain.open("rb") as file:
                    write(path, unique(islice(file, half, None), number * 1_000_000))
            with first.open("rb") as file:
                texts = sum(map(new_texts, file))
            run = engine_run.start(self.rules, "native", first, *more)
        say(f"{'only new':<18} memory: {run.peak} MiB; {texts:,} new texts in every {run.events[0]:,} events")
        self.figures.memory = [(0, run.loaded)]
        self.figures.memory += [((number + 2) * texts, peak) for number, peak in enumerate(run.peak)]

    def growth(self) -> None:
        """OTRF with more and more rules."""
        with tempfile.TemporaryDirectory(dir=self.folder) as place:
            lane = make(Path(place), lines_of("otrf"))
            sets = [(count, some_rules(self.rules, count, Path(place) / str(count))) for count in COUNTS]
            rows = [Growth(count, Series(), Series() if self.peer else None) for count in COUNTS]
            for _ in range(self.figures.rounds):
                for row, (count, rules) in zip(rows, sets, strict=True):
                    run = engine_run.start(rules, "native", lane.first, lane.second)
                    row.ours.add(run.cpu[0], run.wall[0], run.peak[0])
                    say(f"{f'{count:,} rules':<18} ours         {lane.events / run.cpu[0]:>10,.0f}/s")
                    if row.routed is not None:
                        outcome = self._net(rules, lane.second, ROUTED, 1)
                        row.routed.add(outcome.cpu, outcome.wall, outcome.peak)
        self.figures.growth = rows


def _agree(name: str, compared: engine_pairs.Compared, verdicts: int, theirs: dict[str, int]) -> None:
    """The verdicts that were compared are as many as those that were timed; raises SystemExit."""
    counted = {side.name: side.second for side in compared.sides}
    timed = {"ours": verdicts, **theirs}
    again = {"ours": compared.second, **{way: counted[way] for way in theirs}}
    if timed != again:
        sys.exit(f"{name}: the verdicts timed were {timed}, those compared {again}; they should be equal")


def say(line: str) -> None:
    """What is going on."""
    print(line, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.engine", description=__doc__)
    parser.add_argument("--lanes", default=",".join(SOURCES), help="of: %(default)s")
    parser.add_argument("--parts", default=",".join(PARTS), help="of: %(default)s")
    parser.add_argument("--rounds", type=int, default=_FEWEST_ROUNDS)
    parser.add_argument("--no-peer", action="store_true", help="measure ours alone")
    parser.add_argument("--no-pairs", action="store_true", help="do not compare verdicts")
    parser.add_argument("--peer-root", type=Path, default=ROOT, help="where the peer is or will be installed")
    found = parser.parse_args()
    found.lanes, found.parts = found.lanes.split(","), found.parts.split(",")
    for given, known in ((found.lanes, SOURCES), (found.parts, PARTS)):
        for name in given:
            if name not in known:
                parser.error(f"no {name!r}; there are {', '.join(known)}")
    return found


def main() -> None:
    """Measure what was asked for, print the tables, and write them down after a whole run."""
    arguments = _arguments()
    missing = [path for path in (RULES, *(CORPORA / SOURCES[name] for name in arguments.lanes)) if not path.exists()]
    if missing:
        sys.exit(f"the corpora are not beside the repository: {missing[0].name} is missing; nothing measured")
    figures = Figures(arguments.rounds)
    peer: Peer | None = None
    try:
        if arguments.no_peer:
            raise PeerError("not asked for")
        peer = install(arguments.peer_root)
    except PeerError as error:
        figures.without_peer = f"none, {error}"
        say(f"without the peer: {error}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        bench = Bench(folder, rules_folder(folder), peer, not arguments.no_pairs, figures)
        DIFFERENCES.parent.mkdir(exist_ok=True)
        DIFFERENCES.unlink(missing_ok=True)
        for work in _works(bench, arguments.lanes, arguments.parts):
            work()
    figures.seconds = time.monotonic() - began
    text = figures.markdown()
    say("\n" + text)
    whole = (
        peer is not None and bench.pairs and set(arguments.lanes) == set(SOURCES) and set(arguments.parts) == {*PARTS}
    )
    if whole and arguments.rounds >= _FEWEST_ROUNDS:
        engine_report.write(PAGE, text)
        say(f"written to docs/{PAGE.name}")
    else:
        say(f"not written to docs/{PAGE.name}: that takes every lane and part, the peer, and {_FEWEST_ROUNDS} rounds")


def _works(bench: Bench, lanes: list[str], parts: list[str]) -> Iterator[Callable[[], None]]:
    goals = {name: _REAL if name == "otrf" else _GENERATED for name in lanes}
    for name, goal in goals.items():
        if "native" in parts:
            yield partial(bench.lane, name, goal, "native", lines_of(name))
    if "native" in parts and "otrf" in goals:
        yield partial(bench.lane, "otrf, labelled", None, "native", changed(lines_of("otrf"), labelled))
    for name, goal in goals.items():
        if "ecs" in parts:
            yield partial(bench.lane, f"{name}, ECS", goal, "ecs", changed(lines_of(name), ecs))
    if "unique" in parts:
        yield bench.unique
    if "growth" in parts:
        yield bench.growth


if __name__ == "__main__":
    main()

"""Correlations: hits per second, large windows, state, and beside RSigma: `make bench-correlation`.

Docs/benchmarks.md says how it is measured. `python -m bench correlation --parts operator --scale 0.01 --rounds 1` is a
quick look; only a whole run is written into that page.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from almena.clock import MINUTE, SECOND
from bench import correlation_peer, correlation_report, engine_report
from bench.correlation_events import ASKED, Happened, Pairs, happenings, line, rules, shuffled, truth
from bench.correlation_peer import OPTIONS, QUIET
from bench.correlation_report import LATER_LANE, Figures, Operator, Raced, Verdict, Windowed, wrong
from bench.correlation_run import fill, operator, restore, start, window
from bench.engine_report import Series
from bench.peer import Outcome, Peer, PeerError, install

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"

PARTS = ("operator", "windows", "state", "peer")

GROUPS = (1, 1_000, 1_000_000)
DISTINCT = (10, 10_000, 1_000_000)
NUMBERS = (100, 10_000, 1_000_000)

LATE = 5 * SECOND
"""How late shuffled events come at most: what detect waits for by itself."""

LATER = 4 * MINUTE
"""How late they come as a feed that arrives in batches."""

_HITS, _BUSY_HITS, _WINDOW_HITS = 50_000, 20_000, 20_000
_STEP = 2_000
_EVENTS, _SOURCES = 200_000, 2_000
_FEWEST_ROUNDS = 5
_TRIES = 3
_FORGIVEN = 0.02
"""The share of a rule's groups that the peer may have wrong where its speed is compared."""


class Bench:
    """One run; `scale` makes everything smaller, for a look."""

    def __init__(self, folder: Path, rounds: int, scale: float, peer: Peer | None) -> None:
        """`folder` is for its files."""
        self._folder, self._scale, self._peer = folder, scale, peer
        self.figures = Figures(rounds)

    def operator(self) -> None:
        """Hits per second by the number of live groups."""
        plans = [(groups, False) for groups in GROUPS] + [(groups, True) for groups in GROUPS[:2]]
        for groups, busy in plans:
            groups = self._less(groups)
            run = partial(start, operator, groups=groups, rounds=self.figures.rounds, busy=busy)
            hits = self._less(_BUSY_HITS if busy else _HITS)
            found = Operator(groups, busy, run(hits=hits, whole=False), run(hits=hits, whole=True))
            self.figures.operators.append(found)
            drive, role = (hits / statistics.median(speed.work) for speed in (found.drive, found.role))
            say(f"{groups:>9,} groups{', busy' * busy}: drive {drive:,.0f}/s, step {role:,.0f}/s")

    def windows(self) -> None:
        """What a hit costs by what its window holds."""
        most = self._less(DISTINCT[-1])
        for condition, what in (("gte: 50", "value_count, gte 50"), ("gte: 20000", "value_count, gte 20,000: panes")):
            for distinct in map(self._less, DISTINCT):
                arguments = {"condition": f"{{field: user.name, {condition}}}", "inside": most, "distinct": distinct}
                self._window(what, f"{distinct:,} distinct of {most:,}", "value_count", **arguments)
        asked = "{field: http.response.body.bytes, gte: 2000, percentile: 95}"
        for what, high in (("value_percentile 95, never holds", 0), ("value_percentile 95, always holds", 2_000)):
            for numbers in map(self._less, NUMBERS):
                arguments = {"condition": asked, "inside": numbers, "distinct": 1, "high": high}
                self._window(what, f"{numbers:,} numbers", "value_percentile", **arguments)

    def _window(self, what: str, told: str, kind: str, **arguments: object) -> None:
        hits = self._less(_WINDOW_HITS)
        speed = start(window, kind=kind, hits=hits, rounds=self.figures.rounds, **arguments)
        self.figures.windows.append(Windowed(what, told, speed))
        say(f"{what}, {told}: {statistics.median(speed.work) / hits * 1e6:.1f} µs a hit, {speed.out} revisions")

    def state(self) -> None:
        """What a million groups take, on disk and in memory, and to come back."""
        groups = self._less(GROUPS[-1])
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            arguments = {"folder": folder, "groups": groups, "hits": min(_STEP, groups), "rounds": self.figures.rounds}
            self.figures.filled = start(fill, **arguments)
            say(f"{groups:,} groups filled: {self.figures.filled}")
            for _ in range(self.figures.rounds):
                self.figures.restored.append(start(restore, folder=folder, groups=groups))
                say(f"restored: {self.figures.restored[-1]}")

    def peer(self) -> None:
        """The same rules over the same events: which groups alert, and how fast where both are right."""
        count, sources = self._less(_EVENTS), self._less(_SOURCES)
        plain = happenings(count, sources, faults=False)
        faults = happenings(count, sources, faults=True)
        lanes = {"in order": plain, "5 s late": shuffled(plain, LATE)}
        names = [asked.name for asked in ASKED]
        files = {lane: self._write(lane, events) for lane, events in lanes.items()}
        later, gaps = self._write("later", shuffled(plain, LATER)), self._write("gaps", shuffled(faults, LATE))
        expected = truth(plain, names)
        for lane, path in (*files.items(), (LATER_LANE, later)):
            self._judge(lane, names, path, expected)
        self._judge("5 s late, with gaps", names, gaps, truth(faults, names))
        if self._peer is None:
            return
        judged = [found for found in self.figures.verdicts if found.lane == "in order"]
        good = [found.rule for found in judged if sum(wrong(found.truth, found.loud)) <= _FORGIVEN * len(found.truth)]
        self.figures.left_out = [name for name in names if name not in good]
        for lane, path in files.items():
            self._race(lane, f"these {len(good)} together", good, path)
        for name in good:
            self._race("in order", name, [name], files["in order"])

    def _judge(self, lane: str, names: Sequence[str], path: Path, expected: Pairs) -> None:
        asked = self._rules(names)
        ours = set(correlation_peer.start(asked, path, LATER if lane == LATER_LANE else LATE).pairs)
        if ours != expected:
            raise SystemExit(f"{lane}: ours are not what docs/correlation.md says: {sorted(ours ^ expected)[:10]}")
        loud, quiet = self._theirs(asked, path, OPTIONS), self._theirs(asked, path, (*OPTIONS, *QUIET))
        for name in names:
            some = [{pair for pair in pairs if pair[0] == name} for pairs in (expected, ours, loud, quiet)]
            if self._peer is not None:
                self.figures.verdicts.append(Verdict(name, lane, *some))
                say(f"{lane:<20} {name:<36} {len(some[0]):>5} alert; the peer: −%d +%d" % wrong(some[0], some[2]))

    def _theirs(self, asked: Path, path: Path, options: Sequence[str]) -> Pairs:
        return set() if self._peer is None else correlation_peer.theirs(self._peer, asked, path, options)

    def _race(self, lane: str, what: str, names: Sequence[str], path: Path) -> None:
        asked = self._rules(names)
        found = Raced(lane, what, 0, Series(), [], [], Series(), Series())
        for _ in range(self.figures.rounds):
            ours = correlation_peer.start(asked, path)
            found.events = ours.events
            found.ours.add(ours.cpu, ours.wall, ours.peak)
            found.detecting.append(ours.detecting)
            found.saving.append(ours.saving)
            for series, options in ((found.loud, OPTIONS), (found.quiet, (*OPTIONS, *QUIET))):
                outcome = self._net(asked, path, options)
                series.add(outcome.cpu, outcome.wall, outcome.peak)
        self.figures.raced.append(found)
        rates = [found.events / statistics.median(series.cpu) for series in (found.ours, found.loud, found.quiet)]
        say(f"{lane:<20} {what:<36} ours %s/s, peer %s/s, suppressing %s/s" % tuple(f"{each:,.0f}" for each in rates))

    def _net(self, asked: Path, path: Path, options: Sequence[str]) -> Outcome:
        """What the peer takes for the events, its load left out."""
        assert self._peer is not None
        nothing = self._folder / "one.ndjson"
        nothing.write_bytes(b'{"product":"none"}\n')
        for _ in range(_TRIES):
            load, full = self._peer.run(asked, nothing, options), self._peer.run(asked, path, options)
            if full.cpu > load.cpu and full.wall > load.wall:
                return Outcome(full.events, full.matches, full.cpu - load.cpu, full.wall - load.wall, full.peak)
        raise PeerError(f"the peer took no longer for {path.name} than for one event; the machine is too busy")

    def _rules(self, names: Sequence[str]) -> Path:
        folder = self._folder / "rules"
        folder.mkdir(exist_ok=True)
        (folder / "rules.yml").write_text(rules(names), "utf-8")
        return folder

    def _write(self, lane: str, events: Sequence[Happened]) -> Path:
        path = self._folder / f"{lane.replace(' ', '_')}.ndjson"
        path.write_bytes(b"".join(map(line, events)))
        return path

    def _less(self, number: int) -> int:
        return max(int(number * self._scale), 1) if number > 1 else number


def say(text: str) -> None:
    """What is going on."""
    print(text, flush=True)


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench correlation", description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help="of: %(default)s")
    parser.add_argument("--rounds", type=int, default=_FEWEST_ROUNDS)
    parser.add_argument("--scale", type=float, default=1.0, help="how large everything is, 1 for the whole")
    parser.add_argument("--no-peer", action="store_true", help="measure ours alone")
    found = parser.parse_args(given)
    found.parts = found.parts.split(",")
    for name in found.parts:
        if name not in PARTS:
            parser.error(f"no {name!r}; there are {', '.join(PARTS)}")
    return found


def main(given: Sequence[str] | None = None) -> Figures:
    """Measure what was asked for, print the tables, and write them down after a whole run."""
    arguments = _arguments(given)
    peer, why = None, ""
    try:
        if arguments.no_peer:
            raise PeerError("not asked for")
        if "peer" in arguments.parts:
            peer = install()
    except PeerError as error:
        why = f"none, {error}"
        say(f"without the peer: {error}")
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(Path(place), arguments.rounds, arguments.scale, peer)
        bench.figures.without_peer = why
        for part in arguments.parts:
            getattr(bench, part)()
    figures = bench.figures
    figures.load = os.getloadavg()[2]
    text = figures.markdown()
    say("\n" + text)
    whole = peer is not None and {*arguments.parts} == {*PARTS} and arguments.scale == 1
    if whole and arguments.rounds >= _FEWEST_ROUNDS:
        engine_report.write(PAGE, text, correlation_report.BEGIN)
        say(f"written to docs/{PAGE.name}")
    else:
        say(f"not written to docs/{PAGE.name}: that takes every part, the peer, full size, {_FEWEST_ROUNDS} rounds")
    return figures


if __name__ == "__main__":
    main()

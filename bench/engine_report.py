"""What the Sigma engine's benchmark found, as the tables of docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from almena import clock
from bench.engine_pairs import Compared, Side
from bench.peer import NAME, VERSION

BEGIN, END = "<!-- figures: `make bench-engine` writes from here -->", "<!-- to here -->"

_LONGEST = 40
"""Rows of the list of differences; the file beside it has them all."""


@dataclass(slots=True)
class Series:
    """One side on one lane: what each round took for the second half, once."""

    cpu: list[float] = field(default_factory=list)
    """Seconds of processor time."""
    wall: list[float] = field(default_factory=list)
    """Seconds by the clock."""
    peak: int = 0
    """Peak memory in MiB, the rules included."""

    def add(self, cpu: float, wall: float, peak: int) -> None:
        """One more round."""
        self.cpu.append(cpu)
        self.wall.append(wall)
        self.peak = max(self.peak, peak)


@dataclass(slots=True)
class Ratio:
    """How many times as fast ours is: of the medians, and of the rounds."""

    of_medians: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        return f"{self.of_medians:.2f} ({self.lowest:.2f}–{self.highest:.2f})"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Of seconds in rounds that belong together."""
    rounds = [other / own for own, other in zip(ours, theirs, strict=True)]
    return Ratio(statistics.median(theirs) / statistics.median(ours), min(rounds), max(rounds))


@dataclass(slots=True)
class LaneFigures:
    """One lane, measured."""

    name: str
    goal: float | None
    """The least ratio to the peer with routing, where one was set."""
    events: int
    """How many were timed."""
    ours: Series
    peer: dict[str, Series]
    """By its way of running, `default` and `routed`; empty without a peer."""
    compared: Compared | None = None


@dataclass(slots=True)
class Growth:
    """OTRF with so many rules."""

    rules: int
    ours: Series
    routed: Series | None


@dataclass(slots=True)
class Figures:
    """A whole run."""

    rounds: int
    without_peer: str = ""
    """Why the peer was not measured."""
    lanes: list[LaneFigures] = field(default_factory=list)
    growth: list[Growth] = field(default_factory=list)
    memory: list[tuple[int, int]] = field(default_factory=list)
    """(texts never seen before so far, peak memory in MiB)."""
    load: list[float] = field(default_factory=list)
    """Seconds our rules took to load."""
    seconds: float = 0.0
    """How long the run took."""

    def markdown(self) -> str:
        """Every table that there are figures for."""
        parts = [self._machine(), *self._speed(), *self._growth(), *self._memory(), *self._verdicts()]
        return "\n\n".join(parts) + "\n"

    def _machine(self) -> str:
        slow, fast = (max(self.load), statistics.median(self.load)) if self.load else (0.0, 0.0)
        load = f" Our rules were ready in {slow:.1f} s from YAML, {fast:.1f} s from the cache." if self.load else ""
        peer = self.without_peer or f"{NAME} {VERSION}"
        return (
            f"Machine: {machine()}. Python {platform.python_version()}; peer: {peer}. Measured on"
            f" {clock.format_time(clock.now())[:10]}, {self.rounds} rounds, {self.seconds / 60:.0f} minutes."
            f"{load} Both sides on one core; medians, in brackets the lowest and the highest round."
        )

    def _speed(self) -> Iterator[str]:
        if not self.lanes:
            return
        yield "### Speed"
        header = (
            "lane",
            "events timed",
            "ours, events/s",
            "peer default",
            "peer routed",
            "ratio to default",
            "ratio to routed",
            "goal",
            "the same by the clock",
            "peak MiB, ours / peer",
        )
        yield table(header, [_speed_row(lane) for lane in self.lanes])

    def _growth(self) -> Iterator[str]:
        if not self.growth:
            return
        yield "### More rules, the same events"
        least = self.growth[0]
        rows = []
        for row in self.growth:
            grown = _inverse(ratio(row.ours.cpu, least.ours.cpu))
            cells = [f"{row.rules:,}", _milliseconds(row.ours.cpu), f"{grown}"]
            if row.routed and least.routed:
                cells += [_milliseconds(row.routed.cpu), f"{_inverse(ratio(row.routed.cpu, least.routed.cpu))}"]
            else:
                cells += ["–", "–"]
            rows.append(cells)
        first = f"{least.rules:,}"
        yield table(("rules", "ours, ms", f"times that of {first}", "peer routed, ms", f"times that of {first}"), rows)
        yield "The second half of OTRF, native names; the goal is at most 1.5 times from the fewest to all."

    def _memory(self) -> Iterator[str]:
        if not self.memory:
            return
        yield "### Memory under values never seen before"
        rows = [(f"{texts:,}", f"{peak:,}") for texts, peak in self.memory]
        yield table(("texts never seen before, in all", "peak MiB of our process"), rows)

    def _verdicts(self) -> Iterator[str]:
        compared = [(lane.name, lane.compared) for lane in self.lanes if lane.compared is not None]
        if not compared:
            return
        yield "### Verdicts"
        header = (
            "lane, all events",
            "the peer",
            "our pairs",
            "its pairs",
            "in both",
            "only ours: log source",
            "only ours: field names",
            "only its: log source",
            "only its: field names",
            "unexplained",
        )
        yield table(header, [_verdict_row(name, found, side) for name, found in compared for side in found.sides])
        yield "#### Differences by log source, the peer routed"
        yield _sources(compared)
        rows = list(_rules(compared))
        yield "#### Differences for other reasons, by rule"
        yield table(("lane", "the peer", "whose", "reason", "pairs", "rule", "log source"), rows[:_LONGEST])
        if len(rows) > _LONGEST:
            yield f"{len(rows) - _LONGEST} rows more; `.bench/differences.tsv` has them all after a run."


def _speed_row(lane: LaneFigures) -> list[str]:
    default, routed = lane.peer.get("default"), lane.peer.get("routed")

    def cells(show: Callable[[Series], str]) -> list[str]:
        return [show(side) if side else "–" for side in (default, routed)]

    goal = "–" if lane.goal is None else f"≥ {lane.goal:g}"
    if routed and lane.goal is not None:
        met = ratio(lane.ours.cpu, routed.cpu).of_medians >= lane.goal
        goal += ", met" if met else ", **missed**"
    return [
        lane.name,
        f"{lane.events:,}",
        rate(lane.events, lane.ours.cpu),
        *cells(lambda side: rate(lane.events, side.cpu)),
        *cells(lambda side: str(ratio(lane.ours.cpu, side.cpu))),
        goal,
        str(ratio(lane.ours.wall, routed.wall)) if routed else "–",
        f"{lane.ours.peak:,} / " + (f"{max(default.peak, routed.peak):,}" if default and routed else "–"),
    ]


def _verdict_row(name: str, found: Compared, side: Side) -> list[str]:
    theirs, unexplained = "the peer's", "unexplained"
    strange = side.count("ours", unexplained) + side.count(theirs, unexplained)
    return [
        name,
        side.name,
        f"{found.ours:,}",
        f"{side.pairs:,}",
        f"{side.both:,}",
        f"{side.count('ours', 'log source'):,}",
        f"{side.count('ours', 'field names'):,}",
        f"{side.count(theirs, 'log source'):,}",
        f"{side.count(theirs, 'field names'):,}",
        f"**{strange:,}**" if strange else "0",
    ]


def _sources(compared: Sequence[tuple[str, Compared]]) -> str:
    """Routed: by lane and by the log source that rules ask for."""
    rows = []
    for name, found in compared:
        items = [
            item
            for side in found.sides
            if side.name == "routed"
            for item in side.differences
            if item.reason == "log source"
        ]
        items.sort(key=lambda item: (item.whose, item.logsource, item.detail, -item.count))
        for (whose, source, detail), group in groupby(
            items, key=lambda item: (item.whose, item.logsource, item.detail)
        ):
            rules = list(group)
            count = sum(item.count for item in rules)
            cells = [name, whose, f"`{source}`", detail, f"{count:,}", str(len(rules)), rules[0].title]
            rows.append((name, -count, cells))
    ordered = [cells for _, _, cells in sorted(rows, key=lambda row: row[:2])]
    return table(("lane", "only", "rules for", "not the event's", "pairs", "rules", "most often"), ordered)


def _rules(compared: Sequence[tuple[str, Compared]]) -> Iterator[list[str]]:
    for name, found in compared:
        for side in found.sides:
            for item in side.differences:
                if item.reason != "log source" and side.name != "default":
                    row = [name, side.name, item.whose, item.reason, f"{item.count:,}", item.title]
                    yield [*row, f"`{item.logsource}`"]


def rate(events: int, seconds: Sequence[float]) -> str:
    """Events per second: of the median, and of the slowest and the fastest round."""
    middle, low, high = (events / value for value in (statistics.median(seconds), max(seconds), min(seconds)))
    return f"{middle:,.0f} ({low:,.0f}–{high:,.0f})"


def _milliseconds(seconds: Sequence[float]) -> str:
    low, middle, high = (f"{value * 1000:,.0f}" for value in (min(seconds), statistics.median(seconds), max(seconds)))
    return f"{middle} ({low}–{high})"


def _inverse(found: Ratio) -> Ratio:
    return Ratio(1 / found.of_medians, 1 / found.highest, 1 / found.lowest)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table, or a word for one without rows."""
    if not rows:
        return "None."
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def machine() -> str:
    """The processor, its cores, the memory and the system."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        named = [line for line in information.read_text("utf-8", "replace").splitlines() if line.startswith("model n")]
        model = named[0].partition(":")[2].strip() if named else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}"


def write(page: Path, text: str, mark: str = BEGIN) -> None:
    """Put `text` between `mark` and the next `END` of a page; raises ValueError when it has none."""
    before, begin, rest = page.read_text("utf-8").partition(mark)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no place for figures: the lines {mark} and {END}")
    page.write_text(f"{before}{mark}\n\n{text}\n{END}{after}", "utf-8")

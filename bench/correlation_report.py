"""What the benchmark of correlations found, as the tables of docs/benchmarks.md."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.correlation_events import ASKED, Pairs
from bench.correlation_run import Filled, Restored, Speed
from bench.engine_report import Series, machine, rate, ratio, table
from bench.peer import NAME, VERSION

BEGIN = "<!-- figures: `make bench-correlation` writes from here -->"

FLAT = 2.0
"""How many times as much a hit may cost with a hundred thousand times as many values in its window."""

LATER_LANE = "4 min late"
"""The lane of a feed that comes in batches."""

NOBODY = ""
"""The source of events that name none."""


@dataclass(slots=True)
class Operator:
    """Hits at random over so many live groups."""

    groups: int
    busy: bool
    drive: Speed
    role: Speed


@dataclass(slots=True)
class Windowed:
    """One group with a large window."""

    what: str
    inside: str
    speed: Speed


@dataclass(slots=True)
class Verdict:
    """One rule on one lane: which groups alert, of whom."""

    rule: str
    lane: str
    truth: Pairs
    ours: Pairs
    loud: Pairs
    """The peer by its defaults."""
    quiet: Pairs
    """The peer with suppression."""


@dataclass(slots=True)
class Raced:
    """Both sides over the same events, with these rules."""

    lane: str
    rules: str
    events: int
    ours: Series
    detecting: list[float]
    """What of ours the detect role took, by round."""
    saving: list[float]
    """Our processor seconds to encode state, by round."""
    loud: Series
    quiet: Series


@dataclass(slots=True)
class Figures:
    """A whole run."""

    rounds: int
    without_peer: str = ""
    """Why the peer was not measured."""
    operators: list[Operator] = field(default_factory=list)
    windows: list[Windowed] = field(default_factory=list)
    filled: Filled | None = None
    restored: list[Restored] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    raced: list[Raced] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """Rules that the peer decides otherwise, so that its speed says nothing."""
    load: float = 0.0
    """Load average of the machine over the last 15 minutes when the run ended."""

    def markdown(self) -> str:
        """Every table that there are figures for."""
        parts = [self._machine(), *self._operators(), *self._windows(), *self._state()]
        return "\n\n".join([*parts, *self._verdicts(), *self._race()]) + "\n"

    def _machine(self) -> str:
        peer = self.without_peer or f"{NAME} {VERSION}"
        return (
            f"Machine: {machine()}; other work ran beside (load average {self.load:.1f}). Python"
            f" {platform.python_version()}; peer: {peer}. {self.rounds} rounds; medians, in brackets the lowest and the"
            " highest round."
        )

    def _operators(self) -> Iterator[str]:
        if not self.operators:
            return
        yield "### Hits per second"
        header = ("live groups", "hits", "`drive`", "`drive`, saved", "`Correlate.step`", "`Correlate.step`, saved")
        rows = []
        for found in self.operators:
            cells = [f"{found.groups:,}", "every group alerts" if found.busy else "two a group in 5 minutes"]
            for speed in (found.drive, found.role):
                cells += [rate(speed.hits, speed.work), rate(speed.hits, both(speed))]
            rows.append(cells)
        yield table(header, rows)

    def _windows(self) -> Iterator[str]:
        if not self.windows:
            return
        yield "### Large windows of one group"
        header = (
            "correlation",
            "in the window",
            "`drive`, µs a hit",
            "ratio to the first",
            "saved, µs a hit",
            "saved, KB",
        )
        rows = []
        first: Windowed | None = None
        for found in self.windows:
            if first is None or first.what != found.what:
                first = found
            times = statistics.median(found.speed.work) / statistics.median(first.speed.work)
            shown = f"{times:.2f}" if times <= FLAT else f"**{times:.2f}**"
            hits, size = found.speed.hits, f"{found.speed.encoded / 1000:,.1f}"
            rows.append(
                [found.what, found.inside, _micro(hits, found.speed.work), shown, _micro(hits, both(found.speed)), size]
            )
        yield table(header, rows)
        yield f"The goal is at most {FLAT:g} times the first of its kind; what is more is bold."

    def _state(self) -> Iterator[str]:
        found = self.filled
        if found is None or not self.restored:
            return
        yield "### State"
        back = self.restored
        some = f"{found.hits:,} hits of different groups"
        rows = [
            ("groups", f"{found.groups:,}"),
            ("keys and values as saved, bytes a group", f"{found.bytes / found.groups:,.0f}"),
            ("memory after filling it, bytes a group", f"{found.memory / found.groups:,.0f}"),
            ("memory after restoring it, bytes a group", _span([one.memory / one.groups for one in back], 0)),
            ("file of the bus, bytes a group", f"{found.database / found.groups:,.0f}"),
            (f"`Correlate.step`, {some}, ms", _span([each * 1000 for each in found.step])),
            ("to encode what they changed, ms", _span([each * 1000 for each in found.encode])),
            (
                f"to commit that on the SQLite bus, {found.entries:,} entries, ms",
                _span([each * 1000 for each in found.commit]),
            ),
            ("to restore from the SQLite bus, s", _span([one.read for one in back])),
            ("to open a role on it, s", _span([one.open for one in back])),
            ("its first hit, s", _span([one.first for one in back])),
        ]
        yield table(("what", "figure"), rows)

    def _verdicts(self) -> Iterator[str]:
        if not self.verdicts:
            return
        yield "### Verdicts beside the peer"
        lanes = list(dict.fromkeys(found.lane for found in self.verdicts))
        header = ["rule", "groups that alert", "ours, all lanes"]
        header += [f"peer, {lane}" for lane in lanes] + [f"peer suppressing, {lanes[0]}", "what it decides otherwise"]
        rows = []
        for asked in ASKED:
            by_lane = {found.lane: found for found in self.verdicts if found.rule == asked.name}
            if by_lane:
                rows.append(_verdict_row(asked.otherwise, [by_lane[lane] for lane in lanes]))
        yield table(header, rows)
        yield (
            "`−` groups that it misses, `+` groups that it adds; `+∅` where one of these are the events that name no"
            " group, which count for nobody."
        )

    def _race(self) -> Iterator[str]:
        if not self.raced:
            return
        yield "### Speed beside the peer"
        header = (
            "lane",
            "rules",
            "events",
            "ours, events/s",
            "of it detect",
            "ours, saved",
            "peer",
            "peer suppressing",
        )
        rows = []
        for found in self.raced:
            saved = [work + more for work, more in zip(found.ours.cpu, found.saving, strict=True)]
            cells = [found.lane, found.rules, f"{found.events:,}"]
            share = statistics.median(found.detecting) / statistics.median(found.ours.cpu)
            cells += [rate(found.events, found.ours.cpu), f"{share:.0%}", rate(found.events, saved)]
            cells += [rate(found.events, series.cpu) for series in (found.loud, found.quiet)]
            best = min(found.loud.cpu, found.quiet.cpu, key=statistics.median)
            rows.append([*cells, str(ratio(found.ours.cpu, best)), f"{found.ours.peak} / {found.loud.peak}"])
        yield table((*header, "ratio to its faster", "peak MiB, ours / peer"), rows)
        if self.left_out:
            yield f"Not compared, since the peer decides them otherwise: {'; '.join(self.left_out)}."


def both(speed: Speed) -> list[float]:
    """Seconds of each round with what it takes to encode what changed."""
    return [work + more for work, more in zip(speed.work, speed.changes, strict=True)]


def wrong(truth: Pairs, found: Pairs) -> tuple[int, int]:
    """How many pairs are missed, and how many are added."""
    return len(truth - found), len(found - truth)


def _verdict_row(otherwise: str, found: Sequence[Verdict]) -> list[str]:
    def cell(truth: Pairs, said: Pairs) -> str:
        missed, added = wrong(truth, said)
        nobody = "∅" if any(group == NOBODY for _, group in said) else ""
        return f"−{missed:,} +{added:,}{nobody}" if missed or added else "same"

    first = found[0]
    ours = {cell(one.truth, one.ours) for one in found}
    theirs = [cell(one.truth, one.loud) for one in found] + [cell(first.truth, first.quiet)]
    told = [otherwise] if otherwise and set(theirs) != {"same"} else []
    named = [{pair for pair in one.loud if pair[1] != NOBODY} for one in found]
    if not otherwise and named[0] != first.truth:
        told.append("times are whole seconds")
    if any(one.lane == LATER_LANE and one.loud != first.loud for one in found):
        told.append("what arrives late changes what alerts")
    if "∅" in "".join(theirs):
        told.append("events of no group are a group")
    return [first.rule, f"{len(first.truth):,}", ", ".join(sorted(ours)), *theirs, "; ".join(told)]


def _micro(hits: int, seconds: Sequence[float]) -> str:
    return _span([each / hits * 1e6 for each in seconds])


def _span(values: Sequence[float], digits: int = 1) -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"

"""What the cluster's benchmark found, as the tables of docs/benchmarks.md: each part is kept until measured again."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from bench.engine_report import machine, table

BEGIN = "<!-- figures: `make bench-cluster` writes from here -->"

FEWEST_ROUNDS = 3
"""A part of fewer rounds is a look, and is not kept."""


class Took(msgspec.Struct, frozen=True, array_like=True):
    """What one round cost, seconds."""

    wall: float
    cpu: float
    """Of the processor, user and system, of this process with all its threads."""


class Table(msgspec.Struct):
    """One table, and what must be known to read it."""

    header: list[str]
    rows: list[list[str]]
    notes: list[str] = []


class Section(msgspec.Struct):
    """One part, measured."""

    title: str
    tables: list[Table]
    rounds: int
    load: float = 0.0
    """Load average of the machine while it was measured."""


class Versus(msgspec.Struct):
    """Ours and another over the same number of things, in rounds that alternate."""

    what: str
    count: int
    ours: list[Took] = []
    theirs: list[Took] = []

    @property
    def ratios(self) -> list[float]:
        """How many times as fast ours is, by the clock, round by round."""
        return [theirs.wall / ours.wall for ours, theirs in zip(self.ours, self.theirs, strict=True)]

    @property
    def cpu_ratios(self) -> list[float]:
        """The same by processor time."""
        return [theirs.cpu / ours.cpu for ours, theirs in zip(self.ours, self.theirs, strict=True)]

    def row(self, goal: float | None = None) -> list[str]:
        """The cells of `VERSUS`; the verdict is on the median ratio by the clock."""
        met = "–"
        if goal is not None:
            met = f"≥ {goal:g}, " + ("met" if statistics.median(self.ratios) >= goal else "**missed**")
        rates = [span([self.count / took.wall for took in side]) for side in (self.ours, self.theirs)]
        micro = span([took.cpu / self.count * 1e6 for took in self.ours], 1)
        return [self.what, *rates, span(self.ratios, 2), span(self.cpu_ratios, 2), micro, met]


VERSUS = ["ours, /s", "bare, /s", "ratio", "ratio by processor time", "ours, µs of the processor each", "goal"]
"""The header of `Versus.row` behind its first cell."""


def say(*rows: Sequence[str]) -> None:
    """Rows as they are found, while the rest is measured."""
    for row in rows:
        print(" | ".join(row), flush=True)


def span(values: Sequence[float], digits: int = 0) -> str:
    """Median, and in brackets the lowest and the highest."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"


def quantile(values: Sequence[float], share: float) -> float:
    """The value that so large a share of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def markdown(section: Section) -> str:
    """One part as it stands in the page."""
    parts = [f"### {section.title}", f"{section.rounds} rounds; load average of the machine {section.load:.1f}."]
    for each in section.tables:
        parts += [*([table(each.header, each.rows)] if each.rows else []), *each.notes]
    return "\n\n".join(parts)


def page(sections: Mapping[str, Section], order: Sequence[str]) -> str:
    """All parts that were measured, in this order."""
    head = (
        f"Machine: {machine()}; the servers, the senders and Almena's processes share its cores, and other work ran"
        f" beside. Python {platform.python_version()}. Medians; in brackets the lowest and the highest round."
    )
    return "\n\n".join([head, *(markdown(sections[name]) for name in order if name in sections)]) + "\n"


def kept(path: Path) -> dict[str, Section]:
    """The parts measured so far; none where the file is missing or of another make."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Section])
    except (FileNotFoundError, msgspec.MsgspecError):
        return {}


def keep(path: Path, sections: Mapping[str, Section]) -> None:
    """Write them down for the next run."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(sections)))

"""Login events whose groups come near to thresholds from both sides, rules over them, and what the rules mean there.

`truth` works docs/correlation.md out by brute force, of which groups of which rules ever alert.
"""

from __future__ import annotations

import random
from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from almena.clock import MINUTE, SECOND, format_time
from almena.event import encode

START = 1_790_000_000 * SECOND

DAY_PART = 6 * 3_600 * SECOND
"""Event time from the first event to the last."""

_HALF = 5 * MINUTE
_TEN = 10 * MINUTE

KINDS = {
    "failed": {"action": "login", "outcome": "failure"},
    "opened": {"action": "login", "outcome": "success"},
    "changed": {"action": "password"},
    "raised": {"action": "privilege"},
    "moved": {"action": "transfer"},
    "locked": {"action": "lock"},
    "viewed": {"action": "view"},
}
"""What happens, and the fields that say so; no rule asks for what is viewed."""


class Happened(NamedTuple):
    """One event."""

    time: int
    source: int | None
    """None where the event does not say."""
    kind: str
    user: int
    amount: int


Group = Sequence[Happened]
"""The events of one source in order."""

Pairs = set[tuple[str, str]]
"""(rule, source) of everything that alerted; the source is empty for events that have none."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One correlation."""

    name: str
    """Its title."""
    text: str
    """What its YAML says under `correlation`."""
    alerts: Callable[[Group], bool]
    """Whether a source ever alerts."""
    reads: str = ""
    """The correlation that it reads."""
    otherwise: str = ""
    """Which decision a peer that differs makes otherwise."""


def _sliding(group: Group, kind: str, timespan: int, holds: Callable[[Group], bool]) -> list[int]:
    """When the condition holds at a hit, of the hits of one rule."""
    hits = [one for one in group if one.kind == kind]
    found = []
    for place, last in enumerate(hits):
        window = [one for one in hits[: place + 1] if one.time >= last.time - timespan]
        if holds(window):
            found.append(last.time)
    return found


def _closing(group: Group, kind: str, timespan: int, holds: Callable[[int], bool]) -> bool:
    """Whether the condition holds of the number of hits in one of the windows that open one after the other."""
    begin, counts = None, []
    for one in group:
        if one.kind == kind:
            if begin is None or one.time > begin + timespan:
                begin = one.time
                counts.append(0)
            counts[-1] += 1
    return any(map(holds, counts))


def _many(group: Group) -> list[int]:
    return _sliding(group, "failed", _HALF, lambda window: len(window) >= 10)


def _episodes(group: Group) -> int:
    """How many episodes of many failures there are: hits follow each other within the timespan."""
    count, last = 0, -_TEN
    held = set(_many(group))
    for one in group:
        if one.kind == "failed":
            if one.time - last > _HALF and one.time in held:
                count += 1
                last = one.time
            elif one.time - last <= _HALF:
                last = one.time
    return count


def _near(group: Group, ordered: bool) -> bool:
    changed, raised = ([one.time for one in group if one.kind == kind] for kind in ("changed", "raised"))
    low = 0 if ordered else -_HALF
    return any(low <= second - first <= _HALF for first in changed for second in raised)


def _opened_after(group: Group) -> bool:
    opened = [one.time for one in group if one.kind == "opened"]
    return any(0 <= last - many <= _HALF for many in _many(group) for last in opened)


def _alone(group: Group) -> bool:
    """A change of the password, and no privilege within the timespan before or after."""
    changed, raised = ([one.time for one in group if one.kind == kind] for kind in ("changed", "raised"))
    return any(all(abs(second - first) > _HALF for second in raised) for first in changed)


def _percentile(percent: int, window: Group) -> Fraction:
    ordered: list[int] = []
    for one in window:
        insort(ordered, one.amount)
    place, rest = divmod(percent * (len(ordered) - 1), 100)
    above = ordered[place + 1] if rest else ordered[place]
    return ordered[place] + Fraction((above - ordered[place]) * rest, 100)


def _moved(holds: Callable[[Group], bool]) -> Callable[[Group], bool]:
    return lambda group: bool(_sliding(group, "moved", _TEN, holds))


def _head(kind: str, rules: str, condition: str = "", timespan: str = "5m") -> str:
    more = (f", condition: {condition}" if condition else "") + (", generate: true" if rules.startswith("many") else "")
    return f"{{type: {kind}, rules: [{rules}], group-by: [source], timespan: {timespan}{more}}}"


ASKED = (
    Asked("event_count, gte 10", _head("event_count", "failed", "{gte: 10}"), lambda group: bool(_many(group))),
    Asked(
        "value_count, gte 6",
        _head("value_count", "failed", "{field: user, gte: 6}"),
        lambda group: bool(_sliding(group, "failed", _HALF, lambda w: len({one.user for one in w}) >= 6)),
    ),
    Asked(
        "temporal, gte 2", _head("temporal", "changed, raised", "{gte: 2}"), lambda group: _near(group, ordered=False)
    ),
    Asked(
        "temporal, no condition",
        _head("temporal", "changed, raised"),
        lambda group: _near(group, ordered=False),
        otherwise="takes no condition for `gte: 1`: any of the rules, not all",
    ),
    Asked(
        "temporal_ordered",
        _head("temporal_ordered", "changed, raised"),
        lambda group: _near(group, ordered=True),
        otherwise="times are whole seconds: no order within one",
    ),
    Asked(
        "value_sum, gte 9,000",
        _head("value_sum", "moved", "{field: amount, gte: 9000}", "10m"),
        _moved(lambda window: sum(one.amount for one in window) >= 9_000),
    ),
    Asked(
        "value_avg, gte 1,800",
        _head("value_avg", "moved", "{field: amount, gte: 1800}", "10m"),
        _moved(lambda window: sum(one.amount for one in window) >= 1_800 * len(window)),
    ),
    Asked(
        "value_median, gte 1,500",
        _head("value_median", "moved", "{field: amount, gte: 1500}", "10m"),
        _moved(lambda window: _percentile(50, window) >= 1_500),
    ),
    Asked(
        "value_percentile 90, gte 2,500",
        _head("value_percentile", "moved", "{field: amount, gte: 2500, percentile: 90}", "10m"),
        _moved(lambda window: _percentile(90, window) >= 2_500),
        otherwise="works the percentile out and holds it against no bound",
    ),
    Asked(
        "event_count, eq 3",
        _head("event_count", "locked", "{eq: 3}"),
        lambda group: _closing(group, "locked", _HALF, lambda count: count == 3),
        otherwise="decides at each event, not when the window closes",
    ),
    Asked(
        "event_count, lte 2",
        _head("event_count", "locked", "{lte: 2}"),
        lambda group: _closing(group, "locked", _HALF, lambda count: count <= 2),
        otherwise="decides at each event, not when the window closes",
    ),
    Asked(
        "temporal, and not",
        _head("temporal", "changed, raised", "changed and not raised"),
        _alone,
        otherwise="decides at once, before what must not come could come",
    ),
    Asked(
        "chain: many failures, then success",
        _head("temporal_ordered", "many, opened"),
        _opened_after,
        reads="event_count, gte 10",
        otherwise="what is suppressed reaches no other correlation",
    ),
    Asked(
        "chain: many failures twice",
        _head("event_count", "many", "{gte: 2}", "6h"),
        lambda group: _episodes(group) >= 2,
        reads="event_count, gte 10",
        otherwise="an inner alert that goes on counts anew at every event",
    ),
)
"""All correlations that are compared; `many` is the name of the first."""


def identity(name: str) -> str:
    """The id of a rule or correlation."""
    names = [*KINDS, *(asked.name for asked in ASKED)]
    return f"00000000-0000-4000-8000-{names.index(name):012d}"


def rules(names: Iterable[str]) -> str:
    """The YAML of these correlations and of all that they rest on."""
    named = {*names}
    wanted = named | {asked.reads for asked in ASKED if asked.name in named}
    read = " ".join(item.text for item in ASKED if item.name in wanted)
    texts = []
    for kind, fields in KINDS.items():
        if kind in read:
            head = f"title: {kind}\nid: {identity(kind)}\nname: {kind}\nlevel: low\n"
            asked = ", ".join(f"{name}: {value}" for name, value in fields.items())
            source = "logsource: {product: linux, service: auth}\n"
            texts.append(f"{head}{source}detection: {{selection: {{{asked}}}, condition: selection}}\n")
    for item in ASKED:
        if item.name in wanted:
            name = "name: many\n" if item is ASKED[0] else ""
            head = f"title: '{item.name}'\nid: {identity(item.name)}\n{name}level: medium\n"
            texts.append(f"{head}correlation: {item.text}\n")
    return "---\n".join(texts)


def happenings(count: int, sources: int, *, faults: bool, seed: int = 1) -> list[Happened]:
    """About `count` events in order, each at a moment of its own.

    With `faults` one of a hundred names no source, and of two that stand in an order some lie within one second.
    """
    choose = random.Random(seed)
    found: list[Happened] = []
    for source in range(sources):
        for begin in (choose.randrange(DAY_PART // 2), DAY_PART // 2 + choose.randrange(DAY_PART // 2)):
            found += _planted(source, START + begin, choose, SECOND // 5 if faults else 2 * SECOND)
    while len(found) < count:
        found.append(Happened(START + choose.randrange(DAY_PART), choose.randrange(sources), "viewed", 0, 0))
    taken: set[int] = set()
    for place, one in enumerate(found):
        moment = one.time
        while moment in taken:
            moment += 1
        taken.add(moment)
        nobody = faults and choose.random() < 0.01
        found[place] = one._replace(time=moment, source=None if nobody else one.source)
    return sorted(found)


def _planted(source: int, begin: int, choose: random.Random, least: int) -> Iterator[Happened]:
    """Something that may or may not alert, of each kind; what stands in an order is `least` microseconds apart."""

    def some(kind: str, count: int, begin: int, span: int, users: int = 1, blur: int = SECOND) -> Iterator[Happened]:
        for place in range(count):
            moment = begin + span * place // max(count - 1, 1) + choose.randrange(blur)
            yield Happened(moment, source, kind, choose.randrange(users), int(choose.lognormvariate(7, 0.5)))

    span = choose.randint(200, 400) * SECOND
    yield from some("failed", choose.randint(6, 14), begin, span, choose.randint(4, 8))
    yield from some("opened", 1, begin + choose.choice([-1, 1]) * choose.randint(1, 500) * SECOND, 0)
    gap = choose.choice([choose.randrange(least, 4 * SECOND), choose.randrange(200 * SECOND, 400 * SECOND)])
    first, second = choose.choice([("changed", "raised"), ("raised", "changed")])
    yield from some(first, 1, begin, 0, blur=1)
    if choose.random() < 0.8:
        yield from some(second, 1, begin + gap, 0, blur=1)
    yield from some("moved", choose.randint(4, 12), begin, choose.randint(400, 800) * SECOND)
    yield from some("locked", choose.randint(0, 5), begin, choose.randint(200, 400) * SECOND)


def shuffled(events: Sequence[Happened], within: int, seed: int = 2) -> list[Happened]:
    """The same, each arriving up to `within` microseconds late."""
    choose = random.Random(seed)
    return [one for _, one in sorted((one.time + choose.randrange(within), one) for one in events)]


def line(one: Happened) -> bytes:
    """The event as a line of JSON."""
    fields: dict[str, Any] = {"@timestamp": format_time(one.time), "event.id": str(one.time), "product": "linux"}
    fields |= {"service": "auth"} | KINDS[one.kind]
    if one.source is not None:
        fields["source"] = f"s{one.source}"
    return encode(fields | {"user": f"u{one.user}", "amount": one.amount}) + b"\n"


def truth(events: Iterable[Happened], names: Iterable[str]) -> Pairs:
    """(correlation, source) of all that alert."""
    groups: dict[int, list[Happened]] = {}
    for one in sorted(event for event in events if event.source is not None):
        groups.setdefault(one.source or 0, []).append(one)
    wanted = {*names}
    asked = [item for item in ASKED if item.name in wanted]
    return {(item.name, f"s{source}") for source, group in groups.items() for item in asked if item.alerts(group)}


def by_id() -> Mapping[str, str]:
    """Titles of correlations by id."""
    return {identity(asked.name): asked.name for asked in ASKED}

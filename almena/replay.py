"""Detection over files without any service: records in, alerts out, in bounded memory."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from almena.alert import Alert
from almena.clock import FOREVER, format_time, parse_time
from almena.correlate import Operator, drive
from almena.detect import Selector, select
from almena.encoding import encoding_of, line_end, mark_of, to_utf_8
from almena.errors import ParseError, UsageError
from almena.event import Event, decode
from almena.hit import Hit, order_of
from almena.spill import Spill
from almena.state import State

log = logging.getLogger("almena.replay")

LONGEST_LINE = 1 << 20
"""Bytes of one record; a longer one is a dead letter."""

_BLOCK = 1 << 18

BATCH = 500
"""Events that detectors see at once."""

PACKED = (".gz", ".xz", ".bz2", ".zst")
"""How the names of files end that are unpacked as they are read."""

_TIMES = ("@timestamp", "TimeCreated", "UtcTime", "EventTime", "eventTime", "timestamp", "time")


WARNINGS = 100
"""Records that could not be read and are told one by one; the others are counted only."""

Reader = Callable[[bytes], Event]
"""Turns one record into an event; raises ParseError."""


class Place(NamedTuple):
    """Where a record stands in its file."""

    path: str
    line: int
    """Its number from 1: of the line, or of the element, packet or event record."""
    offset: int
    """The byte it begins at, 0 where the format has none."""


Item = tuple[Place, bytes | ParseError]
"""A record, or why there is none in its place."""


@dataclass
class Totals:
    """What a replay went through."""

    records: int = 0
    alerts: int = 0
    dead: Counter[str] = field(default_factory=Counter)
    """Records that could not be read, by reason."""
    bytes: int = 0


def lines(file: BufferedReader) -> Iterator[tuple[int, int, bytes]]:
    """(1-based line, offset, UTF-8 without line break) of each line; one too long comes cut, one byte over."""
    head = file.peek(4)[:4]
    encoding = encoding_of(head)
    offset = len(file.read(mark_of(head)))
    if encoding != "utf-8":
        yield from _wide_lines(file, offset, encoding)
        return
    number = 0
    while True:
        line = file.readline(LONGEST_LINE + 1)
        if not line:
            return
        number += 1
        start, offset = offset, offset + len(line)
        if not line.endswith(b"\n"):
            while (rest := file.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                offset += len(rest)
            offset += len(rest)
        yield number, start, line.rstrip(b"\r\n")


def _wide_lines(file: BufferedReader, offset: int, encoding: str) -> Iterator[tuple[int, int, bytes]]:
    """The lines of UTF-16."""
    number, rest, skipping = 1, b"", False
    while block := file.read(_BLOCK):
        data, place = rest + block, 0
        while (found := line_end(data, place, encoding))[0] >= 0:
            end, behind = found
            if not skipping:
                yield number, offset + place, to_utf_8(data[place:end], encoding)[: LONGEST_LINE + 1]
            number, place, skipping = number + 1, behind, False
        rest, offset = data[place:], offset + place
        if len(rest) > 2 * LONGEST_LINE:
            if not skipping:
                yield number, offset, to_utf_8(rest, encoding)[: LONGEST_LINE + 1]
            keep = len(rest) % 2
            offset, rest, skipping = offset + len(rest) - keep, rest[len(rest) - keep :], True
    if rest and not skipping:
        yield number, offset, to_utf_8(rest, encoding)


def files_of(paths: Iterable[Path]) -> list[Path]:
    """The files that are named, and those in the folders that are named, sorted; each once. Raises UsageError."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found.extend(sorted(item for item in path.rglob("*") if item.is_file()))
        elif path.exists():
            found.append(path)
        else:
            raise UsageError(f"{path}: no such file or folder")
    return list(dict.fromkeys(found))


def native(raw: bytes) -> Event:
    """A JSON record as it is, without parsing or mapping; only what an alert needs is added."""
    event = decode(raw)
    moment = next((event[name] for name in _TIMES if isinstance(event.get(name), str)), None)
    try:
        event["@timestamp"] = format_time(_moment(moment))
    except ValueError:
        event["@timestamp"] = format_time(0)
    return event


def _moment(text: str | None) -> int:
    if text is None:
        raise ValueError("no time")
    return parse_time(text)


def batches(items: Iterable[Item], read: Reader, totals: Totals) -> Iterator[list[tuple[Place, Event]]]:
    """Events in batches, with their places; what cannot be read is counted by reason."""
    batch: list[tuple[Place, Event]] = []
    for place, item in items:
        totals.records += 1
        try:
            if isinstance(item, ParseError):
                raise item
            if len(item) > LONGEST_LINE:
                raise ParseError(f"longer than {LONGEST_LINE} bytes")
            if not item.strip():
                totals.records -= 1
                continue
            event = read(item)
        except ParseError as error:
            _refuse(place, error, totals)
            continue
        # Identity and append time are given here and never taken from a record: two of them may claim the same.
        event["event.id"] = f"{place.path}:{place.line}"
        event["event.ingested"] = event["@timestamp"]
        event["log.file.path"] = place.path
        event["log.offset"] = place.offset
        batch.append((place, event))
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _refuse(place: Place, error: ParseError, totals: Totals) -> None:
    totals.dead[error.reason] += 1
    told = totals.dead.total()
    if told <= WARNINGS:
        log.warning("%s:%d: %s", place.path, place.line, error)
    if told == WARNINGS:
        log.warning("what else cannot be read is counted only")


def alerts(
    source: Iterable[list[tuple[Place, Event]]],
    selectors: Sequence[Selector],
    operators: Mapping[str, Operator],
    totals: Totals,
) -> Iterator[Alert]:
    """Alerts of single events as they come, then those of windows and baselines over the whole input.

    Hits are put into (event time, id) order first, so neither the order of files nor of lines matters. Of an
    alert that grows, only the final revision comes.
    """
    spill = Spill()
    for batch in source:
        hits: list[Hit] = []
        for found in select(selectors, [event for _, event in batch]):
            if isinstance(found, Hit):
                hits.append(found)
            else:
                totals.alerts += 1
                yield found
        spill.add(hits)
    spill.sort()
    for operator in sorted(operators.values(), key=lambda item: item.depth):
        final: dict[str, Alert] = {}
        for found in _run(operator, spill):
            final[str(found["almena.alert.id"])] = found
        totals.alerts += len(final)
        yield from final.values()


def _run(operator: Operator, spill: Spill) -> Iterator[Alert]:
    """The alerts of one operator over all its hits; its results join the hits of others."""
    state = State()
    for chunk in spill.chunks(operator.name):
        # More hits of the last moment may follow, so nothing is woken at that moment yet.
        yield from _sorted_out(drive(operator, chunk, chunk[-1].time - 1, state), spill)
        state.changes()
    yield from _sorted_out(drive(operator, [], FOREVER, state), spill)


def _sorted_out(found: Iterable[Alert | Hit], spill: Spill) -> Iterator[Alert]:
    results = []
    for item in found:
        if isinstance(item, Hit):
            results.append(item)
        else:
            yield item
    spill.add(results)


def run_all(operators: Iterable[Operator], hits: Iterable[Hit]) -> Iterator[Alert]:
    """Every revision of every alert of hits that are all at hand, in any order; chained operators among them."""
    by_operator: dict[str, list[Hit]] = {}
    for hit in hits:
        by_operator.setdefault(hit.detector, []).append(hit)
    for operator in sorted(operators, key=lambda item: item.depth):
        mine = sorted(by_operator.get(operator.name, ()), key=lambda hit: (hit.time, hit.id, order_of(hit)))
        for found in drive(operator, mine, FOREVER, State()):
            if isinstance(found, Hit):
                by_operator.setdefault(found.detector, []).append(found)
            else:
                yield found


def verdicts(
    source: Iterable[list[tuple[Place, Event]]],
    match: Callable[[Sequence[Event]], Iterable[Iterable[str]]],
    totals: Totals,
) -> Iterator[tuple[int, str]]:
    """(line, rule id) of every match of a single event, sorted; `match` gives the rule ids of each event of a batch."""
    found = {
        (place.line, rule)
        for batch in source
        for (place, _), rules in zip(batch, match([event for _, event in batch]), strict=True)
        for rule in rules
    }
    totals.alerts = len(found)
    yield from sorted(found)


def dump(alert: Alert) -> str:
    """The alert as one line of JSON."""
    return msgspec.json.encode(alert).decode()


def summary(totals: Totals, began: float, ended: float, what: str = "alert") -> str:
    """One line for people about a replay that is over; `what` is one of what it found."""
    seconds = max(ended - began, 1e-9)
    rate = totals.records / seconds
    text = f"{_many(totals.records, 'record')} in {seconds:.1f} s ({rate:,.0f}/s), {_many(totals.alerts, what)}"
    if dead := totals.dead.total():
        reasons = "; ".join(f"{count} × {reason}" for reason, count in totals.dead.most_common(5))
        text += f", {_many(dead, 'dead letter')}: {reasons}"
    return text


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun if count == 1 else f'{noun}es' if noun.endswith('ch') else f'{noun}s'}"


def plain(event: Mapping[str, Any]) -> str:
    """An event as one line of JSON with sorted keys."""
    return msgspec.json.encode(dict(event), order="sorted").decode()

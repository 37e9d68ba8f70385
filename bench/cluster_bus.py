"""Appends and steps of the bus on Kafka, beside what the same client does with the same records and nothing else."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from importlib.util import find_spec

from almena.bus import EVENTS, Record, Session, Step
from almena.bus.kafka import KafkaBus
from almena.heap import settle
from almena.stage import LARGEST_STEP
from bench import cluster_bare as bare
from bench.cluster_place import PARTITIONS, Place, took
from bench.cluster_report import VERSUS, Section, Table, Took, Versus, say

GOAL = 0.8

APPENDS = 5_000
"""Records of one append, which is as many as the intake writes at once under load."""

ENTRIES, ENTRY = 100, 400
"""Entries of state that a step writes in each partition, and their bytes."""

PRODUCED = 50_000, 20_000
CONSUMED = 120_000, 40_000
"""Records of 700 bytes, and of OTRF: so many that what is fetched beforehand counts for little."""

WAYS = {"read alone": None, "positions committed": 0, f"and {ENTRIES} entries of state a partition": ENTRIES}
"""What a step does, by how many entries of state it writes; None commits nothing."""

_NOISE = 350


def plain(count: int) -> list[Record]:
    """700-byte values, half of them noise that does not compress."""
    return [record(number, os.urandom(_NOISE) + b"a" * _NOISE) for number in range(count)]


def record(number: int, value: bytes) -> Record:
    """A record as the intake makes one, of sixteen lanes."""
    lane = f"l{number % 16}"
    headers = {"source": "portal", "agency": "finance", "lane": lane, "seq": str(number)}
    return Record(f"portal/{lane}", value, headers)


def corpora(lines: Sequence[bytes], plain_count: int, real_count: int) -> dict[str, list[Record]]:
    """The records of both kinds, so many at most; `lines` may be empty."""
    found = {"700 B": plain(plain_count)}
    some = lines[:: max(1, len(lines) // real_count)][:real_count]
    if some:
        size = sum(map(len, some)) / len(some) / 1000
        found[f"OTRF, {size:.1f} kB"] = [record(number, line) for number, line in enumerate(some)]
    return found


def clients() -> list[str]:
    """The clients that the bus has."""
    return [bare.PYTHON] + [bare.CONFLUENT] * (find_spec("almena.bus.kafka_confluent") is not None)


def produce(place: Place, lines: Sequence[bytes], rounds: int, scale: float) -> Section:
    """Appends as large as the intake's, each one transaction, beside one flush of the same records."""
    rows = []
    for client in clients():
        for what, records in corpora(lines, *less(PRODUCED, scale)).items():
            found = Versus(f"{bare.LIBRARY[client]}: {what}", len(records))
            with place.bus(client) as bus, bare.sender(client, place.kafka, place.topic()) as sender:
                ready = bare.ready(records, PARTITIONS)
                bus.append(EVENTS, records[:APPENDS])
                sender.send(ready[:APPENDS])
                settle()
                for _ in range(rounds):
                    found.ours.append(took(partial(append, bus, records)))
                    found.theirs.append(took(partial(sender.send, ready)))
            rows.append(found.row(GOAL))
            say(rows[-1])
    header = [f"append of {APPENDS:,} records, {PARTITIONS} partitions", *VERSUS]
    return Section("Producing", [Table(header, rows)], rounds)


def less(counts: Sequence[int], scale: float) -> Iterator[int]:
    """So many, or fewer for a look, but never less than a few steps."""
    return (max(int(count * scale), 2 * APPENDS) for count in counts)


def append(bus: KafkaBus, records: Sequence[Record]) -> None:
    """All records, append by append."""
    for start in range(0, len(records), APPENDS):
        bus.append(EVENTS, records[start : start + APPENDS])


def consume(place: Place, lines: Sequence[bytes], rounds: int, scale: float) -> Section:
    """Steps through a session, with positions and state committed or not, beside polls of the bare client."""
    rows = []
    for client in clients():
        for what, records in corpora(lines, *less(CONSUMED, scale)).items():
            count, name = len(records), f"{bare.LIBRARY[client]}: {what}"
            ways = {f"{name}, {way}": entries for way, entries in WAYS.items()}
            found = {way: Versus(way, 1) for way in ways}
            with place.bus(client) as bus:
                append(bus, records)
                del records
                for _ in range(rounds):
                    theirs = _bare(client, place.kafka, bus.named(EVENTS), count)
                    for way, entries in ways.items():
                        found[way].ours.append(_steps(bus, count, entries))
                        found[way].theirs.append(theirs)
            rows += [each.row(GOAL) for each in found.values()]
            say(*rows[-len(ways) :])
    header = [f"steps of {LARGEST_STEP:,} records, {PARTITIONS} partitions", *VERSUS]
    return Section("Consuming", [Table(header, rows)], rounds)


def _bare(client: str, servers: str, topic: str, count: int) -> Took:
    return _timed(bare.consume(client, servers, topic, PARTITIONS, count, LARGEST_STEP))


def _steps(bus: KafkaBus, count: int, entries: int | None) -> Took:
    with closing(bus.session(EVENTS, group=f"g{secrets.token_hex(4)}", member="bench")) as session:
        return _timed(_read(session, count, entries))


def _timed(steps: Iterator[int]) -> Took:
    """From the end of the first step on: joining and connecting are not counted."""
    settle()
    next(steps)
    sizes: list[int] = []
    cost = took(lambda: sizes.extend(steps))
    return Took(cost.wall / sum(sizes), cost.cpu / sum(sizes))


def _read(session: Session, count: int, entries: int | None) -> Iterator[int]:
    """Read so many records in steps; yields the size of each."""
    left, number = count, 0
    while left > 0:
        batch = session.poll(min(LARGEST_STEP, left), 5.0)
        for partition in batch.gained:
            session.restore(partition)
        size = sum(map(len, batch.records.values()))
        if not size:
            continue
        number += 1
        if entries is not None:
            state: dict[str, bytes | None] = {
                f"{number}.{each}": secrets.token_bytes(ENTRY // 2) + bytes(ENTRY // 2) for each in range(entries)
            }
            session.commit({each: Step(found[-1].offset + 1, {}, state) for each, found in batch.records.items()})
        left -= size
        yield size

"""Hits for one correlation, as detect makes them, and the one place where the benchmark opens the correlate role."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from almena.bus import EVENTS, HITS, Record, Stored
from almena.clock import SECOND, format_time
from almena.correlate import Correlate
from almena.detect import hit_record
from almena.hit import Hit, group_key
from almena.stage import LARGEST_STEP
from almena.state import Partition
from almena.watermarks import watermark_records
from detectors.correlation import CorrelationOperator
from detectors.sigma.detector import SigmaDetector, operators
from detectors.sigma.loader import load_texts

START = 1_790_000_000 * SECOND

TIMESPAN = 300 * SECOND
"""Of every correlation here."""

BASE = "11111111-1111-4111-8111-111111111111"

_RULES = """\
title: A login has failed
id: 11111111-1111-4111-8111-111111111111
name: failed
logsource: {product: linux, service: auth}
detection: {selection: {event.action: login, event.outcome: failure}, condition: selection}
---
title: Many of them
id: 22222222-2222-4222-8222-222222222222
level: medium
correlation:
  type: TYPE
  rules: [failed]
  group-by: [source.ip]
  timespan: 5m
  condition: CONDITION
"""

_EVENT: Mapping[str, Any] = {
    "@timestamp": format_time(START),
    "event.id": "auth:front:0",
    "event.ingested": format_time(START),
    "event.action": "login",
    "event.outcome": "failure",
    "event.dataset": "system.auth",
    "product": "linux",
    "service": "auth",
    "organization.id": "finance",
    "organization.name": "Secretaría de Finanzas",
    "host.name": "front-01",
    "source.ip": "10.0.0.1",
    "user.name": "root",
    "process.name": "sshd",
    "http.response.body.bytes": 1,
}


class One(NamedTuple):
    """What tells one hit from the others."""

    time: int
    group: int
    user: int = 0
    size: int = 0


class Load:
    """A correlation of failed logins by address, and hits of it."""

    def __init__(self, kind: str, condition: str, groups: int) -> None:
        """`kind` and `condition` as a rule says them; `groups` is how many its state has room for."""
        text = _RULES.replace("TYPE", kind).replace("CONDITION", condition)
        rules = load_texts([("bench.yml", text)])
        if rules.rejected:
            raise ValueError(rules.rejected[0].reason)
        self.operator: CorrelationOperator = operators(rules, limit=groups)[-1]
        made = [found for found in SigmaDetector(rules).select([dict(_EVENT)]) if isinstance(found, Hit)]
        self._hit, self._number = made[0], 0

    def hit(self, one: One) -> Hit:
        """The next hit, with all that detect keeps of its event."""
        self._number += 1
        ident, moment, source = f"auth:front:{self._number}", format_time(one.time), address(one.group)
        fields = self._hit.fields | {
            "@timestamp": moment,
            "event.id": ident,
            "event.ingested": moment,
            "source.ip": source,
            "user.name": f"u{one.user}",
            "http.response.body.bytes": one.size,
        }
        group = group_key("finance", source)
        return msgspec.structs.replace(
            self._hit, time=one.time, id=f"{ident}/{BASE}", group=group, fields=fields, position=(0, self._number)
        )

    def steps(self, plan: Iterable[One], size: int = LARGEST_STEP) -> Iterator[list[Hit]]:
        """The hits of a plan in steps of the size that the role takes at most."""
        plan = iter(plan)
        while hits := [self.hit(one) for one in islice(plan, size)]:
            yield hits


def address(number: int) -> str:
    """An address of its own for each of 16 million numbers."""
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


class Role:
    """The correlate role on one partition, without its bus."""

    def __init__(self, working: Sequence[CorrelationOperator], snapshot: Mapping[str, bytes] | None = None) -> None:
        """`snapshot` as a session restores it."""
        self.partition = Partition(snapshot)
        self._work = Correlate(0, self.partition, operators={it.name: it for it in working}, event_partitions=1)
        self._offset = 0

    def records(self, hits: Sequence[Hit]) -> list[Stored]:
        """Hits as they are read from the bus, and behind them the watermark that passes them all."""
        return self.stored([*map(hit_record, hits), *watermark_records(EVENTS, 0, {(0, 0): hits[-1].time}, [0], 1)])

    def stored(self, records: Sequence[Record]) -> list[Stored]:
        """Records of the topic of hits as they are read from the bus."""
        found = []
        for record in records:
            self._offset += 1
            found.append(Stored(HITS, 0, self._offset, START, record.key, record.value, record.headers))
        return found

    def step(self, records: Sequence[Stored]) -> dict[str, list[Record]]:
        """One step of the role."""
        return self._work.step(records)

    def changes(self) -> dict[str, bytes | None]:
        """What the stage would commit."""
        return self.partition.changes()


def resident() -> int:
    """Bytes of memory that this process holds now, after a collection; 0 where the system does not say."""
    gc.collect()
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    line = next(line for line in status.read_text("ascii").splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


class Watch:
    """Seconds by the clock and of the processor since it was made."""

    def __init__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    @property
    def cpu(self) -> float:
        """Of the processor, user and system."""
        return time.process_time() - self._cpu

    @property
    def wall(self) -> float:
        """By the clock."""
        return time.perf_counter() - self._wall

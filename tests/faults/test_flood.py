"""A syslog flood at ten times the usual: no other source, and no other sender of the same source, loses a message."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from sinks import events, letters, until

from almena.bus import Bus, open_bus
from almena.event import Event
from almena.sealing import Secret
from collectors.base import Raw, Source
from collectors.intake import Intake
from collectors.parsers import PARSERS
from collectors.syslog import Syslog

SENDER = """
import socket, sys, time
host, port, of, rate, seconds, word = sys.argv[1:]
rate, seconds = float(rate), float(seconds)
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((of, 0))
sock.connect((host, int(port)))
sent, began = 0, time.perf_counter()
while (elapsed := time.perf_counter() - began) < seconds:
    for number in range(sent, int(elapsed * rate)):
        sock.send(b"<34>1 2026-11-22T19:34:00Z web1 su 77 - - %s %d" % (word.encode(), number))
        sent += 1
    time.sleep(0.0005)
print(sent)
"""

USUAL = 5_000
"""Messages a second."""


def mask(event: Event) -> Event:
    """As slow as a machine that is just fast enough for twice the usual."""
    time.sleep(0.00002)
    return event


class Watched(Intake):
    """An intake that counts by source what it got and what was lost."""

    def __init__(self, bus: Bus) -> None:
        super().__init__(bus, parsers=PARSERS, mask=mask, seal=Secret(bytes(32)).seal)
        self.got: Counter[tuple[str, str]] = Counter()
        self.lost: Counter[tuple[str, str]] = Counter()

    async def append(self, source: Source, records: Sequence[Raw]) -> int:
        dead = await super().append(source, records)
        for record in records:
            self.got[source.name, record.origin.partition(":")[0]] += 1
        return dead

    def dropped(self, source: Source, reason: str, count: int) -> None:
        super().dropped(source, reason, count)
        self.lost[source.name, reason] += count


async def send(collector: Syslog, of: str, rate: float, seconds: float, word: str) -> int:
    host, _, port = collector.address.rpartition(":")
    given = [host, port, of, str(rate), str(seconds), word]
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", SENDER, *given, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return int(out)


@pytest.mark.parametrize("seconds", [2.0, pytest.param(30.0, marks=pytest.mark.faults)])
@pytest.mark.timeout(180)
def test_a_flood_costs_nobody_else_a_message(seconds: float, tmp_path: Path) -> None:
    bus = open_bus(f"sqlite:{tmp_path / 'bus.sqlite'}", partitions=2)
    sink = Watched(bus)
    flooded = Syslog(agency="a", listen="127.0.0.1:0", backlog=4 << 20)
    quiet = Syslog(agency="b", listen="127.0.0.1:0", backlog=4 << 20)
    sent: dict[str, int] = {}

    async def run() -> None:
        async with sink, asyncio.TaskGroup() as group:
            collecting = [group.create_task(flooded.run("flooded", sink)), group.create_task(quiet.run("quiet", sink))]
            await until(lambda: flooded.address and quiet.address)
            flood, beside, other = await asyncio.gather(
                send(flooded, "127.0.0.1", 10 * USUAL, seconds, "flood"),
                send(flooded, "127.0.0.2", USUAL / 25, seconds, "beside"),
                send(quiet, "127.0.0.3", USUAL / 5, seconds, "other"),
            )
            sent.update(flood=flood, beside=beside, other=other)
            await until(lambda: sum(sink.got.values()) + sink.lost.total() >= sum(sent.values()), seconds=60)
            for task in collecting:
                task.cancel()

    asyncio.run(run())
    kernel, quota = sink.lost["flooded", "kernel"], sink.lost["flooded", "quota"]
    assert sink.got["quiet", "127.0.0.3"] == sent["other"]
    assert not sink.lost["quiet", "kernel"] + sink.lost["quiet", "quota"]
    assert quota > 0, "that was no flood"
    assert sent["beside"] - sink.got["flooded", "127.0.0.2"] <= kernel, "only the kernel takes from anybody"
    got = sink.got["flooded", "127.0.0.1"] + sink.got["flooded", "127.0.0.2"]
    assert sent["flood"] + sent["beside"] == got + kernel + quota
    assert len(events(bus)) == sum(sink.got.values())
    told = [entry for entry in letters(bus, "ledger") if entry["kind"] == "flood"]
    assert [entry["stage"] for entry in told][-2:] == ["full", "over"]
    assert {(entry["source"], entry["sender"]) for entry in told} == {("flooded", "127.0.0.1")}
    assert told[-1]["lost"] == quota
    drops = Counter[str]()
    for line in letters(bus, "ledger"):
        drops[line.get("reason", "")] += line.get("count", 0)
    assert drops["quota"] == quota
    bus.close()

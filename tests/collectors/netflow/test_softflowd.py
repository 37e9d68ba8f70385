"""A real exporter: softflowd reads a capture and tells our collector of its flows."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from captures import ACK, FIN, PUSH, SYN, ethernet, pcap, tcp, udp, write
from sinks import Kept, until

from almena.clock import now
from almena.event import Event, decode
from collectors.netflow.collector import Netflow
from collectors.packets import events_of

SOFTFLOWD = shutil.which("softflowd", path=os.environ.get("PATH", "") + ":/usr/sbin")


def traffic() -> Iterator[bytes]:
    """Eight conversations over TCP and four over UDP, of different sizes."""
    for number in range(8):
        me, site, port = f"10.1.0.{number + 1}", "192.0.2.80", 40_000 + number
        yield tcp(me, port, site, 443, SYN)
        yield tcp(site, 443, me, port, SYN | ACK)
        for _ in range(number + 1):
            yield tcp(me, port, site, 443, ACK | PUSH, b"x" * (100 + number))
        yield tcp(site, 443, me, port, ACK | PUSH, b"y" * 1_000)
        yield tcp(me, port, site, 443, FIN | ACK)
        yield tcp(site, 443, me, port, FIN | ACK)
    for number in range(4):
        yield udp(f"10.1.0.{number + 1}", 50_000 + number, "10.1.0.254", 53, b"q" * 40)
        yield udp("10.1.0.254", 53, f"10.1.0.{number + 1}", 50_000 + number, b"a" * 120)


async def exported(path: Path, *options: str) -> list[Event]:
    sink = Kept()
    collector = Netflow(agency="ssp", listen="127.0.0.1:0")
    task = asyncio.ensure_future(collector.run("edge", sink))
    try:
        await until(lambda: collector.address or task.done(), seconds=5)
        place = ["-p", str(path.with_suffix(".pid")), "-c", "none"]
        assert SOFTFLOWD
        command = [SOFTFLOWD, "-d", "-r", str(path), "-n", collector.address, *place, *options]
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(*command, stdin=quiet, stdout=quiet, stderr=quiet)
        assert await asyncio.wait_for(process.wait(), 30) == 0
        await until(lambda: sink.records)
        await asyncio.sleep(0.3)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert [drop for drop in sink.drops if drop[2]] == []
    return [decode(data) for data in sink.texts()]


Way = tuple[str, Any, str, Any, str]


def ways(events: list[Event]) -> dict[Way, tuple[int, int]]:
    """Packets and bytes of each way of each conversation."""
    found: dict[Way, tuple[int, int]] = {}
    for event in events:
        ends = [(event[f"{side}.ip"], event.get(f"{side}.port", 0)) for side in ("source", "destination")]
        for (one, other), side in ((ends, "source"), (ends[::-1], "destination")):
            if event.get(f"{side}.packets"):
                key = (*one, *other, event["network.transport"])
                packets, octets = found.get(key, (0, 0))
                found[key] = packets + event[f"{side}.packets"], octets + event[f"{side}.bytes"]
    return found


@pytest.fixture(autouse=True)
def needed() -> None:
    """Skip where softflowd is not installed; in CI that is an error."""
    if SOFTFLOWD is None:
        told = "no softflowd here: apt-get install softflowd"
        pytest.fail(told) if os.environ.get("CI") == "true" else pytest.skip(told)


@pytest.mark.parametrize(
    "options",
    [
        ("-v", "5"),
        ("-v", "9"),
        ("-v", "10"),
        ("-v", "10", "-b"),
        ("-v", "10", "-A", "milli"),
        ("-v", "10", "-A", "nano"),
    ],
    ids=" ".join,
)
def test_the_flows_of_a_capture_come_as_our_own_reader_sees_them(tmp_path: Path, options: tuple[str, ...]) -> None:
    start = now() - 60_000_000
    packets = [(start + 10_000 * number, ethernet(packet)) for number, packet in enumerate(traffic())]
    path = write(tmp_path / "traffic.pcap", pcap(packets))
    ours = [event for event in events_of(path) if event["event.dataset"] == "network.flow"]
    theirs = asyncio.run(exported(path, *options))
    assert ways(theirs) == ways(ours)
    assert all(event["event.duration"] >= 0 for event in theirs)
    if "-A" in options:
        begun = min(event["event.start"] for event in ours)
        assert min(event["event.start"] for event in theirs)[:23] == begun[:23]

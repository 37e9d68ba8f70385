"""What strangers send, through the collector, the real parser and the intake: all is kept or counted, others go on."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import pytest
from sinks import events, letters, until

from almena import metrics
from almena.bus import Bus, open_bus
from almena.clock import Span
from almena.sealing import Secret
from collectors.base import Raw, Source
from collectors.intake import Intake
from collectors.parsers import PARSERS
from collectors.relp import Relp
from collectors.syslog import Syslog

SECRET = Secret(bytes(32))
GOOD = "<34>1 2026-11-22T19:34:00Z web1 su 77 - - good"

LINES = {
    "ten megabytes": b"<34>" + b"x" * 10_000_000,
    "NUL": b"<34>1 2026-11-22T19:34:00Z web1 su 77 - - a\0b\0\0c",
    "only NUL": b"\0" * 3_000_000,
    "invalid UTF-8": b"<34>1 2026-11-22T19:34:00Z web1 su 77 - - \xff\xfe\xc3\x28 \xed\xa0\x80",
    "UTF-16": "<34>1 2026-11-22T19:34:00Z web1 su 77 - - año".encode("utf-16"),
    "carriage returns": b"<34>1 2026-11-22T19:34:00Z web1 su 77 - - a\r",
    "a priority of a thousand digits": b"<" + b"9" * 1_000 + b">x",
    "brackets": b"<34>1 2026-11-22T19:34:00Z web1 su 77 - " + b'[a b="' * 20_000,
    "control characters": b"<34>1 2026-11-22T19:34:00Z web1 su 77 - - \x1b[2J\x07\x9b\xe2\x80\xae",
    "nothing but a count": b"12",
    "a count of nothing": b"0 ",
}
TRANSPORTS = pytest.mark.parametrize("transport", ["udp", "tcp", "relp"])


class Watched(Intake):
    """An intake that says what collectors gave it."""

    def __init__(self, bus: Bus) -> None:
        super().__init__(bus, parsers=PARSERS, mask=lambda event: event, seal=SECRET.seal, tick=0.05)
        self.appended = 0
        self.lost: Counter[str] = Counter()

    async def append(self, source: Source, records: Sequence[Raw]) -> int:
        dead = await super().append(source, records)
        self.appended += len(records)
        return dead

    def dropped(self, source: Source, reason: str, count: int) -> None:
        super().dropped(source, reason, count)
        self.lost[reason] += count


@contextlib.asynccontextmanager
async def running(collector: Syslog | Relp, sink: Intake) -> AsyncIterator[tuple[str, int]]:
    task = asyncio.ensure_future(collector.run("edge", sink))
    try:
        await until(lambda: collector.address or task.done(), seconds=5)
        if task.done():
            await task
        host, _, port = collector.address.rpartition(":")
        yield host, int(port)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def made(transport: str, **options: object) -> Syslog | Relp:
    common = {"agency": "finanzas", "listen": "127.0.0.1:0", **options}
    return Relp(**common) if transport == "relp" else Syslog(transport=transport, **common)  # type: ignore[arg-type]


async def send(transport: str, place: tuple[str, int], line: bytes) -> None:
    """One line as that transport frames it, then the end of the connection."""
    if transport == "udp":
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(line[:60_000], place)
        return
    reader, writer = await asyncio.open_connection(*place)
    if transport == "relp":
        line = b"1 open 15 commands=syslog\n2 syslog %d %s\n3 close 0\n" % (len(line), line)
    with contextlib.suppress(ConnectionError):
        writer.write(line + (b"\n" if transport == "tcp" else b""))
        await writer.drain()
        writer.write_eof()
        await asyncio.wait_for(reader.read(), 10)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@TRANSPORTS
def test_every_hostile_line_is_kept_or_counted_and_the_next_sender_is_heard(transport: str) -> None:
    bus = open_bus("memory:", partitions=2)
    sink = Watched(bus)

    async def run() -> None:
        async with sink, running(made(transport), sink) as place:
            for number, line in enumerate(LINES.values(), 1):
                await send(transport, place, line)
                await send(transport, place, f"{GOOD} {number}".encode())
                await until(lambda number=number: len(good()) == number)  # type: ignore[misc]

    def good() -> list[object]:
        return [event["message"] for event in events(bus) if str(event["message"]).startswith("good")]

    asyncio.run(run())
    stored, dead = events(bus), letters(bus)
    assert good() == [f"good {number}" for number in range(1, len(LINES) + 1)]
    assert len(stored) + len(dead) == sink.appended
    assert sink.appended + sink.lost.total() >= 2 * len(LINES) - (transport == "tcp")  # a line of NUL is an empty one
    assert set(sink.lost) <= {"empty"}
    assert not any(len(str(event.get("event.original", ""))) > 1 << 20 for event in stored)
    bus.close()


COUNTS = {
    "too small": b"5 " + GOOD.encode(),
    "too large": b"%d " % (len(GOOD) + 500) + GOOD.encode(),
    "beyond belief": b"999999999 " + GOOD.encode(),
    "ten digits": b"9999999999 " + GOOD.encode(),
    "a leading nought": b"0%d " % len(GOOD) + GOOD.encode(),
    "negative": b"-5 " + GOOD.encode(),
    "no number": b"abc " + GOOD.encode(),
    "a count, and then nothing": b"500 <",
    "counts alone": b"1 2 3 4 5 " * 1_000,
}


@pytest.mark.parametrize("lie", list(COUNTS))
def test_counts_that_lie_cost_nobody_else_and_end_with_the_connection(lie: str) -> None:
    bus = open_bus("memory:", partitions=2)
    sink = Watched(bus)

    async def run() -> None:
        async with sink, running(made("tcp", max_line=10_000), sink) as place:
            await send("tcp", place, COUNTS[lie])
            await send("tcp", place, f"{len(GOOD) + 2} {GOOD} 2".encode())
            await until(lambda: sink.appended >= 2)

    asyncio.run(run())
    assert [event["message"] for event in events(bus) if event["message"] == "good 2"] == ["good 2"]
    bus.close()


@pytest.mark.parametrize(
    "lie", [b"2 syslog 5 %s\n", b"2 syslog 900 %s\n", b"2 syslog 999999999 %s\n", b"2 syslog -1 %s\n"]
)
def test_lengths_that_lie_are_never_acknowledged(lie: bytes) -> None:
    bus = open_bus("memory:", partitions=2)
    sink = Watched(bus)
    answers = []

    async def run() -> None:
        async with sink, running(made("relp"), sink) as place:
            reader, writer = await asyncio.open_connection(*place)
            writer.write(b"1 open 15 commands=syslog\n" + b"2 syslog %s %s\n" % (lie, GOOD.encode()))
            writer.write_eof()
            with contextlib.suppress(ConnectionError):
                answers.append(await asyncio.wait_for(reader.read(), 5))
            writer.close()
            await send("relp", place, f"{GOOD} 2".encode())
            await until(lambda: sink.appended >= 1)

    asyncio.run(run())
    assert all(b"2 rsp" not in answer for answer in answers)
    assert [event["message"] for event in events(bus)] == ["good 2"]
    bus.close()


# Slow ones, and many


@pytest.mark.parametrize("transport", ["tcp", "relp"])
def test_who_dribbles_is_closed_and_holds_nobody_up(transport: str) -> None:
    """A byte now and then keeps no connection open: it must complete a message."""
    bus = open_bus("memory:", partitions=2)
    sink = Watched(bus)

    async def dribble(place: tuple[str, int]) -> None:
        reader, writer = await asyncio.open_connection(*place)
        with contextlib.suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b"1" if transport == "relp" else b"x")
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(100), 0.03)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def run() -> None:
        async with (
            sink,
            running(made(transport, idle_timeout=Span(400_000)), sink) as place,
            asyncio.timeout(8),
            asyncio.TaskGroup() as group,
        ):
            for _ in range(50):
                group.create_task(dribble(place))
            await asyncio.sleep(0.1)
            await send(transport, place, GOOD.encode())
            await until(lambda: sink.appended >= 1)

    asyncio.run(run())
    assert "good" in [event["message"] for event in events(bus)]
    bus.close()


@pytest.mark.parametrize("transport", ["tcp", "relp"])
def test_hundreds_of_idle_connections_keep_nobody_out(transport: str) -> None:
    """The address with most of them gives up the one silent for longest; who speaks now and then keeps its place."""
    bus = open_bus("memory:", partitions=2)
    sink = Watched(bus)
    before = sum(sample.value for family in metrics.CONNECTIONS_REFUSED.collect() for sample in family.samples)

    async def run() -> None:
        options = {"max_connections": 300, "max_connections_per_host": 300}
        async with sink, running(made(transport, **options), sink) as place:
            with contextlib.ExitStack() as stack:
                for _ in range(400):
                    stack.enter_context(socket.create_connection(place)).setblocking(False)
                await asyncio.sleep(0.1)
                first = await asyncio.open_connection(*place, local_addr=("127.0.0.2", 0))
                head = b"1 open 15 commands=syslog\n" if transport == "relp" else b""
                first[1].write(head)
                for number in range(20):  # others come, and this one stays
                    stack.enter_context(
                        socket.create_connection(place, source_address=(f"127.0.1.{number + 1}", 0))
                    ).setblocking(False)
                text = f"{GOOD} kept".encode()
                first[1].write(b"2 syslog %d %s\n" % (len(text), text) if transport == "relp" else text + b"\n")
                await first[1].drain()
                await until(lambda: sink.appended >= 1)
                first[1].close()

    asyncio.run(run())
    assert [event["message"] for event in events(bus)] == ["good kept"]
    after = sum(sample.value for family in metrics.CONNECTIONS_REFUSED.collect() for sample in family.samples)
    assert after > before
    bus.close()

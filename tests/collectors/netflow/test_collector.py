from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from exports import PLAIN, a_set, ipfix, plain, template, v5, v5_flow, v9
from sinks import Kept, counted, until

from almena import metrics
from almena.clock import Span
from almena.config import build
from almena.errors import ConfigError, ParseError
from almena.event import decode
from collectors.base import Context, Raw, Source
from collectors.netflow.collector import Netflow
from collectors.parsers import PARSERS


def netflow(**options: Any) -> Netflow:
    settings = {"agency": "ssp", "listen": "127.0.0.1:0", **options}
    made: Netflow = build(Netflow, settings, "almena.toml: collectors.edge")
    return made


@contextlib.asynccontextmanager
async def running(collector: Netflow, sink: Kept) -> AsyncIterator[socket.socket]:
    """The collector at work, and a socket that speaks to it; on leaving it is cancelled, as a stop would."""
    task = asyncio.ensure_future(collector.run("edge", sink))
    try:
        await until(lambda: collector.address or task.done(), seconds=5)
        if task.done():
            await task
        host, _, port = collector.address.rpartition(":")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((host.strip("[]"), int(port)))
            yield sock
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def collected(collector: Netflow, *datagrams: bytes, count: int, sink: Kept | None = None) -> Kept:
    """What comes of the datagrams, once so many records have come."""
    sink = sink or Kept()

    async def run() -> None:
        async with running(collector, sink) as sock:
            for data in datagrams:
                sock.send(data)
            await until(lambda: len(sink.records) >= count)

    asyncio.run(run())
    return sink


def dropped(sink: Kept, reason: str) -> int:
    return sum(count for _, why, count in sink.drops if why == reason)


def test_every_flow_is_a_record_with_an_identity_and_its_exporter() -> None:
    rows = b"".join(map(plain, range(20)))
    datagrams = [v9(template(256, PLAIN))] + [v9(a_set(256, rows), sequence=1 + number) for number in range(5)]
    sink = collected(netflow(), *datagrams, count=100)
    assert len({(record.lane, record.seq) for record in sink.records}) == len(sink.records) == 100
    for record in sink.records:
        event = PARSERS["flow"](record.data, Context(received=record.received))
        assert event["observer.ip"] == ["127.0.0.1"]
        assert record.origin.startswith("127.0.0.1:")
    assert sink.drops == []
    (source,) = netflow().sources("edge")
    assert (source.parser, sink.batches[0][0].resent) == ("flow", False)


def test_all_versions_at_one_port_and_over_ipv6() -> None:
    datagrams = (v5([v5_flow()]), v9(template(256, PLAIN), a_set(256, plain())))
    last = ipfix(template(256, ((27, 16), (1, 4)), version=10), a_set(256, bytes(20)))
    sink = collected(netflow(listen="[::1]:0"), *datagrams, last, count=3)
    events = [decode(data) for data in sink.texts()]
    assert [event["almena.netflow.version"] for event in events] == [5, 9, 10]
    assert all(event["observer.ip"] == ["::1"] for event in events)


def test_what_is_no_flow_becomes_a_dead_letter_that_says_why() -> None:
    sink = collected(netflow(), b"<13>hola", v5([v5_flow()])[:40], v5([v5_flow()]), count=3)
    reasons = []
    for data in sink.texts()[:2]:
        with pytest.raises(ParseError) as caught:
            PARSERS["flow"](data, Context(received=1))
        reasons.append(caught.value.reason)
    assert reasons == [
        "a datagram that is neither NetFlow 5, NetFlow 9 nor IPFIX",
        "a datagram with another number of flows than it says",
    ]


def test_only_exporters_that_are_named_are_read() -> None:
    sink = Kept()

    async def run() -> None:
        async with running(netflow(exporters=["192.0.2.0/24", "127.0.0.2"]), sink) as sock:
            sock.send(v5([v5_flow()]))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.bind(("127.0.0.2", 0))
                other.sendto(v5([v5_flow(source_port=7)]), sock.getpeername())
                await until(lambda: sink.records)
            await until(lambda: dropped(sink, "exporter"))

    asyncio.run(run())
    assert [decode(data)["source.port"] for data in sink.texts()] == [7]
    assert dropped(sink, "exporter") == 1


def test_what_is_lost_is_counted_where_people_look(caplog: pytest.LogCaptureFixture) -> None:
    before = counted(metrics.NETFLOW_MISSING, source="edge", unit="flows")
    sink = Kept()

    async def run() -> None:
        collector = netflow(max_waiting=1)
        async with running(collector, sink) as sock:
            for number in (0, 1, 11):
                sock.send(v5([v5_flow()], sequence=number))
            sock.send(v9(a_set(300, plain())))
            await until(lambda: dropped(sink, "template") and len(sink.records) == 3)

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    assert dropped(sink, "template") == 1
    assert counted(metrics.NETFLOW_MISSING, source="edge", unit="flows") - before == 9


def test_a_stop_hands_on_what_has_arrived() -> None:
    """The sink is slow; what waits behind it is not lost with the stop."""

    class Slow(Kept):
        async def append(self, source: Source, records: Any) -> int:
            records = list(records)
            self.records.extend(records)
            await asyncio.sleep(0.2)
            return 0

    sink = Slow()
    rows = b"".join(map(plain, range(25)))

    async def run() -> None:
        async with running(netflow(), sink) as sock:
            sock.send(v9(template(256, PLAIN)))
            for number in range(300):
                sock.send(v9(a_set(256, rows), sequence=number + 1))
            await until(lambda: sink.records)

    asyncio.run(run())
    assert len(sink.records) + 25 * (dropped(sink, "stopped") + dropped(sink, "kernel")) == 300 * 25
    assert dropped(sink, "stopped") == 0
    assert len({(record.lane, record.seq) for record in sink.records}) == len(sink.records)


def test_batches_stay_small() -> None:
    rows = b"".join(map(plain, range(25)))
    sizes: list[int] = []
    sink = Kept()
    sink.before = lambda records: sizes.append(len(records))
    datagrams = [v9(template(256, PLAIN)), *(v9(a_set(256, rows), sequence=number + 1) for number in range(400))]
    collected(netflow(), *datagrams, count=400 * 25, sink=sink)
    assert max(sizes) < 6_000


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("exporters", ["10.0.0.0/99"], "exporters: '10.0.0.0/99' does not appear to be"),
        ("sampling", 0, "sampling: 0 is too few"),
        ("max_templates", 0, "max_templates: 0 is too few"),
        ("listen", "2055", "'2055' is no address"),
        ("receive_buffer", 0, "receive_buffer: 0 is no number of bytes"),
    ],
)
def test_wrong_options_are_told(option: str, value: Any, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        asyncio.run(netflow(**{option: value}).run("edge", Kept()))
    assert str(caught.value).startswith("collectors.edge: ")
    assert words in str(caught.value)


def test_options_reach_the_decoder() -> None:
    options = {"scale": False, "sampling": 10, "template_lifetime": "1h", "patience": "10s"}
    (raw,) = collected(netflow(**options), v5([v5_flow()]), count=1).records
    event = decode(_data(raw))
    assert (event["network.bytes"], event["almena.netflow.sampling_rate"]) == (1_000, 10)
    assert netflow(**options).template_lifetime == Span(3_600_000_000)


def _data(raw: Raw) -> bytes:
    return raw.data

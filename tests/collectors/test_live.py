"""Packets of a real interface: the loopback, where this machine lets us read it."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from captures import client_hello, dns
from sinks import Kept, counted, until

from almena import metrics
from almena.clock import now, parse_time
from almena.config import build
from almena.ecs import check
from almena.errors import ConfigError
from almena.event import Event, decode
from collectors.base import Context
from collectors.live import interface
from collectors.packets import Packets
from collectors.parsers import PARSERS


def may_capture() -> bool:
    try:
        with interface("lo", 1 << 20, "here"):
            return True
    except ConfigError:
        return False


capturing = pytest.mark.skipif(not may_capture(), reason="reading an interface needs CAP_NET_RAW and a loopback")


def packets(**options: Any) -> Packets:
    made: Packets = build(Packets, {"agency": "ssp", "interface": "lo", **options}, "almena.toml: collectors.tap")
    return made


@contextlib.asynccontextmanager
async def running(collector: Packets, sink: Kept) -> AsyncIterator[None]:
    task = asyncio.ensure_future(collector.run("tap", sink))
    try:
        await asyncio.sleep(0.2)
        if task.done():
            await task
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def events(sink: Kept, port: int, dataset: str = "") -> list[Event]:
    """What was told of traffic with this port; others use the loopback too."""
    found = [decode(data) for data in sink.texts()]
    return [
        event
        for event in found
        if port in (event.get("source.port"), event.get("destination.port"))
        and (not dataset or event["event.dataset"] == f"network.{dataset}")
    ]


@contextlib.contextmanager
def listening() -> Iterator[tuple[socket.socket, int]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server, server.getsockname()[1]


def visit(port: int, *pieces: bytes) -> None:
    """A connection that says something, in so many packets."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            sock.sendall(piece)
            time.sleep(0.02)


@capturing
def test_what_passes_is_seen_as_names_and_flows() -> None:
    sink = Kept()
    hello = client_hello("portal.example")
    request = b"GET /tramites?folio=8 HTTP/1.1\r\nHost: Portal.Example\r\nUser-Agent: curl/8.0\r\n\r\n"

    async def run(web: int, safe: int, me: int, query: socket.socket) -> None:
        async with running(packets(), sink):
            await asyncio.to_thread(visit, web, request)
            await asyncio.to_thread(visit, safe, hello[:90], hello[90:])
            query.sendto(dns("portal.example"), ("127.0.0.1", 53))
            names = (web, "http"), (safe, "tls"), (me, "dns")
            await until(lambda: all(events(sink, *name) for name in names), seconds=20)

    began = now()
    with listening() as (_, web), listening() as (_, safe), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as query:
        query.bind(("127.0.0.1", 0))
        me = query.getsockname()[1]
        asyncio.run(run(web, safe, me, query))
    (http,) = events(sink, web, "http")
    assert (http["url.domain"], http["http.request.method"], http["url.path"]) == ("portal.example", "GET", "/tramites")
    (tls,) = events(sink, safe, "tls")
    assert (tls["tls.client.server_name"], tls["tls.version"]) == ("portal.example", "1.3")
    assert events(sink, me, "dns")[0]["dns.question.name"] == "portal.example"
    (flow,) = events(sink, web, "flow")
    assert flow["network.transport"] == "tcp"
    assert flow["source.bytes"] > len(request)
    assert flow["destination.port"] == web
    assert flow["network.community_id"] == http["network.community_id"]
    assert began - 1_000_000 <= parse_time(flow["event.start"]) <= parse_time(flow["@timestamp"]) <= now()
    for record in sink.records:
        event = PARSERS["flow"](record.data, Context(received=record.received))
        assert "almena.misfit" not in check(event)
        assert event["observer.ingress.interface.name"] == "lo"
    assert [record.seq for record in sink.records] == list(range(len(sink.records)))
    assert sink.batches[0][0].resent is False


@capturing
def test_a_flow_that_was_silent_is_told_while_nothing_else_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.flows.IDLE", 500_000)
    sink = Kept()

    async def run(port: int) -> None:
        async with running(packets(dissect=False), sink):
            await asyncio.to_thread(visit, port, b"hola")
            await until(lambda: events(sink, port, "flow"), seconds=10)

    with listening() as (_, port):
        asyncio.run(run(port))


@capturing
def test_a_flood_of_packets_is_survived_and_what_is_lost_is_counted(tmp_path: Path) -> None:
    """Many more than can be read, between ends that are all different; the sender is in a process of its own."""
    count, sink = 150_000, Kept()
    before = counted(metrics.CAPTURE_PACKETS, source="tap")
    program = tmp_path / "flood.py"
    program.write_text(
        "import socket\n"
        "socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(50)]\n"
        f"for number in range({count}):\n"
        "    socks[number % 50].sendto(bytes(64), ('127.9.0.1', 20_000 + number // 50 % 4_000))\n"
    )

    async def run() -> None:
        import sys

        async with running(packets(dissect=False, max_flows=1_000, receive_buffer=200_000), sink):
            process = await asyncio.create_subprocess_exec(sys.executable, str(program))
            assert await asyncio.wait_for(process.wait(), 60) == 0
            await asyncio.sleep(0.3)

    rose = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    asyncio.run(run())
    rose = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - rose
    flows = [event for event in map(decode, sink.texts()) if event.get("destination.ip") == "127.9.0.1"]
    seen = sum(event["network.packets"] for event in flows)
    lost = sum(lost for _, why, lost in sink.drops if why == "kernel")
    assert 0 < seen <= count
    assert lost > 0, "a buffer of 200 kB holds no such flood"
    assert seen + lost >= count
    assert counted(metrics.CAPTURE_PACKETS, source="tap") - before >= seen
    assert sum(told for _, _, told, _ in sink.shares) == lost
    assert rose < 400 << 10, "kilobytes, most of them what this test keeps"


def test_wrong_options_are_told() -> None:
    with pytest.raises(ConfigError, match=r"collectors\.tap: both 'paths' and 'interface'"):
        asyncio.run(packets(paths=["a.pcap"]).run("tap", Kept()))
    with pytest.raises(ConfigError, match=r"collectors\.tap: interface: there is no 'eth99' here, but .*lo"):
        asyncio.run(packets(interface="eth99").run("tap", Kept()))
    with pytest.raises(ConfigError, match=r"collectors\.tap: receive_buffer: 0 is no number of bytes"):
        asyncio.run(packets(receive_buffer=0).run("tap", Kept()))


def test_without_the_right_the_error_says_what_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("collectors.live.socket.socket", refuse)
    with pytest.raises(ConfigError, match=r"collectors\.tap: interface: needs the right CAP_NET_RAW"):
        interface("lo", 1 << 20, "collectors.tap")

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import pytest
from captures import ACK, PUSH, START, SYN, client_hello, dns, ethernet, ip, pcap, pcapng, tcp, udp, visit, write
from sinks import Kept, until

from almena import ecs
from almena.clock import Span
from almena.errors import ConfigError, ParseError
from almena.event import Event, decode, encode
from collectors.base import Context
from collectors.packets import Capture, Packets, events_of
from collectors.parsers import PARSERS


def of(path: Path, dataset: str) -> list[dict[str, object]]:
    return [event for event in events_of(path) if event["event.dataset"] == f"network.{dataset}"]


def test_a_visit_is_seen_from_every_side(tmp_path: Path) -> None:
    path = write(tmp_path / "visit.pcap", pcap(visit()))
    query, answer = of(path, "dns")
    assert (query["dns.question.name"], query["dns.question.type"], query["dns.type"]) == (
        "portal.example",
        "A",
        "query",
    )
    assert query["source.ip"] == answer["source.ip"] == "10.1.0.5"
    assert answer["dns.response_code"] == "NOERROR"
    assert answer["dns.resolved_ip"] == ["192.0.2.80"]
    assert (answer["dns.answers.type"], answer["dns.answers.data"]) == (["A"], ["192.0.2.80"])
    (request,) = of(path, "http")
    assert (request["http.request.method"], request["url.path"], request["url.query"]) == (
        "GET",
        "/tramites",
        "folio=8",
    )
    assert (request["url.domain"], request["user_agent.original"]) == ("portal.example", "curl/8.0")
    (hello,) = of(path, "tls")
    assert (hello["tls.client.server_name"], hello["tls.version"]) == ("portal.example", "1.3")
    flows = {(flow["network.transport"], flow["destination.port"]): flow for flow in of(path, "flow")}
    assert set(flows) == {("udp", 53), ("tcp", 80), ("tcp", 443)}
    assert flows["tcp", 80]["network.packets"] == 5
    assert flows["tcp", 80]["network.community_id"] == request["network.community_id"]


def test_both_formats_tell_the_same(tmp_path: Path) -> None:
    classic = write(tmp_path / "a.pcap", pcap(visit(), order=">", nano=True))
    newer = write(tmp_path / "a.pcapng", pcapng(visit(), resolution=9))
    assert list(events_of(classic)) == list(events_of(newer))


def test_every_event_fits_the_schema_and_the_parser(tmp_path: Path) -> None:
    for event in events_of(write(tmp_path / "visit.pcap", pcap(visit()))):
        assert "almena.misfit" not in ecs.check(event)
        parsed = PARSERS["ecs"](encode(event), Context(received=START))
        assert parsed == event


def test_dns_over_tcp(tmp_path: Path) -> None:
    query = dns("tcp.example")
    packet = tcp("10.0.0.1", 4000, "10.0.0.2", 53, ACK | PUSH, len(query).to_bytes(2, "big") + query)
    (event,) = of(write(tmp_path / "a.pcap", pcap([(START, ethernet(packet))])), "dns")
    assert event["dns.question.name"] == "tcp.example"
    assert event["network.transport"] == "tcp"


def test_ipv6(tmp_path: Path) -> None:
    packet = udp("10.0.0.1", 1, "10.0.0.2", 53, dns("six.example"))[20:]
    frame = ethernet(ip("2001:db8::1", "2001:db8::2", 17, packet))
    (event,) = of(write(tmp_path / "a.pcap", pcap([(START, frame)])), "dns")
    assert (event["source.ip"], event["network.type"]) == ("2001:db8::1", "ipv6")


def test_without_dissecting_only_flows_are_told(tmp_path: Path) -> None:
    path = write(tmp_path / "visit.pcap", pcap(visit()))
    kinds = {found.kind for found in Capture(path, dissect=False).events()}
    assert kinds == {"f"}


def test_damage_costs_nothing_that_came_before(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pcap", pcap(visit()) + b"\xff" * 16)
    found: list[Event] = []
    with pytest.raises(ParseError, match="a packet of 4294967295 bytes"):
        found.extend(events_of(path))
    assert len(found) == 7


def test_a_link_type_nobody_knows_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pcap", pcap([(START, b"x" * 60)], link=147))
    with pytest.raises(ParseError, match="link type 147 is not known"):
        list(events_of(path))


def test_a_clientless_hello_still_has_a_version(tmp_path: Path) -> None:
    frame = ethernet(tcp("10.0.0.1", 4000, "10.0.0.2", 443, ACK | PUSH, client_hello(None)))
    (event,) = of(write(tmp_path / "a.pcap", pcap([(START, frame)])), "tls")
    assert "tls.client.server_name" not in event
    assert event["tls.version"] == "1.3"


def collector(folder: Path, **options: object) -> Packets:
    defaults = {
        "paths": [str(folder / "*.pcap")],
        "checkpoint": str(folder / "memory.json"),
        "settle": Span(0),
        "poll": Span(10_000),
    }
    return Packets(agency="ssp", **{**defaults, **options})  # type: ignore[arg-type]


def run(packets: Packets, sink: Kept, count: int = 0) -> None:
    """Run until so many records have come, and a little longer."""

    async def go() -> None:
        task = asyncio.ensure_future(packets.run("tap", sink))
        await until(lambda: len(sink.records) >= count or task.done(), seconds=20)
        await asyncio.sleep(0.2)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(go())


def test_captures_are_read_once_and_again_under_the_same_numbers(tmp_path: Path) -> None:
    write(tmp_path / "a.pcap", pcap(visit()))
    sink = Kept()
    run(collector(tmp_path), sink, count=7)
    first = [(record.lane, record.seq, record.data) for record in sink.records]
    assert len(first) == len({(lane, seq) for lane, seq, _ in first}) == 7
    for lane in {lane for lane, _, _ in first}:
        sequence = [seq for other, seq, _ in first if other == lane]
        assert sequence == sorted(sequence)
    run(collector(tmp_path), sink)
    assert len(sink.records) == 7
    (tmp_path / "memory.json").unlink()  # killed before it could remember
    (tmp_path / "a.pcap").rename(tmp_path / "b.pcap")
    run(collector(tmp_path), sink, count=14)
    assert [(record.lane, record.seq, record.data) for record in sink.records[7:]] == first
    assert decode(sink.records[0].data)["event.dataset"].startswith("network.")
    assert sink.records[0].origin == str(tmp_path / "a.pcap")


def test_a_capture_that_still_grows_is_waited_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pcap", pcap(visit()))
    sink = Kept()
    run(collector(tmp_path, settle=Span(3_600_000_000)), sink)
    assert sink.records == []
    os.utime(path, (1, 1))
    run(collector(tmp_path, settle=Span(3_600_000_000)), sink, count=7)
    assert len(sink.records) == 7


def test_a_damaged_capture_is_counted_and_does_not_stop_the_next(tmp_path: Path) -> None:
    os.utime(write(tmp_path / "a.pcap", b"no capture"), (1, 1))
    write(tmp_path / "b.pcap", pcap(visit()))
    write(tmp_path / "c.pcap", pcap([(START, ethernet(tcp("10.0.0.1", 1, "10.0.0.2", 2, SYN)))]) + b"\xff" * 16)
    sink = Kept()
    run(collector(tmp_path), sink, count=8)
    assert len(sink.records) == 8
    assert [drop for drop in sink.drops if drop[2]] == [("tap", "damaged", 1)] * 2


def test_no_paths_are_told() -> None:
    with pytest.raises(ConfigError, match=r"collectors\.tap: paths: names no file"):
        asyncio.run(Packets(agency="ssp", paths=[]).run("tap", Kept()))

"""RELP: nothing is acknowledged before it is durable, and a real rsyslog loses nothing when we restart."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rsyslogs import needed, rsyslog
from sinks import Kept, counted, until

from almena import metrics
from almena.clock import Span
from almena.errors import ConfigError
from collectors.relp import Relp

OPEN = b"1 open 51 relp_version=0\nrelp_software=test,1\ncommands=syslog\n"


def relp(**options: object) -> Relp:
    return Relp(agency="finanzas", **{"listen": "127.0.0.1:0", **options})  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def running(collector: Relp, sink: Kept) -> AsyncIterator[tuple[str, int]]:
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


async def said(place: tuple[str, int], *pieces: bytes, pause: float = 0.0) -> bytes:
    """What is answered to these pieces until the server closes, or says nothing for a moment."""
    reader, writer = await asyncio.open_connection(*place)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pause)
    answer = b""
    with contextlib.suppress(TimeoutError, ConnectionError):
        while data := await asyncio.wait_for(reader.read(65_536), 0.3):
            answer += data
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return answer


def once(*pieces: bytes, sink: Kept | None = None, pause: float = 0.0, **options: object) -> tuple[bytes, Kept]:
    """One connection to a collector of its own: what was answered, and the sink."""
    sink = Kept() if sink is None else sink

    async def run() -> bytes:
        async with running(relp(**options), sink) as place:
            return await said(place, *pieces, pause=pause)

    return asyncio.run(run()), sink


def message(number: int, text: bytes) -> bytes:
    return b"%d syslog %d %s\n" % (number, len(text), text)


def test_a_session_from_its_open_to_its_close() -> None:
    answer, sink = once(OPEN + message(2, b"<13>one") + message(3, b"<13>two\n") + b"4 close 0\n")
    opened, _, rest = answer.partition(b"\n2 ")
    assert opened.startswith(b"1 rsp ")
    assert b"200 OK\nrelp_version=0\nrelp_software=almena," in opened
    assert opened.endswith(b"\ncommands=syslog")
    assert b"2 " + rest == b"2 rsp 6 200 OK\n3 rsp 6 200 OK\n4 rsp 0\n0 serverclose 0\n"
    assert sink.texts() == [b"<13>one", b"<13>two"]
    assert [record.seq for record in sink.records] == [0, 1]
    assert sink.records[0].origin.startswith("127.0.0.1:")
    assert sink.records[0].lane == sink.records[1].lane


def test_frames_in_pieces_are_one_session() -> None:
    stream = OPEN + message(2, b"<13>one\ntwo") + b"3 close 0\n"
    answer, sink = once(*(stream[place : place + 7] for place in range(0, len(stream), 7)), pause=0.001)
    assert answer.endswith(b"2 rsp 6 200 OK\n3 rsp 0\n0 serverclose 0\n")
    assert sink.texts() == [b"<13>one\ntwo"]


def test_a_window_full_of_messages_is_one_append_and_answered_in_order() -> None:
    answer, sink = once(OPEN + b"".join(message(number, b"<13>%d" % number) for number in range(2, 502)))
    assert answer.partition(b"\n2 rsp")[2].count(b"200 OK") == 500
    numbers = [int(line.split()[0]) for line in answer.splitlines() if b" rsp 6 " in line]
    assert numbers == list(range(2, 502))
    assert len(sink.batches) <= 2


def test_what_does_not_become_durable_is_never_acknowledged() -> None:
    """A stop while the append waits: the client hears nothing of its message, and will send it again."""

    class Stuck(Kept):
        async def append(self, source: object, records: object) -> int:
            await asyncio.Event().wait()
            return 0

    answer, _ = once(OPEN + message(2, b"<13>one"), sink=Stuck())
    assert answer.startswith(b"1 rsp ")
    assert b"2 rsp" not in answer


def test_an_append_under_way_at_a_stop_is_still_answered() -> None:
    sink = Kept(delay=0.1)

    async def run() -> bytes:
        async with running(relp(), sink) as place:
            sending = asyncio.ensure_future(said(place, OPEN + message(2, b"<13>one")))
            await until(lambda: sink.records)
        return await sending

    assert asyncio.run(run()).endswith(b"2 rsp 6 200 OK\n0 serverclose 0\n")


def test_a_long_message_is_cut_flagged_and_acknowledged() -> None:
    answer, sink = once(OPEN + message(2, b"<13>" + b"x" * 5_000_000) + message(3, b"<13>next"), max_line=1_000)
    assert answer.endswith(b"2 rsp 6 200 OK\n3 rsp 6 200 OK\n")
    assert [(len(record.data), record.truncated) for record in sink.records] == [(1_000, True), (8, False)]


def test_a_message_of_nothing_is_acknowledged_and_counted() -> None:
    answer, sink = once(OPEN + b"2 syslog 0\n" + message(3, b"\0\n"))
    assert answer.endswith(b"2 rsp 6 200 OK\n3 rsp 6 200 OK\n")
    assert not sink.records
    assert sink.drops == [("edge", "empty", 2)]


@pytest.mark.parametrize(
    ("stream", "answered"),
    [
        (message(1, b"<13>no session"), b"1 rsp 53 500 "),
        (b"1 close 0\n", b"1 rsp 53 500 "),
        (b"1 open 15 commands=starttl\n", b""),
        (b"1 open 17 commands=starttls\n", b"1 rsp 53 500 "),
        (b"1 open 0\n", b"1 rsp 53 500 "),
        (b"GET / HTTP/1.1\r\nHost: example\r\n\r\n", b""),
        (b"<13>a plain line\n", b""),
        (b"\x16\x03\x01\x00\xa5\x01\x00\x00", b""),
    ],
)
def test_what_is_no_session_is_refused_and_counted(stream: bytes, answered: bytes) -> None:
    before = counted(metrics.CONNECTIONS_REFUSED, source="edge")
    answer, sink = once(stream + message(2, b"<13>never"))
    assert answer.startswith(answered)
    assert bool(answer) == bool(answered)
    assert not sink.records
    assert counted(metrics.CONNECTIONS_REFUSED, source="edge") == before + 1


def test_a_second_open_and_unknown_commands() -> None:
    answer, sink = once(OPEN + b"2 starttls 0\n" + message(3, b"<13>on") + OPEN + message(5, b"<13>off"))
    assert b"2 rsp 19 500 unknown command\n3 rsp 6 200 OK\n1 rsp 53 500 " in answer
    assert sink.texts() == [b"<13>on"]


def test_what_came_before_nonsense_is_stored_and_acknowledged() -> None:
    answer, sink = once(OPEN + message(2, b"<13>good") + b"3 syslog 2 <13>lie\n" + message(4, b"<13>never"))
    assert answer.endswith(b"2 rsp 6 200 OK\n0 serverclose 0\n")
    assert sink.texts() == [b"<13>good"]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=30), st.just(message(9, b"<13>x")), st.just(OPEN)), max_size=6))
def test_any_bytes_are_survived(pieces: list[bytes]) -> None:
    sink = Kept()

    async def run() -> None:
        async with running(relp(idle_timeout=Span(50_000)), sink) as place:
            reader, writer = await asyncio.open_connection(*place)
            writer.writelines(pieces)
            writer.write_eof()
            with contextlib.suppress(ConnectionError):
                answer = await asyncio.wait_for(reader.read(), 5)
                assert answer.count(b"200 OK") <= len(sink.records) + 1
            writer.close()
            assert (await said(place, OPEN + message(2, b"<13>next"))).endswith(b"2 rsp 6 200 OK\n0 serverclose 0\n")

    asyncio.run(run())
    assert b"<13>next" in sink.texts()


def test_a_silent_client_is_told_and_closed() -> None:
    answer, _ = once(OPEN, idle_timeout=Span(100_000))
    assert answer.endswith(b"\n0 serverclose 0\n")


def test_limits_that_let_nothing_in_are_told() -> None:
    with pytest.raises(ConfigError, match=r"collectors\.edge: max_connections: 0 lets nothing in"):
        asyncio.run(relp(max_connections=0).run("edge", Kept()))


# A real rsyslog


def texts(sinks: list[Kept]) -> list[str]:
    return [data.decode().rpartition(" ")[2] for sink in sinks for data in sink.texts()]


def action(port: int, more: str = "") -> str:
    return f'type="omrelp" target="127.0.0.1" port="{port}" template="RSYSLOG_SyslogProtocol23Format" {more}'


def test_rsyslog_loses_nothing_when_the_collector_is_restarted_in_the_middle(tmp_path: Path) -> None:
    needed("omrelp", "imfile")
    sinks = [Kept(delay=0.02), Kept(delay=0.02), Kept()]
    lines = [f"linea-{number}" for number in range(30_000)]

    async def run() -> None:
        collector = relp()
        async with running(collector, sinks[0]) as (_, port):
            pass
        async with rsyslog(tmp_path / "rsyslog", action(port), modules=["omrelp"]) as sender:
            for number, sink in enumerate(sinks):
                sender.write(lines[number * 10_000 : (number + 1) * 10_000])
                async with running(relp(listen=f"127.0.0.1:{port}"), sink):
                    enough = 10 if number < 2 else 1  # stopped in the middle of things, but for the last
                    await until(lambda sink=sink, enough=enough: len(sink.batches) >= enough, seconds=20)  # type: ignore[misc]
                    if number == 2:
                        await until(lambda: set(texts(sinks)) >= set(lines), seconds=30)

    asyncio.run(run())
    assert set(texts(sinks)) == set(lines)
    assert len(texts(sinks)) < 1.1 * len(lines), "what was acknowledged does not come again"
    assert all(sink.batches for sink in sinks)

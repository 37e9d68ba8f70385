from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from sinks import Kept, until

from almena.clock import Span
from almena.errors import ConfigError
from collectors.syslog import Syslog


@contextlib.asynccontextmanager
async def running(collector: Syslog, sink: Kept) -> AsyncIterator[tuple[str, int]]:
    """The collector at work; its address. On leaving it is cancelled, as a stop would."""
    task = asyncio.ensure_future(collector.run("edge", sink))
    try:
        await until(lambda: collector.address or task.done(), seconds=5)
        if task.done():
            await task
        host, _, port = collector.address.rpartition(":")
        yield host.strip("[]"), int(port)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def syslog(**options: object) -> Syslog:
    return Syslog(agency="finanzas", **{"listen": "127.0.0.1:0", **options})  # type: ignore[arg-type]


async def send(place: tuple[str, int], *pieces: bytes, pause: float = 0.0) -> None:
    _, writer = await asyncio.open_connection(*place)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pause)
    writer.close()
    await writer.wait_closed()


def test_datagrams_become_records_with_lanes_and_senders() -> None:
    sink = Kept()

    async def run() -> None:
        async with running(syslog(), sink) as place:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                for message in (b"<13>one\n", b"<13>two\r\n\0", b"", b"<13>\xff\0three"):
                    sock.sendto(message, place)
                await until(lambda: len(sink.records) == 3)
                me = sock.getsockname()[1]
            assert {record.origin for record in sink.records} == {f"127.0.0.1:{me}"}

    asyncio.run(run())
    assert sink.texts() == [b"<13>one", b"<13>two", b"<13>\xff\0three"]
    assert [record.seq for record in sink.records] == [0, 1, 2]
    assert len({record.lane for record in sink.records}) == 1
    assert [drop for drop in sink.drops if drop[2]] == [("edge", "empty", 1)]


def test_a_datagram_over_the_limit_is_cut_and_flagged() -> None:
    sink = Kept()

    async def run() -> None:
        async with running(syslog(max_line=10), sink) as place:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.sendto(b"<13>0123456789", place)
                sock.sendto(b"<13>012345", place)
                await until(lambda: len(sink.records) == 2)

    asyncio.run(run())
    assert [(record.data, record.truncated) for record in sink.records] == [
        (b"<13>012345", True),
        (b"<13>012345", False),
    ]


def test_datagrams_over_ipv6() -> None:
    sink = Kept()

    async def run() -> None:
        async with running(syslog(listen="[::1]:0"), sink) as place:
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
                sock.sendto(b"<13>six", place)
                await until(lambda: sink.records)

    asyncio.run(run())
    assert sink.records[0].origin.startswith("[::1]:")


def test_what_the_kernel_throws_away_is_counted_to_the_datagram() -> None:
    """Sent is received plus counted drops, also for a flood that nobody could take."""
    sink = Kept(delay=0.02)
    sent = 4_000

    async def run() -> None:
        async with running(syslog(receive_buffer=32_768), sink) as place:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                for number in range(sent):  # in one go: the collector gets no turn
                    sock.sendto(b"<13>%06d" % number, place)
            await asyncio.sleep(0.2)

    asyncio.run(run())
    lost = sum(count for _, reason, count in sink.drops if reason == "kernel")
    assert lost > 0
    assert len(sink.records) + lost == sent
    assert len(set(sink.texts())) == len(sink.records)


def test_datagrams_that_had_arrived_are_handed_on_at_a_stop() -> None:
    sink = Kept(delay=0.05)

    async def run() -> None:
        async with running(syslog(), sink) as place:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                for number in range(300):
                    sock.sendto(b"<13>%d" % number, place)

    asyncio.run(run())
    assert len(sink.records) == 300


def test_when_nobody_takes_records_what_waits_is_bounded_and_the_rest_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("collectors.datagrams._LEAST_BACKLOG", 1)
    sink = Kept(delay=0.4)

    async def run() -> None:
        async with running(syslog(receive_buffer=100_000, backlog=1_000_000), sink) as place:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                for _ in range(1_000):
                    for _ in range(20):
                        sock.sendto(b"<13>" + b"x" * 4_000, place)
                    await asyncio.sleep(0)

    asyncio.run(run())
    lost = Counter[str]()
    for _, reason, count in sink.drops:
        lost[reason] += count
    assert len(sink.records) + lost.total() == 20_000
    assert lost["quota"] > 10_000
    assert max(len(batch) for _, batch in sink.batches) < 300
    assert max(share for _, share, _, _ in sink.shares) == 1.0
    assert sum(count for _, _, count, _ in sink.shares) == lost["quota"]


def test_a_noisy_sender_never_costs_another_one_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten quiet senders beside one that sends a hundred times as much as there is room for."""
    monkeypatch.setattr("collectors.datagrams._LEAST_BACKLOG", 1)
    sink = Kept(delay=0.3)
    quiet = 0

    async def run() -> None:
        nonlocal quiet
        async with running(syslog(backlog=500_000), sink) as place:
            with contextlib.ExitStack() as stack:
                noisy, *others = (
                    stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(11)
                )
                for number, sock in enumerate(others, 1):
                    sock.bind((f"127.0.1.{number}", 0))
                for turn in range(300):
                    for _ in range(100):
                        noisy.sendto(b"<13>" + b"x" * 100, place)
                    others[turn % 10].sendto(b"<13>quiet %d" % turn, place)
                    quiet += 1
                    await asyncio.sleep(0)

    asyncio.run(run())
    lost = {reason: count for _, reason, count in sink.drops}
    assert "kernel" not in lost
    assert sum(count for _, reason, count in sink.drops if reason == "quota") > 20_000
    assert sum(b"quiet" in data for data in sink.texts()) == quiet
    assert {sender for _, _, lost, sender in sink.shares if lost} == {"127.0.0.1"}


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_an_address_in_use_is_told(transport: str) -> None:
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM

    async def run() -> None:
        with socket.socket(socket.AF_INET, kind) as other:
            other.bind(("127.0.0.1", 0))
            if transport == "tcp":
                other.listen()
            listen = f"127.0.0.1:{other.getsockname()[1]}"
            async with running(syslog(listen=listen, transport=transport), Kept()):
                pass

    with pytest.raises(
        ConfigError, match=r"collectors\.edge: cannot listen on 127\.0\.0\.1:\d+: Address already in use"
    ):
        asyncio.run(run())


@pytest.mark.parametrize("listen", ["5514", ":5514", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000", "127.0.0.1:-1"])
def test_an_address_that_is_none_is_told(listen: str) -> None:
    with pytest.raises(ConfigError, match=r"collectors\.edge: listen: .* is no address"):
        asyncio.run(syslog(listen=listen).run("edge", Kept()))


def test_streams_in_both_framings() -> None:
    sink = Kept()

    async def run() -> None:
        async with running(syslog(transport="tcp"), sink) as place:
            await send(place, b"<13>one\n11 <13>two\ntwo<13>thr", b"ee\n", b"<13>without end", pause=0.02)
            await until(lambda: len(sink.records) == 4)

    asyncio.run(run())
    assert sink.texts() == [b"<13>one", b"<13>two\ntwo", b"<13>three", b"<13>without end"]
    assert [record.seq for record in sink.records] == [0, 1, 2, 3]
    assert sink.records[0].origin.startswith("127.0.0.1:")


def test_lanes_are_taken_again_and_their_numbers_go_on() -> None:
    """Connections that come and go do not make lanes without end, and no lane counts twice."""
    sink = Kept()

    async def run() -> None:
        async with running(syslog(transport="tcp"), sink) as place:
            for number in range(20):
                await send(place, b"<13>%d\n" % number)
                await until(lambda number=number: len(sink.records) == number + 1)  # type: ignore[misc]
                await asyncio.sleep(0.01)
            async with asyncio.TaskGroup() as group:
                for _ in range(5):
                    group.create_task(send(place, b"<13>a\n", b"<13>b\n", pause=0.1))
            await until(lambda: len(sink.records) == 30)

    asyncio.run(run())
    assert len({record.lane for record in sink.records}) <= 6
    assert len({(record.lane, record.seq) for record in sink.records}) == 30
    for lane in {record.lane for record in sink.records}:
        sequence = [record.seq for record in sink.records if record.lane == lane]
        assert sequence == list(range(len(sequence)))


def test_two_runs_never_share_a_lane() -> None:
    lanes = set()
    for _ in range(2):
        sink = Kept()

        async def run(sink: Kept = sink) -> None:
            async with running(syslog(transport="tcp"), sink) as place:
                await send(place, b"<13>x\n")
                await until(lambda: sink.records)

        asyncio.run(run())
        lanes.add(sink.records[0].lane)
    assert len(lanes) == 2


def test_ten_megabytes_in_a_line_and_nul_bytes_cost_nobody_else() -> None:
    sink = Kept()

    async def run() -> None:
        async with running(syslog(transport="tcp"), sink) as place, asyncio.TaskGroup() as group:
            group.create_task(send(place, b"<13>" + b"x" * 10_000_000 + b"\n<13>after\n"))
            group.create_task(send(place, b"<13>with \0 inside\n"))
            group.create_task(send(place, b"\0" * 5_000_000 + b"\n<13>after nul\n"))
            await until(lambda: len(sink.records) == 4)

    asyncio.run(run())
    short = sorted(record.data for record in sink.records if len(record.data) < 100)
    assert short == [b"<13>after", b"<13>after nul", b"<13>with \0 inside"]
    (cut,) = [record for record in sink.records if len(record.data) == 1 << 20]
    assert cut.truncated


def test_counts_that_lie_do_not_hang_or_grow() -> None:
    sink = Kept()

    async def run() -> None:
        async with running(syslog(transport="tcp", max_line=1_000), sink) as place:
            await send(place, b"999999999 <13>huge\n<13>next\n")
            await send(place, b"4 <13>small\n<13>next\n")
            await send(place, b"500 <13>never whole")
            await send(place, b"16000 <13>" + b"y" * 20_000 + b"\n<13>next\n")
            await until(lambda: len(sink.records) >= 7)

    asyncio.run(run())
    assert sink.texts().count(b"<13>next") == 3
    assert [record.data for record in sink.records if record.truncated and len(record.data) < 900] == [
        b"<13>never whole"
    ]
    assert max(len(data) for data in sink.texts()) == 1_000


def test_a_slow_sender_holds_nobody_up_and_is_closed_when_silent() -> None:
    sink = Kept()

    async def run() -> None:
        async with running(syslog(transport="tcp", idle_timeout=Span(2_000_000)), sink) as place:
            reader, writer = await asyncio.open_connection(*place)
            for byte in b"<13>slow":
                writer.write(bytes([byte]))
                await asyncio.sleep(0.02)
            await send(place, b"<13>fast\n")
            await until(lambda: b"<13>fast" in sink.texts())
            assert b"<13>slow" not in sink.texts()
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), 20) == b""
            await until(lambda: b"<13>slow" in sink.texts())
            writer.close()

    asyncio.run(run())


def test_one_sender_cannot_take_every_connection() -> None:
    sink = Kept()

    async def run() -> None:
        options = {"max_connections": 6, "max_connections_per_host": 4}
        async with running(syslog(transport="tcp", **options), sink) as place:
            greedy = [await asyncio.open_connection(*place) for _ in range(10)]
            await asyncio.sleep(0.1)
            _, other = await asyncio.open_connection(*place, local_addr=("127.0.0.2", 0))
            other.write(b"<13>from elsewhere\n")
            await until(lambda: sink.records)
            closed = 0
            for reader, _ in greedy:
                with contextlib.suppress(TimeoutError, ConnectionError):
                    closed += await asyncio.wait_for(reader.read(), 0.05) == b""
            for _, writer in [*greedy, (None, other)]:
                writer.close()
            await asyncio.sleep(0.1)
            await send(place, b"<13>room again\n")
            await until(lambda: len(sink.records) == 2)

    asyncio.run(run())
    assert sink.records[0].origin.startswith("127.0.0.2:")


def test_what_had_arrived_is_handed_on_at_a_stop() -> None:
    """A stop in the middle of a stream loses nothing that had arrived."""
    sink = Kept(delay=0.02)

    async def run() -> None:
        async with running(syslog(transport="tcp"), sink) as place:
            _, writer = await asyncio.open_connection(*place)
            for number in range(5_000):
                writer.write(b"<13>%d\n" % number)
            await writer.drain()
            await until(lambda: sink.records)
        writer.close()

    asyncio.run(run())
    assert sink.texts() == [b"<13>%d" % number for number in range(5_000)]


def test_a_batch_is_appended_before_the_next_is_read() -> None:
    """Whatever a kill may cost of a connection, it is one unappended batch."""
    sink = Kept(delay=0.05)

    async def run() -> None:
        async with running(syslog(transport="tcp"), sink) as place:
            await send(place, *[b"<13>%d\n" % number * 1_000 for number in range(50)])
            await until(lambda: len(sink.records) == 50_000)

    asyncio.run(run())
    lane = sink.records[0].lane
    assert [record.seq for record in sink.records] == list(range(50_000))
    assert {record.lane for record in sink.records} == {lane}

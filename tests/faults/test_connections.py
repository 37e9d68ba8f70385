"""Ten thousand connections that say nothing: those who speak are heard, and what was taken is given back."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from authorities import Authority
from sinks import Kept, until

from collectors.relp import Relp
from collectors.syslog import Syslog

MANY = 10_000

IDLERS = """
import socket, sys, time
host, port, count, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
held = []
for number in range(count):
    sock = socket.socket()
    sock.bind((f"127.0.{1 + number % 4}.1", 0))
    sock.connect((host, port))
    sock.setblocking(False)
    if number % 3 == 0:
        sock.send(b"1")
    held.append(sock)
print("ready", flush=True)
sys.stdin.readline()
"""


@contextlib.asynccontextmanager
async def idlers(place: tuple[str, int], count: int) -> AsyncIterator[None]:
    """So many connections from four addresses, held by another process; a third of them began to speak."""
    given = [sys.executable, "-c", IDLERS, place[0], str(place[1]), str(count), "60"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*given, stdin=pipe, stdout=pipe)
    assert process.stdin
    assert process.stdout
    try:
        assert await asyncio.wait_for(process.stdout.readline(), 120) == b"ready\n"
        yield
    finally:
        process.stdin.close()
        await process.wait()


@contextlib.asynccontextmanager
async def running(collector: Syslog | Relp, sink: Kept) -> AsyncIterator[tuple[str, int]]:
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


def memory() -> int:
    """Bytes that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def made(kind: str, folder: Path, limit: int) -> Syslog | Relp:
    common = {"agency": "a", "listen": "127.0.0.1:0", "max_connections": limit, "max_connections_per_host": limit}
    if kind == "relp":
        return Relp(**common)  # type: ignore[arg-type]
    if kind == "tcp":
        return Syslog(transport="tcp", **common)  # type: ignore[arg-type]
    server = Authority(folder).server()
    return Syslog(transport="tls", certificate=str(server.certificate), key=str(server.key), **common)  # type: ignore[arg-type]


async def speak(kind: str, place: tuple[str, int], folder: Path) -> None:
    """A sender as they should be, which connects, speaks and goes."""
    context = None
    if kind == "tls":
        import ssl

        context = ssl.create_default_context(cafile=str(folder / "authority.pem"))
    reader, writer = await asyncio.open_connection(*place, ssl=context, local_addr=("127.0.9.9", 0))
    writer.write(b"1 open 15 commands=syslog\n2 syslog 8 <13>here\n" if kind == "relp" else b"<13>here\n")
    await writer.drain()
    if kind == "relp":
        await asyncio.wait_for(reader.readuntil(b"2 rsp 6 200 OK\n"), 10)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@pytest.mark.parametrize("room", ["for few", "for all"])
@pytest.mark.parametrize("kind", ["tcp", "tls", "relp"])
@pytest.mark.parametrize("count", [300, pytest.param(MANY, marks=pytest.mark.faults)])
@pytest.mark.timeout(300)
def test_idle_connections_keep_nobody_out_and_cost_little(count: int, kind: str, room: str, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 500:
        pytest.skip(f"the system allows {hard} descriptors, {count + 500} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 500), hard))
    sink = Kept()
    before: dict[str, int] = {}

    async def run() -> None:
        collector = made(kind, tmp_path, count + 100 if room == "for all" else 100)
        async with running(collector, sink) as place:
            before.update(memory=memory(), descriptors=descriptors())
            async with idlers(place, count):
                for number in range(5):
                    await asyncio.wait_for(speak(kind, place, tmp_path), 20)
                    await until(lambda number=number: len(sink.records) > number)  # type: ignore[misc]
                held = descriptors() - before["descriptors"]
                grown = memory() - before["memory"]
            await until(lambda: descriptors() <= before["descriptors"] + 10, seconds=30)
            before.update(held=held, grown=grown)

    asyncio.run(run())
    gc.collect()
    assert [data for data in sink.texts() if data == b"<13>here"] == [b"<13>here"] * 5
    assert before["held"] <= (120 if room == "for few" else count + 120)
    if room == "for all" and kind != "tls":  # where a handshake does not come, a connection is given up
        assert before["held"] >= count
    each = 100_000 if kind == "tls" else 15_000
    assert before["grown"] < 20_000_000 + each * (100 if room == "for few" else count)

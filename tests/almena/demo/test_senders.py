"""The senders against real sockets, a real file and a real web server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from almena.demo.senders import Http, Log, Tcp, Udp
from collectors.framing import Framer

RECORDS = [b"<13>uno", "<13>dos: ñ".encode(), b"<13>tres 3 tres"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_udp_sends_one_datagram_per_record_and_keeps_its_pace() -> None:
    async def scene() -> tuple[list[bytes], float]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind(("127.0.0.1", 0))
            sender = Udp("127.0.0.1", receiver.getsockname()[1], per_second=100)
            began = asyncio.get_running_loop().time()
            await sender.send(RECORDS * 5)
            took = asyncio.get_running_loop().time() - began
            await sender.close()
            receiver.settimeout(5)
            return [receiver.recv(9000) for _ in range(15)], took

    received, took = asyncio.run(scene())
    assert received == RECORDS * 5
    assert took >= 0.14


def test_udp_does_not_mind_that_nobody_listens() -> None:
    async def scene() -> None:
        sender = Udp("127.0.0.1", free_port())
        await sender.send(RECORDS)
        await sender.send(RECORDS)
        await sender.close()

    asyncio.run(scene())


def test_tcp_counts_octets_and_waits_until_all_was_read() -> None:
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        framer = Framer(1 << 20)
        while data := await reader.read(7):
            received.extend(frame.data for frame in framer.feed(data))
        writer.close()

    async def scene() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        sender = Tcp("127.0.0.1", server.sockets[0].getsockname()[1])
        await sender.send(RECORDS)
        await sender.send(RECORDS)
        await sender.close()
        server.close()

    asyncio.run(scene())
    assert received == RECORDS * 2


def test_tcp_waits_for_a_receiver_that_is_not_there_yet() -> None:
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read())
        writer.close()

    async def scene() -> None:
        port = free_port()
        sender = Tcp("127.0.0.1", port)
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(sender.send([b"<13>hola"]))
            await asyncio.sleep(0.3)
            assert not sending.done()
            server = await asyncio.start_server(serve, "127.0.0.1", port)
        await sender.close()
        server.close()

    asyncio.run(scene())
    assert received == [b"8 <13>hola"]


def test_a_log_is_rotated_by_renaming_and_loses_no_line(tmp_path: Path) -> None:
    path = tmp_path / "var" / "access.log"

    async def scene() -> None:
        log = Log(path, rotate=4, times=1)
        for number in range(10):
            await log.send([b"line %d" % number])
        await log.close()

    asyncio.run(scene())
    assert path.with_name("access.log.1").read_bytes().splitlines() == [b"line %d" % number for number in range(4)]
    assert path.read_bytes().splitlines() == [b"line %d" % number for number in range(4, 10)]


@contextlib.asynccontextmanager
async def web(answers: list[int], seen: list[tuple[str, str, bytes]], port: int) -> AsyncIterator[None]:
    async def take(request: Request) -> Response:
        seen.append((request.headers["idempotency-key"], request.headers["authorization"], await request.body()))
        return Response(status_code=answers.pop(0) if answers else 200)

    app = Starlette(routes=[Route("/in", take, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical", lifespan="off"))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        yield
        server.should_exit = True
        await running


def test_http_sends_a_batch_again_under_its_key_until_it_is_taken() -> None:
    seen: list[tuple[str, str, bytes]] = []

    async def scene() -> None:
        port = free_port()
        sender = Http(f"http://127.0.0.1:{port}/in", "secreto", "payments-1")
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(sender.send(RECORDS))
            await asyncio.sleep(0.2)
            async with web([503, 429], seen, port):
                await sending
                await sender.send([b"{}"])
                await sender.close()

    asyncio.run(scene())
    keys = [key for key, _, _ in seen]
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert len(seen) == 4
    assert {token for _, token, _ in seen} == {"Bearer secreto"}
    assert seen[2][2] == b"\n".join(RECORDS) + b"\n"


def test_http_gives_up_when_it_is_refused_for_good() -> None:
    async def scene() -> None:
        port = free_port()
        sender = Http(f"http://127.0.0.1:{port}/in", "wrong", "payments-1")
        async with web([401], [], port):
            with pytest.raises(httpx.HTTPStatusError):
                await sender.send(RECORDS)
            await sender.close()

    asyncio.run(scene())

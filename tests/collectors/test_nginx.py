"""A real nginx: it serves requests, hostile ones too, and tells of them by syslog and in its files."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sinks import Kept, until

from almena.clock import now
from almena.event import Event
from collectors.base import Context
from collectors.parsers import PARSERS
from collectors.syslog import Syslog

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")

_CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log notice;
error_log syslog:server=127.0.0.1:{port},facility=local7,tag=nginx notice;
events {{ worker_connections 64; }}
http {{
    {places}
    access_log {folder}/access.log combined;
    access_log syslog:server=127.0.0.1:{port},facility=local7,tag=nginx,severity=info combined;
    server {{ listen unix:{folder}/web; root {folder}/site; }}
    server {{ listen 127.0.0.1:{web}; server_name pagos.example; root {folder}/site; }}
}}
"""

REQUESTS: dict[bytes, Event] = {
    b"GET /pagos?x=1&y=%27 HTTP/1.1\r\nHost: pagos.example\r\nUser-Agent: curl/8.5\r\n": {
        "url.original": "/pagos?x=1&y=%27",
        "url.path": "/pagos",
        "url.query": "x=1&y=%27",
        "http.request.method": "GET",
        "http.response.status_code": 404,
        "user_agent.original": "curl/8.5",
        "event.outcome": "failure",
    },
    b"GET /index.html HTTP/1.1\r\nHost: pagos.example\r\nAuthorization: Basic YW5hOng=\r\nReferer: http://a/\r\n": {
        "user.name": "ana",
        "http.request.referrer": "http://a/",
        "http.response.status_code": 200,
        "event.outcome": "success",
    },
    # a user and an agent who would forge a second line's fields
    b'GET / HTTP/1.0\r\nAuthorization: Basic YSJdIFsiICJiIFt4Og==\r\nUser-Agent: x" 200 9 "-" "y\\\t\xff\r\n': {
        "user.name": 'a"] [" "b [x',
        "user_agent.original": 'x" 200 9 "-" "y\\\t\\xff',
        "url.original": "/",
    },
    'GET /año?q="a" HTTP/1.0\r\n'.encode(): {"url.original": '/año?q="a"', "url.path": "/año"},
    b"\x16\x03\x01\x02\x00\x01\r\n": {"http.response.status_code": 400, "event.outcome": "failure"},
    b"NADA\r\n": {"http.response.status_code": 400, "url.original": "NADA"},
}


@contextlib.asynccontextmanager
async def nginx(folder: Path, syslog: int) -> AsyncIterator[int]:
    """Run one that tells all to a syslog port; gives the port on which it serves."""
    (folder / "site").mkdir(parents=True)
    (folder / "site/index.html").write_text("hola")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        web: int = free.getsockname()[1]
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    text = _CONFIGURATION.format(folder=folder, port=syslog, web=web, places=places)
    (folder / "nginx.conf").write_text(text)
    assert NGINX
    command = [NGINX, "-e", str(folder / "start.log"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with (folder / "out").open("wb") as out:
        process = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=out)
        try:
            await until(lambda: (folder / "pid").exists() or process.returncode is not None, seconds=10)
            assert process.returncode is None, (folder / "out").read_text()
            yield web
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def ask(port: int, request: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request + b"\r\n")
    await writer.drain()
    writer.write_eof()
    await reader.read()
    writer.close()


async def served(folder: Path) -> Kept:
    """What our collector got of one nginx that was asked each request in turn."""
    sink = Kept()
    collector = Syslog(agency="finanzas", listen="127.0.0.1:0")
    task = asyncio.ensure_future(collector.run("edge", sink))
    try:
        await until(lambda: collector.address or task.done(), seconds=5)
        async with nginx(folder, int(collector.address.rpartition(":")[2])) as port:
            for request in REQUESTS:
                await ask(port, request)
            await until(lambda: len(of_dataset(sink.texts(), "syslog", "nginx.access")) == len(REQUESTS))
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return sink


def of_dataset(records: list[bytes], parser: str, dataset: str) -> list[Event]:
    context = Context(received=now())
    events = [PARSERS[parser](record, context) for record in records]
    return [event for event in events if event["event.dataset"] == dataset]


@pytest.fixture(autouse=True)
def needed() -> None:
    """Skip where nginx is not installed; in CI that is an error."""
    if NGINX is None:
        told = "no nginx here: apt-get install nginx-light"
        pytest.fail(told) if os.environ.get("CI") == "true" else pytest.skip(told)


def test_what_it_served_comes_by_syslog_and_from_its_files(tmp_path: Path) -> None:
    sink = asyncio.run(served(tmp_path / "nginx"))
    lines = (tmp_path / "nginx/access.log").read_bytes().splitlines()
    for records, parser in ((sink.texts(), "syslog"), (lines, "nginx"), (lines, "auto")):
        events = of_dataset(records, parser, "nginx.access")
        assert len(events) == len(REQUESTS)
        for expected, event in zip(REQUESTS.values(), events, strict=True):
            assert expected.items() <= event.items(), (parser, event["event.original"])
            assert (event["source.ip"], event["source.address"]) == ("127.0.0.1", "127.0.0.1")


def test_its_complaints_come_too(tmp_path: Path) -> None:
    sink = asyncio.run(served(tmp_path / "nginx"))
    lines = (tmp_path / "nginx/error.log").read_bytes().splitlines()
    for records, parser in ((sink.texts(), "syslog"), (lines, "nginx")):
        events = of_dataset(records, parser, "nginx.error")
        missing = [event for event in events if event["log.level"] == "error" and "source.ip" in event]
        assert [event["url.path"] for event in missing] == ["/pagos", "/año"]
        assert missing[0]["url.domain"] == "pagos.example"
        assert all(event["source.ip"] == "127.0.0.1" for event in missing)

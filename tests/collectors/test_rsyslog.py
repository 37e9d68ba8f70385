"""Real senders: rsyslog over UDP, TCP in both framings, TLS and RELP with TLS, and logger."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from authorities import Authority
from rsyslogs import needed, rsyslog
from sinks import Kept, until

from almena.clock import now
from collectors.base import Context
from collectors.parsers import PARSERS
from collectors.relp import Relp
from collectors.syslog import Syslog

LINES = [f"línea {number} de prueba, con <ángulos> y 12 números" for number in range(500)]


@contextlib.asynccontextmanager
async def running(collector: Syslog | Relp, sink: Kept) -> AsyncIterator[int]:
    task = asyncio.ensure_future(collector.run("edge", sink))
    try:
        await until(lambda: collector.address or task.done(), seconds=5)
        if task.done():
            await task
        yield int(collector.address.rpartition(":")[2])
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def arrived(sink: Kept) -> set[str]:
    """The messages, as our parser reads them out of what the sender made of them."""
    context = Context(received=now())
    return {str(PARSERS["syslog"](data, context)["message"]).strip() for data in sink.texts()}


def sent_by_rsyslog(collector: Syslog | Relp, folder: Path, action: str, **more: object) -> Kept:
    sink = Kept()

    async def run() -> None:
        async with (
            running(collector, sink) as port,
            rsyslog(folder, action.replace("PORT", str(port)), **more) as sender,  # type: ignore[arg-type]
        ):
            sender.write(LINES)
            try:
                await until(lambda: len(sink.records) >= len(LINES), seconds=20)
            except AssertionError:
                pytest.fail(sender.said())

    asyncio.run(run())
    return sink


def syslog(**options: object) -> Syslog:
    return Syslog(agency="finanzas", listen="127.0.0.1:0", **options)  # type: ignore[arg-type]


FORWARD = 'type="omfwd" target="127.0.0.1" port="PORT"'


@pytest.mark.parametrize("template", ["RSYSLOG_SyslogProtocol23Format", "RSYSLOG_TraditionalForwardFormat"])
@pytest.mark.parametrize(
    ("transport", "framing"), [("udp", "traditional"), ("tcp", "traditional"), ("tcp", "octet-counted")]
)
def test_rsyslog_in_the_clear(transport: str, framing: str, template: str, tmp_path: Path) -> None:
    needed("imfile")
    action = f'{FORWARD} protocol="{transport}" TCP_Framing="{framing}" template="{template}"'
    sink = sent_by_rsyslog(syslog(transport=transport), tmp_path / "rsyslog", action)
    assert arrived(sink) == set(LINES)
    assert len(sink.records) == len(LINES)


@pytest.fixture
def files(tmp_path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Files for a server and for a client, of one authority."""
    ours = Authority(tmp_path)
    server, client = ours.pair("server", "collector.example"), ours.pair("client", "web.finanzas.example")
    mine = {"certificate": str(server.certificate), "key": str(server.key), "clients": str(ours.file)}
    return mine, {"ca": str(ours.file), "certificate": str(client.certificate), "key": str(client.key)}


def test_rsyslog_by_tls(tmp_path: Path, files: tuple[dict[str, str], dict[str, str]]) -> None:
    needed("imfile", "lmnsd_gtls")
    server, client = files
    options = (
        f'defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="{client["ca"]}" defaultNetstreamDriverCertFile='
        f'"{client["certificate"]}" defaultNetstreamDriverKeyFile="{client["key"]}"'
    )
    action = (
        f'{FORWARD} protocol="tcp" TCP_Framing="octet-counted" streamDriver="gtls" streamDriverMode="1"'
        ' streamDriverAuthMode="x509/name" streamDriverPermittedPeers="collector.example"'
        ' template="RSYSLOG_SyslogProtocol23Format"'
    )
    collector = syslog(transport="tls", senders=["*.finanzas.example"], **server)
    sink = sent_by_rsyslog(collector, tmp_path / "rsyslog", action, options=options)
    assert arrived(sink) == set(LINES)
    assert {record.sender for record in sink.records} == {"web.finanzas.example"}


def test_rsyslog_by_relp_and_tls(tmp_path: Path, files: tuple[dict[str, str], dict[str, str]]) -> None:
    needed("imfile", "omrelp")
    server, client = files
    action = (
        'type="omrelp" target="127.0.0.1" port="PORT" template="RSYSLOG_SyslogProtocol23Format" tls="on"'
        f' tls.caCert="{client["ca"]}" tls.myCert="{client["certificate"]}" tls.myPrivKey="{client["key"]}"'
        ' tls.authMode="name" tls.permittedPeer=["collector.example"]'
    )
    collector = Relp(agency="finanzas", listen="127.0.0.1:0", senders=["web.finanzas.example"], **server)  # type: ignore[arg-type]
    sink = sent_by_rsyslog(collector, tmp_path / "rsyslog", action, modules=["omrelp"])
    assert arrived(sink) == set(LINES)
    assert {record.sender for record in sink.records} == {"web.finanzas.example"}


@pytest.mark.parametrize("more", [["--udp"], ["--tcp"], ["--tcp", "--octet-count"]], ids=" ".join)
@pytest.mark.parametrize("form", ["--rfc3164", "--rfc5424"])
def test_logger(more: list[str], form: str) -> None:
    if shutil.which("logger") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("logger is not installed: apt-get install bsdutils")
        pytest.skip("logger is not installed: apt-get install bsdutils")
    sink = Kept()
    texts = ["uno", "<13> dos", "año nuevo", "x" * 5_000]

    async def run() -> None:
        async with running(syslog(transport=more[0].removeprefix("--")), sink) as port:
            for text in texts:
                place = ["--server", "127.0.0.1", "--port", str(port), "--size", "100000"]
                command = ["logger", *place, *more, form, "--tag", "prueba", "--priority", "auth.notice", "--", text]
                process = await asyncio.create_subprocess_exec(*command)
                assert await process.wait() == 0
            await until(lambda: len(sink.records) == len(texts))

    asyncio.run(run())
    assert arrived(sink) == set(texts)

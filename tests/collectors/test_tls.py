"""TLS of collectors: who is refused and why, whose name a record bears, and certificates that change while we run."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import socket
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from authorities import Authority, Pair
from sinks import Kept, counted, until

from almena import metrics
from almena.errors import ConfigError
from collectors.relp import Relp
from collectors.sockets import encrypted, refusal, sender_of
from collectors.syslog import Syslog

KINDS = pytest.mark.parametrize("kind", ["syslog", "relp"])
SPEECH = {
    "syslog": b"9 <13>taken",
    "relp": b"1 open 15 commands=syslog\n2 syslog 9 <13>taken\n",
}


def made(kind: str, server: Pair, **options: object) -> Syslog | Relp:
    files = {"certificate": str(server.certificate), "key": str(server.key)}
    common = {"agency": "finanzas", "listen": "127.0.0.1:0", **files, **options}
    return Relp(**common) if kind == "relp" else Syslog(transport="tls", **common)  # type: ignore[arg-type]


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


async def speak(place: tuple[str, int], context: ssl.SSLContext | None, data: bytes) -> None:
    """Say something, whatever becomes of it."""
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection(*place, ssl=context)
        writer.write(data)
        with contextlib.suppress(OSError):
            await writer.drain()
            async with asyncio.timeout(0.2):
                await reader.read()
        writer.close()
        await writer.wait_closed()


def refused(reason: str) -> float:
    return counted(metrics.CONNECTIONS_REFUSED, source="edge", reason=reason)


@KINDS
def test_who_may_not_come_in_is_refused_counted_and_told(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours, theirs = Authority(tmp_path), Authority(tmp_path, "strangers")
    options = {"clients": str(ours.file), "senders": ["fw1.finanzas.example", "*.salud.example"]}
    good, wild = ours.pair("fw1.finanzas.example"), ours.pair("x", "web.salud.example", file="wild")
    old = ssl.create_default_context(cafile=str(ours.file))
    old.load_cert_chain(good.certificate, good.key)
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_2
    cases = {
        "expired certificate": ours.trusting(ours.pair("fw1.finanzas.example", days=365, file="expired")),
        "untrusted certificate": ours.trusting(theirs.pair("fw1.finanzas.example", file="stranger")),
        "no certificate": ours.trusting(),
        "plaintext": None,
        "wrong name": ours.trusting(ours.pair("fw2.finanzas.example")),
    }
    before = {reason: refused(reason) for reason in cases}
    sink = Kept()

    async def run() -> None:
        async with running(made(kind, ours.server(), **options), sink) as place:
            for context in cases.values():
                await speak(place, context, b"<13>refused\n" * 100 if context is None else SPEECH[kind])
            for context in (ours.trusting(good), ours.trusting(wild), old):
                await speak(place, context, SPEECH[kind])
            await until(lambda: len(sink.records) == 3)

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    assert sink.texts() == [b"<13>taken"] * 3
    assert [record.sender for record in sink.records] == [
        "fw1.finanzas.example",
        "web.salud.example",
        "fw1.finanzas.example",
    ]
    assert {reason: refused(reason) - before[reason] for reason in cases} == dict.fromkeys(cases, 1)
    for reason in cases:
        assert any(reason in line.getMessage() for line in caplog.records), reason


def test_a_sender_that_does_not_trust_us_is_told_of(tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path), Authority(tmp_path, "strangers")
    before = refused("our certificate refused")

    async def run() -> None:
        async with running(made("syslog", ours.server()), Kept()) as place:
            with pytest.raises(ssl.SSLCertVerificationError):
                await asyncio.to_thread(serial, theirs.trusting(), place)
            await until(lambda: refused("our certificate refused") == before + 1)

    asyncio.run(run())


@KINDS
def test_without_an_authority_everybody_comes_in_and_bears_no_name(kind: str, tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    sink = Kept()

    async def run() -> None:
        async with running(made(kind, ours.server()), sink) as place:
            await speak(place, ours.trusting(ours.pair("somebody")), SPEECH[kind])
            await until(lambda: sink.records)

    asyncio.run(run())
    assert [record.sender for record in sink.records] == [""]
    assert sink.records[0].origin.startswith("127.0.0.1:")


def test_a_name_is_of_the_certificate_and_never_of_what_is_sent() -> None:
    alternative = {"subject": ((("commonName", "cn"),),), "subjectAltName": (("DNS", "Web.Example."), ("DNS", "b"))}
    assert sender_of(alternative) == "web.example"
    assert sender_of({"subject": ((("commonName", "CN"),), (("organizationName", "o"),))}) == "cn"
    assert sender_of(None) == ""
    assert sender_of({"subject": ((("commonName", "x" * 1_000),),)}) == "x" * 256


def test_a_handshake_that_never_comes_is_given_up_and_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.streams._HANDSHAKE", 0.3)
    ours = Authority(tmp_path)
    sink = Kept()
    before = refused("no handshake")

    async def run() -> None:
        async with running(made("syslog", ours.server()), sink) as place:
            silent = [socket.create_connection(place) for _ in range(20)]
            await speak(place, ours.trusting(), SPEECH["syslog"])
            await until(lambda: sink.records)
            await until(lambda: refused("no handshake") - before == 20)
            for sock in silent:
                sock.close()

    asyncio.run(run())
    assert sink.texts() == [b"<13>taken"]


# Files that change


def serial(context: ssl.SSLContext, place: tuple[str, int]) -> int:
    with socket.create_connection(place) as plain, context.wrap_socket(plain, server_hostname="localhost") as shown:
        certificate = shown.getpeercert()
        assert certificate is not None
        return int(str(certificate["serialNumber"]), 16)


def put(pair: Pair, at: Pair) -> None:
    """Replace files by renaming, as one does."""
    for source, target in zip(pair, at, strict=True):
        beside = target.with_suffix(".new")
        shutil.copy(source, beside)
        beside.replace(target)


def test_certificates_are_exchanged_without_a_restart_and_broken_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("collectors.sockets._LOOK_EVERY", 0.0)
    ours = Authority(tmp_path)
    server, other = ours.server(), ours.server("other")
    client = ours.trusting()

    async def shown(place: tuple[str, int]) -> int:
        return await asyncio.to_thread(serial, client, place)

    async def run() -> None:
        async with running(made("syslog", server), Kept()) as place:
            first = await shown(place)
            put(other, server)
            second = await shown(place)
            assert second != first
            server.certificate.write_text("no certificate")
            assert await shown(place) == second
            assert await shown(place) == second
            put(Pair(ours.server("third").certificate, other.key), server)  # one of two was exchanged so far
            assert await shown(place) == second
            server.key.unlink()
            assert await shown(place) == second
            put(ours.server("fourth"), server)
            assert await shown(place) not in (first, second)

    with caplog.at_level(logging.INFO, "almena.collect"):
        asyncio.run(run())
    said = [line.getMessage() for line in caplog.records if "collectors.edge" in line.getMessage()]
    assert sum("the ones before stay" in line for line in said) == 3, "each broken state is told once"
    assert sum("were read again" in line for line in said) == 2


def test_an_authority_is_exchanged_without_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The authority before is trusted no more, also not by a session that would be resumed."""
    monkeypatch.setattr("collectors.sockets._LOOK_EVERY", 0.0)
    ours, next_one = Authority(tmp_path), Authority(tmp_path, "next")
    trusted = tmp_path / "trusted.pem"
    shutil.copy(ours.file, trusted)
    before, after = ours.trusting(ours.pair("before")), ours.trusting(next_one.pair("after"))
    sink = Kept()

    async def run() -> None:
        async with running(made("syslog", ours.server(), clients=str(trusted)), sink) as place:
            await speak(place, before, b"10 <13>before")
            await speak(place, after, b"13 <13>too early")
            shutil.copy(next_one.file, trusted)
            await speak(place, after, b"9 <13>after")
            await speak(place, before, b"12 <13>too late")
            await until(lambda: len(sink.records) == 2)

    asyncio.run(run())
    assert sink.texts() == [b"<13>before", b"<13>after"]
    assert [record.sender for record in sink.records] == ["before", "after"]


def test_files_are_looked_at_once_a_second_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = Authority(tmp_path)
    server = ours.server()
    looks: list[Path] = []
    stat = Path.stat

    def look(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        looks.append(path)
        return stat(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", look)
    context = encrypted(str(server.certificate), str(server.key), "", "collectors.edge")
    looks.clear()
    began = time.monotonic()

    async def run() -> None:
        listening = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
        async with listening:
            for _ in range(20):
                await speak(listening.sockets[0].getsockname(), ours.trusting(), b"")

    asyncio.run(run())
    assert sum(path in server for path in looks) <= 2 * (time.monotonic() - began + 1)


def test_a_server_of_others_may_be_told_of_refusals(tmp_path: Path) -> None:
    """As the one for HTTP does, which never hears of a handshake that fails."""
    ours = Authority(tmp_path)
    server, told = ours.server(), list[str]()
    files = str(server.certificate), str(server.key), str(ours.file)
    context = encrypted(*files, "collectors.edge", senders=["app.example"], refused=told.append)

    async def run() -> None:
        listening = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
        async with listening:
            place = listening.sockets[0].getsockname()
            for client in (
                ours.trusting(),
                ours.trusting(ours.pair("b.example")),
                ours.trusting(ours.pair("app.example")),
            ):
                await speak(place, client, b"x")
            await speak(place, None, b"GET / HTTP/1.1\r\n\r\n")

    asyncio.run(run())
    assert told == ["no certificate", "wrong name", "plaintext"]


def test_why_a_handshake_failed_is_one_of_a_few_words() -> None:
    assert refusal(ConnectionResetError()) == "no handshake"
    assert refusal(ssl.SSLError(1, "something new")) == "broken handshake"


# Configuration


@KINDS
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"key": ""}, "tls needs 'certificate' and 'key'"),
        ({"certificate": ""}, "tls needs 'certificate' and 'key'"),
        ({"certificate": "no.pem"}, "cannot use its certificate, key or clients"),
        ({"clients": "no.pem"}, "cannot use its certificate, key or clients"),
        ({"senders": ["a"]}, "'senders' needs 'clients'"),
    ],
)
def test_what_cannot_be_used_is_told(kind: str, options: dict[str, object], told: str, tmp_path: Path) -> None:
    collector = made(kind, Authority(tmp_path).server(), **options)
    with pytest.raises(ConfigError, match=rf"collectors\.edge: {told}"):
        asyncio.run(collector.run("edge", Kept()))


@pytest.mark.parametrize(("transport", "options"), [("udp", {"clients": "x"}), ("tcp", {"senders": ["x"]})])
def test_names_need_certificates(transport: str, options: dict[str, object]) -> None:
    collector = Syslog(agency="finanzas", listen="127.0.0.1:0", transport=transport, **options)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"collectors\.edge: .*(tls|encrypted)"):
        asyncio.run(collector.run("edge", Kept()))

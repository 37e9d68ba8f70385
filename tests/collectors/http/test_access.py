"""Who may post: names and passwords, API keys, signatures, certificates, and anyone where that was configured."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import pytest
from authorities import Authority
from posting import OTHER, SECRET, http, listening
from sinks import Kept

from almena.clock import MINUTE, SECOND, now
from almena.errors import ConfigError
from collectors.base import Raw
from collectors.http import Token
from collectors.http.access import certificate_names
from collectors.intake import event_of

BODY = b'{"a":1}'


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def signature(body: bytes, secret: str = SECRET, *, at: int | None = None) -> str:
    moment = str((now() if at is None else at) // SECOND)
    made = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={made}"


async def post(
    collector: object, headers: Mapping[str, str], body: bytes = BODY, *, sink: Kept, path: str = "/v1/events"
) -> httpx.Response:
    async with httpx.AsyncClient(base_url=f"http://{collector.address}") as client:  # type: ignore[attr-defined]
        return await client.post(path, content=body, headers=headers)


def posted(headers: Mapping[str, str], sink: Kept | None = None, path: str = "/v1/events", **options: object) -> int:
    async def run() -> int:
        collector, kept = http(**options), sink or Kept()
        async with listening(collector, kept):
            return (await post(collector, headers, sink=kept, path=path)).status_code

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("header", "source"),
    [
        (f"Bearer {SECRET}", "apps.payments"),
        (f"Basic {encoded(f'payments:{SECRET}')}", "apps.payments"),
        (f"basic  {encoded(f'registry:{OTHER}')}", "apps.registry"),
        (f"ApiKey {encoded(f'registry:{OTHER}')}", "apps.registry"),
        (f"ApiKey {encoded(f'payments:{OTHER}')}", None),
        (f"Basic {encoded(f'payments:{SECRET}x')}", None),
        (f"Basic {encoded(f':{SECRET}')}", None),
        (f"Basic {encoded(SECRET)}", None),
        (f"Basic {SECRET}", None),
        ("Basic ****", None),
        (f"Basic {base64.b64encode(bytes([255, 254])).decode()}", None),
        (f"Basic {encoded('payments:')}", None),
        (f"Negotiate {encoded(f'payments:{SECRET}')}", None),
        ("ApiKey", None),
    ],
)
def test_a_name_and_a_secret_open_what_is_theirs(header: str, source: str | None) -> None:
    sink = Kept()
    assert posted({"Authorization": header}, sink) == (200 if source else 401)
    assert [each.name for each, _ in sink.batches] == ([source] if source else [])


def test_elastic_is_told_how_to_sign_in() -> None:
    async def run() -> httpx.Response:
        collector, sink = http(), Kept()
        async with listening(collector, sink):
            return await post(collector, {}, sink=sink, path="/_bulk")

    answer = asyncio.run(run())
    assert answer.status_code == answer.json()["status"] == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert answer.headers["x-elastic-product"] == "Elasticsearch"
    assert answer.json()["error"]["type"] == "security_exception"


# Signatures


def test_a_signature_is_as_good_as_the_secret_and_names_the_batch() -> None:
    sink = Kept()
    signed = signature(BODY)
    assert posted({"X-Almena-Signature": signed}, sink) == 200
    assert posted({"X-Almena-Signature": signature(BODY, OTHER), "X-Almena-Source": "registry"}, sink) == 200
    assert [source.name for source, _ in sink.batches] == ["apps.payments", "apps.registry"]
    assert sink.records[0].lane == f"b.sig.{signed.rpartition('=')[2][:40]}"


SIGNED: tuple[Callable[[], str], ...] = (
    lambda: "",
    lambda: "t=1,v1=",
    lambda: "v1=" + "0" * 64,
    lambda: f"t={now() // SECOND},v1={'0' * 64}",
    lambda: f"t={now() // SECOND},v1={'é' * 32}".encode().decode("latin-1"),
    lambda: f"t={'9' * 400},v1={'0' * 64}",
    lambda: signature(BODY, "somebody-else-0123456789"),
    lambda: signature(BODY + b" "),
    lambda: signature(BODY, at=now() - 6 * MINUTE),
    lambda: signature(BODY, at=now() + 6 * MINUTE),
    lambda: signature(BODY, OTHER),
)


@pytest.mark.parametrize("sign", SIGNED, ids=range(len(SIGNED)))
def test_a_signature_of_another_or_of_another_time_is_none(sign: Callable[[], str]) -> None:
    shown = sign()  # now, not when the tests are collected: minutes may lie between
    sink = Kept()

    async def run() -> httpx.Response:
        collector = http()
        async with listening(collector, sink):
            headers = {b"X-Almena-Signature": shown.encode("latin-1"), b"X-Almena-Source": b"payments"}
            return await post(collector, headers, sink=sink)  # type: ignore[arg-type]

    assert asyncio.run(run()).status_code == 401
    assert sink.batches == []


def test_the_time_of_a_signature_may_be_five_minutes_off() -> None:
    for away in (-4 * MINUTE, 4 * MINUTE):
        assert posted({"X-Almena-Signature": signature(BODY, at=now() + away)}) == 200


def test_secrets_may_be_changed_while_both_are_signed_with() -> None:
    old, new = signature(BODY, "the-secret-of-yesterday-1"), signature(BODY)
    assert posted({"X-Almena-Signature": f"{old},{new.partition(',')[2]}"}) == 200


def test_a_copy_of_a_signed_request_is_the_same_batch_or_refused() -> None:
    sink, headers = Kept(), {"X-Almena-Signature": signature(BODY)}

    async def run() -> list[int]:
        collector = http()
        async with listening(collector, sink):
            again = [headers, headers, {**headers, "Idempotency-Key": "another"}]
            return [(await post(collector, each, sink=sink)).status_code for each in again]

    assert asyncio.run(run()) == [200, 200, 401]
    assert len({(record.lane, record.seq) for record in sink.records}) == 1


def test_signatures_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.http.access._MOST_REMEMBERED", 3)
    sink = Kept()

    async def run() -> None:
        collector = http()
        async with listening(collector, sink):
            for number in range(9):
                body = b"%d" % number
                assert (
                    await post(collector, {"X-Almena-Signature": signature(body)}, body, sink=sink)
                ).status_code == 200

    asyncio.run(run())
    assert len(sink.records) == 9


# Certificates


@pytest.mark.parametrize(
    ("name", "names", "header", "source"),
    [
        ("fw1.finanzas.example", (), None, "apps.fw"),
        ("anything", ("FW1.finanzas.example",), None, "apps.fw"),
        ("fw2.finanzas.example", ("fw3.finanzas.example",), None, None),
        ("fw2.finanzas.example", (), f"Bearer {SECRET}", "apps.payments"),
        ("fw1.finanzas.example", (), f"Bearer {OTHER}", None),
        ("registry.example", (), f"Bearer {OTHER}", "apps.registry"),
        ("registry.example", (), None, None),
    ],
)
def test_a_certificate_names_its_sender(
    name: str, names: tuple[str, ...], header: str | None, source: str | None, tmp_path: Path
) -> None:
    """`fw` by its certificate alone, `payments` by its secret, `registry` by both."""
    ours, sink = Authority(tmp_path), Kept()
    server, client = ours.server(), ours.pair(name, *names, file="client")
    tokens = {
        "fw": Token(agency="finanzas", names=["fw1.finanzas.example"]),
        "payments": Token(agency="finanzas", token=SECRET),
        "registry": Token(agency="registro", token=OTHER, names=["registry.example"]),
    }
    collector = http(tokens=tokens, certificate=str(server.certificate), key=str(server.key), clients=str(ours.file))

    async def run() -> int:
        async with listening(collector, sink):
            headers = {"Authorization": header} if header else {}
            async with httpx.AsyncClient(verify=ours.trusting(client), headers=headers) as session:
                return (await session.post(f"https://{collector.address}/v1/events", content=BODY)).status_code

    assert asyncio.run(run()) == (200 if source else 401)
    assert [each.name for each, _ in sink.batches] == ([source] if source else [])
    assert not source or sink.records[0].sender == name


def test_without_a_certificate_nobody_comes_in(tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    server = ours.server()
    collector = http(certificate=str(server.certificate), key=str(server.key), clients=str(ours.file))

    async def run() -> None:
        async with listening(collector, Kept()), httpx.AsyncClient(verify=ours.trusting()) as session:
            headers = {"Authorization": f"Bearer {SECRET}"}
            with pytest.raises(httpx.HTTPError):
                await session.post(f"https://{collector.address}/v1/events", content=BODY, headers=headers)

    asyncio.run(run())


def test_names_on_certificates() -> None:
    shown = {
        "subject": ((("countryName", "MX"),), (("commonName", "FW1.example."),)),
        "subjectAltName": (("DNS", "a.example"), ("IP Address", "192.0.2.1"), ("DirName", ((("x", "y"),),))),
    }
    assert certificate_names(shown) == ["fw1.example", "a.example", "192.0.2.1"]
    assert certificate_names(None) == certificate_names({}) == []


# Anyone


def test_events_of_nobody_in_particular_are_taken_where_configured_and_marked() -> None:
    tokens = {
        "payments": Token(agency="finanzas", token=SECRET),
        "open": Token(agency="finanzas", anyone=True),
    }
    sink = Kept()
    assert posted({}, sink, tokens=tokens) == 200
    assert posted({"Authorization": f"Bearer {SECRET}"}, sink, tokens=tokens) == 200
    assert posted({"Authorization": "Bearer wrong-token-0123456789"}, sink, tokens=tokens) == 401
    assert [source.name for source, _ in sink.batches] == ["apps.open", "apps.payments"]
    raw = Raw(data=b"", lane="l", seq=0, received=0)
    made = [event_of(source, raw, lambda raw, context: {}, lambda event: event) for source, _ in sink.batches]
    assert [event.get("almena.source.unauthenticated") for event in made] == [True, None]


@pytest.mark.parametrize(
    ("tokens", "reason"),
    [
        ({"a": Token(agency="x", names=["n"])}, "'names' are on certificates"),
        ({"a": Token(agency="x", anyone=True), "b": Token(agency="x", anyone=True)}, "two of them are 'anyone'"),
        ({"a": Token(agency="x", names=["N."]), "b": Token(agency="x", names=["n"])}, "known by the same name"),
    ],
)
def test_senders_that_cannot_be_told_apart_are_a_mistake(tokens: dict[str, Token], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        asyncio.run(http(tokens=tokens).run("apps", Kept()))


def test_secrets_of_senders_are_not_in_what_is_printed() -> None:
    assert SECRET not in repr(http())

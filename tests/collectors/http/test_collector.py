from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from posting import HEADERS, OTHER, SECRET, asked, http, running
from sinks import Kept, events, letters, until, words

from almena.bus import Bus, open_bus
from almena.clock import Span
from almena.errors import ConfigError
from collectors.http import Http, Token
from collectors.intake import Intake


@pytest.mark.parametrize(
    ("content", "kind", "records"),
    [
        (b'{"a":1}\n{"a":2}\n', "application/x-ndjson", [b'{"a":1}', b'{"a":2}']),
        (b'{"a":1}\r\n\r\n{"a":2}', "", [b'{"a":1}', b'{"a":2}']),
        (b'[{"a":1}, {"a": 2}]', "application/json", [b'{"a":1}', b'{"a": 2}']),
        (b' [1, "x", null, [2]]', "", [b"1", b'"x"', b"null", b"[2]"]),
        (b'{\n "a": 1,\n "b": 2\n}', "application/json; charset=utf-8", [b'{\n "a": 1,\n "b": 2\n}']),
        (b'{"a":1}\n{"a":2}', "application/json", [b'{"a":1}', b'{"a":2}']),
        (b'{"a":1}\nnot json\n', "application/x-ndjson", [b'{"a":1}', b"not json"]),
        (b"[\xff]", "application/json", [b"\xff"]),
        (b'[{"a":1},{"b"}, {"c":NaN}]', "", [b'{"a":1}', b'{"b"}', b'{"c":NaN}']),
        (b'{\n "a": NaN,\n "b": 2\n}', "application/json", [b'{\n "a": NaN,\n "b": 2\n}']),
        (b'{"a"\n{"b":2}', "application/json", [b'{"a"', b'{"b":2}']),
        (b"[client 10.0.0.1] denied\nplain", "text/plain", [b"[client 10.0.0.1] denied", b"plain"]),
    ],
)
def test_bodies_become_records(content: bytes, kind: str, records: list[bytes]) -> None:
    sink = Kept()
    answer = asked(lambda client: client.post("/v1/events", content=content, headers={"Content-Type": kind}), sink)
    assert (answer.status_code, answer.json()) == (200, {"accepted": len(records), "dead": 0})
    assert sink.texts() == records
    ((source, _),) = sink.batches
    assert (source.name, source.agency) == ("apps.payments", "finanzas")
    assert sink.records[0].origin.startswith("127.0.0.1:")


@pytest.mark.parametrize(
    ("content", "kind", "reason"),
    [
        (b"", "application/json", "no JSON array"),
        (b"", "application/x-ndjson", "no records"),
        (b"\n \n", "", "no records"),
        (b"[]", "application/json", "no records"),
        (b"[1, 2", "application/json", "no JSON array"),
        (b"[1, 2] 3", "", "no JSON array"),
        (b"[" * 100_000, "application/json", "no JSON array"),
        (b"12", "application/json", "no JSON array"),
    ],
)
def test_a_body_that_cannot_be_split_is_refused_as_a_whole(content: bytes, kind: str, reason: str) -> None:
    sink = Kept()
    answer = asked(lambda client: client.post("/v1/events", content=content, headers={"Content-Type": kind}), sink)
    assert answer.status_code == 400
    assert reason in answer.json()["error"]
    assert sink.batches == []


def test_where_the_json_broke_is_told() -> None:
    answer = asked(lambda client: client.post("/v1/events", content=b'[{"a":1},{"b"}'))
    assert answer.status_code == 400
    assert answer.json()["at"] == 13


@pytest.mark.parametrize(
    "shown",
    [None, "", "Bearer", "Bearer wrong", f"Basic {SECRET}", SECRET, f"Bearer {SECRET}x", "Bearer \xf1"],
)
def test_without_a_valid_token_nothing_is_read(shown: str | None) -> None:
    sink = Kept()

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        del client.headers["Authorization"]
        headers = {} if shown is None else {b"Authorization": shown.encode("latin-1")}
        return await client.post("/v1/events", content=b"{}", headers=headers)

    answer = asked(ask, sink)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert sink.batches == []


def test_each_token_is_its_own_source() -> None:
    sink = Kept()
    headers = {"Authorization": f"bearer {OTHER}"}
    assert asked(lambda client: client.post("/v1/events", content=b"{}", headers=headers), sink).status_code == 200
    assert [source.name for source, _ in sink.batches] == ["apps.registry"]
    assert sorted(source.name for source in http().sources("apps")) == ["apps.payments", "apps.registry"]


def test_too_much_is_refused_by_its_length() -> None:
    answer = asked(lambda client: client.post("/v1/events", content=b"x" * 2_000), max_body=1_000)
    assert (answer.status_code, "larger than 1000 bytes" in answer.json()["error"]) == (413, True)


def test_too_much_is_refused_by_counting_when_no_length_is_given() -> None:
    async def stream() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100

    answer = asked(lambda client: client.post("/v1/events", content=stream()), max_body=1_000)
    assert answer.status_code == 413


@pytest.mark.parametrize("content", [b"1\n" * 50, b"[" + b"1," * 49 + b"1]"])
def test_too_many_records_are_refused(content: bytes) -> None:
    answer = asked(lambda client: client.post("/v1/events", content=content), max_records=20)
    assert answer.status_code == 413


def test_a_record_over_a_megabyte_is_cut_and_flagged() -> None:
    sink = Kept()
    asked(lambda client: client.post("/v1/events", content=b"x" * 1_100_000 + b"\ny"), sink)
    assert [(len(record.data), record.truncated) for record in sink.records] == [(1 << 20, True), (1, False)]


def test_gzip_is_understood() -> None:
    sink = Kept()
    headers = {"Content-Encoding": "gzip"}
    body = gzip.compress(b'{"a":1}\n{"a":2}', mtime=0)
    answer = asked(lambda client: client.post("/v1/events", content=body, headers=headers), sink)
    assert answer.json() == {"accepted": 2, "dead": 0}
    assert sink.texts() == [b'{"a":1}', b'{"a":2}']


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (gzip.compress(b"\n" * 50_000_000, mtime=0), 413),
        (gzip.compress(b"{}", mtime=0)[:-4], 400),
        (gzip.compress(b"{}", mtime=0) + b"more", 400),
        (b"no gzip", 400),
        (b"", 400),
    ],
)
def test_gzip_bombs_and_damage_are_refused(body: bytes, status: int) -> None:
    headers = {"Content-Encoding": "gzip"}
    assert asked(lambda client: client.post("/v1/events", content=body, headers=headers)).status_code == status


def test_another_encoding_is_refused() -> None:
    headers = {"Content-Encoding": "br"}
    assert asked(lambda client: client.post("/v1/events", content=b"{}", headers=headers)).status_code == 415


def test_a_named_batch_sent_again_is_the_same_batch() -> None:
    """The answer was lost, so the application sends again: every record has the identity it had."""
    sink = Kept()

    async def run() -> None:
        collector = http()
        for _ in range(2):  # even when the collector was started anew in between
            async with running(collector, sink) as client:
                for header in ("Idempotency-Key", "X-Batch-Id"):
                    answer = await client.post("/v1/events", content=b"1\n2\n3", headers={header: "2026-11-22.001"})
                    assert answer.json() == {"accepted": 3, "dead": 0}
            collector = http()

    asyncio.run(run())
    assert len(sink.batches) == 4
    for _, batch in sink.batches:
        assert [(record.lane, record.seq, record.place) for record in batch] == [
            ("b.2026-11-22.001", number, number) for number in range(3)
        ]


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a:b", "x" * 129, "ñ".encode().decode("latin-1")])
def test_a_batch_name_that_is_none_is_refused(name: str) -> None:
    headers = {b"Idempotency-Key": name.encode("latin-1")}
    answer = asked(lambda client: client.post("/v1/events", content=b"1", headers=headers))
    assert answer.status_code == (400 if name else 200)


def test_batches_without_a_name_never_share_numbers() -> None:
    sink = Kept(delay=0.02)

    async def run() -> None:
        async with running(http(), sink) as client, asyncio.TaskGroup() as group:
            for _ in range(30):
                group.create_task(client.post("/v1/events", content=b"1\n2"))

    asyncio.run(run())
    assert len(sink.records) == 60
    assert len({(record.lane, record.seq) for record in sink.records}) == 60
    for lane in {record.lane for record in sink.records}:
        sequence = [record.seq for record in sink.records if record.lane == lane]
        assert sequence == sorted(sequence)


@pytest.mark.parametrize(("mood", "status"), [("full", 429), ("down", 503)])
def test_a_sink_that_cannot_take_more_is_told_with_a_time_to_come_back(mood: str, status: int) -> None:
    sink = Kept()
    sink.mood = mood  # type: ignore[assignment]
    answer = asked(lambda client: client.post("/v1/events", content=b"1"), sink)
    assert answer.status_code == status
    assert int(answer.headers["retry-after"]) > 0
    assert sink.batches == []


def test_what_is_not_durable_in_time_is_not_acknowledged() -> None:
    answer = asked(lambda client: client.post("/v1/events", content=b"1"), Kept(delay=5), append_timeout=Span(100_000))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


def test_more_requests_than_places_are_asked_to_come_back() -> None:
    async def run() -> list[int]:
        async with running(http(max_requests=2), Kept(delay=0.5)) as client:
            answers = await asyncio.gather(*(client.post("/v1/events", content=b"1") for _ in range(6)))
            return sorted(answer.status_code for answer in answers)

    assert asyncio.run(run()) == [200, 200, 429, 429, 429, 429]


def test_health_is_answered_to_everyone() -> None:
    sink = Kept()
    assert asked(lambda client: client.get("/healthz"), sink).json() == {"state": "open"}
    sink.mood = "down"
    assert asked(lambda client: client.get("/healthz"), sink).status_code == 503


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/v1/events", 405), ("/v1/events/../../etc", 404)])
def test_nothing_else_is_there(path: str, status: int) -> None:
    assert asked(lambda client: client.get(path)).status_code == status


async def talk(collector: Http, *pieces: bytes, pause: float = 0.0) -> bytes:
    """Everything that is answered until the connection is closed."""
    host, _, port = collector.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    answer = b""

    async def listen() -> None:
        nonlocal answer
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                answer += data

    async def speak() -> None:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)

    async with asyncio.timeout(5):
        await asyncio.gather(listen(), speak())
    writer.close()
    return answer


def test_a_header_that_never_ends_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.http.guard.PATIENCE", 0.3)

    async def run() -> None:
        collector = http()
        async with running(collector, Kept()) as client:
            slow = [b"POST /v1/events HTTP/1.1\r\n", *[b"X-Slow: 1\r\n"] * 20]
            second = [b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /he", *[b"a"] * 20]
            async with asyncio.timeout(4):
                assert await talk(collector, *slow, pause=0.05) == b""
                assert await talk(collector) == b""
                assert (await talk(collector, *second, pause=0.05)).startswith(b"HTTP/1.1 200")
            assert (await client.post("/v1/events", content=b"1")).status_code == 200

    asyncio.run(run())


def test_a_body_that_never_ends_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.http.guard.PATIENCE", 0.3)

    async def run() -> bytes:
        collector = http(body_timeout=Span(300_000))
        async with running(collector, Kept()):
            head = (
                f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\nContent-Length: 900\r\n\r\n"
            )
            async with asyncio.timeout(4):
                return await talk(collector, head.encode(), *[b"x"] * 30, pause=0.05)

    assert b"408" in asyncio.run(run()).split(b"\r\n")[0]


def test_requests_under_way_are_finished_at_a_stop() -> None:
    sink = Kept(delay=0.3)

    async def run() -> int:
        async with asyncio.TaskGroup() as group:
            async with running(http(), sink) as client:
                asking = group.create_task(client.post("/v1/events", content=b"1"))
                await until(lambda: sink.records)
                # the client must outlive the server
                client_open = contextlib.AsyncExitStack()
                client_open.push_async_callback(client.aclose)
                answer = await asyncio.shield(asking)
            return answer.status_code

    assert asyncio.run(run()) == 200


def test_events_arrive_on_the_bus_and_bad_ones_are_dead_letters(tmp_path: Path) -> None:
    bus: Bus = open_bus(f"sqlite:{tmp_path / 'bus.sqlite'}")

    async def run() -> httpx.Response:
        intake = Intake(bus, parsers={"words": words}, mask=lambda event: event, seal=bytes.hex)
        async with intake as sink, running(http(), sink) as client:
            return await client.post("/v1/events", content=b"good\nbad\n", headers={"Idempotency-Key": "k1"})

    assert asyncio.run(run()).json() == {"accepted": 2, "dead": 1}
    (event,) = events(bus)
    assert event["event.id"] == "apps.payments:b.k1:0"
    assert event["organization.id"] == "finanzas"
    assert letters(bus)[0]["place"] == 1
    bus.close()


# Tokens


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "give one of 'token', 'token_env' and 'token_file'"),
        ({"token": SECRET, "rate": -1}, "rate: -1 is no number"),
        ({"token": SECRET, "anyone": True}, "has neither a secret nor 'names'"),
        ({"token": SECRET, "token_env": "X"}, "give one of"),
        ({"token": "short"}, "needs 16 characters or more"),
        ({"token_env": "NOT_SET_ANYWHERE"}, "token_env: NOT_SET_ANYWHERE: a token needs"),
        ({"token_file": "/no/such/file"}, "token_file: /no/such/file: cannot be read"),
    ],
)
def test_a_token_that_is_none_is_told(options: dict[str, str], reason: str) -> None:
    collector = http(tokens={"payments": Token(agency="finanzas", **options)})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=rf"collectors\.apps\.tokens\.payments.*{reason}"):
        asyncio.run(collector.run("apps", Kept()))


def test_tokens_come_from_variables_and_private_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "token"
    path.write_text(OTHER + "\n")
    path.chmod(0o600)
    monkeypatch.setenv("PAYMENTS_TOKEN", SECRET)
    tokens = {
        "payments": Token(agency="finanzas", token_env="PAYMENTS_TOKEN"),
        "registry": Token(agency="registro", token_file=str(path)),
    }
    sink = Kept()
    for secret in (SECRET, OTHER):
        headers = {"Authorization": f"Bearer {secret}"}

        def ask(client: httpx.AsyncClient, headers: dict[str, str] = headers) -> Awaitable[httpx.Response]:
            return client.post("/v1/events", content=b"1", headers=headers)

        answer = asked(ask, sink, tokens=tokens)
        assert answer.status_code == 200
    assert [source.name for source, _ in sink.batches] == ["apps.payments", "apps.registry"]
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="others may read it"):
        asyncio.run(http(tokens=tokens).run("apps", Kept()))


def test_nobody_and_twins_are_told() -> None:
    with pytest.raises(ConfigError, match="nobody may post"):
        asyncio.run(http(tokens={}).run("apps", Kept()))
    twins = {name: Token(agency="a", token=SECRET) for name in "xy"}
    with pytest.raises(ConfigError, match="same secret"):
        asyncio.run(http(tokens=twins).run("apps", Kept()))


def test_a_token_is_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert SECRET not in repr(http())
    answer = asked(lambda client: client.post("/v1/events", content=b"1"))
    assert SECRET not in caplog.text
    assert SECRET not in str(answer.headers) + answer.text


@pytest.fixture(scope="module")
def served() -> Iterator[httpx.Client]:
    """A server in a thread of its own."""
    collector, loops = http(), []

    async def serve() -> None:
        task = asyncio.ensure_future(collector.run("apps", Kept()))
        loops.append((asyncio.get_running_loop(), task))
        with contextlib.suppress(asyncio.CancelledError):
            await task

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    while not collector.address:
        time.sleep(0.01)
    with httpx.Client(base_url=f"http://{collector.address}", headers=HEADERS) as client:
        yield client
    loops[0][0].call_soon_threadsafe(loops[0][1].cancel)
    thread.join()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["application/json", "", "text/plain", "x/y"]), st.booleans())
def test_any_body_is_answered(served: httpx.Client, body: bytes, kind: str, zipped: bool) -> None:
    headers = {"Content-Type": kind, **({"Content-Encoding": "gzip"} if zipped else {})}
    answer = served.post("/v1/events", content=body, headers=headers)
    assert answer.status_code in (200, 400)
    assert answer.status_code == 400 or answer.json()["accepted"] > 0

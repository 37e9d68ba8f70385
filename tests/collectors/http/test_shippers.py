"""Real shippers that believe they speak to Elasticsearch: its own client, and rsyslog."""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from authorities import Authority
from posting import OTHER, SECRET, http, listening
from rsyslogs import needed, rsyslog
from sinks import Kept, until

from almena.errors import BusError
from collectors.http import Http

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from elasticsearch import ApiError, Elasticsearch, NotFoundError, helpers


@pytest.fixture
def sink() -> Kept:
    return Kept()


@pytest.fixture
def collector(sink: Kept) -> Iterator[Http]:
    """One that runs in a thread of its own, for clients that wait."""
    made, ended = http(max_records=1_000), []

    async def serve() -> None:
        stop = asyncio.Event()
        ended.append((asyncio.get_running_loop(), stop))
        async with listening(made, sink):
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    while not made.address:
        thread.join(0.01)
    yield made
    loop, stop = ended[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join()


def client(collector: Http, **options: Any) -> Elasticsearch:
    return Elasticsearch(f"http://{collector.address}", **{"basic_auth": ("payments", SECRET), **options})


def documents(count: int, **more: Any) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {"_index": "logs-web", "n": number, **more}


def numbers(sink: Kept) -> list[int]:
    return [msgspec.json.decode(record.data)["n"] for record in sink.records]


def test_the_client_asks_and_sends(collector: Http, sink: Kept) -> None:
    with client(collector) as es:
        assert any(es.ping() for _ in range(5)), "not within five times the client's patience"
        assert es.info()["version"]["number"] == "8.19.0"
        assert es.cluster.health()["status"] == "green"
        assert es.license.get()["license"]["type"] == "basic"
        assert es.indices.exists_index_template(name="logs")
        assert es.indices.put_index_template(name="logs", index_patterns=["logs-*"])["acknowledged"]
        assert es.indices.create(index="logs-web")["acknowledged"]
        assert helpers.bulk(es, documents(1_000)) == (1_000, [])
        assert es.index(index="logs-web", document={"n": 1_000})["result"] == "created"
        with pytest.raises(NotFoundError):
            es.search(index="logs-web")
    assert sorted(numbers(sink)) == list(range(1_001))
    assert {source.name for source, _ in sink.batches} == {"apps.payments"}


@pytest.mark.parametrize(
    "options",
    [
        {"api_key": ("registry", OTHER), "basic_auth": None},
        {"bearer_auth": OTHER, "basic_auth": None},
        {"http_compress": True, "basic_auth": ("registry", OTHER)},
    ],
)
def test_the_client_signs_in_in_every_way(collector: Http, sink: Kept, options: dict[str, Any]) -> None:
    with client(collector, **options) as es:
        results = list(helpers.streaming_bulk(es, documents(500, _op_type="create")))
    assert all(fine and told["create"]["status"] == 201 for fine, told in results)
    assert numbers(sink) == list(range(500))
    assert {source.name for source, _ in sink.batches} == {"apps.registry"}


def test_the_client_is_told_what_is_refused(collector: Http, sink: Kept) -> None:
    with client(collector) as es:
        actions: list[Any] = [
            {"n": 1},
            {"_op_type": "delete", "_id": "x"},
            {"_op_type": "update", "_id": "x", "doc": {}},
            {"n": 2},
        ]
        done, errors = helpers.bulk(es, actions, index="logs", raise_on_error=False)
        assert isinstance(errors, list)
        assert (done, [next(iter(error)) for error in errors]) == (2, ["delete", "update"])
    assert numbers(sink) == [1, 2]
    with client(collector, basic_auth=("payments", "wrong-token-0123456789")) as es, pytest.raises(ApiError) as caught:
        helpers.bulk(es, [{"n": 1}], index="logs")
    assert caught.value.status_code == 401


def test_the_client_sends_again_what_came_too_much_at_once(collector: Http, sink: Kept) -> None:
    """Items beyond the limit are told 429, and `streaming_bulk` brings those again, and no other."""
    with client(collector) as es:
        sent = helpers.streaming_bulk(
            es, documents(3_000), chunk_size=3_000, max_retries=5, initial_backoff=0.01, raise_on_error=False
        )
        assert all(fine for fine, _ in sent)
    assert Counter(numbers(sink)) == Counter(range(3_000))


def test_a_bulk_whose_answer_was_lost_is_the_same_bulk(collector: Http, sink: Kept) -> None:
    actions = [{**each, "_id": str(each["n"])} for each in documents(100)]
    troubles = [BusError("the answer of the second is lost")]

    def fail(records: object) -> None:
        if sink.batches and troubles:
            raise troubles.pop()

    sink.before = fail
    with client(collector) as es:
        for wait in (0, 0, 0):
            options: dict[str, Any] = {"max_retries": 3, "initial_backoff": wait, "retry_on_status": (503,)}
            assert helpers.bulk(es, actions, **options)[0] == 100
    assert len({(record.lane, record.seq) for record in sink.records}) == 100


# rsyslog

_ACTION = """type="omelasticsearch" server="127.0.0.1" serverport="{port}" bulkmode="on" searchIndex="logs"
searchType="" uid="payments" pwd="{secret}" {more}"""


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_rsyslog_sends_what_it_reads(tls: bool, tmp_path: Path) -> None:
    needed("omelasticsearch")
    sink, ours = Kept(), Authority(tmp_path)
    server = ours.server()
    collector = http(**({"certificate": str(server.certificate), "key": str(server.key)} if tls else {}))
    lines = [f'línea {number} "entre" \\comillas\\' for number in range(500)]

    async def run() -> None:
        async with listening(collector, sink):
            port = collector.address.rpartition(":")[2]
            more = f'usehttps="on" tls.cacert="{ours.file}"' if tls else ""
            action = _ACTION.format(port=port, secret=SECRET, more=more)
            async with rsyslog(tmp_path / "rsyslog", action, modules=["omelasticsearch"]) as sender:
                sender.write(lines)
                try:
                    await until(lambda: len(sink.records) >= len(lines), seconds=30)
                except AssertionError:
                    pytest.fail(sender.said())

    asyncio.run(run())
    found = [msgspec.json.decode(record.data)["message"].strip() for record in sink.records]
    assert found == lines


def test_rsyslog_waits_while_nothing_can_be_stored(tmp_path: Path) -> None:
    """Refused, it keeps what it has and brings it when it may."""
    needed("omelasticsearch")
    sink = Kept()
    sink.mood = "down"
    collector = http()

    async def run() -> None:
        async with listening(collector, sink):
            port = collector.address.rpartition(":")[2]
            action = _ACTION.format(port=port, secret=SECRET, more="")
            async with rsyslog(tmp_path / "rsyslog", action, modules=["omelasticsearch"]) as sender:
                sender.write([f"line {number}" for number in range(100)])
                await asyncio.sleep(1.5)
                assert sink.records == []
                sink.mood = "open"
                await until(lambda: len(sink.records) >= 100, seconds=30)

    asyncio.run(run())
    found = Counter(msgspec.json.decode(record.data)["message"].strip() for record in sink.records)
    assert found == Counter(f"line {number}" for number in range(100))

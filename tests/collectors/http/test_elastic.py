"""What shippers ask before they send, one after the other, as each of them does."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from posting import OTHER, SECRET, asked, http, listening, running
from sinks import Kept, events, letters, words

from almena.bus import open_bus
from almena.clock import Span
from collectors.http import Token
from collectors.intake import Intake

NDJSON = {"Content-Type": "application/x-ndjson"}
AS_PASSWORD = {"Authorization": "Basic " + base64.b64encode(f"payments:{SECRET}".encode()).decode()}
BULK = b'{"create":{"_index":"logs-web"}}\n{"n":1}\n{"index":{}}\n{"n":2}\n{"delete":{"_id":"x"}}\n'

SHIPPERS = {
    "filebeat 8": [
        ("GET", "/"),
        ("GET", "/_license?human=false"),
        ("GET", "/_ilm/policy/filebeat"),
        ("PUT", "/_ilm/policy/filebeat"),
        ("HEAD", "/_index_template/filebeat-8.19.0"),
        ("GET", "/_index_template/filebeat-8.19.0"),
        ("PUT", "/_index_template/filebeat-8.19.0"),
        ("GET", "/_data_stream/filebeat-8.19.0"),
        ("PUT", "/_data_stream/filebeat-8.19.0"),
        ("GET", "/_nodes/ingest"),
        ("GET", "/_ingest/pipeline/filebeat-8.19.0-nginx-access-pipeline"),
        ("PUT", "/_ingest/pipeline/filebeat-8.19.0-nginx-access-pipeline"),
        ("POST", "/_bulk?filter_path=errors%2Citems.%2A.error%2Citems.%2A.status"),
    ],
    "filebeat 7": [
        ("GET", "/"),
        ("GET", "/_xpack"),
        ("GET", "/_license"),
        ("GET", "/_cat/templates/filebeat-7.17.0"),
        ("PUT", "/_template/filebeat-7.17.0"),
        ("HEAD", "/_alias/filebeat-7.17.0"),
        ("PUT", "/%3Cfilebeat-7.17.0-%7Bnow%2Fd%7D-000001%3E"),
        ("POST", "/_bulk"),
    ],
    "logstash": [
        ("HEAD", "/"),
        ("GET", "/"),
        ("GET", "/_license"),
        ("GET", "/_xpack"),
        ("HEAD", "/_index_template/ecs-logstash"),
        ("PUT", "/_index_template/ecs-logstash"),
        ("HEAD", "/_template/logstash"),
        ("GET", "/_ilm/policy/logstash-policy"),
        ("PUT", "/_ilm/policy/logstash-policy"),
        ("HEAD", "/logstash"),
        ("PUT", "/logstash-%7Bnow%2Fd%7D-000001"),
        ("GET", "/_nodes/http"),
        ("POST", "/_bulk?filter_path=errors,items.*.error,items.*.status"),
    ],
    "vector": [("GET", "/"), ("GET", "/_cluster/health"), ("POST", "/_bulk?timeout=60s")],
    "fluent bit": [("POST", "/_bulk/?filter_path=errors,items.*.error,items.*.status")],
    "fluent bit, older": [("POST", "/_bulk/")],
    "rsyslog": [("HEAD", "/_cat/health"), ("POST", "/_bulk")],
    "elasticsearch-py": [("HEAD", "/"), ("GET", "/_cluster/health/logs"), ("PUT", "/_bulk"), ("PUT", "/logs/_bulk")],
    "opentelemetry": [("GET", "/_nodes/_all/http"), ("POST", "/_bulk?filter_path=items.*.error,items.*.status")],
}


@pytest.mark.parametrize("shipper", SHIPPERS)
def test_a_shipper_is_told_what_it_needs_to_send(shipper: str) -> None:
    sink = Kept()

    async def run() -> list[httpx.Response]:
        async with running(http(), sink) as client:
            client.headers.update(AS_PASSWORD)
            return [
                await client.request(
                    method, path, content=BULK if "_bulk" in path else b"{}" if method == "PUT" else b""
                )
                for method, path in SHIPPERS[shipper]
            ]

    for (method, path), answer in zip(SHIPPERS[shipper], asyncio.run(run()), strict=True):
        assert answer.status_code == 200, (method, path)
        assert answer.headers["x-elastic-product"] == "Elasticsearch"
        assert (answer.content == b"") == (method == "HEAD")
    assert sink.texts()[:2] == [b'{"n":1}', b'{"n":2}']


def told(path: str, **options: Any) -> dict[str, object]:
    answer = asked(lambda client: client.get(path), **options)
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, object] = answer.json()
    return found


def test_who_is_there() -> None:
    root = told("/", elastic_version="9.2.1")
    assert root["version"]["number"] == "9.2.1"  # type: ignore[index]
    assert root["tagline"] == "You Know, for Search"
    assert len(str(root["cluster_uuid"])) == 22
    assert told("/")["cluster_uuid"] == root["cluster_uuid"]
    assert told("/_license")["license"] | {"status": "active", "type": "basic"} == told("/_license")["license"]  # type: ignore[operator]
    assert told("/_cluster/health")["status"] == "green"


def test_a_sniffer_finds_the_address_it_came_by_and_nothing_it_made_up() -> None:
    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        return await client.get("/_nodes/http", headers={"Host": "logs.michoacan.example:9200"})

    async def ask_oddly(client: httpx.AsyncClient) -> httpx.Response:
        return await client.get("/_nodes/http", headers={"Host": 'x"><script>'})

    assert asked(ask).json()["nodes"]["1"]["http"]["publish_address"] == "logs.michoacan.example:9200"
    assert "script" not in asked(ask_oddly).text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/logs/_search"),
        ("POST", "/_search"),
        ("DELETE", "/logs"),
        ("GET", "/_security/user"),
        ("POST", "/_scripts/x"),
        ("PUT", "/_cluster/settings"),
        ("GET", "/a/b/c/d"),
        ("PATCH", "/x"),
    ],
)
def test_whatever_else_elasticsearch_does_is_not_here(method: str, path: str) -> None:
    answer = asked(lambda client: client.request(method, path))
    assert answer.status_code == answer.json()["status"] == 404
    assert answer.json()["error"]["reason"]


@pytest.mark.parametrize("path", ["/", "/_license", "/_cluster/health", "/_bulk", "/x/_doc", "/nothing"])
def test_nothing_is_told_to_strangers(path: str) -> None:
    headers = {"Authorization": "Bearer wrong-token-0123456789"}
    answer = asked(lambda client: client.get(path, headers=headers))
    assert answer.status_code == 401
    assert "cluster" not in answer.text


def test_a_bulk_is_answered_item_by_item() -> None:
    sink = Kept()
    answer = asked(lambda client: client.post("/logs/_bulk", content=BULK, headers=NDJSON), sink)
    items = answer.json()["items"]
    assert [(action, told["status"]) for item in items for action, told in item.items()] == [
        ("create", 201),
        ("index", 201),
        ("delete", 400),
    ]
    assert [item[next(iter(item))]["_index"] for item in items] == ["logs-web", "logs", "logs"]
    assert answer.json()["errors"] is True
    lane = sink.records[0].lane
    assert [(record.lane, record.seq) for record in sink.records] == [(lane, 0), (lane, 1)]
    assert items[0]["create"]["_id"] == f"{lane}.0"


def test_an_index_is_told_back_and_names_nothing() -> None:
    sink, name = Kept(), "../../etc/passwd\x00$(id)"
    body = msgspec.json.encode({"index": {"_index": name}}) + b'\n{"n":1}\n'
    answer = asked(lambda client: client.post("/_bulk", content=body), sink)
    assert answer.json()["items"][0]["index"]["_index"] == name
    assert "etc" not in repr(sink.records) + repr(sink.batches)


@pytest.mark.parametrize(("path", "key"), [("/logs/_doc", ""), ("/logs/_doc/a%2F1", "a/1"), ("/logs/_create/9", "9")])
def test_a_single_document_is_a_bulk_of_one(path: str, key: str) -> None:
    sink = Kept()
    answer = asked(lambda client: client.put(path, content=b' {"n":1}\n'), sink)
    assert answer.status_code == 201
    assert answer.json()["result"] == "created"
    assert answer.json()["_id"] == key or not key
    assert sink.texts() == [b'{"n":1}']
    assert asked(lambda client: client.post("/logs/_doc", content=b" ")).status_code == 400


def test_a_bulk_with_ids_is_recognised_when_it_comes_again(tmp_path: Path) -> None:
    """The answer was lost, so the shipper sends again; the same ids with other documents are something new."""
    sink = Kept()
    first = b'{"create":{"_id":"a"}}\n{"n":1}\n{"create":{"_id":"b"}}\n{"n":2}\n'

    async def run() -> None:
        for _ in range(2):
            async with running(http(), sink) as client:
                for body in (first, first.replace(b'"n":2', b'"n":3')):
                    assert not (await client.post("/_bulk", content=body)).json()["errors"]

    asyncio.run(run())
    one, other, again, other_again = [[(each.lane, each.seq) for each in batch] for _, batch in sink.batches]
    assert one == again
    assert other == other_again
    assert not set(one) & set(other)
    assert {lane[:2] for lane, _ in one} == {"i."}


def test_a_bulk_beyond_what_may_come_at_once_goes_through_in_parts() -> None:
    sink = Kept()
    body = b"".join(b'{"index":{}}\n{"n":%d}\n' % number for number in range(5))
    answer = asked(lambda client: client.post("/_bulk", content=body), sink, max_records=3)
    assert [item["index"]["status"] for item in answer.json()["items"]] == [201, 201, 201, 429, 429]
    assert len(sink.records) == 3


def test_a_bulk_that_is_not_durable_in_time_is_not_acknowledged() -> None:
    sink = Kept(delay=5)
    answer = asked(lambda client: client.post("/_bulk", content=BULK), sink, append_timeout=Span(100_000))
    assert answer.status_code == answer.json()["status"] == 503
    assert answer.headers["retry-after"]
    sink.mood = "full"
    answer = asked(lambda client: client.post("/_bulk", content=BULK), sink)
    assert (answer.status_code, answer.json()["error"]["type"]) == (429, "es_rejected_execution_exception")


def test_a_sender_beyond_its_rate_is_asked_to_come_back_and_no_other() -> None:
    tokens = {
        "noisy": Token(agency="a", token=SECRET, rate=1),
        "quiet": Token(agency="b", token=OTHER),
    }

    async def run() -> list[int]:
        collector = http(tokens=tokens)
        async with listening(collector, Kept()), httpx.AsyncClient(base_url=f"http://{collector.address}") as client:
            return [
                (
                    await client.post("/_bulk", content=BULK * 8, headers={"Authorization": f"Bearer {secret}"})
                ).status_code
                for secret in (SECRET, SECRET, OTHER, OTHER)
            ]

    assert asyncio.run(run()) == [200, 429, 200, 200]


def test_documents_arrive_on_the_bus_and_bad_ones_are_dead_letters(tmp_path: Path) -> None:
    bus = open_bus(f"sqlite:{tmp_path / 'bus.sqlite'}")
    body = b'{"create":{"_id":"a"}}\ngood\n{"create":{"_id":"b"}}\nbad\n'

    async def run() -> httpx.Response:
        intake = Intake(bus, parsers={"words": words}, mask=lambda event: event, seal=bytes.hex)
        async with intake as sink, running(http(), sink) as client:
            return await client.post("/_bulk", content=body)

    answer = asyncio.run(run()).json()
    assert [item["create"]["status"] for item in answer["items"]] == [201, 201]
    (event,) = events(bus)
    (letter,) = letters(bus)
    assert event["event.id"] == f"apps.payments:{letter['lane']}:0"
    assert letter["place"] == letter["seq"] == 1
    bus.close()

"""The store in a real Elasticsearch: what lies there, how much it takes at once, what grows and what goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from elasticstores import empty, fresh, prefixed
from proxies import FaultyProxy

from almena.alert import SEVERITY
from almena.clock import DAY, HOUR, SECOND, format_time
from almena.errors import StoreError
from almena.store import (
    ALERTS,
    ALL,
    SESSIONS,
    Cardinality,
    Document,
    Filter,
    Histogram,
    Query,
    Store,
    Terms,
    elasticsearch_count,
)
from almena.store.elasticsearch import BODY_BYTES, SCANNED_AT_ONCE, ElasticsearchStore
from almena.store.elasticsearch_mapping import version
from almena.store.memory import MemoryStore
from almena.store.settings import ElasticsearchSettings

NOVEMBER = 1_793_491_200 * SECOND  # 2026-11-01


@pytest.fixture
def client(elasticsearch: str) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch) as made:
        yield made


@pytest.fixture(scope="module")
def shared(elasticsearch: str) -> Iterator[ElasticsearchStore]:
    with fresh(elasticsearch, shards=3) as store:
        yield store


@pytest.fixture
def store(shared: ElasticsearchStore) -> Iterator[ElasticsearchStore]:
    yield shared
    empty(shared)


def alert(moment: int, **fields: Any) -> Document:
    return {"@timestamp": format_time(moment), "organization.id": "fin", **fields}


def query(**parts: Any) -> Query:
    return Query(**{"kind": ALERTS, "scope": ALL, **parts})


def indices(client: Elasticsearch, prefix: str) -> list[str]:
    return sorted(index["name"] for index in client.indices.resolve_index(name=f"{prefix}-*")["indices"])


# --- what lies there --------------------------------------------------------------------------------------------


def test_other_programs_find_alerts_by_their_types(elasticsearch: str, client: Elasticsearch) -> None:
    with prefixed(elasticsearch) as prefix:
        store = ElasticsearchStore(elasticsearch, ElasticsearchSettings(prefix=prefix, replicas=0))
        document = alert(
            NOVEMBER,
            **{
                "event.kind": "alert",
                "event.module": "almena",
                "event.severity": SEVERITY["high"],
                "event.risk_score": 73.0,
                "message": "Inicio de sesión imposible",
                "source.ip": "10.1.2.3",
                "almena.alert.shadow": False,
            },
        )
        store.create_many(ALERTS, {"202611-a": document, "202610-b": alert(NOVEMBER - DAY), "c": alert(0)})
        store.count(query())
        assert indices(client, prefix) == [f"{prefix}-alerts-{end}" for end in ("2026.10", "2026.11", "other")]
        for asked in (
            {"term": {"event.kind": "alert"}},
            {"range": {"event.severity": {"gte": 70, "lt": 99}}},
            {"range": {"event.risk_score": {"gt": 72.9}}},
            {"term": {"source.ip": "10.1.0.0/16"}},
            {"match": {"message": "imposible"}},
            {"range": {"@timestamp": {"gte": "2026-11-01", "lt": "2026-11-02"}}},
            {"bool": {"filter": [{"term": {"almena.alert.shadow": False}}]}},
        ):
            hits = client.search(index=f"{prefix}-alerts-*", query=asked)["hits"]["hits"]
            assert [hit["_id"] for hit in hits] == ["202611-a"], asked
            assert hits[0]["_source"]["message"] == document["message"]
        store.close()


def test_hostile_names_add_nothing_to_the_mapping(elasticsearch: str, client: Elasticsearch) -> None:
    with prefixed(elasticsearch) as prefix:
        store = ElasticsearchStore(elasticsearch, ElasticsearchSettings(prefix=prefix, replicas=0))
        store.create_many(SESSIONS, {"a": {}})
        before = client.indices.get_mapping(index=f"{prefix}-sessions").body
        document = {f"name{number}.x": number for number in range(3_000)} | {"a..b": 1, "host": 2, "host.name": "x"}
        store.create_many(SESSIONS, {"b": document})
        found = store.get(SESSIONS, "b", scope=ALL)
        assert found is not None
        assert found.document == document
        assert client.indices.get_mapping(index=f"{prefix}-sessions").body == before
        store.close()


def test_the_template_is_put_once_and_never_back(elasticsearch: str, client: Elasticsearch) -> None:
    def there() -> tuple[int, Any]:
        found = client.indices.get_index_template(name=f"{prefix}-store")["index_templates"][0]["index_template"]
        return found["version"], found["_meta"]["replicas"]

    def opened(**settings: Any) -> None:
        ElasticsearchStore(elasticsearch, ElasticsearchSettings(prefix=prefix, **settings)).close()

    with prefixed(elasticsearch) as prefix:
        opened(replicas=0)
        assert there() == (version(), 0)
        opened(replicas=2)
        assert there() == (version(), 2)
        for changed, expected in ((version() + 1, (version() + 1, 0)), (version() - 1, (version(), 1))):
            client.indices.put_index_template(
                name=f"{prefix}-store", index_patterns=[f"{prefix}-x"], version=changed, meta={"replicas": 0}
            )
            opened(replicas=1)
            assert there() == expected


def test_indices_learn_what_the_schema_has_gained(elasticsearch: str, client: Elasticsearch) -> None:
    with prefixed(elasticsearch) as prefix:
        client.indices.put_index_template(name=f"{prefix}-store", index_patterns=[f"{prefix}-*"], version=1)
        client.indices.create(index=f"{prefix}-alerts-2026.11", settings={"number_of_replicas": 0})
        store = ElasticsearchStore(elasticsearch, ElasticsearchSettings(prefix=prefix, replicas=0))
        store.create_many(ALERTS, {"202611-a": alert(NOVEMBER, **{"rule.id": "r"})})
        assert store.aggregate(query(), Terms("rule.id")) == [("r", 1)]
        store.close()


def test_others_see_a_write_within_two_seconds(elasticsearch: str) -> None:
    with prefixed(elasticsearch) as prefix:
        settings = ElasticsearchSettings(prefix=prefix, replicas=0)
        mine, other = ElasticsearchStore(elasticsearch, settings), ElasticsearchStore(elasticsearch, settings)
        mine.create_many(ALERTS, {"202611-a": alert(NOVEMBER)})
        assert other.get(ALERTS, "202611-a", scope=ALL) is not None
        deadline = time.monotonic() + 5
        while other.count(query()) == 0 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert other.count(query()) == 1
        mine.close()
        other.close()


# --- much at once -----------------------------------------------------------------------------------------------


def test_requests_have_a_size(elasticsearch: str) -> None:
    with FaultyProxy(elasticsearch) as proxy, fresh(proxy.url) as store:
        large = {f"202611-{number}": alert(NOVEMBER, text=str(number) + "x " * 500_000) for number in range(14)}
        assert set(store.create_many(ALERTS, large).values()) == {"created"}
        bulks = [request for request in proxy.seen if "_bulk" in request.path]
        assert len(bulks) == 3
        assert max(len(request.body) for request in bulks) < BODY_BYTES + 1_100_000
        small = {f"202611-s{number}": alert(NOVEMBER) for number in range(2_500)}
        assert set(store.create_many(ALERTS, small).values()) == {"created"}
        assert len([request for request in proxy.seen if "_bulk" in request.path]) == 6
        assert [item.id for item in store.scan(ALERTS)] == sorted([*large, *small])


def test_a_document_of_many_megabytes(store: ElasticsearchStore) -> None:
    document = {"x": "ñ\n" * 1_300_000, "y": [f"v{number}" for number in range(300_000)]}
    assert store.create_many(ALERTS, {"a": document}) == {"a": "created"}
    assert store.create_many(ALERTS, {"a": document}) == {"a": "same"}
    assert store.search(query(filters=(Filter("y", "in", ("v999",)),))).items[0].document == document
    assert store.count(query(filters=(Filter("y", "in", ("v1000",)),))) == 0


def test_counts_of_many_values_are_exact(store: ElasticsearchStore, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = MemoryStore()
    documents = {
        f"202611-{number}": alert(NOVEMBER + number * SECOND, x=f"v{number % 120}", **{"user.name": f"u{number % 30}"})
        for number in range(300)
    }
    for each in (store, memory):
        each.create_many(ALERTS, documents)
    monkeypatch.setattr(elasticsearch_count, "AT_ONCE", 20)
    for field in ("x", "user.name", "@timestamp"):
        for by in (Terms(field, 3), Terms(field, 25), Cardinality(field), Histogram(field, HOUR)):
            assert store.aggregate(query(), by) == memory.aggregate(query(), by), by
    monkeypatch.setattr(elasticsearch_count, "MOST_DIFFERENT", 100)
    assert store.aggregate(query(), Cardinality("user.name")) == [("user.name", 30)]
    with pytest.raises(StoreError, match="100 different values"):
        store.aggregate(query(), Cardinality("x"))


def test_the_largest_page_and_what_follows(store: ElasticsearchStore) -> None:
    store.create_many(ALERTS, {f"202611-{number:05}": {"n": number} for number in range(10_001)})
    page = store.search(query(limit=10_000, sort="n", descending=False))
    assert [item.document["n"] for item in page.items] == list(range(10_000))
    assert page.cursor is not None
    rest = store.search(query(limit=10_000, sort="n", descending=False), page.cursor)
    assert ([item.document["n"] for item in rest.items], rest.cursor) == ([10_000], None)


def test_a_scan_is_of_one_moment(store: ElasticsearchStore) -> None:
    names = sorted(f"a{number}" for number in range(SCANNED_AT_ONCE + 20))
    store.create_many(SESSIONS, {name: {"x": 1} for name in names})
    reading = store.scan(SESSIONS)
    seen = [item.id for item in islice(reading, 10)]
    store.create_many(SESSIONS, {"zz": {}, "a": {}})
    store.delete(SESSIONS, names[-1])
    assert seen + [item.id for item in reading] == names
    assert len(list(store.scan(SESSIONS))) == len(names) + 1


# --- what goes --------------------------------------------------------------------------------------------------


def test_alerts_go_by_whole_months(elasticsearch: str, client: Elasticsearch) -> None:
    with prefixed(elasticsearch) as prefix:
        store: Store = ElasticsearchStore(elasticsearch, ElasticsearchSettings(prefix=prefix, replicas=0))
        store.create_many(
            ALERTS,
            {
                "202609-a": alert(NOVEMBER - 40 * DAY),
                "202610-b": alert(NOVEMBER - 2 * DAY),
                "202610-c": alert(NOVEMBER - DAY),
                "202611-d": alert(NOVEMBER),
                "nameless": alert(NOVEMBER - 3 * DAY),
                "timeless": {"x": 1},
            },
        )
        client.indices.create(index=f"{prefix}-alerts-2026.09.old", settings={"number_of_replicas": 0})
        assert store.expire(ALERTS, NOVEMBER - DAY) == 2
        assert store.expire(ALERTS, NOVEMBER) == 2
        assert [item.id for item in store.scan(ALERTS)] == ["202611-d", "timeless"]
        left = [f"{prefix}-alerts-{end}" for end in ("2026.09.old", "2026.11", "other")]
        assert indices(client, prefix) == left
        store.close()


def test_what_changes_while_old_documents_go_stays(store: ElasticsearchStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.create_many(SESSIONS, {name: alert(NOVEMBER - DAY) for name in "abc"})
    found = store.get(SESSIONS, "b", scope=ALL)
    assert found is not None
    write = store._write

    def slow(*arguments: Any) -> Any:
        monkeypatch.setattr(store, "_write", write)
        store.replace(SESSIONS, "b", alert(NOVEMBER), found.version)
        return write(*arguments)

    monkeypatch.setattr(store, "_write", slow)
    assert store.expire(SESSIONS, NOVEMBER) == 2
    assert [item.id for item in store.scan(SESSIONS)] == ["b"]

"""The line to Elasticsearch through proxies: who may enter, what passes, what is told; nothing lost or doubled."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import proxies
import pytest
from elasticstores import empty, fresh, prefixed
from forwarding import Reply, Request
from proxies import CheckingProxy, Fault, FaultyProxy

from almena.errors import AlmenaError, ConfigError, Conflict, Refused, StoreError
from almena.store import ALERTS, ALL, SESSIONS, Cardinality, Document, Query, Terms, open_store
from almena.store.elasticsearch import ElasticsearchStore
from almena.store.elasticsearch_client import hosts_of
from almena.store.settings import ElasticsearchSettings

NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def spoiled(elasticsearch: str) -> Iterator[tuple[FaultyProxy, ElasticsearchStore, ElasticsearchStore]]:
    """Behind a proxy that has faults when told: a store that tries for ten seconds, and one that tries once."""
    with FaultyProxy(elasticsearch) as proxy, fresh(proxy.url, request=0.6, patience=10) as store:
        store.create_many(SESSIONS, {"first": {}})  # making an index takes longer than a request of the hasty one
        store.delete(SESSIONS, "first")
        settings = ElasticsearchSettings(prefix=store._prefix, replicas=0)
        with closing(ElasticsearchStore(proxy.url, settings, request=1, patience=0)) as hasty:
            yield proxy, store, hasty


@pytest.fixture
def proxy(spoiled: tuple[FaultyProxy, ElasticsearchStore, ElasticsearchStore]) -> Iterator[FaultyProxy]:
    yield spoiled[0]
    spoiled[0].heal()
    spoiled[0].seen.clear()
    empty(spoiled[1], SESSIONS)


@pytest.fixture
def store(spoiled: tuple[FaultyProxy, ElasticsearchStore, ElasticsearchStore]) -> ElasticsearchStore:
    return spoiled[1]


@pytest.fixture
def hasty(spoiled: tuple[FaultyProxy, ElasticsearchStore, ElasticsearchStore]) -> ElasticsearchStore:
    return spoiled[2]


def read(store: ElasticsearchStore, identity: str) -> Document | None:
    found = store.get(SESSIONS, identity, scope=ALL)
    return None if found is None else found.document


def answer(body: object) -> Reply:
    return Reply(200, msgspec.json.encode(body), {"Content-Type": "application/json", **proxies.PRODUCT})


def ids(store: ElasticsearchStore) -> list[str]:
    return [item.id for item in store.scan(SESSIONS)]


# --- what passes ------------------------------------------------------------------------------------------------

PASSING: list[Fault] = [
    proxies.too_many,
    proxies.unavailable,
    proxies.drop,
    proxies.hang,
    proxies.lose_answer,
    proxies.refuse_items(429),
    proxies.refuse_items(503),
    proxies.refuse_items(429, count=2),
]


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: getattr(fault, "__qualname__", "fault"))
def test_a_write_outlasts_what_passes(proxy: FaultyProxy, store: ElasticsearchStore, fault: Fault) -> None:
    proxy.fail(fault, path="_bulk", times=1)
    documents = {name: {"x": name} for name in "abcde"}
    outcomes = store.create_many(SESSIONS, documents)
    assert list(outcomes) == list(documents)
    assert set(outcomes.values()) <= {"created", "same"}
    assert ids(store) == ["a", "b", "c", "d", "e"]
    read_before = store.get(SESSIONS, "a", scope=ALL)
    assert read_before is not None
    proxy.fail(fault, path="_bulk", times=1)
    version = store.replace(SESSIONS, "a", {"x": 2}, read_before.version)
    found = store.get(SESSIONS, "a", scope=ALL)
    assert found is not None
    assert (found.document, found.version) == ({"x": 2}, version)
    proxy.fail(fault, path="_bulk", times=1)
    store.delete(SESSIONS, "b")
    assert ids(store) == ["a", "c", "d", "e"]
    assert len([request for request in proxy.seen if "_bulk" in request.path]) >= 6


@pytest.mark.parametrize("fault", [proxies.too_many, proxies.unavailable, proxies.drop, proxies.lose_answer])
def test_a_question_outlasts_what_passes(proxy: FaultyProxy, store: ElasticsearchStore, fault: Fault) -> None:
    store.create_many(SESSIONS, {name: {"x": name} for name in "abc"})
    query = Query(kind=SESSIONS, scope=ALL)
    for ask in (
        lambda: store.search(query).items,
        lambda: store.count(query),
        lambda: store.aggregate(query, Terms("x")),
        lambda: store.get(SESSIONS, "a", scope=ALL),
        lambda: ids(store),
    ):
        proxy.heal()
        expected = ask()
        proxy.fail(fault, times=1)
        assert ask() == expected


def test_a_question_outlasts_silence(proxy: FaultyProxy, store: ElasticsearchStore) -> None:
    proxy.fail(proxies.hang, times=1)
    assert store.count(Query(kind=SESSIONS, scope=ALL)) == 0
    assert proxy.healed.is_set() is False


def test_a_refresh_that_fails_is_made_before_the_next_answer(proxy: FaultyProxy, hasty: ElasticsearchStore) -> None:
    hasty.create_many(SESSIONS, {"a": {}})
    proxy.fail(proxies.unavailable, path="_refresh")
    with pytest.raises(StoreError, match="refreshing"):
        hasty.count(Query(kind=SESSIONS, scope=ALL))
    proxy.heal()
    assert hasty.count(Query(kind=SESSIONS, scope=ALL)) == 1


def test_every_increment_counts_once_whatever_is_lost(proxy: FaultyProxy, store: ElasticsearchStore) -> None:
    store.create_many(SESSIONS, {"a": {"count": 0}})
    done = 0
    for number in range(6):
        found = store.get(SESSIONS, "a", scope=ALL)
        assert found is not None
        proxy.fail([proxies.lose_answer, proxies.drop, proxies.too_many][number % 3], path="_bulk", times=1)
        store.replace(SESSIONS, "a", {"count": found.document["count"] + 1}, found.version)
        done += 1
    assert read(store, "a") == {"count": done}


def test_a_replacement_that_nobody_can_tell_about_is_said_to_be_unclear(
    proxy: FaultyProxy, store: ElasticsearchStore
) -> None:
    store.create_many(SESSIONS, {"a": {"x": 0}})
    found = store.get(SESSIONS, "a", scope=ALL)
    assert found is not None

    def overtaken(request: Request, proxy: FaultyProxy) -> Reply | None:
        proxies.lose_answer(request, proxy)
        again = store.get(SESSIONS, "a", scope=ALL)
        assert again is not None
        store.replace(SESSIONS, "a", {"x": 2}, again.version)
        return None

    proxy.fail(overtaken, path="_bulk", times=1)
    with pytest.raises(StoreError, match="read it again") as caught:
        store.replace(SESSIONS, "a", {"x": 1}, found.version)
    assert not isinstance(caught.value, Conflict)
    assert read(store, "a") == {"x": 2}


# --- what is told -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (proxies.too_many, "429 es_rejected_execution_exception"),
        (proxies.unavailable, "503 cluster_block_exception"),
        (proxies.read_only, "make room or lift the block"),
        (proxies.drop, "check the address"),
        (proxies.hang, "no answer in time"),
        (proxies.refuse_items(429), "too busy"),
        (proxies.refuse_items(403), "make room or lift the block"),
        (lambda request, proxy: proxies.error(401, "security_exception", "no such key"), "api_key_file"),
        (lambda request, proxy: proxies.error(403, "security_exception", "write"), "deploy/elasticsearch"),
        (lambda request, proxy: Reply(200, b"<html>", {"Content-Type": "application/json", **proxies.PRODUCT}), "JSON"),
    ],
)
def test_what_does_not_pass_is_told_and_nothing_is_lost(
    proxy: FaultyProxy, store: ElasticsearchStore, hasty: ElasticsearchStore, fault: Fault, said: str
) -> None:
    store.create_many(SESSIONS, {"a": {"x": 1}})
    found = store.get(SESSIONS, "a", scope=ALL)
    assert found is not None
    proxy.fail(fault, path="_bulk")
    writes: list[Callable[[], Any]] = [
        lambda: hasty.create_many(SESSIONS, {"b": {}, "c": {}}),
        lambda: hasty.replace(SESSIONS, "a", {"x": 2}, found.version),
    ]
    for write in writes:
        with pytest.raises(StoreError, match=f"{proxy.url}.*{said}") as caught:
            write()
        assert not isinstance(caught.value, (Refused, Conflict))
    proxy.heal()
    assert store.create_many(SESSIONS, {"b": {}, "c": {}}) == {"b": "created", "c": "created"}
    assert store.replace(SESSIONS, "a", {"x": 2}, found.version) > found.version
    assert ids(store) == ["a", "b", "c"]


def test_a_refused_document_is_named_and_the_others_are_stored(proxy: FaultyProxy, store: ElasticsearchStore) -> None:
    proxy.fail(proxies.refuse_items(400, ids=["b"]), path="_bulk")
    with pytest.raises(Refused, match=r"sessions/b.*document_parsing_exception"):
        store.create_many(SESSIONS, {"a": {}, "b": {}, "c": {}})
    assert ids(store) == ["a", "c"]
    assert store.create_many(SESSIONS, {"a": {}, "c": {}}) == {"a": "same", "c": "same"}


def test_a_proxy_that_takes_little_is_given_little(proxy: FaultyProxy, store: ElasticsearchStore) -> None:
    def narrow(request: Request, proxy: FaultyProxy) -> Reply:
        if len(request.body) > 2_000:
            return Reply(413, b"<html>Request Entity Too Large</html>", {"Content-Type": "text/html"})
        return proxy.forward(request)

    proxy.fail(narrow, path="_bulk")
    outcomes = store.create_many(SESSIONS, {f"a{number:02}": {"x": "y" * 100} for number in range(20)})
    assert set(outcomes.values()) == {"created"}
    assert len(ids(store)) == 20
    with pytest.raises(Refused, match="sessions/large"):
        store.create_many(SESSIONS, {"large": {"x": "y" * 3_000}})


def test_a_shard_that_is_away_is_no_missing_document(
    proxy: FaultyProxy, store: ElasticsearchStore, hasty: ElasticsearchStore
) -> None:
    store.create_many(SESSIONS, {"a": {}})

    def away(request: Request, proxy: FaultyProxy) -> Reply:
        docs = [{"_index": "x", "_id": "a", "error": {"type": "no_shard_available_action_exception", "reason": "x"}}]
        return answer({"docs": docs})

    proxy.fail(away, path="_mget", times=1)
    assert read(store, "a") == {}
    proxy.fail(away, path="_mget")
    with pytest.raises(StoreError, match="no_shard_available"):
        hasty.get(SESSIONS, "a", scope=ALL)


def test_ids_never_stand_in_a_path(proxy: FaultyProxy, store: ElasticsearchStore) -> None:
    names = ["..", ".", "../..", "_all", "*", "a/b", "%2e%2e", "?x", "#", "\n", " ", "ñ🦉"]
    assert set(store.create_many(SESSIONS, {name: {"x": name} for name in names}).values()) == {"created"}
    assert sorted(ids(store)) == sorted(names)
    before = len(proxy.seen)
    for name in names:
        assert read(store, name) == {"x": name}
        store.delete(SESSIONS, name)
    assert ids(store) == []
    kind = f"/{store._prefix}-sessions"
    plain = {"/_mget", "/_bulk", "/_search", "/_pit", f"{kind}/_pit", f"{kind}/_refresh"}
    assert {request.path.partition("?")[0] for request in proxy.seen[before:]} <= plain


def test_a_long_absence_ends_without_loss(proxy: FaultyProxy, store: ElasticsearchStore) -> None:
    proxy.fail(proxies.drop, times=2, path="_bulk")
    proxy.fail(proxies.lose_answer, path="_bulk")
    healer = threading.Timer(0.8, proxy.heal)
    healer.start()
    outcomes = store.create_many(SESSIONS, {"a": {"x": 1}, "b": {"x": 2}})
    healer.join()
    assert outcomes == {"a": "same", "b": "same"}
    assert ids(store) == ["a", "b"]


# --- who may enter ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checking(elasticsearch: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CheckingProxy]:
    with CheckingProxy(elasticsearch, tmp_path_factory.mktemp("tls"), users={"almena": "s3creto ñ"}) as proxy:
        proxy.keys.add("aWQ6c2VjcmV0bw==")
        yield proxy


def enter(url: str, **settings: Any) -> None:
    """Open a store, which puts its template, and ask something."""
    store = ElasticsearchStore(url, ElasticsearchSettings(**settings), request=5, patience=0.2)
    try:
        assert store.aggregate(Query(kind=ALERTS, scope=ALL), Cardinality("x")) == [("x", 0)]
    finally:
        store.close()


def test_keys_users_authorities_and_fingerprints_let_in(
    checking: CheckingProxy, elasticsearch: str, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("aWQ6c2VjcmV0bw==\n")
    (tmp_path / "password").write_text("s3creto ñ\n")
    for file in tmp_path.iterdir():
        file.chmod(0o600)
    by_ca, by_print = {"ca": str(checking.ca)}, {"fingerprint": checking.fingerprint}
    with prefixed(elasticsearch) as prefix:
        enter(checking.url, prefix=prefix, api_key="aWQ6c2VjcmV0bw==", **by_ca)
        enter(checking.url, prefix=prefix, api_key_file=str(tmp_path / "key"), **by_print)
        enter(checking.url, prefix=prefix, user="almena", password="s3creto ñ", **by_ca)
        enter(checking.url, prefix=prefix, user="almena", password_file=str(tmp_path / "password"), **by_print)
        colons = ":".join(checking.fingerprint[at : at + 2] for at in range(0, 64, 2)).upper()
        enter(checking.url, prefix=prefix, api_key="aWQ6c2VjcmV0bw==", fingerprint=colons)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"ca": "{ca}"}, "401.*api_key_file"),
        ({"ca": "{ca}", "api_key": "ZmFsc286Y2xhdmU="}, "401.*api_key_file"),
        ({"ca": "{ca}", "user": "almena", "password": "otro"}, "401.*password_file"),
        ({"api_key": "aWQ6c2VjcmV0bw=="}, "no trusted connection.*ca"),
        ({"api_key": "aWQ6c2VjcmV0bw==", "fingerprint": "0" * 64}, "no trusted connection.*fingerprint"),
        ({"ca": "/nowhere/ca.pem"}, "ca"),
        ({"ca": "{ca}", "fingerprint": "0" * 64}, "not both"),
    ],
)
def test_who_may_not_enter_is_told_what_to_check(checking: CheckingProxy, settings: dict[str, str], said: str) -> None:
    before = len(checking.seen)
    named = {name: value.format(ca=checking.ca) for name, value in settings.items()}
    with pytest.raises(AlmenaError, match=said) as caught:
        enter(checking.url, prefix="test-nobody", **named)
    assert "c2VjcmV0bw" not in str(caught.value)
    if "api_key" in settings and "ca" not in settings:
        assert len(checking.seen) == before, "the key was sent to a server that is not trusted"


def test_without_the_right_to_put_a_template_one_that_is_there_serves(
    elasticsearch: str, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(request: Request, proxy: FaultyProxy) -> Reply:
        return proxies.error(403, "security_exception", "action [indices:admin/index_template/put] is unauthorized")

    with prefixed(elasticsearch) as prefix, FaultyProxy(elasticsearch) as proxy:
        proxy.fail(refused, path="_index_template", method="PUT")
        with pytest.raises(StoreError, match=r"403.*deploy/elasticsearch"):
            enter(proxy.url, prefix=prefix)
        enter(elasticsearch, prefix=prefix, replicas=0)
        enter(proxy.url, prefix=prefix, replicas=0)
        assert not caplog.records
        enter(proxy.url, prefix=prefix, replicas=1)
        assert "the template that is there" in caplog.text


@pytest.mark.parametrize(
    "settings", [{"api_key": "x"}, {"user": "a", "password": "b"}, {"ca": "x"}, {"fingerprint": "0" * 64}]
)
def test_secrets_do_not_travel_in_clear_text(settings: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="https://"):
        open_store("http://10.0.0.1:9200", ElasticsearchSettings(**settings))  # type: ignore[arg-type]


def test_a_server_that_is_not_there_is_named(elasticsearch: str) -> None:
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:9.*check the address"):
        enter(NOBODY, prefix="test-nobody")


def test_one_of_several_servers_is_enough(elasticsearch: str) -> None:
    address = elasticsearch.removeprefix("http://")
    with prefixed(elasticsearch) as prefix:
        settings = ElasticsearchSettings(prefix=prefix, replicas=0)
        store = ElasticsearchStore(f"{NOBODY},{address},127.0.0.1:10", settings)
        for number in range(6):
            store.create_many(SESSIONS, {f"a{number}": {}})
            assert store.count(Query(kind=SESSIONS, scope=ALL)) == number + 1
        store.close()


# --- which servers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (["8.19.21", "7.17.29"], r"7\.17\.29.*8\.11 to 9\.x"),
        (["8.10.4"], r"8\.10\.4"),
        (["10.0.0"], r"10\.0\.0"),
        (["x"], "version x"),
        ([], "unknown"),
    ],
)
def test_other_versions_are_refused(elasticsearch: str, found: list[str], said: str) -> None:
    def speak(request: Request, proxy: FaultyProxy) -> Reply:
        nodes = {str(number): {"version": version} for number, version in enumerate(found)}
        return Reply(
            200, msgspec.json.encode({"nodes": nodes}), {"Content-Type": "application/json", **proxies.PRODUCT}
        )

    with FaultyProxy(elasticsearch) as proxy:
        proxy.fail(speak, path="_nodes")
        with pytest.raises(ConfigError, match=said):
            enter(proxy.url, prefix="test-nobody")


def test_what_is_no_elasticsearch_is_refused(elasticsearch: str) -> None:
    with FaultyProxy(elasticsearch) as proxy:
        proxy.fail(lambda request, proxy: Reply(200, b"{}", {"Content-Type": "application/json"}))
        with pytest.raises(ConfigError, match="is no Elasticsearch"):
            enter(proxy.url, prefix="test-nobody")


def test_addresses() -> None:
    assert hosts_of("https://a:9200,b:9201, c/") == ["https://a:9200", "https://b:9201", "https://c:9200"]
    assert hosts_of("http://[::1]:9200") == ["http://[::1]:9200"]
    for wrong in (
        "https:",
        "https://",
        "https://a,,b",
        "https://u:p@a",
        "https://a/path",
        "https://a:x",
        "https://a?b",
    ):
        with pytest.raises(ConfigError, match="HOST"):
            hosts_of(wrong)

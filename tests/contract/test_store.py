"""What every store promises, held against each of them by its URL."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from elasticstores import empty, fresh

from almena.clock import HOUR, SECOND, format_time
from almena.errors import Conflict, StoreError
from almena.store import ALL, Cardinality, Document, Filter, Histogram, Query, Store, Terms, open_store

START = 1_780_000_000 * SECOND


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest) -> Iterator[Store]:
    """One store in Elasticsearch for all tests, since making indices takes it a while."""
    with fresh(request.getfixturevalue("elasticsearch")) as opened:
        yield opened


@pytest.fixture(params=["memory:", "sqlite:{path}/store.sqlite", "elasticsearch"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "elasticsearch":
        shared: Store = request.getfixturevalue("cluster")
        yield shared
        empty(shared)
        return
    opened = open_store(request.param.format(path=tmp_path))
    yield opened
    opened.close()


def alert(number: int, **fields: Any) -> Document:
    named = {name.replace("__", "."): value for name, value in fields.items()}
    return {"@timestamp": format_time(START + number * SECOND), "organization.id": "fin", **named}


def query(**parts: Any) -> Query:
    return Query(kind="alerts", **{"scope": ALL, **parts})


def ids(store: Store, asked: Query) -> list[str]:
    """All pages of the answer, one after the other."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = store.search(asked, cursor)
        assert len(page.items) <= asked.limit
        found += [item.id for item in page.items]
        cursor = page.cursor
        if cursor is None:
            return found


# --- documents and versions -------------------------------------------------------------------------------------


def test_a_document_comes_back_as_it_was(store: Store) -> None:
    document = alert(1, message="ñandú", nested={"a": [1, {"b": None}], "c": 1.5}, empty=[], none=None, big=2**70)
    assert store.create_many("alerts", {"a": document}) == {"a": "created"}
    found = store.get("alerts", "a", scope=ALL)
    assert found is not None
    assert (found.id, found.document) == ("a", document)
    assert store.search(query()).items == [found]


def test_create_tells_new_same_and_different(store: Store) -> None:
    store.create_many("alerts", {"a": alert(1, x=1, y=2), "b": alert(2)})
    outcomes = store.create_many("alerts", {"a": {"y": 2, **alert(1), "x": 1}, "b": alert(3), "c": alert(4)})
    assert outcomes == {"a": "same", "b": "different", "c": "created"}
    assert store.get("alerts", "b", scope=ALL).document == alert(2)  # type: ignore[union-attr]


def test_true_and_one_are_different_content(store: Store) -> None:
    store.create_many("alerts", {"a": {"x": 1}})
    assert store.create_many("alerts", {"a": {"x": True}}) == {"a": "different"}


def test_the_same_id_in_another_kind_is_another_document(store: Store) -> None:
    store.create_many("alerts", {"a": alert(1, message="uno")})
    assert store.create_many("dead", {"a": alert(2, message="dos")}) == {"a": "created"}
    assert store.count(query()) == 1
    assert ids(store, query(text="dos")) == []
    assert store.expire("dead", START + HOUR) == 1
    assert ids(store, query()) == ["a"]


def test_what_was_read_cannot_change_what_is_stored(store: Store) -> None:
    given = alert(1, tags=["a"])
    store.create_many("alerts", {"a": given})
    given["tags"].append("b")
    store.get("alerts", "a", scope=ALL).document["tags"].append("c")  # type: ignore[union-attr]
    assert store.get("alerts", "a", scope=ALL).document["tags"] == ["a"]  # type: ignore[union-attr]


def test_replace_needs_the_version_that_was_read(store: Store) -> None:
    store.create_many("alerts", {"a": alert(1, message="antes")})
    read = store.get("alerts", "a", scope=ALL)
    assert read is not None
    version = store.replace("alerts", "a", alert(1, message="después"), read.version)
    assert version > read.version
    with pytest.raises(Conflict, match="alerts/a"):
        store.replace("alerts", "a", alert(1, message="perdido"), read.version)
    again = store.get("alerts", "a", scope=ALL)
    assert again is not None
    assert (again.version, again.document["message"]) == (version, "después")
    assert ids(store, query(text="antes")) == []
    assert ids(store, query(text="despues")) == ["a"]


def test_a_version_never_comes_back(store: Store) -> None:
    store.create_many("sessions", {"a": {"x": 1}})
    old = store.get("sessions", "a", scope=ALL)
    assert old is not None
    store.delete("sessions", "a")
    store.create_many("sessions", {"a": {"x": 2}})
    with pytest.raises(Conflict):
        store.replace("sessions", "a", {"x": 3}, old.version)


def test_replacing_what_is_not_there_is_a_conflict(store: Store) -> None:
    with pytest.raises(Conflict):
        store.replace("alerts", "a", alert(1), 1)


def test_delete_removes_from_every_index(store: Store) -> None:
    store.create_many("alerts", {"a": alert(1, message="palabra"), "b": alert(2)})
    store.delete("alerts", "a")
    store.delete("alerts", "never there")
    assert store.get("alerts", "a", scope=ALL) is None
    assert ids(store, query(text="palabra")) == []
    assert ids(store, query()) == ["b"]
    assert store.aggregate(query(), Terms("message")) == []


@pytest.mark.parametrize(
    ("identity", "document"),
    [
        ("", {}),
        ("a\x00", {}),
        ("a" * 600, {}),
        ("\ud800", {}),
        ("a", {"x": "\ud800"}),
        ("a", {"x": object()}),
        ("a", {"x": {1, 2}, "y": float}),
        ("a", {"x": "y" * (9 * 1024 * 1024)}),
    ],
)
def test_what_cannot_be_stored_is_refused_whole(store: Store, identity: str, document: Document) -> None:
    with pytest.raises(StoreError):
        store.create_many("alerts", {"good": alert(1), identity: document})
    assert store.count(query()) == 0


def test_depth_without_end_is_refused(store: Store) -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(StoreError):
        store.create_many("alerts", {"a": {"x": deep}})


# --- scope ------------------------------------------------------------------------------------------------------


def test_nothing_leaves_its_agency(store: Store) -> None:
    store.create_many("alerts", {"f": alert(1, message="x"), "e": alert(2, message="x", organization__id="edu")})
    store.create_many("alerts", {"none": {"@timestamp": format_time(START), "message": "x"}})
    fin = frozenset({"fin"})
    assert store.get("alerts", "f", scope=fin) is not None
    assert store.get("alerts", "e", scope=fin) is None
    assert store.get("alerts", "none", scope=fin) is None
    for text in ("", "x"):
        scoped = query(scope=fin, text=text)
        assert ids(store, scoped) == ["f"]
        assert store.count(scoped) == 1
        assert store.aggregate(scoped, Terms("organization.id")) == [("fin", 1)]
        assert store.aggregate(scoped, Cardinality("organization.id")) == [("organization.id", 1)]
        assert sum(count for _, count in store.aggregate(scoped, Histogram("@timestamp", HOUR))) == 1
    for sort in ("@timestamp", "message", "missing"):
        assert ids(store, query(scope=fin, sort=sort)) == ["f"]
    assert sorted(ids(store, query(scope=frozenset({"fin", "edu"})))) == ["e", "f"]
    assert len(ids(store, query())) == 3


def test_an_empty_scope_sees_nothing(store: Store) -> None:
    store.create_many("alerts", {"a": alert(1), "none": {"message": "x"}})
    nothing = query(scope=frozenset())
    assert (ids(store, nothing), store.count(nothing)) == ([], 0)
    assert store.get("alerts", "a", scope=frozenset()) is None
    assert store.aggregate(nothing, Terms("message")) == []


def test_a_filter_cannot_widen_the_scope(store: Store) -> None:
    store.create_many("alerts", {"f": alert(1), "e": alert(2, organization__id="edu")})
    asked = query(scope=frozenset({"fin"}), filters=(Filter("organization.id", "in", ("edu", "fin")),))
    assert ids(store, asked) == ["f"]


# --- filters ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Filter("event.severity", "in", (73,)), "ac"),
        (Filter("event.severity", "in", ("73",)), "ac"),
        (Filter("event.severity", "in", (73.0, 21)), "abc"),
        (Filter("event.severity", "in", ()), ""),
        (Filter("event.severity", "in", (73,), negate=True), "bd"),
        (Filter("event.severity", "gte", (22,)), "ac"),
        (Filter("event.severity", "lt", (73,)), "b"),
        (Filter("event.severity", "lt", (73,), negate=True), "acd"),
        (Filter("event.severity", "exists"), "abc"),
        (Filter("event.severity", "exists", negate=True), "d"),
        (Filter("related.ip", "in", ("10.0.0.2",)), "ab"),
        (Filter("related.ip", "in", ("10.0.0.2",), negate=True), "cd"),
        (Filter("user.name", "prefix", ("svc_",)), "ab"),
        (Filter("user.name", "prefix", ("",)), "abc"),
        (Filter("user.name", "prefix", ("SVC",)), ""),
        (Filter("user.name", "prefix", ("svc_",), negate=True), "cd"),
        (Filter("user.name", "gte", ("svc_b",)), "bc"),
        (Filter("user.name", "gte", (1,)), "abc"),  # a keyword is a text: '1' sorts before letters
        (Filter("@timestamp", "gte", (format_time(START + 3 * SECOND),)), "cd"),
        (Filter("@timestamp", "lt", ("2026-05-28T20:26:42+00:00",)), "a"),
        (Filter("@timestamp", "lt", ("not a time",)), "abcd"),
        (Filter("custom.flag", "in", (True,)), "a"),
        (Filter("custom.flag", "in", ("true",)), "a"),
        (Filter("custom.mixed", "gte", (0,)), "a"),
        (Filter("custom.mixed", "lt", (10,)), "a"),
        (Filter("custom.mixed", "gte", ("",)), "b"),
        (Filter("custom.mixed", "lt", ("zz",)), "b"),
        (Filter("no.such.field", "exists"), ""),
        (Filter("no.such.field", "in", ("x",), negate=True), "abcd"),
        (Filter("user.name' OR 1=1 --", "in", ("x",)), ""),
        (Filter("user.name", "in", ("' OR '1'='1",)), ""),
        (Filter("user.name", "in", ("\x00", "\ud800", "svc_a\x00")), ""),
    ],
)
def test_filters(store: Store, condition: Filter, expected: str) -> None:
    store.create_many(
        "alerts",
        {
            "a": alert(1, event__severity=73, related__ip=["10.0.0.1", "10.0.0.2"], user__name="svc_a")
            | {"custom.flag": True, "custom.mixed": 7},
            "b": alert(2, event__severity=21, related__ip=["10.0.0.2"], user__name="svc_b", custom__mixed="seven"),
            "c": alert(3, event__severity="73", related__ip="10.0.0.3", user__name="ñu"),
            "d": alert(4),
        },
    )
    asked = query(filters=(condition,))
    assert "".join(sorted(ids(store, asked))) == expected
    assert store.count(asked) == len(expected)


def test_all_filters_must_hold(store: Store) -> None:
    store.create_many("alerts", {f"a{n}": alert(n, x=n % 2, y=n % 3) for n in range(12)})
    asked = query(filters=(Filter("x", "in", (0,)), Filter("y", "in", (0,))))
    assert ids(store, asked) == ["a6", "a0"]


@pytest.mark.parametrize("op", ["gte", "lt", "prefix"])
def test_a_range_has_one_bound(store: Store, op: Any) -> None:
    for values in ((), ("a", "b")):
        with pytest.raises(StoreError, match=r"user\.name"):
            store.search(query(filters=(Filter("user.name", op, values),)))


@pytest.mark.parametrize("op", ["gte", "lt", "prefix"])
def test_a_bound_has_a_length(store: Store, op: Any) -> None:
    store.create_many("alerts", {"a": alert(1, user__name="ñ" * 300)})
    longest = "ñ" * 256
    for field in ("user.name", "x" * 512):
        expected = ["a"] if field == "user.name" and op != "lt" else []
        assert ids(store, query(filters=(Filter(field, op, (longest,)),))) == expected
    with pytest.raises(StoreError, match=r"user\.name.*512 bytes"):
        store.search(query(filters=(Filter("user.name", op, (longest + "x",)),)))


def test_hostile_names_and_values_are_only_text(store: Store) -> None:
    names = ["a..b", "", "'; DROP TABLE documents; --", '"', "\x00", "ñ", "a" * 2_000, "%", "🦉"]
    document = {name: f"value of {name[:20]}" for name in names}
    store.create_many("alerts", {"a": document})
    assert store.get("alerts", "a", scope=ALL).document == document  # type: ignore[union-attr]
    for name in names:
        asked = query(filters=(Filter(name, "in", (document[name],)),), sort=name)
        assert ids(store, asked) == ([] if len(name) > 512 else ["a"])
    with pytest.raises(StoreError):
        store.search(query(sort="\ud800"))


def test_a_value_longer_than_a_keyword_is_stored_but_not_asked_for(store: Store) -> None:
    store.create_many("alerts", {"a": alert(1, process__command_line="x" * 9_000, custom="y" * 9_000)})
    assert ids(store, query(filters=(Filter("custom", "exists"),))) == []
    assert len(store.get("alerts", "a", scope=ALL).document["custom"]) == 9_000  # type: ignore[union-attr]


def test_objects_are_stored_but_not_asked_for(store: Store) -> None:
    store.create_many("alerts", {"a": alert(1) | {"almena.alert.evidence": {"first": {"x": "secreta"}}}})
    assert ids(store, query(filters=(Filter("almena.alert.evidence", "exists"),))) == []
    assert ids(store, query(text="secreta")) == []


# --- text -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "contrasena",
        "CONTRASEÑA",
        "svc_backup",
        "backup",
        "10.0.0.5",
        "cmd.exe",
        "cmd",
        r"C:\Windows\System32\cmd.exe",
        r"system32\cmd.exe",
        "ana@finanzas.gob.mx",
        "fe80::1",
        "la contraseña 10.0.0.5",
        "Un servidor web",
        "raro",
    ],
)
def test_words_are_found(store: Store, text: str) -> None:
    found = alert(
        1,
        message="Falló la Contraseña de svc_backup desde 10.0.0.5 (fe80::1)",
        process__executable=r"C:\Windows\System32\cmd.exe",
        user__email=["ana@finanzas.gob.mx"],
    )
    found["almena.alert.words"] = {"es": {"title": "Un servidor web abre una consola"}}
    found["almena.misfit"] = {"x": {"y": ["raro"]}}
    store.create_many("alerts", {"yes": found, "no": alert(2, message="otra cosa: 110.0.0.50 xcmd.exe")})
    assert ids(store, query(text=text)) == ["yes"]
    assert store.count(query(text=text)) == 1


@pytest.mark.parametrize("text", ["contrasena falta", "svc", "10.0.0", "ano NOT x", "message:contraseña", "cont*"])
def test_words_are_whole_and_must_all_stand(store: Store, text: str) -> None:
    store.create_many("alerts", {"a": alert(1, message="contraseña 10.0.0.5 svcs año")})
    assert ids(store, query(text=text)) == []


def test_text_of_signs_alone_asks_nothing(store: Store) -> None:
    store.create_many("alerts", {"a": alert(1)})
    assert ids(store, query(text=' "" () * - ')) == ["a"]


# --- order and pages --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("limit", [1, 2, 3, 50])
@pytest.mark.parametrize("sort", ["@timestamp", "rank", "none"])
def test_pages_are_the_whole_in_order(store: Store, sort: str, limit: int, descending: bool) -> None:
    ranks = [3, 1, None, "text", 2.5, [1, 9], None, 3]
    documents = {
        f"d{n}": ({"@timestamp": format_time(START + n // 2 * SECOND)} if n % 4 else {})
        | ({"rank": rank} if rank else {})
        for n, rank in enumerate(ranks)
    }
    store.create_many("alerts", documents)
    found = ids(store, query(sort=sort, limit=limit, descending=descending))
    expected = {
        ("@timestamp", True): "d7 d6 d5 d3 d2 d1 d4 d0",
        ("@timestamp", False): "d1 d2 d3 d5 d6 d7 d0 d4",
        ("rank", True): "d3 d5 d7 d0 d4 d1 d6 d2",
        ("rank", False): "d1 d5 d4 d0 d7 d3 d2 d6",
        ("none", True): "d7 d6 d5 d4 d3 d2 d1 d0",
        ("none", False): "d0 d1 d2 d3 d4 d5 d6 d7",
    }
    assert " ".join(found) == expected[sort, descending]


def test_pages_stay_exact_while_others_write(store: Store) -> None:
    store.create_many("alerts", {f"old{n:02}": alert(n) for n in range(20)})
    asked = query(limit=5)
    page = store.search(asked)
    seen = [item.id for item in page.items]
    while page.cursor:
        count = len(seen)
        store.create_many("alerts", {f"new{count}": alert(100 + count), f"low{count}": alert(-count)})
        store.delete("alerts", seen[-1])
        page = store.search(asked, page.cursor)
        seen += [item.id for item in page.items]
    old = [identity for identity in seen if identity.startswith("old")]
    assert old == [f"old{n:02}" for n in reversed(range(20))]
    assert len(seen) == len(set(seen))
    assert not any(identity.startswith("new") for identity in seen)


@pytest.mark.parametrize("cursor", ["", "x", "!!!", "k4Ww", "ñ", "AAAA", "k6NhYmMBoWE=", "a" * 100_000])
def test_a_damaged_cursor_is_refused_in_words(store: Store, cursor: str) -> None:
    store.create_many("alerts", {"a": alert(1)})
    with pytest.raises(StoreError, match="cursor"):
        store.search(query(), cursor)


def test_a_cursor_serves_its_own_search_only(store: Store) -> None:
    store.create_many("alerts", {f"a{n}": alert(n) for n in range(5)})
    cursor = store.search(query(limit=2)).cursor
    assert cursor is not None
    for other in (query(limit=2, scope=frozenset({"fin"})), query(descending=False), query(text="x"), query(sort="x")):
        with pytest.raises(StoreError, match="another search"):
            store.search(other, cursor)


@pytest.mark.parametrize("limit", [0, -1, 10_001])
def test_a_page_has_a_size(store: Store, limit: int) -> None:
    with pytest.raises(StoreError, match="page"):
        store.search(query(limit=limit))


# --- counts -----------------------------------------------------------------------------------------------------


def test_terms_by_count_then_value(store: Store) -> None:
    values: list[Any] = ["b", "a", ["a", "b", "c"], 7, 7.0, True, None, 1.5]
    store.create_many("alerts", {f"a{n}": alert(n, x=value) for n, value in enumerate(values)})
    counted = [("7", 2), ("a", 2), ("b", 2), ("1.5", 1), ("c", 1), ("true", 1)]
    assert store.aggregate(query(limit=1), Terms("x")) == counted
    assert store.aggregate(query(), Terms("x", limit=2)) == counted[:2]
    assert store.aggregate(query(filters=(Filter("x", "in", ("c",)),)), Terms("x")) == [("a", 1), ("b", 1), ("c", 1)]
    assert store.aggregate(query(), Cardinality("x")) == [("x", 6)]


def test_histogram_counts_by_interval_start(store: Store) -> None:
    store.create_many("alerts", {f"a{n}": alert(n * 1_000) for n in range(10)})
    for interval in (HOUR, 90 * SECOND, 1_500_000, 7):
        expected: dict[str, int] = {}
        for n in range(10):
            moment = START + n * 1_000 * SECOND
            key = format_time(moment - moment % interval)
            expected[key] = expected.get(key, 0) + 1
        assert store.aggregate(query(), Histogram("@timestamp", interval)) == sorted(expected.items())
    with pytest.raises(StoreError):
        store.aggregate(query(), Histogram("@timestamp", 0))


# --- scanning ---------------------------------------------------------------------------------------------------


def test_a_scan_gives_every_document_in_the_order_of_ids(store: Store) -> None:
    names = ["b", "a", "B", "ñ", "a/1", "\uffee", "🦉", "10", "9", "202611-x", "202612-x", "20261123-x"]
    for kind in ("alerts", "events", "users"):
        assert list(store.scan(kind)) == []
        store.create_many(kind, {name: alert(1, x=name) for name in names})
        found = list(store.scan(kind))
        assert [item.id for item in found] == sorted(names)
        assert found == [store.get(kind, item.id, scope=ALL) for item in found]


def test_a_scan_stays_within_its_scope(store: Store) -> None:
    store.create_many("users", {"f": alert(1), "e": alert(1, organization__id="edu"), "none": {"x": 1}})
    assert [item.id for item in store.scan("users", frozenset({"fin"}))] == ["f"]
    assert list(store.scan("users", frozenset())) == []


def test_a_scan_may_be_left_and_the_store_written_meanwhile(store: Store) -> None:
    store.create_many("users", {f"u{number}": {"x": number} for number in range(20)})
    reading = iter(store.scan("users"))
    first = next(reading)
    store.replace("users", first.id, {"x": -1}, first.version)
    store.delete("users", "u1")
    assert len(list(reading)) == 19
    left = iter(store.scan("users"))
    assert next(left).document == {"x": -1}
    del left
    store.create_many("users", {"later": {}})
    assert len(list(store.scan("users"))) == 20


# --- retention, threads -----------------------------------------------------------------------------------------


def test_expire_by_time(store: Store) -> None:
    store.create_many("alerts", {f"a{n}": alert(n) for n in range(1_200)} | {"timeless": {"x": 1}})
    assert store.expire("alerts", START + 1_199 * SECOND) == 1_199
    assert store.expire("alerts", START + 1_199 * SECOND) == 0
    assert sorted(ids(store, query())) == ["a1199", "timeless"]
    assert store.aggregate(query(), Cardinality("@timestamp")) == [("@timestamp", 1)]


def test_every_thread_finds_what_it_wrote(store: Store) -> None:
    def write(thread: int) -> None:
        for number in range(8):
            store.create_many("users", {f"{thread}-{number}": {"thread": thread}})
            asked = Query(kind="users", scope=ALL, filters=(Filter("thread", "in", (thread,)),))
            assert store.count(asked) == number + 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))


def test_one_of_many_threads_wins_each_version(store: Store) -> None:
    store.create_many("alerts", {"a": {"count": 0}})

    def add(_: int) -> int:
        tries = 0
        while True:
            tries += 1
            read = store.get("alerts", "a", scope=ALL)
            assert read is not None
            try:
                store.replace("alerts", "a", {"count": read.document["count"] + 1}, read.version)
            except Conflict:
                continue
            return tries

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    assert store.get("alerts", "a", scope=ALL).document == {"count": 40}  # type: ignore[union-attr]

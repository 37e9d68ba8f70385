"""The SQLite store answers like the store in memory, and keeps what it acknowledged."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from almena.clock import HOUR, SECOND, format_time
from almena.errors import Conflict, StoreError
from almena.store import ALL, Cardinality, Document, Filter, Histogram, Query, Store, Terms, plan
from almena.store.memory import MemoryStore
from almena.store.sqlite import SqliteStore

ROOT = Path(__file__).resolve().parents[3]
START = 1_780_000_000 * SECOND
NAMES = ["@timestamp", "organization.id", "event.severity", "user.name", "related.ip", "x", "y", "almena.alert.status"]

fields = st.one_of(st.sampled_from(["x", "y"]), st.sampled_from([*NAMES, "nowhere"]))
kinds = (f"kind{number}" for number in count())

values = st.one_of(
    st.sampled_from(["a", "b", "svc_a", "10.0.0.1", "10.0.0.2", "fin", "edu", "", "ñ", "\U0001f989", "a\x00b", "7"]),
    st.integers(-3, 3),
    st.sampled_from([0.0, 1.5, 1e300, -0.0, 2**53, 2**63, -(2**63), 2**80]),
    st.booleans(),
    st.integers(0, 9).map(lambda n: format_time(START + n * HOUR // 3)),
)
field_values = st.one_of(values, st.lists(values, max_size=3), st.none(), st.just({"deep": "a"}))
few_values = st.sampled_from([1, 2, "a", "b", [1, 2], ["a", 2], [1, "b"], True, None])
documents = st.builds(
    lambda document, x, y, agency: {**document, "x": x, "y": y, "organization.id": agency},
    st.dictionaries(st.sampled_from(NAMES), field_values),
    few_values,
    few_values,
    st.sampled_from(["fin", "edu", ["fin", "edu"], None]),
)
ids = st.sampled_from("abcdefghijklmnop")
operations = st.lists(
    st.one_of(
        st.tuples(st.just("create"), st.dictionaries(ids, documents, max_size=6)),
        st.tuples(st.just("replace"), ids, documents),
        st.tuples(st.just("delete"), ids),
        st.tuples(st.just("expire"), st.integers(0, 9).map(lambda n: START + n * HOUR // 3)),
    ),
    max_size=6,
)


@st.composite
def conditions(draw: st.DrawFn) -> Filter:
    op: Literal["in", "gte", "lt", "prefix", "exists"]
    op = draw(st.sampled_from(("in", "gte", "lt", "prefix", "exists")))
    given_values: tuple[Any, ...]
    match op:
        case "in":
            given_values = tuple(draw(st.lists(st.sampled_from([1, 2, "a", "b", True]) | values, max_size=3)))
        case "prefix":
            given_values = (draw(st.sampled_from(["", "a", "s", "10.0.0.", "2026-05-28T2", "\U0010ffff"])),)
        case "exists":
            given_values = ()
        case _:
            given_values = (draw(st.sampled_from([1, 2, "a", "b"]) | values),)
    return Filter(draw(fields), op, given_values, draw(st.booleans()))


queries = st.builds(
    Query,
    kind=st.just(""),
    scope=st.one_of(st.none(), st.frozensets(st.sampled_from(["fin", "edu", "a"]), max_size=2)),
    text=st.sampled_from(["", "", "a", "svc", "svc_a", "10.0.0.1 a", "ñ", "zzz"]),
    filters=st.lists(conditions(), max_size=2).map(tuple),
    sort=fields,
    descending=st.booleans(),
    limit=st.integers(1, 4),
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    store = SqliteStore(str(tmp_path_factory.mktemp("store") / "store.sqlite"))
    yield store
    store.close()


def pages(store: Store, query: Query) -> list[tuple[str, Document]]:
    found: list[tuple[str, Document]] = []
    cursor: str | None = None
    for _ in range(100):
        page = store.search(query, cursor)
        found += [(item.id, item.document) for item in page.items]
        cursor = page.cursor
        if cursor is None:
            return found
    raise AssertionError("the pages never end")


def apply(store: Store, kind: str, operation: tuple[Any, ...]) -> Any:
    match operation:
        case ("create", created):
            return store.create_many(kind, created)
        case ("replace", identity, document):
            found = store.get(kind, identity, scope=ALL)
            return found and store.replace(kind, identity, document, found.version) > found.version
        case ("delete", identity):
            return store.delete(kind, identity)
        case (_, before):
            return store.expire(kind, before)


@pytest.mark.parametrize("few", [0, 2, plan.FEW])
@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    begin=st.dictionaries(ids, documents, min_size=5), steps=operations, asked=st.lists(queries, min_size=1, max_size=6)
)
def test_both_stores_answer_alike(
    shared: SqliteStore,
    monkeypatch: pytest.MonkeyPatch,
    few: int,
    begin: dict[str, Document],
    steps: list[tuple[Any, ...]],
    asked: list[Query],
) -> None:
    monkeypatch.setattr(plan, "FEW", few)
    memory, kind = MemoryStore(), next(kinds)
    for step in [("create", begin), *steps]:
        assert apply(shared, kind, step) == apply(memory, kind, step)
    for shape in asked:
        query = Query(**{name: getattr(shape, name) for name in shape.__struct_fields__} | {"kind": kind})
        assert pages(shared, query) == pages(memory, query)
        assert shared.count(query) == memory.count(query)
        for name in NAMES:
            for by in (Terms(name, limit=5), Cardinality(name), Histogram(name, HOUR), Histogram(name, 7 * SECOND)):
                assert shared.aggregate(query, by) == memory.aggregate(query, by)


def test_an_index_row_for_every_value_and_none_left_over(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    store = SqliteStore(str(path))
    store.create_many("alerts", {f"a{n}": {"@timestamp": format_time(START + n), "x": [n, "y"]} for n in range(50)})
    for n in range(25):
        found = store.get("alerts", f"a{n}", scope=ALL)
        assert found is not None
        store.replace("alerts", f"a{n}", {"@timestamp": format_time(START), "z": n}, found.version)
    assert store.expire("alerts", START + 1) == 25
    for n in range(25, 50):
        store.delete("alerts", f"a{n}")
    store.close()
    connection = sqlite3.connect(path)
    for table in ("documents", "fields", "words"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    connection.close()


def test_only_its_owner_reads_the_file(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "deep" / "store.sqlite"))
    store.create_many("alerts", {"a": {}})
    for file in (tmp_path / "deep").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    store.close()


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.sqlite"
    text.write_text("this is no database, it is a note of some length\n" * 100)
    with pytest.raises(StoreError, match=str(text)):
        SqliteStore(str(text))
    foreign = tmp_path / "foreign.sqlite"
    connection = sqlite3.connect(foreign)
    connection.execute("CREATE TABLE x (y)")
    connection.close()
    with pytest.raises(StoreError, match="another program"):
        SqliteStore(str(foreign))
    with pytest.raises(StoreError, match="cannot be opened"):
        SqliteStore(str(tmp_path))


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    SqliteStore(str(path)).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="format 99"):
        SqliteStore(str(path))


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "store.sqlite"))
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.get("alerts", "a", scope=ALL)


def test_a_full_disk_is_an_error_that_loses_nothing(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "store.sqlite"))
    store.create_many("alerts", {"before": {"x": 1}})
    connection = store._idle.get_nowait()
    pages_used = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages_used + 4}")
    store._idle.put(connection)
    with pytest.raises(StoreError, match="full"):
        store.create_many("alerts", {f"a{n}": {"text": "x" * 5_000} for n in range(50)})
    assert store.count(Query(kind="alerts", scope=ALL)) == 1
    assert store.create_many("alerts", {"small": {"x": 2}}) == {"small": "created"}
    store.close()


WRITER = """
import sys
from almena.store.sqlite import SqliteStore
store = SqliteStore(sys.argv[1])
for number in range(10**9):
    document = {"word": f"w{number}"}
    store.create_many("alerts", {f"{sys.argv[2]}-{number}-{part}": document | {"part": part} for part in range(3)})
    print(number, flush=True)
"""


@pytest.mark.parametrize("milliseconds", [120, 205, 330])
def test_kill_9_keeps_what_was_acknowledged_and_no_half_batch(tmp_path: Path, milliseconds: int) -> None:
    path = str(tmp_path / "store.sqlite")
    SqliteStore(path).close()
    for run in range(2):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, path, str(run)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(milliseconds / 1000)
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged = [int(line) for line in [first, *writer.stdout] if line.endswith("\n")]
        writer.stdout.close()
        writer.wait()
        store = SqliteStore(path)
        for number in acknowledged:
            for part in range(3):
                assert store.get("alerts", f"{run}-{number}-{part}", scope=ALL) is not None
        total = store.count(Query(kind="alerts", scope=ALL))
        assert total % 3 == 0
        assert store.count(Query(kind="alerts", scope=ALL, text=f"w{acknowledged[-1]}")) % 3 == 0
        assert store.aggregate(Query(kind="alerts", scope=ALL), Terms("part")) == [
            ("0", total // 3),
            ("1", total // 3),
            ("2", total // 3),
        ]
        store.close()


CLAIMER = """
import sys
from almena.errors import Conflict
from almena.store import ALL
from almena.store.sqlite import SqliteStore
store = SqliteStore(sys.argv[1])
won = 0
sys.stdin.readline()
for number in range(60):
    while True:
        found = store.get("outbox", f"o{number}", scope=ALL)
        if found.document["owner"]:
            break
        try:
            store.replace("outbox", f"o{number}", {"owner": sys.argv[2]}, found.version)
        except Conflict:
            continue
        won += 1
        break
print(won)
"""


def test_two_processes_claim_each_document_once(tmp_path: Path) -> None:
    path = str(tmp_path / "store.sqlite")
    store = SqliteStore(path)
    store.create_many("outbox", {f"o{number}": {"owner": ""} for number in range(60)})
    claimers = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIMER, path, f"p{number}"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    for claimer in claimers:
        assert claimer.stdin is not None
        claimer.stdin.write("go\n")
        claimer.stdin.flush()
    won = [int(claimer.communicate(timeout=60)[0]) for claimer in claimers]
    assert sum(won) == 60
    owners = dict(store.aggregate(Query(kind="outbox", scope=ALL), Terms("owner")))
    assert owners == {f"p{number}": each for number, each in enumerate(won) if each}
    with pytest.raises(Conflict):
        store.replace("outbox", "o0", {"owner": "late"}, 1)
    store.close()

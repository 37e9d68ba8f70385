"""The ledger's sums are exact, whatever is repeated, and sources show their newest totals."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almena import metrics
from almena.bus import Stored
from almena.clock import SECOND, format_time
from almena.desk.ledger import Ledger
from almena.errors import StoreError
from almena.state import Partition
from almena.store import ALL, LEDGER, Document, Query, Store
from almena.store.memory import MemoryStore

NOW = 1_780_000_000 * SECOND


def record(entry: Any, offset: int = 0) -> Stored:
    data = entry if isinstance(entry, bytes) else msgspec.json.encode(entry)
    return Stored("ledger", 0, offset, NOW + offset, "key", data, {})


def drop(source: str, reason: str, count: int) -> dict[str, Any]:
    return {"kind": "drop", "source": source, "agency": "fin", "reason": reason, "count": count, "time": ""}


def source(events: int) -> dict[str, Any]:
    return {
        "kind": "source",
        "source": "portal",
        "agency": "fin",
        "partition": 2,
        "events": events,
        "repeats": 1,
        "late": 2,
        "future": 3,
        "delay": -5,
        "first": NOW,
        "last_event": NOW + 1,
        "last_ingested": NOW + 2,
    }


def get(store: Store, identity: str) -> Document:
    found = store.get(LEDGER, identity, scope=ALL)
    assert found is not None
    return found.document


def test_sources_show_their_newest_totals() -> None:
    store = MemoryStore()
    ledger = Ledger(0, Partition(), store)
    ledger.step([record(source(5)), record(source(9), 1)])
    assert get(store, "source/portal/2") == {
        "@timestamp": format_time(NOW + 1),
        "organization.id": "fin",
        "almena.source.name": "portal",
        "almena.source.partition": 2,
        "almena.source.events": 9,
        "almena.source.repeats": 1,
        "almena.source.late": 2,
        "almena.source.delay": -5,
        "almena.source.future": 3,
        "almena.source.first": format_time(NOW),
        "almena.source.last_event": format_time(NOW + 1),
        "almena.source.last_ingested": format_time(NOW + 2),
    }
    ledger.step([record(source(12), 2)])
    assert get(store, "source/portal/2")["almena.source.events"] == 12


def test_a_process_that_was_stopped_for_long_brings_no_older_totals_back() -> None:
    store = MemoryStore()
    zombie, heir = Ledger(0, Partition(), store), Ledger(0, Partition(), store)
    heir.step([record(source(5)), record(source(9), 1), record(drop("portal", "full", 3), 2)])
    zombie.step([record(source(5)), record(drop("portal", "full", 1), 1)])
    assert get(store, "source/portal/2")["almena.source.events"] == 9
    assert get(store, "drop/portal/full/0")["almena.drop.count"] == 3


def test_rules_show_what_runs_and_what_does_not() -> None:
    store = MemoryStore()
    entry = {"kind": "rules", "loaded": 3, "rejected": [{"rule": "r", "reason": "x"}], "hash": "h"}
    Ledger(0, Partition(), store).step([record(entry)])
    assert get(store, "rules")["almena.rules.rejected"] == [{"rule": "r", "reason": "x"}]
    assert get(store, "rules")["almena.rules.shadow"] == []
    shadow = [{"rule": "r", "title": "R", "why": "budget", "detail": "50 µs · 50%", "since": "2026-11-22T10:00:00Z"}]
    Ledger(0, Partition(), store).step([record(entry | {"shadow": shadow}, 1)])
    assert get(store, "rules")["almena.rules.shadow"] == shadow


def test_every_member_says_which_rules_it_runs_and_what_it_refused() -> None:
    store = MemoryStore()
    refused = [{"rule": "r", "file": "r.yml", "reason": "x"}]
    entry = {"kind": "member", "stage": "detect", "loaded": 3, "since": "2026-11-22T10:00:00Z", "refused": []}
    ledger = Ledger(0, Partition(), store)
    ledger.step([record(entry | {"member": "detect@a", "hash": "h1"}), record(entry | {"member": "b", "hash": "h2"})])
    ledger.step([record(entry | {"member": "b", "hash": "h1", "refused": refused}, 1)])
    assert get(store, "rules/detect@a")["almena.rules.hash"] == "h1"
    found = get(store, "rules/b")
    assert (found["almena.rules.hash"], found["almena.rules.refused"]) == ("h1", refused)
    assert (found["almena.rules.member"], found["almena.rules.stage"]) == ("b", "detect")


class Dying(MemoryStore):
    """A store whose writes fail when told, before or after they were done."""

    left = -1

    def create_many(self, kind: str, documents: Any) -> Any:
        return self._dying(lambda: super(Dying, self).create_many(kind, documents))

    def replace(self, kind: str, id: str, document: Document, version: int) -> int:  # noqa: A002
        return int(self._dying(lambda: super(Dying, self).replace(kind, id, document, version)))

    def _dying(self, action: Any) -> Any:
        if self.left == 0:
            self.left = -1
            raise StoreError("gone")
        if self.left > 0:
            self.left -= 1
        return action()


@settings(max_examples=100, deadline=None)
@given(
    batches=st.lists(
        st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.integers(0, 5)), min_size=1, max_size=4),
        min_size=1,
        max_size=5,
    ),
    deaths=st.lists(st.integers(0, 4), max_size=6),
)
def test_drops_are_summed_exactly_through_every_failure(
    batches: list[list[tuple[str, str, int]]], deaths: list[int]
) -> None:
    """A step that fails is repeated from the committed state, in the same process or in the next one."""
    store = Dying()
    committed: dict[str, bytes] = {}
    partition = Partition(dict(committed))
    ledger = Ledger(0, partition, store)
    for number, batch in enumerate(batches):
        records = [record(drop(*each), number) for each in batch]
        while True:
            store.left = deaths.pop() if deaths else -1
            try:
                ledger.step(records)
            except StoreError:
                if len(deaths) % 2:
                    partition = Partition(committed)
                    ledger = Ledger(0, partition, store)
                continue
            break
        committed |= {key: value for key, value in partition.changes().items() if value is not None}
    store.left = -1
    expected: dict[str, int] = {}
    for name, reason, count in (each for batch in batches for each in batch):
        key = f"drop/{name}/{reason}/0"
        expected[key] = expected.get(key, 0) + count
    items = store.search(Query(kind=LEDGER, scope=ALL)).items
    assert {item.id: item.document["almena.drop.count"] for item in items} == expected


def test_partitions_do_not_overwrite_each_other() -> None:
    store = MemoryStore()
    for partition in range(3):
        Ledger(partition, Partition(), store).step([record(drop("s", "full", 5))])
    assert store.count(Query(kind=LEDGER, scope=ALL)) == 3


@pytest.mark.parametrize(
    "entry",
    [b"", b"[]", {}, {"kind": "new"}, {"kind": "drop"}, {"kind": "source", "source": "x"}, {"kind": "rules"}],
)
def test_a_damaged_entry_is_counted_and_stops_nothing(entry: Any) -> None:
    store = MemoryStore()
    before = metrics.STORE_FAILURES._value.get()
    Ledger(0, Partition(), store).step([record(entry), record(drop("s", "full", 5))])
    assert metrics.STORE_FAILURES._value.get() == before + 1
    assert get(store, "drop/s/full/0")["almena.drop.count"] == 5

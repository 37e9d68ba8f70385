from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from almena.console import audit
from almena.errors import StoreError
from almena.store import ALL, AUDIT, Store, open_store


def write(store: Store, number: int) -> int:
    return audit.record(store, time=number, action="alert-close", user="ana", agency="finanzas", facts={"n": number})


def test_entries_follow_each_other_and_verify(store: Store) -> None:
    assert audit.head(store) == (0, "")
    assert audit.verify(store) == 0
    assert [write(store, number) for number in range(5)] == [1, 2, 3, 4, 5]
    assert audit.verify(store) == 5
    second = store.get(AUDIT, "000000000002", scope=ALL)
    first = store.get(AUDIT, "000000000001", scope=ALL)
    assert first is not None
    assert second is not None
    assert second.document["almena.audit.previous"] == first.document["almena.audit.hash"]
    assert store.get(AUDIT, "000000000002", scope=frozenset({"registro"})) is None


def test_a_changed_entry_is_found(store: Store) -> None:
    for number in range(4):
        write(store, number)
    found = store.get(AUDIT, "000000000003", scope=ALL)
    assert found is not None
    store.replace(AUDIT, "000000000003", found.document | {"user.name": "otro"}, found.version)
    with pytest.raises(StoreError, match="entry 3 was changed"):
        audit.verify(store)


def test_an_entry_changed_and_sealed_again_is_found_by_the_next(store: Store) -> None:
    for number in range(4):
        write(store, number)
    found = store.get(AUDIT, "000000000003", scope=ALL)
    assert found is not None
    forged = found.document | {"user.name": "otro"}
    forged["almena.audit.hash"] = audit.seal(forged)
    store.replace(AUDIT, "000000000003", forged, found.version)
    with pytest.raises(StoreError, match="entry 4 was changed"):
        audit.verify(store)


@pytest.mark.parametrize("place", [2, 4])
def test_a_removed_entry_is_found(store: Store, place: int) -> None:
    for number in range(4):
        write(store, number)
    store.delete(AUDIT, f"{place:012d}")
    with pytest.raises(StoreError, match=f"entry {place} of 4 is missing"):
        audit.verify(store)


def test_a_lost_or_old_head_is_no_loss(store: Store) -> None:
    for number in range(3):
        write(store, number)
    store.delete(AUDIT, "head")
    assert write(store, 3) == 4
    assert audit.verify(store) == 4


def test_many_writers_make_one_chain(tmp_path: Path) -> None:
    store = open_store(f"sqlite:{tmp_path / 'store.sqlite'}")
    with ThreadPoolExecutor(8) as pool:
        places = list(pool.map(lambda number: write(store, number), range(60)))
    assert sorted(places) == list(range(1, 61))
    assert audit.verify(store) == 60
    store.close()

"""Keyed state is bounded, comes back as it was, and wakes its owner in order."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from almena.state import Partition, State

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.text(st.characters(exclude_characters="\x1f", exclude_categories=["Cs"]), max_size=5)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("tu"), KEYS, VALUES | st.just(...)), max_size=30))
def test_snapshot_and_changes_give_the_same_state_back(steps: list[tuple[str, str, str, Any]]) -> None:
    partition = Partition()
    saved: dict[str, bytes] = {}
    model: dict[tuple[str, str, str], Any] = {}
    for number, (owner, table, key, value) in enumerate(steps):
        entries = partition.state(owner).table(table, limit=100)
        if value is ...:
            entries.delete(key)
            model.pop((owner, table, key), None)
        else:
            entries.put(key, value)
            model[owner, table, key] = value
        if number % 3 == 0:
            for name, data in partition.changes().items():
                saved.pop(name, None)
                if data is not None:
                    saved[name] = data
            partition = Partition(saved)
    found = {
        (owner, table, key): partition.state(owner).table(table, limit=100).get(key)
        for owner in "ab"
        for table in "tu"
        for key in partition.state(owner).table(table, limit=100)
    }
    assert found == model


def test_a_table_keeps_what_was_used_last_and_counts_what_left() -> None:
    table = State().table("t", limit=3)
    for key in "abc":
        table.put(key, key)
    table.put("a", "again")
    table.put("d", "d")
    assert sorted(table) == ["a", "c", "d"]
    assert table.evicted == 1
    assert len(table) == 3


def test_an_eviction_is_saved_too() -> None:
    partition = Partition()
    table = partition.state("o").table("t", limit=1)
    table.put("a", 1)
    first = partition.changes()
    table.put("b", 2)
    assert first.keys() == {"o\x1ft\x1fa"}
    assert partition.changes() == {"o\x1ft\x1fa": None, "o\x1ft\x1fb": b"\x02"}


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 20) | st.none()), max_size=40))
def test_wakes_come_in_time_order_once_each_and_survive_a_restart(wishes: list[tuple[str, int | None]]) -> None:
    partition = Partition()
    model: dict[str, int] = {}
    saved: dict[str, bytes] = {}
    for key, at in wishes:
        state = partition.state("o")
        if at is None:
            state.sleep(key)
            model.pop(key, None)
        else:
            state.wake(key, at)
            model[key] = at
    saved = {name: data for name, data in partition.changes().items() if data is not None}
    state = Partition(saved).state("o")
    got = []
    while (at := state.next_wake()) is not None and at <= 10:
        due = state.due(10)
        got += [(at, key) for key in due]
    assert got == sorted((at, key) for key, at in model.items() if at <= 10)
    assert state.next_wake() == min((at for at in model.values() if at > 10), default=None)


def test_state_of_owners_that_are_gone_is_forgotten() -> None:
    old = Partition()
    old.state("rule@1").table("t", limit=9).put("k", 1)
    old.state("rule@2").table("t", limit=9).put("k", 2)
    snapshot = {name: data for name, data in old.changes().items() if data is not None}
    new = Partition(snapshot)
    assert new.keep({"rule@2"}) == ["rule@1"]
    assert new.changes() == {"rule@1\x1ft\x1fk": None}
    assert new.state("rule@2").table("t", limit=9).get("k") == 2


@given(
    st.lists(st.tuples(st.sampled_from("abc"), KEYS, st.sampled_from(["put", "delete", "save", "open"])), max_size=30)
)
def test_an_owner_that_leaves_leaves_nothing_behind(steps: list[tuple[str, str, str]]) -> None:
    """Whether its state was opened or not, saved or not, deleted and not yet saved."""
    partition = Partition()
    saved: dict[str, bytes] = {}

    def save() -> None:
        for name, data in partition.changes().items():
            saved.pop(name, None)
            if data is not None:
                saved[name] = data

    for owner, key, doing in steps:
        match doing:
            case "put":
                partition.state(owner).table("t", limit=10).put(key, 1)
                partition.state(owner).wake(key, 5)
            case "delete":
                partition.state(owner).table("t", limit=10).delete(key)
            case "save":
                save()
            case "open":
                save()
                partition = Partition(dict(saved))
    kept = {
        key: partition.state("a").table("t", limit=10).get(key) for key in partition.state("a").table("t", limit=10)
    }
    partition.keep({"a"})
    partition.state("b").table("t", limit=10).put("afresh", 2)
    save()
    again = Partition(dict(saved))
    assert list(again.state("b").table("t", limit=10)) == ["afresh"]
    assert list(again.state("c").table("t", limit=10)) == []
    assert again.state("c").next_wake() is None
    assert {key: again.state("a").table("t", limit=10).get(key) for key in kept} == kept

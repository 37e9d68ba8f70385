"""Keyed state is bounded, comes back as it was, and wakes its owner in order."""

from __future__ import annotations

import gc
import itertools
import logging
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from almena.state import FORMAT, Partition, State, Table

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
    assert first == {"o\x1ft\x1fa": b"\x01", "~format": b"%d" % FORMAT}
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


# --- Against a model ----------------------------------------------------------------------------------------------


class Used(msgspec.Struct, array_like=True):
    """A value that says when it was used last."""

    at: int
    what: Any = None


class Codec:
    """Of `Used`; counts what it is asked."""

    def __init__(self) -> None:
        self.loads = self.dumps = 0

    def load(self, data: bytes) -> Used:
        self.loads += 1
        return msgspec.msgpack.decode(data, type=Used)

    def dump(self, value: Used) -> bytes:
        self.dumps += 1
        return msgspec.msgpack.encode(value)


def age(data: bytes) -> int:
    return msgspec.msgpack.decode(data, type=Used).at


TABLES: dict[str, dict[str, Any]] = {
    "aged": {"limit": 6, "codec": Codec(), "age": age, "rank": 1},
    "plain": {"limit": 4, "rank": 0},
    "kept": {"limit": 100},
}


def length(key: str) -> int:
    return len(key.encode("utf-8", "surrogatepass"))


class Model:
    """What tables hold, as lists in the order of last use, without a thought for time or memory."""

    def __init__(self) -> None:
        self.tables: dict[tuple[str, str], list[str]] = {(owner, table): [] for owner in "ab" for table in TABLES}
        self.values: dict[tuple[str, str, str], Any] = {}
        self.sizes: dict[tuple[str, str, str], int] = {}
        self.evicted = 0

    def put(self, place: tuple[str, str, str], value: Any) -> None:
        owner, table, key = place
        order = self.tables[owner, table]
        if key in order:
            order.remove(key)
        order.append(key)
        self.values[owner, table, key] = value
        self.sizes.setdefault((owner, table, key), 0)
        while len(order) > TABLES[table]["limit"]:
            self.evict(owner, table)

    def delete(self, owner: str, table: str, key: str) -> None:
        if key in self.tables[owner, table]:
            self.tables[owner, table].remove(key)
            del self.values[owner, table, key], self.sizes[owner, table, key]

    def evict(self, owner: str, table: str) -> None:
        self.delete(owner, table, self.tables[owner, table][0])
        self.evicted += 1

    def saved(self) -> dict[str, bytes]:
        return {"\x1f".join(name): msgspec.msgpack.encode(value) for name, value in self.values.items()}

    def save(self) -> None:
        self.sizes = {name: len(msgspec.msgpack.encode(value)) for name, value in self.values.items()}

    def restore(self) -> None:
        for (_, table), order in self.tables.items():
            if "age" not in TABLES[table]:
                order.sort()
        self.evicted = 0

    def size(self, owner: str) -> int:
        return sum(length(name[2]) + size for name, size in self.sizes.items() if name[0] == owner)

    def shrink(self, budget: int, spare: str) -> int:
        left = 0
        while True:
            sizes = {owner: self.size(owner) for owner in "ab" if owner not in spare}
            able = [owner for owner in sizes if any(self.tables[owner, table] for table in ("plain", "aged"))]
            if sum(sizes.values()) <= budget or not able:
                return left
            most = max(able, key=lambda owner: sizes[owner])
            self.evict(most, "plain" if self.tables[most, "plain"] else "aged")
            left += 1


NAMES = st.sampled_from(["", "k", "ñ", "\ud800", *(f"key{number}" for number in range(8))])
PLACES = st.tuples(st.sampled_from("ab"), st.sampled_from(list(TABLES)), NAMES)
STEPS = st.one_of(
    st.tuples(st.just("put"), PLACES, VALUES),
    st.tuples(st.just("put"), PLACES, st.integers(0, 40).map(lambda count: "x" * count)),
    st.tuples(st.just("raw"), PLACES.filter(lambda place: place[1] != "aged"), VALUES),
    st.tuples(st.sampled_from(["get", "delete"]), PLACES, st.none()),
    st.tuples(st.sampled_from(["changes", "restore"]), st.none(), st.none()),
    st.tuples(st.just("shrink"), st.integers(0, 150), st.sampled_from(["", "a", "b", "ab"])),
)


def open_tables(partition: Partition) -> dict[tuple[str, str], Table]:
    return {(owner, name): partition.state(owner).table(name, **TABLES[name]) for owner in "ab" for name in TABLES}


def take(partition: Partition, store: dict[str, bytes]) -> None:
    """What changed into the store; nothing is deleted there that it does not have."""
    for name, data in partition.changes().items():
        if data is None:
            del store[name]
        else:
            assert type(data) is bytes
            store[name] = data


@settings(max_examples=300)
@given(st.lists(STEPS, max_size=40))
def test_tables_are_as_their_model(steps: list[tuple[str, Any, Any]]) -> None:
    partition, model, store = Partition(), Model(), dict[str, bytes]()
    tables = open_tables(partition)
    for moment, (doing, what, value) in enumerate(steps):
        match doing:
            case "put":
                value = Used(moment, value) if what[1] == "aged" else value
                tables[what[:2]].put(what[2], value)
                model.put(what, value)
            case "raw":
                tables[what[:2]].put(what[2], msgspec.msgpack.encode(value))
                model.put(what, value)
                model.sizes[what] = len(msgspec.msgpack.encode(value))
            case "get":
                assert tables[what[:2]].get(what[2], ...) == model.values.get(what, ...)
            case "delete":
                tables[what[:2]].delete(what[2])
                model.delete(*what)
            case "shrink":
                assert partition.shrink(what, spare=set(value)) == model.shrink(what, value)
            case _:
                take(partition, store)
                model.save()
                assert {name: data for name, data in store.items() if name != "~format"} == model.saved()
                assert partition.changes() == {}
                if doing == "restore":
                    partition = Partition(dict(sorted(store.items())))
                    tables = open_tables(partition)
                    model.restore()
        for place, table in tables.items():
            assert list(table) == model.tables[place]
            assert table.oldest() == next(iter(model.tables[place]), None)
            assert table.size == sum(length(key) + model.sizes[*place, key] for key in table)
        assert {owner: partition.state(owner).size() for owner in "ab"} == {owner: model.size(owner) for owner in "ab"}
        assert sum(state.evictions() for state in partition.states()) == model.evicted
        assert sum(state.entries() for state in partition.states()) == len(model.values)
    for (owner, name), table in tables.items():
        assert {key: table.get(key) for key in table} == {
            key: model.values[owner, name, key] for key in model.tables[owner, name]
        }


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("tu"), KEYS), unique=True), st.randoms())
def test_a_snapshot_comes_back_in_whatever_order_its_keys_are(places: list[tuple[str, str, str]], rng: Any) -> None:
    items = [("\x1f".join(place), msgspec.msgpack.encode(place)) for place in places]
    rng.shuffle(items)
    partition = Partition(dict(items))
    for owner, table in itertools.product("ab", "tu"):
        keys = sorted(key for *place, key in places if place == [owner, table])
        found = partition.state(owner).table(table, limit=100)
        assert [found.get(key) for key in found] == [[owner, table, key] for key in keys]
        share = {key.partition("\x1f")[2]: data for key, data in items if key.startswith(owner)}
        assert list(State(owner, share).table(table, limit=100)) == keys
    assert partition.changes() == {}


def test_only_keys_may_hold_the_separator() -> None:
    partition, store = Partition(), dict[str, bytes]()
    partition.state("o").table("t", limit=9).put("a\x1fb\x1f", 1)
    take(partition, store)
    assert list(Partition(store).state("o").table("t", limit=9)) == ["a\x1fb\x1f"]


# --- Values between steps -----------------------------------------------------------------------------------------


def test_a_value_is_encoded_once_a_step_and_decoded_when_it_is_used() -> None:
    codec = Codec()
    partition = Partition()
    table = partition.state("o").table("t", limit=9, codec=codec)
    for at in range(5):
        table.put("k", Used(at))
        assert table.get("k") == Used(at)
    assert (codec.loads, codec.dumps) == (0, 0)
    first = table.get("k")
    partition.changes()
    assert table.get("k") == first
    assert table.get("k") is table.get("k")
    assert table.get("k") is not first
    partition.changes()
    assert (codec.loads, codec.dumps) == (1, 1), "what was only read is not encoded again"
    table.get("k").what = "not put"
    assert partition.changes() == {}
    assert table.get("k").what is None


def test_objects_go_with_the_step_and_a_partition_with_its_last_name() -> None:
    """Neither waits for the garbage collector, which seldom looks at what is old."""

    class Heavy(list[int]):
        pass

    gc.disable()
    try:
        partition = Partition()
        table = partition.state("o").table("t", limit=9)
        value = Heavy([1])
        seen, state = weakref.ref(value), weakref.ref(partition.state("o"))
        table.put("k", value)
        partition.state("o").wake("k", 5)
        del value
        assert seen() is not None
        partition.changes()
        assert seen() is None
        del partition
        assert state() is None
    finally:
        gc.enable()


def test_bytes_are_messagepack_for_the_default_codec_and_a_value_for_others() -> None:
    class Raw:
        def load(self, data: bytes) -> bytes:
            return data[1:]

        def dump(self, value: bytes) -> bytes:
            return b"!" + value

    state = State()
    state.table("plain", limit=9).put("k", msgspec.msgpack.encode([1]))
    state.table("raw", limit=9, codec=Raw()).put("k", b"\x01")
    assert state.table("plain", limit=9).get("k") == [1]
    assert state.table("raw", limit=9).get("k") == b"\x01"
    assert state.changes() == {"plain\x1fk": b"\x91\x01", "raw\x1fk": b"!\x01"}
    assert state.table("plain", limit=9).get("k") == [1]
    assert state.table("raw", limit=9).get("k") == b"\x01"


@given(st.dictionaries(KEYS, st.binary(max_size=12), max_size=5), st.sampled_from(["plain", "aged", "~wake"]))
@example({"k": b"\x91" * 100_000}, "plain")
@example({"k": b"\xa1\xff"}, "plain")
@example({"k": b"\x93\x05\xc0\x01", "l": b"\xa1x"}, "aged")
@example({"k": b"\xa1x", "l": b"\x01"}, "~wake")
def test_damaged_bytes_are_forgotten_and_counted(saved: dict[str, bytes], name: str) -> None:
    def reads(data: bytes) -> bool:
        kind: Any = {"plain": Any, "aged": Used, "~wake": int}[name]
        try:
            msgspec.msgpack.decode(data, type=kind)
        except (ValueError, RecursionError):
            return False
        return True

    partition = Partition({f"o\x1f{name}\x1f{key}": data for key, data in saved.items()})
    state = partition.state("o")
    good = {key for key, data in saved.items() if reads(data)}
    if name == "~wake":
        woken = []
        while (at := state.next_wake()) is not None:
            woken += state.due(at)
        assert sorted(woken) == sorted(good)
    else:
        table = state.table(name, **TABLES[name])
        for key in saved:
            assert (table.get(key, ...) is not ...) == (key in good)
        assert set(table) == good
        assert table.size == sum(length(key) + len(saved[key]) for key in good)
        assert table.damaged == len(saved) - len(good)
    assert state.damaged() == len(saved) - len(good)
    forgotten = {key.split("\x1f")[2] for key, data in partition.changes().items() if data is None and "\x1f" in key}
    assert forgotten == set(saved) - (good if name != "~wake" else set())


def test_damage_is_told_once_a_table_without_what_was_damaged(caplog: pytest.LogCaptureFixture) -> None:
    partition = Partition({f"rule@1\x1fseen\x1fsecret{number}": b"\xa6secre\xff" for number in range(9)})
    table = partition.state("rule@1").table("seen", limit=9)
    with caplog.at_level(logging.ERROR, "almena.state"):
        assert [table.get(key) for key in table] == [None] * 9
    (message,) = caplog.messages
    assert "'rule@1'" in message
    assert "'seen'" in message
    assert "secre" not in message


# --- What is written ----------------------------------------------------------------------------------------------


def test_what_comes_and_goes_between_two_commits_is_never_written() -> None:
    partition = Partition()
    state = partition.state("o")
    table = state.table("t", limit=2)
    for key in "abcd":
        table.put(key, 1)
    table.delete("d")
    state.wake("k", 5)
    state.due(9)
    assert partition.changes().keys() == {"o\x1ft\x1fc", "~format"}
    table.delete("c")
    table.put("c", 2)
    table.delete("c")
    table.put("e", 1)
    table.delete("e")
    assert list(state.keys()) == ["t\x1fc"]
    assert partition.changes() == {"o\x1ft\x1fc": None}
    state.wake("k", 5)
    assert partition.changes().keys() == {"o\x1f~wake\x1fk"}
    state.wake("k", 5)
    assert partition.changes() == {}, "it was wished before"
    state.sleep("k")
    assert partition.changes() == {"o\x1f~wake\x1fk": None}
    table.put("f", 1)
    assert partition.keep(set()) == ["o"]
    assert partition.changes() == {}


def test_state_of_another_format_is_dropped_as_a_whole(caplog: pytest.LogCaptureFixture) -> None:
    def dropped() -> float:
        return REGISTRY.get_sample_value("almena_state_damaged_total", {"detector": "all"}) or 0.0

    before = dropped()
    store = {"~format": b"2", "o\x1ft\x1fk": b"\x01", "another layout": b"\x02"}
    with caplog.at_level(logging.WARNING, "almena.state"):
        partition = Partition(store)
    assert "3 entries" in caplog.text
    assert dropped() == before + 3
    assert list(partition.states()) == []
    partition.state("o").table("t", limit=9).put("l", 3)
    take(partition, store)
    assert store == {"~format": b"%d" % FORMAT, "o\x1ft\x1fl": b"\x03"}
    again = Partition(store)
    assert again.state("o").table("t", limit=9).get("l") == 3
    assert dropped() == before + 3


def test_the_format_is_said_once_and_the_first_came_without() -> None:
    assert Partition().changes() == {}
    partition = Partition({"o\x1ft\x1fk": b"\x01"})
    table = partition.state("o").table("t", limit=9)
    assert table.get("k") == 1
    table.put("k", 2)
    assert partition.changes() == {"o\x1ft\x1fk": b"\x02", "~format": b"1"}
    table.put("k", 3)
    assert partition.changes() == {"o\x1ft\x1fk": b"\x03"}


# --- Bounds -------------------------------------------------------------------------------------------------------


def test_noise_costs_no_owner_that_holds_less() -> None:
    partition = Partition()
    for owner, count in {"noise": 500, "loud": 50, "quiet": 5}.items():
        for number in range(count):
            partition.state(owner).table("t", limit=1_000, rank=0).put(f"{number:04d}", "x" * 94)
    partition.changes()
    assert partition.shrink(100 * 100) == 500 + 50 + 5 - 100
    left = {state.name: state.entries() for state in partition.states()}
    assert left["quiet"] == 5
    assert {left["noise"], left["loud"]} == {47, 48}
    assert list(partition.state("noise").table("t", limit=1_000))[-1] == "0499"
    assert partition.shrink(100 * 15) == 85
    assert {state.entries() for state in partition.states()} == {5}
    assert partition.shrink(0, spare={"quiet"}) == 10
    assert partition.state("quiet").evictions() == 0
    assert [state.entries() for state in partition.states()] == [0, 0, 5]


def calls(work: Callable[[], object]) -> int:
    """How many functions `work` calls, of Python and of C."""
    count = 0

    def see(_: Any, event: str, __: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(see)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def shrinking(owners: int, entries: int) -> Iterator[int]:
    """Calls to shrink to half and then not at all, with so many owners of so many entries each."""
    partition = Partition()
    for owner in range(owners):
        for number in range(entries):
            partition.state(f"{owner}").table("t", limit=entries, rank=0).put(f"{number:06d}", "x" * 20)
    partition.changes()
    half = sum(state.size() for state in partition.states()) // 2
    yield calls(lambda: partition.shrink(half))
    yield calls(lambda: partition.shrink(half))


def test_shrinking_asks_each_owner_once_and_each_entry_that_leaves() -> None:
    for owners, entries in ((10, 400), (400, 10), (100, 40)):
        work, idle = shrinking(owners, entries)
        assert work <= 20 * owners + 30 * owners * entries / 2
        assert idle <= 20 * owners


def test_wishes_that_are_replaced_for_ever_take_no_room() -> None:
    state = State()
    for at in range(10_000):
        state.wake("k", at)
        state.wake("l", 20_000 - at)
    assert state._wakes is None or len(state._wakes) < 300
    assert state.due(10_000) == ["k"]
    assert state.due(10_001) == ["l"]
    assert state.next_wake() is None

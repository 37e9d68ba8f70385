"""Operators exchanged while hits travel: each hit reaches the version it was made for, or waits, or is counted."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from almena import correlate
from almena.alert import Alert
from almena.bus import ALERTS, EVENTS, HITS, LEDGER, Record, Stored
from almena.clock import HOUR, SECOND
from almena.correlate import Correlate, owner
from almena.detect import hit_record
from almena.hit import Hit
from almena.state import Partition, State
from almena.watermarks import watermark_records

START = 1_790_000_000 * SECOND


class Counter:
    """An operator that alerts on every hit with how many it has seen, and says its version."""

    def __init__(self, name: str, version: str) -> None:
        self.name, self.version, self.depth = name, version, 0

    def observe(self, hits: Sequence[Hit], state: State) -> Iterator[Alert]:
        table = state.table("seen", limit=10)
        for hit in hits:
            seen = table.get("all", 0) + 1
            table.put("all", seen)
            yield {"almena.alert.id": f"{self.name} {self.version} {seen} {hit.id}"}

    def advance(self, now: int, due: Sequence[str], state: State) -> Iterator[Alert]:
        yield from ()


def operators(**versions: str) -> dict[str, Counter]:
    return {name: Counter(name, version) for name, version in versions.items()}


class World:
    """One partition of hits whose state is saved after every step, as the stage does."""

    def __init__(self, **versions: str) -> None:
        self.saved: dict[str, bytes] = {}
        self.offset = 0
        self.time = START
        self.open(**versions)

    def open(self, **versions: str) -> None:
        self.work = Correlate(0, Partition(dict(self.saved)), operators=operators(**versions), event_partitions=1)

    def replace(self, **versions: str) -> None:
        self.work.replace(operators(**versions))

    def step(self, *hits: Hit, passed: int | None = None, clocks: Mapping[int, int] = {}) -> list[str]:
        """Ids of the alerts; event time passes all hits unless `passed` says how far, and `clocks` beside."""
        self.time += SECOND
        told = {0: self.time if passed is None else passed, **clocks}
        marks = watermark_records(EVENTS, 0, {(clock, 0): mark for clock, mark in told.items()}, [self.time], 1)
        outputs = self.work.step([self._stored(record) for record in [*map(hit_record, hits), *marks]])
        for key, value in self.work.state.changes().items():
            if value is None:
                self.saved.pop(key, None)
            else:
                self.saved[key] = value
        self.ledger = [msgspec.json.decode(record.value) for record in outputs.get(LEDGER, [])]
        return [msgspec.json.decode(record.value)["almena.alert.id"] for record in outputs.get(ALERTS, [])]

    def hit(self, name: str, version: str, clock: int = 0) -> Hit:
        self.offset += 1
        return Hit(self.time, f"e{self.offset}", name, "g", version=version, clock=clock)

    @property
    def owners(self) -> set[str]:
        return {key.partition("\x1f")[0] for key in self.saved} - {"correlate", "~format"}

    def _stored(self, record: Record) -> Stored:
        return Stored(HITS, 0, 0, self.time, record.key, record.value, record.headers)


def unclaimed() -> float:
    return REGISTRY.get_sample_value("almena_hits_unclaimed_total") or 0.0


def test_an_unchanged_operator_keeps_its_state_a_changed_one_starts_afresh() -> None:
    world = World(same="1", other="1")
    assert world.step(world.hit("same", "1"), world.hit("other", "1")) == ["same 1 1 e1", "other 1 1 e2"]
    world.replace(same="1", other="2")
    assert world.step(world.hit("same", "1"), world.hit("other", "2")) == ["same 1 2 e3", "other 2 1 e4"]
    assert world.owners == {"same@1", "other@2"}


def test_each_clock_has_state_of_its_own_that_is_opened_with_its_first_hit() -> None:
    world = World(same="1", other="1")
    assert world.step(world.hit("same", "1"), world.hit("same", "1", HOUR), clocks={HOUR: -1}) == ["same 1 1 e1"]
    assert world.owners == {"same@1"}
    world.open(same="1", other="1")
    assert world.step(world.hit("same", "1"), clocks={HOUR: world.time}) == ["same 1 2 e3", "same 1 1 e2"]
    assert world.owners == {"same@1", f"same@1@{HOUR}"}
    world.open(same="1", other="1")
    assert world.step(world.hit("same", "1", HOUR), clocks={HOUR: world.time}) == ["same 1 2 e4"]


def test_operators_exchanged_keep_or_lose_the_state_of_every_clock() -> None:
    for restart in (False, True):
        world = World(same="1", other="1")
        hits = [world.hit(name, "1", clock) for name in ("same", "other") for clock in (0, HOUR)]
        assert len(world.step(*hits, clocks={HOUR: world.time})) == 4
        assert world.owners == {f"{name}@1{clock}" for name in ("same", "other") for clock in ("", f"@{HOUR}")}
        if restart:
            world.open(same="1", other="2")
        else:
            world.replace(same="1", other="2")
        hits = [world.hit("same", "1", HOUR), world.hit("other", "2", HOUR)]
        assert world.step(*hits, clocks={HOUR: world.time}) == ["same 1 2 e5", "other 2 1 e6"]
        assert world.owners == {"same@1", f"same@1@{HOUR}", f"other@2@{HOUR}"}


def test_a_clock_that_no_source_has_any_more_is_played_to_its_end_and_forgotten() -> None:
    world = World(same="1")
    assert world.step(world.hit("same", "1", HOUR), clocks={HOUR: world.time}) == ["same 1 1 e1"]
    assert world.step(world.hit("same", "1", HOUR), clocks={HOUR: world.time - HOUR}) == []
    world.open(same="1")
    assert world.step() == ["same 1 2 e2"]
    assert world.owners == set()
    assert world.step(world.hit("same", "1", HOUR)) == ["same 1 1 e3"], "on its way for long, and not stuck"
    assert world.owners == set()
    assert world.step(world.hit("same", "1", HOUR), clocks={HOUR: -1}) == [], "the clock is back"
    assert world.step(clocks={HOUR: world.time}) == ["same 1 1 e4"]


def test_hits_of_an_operator_that_is_not_here_yet_wait_for_it() -> None:
    world = World(same="1")
    assert world.step(world.hit("new", "1"), world.hit("same", "2"), world.hit("same", "1")) == ["same 1 1 e3"]
    assert world.step() == []
    world.replace(same="2", new="1")
    assert world.step() == ["same 2 1 e2", "new 1 1 e1"]
    assert world.ledger == []


def test_what_waits_survives_a_restart() -> None:
    world = World(same="1")
    world.step(world.hit("new", "1"))
    world.open(same="1")
    assert world.step() == []
    world.open(same="1", new="1")
    assert world.step() == ["new 1 1 e1"]
    assert not any("waiting" in key for key in world.saved)


def test_hits_of_an_operator_that_left_are_counted_and_no_loss() -> None:
    for restart in (False, True):
        world = World(old="1", same="1")
        world.step(world.hit("old", "1"))
        if restart:
            world.open(same="1")
        else:
            world.replace(same="1")
        before = unclaimed()
        assert world.step(world.hit("old", "1")) == []
        assert unclaimed() == before + 1
        assert world.ledger == []
        assert not any("waiting" in key for key in world.saved)
        world.replace(old="1", same="1")
        assert world.step(world.hit("old", "1")) == ["old 1 1 e3"], "back, and afresh"


def test_an_operator_without_any_state_is_known_to_have_left() -> None:
    world = World(old="1")
    world.step()
    world.open(same="1")
    world.step(world.hit("old", "1"))
    assert not any("waiting" in key for key in world.saved)


def test_hits_without_a_version_are_for_any() -> None:
    world = World(model="7")
    assert world.step(world.hit("model", "")) == ["model 7 1 e1"]


def test_what_has_waited_too_long_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1_000.0]
    monkeypatch.setattr("almena.correlate.time.monotonic", lambda: clock[0])
    world = World(same="1")
    world.step(world.hit("one", "1"))
    clock[0] += correlate.PATIENCE - 1
    world.step(world.hit("one", "1"), world.hit("two", "1"))
    assert world.ledger == []
    clock[0] += 2
    before = unclaimed()
    world.step()
    (drop,) = world.ledger
    assert (drop["source"], drop["reason"], drop["count"]) == (
        "bus.hits",
        "made for a correlation that is not here",
        2,
    )
    assert unclaimed() == before + 2
    world.replace(one="1", two="1")
    assert world.step() == ["two 1 1 e3"]


def test_what_was_made_for_a_version_that_was_passed_over_is_counted_and_no_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [1_000.0]
    monkeypatch.setattr("almena.correlate.time.monotonic", lambda: clock[0])
    world = World(a="1")
    world.step(world.hit("a", "2"))
    world.replace(a="3")
    clock[0] += correlate.PATIENCE + 1
    before = unclaimed()
    world.step()
    assert world.ledger == []
    assert unclaimed() == before + 1
    assert not any("waiting" in key for key in world.saved)


def test_only_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correlate, "WAITING", 3)
    world = World(same="1")
    world.step(*(world.hit("new", "1") for _ in range(5)))
    assert [(drop["reason"], drop["count"]) for drop in world.ledger] == [
        ("made for a correlation that is not here", 2)
    ]
    world.replace(new="1")
    assert len(world.step()) == 3


def test_hits_that_wait_for_the_watermark_go_by_the_operators_of_their_release() -> None:
    world = World(a="1")
    assert world.step(world.hit("a", "1"), world.hit("a", "2"), passed=START - 1) == []
    world.replace(a="2")
    assert world.step() == ["a 2 1 e2"]


@given(st.data())
def test_every_hit_reaches_its_version_exactly_once_however_members_reload(data: st.DataObject) -> None:
    """Detect goes from version to version; correlate follows, late or early, with restarts: no hit is missed whose
    version correlate runs after detect began with it, and none is seen twice."""
    rng = random.Random(data.draw(st.integers(0, 2**32)))
    versions = ["1", "2", "3"]
    world = World(a="1", steady="1")
    made: dict[str, list[str]] = {version: [] for version in versions}
    steady = 0
    alerts: list[str] = []
    for version in versions:
        early = rng.random() < 0.3
        if early:
            world.replace(a=version, steady="1")
        for _ in range(rng.randint(0, 5)):
            hits = [world.hit("a", version) for _ in range(rng.randint(0, 3))]
            made[version] += [hit.id for hit in hits]
            hits.append(world.hit("steady", "1"))
            steady += 1
            rng.shuffle(hits)
            alerts += world.step(*hits)
            if rng.random() < 0.3:
                running = {operator.name: operator.version for operator in world.work._operators.values()}
                world.open(**running)
        if not early:
            world.replace(a=version, steady="1")
        alerts += world.step()
    for version in versions:
        seen = [alert.split() for alert in alerts if alert.startswith(f"a {version} ")]
        assert sorted(words[3] for words in seen) == sorted(made[version])
        assert [int(words[2]) for words in seen] == list(range(1, len(seen) + 1))
    assert sum(alert.startswith("steady") for alert in alerts) == steady


def test_the_name_of_an_owner() -> None:
    made: Mapping[str, Any] = operators(a="1")
    assert owner(made["a"]) == owner(made["a"], 0) == "a@1"
    assert owner(made["a"], 7_200_000_000) == "a@1@7200000000"


def test_what_operators_remember_stays_within_the_memory_and_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hoarder(Counter):
        def observe(self, hits: Sequence[Hit], state: State) -> Iterator[Alert]:
            for hit in hits:
                state.table("all", limit=10_000, rank=0).put(hit.id, "x" * 1_000)
            yield from ()

    clock = [1_000.0]
    monkeypatch.setattr("almena.correlate.time.monotonic", lambda: clock[0])
    world = World()
    world.work = Correlate(
        0, Partition(), operators={"hoarder": Hoarder("hoarder", "1")}, event_partitions=1, memory=20_000
    )
    before = REGISTRY.get_sample_value("almena_correlation_evictions_total", {"detector": "hoarder"}) or 0.0
    world.step(*(world.hit("hoarder", "1") for _ in range(30)), world.hit("later", "1"))
    clock[0] += 1
    world.step(world.hit("hoarder", "1", HOUR), clocks={HOUR: -1})
    assert 15_000 < world.work.state.state("hoarder@1").size() <= 20_000
    after = REGISTRY.get_sample_value("almena_correlation_evictions_total", {"detector": "hoarder"}) or 0.0
    assert 10 < after - before < 16
    assert REGISTRY.get_sample_value("almena_correlation_pending_hits", {"partition": "0"}) == 1
    assert (REGISTRY.get_sample_value("almena_correlation_state_bytes") or 0) > 15_000

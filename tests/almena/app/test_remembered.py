"""What correlate committed is found again, for whom it may be shown, the nearest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import pytest

from almena.alert import Alert
from almena.app.remembered import Clock, Remembered, remembered
from almena.bus import EVENTS, HITS, Bus, Step, Stored, open_bus
from almena.correlate import Correlate
from almena.detect import hit_record
from almena.hit import Hit, group_key, split_key
from almena.progress import Progress
from almena.state import Partition, State
from almena.watermarks import watermark_records

SECOND = 1_000_000
NOON = 1_800_000_000 * SECOND
HOURS = 7_200 * SECOND


class Toy:
    """Counts hits of each group and says how far it is."""

    name, version, depth = "toy", "1", 0

    def observe(self, hits: Sequence[Hit], state: State) -> Iterator[Alert]:
        table = state.table("groups", limit=1_000)
        for hit in hits:
            count, first = table.get(hit.group, [0, hit.time])
            table.put(hit.group, [count + 1, first])
        yield from ()

    def advance(self, now: int, due: Sequence[str], state: State) -> Iterator[Alert]:
        yield from ()

    def progress(self, state: State, key: str = "", now: int = 0) -> Iterator[Progress]:
        table = state.table("groups", limit=1_000)
        for group in table:
            count, first = table.get(group)
            agency, address = split_key(group)
            yield Progress(
                key=group,
                agency=agency,
                group={"source.ip": address},
                value=count,
                wanted="gte 4",
                hits=count,
                first=first,
                last=first + count,
                closes=first + 60 * SECOND,
                nearness=count / 4,
            )


class Model(Toy):
    name = "model"
    progress = None  # type: ignore[assignment]

    def __getattribute__(self, name: str) -> object:
        if name == "progress":
            raise AttributeError(name)
        return super().__getattribute__(name)


def hit(address: str, at: int, agency: str = "sfa", clock: int = 0) -> Hit:
    return Hit(NOON + at, f"e{at}/r", "toy", group_key(agency, address), {}, "r", clock=clock)


def saved(bus: Bus, hits: Sequence[Hit], *, mark: int, toy: Toy | None = None) -> None:
    """What correlate commits to partition 1 after `hits`, where event time has passed `mark`."""
    toy = toy or Toy()
    session = bus.session(HITS, group="correlate", member="m")
    session.poll(1, 0)
    work = Correlate(
        1, Partition(session.restore(1).state), operators={toy.name: toy}, event_partitions=bus.partitions(EVENTS)
    )
    marks = {(0, 0): mark, (HOURS, 0): mark - HOURS}
    told = [watermark_records(EVENTS, source, marks, [1], 1)[0] for source in range(bus.partitions(EVENTS))]
    made = [hit_record(msgspec.structs.replace(each, detector=toy.name)) for each in hits]
    work.step([Stored(HITS, 1, at, 0, each.key, each.value, each.headers) for at, each in enumerate([*made, *told])])
    session.commit({1: Step(0, {}, work.state.changes())})
    session.close()


@pytest.fixture
def bus() -> Iterator[Bus]:
    bus = open_bus("memory:", partitions=2)
    yield bus
    bus.close()


def said(found: Remembered) -> list[tuple[str, float | str, bool]]:
    return [(group.progress.key, group.progress.value, group.past) for group in found.groups]


def test_the_nearest_comes_first_and_what_is_past_last(bus: Bus) -> None:
    hits = [
        hit("10.0.0.1", 50),
        *[hit("10.0.0.2", 51 + each) for each in range(3)],
        *[hit("10.0.0.3", 1 + each) for each in range(4)],
    ]
    waiting = [hit("10.0.0.9", 70 * SECOND), hit("10.0.0.1", 71 * SECOND)]
    saved(bus, hits + waiting, mark=NOON + 60 * SECOND + 10)
    found = remembered(bus, Toy())
    assert said(found) == [("sfa|10.0.0.2", 3, False), ("sfa|10.0.0.1", 1, False), ("sfa|10.0.0.3", 4, True)]
    assert found.clocks[1:] == [
        Clock(partition=1, lateness=0, watermark=NOON + 60 * SECOND + 10, waiting=2),
        Clock(partition=1, lateness=HOURS, watermark=NOON + 60 * SECOND + 10 - HOURS),
    ]
    assert found.clocks[0].watermark == -1, "nothing was told to the other partition yet"


def test_a_group_is_found_by_its_key_or_one_of_its_values(bus: Bus) -> None:
    saved(bus, [hit("10.0.0.1", 1), hit("fe80::A", 2), hit("10.0.0.1", 3, "sep")], mark=NOON + SECOND)
    assert len(remembered(bus, Toy(), key="10.0.0.1").groups) == 2
    assert [name for name, *_ in said(remembered(bus, Toy(), key="sep|10.0.0.1"))] == ["sep|10.0.0.1"]
    assert [name for name, *_ in said(remembered(bus, Toy(), key=" FE80::a "))] == ["sfa|fe80::A"]
    assert remembered(bus, Toy(), key="10.0.0").groups == []


def test_nobody_sees_groups_or_hits_of_agencies_that_are_not_theirs(bus: Bus) -> None:
    waiting = [hit("10.0.0.5", 9 * SECOND), hit("10.0.0.6", 9 * SECOND, "sep")]
    saved(bus, [hit("10.0.0.1", 1), hit("10.0.0.2", 2, "sep"), *waiting], mark=NOON + SECOND)
    for agency, address in (("sfa", "10.0.0.1"), ("sep", "10.0.0.2")):
        found = remembered(bus, Toy(), scope=frozenset({agency}))
        assert [name for name, *_ in said(found)] == [f"{agency}|{address}"]
        assert [clock.waiting for clock in found.clocks if clock.partition == 1 and not clock.lateness] == [1]
    assert remembered(bus, Toy(), scope=frozenset()).groups == []
    model = Model()
    saved(bus, [hit("10.0.0.1", 1)], mark=NOON + SECOND, toy=model)
    assert remembered(bus, model).tables
    assert not remembered(bus, model, scope=frozenset({"sfa"})).tables, "whose a model's values are is not known"


def test_each_clock_has_its_windows_and_other_versions_are_not_shown(bus: Bus) -> None:
    saved(bus, [hit("10.0.0.1", 1, clock=HOURS), hit("10.0.0.2", HOURS + 1, clock=HOURS)], mark=NOON + HOURS + 1)
    (group,) = remembered(bus, Toy()).groups
    assert (group.progress.key, group.clock.lateness) == ("sfa|10.0.0.1", HOURS)
    assert (group.clock.watermark, group.clock.waiting) == (NOON + 1, 1)
    other = Toy()
    other.version = "11"
    saved(bus, [hit("10.0.0.2", 1)], mark=NOON + HOURS + 1, toy=other)
    assert remembered(bus, Toy()).groups == []


def test_a_model_without_progress_is_summed_up(bus: Bus) -> None:
    model = Model()
    saved(bus, [hit("ana", 1), hit("eva", 2)], mark=NOON + SECOND, toy=model)
    (table,) = remembered(bus, model, key="ANA").tables
    assert (table.table, table.entries, table.named) == ("groups", 2, ("sfa|ana",))
    assert table.size > 20


def test_a_reader_may_say_how_much_to_look_at(bus: Bus) -> None:
    saved(bus, [hit(f"10.0.0.{each}", each) for each in range(9)], mark=NOON + SECOND)
    found = remembered(bus, Toy(), limit=5)
    assert (len(found.groups), found.whole) == (5, False)
    assert remembered(bus, Toy(), limit=50).whole


def test_what_group_key_joined_comes_apart_again() -> None:
    for values in (["a", "b|c", "\\", ""], ["x\\|y"], ["", ""]):
        assert split_key(group_key(*values)) == values

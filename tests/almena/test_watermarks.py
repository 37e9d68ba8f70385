"""Event time is what all upstream have passed, by clock and level; a clock that nobody speaks for has ended."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.bus import EVENTS, HITS
from almena.clock import FOREVER, HOUR
from almena.state import State
from almena.watermarks import Marks, Watermarks, watermark_records

OFFSETS = itertools.count()


def watermarks(state: State | None = None, *, events: int = 2, hits: int = 2) -> Watermarks:
    return Watermarks((state or State()).table("watermarks", limit=100), events=events, hits=hits)


def tell(tested: Watermarks, topic: str, partition: int, marks: Marks, versions: Sequence[int] = ()) -> None:
    """By default at the next offset, and knowing what `tested` knows."""
    versions = versions or ([next(OFFSETS)] if topic == EVENTS else tested.versions)
    first, second = watermark_records(topic, partition, marks, versions, 2)
    assert (first.partition, second.partition, first.value) == (0, 1, second.value)
    tested.take(first.value)


def test_all_partitions_are_waited_for_on_each_clock() -> None:
    tested = watermarks()
    tell(tested, EVENTS, 0, {(0, 0): 50, (HOUR, 0): 5})
    assert [tested.at(clock, 0) for clock in (0, HOUR, 2 * HOUR)] == [-1, -1, -1]
    tell(tested, EVENTS, 1, {(0, 0): 40, (HOUR, 0): 7})
    assert [tested.at(clock, 0) for clock in (0, HOUR)] == [40, 5]
    assert tested.clocks == {0, HOUR}


def test_a_level_waits_for_those_below_and_for_all_partitions_of_hits() -> None:
    tested = watermarks()
    for partition in (0, 1):
        tell(tested, EVENTS, partition, {(0, 0): 50})
    assert (tested.at(0, 0), tested.at(0, 1)) == (50, -1)
    tell(tested, HITS, 0, {(0, 1): 50, (0, 2): 20})
    assert tested.at(0, 1) == -1
    tell(tested, HITS, 1, {(0, 1): 30, (0, 2): 60})
    assert [tested.at(0, level) for level in range(3)] == [50, 30, 20]
    assert tested.at(0, 3) == -1, "rules that nobody else has loaded yet"


def test_a_clock_has_ended_when_no_partition_of_events_speaks_for_it() -> None:
    tested = watermarks()
    both: Marks = {(0, 0): 50, (HOUR, 0): 5}
    for partition in (0, 1):
        tell(tested, EVENTS, partition, both)
        tell(tested, HITS, partition, {(0, 1): 50, (HOUR, 1): 5})
    tell(tested, EVENTS, 0, {(0, 0): 60})
    assert tested.at(HOUR, 0) == -1, "the other one still speaks for it"
    tell(tested, EVENTS, 1, {(0, 0): 60})
    assert tested.at(HOUR, 0) == FOREVER
    assert tested.at(HOUR, 1) == 5, "results of hits that waited may still come"
    tell(tested, HITS, 0, {(0, 1): 60})
    tell(tested, HITS, 1, {(0, 1): 60, (HOUR, 1): FOREVER})
    assert tested.at(HOUR, 1) == FOREVER
    tell(tested, HITS, 0, {(0, 1): 60}, [next(OFFSETS), 0])
    assert tested.at(HOUR, 1) == -1, "one that has not heard of it yet, and will give results"
    tell(tested, HITS, 0, {(0, 1): 60})
    tell(tested, EVENTS, 0, {(0, 0): 70, (HOUR, 0): 6})
    tell(tested, EVENTS, 1, {(0, 0): 70, (HOUR, 0): 7})
    assert (tested.at(HOUR, 0), tested.at(HOUR, 1)) == (6, -1), "it is back, and results are waited for again"


def test_what_has_ended_by_a_marker_stays_so() -> None:
    tested = watermarks(events=1)
    tell(tested, EVENTS, 0, {(0, 0): FOREVER})
    tell(tested, EVENTS, 0, {(0, 0): 70})
    assert tested.at(0, 0) == FOREVER


@pytest.mark.parametrize(
    "told",
    [
        7,
        ("events", 2, [], [0]),
        ("events", -1, [], [0]),
        ("events", 0, [], []),
        ("events", 0, []),
        ("alerts", 0, [], [0]),
        ("hits", 0, [[1, 2]], [0, 0]),
        ("hits", 0, [], [0]),
    ],
)
def test_what_cannot_be_is_damaged(told: object) -> None:
    tested = watermarks()
    for data in (msgspec.msgpack.encode(told), b"\xc1"):
        with pytest.raises(msgspec.MsgspecError):
            tested.take(data)
    assert tested.at(0, 0) == -1


MARKS = st.dictionaries(st.tuples(st.sampled_from([0, HOUR]), st.integers(0, 2)), st.integers(-1, 100), max_size=6)


@given(st.lists(st.tuples(st.sampled_from([EVENTS, HITS]), st.integers(0, 1), MARKS), max_size=12))
def test_a_restart_changes_nothing(told: list[tuple[str, int, Marks]]) -> None:
    state = State()
    tested = watermarks(state)
    saved: dict[str, bytes] = {}
    for topic, partition, marks in told:
        tell(tested, topic, partition, marks)
        saved |= {key: data for key, data in state.changes().items() if data is not None}
        again = watermarks(State("", saved))
        assert again.clocks == tested.clocks
        for clock in (0, HOUR, 2 * HOUR):
            levels = [tested.at(clock, level) for level in range(3)]
            assert levels == [again.at(clock, level) for level in range(3)]
            assert levels == sorted(levels, reverse=True)

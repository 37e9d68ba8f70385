"""Hits come out in order, each once, after any restart, and never more of them wait than there is room for."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from almena.hit import Hit, encode_hit
from almena.pending import Pending, hits_in, key_of
from almena.state import State

TEXTS = st.text("a/: \x1e\x01é", max_size=4)
HITS = st.builds(
    Hit,
    time=st.integers(0, 20),
    id=TEXTS,
    detector=st.sampled_from(["d", "d 1", "\x1e"]),
    group=TEXTS,
    rule=TEXTS,
    clock=st.sampled_from([0, 60]),
)


def pending(saved: dict[str, bytes] | None = None, limit: int = 100) -> tuple[State, Pending]:
    state = State("", saved)
    return state, Pending(state.table("hits", limit=limit))


@settings(max_examples=50)
@given(st.lists(st.tuples(st.lists(HITS, max_size=5), st.integers(0, 20), st.booleans()), max_size=6))
def test_every_hit_comes_once_and_in_order_however_often_it_is_restarted(
    steps: list[tuple[list[Hit], int, bool]],
) -> None:
    saved: dict[str, bytes] = {}
    state, tested = pending()
    waiting: set[tuple[object, ...]] = set()
    for hits, watermark, restart in steps:
        for number, hit in enumerate(hits):
            tested.add(hit, encode_hit(hit) if number % 2 else None)
            waiting.add((hit.clock, hit.detector, hit.time, hit.id, hit.rule, hit.group))
        assert len(tested) == len(waiting)
        for clock, detector in [(each, name) for each in (0, 60) for name in tested.detectors(each)]:
            found = tested.take(clock, detector, watermark)
            assert [(hit.time, hit.id) for hit in found] == sorted((hit.time, hit.id) for hit in found)
            out = {(clock, detector, hit.time, hit.id, hit.rule, hit.group) for hit in found}
            assert len(out) == len(found)
            due = {key for key in waiting if key[:2] == (clock, detector) and key[2] <= watermark}  # type: ignore[operator]
            assert out == due
            waiting -= due
        tested.settle()
        for key, data in state.changes().items():
            saved.pop(key, None)
            if data is not None:
                saved[key] = data
        assert len(saved) == len(waiting)
        if restart:
            state, tested = pending(saved)
        assert tested.clocks == {key[0] for key in waiting}


def test_beyond_the_limit_the_oldest_leave_are_counted_and_leave_nothing_behind() -> None:
    _, tested = pending(limit=10)
    for number in range(1_000):
        tested.add(Hit(1_000 - number, f"e{number}", "d", "g"))
        tested.settle()
        assert len(tested) <= 10
        assert tested._entries <= 20
    assert tested.evicted == 990
    assert [hit.id for hit in tested.take(0, "d", 1_000)] == [f"e{number}" for number in range(999, 989, -1)]
    assert len(tested) == 0


def test_what_comes_and_goes_in_one_step_is_never_written() -> None:
    state, tested = pending()
    tested.add(Hit(1, "a", "d", "g"))
    assert [hit.id for hit in tested.take(0, "d", 1)] == ["a"]
    tested.settle()
    assert state.changes() == {}
    assert tested.detectors(0) == []


def test_a_damaged_hit_is_left_out_and_counted() -> None:
    hit = Hit(1, "a", "d", "g")
    for data in (b"\xc1", b"\x07", b"\x92\x01\x02"):
        state = State("", {f"hits\x1f{key_of(hit)}": data, f"hits\x1f{key_of(Hit(1, 'b', 'd', 'g'))}": encode_hit(hit)})
        table = state.table("hits", limit=10)
        assert [found for _, found in hits_in(table)] == [hit]
        assert (len(table), state.damaged()) == (1, 1)
        tested = pending({f"hits\x1f{key_of(hit)}": data})[1]
        assert tested.take(0, "d", 1) == []
        assert len(tested) == 0

"""Fair shares, held to their definition by brute force."""

from __future__ import annotations

import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from collectors.quota import Backlog, Room, Turns, level

SENDERS = st.sampled_from(["a", "b", "c", "d"])


@given(st.lists(st.integers(0, 60), max_size=8), st.integers(0, 200))
def test_the_level_is_the_largest_share_that_fits(sizes: list[int], room: int) -> None:
    share = level(sizes, room)
    assert sum(min(size, share) for size in sizes) <= room
    if share < max(sizes, default=0):
        assert sum(min(size, share + 1) for size in sizes) > room


@given(st.lists(st.tuples(SENDERS, st.integers(1, 40)), max_size=200), st.integers(1, 400), st.integers(1, 50))
def test_what_waits_is_bounded_in_order_and_nothing_goes_uncounted(
    puts: list[tuple[str, int]], bound: int, limit: int
) -> None:
    backlog: Backlog[tuple[str, int]] = Backlog(bound)
    gone = 0
    for number, (sender, size) in enumerate(puts):
        gone += backlog.put(sender, (sender, number), size)
        assert backlog.size <= bound
    taken: list[tuple[str, int]] = []
    while backlog:
        some = backlog.take(limit)
        assert len(some) <= limit
        taken += some
    assert backlog.size == 0
    assert len(taken) + gone == len(puts)
    for name in "abcd":
        numbers = [number for sender, number in taken if sender == name]
        assert numbers == sorted(numbers)


@given(st.lists(SENDERS, min_size=1, max_size=100), st.integers(1, 8))
def test_who_has_less_than_a_fair_share_loses_nothing(noise: list[str], few: int) -> None:
    """Five senders share 1,600 bytes; the quiet one has no more than a fifth of what is left of them when cut."""
    backlog: Backlog[str] = Backlog(1_600)
    for number in range(few):
        backlog.put("quiet", "quiet", 30)
        for sender in noise * 5:
            backlog.put(sender, sender, 30)
        assert number < 8
    assert Counter(backlog.take(10_000))["quiet"] == few


def test_a_flood_of_senders_is_bounded_too() -> None:
    backlog: Backlog[int] = Backlog(10_000_000, senders=16)
    for number in range(10_000):
        backlog.put(f"192.0.2.{number}", number, 10)
    assert len(backlog._buckets) <= 32
    assert len(backlog.take(100_000)) == 10_000
    assert not backlog


def test_the_largest_is_known() -> None:
    backlog: Backlog[int] = Backlog(100)
    assert backlog.largest() == ""
    backlog.put("a", 1, 10)
    backlog.put("b", 1, 20)
    assert backlog.largest() == "b"


def test_senders_have_turns() -> None:
    backlog: Backlog[str] = Backlog(10_000_000)
    for _ in range(1_000):
        backlog.put("noisy", "noisy", 1)
    backlog.put("quiet", "quiet", 1)
    assert "quiet" in backlog.take(100)


@given(st.lists(st.tuples(SENDERS, st.integers(1, 30)), max_size=60))
def test_room_is_left_however_many_are_greedy(wishes: list[tuple[str, int]]) -> None:
    room = Room(1_000)
    for source, size in wishes:
        if not room.is_full(source):
            room.take(source, size)
        assert room.is_full(source) == (room.share(source) >= 1.0)
        assert not room.is_full("another"), "the next always finds room"
    for source in "abcd":
        room.give(source, room._of[source])
    assert room.taken == 0
    assert not room._of


def test_what_is_larger_than_all_room_is_let_in_alone() -> None:
    room = Room(10)
    assert not room.is_full("a")
    room.take("a", 1_000)
    assert room.is_full("a")
    assert room.is_full("b")
    assert room.share("b") == 0.0
    room.give("a", 1_000)
    assert not room.is_full("b")


def test_a_turn_that_was_given_to_one_who_left_goes_on() -> None:
    async def run() -> list[str]:
        turns, order = Turns(), list[str]()

        async def work(source: str) -> None:
            await turns.take(source)
            order.append(source)
            await asyncio.sleep(0)
            turns.give()

        await turns.take("first")
        tasks = [asyncio.ensure_future(work(name)) for name in ("a", "a", "b", "c")]
        await asyncio.sleep(0)
        tasks[0].cancel()  # one that waits
        turns.give()
        tasks[1].cancel()  # one that was given the turn, and has not heard of it
        await asyncio.wait(tasks)
        await asyncio.wait_for(turns.take("last"), 1)
        return order

    order = asyncio.run(run())
    assert set(order) >= {"b", "c"}

"""Fair shares of a server's work."""

from __future__ import annotations

import contextlib

import pytest
from sinks import Kept

from collectors.http import Token
from collectors.http.access import Entry
from collectors.http.answers import Refusal
from collectors.http.places import Places


def entries(*names: str, rate: int = 0) -> list[Entry]:
    made = {name: Token(agency="a", token="x" * 16, rate=rate) for name in names}
    return [Entry(name, token, token.source(name), token.token) for name, token in made.items()]


def fill(places: Places, entry: Entry | None, stack: contextlib.ExitStack) -> int:
    """How many places one gets."""
    count = 0
    with contextlib.suppress(Refusal):
        while count < 1_000:
            stack.enter_context(places.turn(entry))
            count += 1
    with pytest.raises(Refusal, match="come back"):
        stack.enter_context(places.turn(entry))
    return count


def test_who_takes_all_there_is_leaves_one_place_to_each_other() -> None:
    noisy, quiet, silent = entries("noisy", "quiet", "silent")
    sink = Kept()
    with contextlib.ExitStack() as stack:
        places = Places(10, [noisy, quiet, silent], sink)
        assert fill(places, noisy, stack) == 8
        assert fill(places, quiet, stack) == 1
        assert fill(places, silent, stack) == 1
    with contextlib.ExitStack() as stack:
        assert fill(places, quiet, stack) == 8
    assert ("noisy", 1.0, 0, "") in sink.shares


def test_who_is_not_known_yet_gets_a_quarter() -> None:
    (one,) = entries("one")
    with contextlib.ExitStack() as stack:
        places = Places(32, [one], Kept())
        assert fill(places, None, stack) == 8
        assert fill(places, one, stack) == 24


def test_few_places_for_many_go_to_who_comes_first() -> None:
    many = entries(*"abcdef")
    with contextlib.ExitStack() as stack:
        assert fill(Places(3, many, Kept()), many[0], stack) == 3


def test_a_rate_lets_a_burst_through_and_then_that_much_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = [100.0]
    monkeypatch.setattr("collectors.http.places.time.monotonic", lambda: moment[0])
    (one,) = entries("one", rate=10)
    sink = Kept()
    places = Places(8, [one], sink)
    places.spend(one, 60)
    places.spend(one, 60)  # what is left of the burst suffices for a batch to go through whole
    with pytest.raises(Refusal) as caught:
        places.spend(one, 1)
    assert (caught.value.status, caught.value.retry) == (429, 3)
    assert sink.shares == [("one", 0.6, 0, ""), ("one", 1.0, 0, "")]
    moment[0] += 2.1
    places.spend(one, 1)
    for _ in range(100):  # a second of one record each
        moment[0] += 0.1
        places.spend(one, 1)
    moment[0] += 1_000
    places.spend(one, 101)
    with pytest.raises(Refusal):
        places.spend(one, 1)


def test_without_a_rate_there_is_no_bound() -> None:
    (one,) = entries("one")
    places = Places(8, [one], Kept())
    for _ in range(100):
        places.spend(one, 1_000_000)

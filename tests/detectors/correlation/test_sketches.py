"""Estimates: how far off they are, that order does not matter, and that what is forgotten is gone."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.clock import MINUTE
from detectors.correlation.panes import PANES, Panes
from detectors.correlation.signals import Mark
from detectors.correlation.sketches import (
    DISTINCT_ERROR,
    QUANTILE_ERROR,
    Cardinality,
    Histogram,
    digest,
    together,
)


@pytest.mark.parametrize("number", [0, 1, 10, 500, 5_000, 100_000])
def test_distinct_values_are_counted_within_the_error(number: int) -> None:
    sketch = Cardinality()
    for value in range(number):
        for _ in range(2 if number < 1_000 else 1):
            sketch.add(digest(f"u{value}"))
    assert abs(len(sketch) - number) <= 3 * DISTINCT_ERROR * number


def test_distinct_values_together_are_those_of_all() -> None:
    parts = [Cardinality() for _ in range(4)]
    for value in range(8_000):
        parts[value % 4].add(digest(str(value)))
        parts[(value + 1) % 4].add(digest(str(value)))
    whole = Cardinality()
    for value in random.Random(1).sample(range(8_000), 8_000):
        whole.add(digest(str(value)))
    assert together(parts).registers == whole.registers
    assert len(together(parts)) == len(whole)
    assert len(together([])) == 0


@given(st.lists(st.integers(-(10**18), 10**18), min_size=1, max_size=60), st.randoms(use_true_random=False))
def test_ranks_are_within_the_error_whatever_the_order(values: list[int], rng: random.Random) -> None:
    sketch = Histogram()
    for value in rng.sample(values, len(values)):
        sketch.add(value)
    for rank, value in enumerate(sorted(values)):
        assert abs(sketch.at(rank) - value) <= abs(value) * QUANTILE_ERROR * 1.01 + 1
    other = Histogram()
    for value in values:
        other.add(value)
    assert other.bins == sketch.bins
    sketch.forget(other)
    assert sketch.bins == {}


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(-50, 50)), max_size=80), st.booleans())
def test_panes_add_up_to_what_lies_wholly_in_the_window(steps: list[tuple[int, int]], restore: bool) -> None:
    panes, now, known = Panes(MINUTE, Histogram), 0, []
    width = MINUTE // PANES
    for number, (gap, value) in enumerate(steps):
        now += gap * 1_000_000
        panes.add(Mark(now, f"e{number}/r"), value)
        known.append((now, value))
        if restore:
            panes = Panes(MINUTE, Histogram).load(panes.dump())
        left = [(time, value) for time, value in known if time - time % width >= now - MINUTE]
        assert (panes.events, panes.total) == (len(left), sum(value for _, value in left))
        assert panes.first.time == left[0][0]
        middle = sorted(value for _, value in left)[len(left) // 2]
        assert abs(panes.at(len(left) // 2) - middle) <= 1

"""Hits travel whole, and groups of different values never share a key."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from almena.hit import WIDEST, Hit, decode_hit, encode_hit, group_key

VALUES = st.lists(st.text('a|\\"', max_size=4), min_size=1, max_size=3)


@given(VALUES, VALUES)
def test_keys_are_equal_for_equal_values_and_no_others(one: list[str], other: list[str]) -> None:
    assert (group_key(*one) == group_key(*other)) == (one == other)


@given(
    st.integers(-WIDEST, WIDEST - 1),
    st.dictionaries(
        st.text(max_size=5), st.integers(-WIDEST, WIDEST - 1) | st.floats(allow_nan=False) | st.text(max_size=9)
    ),
)
def test_a_hit_comes_back_as_it_was(time: int, fields: dict[str, object]) -> None:
    hit = Hit(time, "s:1:2/rule", "detector", "a|b", fields, "rule", (3, 7))
    assert decode_hit(encode_hit(hit)) == hit

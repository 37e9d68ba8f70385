"""Cursors from anyone, values of any kind, prefixes at the edges of Unicode."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.errors import StoreError
from almena.store import ALL, Query
from almena.store.match import after_prefix, cursor_of, index, order, read_cursor, words

QUERY = Query(kind="alerts", scope=ALL)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["@timestamp", "event.severity", "source.ip", "almena.misfit", "x"]) | st.text()


@given(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.text()), st.text(min_size=1))
def test_a_cursor_comes_back(value: Any, identity: str) -> None:
    mark = read_cursor(QUERY, cursor_of(QUERY, value, identity))
    assert (mark.value, mark.id) == (value, identity)


@given(st.text() | st.binary().map(lambda data: base64.urlsafe_b64encode(data).decode()))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(StoreError):
        read_cursor(QUERY, text)


@given(anything, anything, anything)
def test_a_made_up_cursor_is_refused_or_harmless(query: Any, value: Any, identity: Any) -> None:
    true_mark = msgspec.msgpack.decode(base64.urlsafe_b64decode(cursor_of(QUERY, 1, "a") + "=="))[0]
    for first in (query, true_mark):
        try:
            made = msgspec.msgpack.encode([first, value, identity])
        except (OverflowError, UnicodeEncodeError):
            continue
        try:
            mark = read_cursor(QUERY, base64.urlsafe_b64encode(made).decode().rstrip("="))
        except StoreError:
            continue
        assert mark.query == true_mark
        assert isinstance(mark.id, str)


@given(st.dictionaries(names, anything, max_size=6))
def test_any_document_has_an_index_and_words(document: dict[str, Any]) -> None:
    for name, found in index(document).items():
        assert name in document
        assert list(found) == sorted(set(found), key=order)
    assert all(words(document))


@given(st.text(), st.text(min_size=1))
def test_the_end_of_a_prefix(prefix: str, rest: str) -> None:
    end = after_prefix(prefix)
    assert end is None or (prefix + rest < end and not end.startswith(prefix))
    if end is None:
        assert set(prefix) <= {"\U0010ffff"}


def test_many_fields_and_values_are_bounded() -> None:
    wide = index({f"x{number}": number for number in range(5_000)})
    assert len(wide) == 1_000
    assert len(index({"x": list(range(5_000))})["x"]) == 1_000

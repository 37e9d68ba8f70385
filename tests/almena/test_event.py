"""Events are one flat mapping: JSON becomes one or a ParseError, nested objects become dotted names."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.errors import ParseError
from almena.event import decode, encode, flatten, strings

NAMES = st.text("abc", min_size=1, max_size=3)
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)
TREES = st.recursive(LEAVES, lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=10)


@given(st.dictionaries(NAMES, TREES, max_size=4))
def test_flattening_keeps_every_value_under_its_path(document: dict[str, Any]) -> None:
    flat = flatten(document)
    assert not any(isinstance(value, dict) for value in flat.values())
    for name, value in flat.items():
        found: Any = document
        for part in name.split("."):
            found = found[part]
        assert found is value

    def leaves(tree: Any) -> int:
        return sum(map(leaves, tree.values())) if isinstance(tree, dict) else 1

    assert len(flat) == leaves(document)


def test_depth_is_bounded() -> None:
    document: dict[str, Any] = {"a": 1}
    for _ in range(19):
        document = {"a": document}
    assert len(flatten(document)) == 1
    with pytest.raises(ParseError, match="nested deeper than 20"):
        flatten({"a": document})


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "malformed JSON"),
        (b'{"a":', "malformed JSON"),
        (b'{"a":x}', "malformed JSON (at 5)"),
        (b"[1]", "JSON, but no object (at 0)"),
        (b'"x"', "JSON, but no object (at 0)"),
        (b'{"a":' + b"9" * 5_000 + b"}", "JSON with a number out of range"),
        (b'{"a":"\xff"}', "JSON that is no UTF-8"),
        (b'{"a":' * 100_000, "JSON nested too deeply"),
    ],
)
def test_what_is_no_event_says_why_without_quoting(data: bytes, reason: str) -> None:
    with pytest.raises(ParseError) as caught:
        decode(data)
    assert str(caught.value) == reason


@given(st.binary(max_size=60))
def test_any_bytes_are_an_object_or_a_parse_error(data: bytes) -> None:
    try:
        found = decode(data)
    except ParseError:
        return
    assert decode(encode(found)) == found


def test_values_as_texts() -> None:
    assert strings(None) == []
    assert strings("a") == ["a"]
    assert strings([1, None, "b"]) == ["1", "b"]

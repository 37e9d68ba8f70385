"""Arrays are cut into their elements whatever the blocks they are read in, in bounded memory."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors import jsonarray
from collectors.jsonarray import begins, elements

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.sampled_from('a"\\[]{},: \n'), max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('b",\\]', max_size=4), inner, max_size=4),
    max_leaves=15,
)


def cut(data: bytes, longest: int = 1_000, block: int = 1 << 16) -> list[tuple[int, int, bytes]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonarray, "_BLOCK", block)
        return list(elements(io.BytesIO(data), longest))


@settings(max_examples=300)
@given(values=st.lists(JSON, max_size=6), block=st.integers(1, 40), indent=st.sampled_from([0, 2]))
def test_elements_are_those_of_a_json_parser(values: list[Any], block: int, indent: int) -> None:
    data = msgspec.json.format(msgspec.json.encode(values), indent=indent)
    found = cut(data, block=block)
    assert [number for number, _, _ in found] == list(range(1, len(values) + 1))
    assert [msgspec.json.decode(element) for _, _, element in found] == values
    for _, offset, element in found:
        assert data[offset : offset + len(element)] == element


@given(data=st.binary(max_size=200) | st.text('[]{},:"\\ a1', max_size=60).map(str.encode), block=st.integers(1, 64))
def test_any_bytes_are_cut_the_same_in_any_blocks(data: bytes, block: int) -> None:
    found = cut(data)
    assert cut(data, block=block) == found
    for _, offset, element in found:
        assert data[offset : offset + len(element)] == element


@pytest.mark.parametrize("block", [1, 7, 1 << 16])
def test_an_element_too_long_is_cut_one_byte_over_and_the_next_is_whole(block: int) -> None:
    found = cut(b'[{"a":"' + b"x" * 5_000 + b'"}, {"b":1}]', longest=100, block=block)
    assert [len(element) for _, _, element in found] == [101, 7]
    assert found[1] == (2, 5_011, b'{"b":1}')


def test_what_stands_around_or_is_missing_is_not_lost() -> None:
    assert [element for _, _, element in cut(b'[{"a":1}] more [2]')] == [b'{"a":1}', b"more", b"2"]
    assert [element for _, _, element in cut(b'[{"a":1}, {"b":')] == [b'{"a":1}', b'{"b":']
    assert cut(b" [ \n ] ") == []


@pytest.mark.parametrize(
    ("head", "array"),
    [
        (b'[{"a":1}]', True),
        (b'\xef\xbb\xbf \n[\n  {"a": 1}', True),
        (b"[", True),
        (b"[]", True),
        (b"[Sun Nov 22 13:34:00.123456 2026] [core:error] [pid 1] x", False),
        (b'{"a":[{}]}', False),
        (b"[1,2]", False),
        (b"", False),
    ],
)
def test_which_files_are_arrays(head: bytes, array: bool) -> None:
    assert begins(head) is array


def test_clouds_wrap_the_array_in_an_object() -> None:
    for data in (b'{"Records": [{"a": 1},{"b": [2]}]}', b'{\n "records":[\n{"a": 1},\n{"b": [2]}]\n, "next": null}\n'):
        assert begins(data)
        found = list(elements(io.BytesIO(data), 1_000))
        assert [element for _, _, element in found] == [b'{"a": 1}', b'{"b": [2]}']
        assert all(data[offset : offset + len(element)] == element for _, offset, element in found)
    cut = list(elements(io.BytesIO(b'{"Records":[{"a": 1},{"b"'), 1_000))
    assert [element for _, _, element in cut] == [b'{"a": 1}', b'{"b"']
    assert not begins(b'{"Records": 3}')


@pytest.mark.parametrize(
    "head",
    [
        b'{"@odata.context": "https://graph.example/v1.0/$metadata#auditLogs", "value": ',
        b'{"kind":"admin#reports#activities","etag":"a","items":',
        b'{"events": ',
        b'{\n  "count": 2,\n  "records": ',
    ],
    ids=["Graph", "Google", "events", "a count before"],
)
def test_answers_of_clouds_are_taken_apart(head: bytes) -> None:
    data = head + b'[{"a":1}, {"b":[2]}]}'
    assert begins(data)
    assert [element for _, _, element in cut(data)] == [b'{"a":1}', b'{"b":[2]}']


@pytest.mark.parametrize("record", [b'{"events":3,"a":[{}]}', b'{"tags":["x"],"a":1}', b'{"value":["x"]}', b'{"a":1}'])
def test_a_record_is_no_wrapping(record: bytes) -> None:
    assert not begins(record)

"""Snappy as others write it: one block, or Java's blocks behind a head; never more than may be held."""

from __future__ import annotations

import contextlib

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors import topicbatches
from collectors.topicbatches import _snappy, _TooLarge

HEAD = b"\x82SNAPPY\0" + (1).to_bytes(4) * 2


def block(data: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(data))


def java(*parts: bytes) -> bytes:
    return HEAD + b"".join(len(packed).to_bytes(4) + packed for packed in map(block, parts))


@given(parts=st.lists(st.binary(max_size=2_000), max_size=5))
def test_both_ways_of_writing_give_the_same(parts: list[bytes]) -> None:
    assert _snappy(java(*parts)) == _snappy(block(b"".join(parts))) == b"".join(parts)


def test_what_says_that_it_gets_too_long_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topicbatches, "MOST_BYTES", 10_000)
    assert len(_snappy(java(bytes(5_000), bytes(5_000)))) == 10_000
    for packed in (block(bytes(10_001)), java(bytes(5_000), bytes(5_001)), b"\xff\xff\xff\xff\x0f"):
        with pytest.raises(_TooLarge):
            _snappy(packed)


@given(data=st.binary(max_size=300).map(lambda tail: HEAD + tail) | st.binary(max_size=300))
def test_damage_is_an_error_of_the_library_or_nothing(data: bytes) -> None:
    with contextlib.suppress(cramjam.DecompressionError, _TooLarge):
        _snappy(data)

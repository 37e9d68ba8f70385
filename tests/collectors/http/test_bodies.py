"""Bodies under caps: bombs, damage, and elements that are no JSON."""

from __future__ import annotations

import gzip
import time
import tracemalloc
import zlib

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from collectors.http.answers import Refusal
from collectors.http.bodies import MAX_RECORD, frames, unpack

LIMIT = 1 << 20
TEXT = b'{"a":1}\n{"a":2}\n' * 100


def packed(encoding: str, data: bytes) -> bytes:
    if encoding == "zstd":
        return zstandard.ZstdCompressor().compress(data)
    return gzip.compress(data, mtime=0) if encoding.endswith("gzip") else zlib.compress(data)


ENCODINGS = ["gzip", "x-gzip", "deflate", "zstd"]


def refusal(body: bytes, encoding: str, limit: int = LIMIT) -> int:
    with pytest.raises(Refusal) as caught:
        unpack(body, encoding, limit)
    return caught.value.status


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(data=st.binary(max_size=5_000))
def test_what_was_packed_is_unpacked(encoding: str, data: bytes) -> None:
    assert unpack(packed(encoding, data), encoding, LIMIT) == data


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
def test_what_was_not_packed_stays(encoding: str) -> None:
    assert unpack(TEXT, encoding, LIMIT) == TEXT


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_limit_is_for_what_is_unpacked(encoding: str) -> None:
    assert len(unpack(packed(encoding, bytes(LIMIT)), encoding, LIMIT)) == LIMIT
    assert refusal(packed(encoding, bytes(LIMIT + 1)), encoding) == 413


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_bomb_never_unfolds(encoding: str) -> None:
    """Half a gigabyte in some kilobytes; zstd says so in its header, or not."""
    if encoding == "zstd":
        piece = zstandard.ZstdCompressor(write_content_size=False).compressobj()
        bomb = b"".join([piece.compress(bytes(1 << 20)) for _ in range(512)]) + piece.flush()
    else:
        bomb = packed(encoding, bytes(128 << 20))
    assert len(bomb) < LIMIT
    tracemalloc.start()
    assert refusal(bomb, encoding) == 413
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 24 << 20


def test_a_window_of_a_gigabyte_is_never_made() -> None:
    wide = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True, write_content_size=0)
    stream = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    assert refusal(stream.compress(bytes(1_000)) + stream.flush(), "zstd") == 400


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "damage", [lambda data: data[:-3], lambda data: data + b"more", lambda data: b"", lambda data: b"no such thing"]
)
def test_damage_is_told(encoding: str, damage: object) -> None:
    assert refusal(damage(packed(encoding, TEXT)), encoding) == 400  # type: ignore[operator]


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(data=st.binary(max_size=300), cut=st.integers(0, 60))
def test_any_bytes_are_unpacked_or_refused(encoding: str, data: bytes, cut: int) -> None:
    for body in (data, packed(encoding, TEXT)[:cut] + data):
        status = 200
        try:
            assert len(unpack(body, encoding, 4_000)) <= 4_000
        except Refusal as refused:
            status = refused.status
        assert status in (200, 400, 413)


def test_an_unknown_encoding_is_told() -> None:
    assert refusal(b"", "br") == 415


# Records


def test_one_element_that_is_no_json_costs_no_other() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    bad = [deep, b'{"a":NaN}', b'{"a":1', b"\xff\xfe", b'"\\ud800"', b"9" * 1_000_000]
    for element in bad:
        if element == b'{"a":1':
            continue
        body = b'[{"first":1},' + element + b',{"last":1}]'
        found = [each.data for each in frames(body, "application/json", 10)]
        assert found == [b'{"first":1}', element, b'{"last":1}']
        found = [each.data for each in frames(b'{"first":1}\n' + element + b'\n{"last":1}', "application/x-ndjson", 10)]
        assert found == [b'{"first":1}', element, b'{"last":1}']


def test_what_clouds_wrap_is_taken_apart() -> None:
    for body in (
        b'{"records": [{"a":1}, {"b":[2]}]}',
        b'{"@odata.context":"https://graph.example/v1.0/$metadata","value":[{"a":1},{"b":[2]}],"@odata.nextLink":"x"}',
    ):
        assert [each.data for each in frames(body, "application/json", 10)] == [b'{"a":1}', b'{"b":[2]}']
    for body in (b'{"records": 3}', b'{"tags": ["a"], "b": 1}', b'{"records": [{"a":1'):
        assert [each.data for each in frames(body, "application/json", 10)] == [body]


def test_a_million_elements_are_refused_soon() -> None:
    began = time.process_time()
    for body in (b"[" + b"1," * 1_000_000 + b"1]", b"[" + b"NaN," * 1_000_000 + b"1]", b"[" * 3_000_000 + b"NaN]"):
        with pytest.raises(Refusal):
            frames(body, "application/json", 20_000)
    assert time.process_time() - began < 5


@given(
    st.lists(
        st.one_of(
            st.integers(), st.text(), st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False))
        )
    )
)
def test_elements_of_an_array_are_its_records(values: list[object]) -> None:
    body = msgspec.json.encode(values)
    if values:
        assert [msgspec.json.decode(each.data) for each in frames(body, "", 200)] == values


@given(st.binary(max_size=300), st.sampled_from(["application/json", "", "text/plain", "application/x-ndjson"]))
def test_any_body_is_cut_or_refused(body: bytes, kind: str) -> None:
    status = 200
    try:
        found = frames(body, kind, 20)
        assert 0 < len(found) <= 20
        assert all(0 < len(each.data) <= MAX_RECORD for each in found)
    except Refusal as refused:
        status = refused.status
    assert status in (200, 400, 413)

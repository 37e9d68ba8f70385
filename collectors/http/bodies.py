"""The body of a request, under caps: taken whole, decompressed, and cut into records."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable

import msgspec
import zstandard
from starlette.requests import ClientDisconnect, Request

from collectors import jsonarray
from collectors.framing import Frame
from collectors.http.answers import Refusal

MAX_RECORD = 1 << 20
"""Longest record in bytes; a longer one is cut there and flagged."""

_WINDOW = 8 << 20  # what RFC 9659 lets a sender of zstd ask for
_PIECE = 256  # bytes of zstd taken at once: they may stand for eight megabytes, and more of them for more
_SIGNS, _MOST_SIGNS = (b'"', b"[", b"]", b"{", b"}", b",", b"\\"), 2_000_000  # each costs a step
_HEAD = 4_096  # bytes by which an array is known
_LINES = ("text/plain", "application/x-ndjson", "application/ndjson", "application/jsonl")
_BYTE = re.compile(r"\(byte (\d+)\)")
_NO_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


async def take(request: Request, limit: int) -> bytes:
    """The body as it was sent, and never more of it than is allowed; raises Refusal."""
    length = request.headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()) or int(length[:20]) > limit:
        raise _too_large(limit)
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise _too_large(limit)
    except ClientDisconnect:
        raise Refusal(400, "the body is not whole") from None
    return bytes(body)


def unpack(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its Content-Encoding; raises Refusal for damage, and before more than `limit` is held."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in _UNPACK:
        raise Refusal(415, "Content-Encoding: gzip, deflate and zstd are understood")
    return _UNPACK[encoding](body, limit)


def _inflate(body: bytes, limit: int, wbits: int, name: str) -> bytes:
    stream = zlib.decompressobj(wbits=wbits)
    try:
        content = stream.decompress(body, limit + 1)
    except zlib.error:
        raise Refusal(400, f"the body is no valid {name}") from None
    if len(content) > limit:
        raise _too_large(limit)
    if not stream.eof or stream.unused_data:
        raise Refusal(400, f"the body is no valid {name}")
    return content


def _zstd(body: bytes, limit: int) -> bytes:
    stream = zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()
    content, place = bytearray(), 0
    try:
        while place < len(body) and not stream.eof:
            content += stream.decompress(body[place : place + _PIECE])
            place += _PIECE
            if len(content) > limit:
                raise _too_large(limit)
    except zstandard.ZstdError:
        raise Refusal(400, "the body is no valid zstd, or its window is larger than 8 MiB") from None
    if not stream.eof or stream.unused_data or place < len(body):
        raise Refusal(400, "the body is no valid zstd")
    return bytes(content)


_UNPACK: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": lambda body, limit: _inflate(body, limit, 31, "gzip"),
    "x-gzip": lambda body, limit: _inflate(body, limit, 31, "gzip"),
    "deflate": lambda body, limit: _inflate(body, limit, 15, "deflate"),
    "zstd": _zstd,
}


def frames(body: bytes, kind: str, most: int) -> list[Frame]:
    """The records of a body: the elements of an array, one event, or lines; raises Refusal.

    A record that is no JSON comes as it is, for its parser to refuse: it never costs the others.
    """
    records = _records(body, kind.partition(";")[0].strip().lower(), most)
    if not records:
        raise Refusal(400, "the body holds no records")
    if len(records) > most:
        raise Refusal(413, f"more than {most} records; send smaller batches")
    return [frame(data) for data in records]


def frame(data: bytes) -> Frame:
    """The record, cut where it is too long."""
    return Frame(data[:MAX_RECORD], len(data) > MAX_RECORD)


def lines(body: bytes, most: int) -> list[bytes]:
    """The lines that are not blank; raises Refusal before too many are made."""
    if body.count(b"\n") > 2 * most:
        raise Refusal(413, f"more than {most} lines; send smaller batches")
    return [line for line in (line.strip(b"\r\0 \t") for line in body.split(b"\n")) if line]


def _records(body: bytes, kind: str, most: int) -> list[bytes]:
    if kind not in _LINES:
        begin = body[:100].lstrip()[:1]
        if begin == b"[" or (kind == "application/json" and begin != b"{"):
            return _array(body, most)
        if begin == b"{" and _is_one(body):
            return _wrapped(body) if jsonarray.begins(body[:_HEAD]) else [body]
    return lines(body, most)


def _array(body: bytes, most: int) -> list[bytes]:
    try:
        return [bytes(element) for element in msgspec.json.decode(body, type=list[msgspec.Raw])]
    except _NO_JSON as error:
        if not (body[:100].lstrip().startswith(b"[") and body.rstrip().endswith(b"]")):
            found = _BYTE.search(str(error))
            raise Refusal(400, f"no JSON array: {error}", at=int(found[1]) if found else None) from None
    if sum(map(body.count, _SIGNS)) > _MOST_SIGNS:
        raise Refusal(400, "no JSON array, and too large to look for the element that is none; send smaller batches")
    return _elements(body, most)


def _wrapped(body: bytes) -> list[bytes]:
    """The elements of the one array that an object wraps; the object itself where it is damaged."""
    try:
        for value in msgspec.json.decode(body, type=dict[str, msgspec.Raw]).values():
            if bytes(memoryview(value)[:1]) == b"[":
                return [bytes(element) for element in msgspec.json.decode(value, type=list[msgspec.Raw])]
    except _NO_JSON:
        pass
    return [body]


def _elements(body: bytes, most: int) -> list[bytes]:
    """The elements of an array some of which are no JSON, told apart by brackets, commas and quotes alone."""
    found = []
    for _, _, element in jsonarray.elements(io.BytesIO(body), MAX_RECORD):
        found.append(element)
        if len(found) > most:
            break
    return found


def _is_one(body: bytes) -> bool:
    """Whether the whole body is one JSON value, or one with a damage inside: not a line for each."""
    return _is_value(body) or not (b"\n{" in body or _is_value(body.strip().partition(b"\n")[0]))


def _is_value(data: bytes) -> bool:
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except _NO_JSON:
        return False
    return True


def _too_large(limit: int) -> Refusal:
    return Refusal(413, f"the body is larger than {limit} bytes; send smaller batches")

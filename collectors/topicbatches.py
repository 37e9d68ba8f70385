"""Batches of somebody else's topic, unpacked up to a limit: kafka-python would unpack whatever they stand for."""

from __future__ import annotations

import zlib
from typing import Any

import cramjam
import kafka.codec
import lz4.frame  # type: ignore[import-untyped]
import zstandard
from kafka.consumer.fetcher import Fetcher
from kafka.record import default_records

MOST_BYTES = 64 << 20
"""Bytes that one batch may have, unpacked; brokers limit what it has packed, one megabyte unless told otherwise."""


class Bomb(Exception):
    """A batch that stands for more than may be held."""

    def __init__(self, first: int, behind: int) -> None:
        super().__init__(f"offsets {first} to {behind - 1} unpack to more than {MOST_BYTES} bytes")
        self.first = first
        self.behind = behind
        """The offset of the next batch."""
        self.place: Any = None
        """The partition it lies in."""


class _TooLarge(Exception):
    pass


def bound() -> None:
    """Let kafka-python, in this process, stop unpacking at the limit; once is enough."""
    if default_records.gzip_decode is _gzip:
        return
    default_records.gzip_decode, default_records.zstd_decode, default_records.lz4_decode = _gzip, _zstd, _lz4
    default_records.snappy_decode = _snappy
    kafka.codec.has_snappy = lambda: True  # it asks for a library that we do not need
    uncompress, take = default_records.DefaultRecordBatch._maybe_uncompress, Fetcher.PartitionRecords.take

    def bounded(batch: Any) -> None:
        try:
            uncompress(batch)
        except _TooLarge:
            raise Bomb(batch.base_offset, batch.next_offset) from None

    def placed(records: Any, count: int | None = None) -> Any:
        try:
            return take(records, count)
        except Bomb as bomb:
            bomb.place = records.topic_partition
            raise

    default_records.DefaultRecordBatch._maybe_uncompress = bounded
    Fetcher.PartitionRecords.take = placed


def _gzip(data: bytes | memoryview) -> bytes:
    return _checked(zlib.decompressobj(wbits=31).decompress(data, MOST_BYTES + 1))


def _zstd(data: bytes) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
        return _checked(reader.read(MOST_BYTES + 1))


def _lz4(data: bytes) -> bytes:
    return _checked(lz4.frame.LZ4FrameDecompressor().decompress(data, max_length=MOST_BYTES + 1))


def _snappy(data: bytes) -> bytes:
    """One block, as librdkafka writes it, or blocks behind their lengths, as Java does; each says how long it gets."""
    if not data.startswith(_JAVA):
        return _block(data, MOST_BYTES)
    found, at = bytearray(), _JAVA_HEADER
    while at + 4 <= len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4])
        found += _block(data[at + 4 : end], MOST_BYTES - len(found))
        at = end
    return bytes(found)


_JAVA, _JAVA_HEADER = b"\x82SNAPPY\0", 16


def _block(data: bytes, most: int) -> bytes:
    if cramjam.snappy.decompress_raw_len(data) > most:
        raise _TooLarge
    return bytes(cramjam.snappy.decompress_raw(data))


def _checked(found: bytes) -> bytes:
    if len(found) > MOST_BYTES:
        raise _TooLarge
    return found

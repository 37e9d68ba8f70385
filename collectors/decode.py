"""The process that decodes Windows event logs: chunks come on standard input, records as JSON go to standard output.

It imports evtx and the standard library and nothing else, and nothing imports it: it is started, and may die. A
chunk is four bytes of length and then a whole event log with that one chunk in it. Answers are a byte of kind, eight of
the record's number and four of length before their data: records (0), records that are damaged (1), and an end (2).
"""

from __future__ import annotations

import io
import re
import resource
import struct
import sys
from typing import Any, BinaryIO

MEMORY = 2 << 30
"""Bytes of address space this process may use."""

_MOST = 3_000  # records that a chunk of 64 KiB can hold, and more
_NUMBER = re.compile(r"record number (\d{1,19})\b")
_HIGHEST = (1 << 64) - 1


def main(source: BinaryIO, target: BinaryIO) -> None:
    """Answer chunks until there are no more."""
    from evtx import PyEvtxParser

    answer(target, 2)
    while len(header := source.read(4)) == 4:
        chunk = source.read(struct.unpack("!I", header)[0])
        try:
            records = iter(PyEvtxParser(io.BytesIO(chunk), number_of_threads=1).records_json())
            decode(records, target)
        except (OSError, RuntimeError, ValueError):
            answer(target, 1)
        answer(target, 2)


def decode(records: Any, target: BinaryIO) -> None:
    """Answer with each record of a chunk."""
    for _ in range(_MOST):
        try:
            record = next(records)
        except StopIteration:
            return
        except (OSError, RuntimeError, ValueError) as error:
            found = _NUMBER.search(str(error)[:500])
            answer(target, 1, min(int(found[1]), _HIGHEST) if found else 0)
        else:
            answer(target, 0, record["event_record_id"], record["data"].encode("utf-8", "surrogatepass"))


def answer(target: BinaryIO, kind: int, number: int = 0, data: bytes = b"") -> None:
    """Write one answer; it leaves at once, since the next record may be one on which all this ends."""
    target.write(struct.pack("!BQI", kind, number, len(data)) + data)
    target.flush()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    main(sys.stdin.buffer, sys.stdout.buffer)

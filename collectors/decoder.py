"""The process that decodes event logs, seen from outside: asked for one chunk, killed when it hangs, started again."""

from __future__ import annotations

import os
import select
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from almena.errors import AlmenaError

_START_SECONDS = 30.0
_MOST = 64 << 20  # bytes that the records of one chunk may become
_FRAME = struct.Struct("!BQI")
_RECORD, _DAMAGED, _END = range(3)
_PROGRAM = Path(__file__).with_name("decode.py")


class Answer(NamedTuple):
    """A record of a chunk."""

    number: int
    """Its number in the log; 0 when it is damaged and nobody knows."""
    data: bytes | None
    """JSON; None when it is damaged."""


class Stuck(Exception):
    """It hung or died on a chunk; the rest of its records do not come."""


class Decoder:
    """Asks the process. Not for several threads at once."""

    def __init__(self, *, patience: float = 10.0, program: Path = _PROGRAM) -> None:
        """`patience` is seconds for one chunk."""
        self._patience = patience
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""

    def __enter__(self) -> Decoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def decode(self, log: bytes) -> Iterator[Answer]:
        """The records of an event log with one chunk; raises Stuck behind those that came."""
        self._start()
        try:
            assert self._process is not None
            assert self._process.stdin is not None
            self._process.stdin.write(struct.pack("!I", len(log)) + log)
            yield from self._answers(time.monotonic() + self._patience)
        except (OSError, Stuck):
            self.stop()
            raise Stuck from None
        except GeneratorExit:
            self.stop()  # the rest of its answers would be taken for those to another chunk
            raise

    def _start(self) -> None:
        if self._process is not None:
            return
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-W", "ignore", str(self._program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
            bufsize=0,
        )
        try:
            list(self._answers(time.monotonic() + _START_SECONDS))
        except (OSError, Stuck):
            self.stop()
            raise AlmenaError("the decoder of event logs does not start; is evtx installed?") from None

    def _answers(self, deadline: float) -> Iterator[Answer]:
        left = _MOST
        while True:
            kind, number, length = _FRAME.unpack(self._take(_FRAME.size, deadline))
            left -= length
            if left < 0:
                raise Stuck
            if kind == _END:
                return
            data = self._take(length, deadline)
            yield Answer(number, data if kind == _RECORD else None)

    def _take(self, size: int, deadline: float) -> bytes:
        """So many bytes of what it says; raises Stuck when they do not come in time."""
        assert self._process is not None
        assert self._process.stdout is not None
        parts, have = [self._buffer], len(self._buffer)
        while have < size:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            more = os.read(self._process.stdout.fileno(), 1 << 18) if ready else b""
            if not more:
                raise Stuck
            parts.append(more)
            have += len(more)
        whole = b"".join(parts)
        self._buffer = whole[size:]
        return whole[:size]

    def stop(self) -> None:
        """End the process; the next chunk starts another."""
        process, self._process, self._buffer = self._process, None, b""
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()

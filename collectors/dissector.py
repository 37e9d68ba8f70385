"""The process that dissects, seen from outside: asked in small batches, killed when it hangs, started again."""

from __future__ import annotations

import logging
import os
import select
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import msgspec

log = logging.getLogger("almena.dissector")

BATCH = 8
"""Packets asked about at once: few enough that all answers fit into a pipe."""

LONGEST = 4096
"""Bytes of a payload that are dissected; names stand at its beginning."""

_START_SECONDS = 30.0
_PROGRAM = Path(__file__).with_name("dissect.py")


class Found(msgspec.Struct, frozen=True):
    """What was found in one packet; which fields are set depends on its kind."""

    id: int = 0
    response: bool = False
    code: int = 0
    name: str = ""
    type: str = ""
    answers: list[tuple[str, str]] = []
    version: int = 0
    method: str = ""
    path: str = ""
    host: str = ""
    agent: str = ""


class Dissector:
    """Asks the process; `skipped` counts packets on which it hung or died."""

    def __init__(self, *, patience: float = 5.0, restarts: int = 20, program: Path = _PROGRAM) -> None:
        """`patience` is seconds without an answer; after `restarts` no more is dissected."""
        self.skipped = 0
        self._patience = patience
        self._restarts = restarts
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._decoder: msgspec.json.Decoder[Found | None] = msgspec.json.Decoder(Found | None)

    def __enter__(self) -> Dissector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def find(self, packets: Sequence[tuple[bytes, bytes]]) -> list[Found | None]:
        """What is in each packet, given as kind and payload; at most `BATCH` of them."""
        found: list[Found | None] = []
        frames = [struct.pack("!Ic", len(data[:LONGEST]), kind) + data[:LONGEST] for kind, data in packets]
        while len(found) < len(frames):
            if not self._running():
                self.skipped += len(frames) - len(found)
                return found + [None] * (len(frames) - len(found))
            lines = self._exchange(b"".join(frames[len(found) :]), len(frames) - len(found), self._patience)
            found += [self._decode(line) for line in lines]
            if len(found) < len(frames):
                log.warning("the dissector %s on a packet, which is skipped", self._stop())
                self.skipped += 1
                found.append(None)
        return found

    def _running(self) -> bool:
        """Start the process when it does not run, as often as is allowed."""
        while self._process is None:
            if self._restarts < 0:
                return False
            self._restarts -= 1
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-W", "ignore", str(self._program)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
                bufsize=0,
            )
            if self._exchange(b"", 1, _START_SECONDS) != [b'"ready"']:
                log.error("the dissector does not start; is scapy installed?")
                self._stop()
        return True

    def _exchange(self, out: bytes, count: int, patience: float) -> list[bytes]:
        """Write `out` and read `count` lines; fewer when it is silent for `patience` seconds, or ends."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        reader, writer = self._process.stdout.fileno(), self._process.stdin.fileno()
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        buffer, deadline = b"", time.monotonic() + patience
        while buffer.count(b"\n") < count:
            poll.register(writer, select.POLLOUT) if out else None
            ready = dict(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
            if not ready:
                break
            try:
                if writer in ready:
                    out = out[os.write(writer, out[: select.PIPE_BUF]) :]
                    if not out:
                        poll.unregister(writer)
                if reader in ready:
                    data = os.read(reader, 65_536)
                    if not data:
                        break
                    buffer += data
                    deadline = time.monotonic() + patience
            except OSError:
                break
        return buffer.split(b"\n")[:-1]

    def _decode(self, line: bytes) -> Found | None:
        try:
            return self._decoder.decode(line)
        except msgspec.MsgspecError:
            return None

    def _stop(self) -> str:
        """End the process; says how it was found."""
        if self._process is None:
            return "ended"
        outcome = "hung" if self._process.poll() is None else "died"
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process = None
        return outcome

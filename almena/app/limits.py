"""Which rules were found over budget: a file that all workers of an installation share, and that outlives them."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from detectors.sigma.shadow import Over

log = logging.getLogger("almena.limits")

NAME = "shadow.json"
"""The file below the folder of data."""


class Limits:
    """Decisions by rule id. One worker's decision holds for all, and until the rule changes or somebody lifts it."""

    def __init__(self, path: Path) -> None:
        """The file need not exist."""
        self._path = path
        self._read: tuple[int, int, int] | None = None

    def changed(self) -> bool:
        """Whether the file is another one than `read` saw; true before it was read."""
        return self._read is None or self._stamp() != self._read

    def read(self) -> dict[str, Over]:
        """Every decision; none where the file is damaged, which is said: rules then alert as if nothing had been."""
        self._read = self._stamp()
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, Over])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            log.error("%s: cannot be read (%s); no rule counts as over its budget", self._path, error)
            return {}

    def add(self, decisions: Mapping[str, Over]) -> dict[str, Over]:
        """Keep decisions; returns those that nobody had taken about that version before. Raises OSError."""
        with self._locked():
            known = self.read()
            fresh = {
                rule: over
                for rule, over in decisions.items()
                if rule not in known or known[rule].version != over.version
            }
            if fresh:
                self._write(known | fresh)
            return fresh

    def lift(self, rule: str) -> bool:
        """Forget the decision about one rule; False when there is none. Raises OSError."""
        with self._locked():
            known = self.read()
            found = known.pop(rule, None) is not None
            if found:
                self._write(known)
            return found

    def _stamp(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0, 0)
        return (found.st_mtime_ns, found.st_ino, found.st_size)

    def _write(self, decisions: Mapping[str, Over]) -> None:
        """All at once: a reader sees the old file or the new one."""
        beside = self._path.with_suffix(".tmp")
        with beside.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(decisions, order="sorted"), indent=2) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

"""Following files that grow: by what they are and not by what they are called, through every kind of rotation."""

from __future__ import annotations

import glob
import logging
import os
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from almena.clock import DAY, now
from collectors import checkpoint
from collectors.base import Raw
from collectors.generation import Generation, begin, is_copy, is_same, open_file, reach

log = logging.getLogger("almena.file")

_BUDGET = 4 << 20  # bytes handed on in one poll
_OPEN = 500  # files held open; the others are opened when they change
_FORGET = 7 * DAY  # a file not seen for so long is a new one when it comes back
_MOST_FILES = 10_000
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"BZh", b"PK\x03\x04")


class _File:
    """A generation and the open file it is read from."""

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self.handle: int | None = None
        self.look = (-1, -1)  # size and time of change when it was last looked at
        self.grew = time.monotonic()
        self.present = True  # False once its path names another file, or none
        self.more = True  # False once it was read as far as it goes
        self.searched = False  # True once it was looked for under other names
        self.deleted = False  # True once nothing can be written to it any more

    def close(self) -> None:
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None


class Tail:
    """The files that some patterns name; `poll` reads on, `commit` remembers what was handed on."""

    def __init__(self, patterns: Sequence[str], memory: Path, *, start: str, limit: int, linger: float) -> None:
        """`memory` is the checkpoint, `limit` the longest line in bytes; a rotated file is watched for `linger`
        seconds after its last growth. Raises AlmenaError when the checkpoint is damaged."""
        self._patterns = [os.path.abspath(pattern) for pattern in patterns]  # noqa: PTH100 - keeps `**` and links
        self._memory = memory
        self._limit = limit
        self._linger = linger
        saved = checkpoint.load(memory, list[Generation])
        self._at_end = saved is None and start == "end"
        self._files = {(known.device, known.inode): _File(known) for known in saved or () if known.inode}
        self._orphans = [known for known in saved or () if not known.inode]
        for file in self._files.values():
            file.present = False
        self._lock = threading.Lock()  # a poll goes on in its thread when the collector is cancelled
        self._told: set[str] = set()
        self._changed = saved is None
        self._turn = 0

    @property
    def more(self) -> bool:
        """Whether the next poll will find something without waiting."""
        return any(file.more and file.handle is not None for file in self._files.values())

    def poll(self) -> list[Raw]:
        """The lines that are there now, up to a budget; their files are in the checkpoint before they are returned."""
        with self._lock:
            self._scan()
            if self._changed:
                self._save()
            records: list[Raw] = []
            files = [file for file in self._files.values() if file.handle is not None]
            self._turn += 1
            left = _BUDGET
            for number in range(len(files)):
                file = files[(number + self._turn) % len(files)]
                if left > 0:
                    with self._careful(file.generation.path, file):
                        left -= self._read(file, records)
                else:
                    file.more = True
            return records

    def commit(self) -> None:
        """Everything that was polled is durable: remember it."""
        with self._lock:
            if self._changed:
                self._save()

    def close(self) -> None:
        """Let go of the files."""
        with self._lock:
            for file in self._files.values():
                file.close()

    # What is there

    def _scan(self) -> None:
        """Bring the files in line with what the patterns name now."""
        strangers: list[str] = []
        for file in self._files.values():
            was, file.present = file.present, False
            file.generation.seen = file.generation.seen if not was else now()
        for path, status in self._paths():
            known = self._files.get((status.st_dev, status.st_ino))
            if known is None:
                strangers.append(path)
                continue
            known.present, known.searched = True, False
            if known.generation.path != path:
                known.generation.path, self._changed = path, True
            with self._careful(path, known):
                self._look(known, path, (status.st_size, status.st_mtime_ns))
        self._look_after_rotated()
        self._close_some()
        room = 2 * _OPEN - sum(file.handle is not None for file in self._files.values())
        for path in strangers[: max(room, 0)]:
            with self._careful(path):
                self._meet(path)
        self._at_end = self._at_end and len(strangers) > room

    def _paths(self) -> Iterator[tuple[str, os.stat_result]]:
        """Regular files, each once."""
        seen: set[tuple[int, int]] = set()
        for pattern in self._patterns:
            for path in sorted(glob.iglob(pattern, recursive=True)):  # noqa: PTH207 - Path.glob loses `..` and links
                try:
                    status = os.stat(path)  # noqa: PTH116
                except OSError as error:
                    self._tell(path, f"cannot be read: {error.strerror}")
                    continue
                if (status.st_dev, status.st_ino) in seen or not stat.S_ISREG(status.st_mode):
                    continue
                if len(seen) >= _MOST_FILES:
                    self._tell(pattern, f"names more than {_MOST_FILES} files; the others are not read")
                    return
                seen.add((status.st_dev, status.st_ino))
                yield path, status

    def _look(self, file: _File, path: str, look: tuple[int, int]) -> None:
        """Open a file that changed, and see whether it is still what it was."""
        if look == file.look:
            return
        if file.handle is None:
            file.handle = self._open(path, file.generation)
            if file.handle is None:
                return
        file.look, file.more, file.generation.done = look, True, False
        file.grew = time.monotonic()
        if not is_same(file.handle, file.generation):
            self._begin_again(file)

    def _begin_again(self, file: _File) -> None:
        """It was truncated or written anew: what it was may live on in a copy."""
        old = file.generation
        log.info("%s: truncated; reading from its beginning", old.path)
        self._orphans.append(msgspec.structs.replace(old, device=0, inode=0))
        file.generation = begin(old.path, old.device, old.inode)
        self._changed = True

    def _look_after_rotated(self) -> None:
        """Files that no path names any more: finish those that are open, look for the others beside their old name."""
        for key, file in list(self._files.items()):
            if file.present:
                continue
            if file.handle is None and not file.searched and not file.generation.done:
                file.searched = True
                with self._careful(file.generation.path):
                    self._find_renamed(file)
            if file.handle is not None:
                with self._careful(file.generation.path, file):
                    status = os.fstat(file.handle)
                    self._look(file, file.generation.path, (status.st_size, status.st_mtime_ns))
            elif file.deleted or now() - file.generation.seen > _FORGET:
                del self._files[key]
                self._changed = True
        self._orphans = [known for known in self._orphans if now() - known.seen <= _FORGET][-1000:]

    def _find_renamed(self, file: _File) -> None:
        """It was renamed while nobody watched: its inode tells which file of the folder it is now."""
        generation = file.generation
        try:
            with os.scandir(os.path.dirname(generation.path)) as entries:  # noqa: PTH120
                path = next((entry.path for entry in entries if entry.inode() == generation.inode), None)
        except OSError:
            path = None
        handle = self._open(path, generation) if path is not None else None
        try:
            if handle is not None and is_same(handle, generation):
                file.handle, handle = handle, None
                log.info("%s: was renamed to %s; reading on", generation.path, path)
                return
        finally:
            if handle is not None:
                os.close(handle)
        log.warning("%s: is gone; what it was told after byte %d is lost", generation.path, generation.offset)

    def _meet(self, path: str) -> None:
        """A file never seen: a copy of one that was read, or a new one."""
        handle, file = open_file(path), None
        try:
            status = os.fstat(handle)
            key = (status.st_dev, status.st_ino)
            if os.pread(handle, 5, 0).startswith(_COMPRESSED):
                self._tell(path, "is compressed and not read")
            elif not self._is_copy_of_open(path, handle) and key not in self._files:
                file = _File(self._adopt(path, handle, status) or self._start(path, handle, status))
                file.handle, file.look = handle, (status.st_size, status.st_mtime_ns)
                self._files[key], self._changed = file, True
        finally:
            if file is None:
                os.close(handle)

    def _is_copy_of_open(self, path: str, handle: int) -> bool:
        """Whether it is the first half of a copy-and-truncate, whose second half is still to come."""
        return any(is_copy(path, handle, file.generation) for file in self._files.values() if file.present)

    def _adopt(self, path: str, handle: int, status: os.stat_result) -> Generation | None:
        """The truncated generation that `path` is the copy of: what had not been read of it is read here."""
        for known in self._orphans:
            if is_copy(path, handle, known):
                self._orphans.remove(known)
                known.path, known.device, known.inode = path, status.st_dev, status.st_ino
                if not is_same(handle, known):
                    reach(handle, known, status.st_size)
                return known
        return None

    def _start(self, path: str, handle: int, status: os.stat_result) -> Generation:
        generation = begin(path, status.st_dev, status.st_ino)
        if self._at_end:
            generation.skipping = status.st_size > 0 and os.pread(handle, 1, status.st_size - 1) != b"\n"
            reach(handle, generation, status.st_size)
        return generation

    def _open(self, path: str, generation: Generation) -> int | None:
        """The file opened, if it is still the one that is meant."""
        try:
            handle = open_file(path)
        except OSError as error:
            self._tell(path, f"cannot be read: {error.strerror}")
            return None
        status = os.fstat(handle)
        if (status.st_dev, status.st_ino) == (generation.device, generation.inode):
            return handle
        os.close(handle)
        return None

    def _close_some(self) -> None:
        """Hold few files open: those that grew last, those with more to read, and those rotated away."""
        files = [file for file in self._files.values() if file.handle is not None and file.present and not file.more]
        for file in sorted(files, key=lambda file: file.grew)[: max(0, len(files) - _OPEN)]:
            file.close()

    # What they say

    def _read(self, file: _File, records: list[Raw]) -> int:
        """Put the file's next lines to `records`; returns how many bytes were read."""
        generation = file.generation
        assert file.handle is not None
        size = max(self._limit + 1, 1 << 18)
        data = os.pread(file.handle, size, generation.offset)
        file.more = len(data) == size
        last = not file.present and not file.more and time.monotonic() - file.grew >= self._linger
        count, skipping = len(records), generation.skipping
        end = self._lines(generation, data, last, records)
        if end != generation.offset:
            try:
                reach(file.handle, generation, end)
            except OSError:
                generation.skipping = skipping
                del records[count:]
                raise
            self._changed = True
        if last:
            generation.done = self._changed = True
            file.deleted = os.fstat(file.handle).st_nlink == 0
            file.close()
        return len(data)

    def _lines(self, generation: Generation, data: bytes, last: bool, records: list[Raw]) -> int:
        """Cut `data`, which begins at the generation's offset, into lines; returns the offset behind them."""
        received = now()
        origin = generation.path.encode("utf-8", "backslashreplace").decode()
        place, offset = 0, generation.offset
        while place < len(data):
            end = data.find(b"\n", place)
            if end < 0:
                whole = last or generation.skipping
                if not whole and len(data) - place <= self._limit:
                    break
                end = len(data) if whole else place + self._limit
                behind, too_long = end, not whole
            else:
                behind, too_long = end + 1, False
            line = data[place : min(end, place + self._limit)].rstrip(b"\r")
            if line and not generation.skipping:
                records.append(
                    Raw(
                        data=line,
                        lane=generation.lane,
                        seq=offset + place,
                        received=received,
                        origin=origin,
                        place=offset + place,
                        truncated=too_long or end - place > self._limit,
                    )
                )
            generation.skipping = too_long or (generation.skipping and behind == end)
            place = behind
        return offset + place

    @contextmanager
    def _careful(self, path: str, file: _File | None = None) -> Iterator[None]:
        """A file that cannot be read holds up no other; it is looked at again when it changes, from the same place."""
        try:
            yield
        except OSError as error:
            self._tell(path, f"cannot be read: {error.strerror}")
            if file is not None:
                file.look = (-1, -1)
                file.close()

    def _save(self) -> None:
        known = [file.generation for file in self._files.values()]
        checkpoint.save(self._memory, known + self._orphans)
        self._changed = False

    def _tell(self, path: str, what: str) -> None:
        """Log once of each path."""
        if path not in self._told and len(self._told) < _MOST_FILES:
            self._told.add(path)
            log.warning("%s: %s", path, what)

"""Files never seen before: copies of files that were followed, plain or packed, or new ones."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from almena.encoding import encoding_of, line_end
from collectors.content import Content, open_content
from collectors.followed import Followed, Reading
from collectors.generation import Alike, Generation, alike, begin, reach, stem

log = logging.getLogger("almena.file")

_MOST_WAITING = 20_000
_NO_TEXT = {
    b"PK\x03\x04": "is a zip archive and not read; unpack it first",
    b"ElfF": "is an event log and not read; a collector of type 'evtx' reads it",
}
_FOREVER = float("inf")


@dataclass(frozen=True)
class _Waiting:
    """Why a file is not followed yet."""

    look: tuple[int, int]
    """Its size and time of change; with other ones it is looked at anew."""
    until: float
    """When it is, though nothing has changed."""
    original: Followed | None = None
    """The file it is a copy of and more may come to, as long as that is there."""

    def lasts(self, look: tuple[int, int]) -> bool:
        """Whether there is nothing new about it."""
        if look != self.look or time.monotonic() >= self.until:
            return False
        return self.original is None or self.original.there


class Strangers:
    """Meets new files on behalf of a tail, whose files and orphans it adds to and takes from."""

    def __init__(
        self,
        files: dict[tuple[int, int], Followed],
        orphans: list[Generation],
        reading: Reading,
        tell: Callable[[str, str], None],
    ) -> None:
        """`files` are known by device and inode, `orphans` are gone and may live on in copies."""
        self._files = files
        self._orphans = orphans
        self._reading = reading
        self._tell = tell
        self._waiting: dict[tuple[int, int], _Waiting] = {}

    def meet(self, path: str, *, at_end: bool) -> bool:
        """Follow the file at `path` if its time has come; whether it has. With `at_end` a new one from its end."""
        content, followed = open_content(path, self._reading.unpacked), False
        if content is None:
            return False
        try:
            followed = self._meet(path, content, at_end=at_end)
        finally:
            if not followed:
                content.close()
        return followed

    def _meet(self, path: str, content: Content, *, at_end: bool) -> bool:
        key, look = identity(content)
        waiting = self._waiting.get(key)
        if not self._vacant(key) or (waiting is not None and waiting.lasts(look)):
            return False
        waited = waiting is not None and waiting.look == look and waiting.original is None
        what = _NO_TEXT.get(content.read(4, 0))
        if what is not None:
            self._tell(path, what)
            self._wait(key, _Waiting(look, _FOREVER))
            return False
        for file in self._files.values():
            if file.there and alike(path, content, file.generation) is not Alike.NO:
                self._wait(key, _Waiting(look, _FOREVER, file))
                return False
        verdict, original = self._gone(path, content)
        if verdict is Alike.LATER and not waited:
            self._wait(key, _Waiting(look, time.monotonic() + self._reading.linger))
            return False
        self._waiting.pop(key, None)
        if original is not None:
            self._inherit(path, content, original, verdict)
        else:
            self._follow(content, _start(path, content, at_end))
        return True

    def _vacant(self, key: tuple[int, int]) -> bool:
        """Whether no file that is there has this inode; one that is gone has it no more."""
        file = self._files.get(key)
        if file is None:
            return True
        if file.there:
            return False
        del self._files[key]
        file.generation.device = file.generation.inode = 0
        self._orphans.append(file.generation)
        return True

    def _wait(self, key: tuple[int, int], why: _Waiting) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            self._waiting.clear()
        self._waiting[key] = why

    def _gone(self, path: str, content: Content) -> tuple[Alike, Generation | None]:
        """The generation without a file that this one is the copy of: the one that was read furthest."""
        gone = [file.generation for file in self._files.values() if not file.there] + self._orphans
        best: tuple[Alike, Generation | None] = (Alike.NO, None)
        for generation in sorted(gone, key=lambda generation: -generation.offset):
            verdict = alike(path, content, generation)
            if verdict is Alike.YES:
                return verdict, generation
            if best[0] is Alike.NO:
                best = verdict, None if verdict is Alike.NO else generation
        return best

    def _inherit(self, path: str, content: Content, generation: Generation, verdict: Alike) -> None:
        """What had not been read of a generation is read in its copy."""
        (device, inode), look = identity(content)
        heir = msgspec.structs.replace(
            generation, path=path, device=device, inode=inode, packed=content.packed, done=False, end=-1, stamp=()
        )
        if verdict is Alike.SHORTER and content.packed:
            heir.done, heir.stamp = True, look
        elif verdict is Alike.SHORTER:
            reach(content, heir, look[0])
        key = (generation.device, generation.inode)
        if key in self._files and self._files[key].generation is generation:
            del self._files[key]
        self._orphans[:] = [orphan for orphan in self._orphans if orphan is not generation]
        self._follow(content, heir)

    def _follow(self, content: Content, generation: Generation) -> None:
        file = Followed(generation, self._reading)
        key, file.look = identity(content)
        self._files[key] = file
        if generation.done:
            content.close()
        else:
            file.content = content

    def find_copy(self, generation: Generation) -> Alike:
        """Look beside a file that is gone, or truncated, for its copy, which nothing may name, and read on there.

        Returns NO when there is none, LATER when it is still being written.
        """
        for path in beside(generation):
            content = open_content(path, self._reading.unpacked)
            if content is None:
                continue
            followed = waiting = False
            try:
                key, look = identity(content)
                waiting = key in self._waiting and self._waiting[key].lasts(look)
                if self._vacant(key) and not waiting and alike(path, content, generation) is not Alike.NO:
                    followed = self._meet(path, content, at_end=False)
                    waiting = not followed and key in self._waiting
            finally:
                if not followed:
                    content.close()
            if followed:
                log.info("%s: lives on as %s; reading on", generation.path, path)
                self._files[key].present = False
                return Alike.YES
            if waiting:
                return Alike.LATER
        return Alike.NO


def identity(content: Content) -> tuple[tuple[int, int], tuple[int, int]]:
    """(device, inode) and (size, time of change)."""
    status = content.status()
    return (status.st_dev, status.st_ino), (status.st_size, status.st_mtime_ns)


def beside(generation: Generation, *, same_inode: bool = False) -> list[str]:
    """The files that lie where the generation was and are called alike; or those with its inode, however called."""
    try:
        with os.scandir(os.path.dirname(generation.path)) as entries:  # noqa: PTH120
            if same_inode:
                return [entry.path for entry in entries if entry.inode() == generation.inode]
            return sorted(entry.path for entry in entries if stem(entry.path) == stem(generation.path))
    except OSError:
        return []


def _start(path: str, content: Content, at_end: bool) -> Generation:
    """A new generation, which begins at its end if that is wanted."""
    (device, inode), look = identity(content)
    generation = begin(path, device, inode, content.packed)
    if at_end and content.packed:
        generation.done, generation.stamp = True, look
    elif at_end:
        encoding = encoding_of(content.read(2, 0))
        unit = 1 if encoding == "utf-8" else 2
        size = look[0] - look[0] % unit
        generation.skipping = size > 0 and line_end(content.read(unit, size - unit), 0, encoding)[0] != 0
        reach(content, generation, size)
    return generation

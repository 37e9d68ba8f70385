"""Following files that grow: by what they are and not by what they are called, through every kind of rotation."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from almena.clock import DAY, now
from collectors import checkpoint
from collectors.base import Raw
from collectors.content import Content, open_content
from collectors.followed import Followed, Reading
from collectors.generation import Alike, Generation, is_same
from collectors.listing import Listing
from collectors.strangers import Strangers, beside

log = logging.getLogger("almena.file")

_BUDGET = 4 << 20  # bytes handed on in one poll
_OPEN = 500  # files held open; the others are opened when they change
_FORGET = 7 * DAY  # a file not seen for so long is a new one when it comes back
_MOST_TOLD = 10_000
_MOST_ORPHANS = 256


class Tail:
    """The files of a listing; `poll` reads on, `commit` remembers what was handed on."""

    def __init__(self, listing: Listing, memory: Path, reading: Reading, *, at_end: bool = False) -> None:
        """`memory` is the checkpoint. With `at_end`, files that are there at the very first start are read from their
        end. Raises AlmenaError when the checkpoint is damaged."""
        self.lost: Counter[str] = Counter()
        """What is lost for good since somebody last looked here, by reason."""
        self._listing = listing
        self._memory = memory
        self._reading = reading
        saved = checkpoint.load(memory, list[Generation])
        self._at_end = saved is None and at_end
        self._files = {(known.device, known.inode): Followed(known, reading) for known in saved or () if known.inode}
        self._orphans = [known for known in saved or () if not known.inode]
        for file in self._files.values():
            file.present = False
        self._strangers = Strangers(self._files, self._orphans, reading, self._tell)
        self._cut_off: list[_CutOff] = []
        self._sought: list[Generation] = list(self._orphans)
        self._lock = threading.Lock()  # a poll goes on in its thread when the collector is cancelled
        self._told: set[str] = set()
        self._changed = saved is None
        self._turn = 0

    @property
    def more(self) -> bool:
        """Whether the next poll will find something without waiting."""
        return any(file.more and file.content is not None for file in self._files.values())

    def poll(self) -> list[Raw]:
        """The records that are there now, up to a budget; the checkpoint knows their files before they are returned."""
        with self._lock:
            self._scan()
            self._decide()
            if self._changed:
                self._save()
            records = [record for orphan in self._cut_off for record in orphan.records]
            files = [file for file in self._files.values() if file.content is not None]
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
            for orphan in self._cut_off:
                orphan.settle()
                self._changed = True
            self._cut_off.clear()
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
        for path, status in self._listing.files(self._tell):
            known = self._files.get((status.st_dev, status.st_ino))
            if known is None:
                if status.st_size:
                    strangers.append(path)
                continue
            known.present, known.searched = True, False
            if known.generation.path != path:
                known.generation.path, self._changed = path, True
            with self._careful(path, known):
                if not self._look(known, path, (status.st_size, status.st_mtime_ns)):
                    strangers.append(path)
        self._look_after_rotated()
        self._close_some()
        self._meet(strangers)
        self._seek()

    def _meet(self, strangers: list[str]) -> None:
        """Follow files never seen, as many as there is room for."""
        room = 2 * _OPEN - sum(file.content is not None for file in self._files.values())
        for path in strangers[: max(room, 0)]:
            with self._careful(path):
                self._changed = self._strangers.meet(path, at_end=self._at_end) or self._changed
        self._at_end = self._at_end and len(strangers) > room

    def _seek(self) -> None:
        """Look for copies of what is gone, where the patterns do not name them."""
        sought, self._sought = self._sought, []
        for generation in sought:
            gone = [*self._orphans, *(file.generation for file in self._files.values() if not file.there)]
            if not any(generation is each for each in gone):
                continue  # it was found
            found = Alike.LATER
            with self._careful(generation.path):
                found = self._strangers.find_copy(generation)
            if found is Alike.LATER:
                self._sought.append(generation)
            elif found is Alike.YES:
                self._changed = True
            else:
                self._give_up(generation)
        orphans = {id(orphan) for orphan in self._orphans}
        self._cut_off = [each for each in self._cut_off if id(each.generation) in orphans]

    def _give_up(self, generation: Generation) -> None:
        """No copy was found: what stood behind the place that was reached is lost, unfinished records too."""
        if generation.spans and not any(each.generation is generation for each in self._cut_off):
            self.lost["file gone"] += len(generation.spans)
        elif any(generation is each for each in self._orphans):
            return  # truncated, and read as far as anyone knows
        log.warning("%s: is gone; what it was told after byte %d is lost", generation.path, generation.offset)

    def _look(self, file: Followed, path: str, look: tuple[int, int]) -> bool:
        """Open a file that changed; False when it is another one now, and no longer followed."""
        generation = file.generation
        if look == file.look:
            return True
        if generation.done and look == tuple(generation.stamp):
            file.look = look
            return True
        if file.content is None:
            file.content = self._open(path, generation)
            if file.content is None:
                return True
        file.changed(look)
        if is_same(file.content, generation):
            return True
        self._let_go(file)
        return False

    def _let_go(self, file: Followed) -> None:
        """It was truncated or written anew: what it was may live on in a copy."""
        old = file.generation
        log.info("%s: truncated; reading from its beginning", old.path)
        orphan = self._orphan(old)
        self._sought.append(orphan)
        if file.waiting:
            self._cut_off.append(_CutOff(orphan, file))
        file.close()
        del self._files[old.device, old.inode]

    def _orphan(self, generation: Generation) -> Generation:
        orphan = msgspec.structs.replace(generation, device=0, inode=0)
        self._orphans.append(orphan)
        self._changed = True
        return orphan

    def _look_after_rotated(self) -> None:
        """Files that no path names any more: finish those that are open, look for the others beside their old name."""
        for key, file in list(self._files.items()):
            if file.present:
                continue
            generation = file.generation
            if file.content is None and not file.searched and not generation.done:
                file.searched = True
                with self._careful(generation.path):
                    self._find_renamed(file)
            if file.content is not None:
                with self._careful(generation.path, file):
                    status = file.content.status()
                    self._look(file, generation.path, (status.st_size, status.st_mtime_ns))
            elif file.deleted or now() - generation.seen > _FORGET:
                self._files.pop(key, None)
                self._changed = True
                if file.deleted:
                    self._orphan(generation)
        self._orphans[:] = [known for known in self._orphans if now() - known.seen <= _FORGET][-_MOST_ORPHANS:]

    def _find_renamed(self, file: Followed) -> None:
        """It was renamed while nobody watched: its inode tells which file of the folder it is now; or it was packed."""
        generation = file.generation
        for path in beside(generation, same_inode=True):
            content = self._open(path, generation)
            if content is not None and is_same(content, generation):
                file.content = content
                log.info("%s: was renamed to %s; reading on", generation.path, path)
                return
            if content is not None:
                content.close()
        self._sought.append(generation)

    def _open(self, path: str, generation: Generation) -> Content | None:
        """The file opened, if it is still the one that is meant."""
        try:
            content = open_content(path, self._reading.unpacked)
        except OSError as error:
            self._tell(path, f"cannot be read: {error.strerror}")
            return None
        if content is not None:
            status = content.status()
            if (status.st_dev, status.st_ino) == (generation.device, generation.inode):
                return content
            content.close()
        return None

    def _close_some(self) -> None:
        """Hold few files open: those that grew last, those with more to read, and those rotated away."""
        files = [
            file
            for file in self._files.values()
            if file.content is not None and file.present and not file.more and not file.waiting
        ]
        for file in sorted(files, key=lambda file: file.grew)[: max(0, len(files) - _OPEN)]:
            file.close()

    # What they say

    def _decide(self) -> None:
        """What only time tells is remembered before it is acted upon."""
        for file in self._files.values():
            with self._careful(file.generation.path, file):
                self._changed = file.decide() or self._changed

    def _read(self, file: Followed, records: list[Raw]) -> int:
        """Put the file's next records to `records`; returns how much that was, in bytes."""
        generation = file.generation
        before = msgspec.structs.astuple(generation)
        size = file.read(records)
        self._changed = self._changed or msgspec.structs.astuple(generation) != before
        if file.damage:
            log.error("%s: %s; the rest of it is not read", generation.path, file.damage)
            self.lost["damaged file"] += 1
            file.damage = ""
        if file.missing:
            log.error("%s: %d lines of unfinished records are gone", generation.path, file.missing)
            self.lost["file gone"] += file.missing
            file.missing = 0
        return size

    @contextmanager
    def _careful(self, path: str, file: Followed | None = None) -> Iterator[None]:
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
        if path not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(path)
            log.warning("%s: %s", path, what)


class _CutOff:
    """The unfinished records of a file that was truncated, unless a copy is found in which they go on."""

    def __init__(self, orphan: Generation, file: Followed) -> None:
        self.generation = orphan
        self.records = file.surrender()
        self._seq = file.generation.seq

    def settle(self) -> None:
        """They are durable as they were."""
        self.generation.spans, self.generation.cut, self.generation.seq = (), False, self._seq

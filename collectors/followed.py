"""One file that is followed: its bytes are cut into lines, the lines put together to records, numbered once for all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec

from almena.clock import now
from almena.encoding import encoding_of, line_end, mark_of, to_utf_8
from collectors.assemble import Assembler, Line, Record
from collectors.base import Raw
from collectors.content import Content
from collectors.generation import Generation, reach

_READ = 1 << 18  # bytes read at once, when no line may be longer
_MOST_RECORDS = 10_000  # of one read
_MOST_BYTES = 4 << 20  # of the records of one read: a header makes them larger than their lines
_HEAD = 1 << 16  # bytes in which a header is looked for


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How files are read."""

    limit: int
    """Longest line in bytes."""
    linger: float
    """Seconds after its last growth in which a rotated file may still grow."""
    hold: float = 2.0
    """Seconds an unfinished record waits for its next line."""
    unpacked: int = 1 << 34
    """Most bytes that are read of a packed file, unpacked."""
    assembler: Callable[[], Assembler] | None = None
    """Makes what puts lines together; None when every line is a record."""


class Followed:
    """A generation and the open file it is read from."""

    def __init__(self, generation: Generation, reading: Reading) -> None:
        self.generation = generation
        self.content: Content | None = None
        self.look = (-1, -1)
        """Size and time of change when it was last looked at."""
        self.grew = time.monotonic()
        self.present = True
        """False once its path names another file, or none."""
        self.more = True
        """False once it was read as far as it goes."""
        self.searched = False
        """True once it was looked for under other names."""
        self.deleted = False
        """True once nothing can be written to it any more."""
        self.damage = ""
        """Why the rest of it cannot be read."""
        self.missing = 0
        """Lines that were taken before and could not be read again when their record was to go on."""
        self._reading = reading
        self._assembler: Assembler | None = None
        self._encoding = ""
        self._made = 0  # bytes of the records of one read
        self._received = 0
        self._origin = ""
        self._held = time.monotonic()  # when the unfinished records last got a line

    @property
    def there(self) -> bool:
        """Whether more may come to it."""
        return self.present or self.content is not None

    @property
    def waiting(self) -> bool:
        """Whether there are unfinished records."""
        return self._assembler is not None and self._assembler.waiting()

    def changed(self, look: tuple[int, int]) -> None:
        """There may be more to read."""
        self.look, self.more, self.generation.done = look, True, False
        self.grew = time.monotonic()

    def surrender(self) -> list[Raw]:
        """The unfinished records as they are; the file that the rest of their lines stood in is no more."""
        records: list[Raw] = []
        self._finish(records)
        return records

    def close(self) -> None:
        """Let go of the file; what was not handed on is read again."""
        self._assembler = None
        if self.content is not None:
            self.content.close()
            self.content = None

    def decide(self) -> bool:
        """What only time tells: that a record, or a rotated file, gets no more lines. True when it was decided now.

        It must be remembered before it is acted upon: otherwise other records come after a restart.
        """
        generation, moment = self.generation, time.monotonic()
        if self.content is None or self.more:
            return False
        decided = False
        if self.waiting and not generation.cut and moment - self._held >= self._reading.hold:
            generation.cut = decided = True
        rotated = not self.present and not self.content.packed
        if rotated and generation.end < 0 and moment - self.grew >= self._reading.linger:
            generation.end = max(self.content.status().st_size, generation.offset)
            decided = True
        return decided

    def read(self, records: list[Raw]) -> int:
        """Add the next records; returns the bytes that were read and made. Raises OSError, and nothing has changed."""
        before, count = msgspec.structs.replace(self.generation), len(records)
        try:
            return self._read(records)
        except OSError:
            self.generation = before
            self._assembler = None
            del records[count:]
            raise

    def _read(self, records: list[Raw]) -> int:
        generation, content = self.generation, self.content
        assert content is not None
        size, self._made = max(self._reading.limit + 1, _READ), 0
        self._received, self._origin = now(), generation.path.encode("utf-8", "backslashreplace").decode()
        if not self._ready(content):
            self.more = False
            return 0
        if generation.cut:
            self._finish(records)
        data = content.read(size, generation.offset)
        self.more = len(data) == size
        if generation.end >= 0:
            data = data[: max(0, generation.end - generation.offset)]
        last = not self.more and self._is_last(content, generation.offset + len(data))
        end = self._lines(data, last, records)
        if end != generation.offset:
            reach(content, generation, end)
        if last and not self.more:
            self._finish(records)
            self.damage = content.damage
            self._complete(content)
        generation.spans = self._assembler.spans() if self._assembler is not None else ()
        return len(data) + self._made

    def _is_last(self, content: Content, end: int) -> bool:
        """Whether nothing comes any more behind `end`, up to which it is read."""
        if not content.packed:
            return 0 <= self.generation.end <= end
        if not content.finished and time.monotonic() - self.grew >= self._reading.linger:
            content.damage = content.damage or "ends too early"
        return content.finished or bool(content.damage)

    def _complete(self, content: Content) -> None:
        """It was read to its end; a plain file that grew since that was decided is read on."""
        status, generation = content.status(), self.generation
        generation.end = -1
        if not content.packed and status.st_size > generation.offset:
            self.more = True
            return
        generation.done = True
        generation.stamp = (status.st_size, status.st_mtime_ns) if content.packed else ()
        self.deleted = status.st_nlink == 0
        self.close()

    def _ready(self, content: Content) -> bool:
        """Find out how the text is encoded, and take up the records that are unfinished; False when it is too early."""
        if not self._encoding or self.generation.offset == 0:
            head = content.read(4, 0)
            if len(head) < 2 and not self._is_last(content, len(head)):
                return False
            self._encoding = encoding_of(head)
        if self._assembler is None and self._reading.assembler is not None:
            self._assembler = self._reading.assembler()
            self._held = time.monotonic()
            if self.generation.spans:
                self._restore(content, self._assembler)
            elif self.generation.offset:
                self._look_for_header(content, self._assembler)
        return True

    def _restore(self, content: Content, assembler: Assembler) -> None:
        for start, end in self.generation.spans:
            data = content.read(end - start, start)
            if len(data) < end - start:
                self.missing += 1
                continue
            until, behind = line_end(data, 0, self._encoding)
            assembler.add(self._line(data, 0, until if behind == len(data) else len(data), start, len(data), until < 0))

    def _look_for_header(self, content: Content, assembler: Assembler) -> None:
        """The file was begun in its middle: its first lines may say how to read the others."""
        data = content.read(min(_HEAD, self.generation.offset), 0)
        place, (end, behind) = 0, line_end(data, 0, self._encoding)
        while end >= 0 and assembler.head(self._line(data, place, end, 0, behind, False)):
            place, (end, behind) = behind, line_end(data, behind, self._encoding)

    def _line(self, data: bytes, place: int, end: int, offset: int, behind: int, truncated: bool) -> Line:
        """The line in `data` from `place` to `end`; `data` begins at `offset` of the file."""
        limit = self._reading.limit
        begin = place + (mark_of(data[place : place + 3]) if offset + place == 0 else 0)
        text = to_utf_8(data[begin : min(end, place + limit)], self._encoding)
        truncated = truncated or end - place > limit or len(text) > limit
        return Line(text[:limit], offset + place, offset + behind, truncated)

    def _lines(self, data: bytes, last: bool, records: list[Raw]) -> int:
        """Cut `data`, which begins at the generation's offset, into lines; returns the offset behind them.

        When that makes too many records, the rest is left for the next read.
        """
        generation, limit, encoding = self.generation, self._reading.limit, self._encoding
        if encoding != "utf-8":
            limit &= ~1  # a character has two bytes
        offset, most = generation.offset, len(records) + _MOST_RECORDS
        place = self._short_lines(data, records) if self._assembler is None and offset else 0
        while place < len(data):
            if self._made > _MOST_BYTES or len(records) > most:
                self.more = True
                break
            end, behind = line_end(data, place, encoding)
            too_long = False
            if end < 0:
                whole = last or generation.skipping
                if not whole and len(data) - place <= limit:
                    break
                end = len(data) if whole else place + limit
                behind, too_long = end, not whole
            if not generation.skipping:
                self._take(self._line(data, place, end, offset, behind, too_long), records)
            generation.skipping = too_long or (generation.skipping and behind == end)
            place = behind
        return offset + place

    def _short_lines(self, data: bytes, records: list[Raw]) -> int:
        """Nearly all there is to most files, done quickly: each line a record. Returns where something else begins."""
        generation, limit = self.generation, self._reading.limit
        if self._encoding != "utf-8" or generation.skipping:
            return 0
        place, offset, lane, received, origin = 0, generation.offset, generation.lane, self._received, self._origin
        lines = data.split(b"\n", _MOST_RECORDS)
        del lines[-1]
        for line in lines:
            if len(line) > limit:
                break
            if text := line.rstrip(b"\r"):
                start = offset + place
                generation.seq = max(generation.seq + 1, start)
                records.append(
                    Raw(data=text, lane=lane, seq=generation.seq, received=received, origin=origin, place=start)
                )
            place += len(line) + 1
        return place

    def _take(self, line: Line, records: list[Raw]) -> None:
        if self._assembler is not None:
            self._held = time.monotonic()
            self._number(self._assembler.add(line), records)
        elif line.data:
            self._number((Record(line.data, line.start, line.truncated),), records)

    def _finish(self, records: list[Raw]) -> None:
        if self._assembler is not None:
            self._number(self._assembler.end(), records)
        self.generation.cut = False

    def _number(self, finished: Iterable[Record], records: list[Raw]) -> None:
        """Records with their identity: the place of the first line, unless one that began later came before."""
        generation = self.generation
        for record in finished:
            generation.seq = max(generation.seq + 1, record.start)
            self._made += len(record.data)
            records.append(
                Raw(
                    data=record.data,
                    lane=generation.lane,
                    seq=generation.seq,
                    received=self._received,
                    origin=self._origin,
                    place=record.start,
                    truncated=record.truncated,
                )
            )

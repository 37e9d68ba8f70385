"""What a followed file is known by, whatever it is called: its inode, its beginning, and the bytes before the place."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from enum import Enum

import msgspec

from almena.clock import now
from collectors.content import Content

_HEAD, _TAIL = 1024, 256  # bytes at the beginning, and before the place reached, that a file is known by
_FEW = 64  # bytes that are too few to know a copy by
_STEM = re.compile(r"[^.\-_\d]*")


class Generation(msgspec.Struct):
    """A file from its first byte to its last, whatever it is called meanwhile; its lane is given once.

    Of a packed file all places are those of the unpacked bytes.
    """

    lane: str
    path: str
    device: int
    inode: int
    offset: int = 0
    """The place behind the last line that was taken."""
    skipping: bool = False
    """True while the rest of a line that was too long is passed over."""
    head: str = ""
    tail: str = ""
    """What the bytes before `offset` were: the same file still has them."""
    done: bool = False
    """True once it was rotated and read to its end."""
    seen: int = 0
    """When it was last there, microseconds."""
    seq: int = -1
    """The number of the last record handed on."""
    spans: Sequence[tuple[int, int]] = ()
    """Lines before `offset` that are needed still: of unfinished records, and of a header."""
    cut: bool = False
    """True once it was decided that no more lines come for the unfinished records."""
    end: int = -1
    """The size of a rotated file, once it was decided that nobody writes to it any more; -1 before."""
    packed: str = ""
    """What it is packed with; empty when it is not."""
    stamp: Sequence[int] = ()
    """Size and time of change of a packed file that was read to its end."""


class Alike(Enum):
    """Whether a file is a copy of another."""

    YES = "yes"
    SHORTER = "shorter"
    """It ends before the place reached: it was made before the last lines were written, and holds nothing new."""
    NO = "no"
    LATER = "later"
    """It still grows, and is one as far as it goes."""


def begin(path: str, device: int, inode: int, packed: str = "") -> Generation:
    """A generation with a lane that no file has ever had."""
    return Generation(lane=secrets.token_hex(8), path=path, device=device, inode=inode, seen=now(), packed=packed)


def reach(content: Content, generation: Generation, offset: int) -> None:
    """The generation is read up to `offset`: note how it can be told from another with the same inode.

    Raises OSError, and then nothing is noted.
    """
    head = generation.head
    if generation.offset < _HEAD or not head:
        head = _hash(content.read(min(_HEAD, offset), 0))
    start = max(0, offset - _TAIL)
    tail = _hash(content.read(offset - start, start))
    generation.offset, generation.head, generation.tail = offset, head, tail


def is_same(content: Content, generation: Generation) -> bool:
    """Whether the file still holds what was read of it."""
    offset = generation.offset
    if offset == 0:
        return True
    if _hash(content.read(min(_HEAD, offset), 0)) != generation.head:
        return False
    start = max(0, offset - _TAIL)
    tail = content.read(offset - start, start)
    return len(tail) == offset - start and _hash(tail) == generation.tail


def alike(path: str, content: Content, generation: Generation) -> Alike:
    """Whether a file at `path` is a copy of what was read of the generation, and perhaps of more, packed or plain.

    A packed one may lie anywhere; a plain one has the original's name and something behind it.
    """
    offset, needed = generation.offset, min(_HEAD, generation.offset)
    if not _may_be(path, content, generation):
        return Alike.NO
    head = content.read(needed, 0)
    if len(head) < needed:
        return Alike.NO if not content.packed or content.finished or content.damage else Alike.LATER
    if _hash(head) != generation.head:
        return Alike.NO
    if is_same(content, generation) or content.damage:  # that is, as far as anybody can tell
        return Alike.YES
    if content.read(1, offset - 1):
        return Alike.NO
    return Alike.SHORTER if not content.packed or content.finished else Alike.LATER


def _may_be(path: str, content: Content, generation: Generation) -> bool:
    if generation.offset < _FEW:
        return False
    if not content.packed:
        return not generation.packed and path != generation.path and path.startswith(generation.path)
    return generation.offset >= _HEAD or stem(path) == stem(generation.path)


def stem(path: str) -> str:
    """What names of the same log have in common: `access` of `/var/log/access.log-20261122.gz`."""
    found = _STEM.match(path[path.rfind("/") + 1 :])
    return found[0] if found else ""


def _hash(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()

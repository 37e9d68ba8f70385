"""What a followed file is known by, whatever it is called: its inode, its beginning, and the bytes before the place."""

from __future__ import annotations

import hashlib
import os
import secrets

import msgspec

from almena.clock import now

_HEAD, _TAIL = 1024, 256  # bytes at the beginning, and before the place reached, that a file is known by


class Generation(msgspec.Struct):
    """A file from its first byte to its last, whatever it is called meanwhile; its lane is given once."""

    lane: str
    path: str
    device: int
    inode: int
    offset: int = 0
    """The place behind the last line handed on."""
    skipping: bool = False
    """True while the rest of a line that was too long is passed over."""
    head: str = ""
    tail: str = ""
    """What the bytes before `offset` were: the same file still has them."""
    done: bool = False
    """True once it was rotated and read to its end."""
    seen: int = 0
    """When it was last there, microseconds."""


def begin(path: str, device: int, inode: int) -> Generation:
    """A generation with a lane that no file has ever had."""
    return Generation(lane=secrets.token_hex(8), path=path, device=device, inode=inode, seen=now())


def open_file(path: str) -> int:
    """A descriptor to read from; it neither waits for a writer nor becomes a terminal. Raises OSError."""
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)


def reach(handle: int, generation: Generation, offset: int) -> None:
    """The generation is read up to `offset`: note how it can be told from another with the same inode.

    Raises OSError, and then nothing is noted.
    """
    head = generation.head
    if generation.offset < _HEAD or not head:
        head = _hash(os.pread(handle, min(_HEAD, offset), 0))
    start = max(0, offset - _TAIL)
    tail = _hash(os.pread(handle, offset - start, start))
    generation.offset, generation.head, generation.tail = offset, head, tail


def is_same(handle: int, generation: Generation) -> bool:
    """Whether the file still holds what was read of it."""
    offset = generation.offset
    if offset == 0:
        return True
    start = max(0, offset - _TAIL)
    tail = os.pread(handle, offset - start, start)
    return (
        len(tail) == offset - start
        and _hash(tail) == generation.tail
        and _hash(os.pread(handle, min(_HEAD, offset), 0)) == generation.head
    )


def is_copy(path: str, handle: int, generation: Generation) -> bool:
    """Whether `access.log.1` begins with what `access.log` began with: a rotation that copies."""
    return (
        generation.offset >= _HEAD
        and path != generation.path
        and path.startswith(generation.path)
        and _hash(os.pread(handle, _HEAD, 0)) == generation.head
    )


def _hash(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()

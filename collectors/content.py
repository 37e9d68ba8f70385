"""The bytes of a file at any place: as they lie there, or unpacked from gzip, zstd, xz or bz2, a little at a time."""

from __future__ import annotations

import bz2
import io
import lzma
import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import zstandard

_STEP = 1 << 18  # unpacked bytes at once
_BACK = 4_096  # bytes kept before the place that is read, for whoever looks back
_MEMORY = 128 << 20  # bytes an unpacker may take for itself
_MAGIC = {"gzip": b"\x1f\x8b\x08", "zstd": b"\x28\xb5\x2f\xfd", "xz": b"\xfd7zXZ\x00", "bz2": b"BZh"}
_BZ2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")
_HEAD = 10  # bytes that tell what a file is

_DAMAGE = (zlib.error, lzma.LZMAError, zstandard.ZstdError, EOFError, ValueError)


def packing(head: bytes) -> str | None:
    """What a file that begins so is packed with, empty when it is not; None when so few bytes do not tell."""
    for name, magic in _MAGIC.items():
        if name == "bz2":
            if head[:3] == magic and head[4:10] in _BZ2_BLOCKS and b"1" <= head[3:4] <= b"9":
                return name
        elif head.startswith(magic):
            return name
    if len(head) < _HEAD and any(magic.startswith(head[: len(magic)]) for magic in _MAGIC.values()):
        return None
    return ""


class Content:
    """A plain file. Methods raise OSError."""

    packed = ""
    """What it is packed with."""
    damage = ""
    """Why no more can be unpacked than was read, once that is known."""

    def __init__(self, handle: int) -> None:
        """Takes over the descriptor."""
        self.handle = handle

    def read(self, size: int, offset: int) -> bytes:
        """Up to `size` bytes from there on; fewer when there are no more now."""
        return os.pread(self.handle, size, offset)

    @property
    def finished(self) -> bool:
        """Whether no more can ever come behind what was read."""
        return False

    def status(self) -> os.stat_result:
        """Its size, inode and the like."""
        return os.fstat(self.handle)

    def close(self) -> None:
        """Let go of it."""
        os.close(self.handle)


class Packed(Content):
    """A packed file, read as what was packed."""

    def __init__(self, handle: int, packed: str, most: int) -> None:
        """`most` is how many bytes may come out of it."""
        super().__init__(handle)
        self.packed = packed
        self._most = most
        self._rewind()

    def _rewind(self) -> None:
        self._stream = _Stream(self.handle, _UNPACKERS[self.packed])
        self.damage = ""
        self._buffer = bytearray()
        self._start = 0  # the place of the buffer's first byte

    def read(self, size: int, offset: int) -> bytes:
        """Up to `size` unpacked bytes from there on; fewer at the end, at damage, and at the end of what is there."""
        if offset < self._start:
            self._rewind()
        while self._start + len(self._buffer) < offset + size:
            more = self._next()
            if not more:
                break
            self._buffer += more
            if (surplus := min(offset - _BACK - self._start, len(self._buffer))) > _STEP:
                del self._buffer[:surplus]
                self._start += surplus
        place = offset - self._start
        return bytes(self._buffer[place : place + size])

    def _next(self) -> bytes:
        if self.damage:
            return b""
        try:
            more = self._stream.next()
        except _DAMAGE:
            self.damage = "is damaged"
            return b""
        if self._start + len(self._buffer) + len(more) > self._most:
            self.damage = f"holds more than {self._most} bytes"
            return b""
        return more

    @property
    def finished(self) -> bool:
        """Whether it was unpacked to its proper end."""
        return self._stream.finished


class _Stream:
    """Unpacks one file from its beginning, member after member."""

    def __init__(self, handle: int, make: Callable[[], _Unpacker]) -> None:
        self._handle = handle
        self._make = make
        self._unpacker: _Unpacker | None = None
        self._place = 0  # of the packed bytes that were read
        self._rest = b""  # packed bytes that no unpacker has taken yet
        self.finished = False

    def next(self) -> bytes:
        """Some more bytes; none at the end, and while a file that still grows has no more."""
        while not self.finished:
            if self._unpacker is None:
                self._begin()
            if self._unpacker is None:
                return b""
            if not self._rest and self._unpacker.hungry:
                self._fill()
                if not self._rest:
                    return b""
            found, self._rest = self._unpacker.take(self._rest)
            if self._unpacker.eof:
                self._unpacker = None
                self._begin()
                self.finished = self._unpacker is None
            if found:
                return found
        return b""

    def _begin(self) -> None:
        """Another member, when one begins here; what is something else is padding, and the end."""
        if len(self._rest) < _HEAD:
            self._fill()
        if packing(self._rest[:_HEAD]):
            self._unpacker = self._make()

    def _fill(self) -> None:
        more = os.pread(self._handle, 1 << 16, self._place)
        self._place += len(more)
        self._rest += more


class _Unpacker(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def hungry(self) -> bool:
        """Whether nothing comes out before more goes in."""

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """Unpacked bytes, few of them, and the packed bytes that are still to be taken."""


class _Gzip:
    hungry = True

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        found = self._inner.decompress(data, _STEP)
        return found, self._inner.unused_data if self._inner.eof else self._inner.unconsumed_tail


class _Buffering:
    """bz2 and xz keep for themselves what they have not unpacked yet."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def hungry(self) -> bool:
        return bool(self._inner.needs_input)

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        try:
            found = self._inner.decompress(data, _STEP)
        except OSError as error:  # what bz2 calls damage
            raise ValueError(str(error)) from None
        return found, self._inner.unused_data if self._inner.eof else b""


class _Zstd:
    """Unpacks all it is given, at most 128 KiB for each four bytes; so it is given little."""

    hungry = True
    _LITTLE = 256

    def __init__(self) -> None:
        self._inner = zstandard.ZstdDecompressor(max_window_size=_MEMORY).decompressobj()

    @property
    def eof(self) -> bool:
        return self._inner.eof

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        found = self._inner.decompress(data[: self._LITTLE])
        return found, (self._inner.unused_data if self._inner.eof else b"") + data[self._LITTLE :]


_UNPACKERS: Mapping[str, Callable[[], _Unpacker]] = {
    "gzip": _Gzip,
    "zstd": _Zstd,
    "xz": lambda: _Buffering(lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)),
    "bz2": lambda: _Buffering(bz2.BZ2Decompressor()),
}


def open_content(path: str, most: int) -> Content | None:
    """The file at `path`, which unpacked has at most `most` bytes; None while it is too short to tell what it is.

    It neither waits for a writer nor becomes a terminal. Raises OSError.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        packed = packing(os.pread(handle, _HEAD, 0))
    except OSError:
        os.close(handle)
        raise
    if packed is None:
        os.close(handle)
        return None
    return Packed(handle, packed, most) if packed else Content(handle)


class _Unpacked(io.RawIOBase):
    """A packed file as a stream; reading raises OSError where it is damaged, or cut off."""

    def __init__(self, content: Content | None) -> None:
        """Without content there is nothing that could be unpacked."""
        self._content = content
        self._place = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as there is something."""
        view = memoryview(buffer)
        data = self._content.read(len(view), self._place) if self._content is not None else b""
        if not data and (self._content is None or not self._content.finished):
            raise OSError("damaged")
        view[: len(data)] = data
        self._place += len(data)
        return len(data)

    def close(self) -> None:
        """Let go of the file."""
        if not self.closed and self._content is not None:
            self._content.close()
        super().close()


def open_stream(path: Path, most: int, *, packed: bool) -> io.BufferedReader:
    """The file from its beginning, unpacked; with `packed`, one that is not packed is damaged. Raises OSError."""
    content = open_content(str(path), most)
    if content is not None and content.packed:
        return io.BufferedReader(_Unpacked(content), _STEP)
    if content is not None:
        content.close()
    return io.BufferedReader(_Unpacked(None)) if packed else path.open("rb")

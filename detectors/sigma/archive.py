"""Reads archives and folders of strangers into memory: bounded, and nothing in them can name a place outside."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from almena.errors import UsageError

MOST_PACKED = 256 << 20
"""Bytes of an archive; larger ones are refused."""

MOST_UNPACKED = 1 << 30
"""Bytes that an archive may unpack to, whether wanted or not."""

MOST_KEPT = 256 << 20
"""Bytes of all files that are wanted, together."""

MOST_MEMBERS = 50_000
"""Files and folders of an archive."""

MOST_HEADER = 1 << 20
"""Bytes of what an archive says about one file beside its fixed header."""

MOST_DICTIONARY = 128 << 20
"""Bytes of memory that unpacking may take."""

LONGEST_NAME = 400
DEEPEST = 20

_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)

Wanted = Callable[[PurePosixPath], int]
"""The most bytes that are kept of a file; 0 when it is not wanted."""


@dataclass
class Contents:
    """What was read."""

    sha256: str
    """Of the archive; of a folder, over the names and hashes of what was read."""
    files: dict[str, bytes] = field(default_factory=dict)
    """By name, with `/`."""
    left: list[tuple[str, str]] = field(default_factory=list)
    """Wanted names that were not read, each with the reason."""


def contents(path: Path, wanted: Wanted) -> Contents:
    """The wanted files of an archive (tar, tar.gz, tar.bz2, tar.xz, zip) or a folder; links are never followed.

    Raises UsageError for what is missing, damaged or too large, and for an archive that names a place outside itself.
    """
    if path.is_dir():
        return _Reading(path, wanted).folder()
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > MOST_PACKED:
                raise UsageError(f"{path}: larger than {MOST_PACKED >> 20} MiB")
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            return _Reading(path, wanted, sha256).archive(file)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file or folder; name an archive or folder of Sigma rules") from None
    except UsageError:
        raise
    except Exception as error:  # archives of strangers make the libraries raise what they like
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UsageError(f"{path}: no readable archive (tar, tar.gz, tar.bz2, tar.xz or zip): {reason}") from None


def unsafe(name: str) -> str | None:
    """Why a name could lead out of its folder, or None."""
    parts = PurePosixPath(name).parts
    if name.startswith(("/", "\\")) or (len(name) > 1 and name[1] == ":") or ".." in parts:
        return "leads out of its folder"
    if "\\" in name and ".." in name.replace("\\", "/").split("/"):
        return "leads out of its folder"
    return None


def odd(name: str) -> str | None:
    """Why a name is not used though it is harmless, or None."""
    parts = PurePosixPath(name).parts
    if not parts or len(parts) > DEEPEST or len(name) > LONGEST_NAME or any(len(part) > 200 for part in parts):
        return "its name is too long"
    if not name.isprintable() or "\\" in name:
        return "its name has characters that names should not have"
    return None


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Reading:
    """One reading of one archive or folder, with its limits."""

    def __init__(self, path: Path, wanted: Wanted, sha256: str = "") -> None:
        self._path = path
        self._wanted = wanted
        self._found = Contents(sha256)
        self._members = 0
        self._kept = 0

    def archive(self, file: IO[bytes]) -> Contents:
        magic = file.read(6)
        file.seek(0)
        if magic[:2] == b"PK":
            self._zip(file)
        elif magic[:2] == b"\x1f\x8b":
            self._tar(gzip.GzipFile(fileobj=file))
        elif magic[:3] == b"BZh":
            self._tar(bz2.BZ2File(file))
        elif magic == b"\xfd7zXZ\x00":
            self._tar(_Xz(file))
        else:
            self._tar(file)
        return self._found

    def _tar(self, stream: _Stream) -> None:
        limited = _Limited(stream, self._path)
        with tarfile.open(fileobj=limited, mode="r|", tarinfo=_Header) as archive:  # type: ignore[call-overload]
            for member in archive:
                most = self._admit(member.name, member.isdir())
                if not most:
                    continue
                if not member.isreg():
                    self._leave(member.name, "it is a link or a device, no file")
                elif member.size > most:
                    self._leave(member.name, f"larger than {most} bytes")
                elif (content := archive.extractfile(member)) is not None:
                    self._keep(member.name, content.read(most + 1))

    def _zip(self, file: IO[bytes]) -> None:
        self._check_directory(file)
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                most = self._admit(info.filename, info.is_dir())
                if not most:
                    continue
                kind = stat.S_IFMT(info.external_attr >> 16)
                if kind not in (0, stat.S_IFREG):
                    self._leave(info.filename, "it is a link or a device, no file")
                elif info.flag_bits & 1:
                    self._leave(info.filename, "it is encrypted")
                elif info.file_size > most:
                    self._leave(info.filename, f"larger than {most} bytes")
                else:
                    with archive.open(info) as content:
                        data = content.read(most + 1)
                    if len(data) > most:
                        raise UsageError(f"{self._path}: {info.filename!r} is larger than the archive says")
                    self._keep(info.filename, data)

    def _check_directory(self, file: IO[bytes]) -> None:
        """Refuse a directory of millions before the library builds it in memory."""
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 65_557, 0))
        tail = file.read()
        end = tail.rfind(b"PK\x05\x06")
        if end < 0 or len(tail) < end + 22:
            raise UsageError(f"{self._path}: no readable archive: the zip's directory is missing")
        if b"PK\x06\x07" in tail or int.from_bytes(tail[end + 10 : end + 12], "little") > MOST_MEMBERS:
            raise UsageError(f"{self._path}: more than {MOST_MEMBERS:,} files")
        if int.from_bytes(tail[end + 12 : end + 16], "little") > 500 * MOST_MEMBERS:
            raise UsageError(f"{self._path}: the zip's directory is too large")
        file.seek(0)

    def folder(self) -> Contents:
        digest = hashlib.sha256()
        for name, place in sorted(self._walk()):
            most = self._admit(name, False)
            if not most:
                continue
            try:
                handle = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except OSError as error:
                self._leave(name, "it is a link, no file" if place.is_symlink() else error.strerror or str(error))
                continue
            with os.fdopen(handle, "rb") as file:
                data = file.read(most + 1) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    self._leave(name, "it is a device or a pipe, no file")
                elif len(data) > most:
                    self._leave(name, f"larger than {most} bytes")
                else:
                    self._keep(name, data)
                    digest.update(f"{name}\0{hashlib.sha256(data).hexdigest()}\n".encode())
        self._found.sha256 = digest.hexdigest()
        return self._found

    def _walk(self) -> Iterator[tuple[str, Path]]:
        for base, folders, names in os.walk(self._path):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in names:
                place = Path(base, name)
                yield os.fsencode(place.relative_to(self._path)).decode("utf-8", "replace"), place

    def _admit(self, name: str, folder: bool) -> int:
        """The most bytes to keep of a member; raises UsageError for what makes the whole archive unfit."""
        self._members += 1
        if self._members > MOST_MEMBERS:
            raise UsageError(f"{self._path}: more than {MOST_MEMBERS:,} files")
        if reason := unsafe(name):
            raise UsageError(f"{self._path}: the name {name[:LONGEST_NAME]!r} in it {reason}; nothing is installed")
        most = 0 if folder else self._wanted(PurePosixPath(name))
        if most and (reason := odd(name)):
            self._leave(name[:LONGEST_NAME], reason)
            return 0
        return most

    def _leave(self, name: str, reason: str) -> None:
        self._found.left.append((str(PurePosixPath(name)), reason))

    def _keep(self, name: str, data: bytes) -> None:
        name = str(PurePosixPath(name))
        self._kept += len(data)
        if self._kept > MOST_KEPT:
            raise UsageError(f"{self._path}: its rules are larger than {MOST_KEPT >> 20} MiB")
        if name in self._found.files:
            self._leave(name, "the archive holds it twice; the first is taken")
        else:
            self._found.files[name] = data


class _Header(tarfile.TarInfo):
    """Refuses headers that claim sizes no honest archive has, before anything is read for them."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        header = super().frombuf(buf, encoding, errors)
        if header.size < 0 or (header.type in _HEADERS and header.size > MOST_HEADER):
            raise ValueError(f"a header claims {header.size} bytes")
        return header


class _Limited:
    """A stream that ends in an error when more comes out of it than an archive may hold."""

    def __init__(self, stream: _Stream, path: Path) -> None:
        self._stream = stream
        self._path = path
        self._left = MOST_UNPACKED

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise UsageError(f"{self._path}: unpacks to more than {MOST_UNPACKED >> 20} MiB")
        return data


class _Xz:
    """An xz stream whose decompressor may not ask for more memory than `MOST_DICTIONARY`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decoder = lzma.LZMADecompressor(memlimit=MOST_DICTIONARY)

    def read(self, size: int) -> bytes:
        out = io.BytesIO()
        while out.tell() < size:
            if self._decoder.eof:
                rest = self._decoder.unused_data or self._file.read(io.DEFAULT_BUFFER_SIZE)
                if not rest.strip(b"\x00"):
                    break
                self._decoder = lzma.LZMADecompressor(memlimit=MOST_DICTIONARY)
                data = rest
            else:
                data = self._file.read(io.DEFAULT_BUFFER_SIZE) if self._decoder.needs_input else b""
                if self._decoder.needs_input and not data:
                    raise EOFError("it ends in the middle")
            out.write(self._decoder.decompress(data, size - out.tell()))
        return out.getvalue()

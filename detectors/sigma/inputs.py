"""What a rule set is made of: rule files, archives and pipelines, read once: what is hashed is what is parsed."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Literal

from almena.errors import UsageError
from almena.paths import rules_dir
from almena.yamlfile import LONGEST

FOLDER = "pipelines"
"""The folder of pipelines among rule folders; there are no rules in it."""

ZONE = "America/Mexico_City"
"""The time zone that `hour` and its like are read in unless another is asked for."""

MOST_BYTES = 4 * LONGEST
"""Bytes of one rule file that are read: one longer has more characters than YAML may have, and is refused for it."""

LARGEST_ARCHIVE = 256 * 1024 * 1024
"""Bytes of an archive; larger ones are refused."""

_SUFFIXES = (".yml", ".yaml")

Mode = Literal["ecs", "native"]
"""Whether rules read fields by their ECS names or by the names they use themselves."""

Stamp = tuple[tuple[str, int, int, int], ...]
"""Name, time of change (nanoseconds), size and inode of every file: equal stamps mean that nothing was written."""


def shipped() -> Path:
    """The pipelines that come with Almena."""
    return rules_dir() / FOLDER


@dataclass(frozen=True, slots=True)
class File:
    """One file as it was found."""

    name: str
    data: bytes
    reason: str = ""
    """Why it could not be read, if it could not."""
    archive: bool = False

    def texts(self) -> Iterator[tuple[str, str]]:
        """The YAML files in it, by name, each with its text: itself, or what the archive holds.

        Raises UsageError for an archive that is damaged.
        """
        if self.archive:
            yield from _unpacked(self)
        else:
            yield self.name, self.data.decode("utf-8-sig", "replace")


@dataclass(frozen=True)
class Inputs:
    """Everything that decides what a rule set is."""

    rules: tuple[File, ...]
    pipelines: tuple[File, ...] = ()
    mode: str = "ecs"
    zone: str = ZONE

    @cached_property
    def key(self) -> str:
        """A hash of all of it, 64 hexadecimal digits: names and bytes, mode and zone."""
        return _hash(32, self.mode, self.reading, *self._parts(self.rules))

    @cached_property
    def reading(self) -> str:
        """A hash of how rules are read, whatever the rules: the pipelines and the time zone."""
        return _hash(8, self.zone, *self._parts(self.pipelines))

    @staticmethod
    def _parts(files: Sequence[File]) -> Iterator[str | bytes]:
        for file in files:
            yield from (file.name, file.reason, file.data)


def gather(paths: Sequence[Path], mode: Mode = "ecs", pipelines: Path | None = None, *, zone: str = ZONE) -> Inputs:
    """Everything under `paths` (folders, files, tar archives), read into memory.

    Pipelines are those of `pipelines`; in mode `ecs` otherwise those in `pipelines/` below a path, or those shipped.
    Raises UsageError for a path that is missing.
    """
    return Inputs(
        rules=tuple(_read(Path(name)) for path in paths for name in _names(path)),
        pipelines=tuple(_read(Path(name)) for name in _pipelines(paths, mode, pipelines)),
        mode=mode,
        zone=zone,
    )


def stamp(paths: Sequence[Path], mode: Mode = "ecs", pipelines: Path | None = None) -> Stamp:
    """What tells whether anything that `gather` reads was written to; raises UsageError for a path that is missing."""
    names = [name for path in paths for name in _names(path)] + _pipelines(paths, mode, pipelines)
    found = []
    for name in names:
        try:
            state = Path(name).stat()
            found.append((name, state.st_mtime_ns, state.st_size, state.st_ino))
        except OSError as error:
            found.append((name, -1, error.errno or 0, 0))
    return tuple(found)


def _names(path: Path) -> list[str]:
    """Every rule file under `path`, in the order of their names' parts."""
    if path.is_dir():
        return [str(path.joinpath(*parts)) for parts in sorted(_walk(str(path), ()))]
    if path.is_file():
        return [str(path)]
    raise UsageError(f"{path}: no such file or folder of rules")


def _walk(folder: str, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name != FOLDER:
                        yield from _walk(entry.path, (*above, entry.name))
                elif entry.name.endswith(_SUFFIXES):
                    yield (*above, entry.name)
    except OSError as error:
        raise UsageError(f"{folder}: its rules cannot be listed: {error.strerror or error}") from None


def _pipelines(paths: Sequence[Path], mode: str, folder: Path | None) -> list[str]:
    if folder is None:
        if mode != "ecs":
            return []
        folder = next((path / FOLDER for path in paths if (path / FOLDER).is_dir()), None) or shipped()
    return [str(file) for file in sorted(folder.glob("*.yml"))]


def _read(path: Path) -> File:
    name = str(path)
    archive = ".tar" in path.suffixes and not name.endswith(_SUFFIXES)
    try:
        if not path.is_file():
            return File(name, b"", "it is no file")
        with path.open("rb") as handle:
            if archive and os.fstat(handle.fileno()).st_size > LARGEST_ARCHIVE:
                raise UsageError(f"{name}: an archive larger than {LARGEST_ARCHIVE} bytes")
            return File(name, handle.read() if archive else handle.read(MOST_BYTES + 1), archive=archive)
    except OSError as error:
        return File(name, b"", f"it cannot be read: {error.strerror or error}")


def _unpacked(file: File) -> Iterator[tuple[str, str]]:
    texts: dict[str, str] = {}
    base = PurePosixPath(file.name).name
    try:
        with tarfile.open(fileobj=io.BytesIO(file.data)) as archive:
            for member in archive:
                inner = PurePosixPath(member.name)
                if member.isfile() and inner.suffix in _SUFFIXES and member.size <= MOST_BYTES:
                    handle = archive.extractfile(member)
                    texts[f"{base}/{inner}"] = handle.read().decode("utf-8-sig", "replace") if handle else ""
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise UsageError(f"{file.name}: no readable archive: {error}") from None
    yield from sorted(texts.items())


def _hash(size: int, *parts: str | bytes) -> str:
    found = hashlib.blake2b(digest_size=size)
    for part in parts:
        data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        found.update(len(data).to_bytes(8, "big"))
        found.update(data)
    return found.hexdigest()

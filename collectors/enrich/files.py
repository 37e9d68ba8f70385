"""Files behind tables: which there are, and whether they changed since they were read."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from almena.errors import ConfigError

_MOST = 1_000

Marks = tuple[tuple[str, int, int, int], ...]
"""Path, inode, size and time of change of every file."""


def marks(patterns: Sequence[str], where: str) -> Marks:
    """The files that the patterns name, as they are now; raises ConfigError when one names none."""
    found: list[tuple[str, int, int, int]] = []
    for pattern in patterns:
        paths = sorted(glob.glob(pattern, recursive=True)) if glob.has_magic(pattern) else [pattern]  # noqa: PTH207
        for path in paths[:_MOST]:
            try:
                status = Path(path).stat()
            except OSError as error:
                raise ConfigError(f"{where}: {path}: cannot be read: {error.strerror}") from None
            found.append((path, status.st_ino, status.st_size, status.st_mtime_ns))
    if not found and patterns:
        raise ConfigError(f"{where}: no file is called {', '.join(patterns)}")
    return tuple(found)

"""Which files some patterns name now: each once, few of them looked for at a time, some excluded."""

from __future__ import annotations

import glob
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Sequence

import re2

_REST = 10  # the patterns are looked up for at most a tenth of the time
_PIECE = re.compile(r"\*\*/|\*\*|\*|\?|\[[!^]?\]?[^\]/]*\]|[^*?\[]+|\[")

Tell = Callable[[str, str], None]
"""Is told of a path and what is wrong with it."""


class Listing:
    """Patterns with `*`, `?`, `[...]` and `**`; those of `exclude` without a slash are about the file's name alone."""

    def __init__(self, patterns: Sequence[str], exclude: Sequence[str] = (), *, most: int = 10_000) -> None:
        """At most `most` files are listed."""
        self._patterns = [os.path.abspath(pattern) for pattern in patterns]  # noqa: PTH100 - keeps `**` and links
        self._exclude = [_matcher(pattern) for pattern in exclude]
        self._most = most
        self._found: list[str] = []
        self._next = 0.0  # when the patterns are looked up again

    def files(self, tell: Tell) -> Iterator[tuple[str, os.stat_result]]:
        """Regular files, each once under the first of its names."""
        seen: set[tuple[int, int]] = set()
        for path in self._paths(tell):
            try:
                status = os.stat(path)  # noqa: PTH116
            except OSError as error:
                tell(path, f"cannot be read: {error.strerror}")
                continue
            if (status.st_dev, status.st_ino) not in seen and stat.S_ISREG(status.st_mode):
                seen.add((status.st_dev, status.st_ino))
                yield path, status

    def _paths(self, tell: Tell) -> list[str]:
        """What the patterns name; in large folders some time ago."""
        began = time.monotonic()
        if began < self._next:
            return [path for path in self._found if os.path.lexists(path)]
        found: dict[str, None] = {}
        for pattern in self._patterns:
            for path in glob.iglob(pattern, recursive=True):  # noqa: PTH207 - Path.glob loses `..` and links
                if path in found or any(excluded(path) for excluded in self._exclude):
                    continue
                if len(found) >= self._most:
                    tell(pattern, f"names more than {self._most} files; the others are not read")
                    break
                found[path] = None
        self._found = sorted(found)
        taken = time.monotonic() - began
        self._next = began + taken * _REST if taken > 0.05 else 0.0
        return self._found


def _matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a path, or the name of its file when the pattern has no slash, is named by the pattern."""
    name_only = "/" not in pattern
    whole = pattern if name_only else os.path.abspath(pattern)  # noqa: PTH100
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.dot_nl = True
    match = re2.compile(os.fsencode("".join(_translated(piece) for piece in _PIECE.findall(whole))), options).fullmatch

    def matches(path: str) -> bool:
        text = path.rpartition("/")[2] if name_only else path
        return match(os.fsencode(text)) is not None

    return matches


def _translated(piece: str) -> str:
    if piece == "**/":
        return "(?:.*/)?"
    if piece in ("**", "*", "?"):
        return {"**": ".*", "*": "[^/]*", "?": "[^/]"}[piece]
    if piece[0] == "[" and len(piece) > 2:
        negated = piece[1] in "!^"
        return f"[{'^' if negated else ''}{_escaped(piece[2 if negated else 1 : -1], keep='-')}]"
    return _escaped(piece)


def _escaped(text: str, keep: str = "") -> str:
    return "".join(
        char if char.isalnum() or char in keep or ord(char) > 127 else f"\\x{ord(char):02x}" for char in text
    )

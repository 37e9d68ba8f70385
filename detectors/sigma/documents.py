"""From files to the YAML documents of rules: folders, archives, and Sigma's collections."""

from __future__ import annotations

import copy
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import UUID, uuid5

from almena.errors import RuleError, UsageError
from almena.yamlfile import LONGEST, load_all

NAMESPACE = UUID("6f6a7a3e-8f0b-5e0c-9d0a-6f9b1c3c2a11")
"""Ids of rules that state none are made under it."""

_NO_RULES = {"pipelines"}
"""Folders below a rule folder that hold something else."""


@dataclass(frozen=True, slots=True)
class Document:
    """One rule, correlation or filter as YAML says it."""

    file: str
    content: dict[str, Any]

    @property
    def label(self) -> str:
        """What to call it in a message: its id, its title, or its file."""
        return str(self.content.get("id") or self.content.get("title") or self.file)


@dataclass(frozen=True, slots=True)
class Broken:
    """A file or document that could not be read."""

    file: str
    label: str
    reason: str


def read(path: Path) -> Iterator[tuple[str, str]]:
    """Every rule file under `path` (a folder, one YAML file, or a tar archive): its name and text, by name.

    Raises UsageError when there is nothing to read.
    """
    if path.is_dir():
        for file in sorted([*path.rglob("*.yml"), *path.rglob("*.yaml")]):
            relative = file.relative_to(path)
            if not _NO_RULES.intersection(relative.parts[:-1]):
                yield str(file), _decode(file.read_bytes())
    elif path.suffixes and ".tar" in path.suffixes:
        yield from _read_archive(path)
    elif path.is_file():
        yield str(path), _decode(path.read_bytes())
    else:
        raise UsageError(f"{path}: no such file or folder of rules")


def _read_archive(path: Path) -> Iterator[tuple[str, str]]:
    texts: dict[str, str] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                if member.isfile() and name.suffix in (".yml", ".yaml") and member.size <= 4 * LONGEST:
                    file = archive.extractfile(member)
                    texts[f"{path.name}/{name}"] = _decode(file.read()) if file else ""
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UsageError(f"{path}: no readable archive: {error}") from None
    yield from sorted(texts.items())


def _decode(data: bytes) -> str:
    return data.decode("utf-8-sig", "replace")


def documents(file: str, text: str) -> Iterator[Document | Broken]:
    """The documents of one file, with `action: global`, `reset` and `repeat` carried out."""
    try:
        contents = load_all(text)
    except RuleError as error:
        yield Broken(file, file, str(error))
        return
    common: dict[str, Any] = {}
    previous: dict[str, Any] = {}
    seen: dict[str, int] = {}
    for content in contents:
        if content is None:
            continue
        if not isinstance(content, dict):
            yield Broken(file, file, "a rule is a mapping of keys to values")
            continue
        action = content.pop("action", None)
        if action == "global":
            common = previous = _merged(common, content)
        elif action == "reset":
            common = previous = {}
        elif action == "repeat":
            previous = _merged(previous, content)
            yield Document(file, _own_id(previous, content, seen))
        elif action is not None:
            yield Broken(file, file, f"unknown action {action!r}; known are global, reset and repeat")
        elif "correlation" in content or "filter" in content:
            yield Document(file, content)
        else:
            own = {key: content[key] for key in ("id", "name", "title") if key in content}
            previous = _merged(content, common) | own
            yield Document(file, _own_id(previous, content, seen))


def _merged(into: dict[str, Any], update: dict[str, Any]) -> dict[str, Any]:
    merged = dict(into)
    for key, value in update.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else copy.deepcopy(value)
    return merged


def _own_id(merged: dict[str, Any], stated: dict[str, Any], seen: dict[str, int]) -> dict[str, Any]:
    """Rules of a collection that share an id by inheritance get one each, the first keeps it."""
    inherited = merged.get("id")
    if inherited is None or stated.get("id") == inherited:
        return merged
    times = seen[str(inherited)] = seen.get(str(inherited), 0) + 1
    return merged if times == 1 else merged | {"id": str(uuid5(NAMESPACE, f"{inherited}/{times}"))}

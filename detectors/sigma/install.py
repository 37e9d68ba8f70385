"""Installs other people's rules into a folder of their own, with their licence and where each came from."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from almena.errors import UsageError
from almena.yamlfile import LONGEST
from detectors.sigma import archive
from detectors.sigma.choosing import Candidate, Choice, choose, level_of, status_of

MANIFEST = "manifest.json"
"""What is installed in a folder, and where it came from."""

FORMAT = 1

_LICENCES = ("license", "licence", "copying", "notice")
_LONGEST_LICENCE = 1 << 20
_LONGEST_MANIFEST = 64 << 20
_LONGEST_TEXT = 300
_SUFFIXES = (".yml", ".yaml")
_DRL = "LICENSE.DRL-1.1.md"


class Origin(msgspec.Struct, omit_defaults=True):
    """Where one installed file came from."""

    path: str
    """Its name in the archive; empty for what Almena added."""
    sha256: str
    """Of the file as it was installed."""
    titles: list[str] = []
    ids: list[str] = []
    authors: list[str] = []
    dates: list[str] = []
    licences: list[str] = []
    statuses: list[str] = []
    levels: list[str] = []


class Manifest(msgspec.Struct):
    """What is installed in a folder."""

    format: int
    source: str
    """The name of the archive or folder."""
    sha256: str
    """Of the archive."""
    installed: str
    """When, RFC 3339."""
    statuses: list[str]
    levels: list[str]
    licence: str
    """Of rules that state none; an SPDX id."""
    licence_note: str
    files: dict[str, Origin]
    """By name below the folder."""


@dataclass
class Outcome:
    """What installing did, or would do."""

    new: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    kept: list[tuple[str, str]] = field(default_factory=list)
    """Files that differ from what was installed, and were left as they are, each with what happened to them."""
    left: list[tuple[str, str]] = field(default_factory=list)
    """Files of the archive that are not installed, each with the reason."""
    note: str = ""
    """What is to be said about the licence."""

    @property
    def rules(self) -> int:
        """Files of rules in use."""
        return len([name for name in (*self.new, *self.updated, *self.unchanged) if name.endswith(_SUFFIXES)])


def install(source: Path, to: Path, choice: Choice, now: str, *, overwrite: bool = False, dry: bool = False) -> Outcome:
    """Bring `to` to what `choice` takes of `source`, at the time `now`.

    What was changed or deleted in `to` since stays as it is, unless `overwrite`. Writes only below `to`. `dry`
    writes nothing. Raises UsageError for a source that cannot be used and a folder that holds something else.
    """
    if source.is_dir() and (_within(source, to) or _within(to, source)):
        raise UsageError(f"{to}: lies in {source}, or the other way; name another folder with `--to`")
    if to.exists() and not to.is_dir():
        raise UsageError(f"{to}: is no folder; name another with `--to`")
    found = archive.contents(source, _wanted)
    wanted, outcome = _plan(found, choice)
    before = _manifest(to)
    _check_same(before, wanted, to, source)
    after = Manifest(
        format=FORMAT,
        source=source.name,
        sha256=found.sha256,
        installed=now,
        statuses=sorted(choice.statuses),
        levels=sorted(choice.levels),
        licence=choice.licence,
        licence_note=outcome.note,
        files={},
    )
    if before is None and not dry:
        _write_manifest(to, after)  # so that a run that is interrupted can be taken up
    after.files = _apply(to, wanted, before.files if before else {}, outcome, overwrite=overwrite, dry=dry)
    unchanged = before is not None and msgspec.structs.replace(after, installed=before.installed) == before
    if not dry and not unchanged:
        _write_manifest(to, after)
    return outcome


def _plan(found: archive.Contents, choice: Choice) -> tuple[dict[str, tuple[bytes, Origin]], Outcome]:
    """What is to stand below the folder, and what is left out."""
    base = _common(found.files)
    chosen = choose({name: data for name, data in found.files.items() if _is_rule(name)}, choice)
    licences = {name: data for name, data in found.files.items() if not _is_rule(name)}
    wanted = {_below(candidate.name, base): (candidate.data, _origin(candidate, choice)) for candidate in chosen.files}
    for name, data in licences.items():
        wanted[_below(name, base)] = (data, Origin(name, _hash(data)))
    if not licences and choice.licence == "DRL-1.1":
        text = files("detectors.sigma").joinpath("drl.md").read_bytes()
        wanted[_DRL] = (text, Origin("", _hash(text)))
    return wanted, Outcome(left=[*found.left, *chosen.left], note=_note(licences, choice))


def _write_manifest(to: Path, manifest: Manifest) -> None:
    text = msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=1)
    _write(to, MANIFEST, text + b"\n", sync=True)


def _wanted(path: PurePosixPath) -> int:
    if any(part.startswith(".") for part in path.parts):
        return 0
    if path.suffix in _SUFFIXES:
        return LONGEST
    return _LONGEST_LICENCE if len(path.parts) <= 3 and path.name.lower().startswith(_LICENCES) else 0


def _is_rule(name: str) -> bool:
    return name.endswith(_SUFFIXES)


def _common(names: Mapping[str, Any]) -> str:
    """The one folder that everything is in, when it is a release's own: `sigma-r2026-10-01` above `rules`."""
    tops = {name.partition("/")[0] for name in names}
    seconds = {parts[1] for name in names if len(parts := name.split("/")) > 1}
    inner = any(second.lower().startswith(("rules", *_LICENCES)) for second in seconds)
    return f"{tops.pop()}/" if len(tops) == 1 and inner else ""


def _below(name: str, base: str) -> str:
    return name.removeprefix(base)


def _origin(candidate: Candidate, choice: Choice) -> Origin:
    def each(key: str, default: str = "") -> list[str]:
        values = (document.content.get(key) for document in candidate.found)
        return [text[:_LONGEST_TEXT] for value in values if (text := str(value or default))]

    return Origin(
        path=candidate.name,
        sha256=_hash(candidate.data),
        titles=each("title"),
        ids=each("id"),
        authors=list(dict.fromkeys(each("author"))),
        dates=list(dict.fromkeys(each("date"))),
        licences=list(dict.fromkeys(each("license", choice.licence))),
        statuses=[status_of(document.content) for document in candidate.found],
        levels=[level_of(document.content) for document in candidate.found],
    )


def _note(licences: Mapping[str, bytes], choice: Choice) -> str:
    if licences:
        return f"its licence is in {', '.join(sorted(licences)[:3])}"
    if choice.licence == "DRL-1.1":
        return f"it holds no licence file; {_DRL} was added, the licence of SigmaHQ's rules"
    return f"it holds no licence file; rules that state none are taken to be under {choice.licence}"


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _within(outer: Path, inner: Path) -> bool:
    return inner.resolve().is_relative_to(outer.resolve())


def _manifest(to: Path) -> Manifest | None:
    path = to / MANIFEST
    try:
        data = path.read_bytes() if path.stat().st_size <= _LONGEST_MANIFEST else b""
    except FileNotFoundError:
        if to.is_dir() and any(to.rglob("*")):
            raise UsageError(f"{to}: holds files, but no {MANIFEST}; name a folder of its own with `--to`") from None
        return None
    try:
        found = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: is damaged ({error}); install into another folder with `--to`") from None
    bad = next((name for name in found.files if archive.unsafe(name) or archive.odd(name)), None)
    if bad is not None or found.format != FORMAT:
        what = f"names {bad!r}" if bad is not None else f"has the format {found.format}"
        raise UsageError(f"{path}: {what}; install into another folder with `--to`")
    return found


def _check_same(before: Manifest | None, wanted: Mapping[str, Any], to: Path, source: Path) -> None:
    """Other rules are not put in place of these by mistake: two releases of one source share most names."""
    installed = {name for name in before.files if _is_rule(name)} if before else set()
    if before is not None and installed and wanted and installed.isdisjoint(wanted):
        raise UsageError(
            f"{to}: holds rules of {before.source}, and {source} has none of them; name another folder with `--to`"
        )


def _apply(
    to: Path,
    wanted: Mapping[str, tuple[bytes, Origin]],
    before: Mapping[str, Origin],
    outcome: Outcome,
    *,
    overwrite: bool,
    dry: bool,
) -> dict[str, Origin]:
    """Write and remove files; gives what the manifest is to say."""
    known: dict[str, Origin] = {}
    for name, (data, origin) in sorted(wanted.items()):
        there, old = _there(to, name), before.get(name)
        if there == origin.sha256:
            outcome.unchanged.append(name)
        elif there == (old.sha256 if old else None) or overwrite:
            if not dry and (reason := _tried(to, name, data)):
                outcome.left.append((origin.path, reason))
                if old:
                    known[name] = old
                continue
            (outcome.updated if there else outcome.new).append(name)
        else:
            outcome.kept.append((name, "was deleted here" if there is None else "is not as it was installed"))
            origin = old or origin
        known[name] = origin
    for name, old in sorted(before.items()):
        if name in wanted or (there := _there(to, name)) is None:
            continue
        if there == old.sha256 or overwrite:
            outcome.removed.append(name)
            if not dry:
                _remove(to, name)
        else:
            outcome.kept.append((name, "is not as it was installed, and the archive has it no more"))
            known[name] = old
    return known


def _there(to: Path, name: str) -> str | None:
    """The hash of what stands in a place now; None for nothing, a text that is no hash for what is no file."""
    path = to / name
    if path.is_symlink() or any(parent.is_symlink() for parent in _parents(to, name)):
        return "a link"
    try:
        return _hash(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return "no file"


def _parents(to: Path, name: str) -> list[Path]:
    return [to / parent for parent in list(PurePosixPath(name).parents)[:-1]]


def _tried(to: Path, name: str, data: bytes) -> str:
    try:
        _write(to, name, data)
    except OSError as error:
        return f"it cannot be written: {error.strerror or error}"
    return ""


def _write(to: Path, name: str, data: bytes, *, sync: bool = False) -> None:
    """Put a file in its place at once; no link in the way is followed."""
    path = to / name
    for parent in _parents(to, name):
        if parent.is_symlink():
            parent.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name[:100]}.draft")
    draft.unlink(missing_ok=True)
    with draft.open("xb") as file:
        file.write(data)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    draft.replace(path)


def _remove(to: Path, name: str) -> None:
    (to / name).unlink(missing_ok=True)
    for parent in _parents(to, name):
        with contextlib.suppress(OSError):
            parent.rmdir()

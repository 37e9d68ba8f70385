"""`almena check`: whether a configuration will work on the servers as they are, finding by finding."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from almena.app import rule_folders, ruleset
from almena.app.checktexts import CHECKS
from almena.config import Config
from almena.errors import AlmenaError
from almena.words import safe

Level: TypeAlias = Literal["good", "care", "wrong"]

MARKS: dict[Level, str] = {"good": "✓", "care": "!", "wrong": "✗"}

LITTLE_DISK = 2 << 30
"""Bytes free below which a disk is worth a word; a tenth of it is too little to run."""

CLOCK_LIMIT = 5.0
"""Seconds that clocks may lie apart: the lateness that sources are allowed unless told otherwise."""

EXPIRY_DAYS = 30
"""Days before its end from which on a certificate is worth a word."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at: where, how it is, and what its sentence names."""

    part: str
    level: Level
    code: str
    values: dict[str, str] = {}

    def said(self, language: str) -> str:
        """The sentence."""
        return CHECKS[language][self.code].format(**{name: safe(value, 600) for name, value in self.values.items()})


Findings: TypeAlias = Iterator[Finding]
Check: TypeAlias = Callable[[Config], Findings]


def good(part: str, code: str, **values: object) -> Finding:
    """All is well here."""
    return Finding(part, "good", code, {name: str(value) for name, value in values.items()})


def care(part: str, code: str, **values: object) -> Finding:
    """It works, and somebody should look at it."""
    return Finding(part, "care", code, {name: str(value) for name, value in values.items()})


def wrong(part: str, code: str, **values: object) -> Finding:
    """It will not work."""
    return Finding(part, "wrong", code, {name: str(value) for name, value in values.items()})


def check(config: Config, *, create: bool = False, role: str = "") -> Findings:
    """Look at everything; with `create` make what is missing on the servers, for `role` alone or for all of them."""
    for each in LOCAL:
        yield from guarded("data", each, config)
    match config.bus.partition(":")[0]:
        case "kafka" | "kafka+confluent":
            from almena.app.checking_kafka import check_kafka

            yield from check_kafka(config, create=create, role=role)
        case "sqlite":
            yield from guarded("bus", lambda each: _file("bus", each.bus, each), config)
    match config.store.partition(":")[0]:
        case "http" | "https":
            from almena.app.checking_elasticsearch import check_elasticsearch

            yield from check_elasticsearch(config, create=create)
        case "sqlite":
            yield from guarded("store", lambda each: _file("store", each.store, each), config)


def guarded(part: str, each: Check, config: Config) -> Findings:
    """What one check finds; that it could not look is a finding too."""
    try:
        yield from each(config)
    except (AlmenaError, OSError) as error:
        yield wrong(part, "failed", error=error)


def check_data(config: Config) -> Findings:
    """The folder of the secret key, checkpoints, metrics and logs."""
    folder = Path(config.data)
    there = next(each for each in [folder, *folder.absolute().parents] if each.exists())
    if not os.access(there, os.W_OK | os.X_OK) or not there.is_dir():
        yield wrong("data", "data_closed", folder=folder)
        return
    yield good("data", "data", folder=folder)
    yield from _room("data", there, config.spool.megabytes << 20 if config.bus.startswith("kafka") else 0)


def _room(part: str, folder: Path, spool: int) -> Findings:
    free = shutil.disk_usage(folder).free
    said = {"folder": folder, "free": f"{free / (1 << 30):.1f}"}
    if free < LITTLE_DISK / 10:
        yield wrong(part, "disk_full", **said)
    elif free < LITTLE_DISK + spool:
        yield care(part, "disk_little", spool=spool >> 20, **said)


def check_key(config: Config) -> Findings:
    """The secret key, and the other files that nobody else may read."""
    files = [("secret.key", Path(config.data) / "secret.key")]
    files += [("kafka.password_file", Path(config.kafka.password_file)), ("kafka.key", Path(config.kafka.key))]
    files += [
        (f"elasticsearch.{name}", Path(getattr(config.elasticsearch, name)))
        for name in ("password_file", "api_key_file")
    ]
    for name, file in files:
        if str(file) == ".":
            continue
        if not file.exists():
            if name != "secret.key":
                yield wrong("data", "file_missing", name=name, file=file)
            elif "ALMENA_SECRET" not in os.environ:
                yield care("data", "key_missing", file=file)
        elif stat.S_IMODE(file.stat().st_mode) & (0o077 if name == "secret.key" else 0o007):
            yield wrong("data", "file_open", name=name, file=file)
        else:
            yield good("data", "file", name=name, file=file)


def check_rules(config: Config) -> Findings:
    """Whether rules load, and which are rejected."""
    for folder in rule_folders(config):
        if not folder.exists():
            yield wrong("rules", "rules_missing", folder=folder)
            return
    found = ruleset(config)
    if not found.everything:
        yield care("rules", "rules_none")
    else:
        yield good("rules", "rules", count=len(found.everything))
    if found.rejected:
        first = found.rejected[0]
        yield care("rules", "rules_rejected", count=len(found.rejected), first=first)


def check_agencies(config: Config) -> Findings:
    """Whom events belong to, and where they come from."""
    if not config.agencies:
        yield care("agencies", "agencies_none")
    else:
        yield good("agencies", "agencies", count=len(config.agencies))
    if not config.collectors:
        yield care("agencies", "collectors_none")


def _file(part: str, url: str, config: Config) -> Findings:
    """A bus or a store in a file: that it can be written, and that there is room."""
    file = Path(url.partition(":")[2])
    if str(file) == ":memory:":
        return
    there = next(each for each in [file, *file.absolute().parents] if each.exists())
    if there == file and not os.access(file, os.R_OK | os.W_OK):
        yield wrong(part, "file_closed", file=file)
        return
    if not os.access(file.parent if there == file else there, os.W_OK | os.X_OK):
        yield wrong(part, "file_closed", file=file)
        return
    yield good(part, "file_there" if there == file else "file_new", file=file)
    yield from _room(part, there if there.is_dir() else file.parent, 0)


LOCAL: tuple[Check, ...] = (check_data, check_key, check_rules, check_agencies)
"""What is looked at on this machine."""


def run(config: Config, *, create: bool, role: str, json: bool) -> int:
    """`almena check`: print every finding as it is found; 1 when something is wrong."""
    found: list[Finding] = []
    for finding in check(config, create=create, role=role):
        found.append(finding)
        if not json:
            print(f"{MARKS[finding.level]} {finding.part}: {finding.said(config.language)}", flush=True)
    bad, odd = (sum(finding.level == level for finding in found) for level in ("wrong", "care"))
    if json:
        print(msgspec.json.encode(_document(found, config.language)).decode())
    else:
        print(CHECKS[config.language]["sum"].format(wrong=bad, care=odd))
    return 1 if bad else 0


def _document(found: Sequence[Finding], language: str) -> dict[str, object]:
    return {
        "ok": all(finding.level != "wrong" for finding in found),
        "findings": [msgspec.to_builtins(finding) | {"text": finding.said(language)} for finding in found],
    }

"""Suppressions: what is known and not to be told, for whom, why, by whom and until when, in a file beside the rules.

[[suppression]]
name = "escáner autorizado"
rule = "0f6b2c1e-5a0e-4c53-9f55-0a8d8f5a7f10"     # at least one of rule, agency, entity and fields
agency = "finanzas"
entity = "source.ip=10.20.30.40"
fields = {"source.ip" = ["10.20.30.0/28"], "user.name" = "svc_scan"}   # all must hold; values or networks
owner = "ana.lopez"
reason = "Pruebas de intrusión autorizadas, oficio 112/2026"
expires = 2026-12-31                               # its last day
"""

from __future__ import annotations

import difflib
import ipaddress
import logging
import tomllib
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from almena.alert import Alert
from almena.clock import SECOND, format_time, from_datetime
from almena.desk.grouping import entity_text
from almena.errors import ConfigError
from almena.event import strings

log = logging.getLogger("almena.desk")

LARGEST_FILE = 1_000_000
"""Bytes of the file."""

_SCOPE = ("rule", "agency", "entity", "fields")
_NEEDED = ("name", "owner", "reason", "expires")
_HINTS = {
    "name": "a short name of its own",
    "owner": "who answers for it",
    "reason": "why these alerts need nobody",
    "expires": "its last day, such as 2026-12-31",
}


@dataclass(frozen=True, kw_only=True)
class Suppression:
    """One entry of the file."""

    name: str
    owner: str
    reason: str
    expires: int
    """From this moment on it has no effect, microseconds since 1970 UTC."""
    rule: str = ""
    agency: str = ""
    entity: str = ""
    fields: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Fields and the values or networks of which one must be there."""

    def covers(self, alert: Alert) -> bool:
        """Whether the alert is one of those it is about."""
        return (
            (not self.rule or self.rule == alert.get("rule.id"))
            and (not self.agency or self.agency in strings(alert.get("organization.id")))
            and (not self.entity or self.entity == entity_text(alert))
            and all(_has(strings(alert.get(field)), values) for field, values in self.fields)
        )


def _has(found: list[str], wanted: tuple[str, ...]) -> bool:
    return any(value == want or _inside(value, want) for value in found for want in wanted)


def _inside(value: str, network: str) -> bool:
    if "/" not in network:
        return False
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(network)
    except ValueError:
        return False


class Suppressions:
    """The suppressions of a file, read again when it changes."""

    def __init__(self, path: Path | None, *, zone: str = "America/Mexico_City", needed: bool = False) -> None:
        """Reads the file; one that does not exist is empty unless `needed`. Raises ConfigError for what is wrong."""
        self._path = path
        self._zone = ZoneInfo(zone)
        self._seen = self._stamp()
        self.entries: tuple[Suppression, ...] = ()
        self.problem = ""
        """Why the file as it is now is not in use, or empty; the last good one is used meanwhile."""
        if needed and self._seen is None:
            raise ConfigError(f"desk: suppressions: there is no file {path}")
        if path is not None and self._seen is not None:
            self.entries = load(path, self._zone)

    def find(self, alert: Alert, now: int) -> Suppression | None:
        """The first suppression in effect at `now` that covers the alert."""
        return next((each for each in self.entries if now < each.expires and each.covers(alert)), None)

    def expired(self, now: int) -> list[Suppression]:
        """Entries without effect any more, to be renewed or removed."""
        return [each for each in self.entries if each.expires <= now]

    def refresh(self, now: int) -> None:
        """Read the file again if it changed; a wrong file is reported and the last good one stays in use."""
        stamp = self._stamp()
        if stamp == self._seen or self._path is None:
            return
        self._seen = stamp
        try:
            self.entries = load(self._path, self._zone) if stamp is not None else ()
        except ConfigError as error:
            self.problem = str(error)
            log.error("%s; the suppressions read before stay in use", error)
            return
        self.problem = ""
        log.info("%s: %d suppressions in use", self._path.name, len(self.entries) - len(self.expired(now)))
        self.report(now)

    def report(self, now: int) -> None:
        """Say which suppressions have expired."""
        for each in self.expired(now):
            log.warning(
                "suppression %r of %s expired at %s and has no effect; renew or remove it",
                each.name,
                each.owner,
                format_time(each.expires),
            )

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat() if self._path is not None else None
        except OSError:
            return None
        return found and (found.st_mtime_ns, found.st_size, found.st_ino)


def load(path: Path, zone: ZoneInfo) -> tuple[Suppression, ...]:
    """The suppressions in `path`; raises ConfigError saying where and what instead."""
    try:
        data = path.read_bytes()
        if len(data) > LARGEST_FILE:
            raise ConfigError(f"{path.name}: larger than {LARGEST_FILE} bytes")
        tree = tomllib.loads(data.decode())
    except OSError as error:
        raise ConfigError(f"{path.name}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path.name}: is not UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path.name}: no valid TOML: {error}") from None
    if unknown := sorted(set(tree) - {"suppression"}):
        raise ConfigError(f"{path.name}: no section {unknown[0]!r}; write [[suppression]]")
    tables = tree.get("suppression", [])
    if not isinstance(tables, list):
        raise ConfigError(f"{path.name}: write [[suppression]], with two brackets, before each suppression")
    found = [_entry(table, f"{path.name}: suppression {number}", zone) for number, table in enumerate(tables, 1)]
    names = [each.name for each in found]
    for number, name in enumerate(names, 1):
        if name in names[: number - 1]:
            raise ConfigError(f"{path.name}: suppression {number}: the name {name!r} is taken; give each its own")
    return tuple(found)


def _entry(table: Any, where: str, zone: ZoneInfo) -> Suppression:
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: expected a table")
    known = [*_SCOPE, *_NEEDED]
    for key in table:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            raise ConfigError(f"{where}: no option {key!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
    for key in _NEEDED:
        if table.get(key) in (None, ""):
            raise ConfigError(f"{where}: {key!r} is missing; write {_HINTS[key]}")
    for key in (*_NEEDED[:3], *_SCOPE[:3]):
        if not isinstance(table.get(key, ""), str):
            raise ConfigError(f"{where}: {key!r} must be a text")
    if not any(table.get(key) for key in _SCOPE):
        raise ConfigError(f"{where}: it would silence everything; give at least one of {', '.join(_SCOPE)}")
    texts = {key: table[key].strip() for key in (*_NEEDED[:3], *_SCOPE[:3]) if key in table}
    fields = _fields(table.get("fields", {}), where)
    return Suppression(**texts, expires=_moment(table["expires"], where, zone), fields=fields)


def _fields(table: Any, where: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if not isinstance(table, dict):
        raise ConfigError(f'{where}: write fields = {{"source.ip" = ["10.0.0.0/8"]}}')
    found = []
    for name, values in _flat(table):
        values = values if isinstance(values, list) else [values]
        if not values or not all(isinstance(value, (str, int, float)) for value in values):
            raise ConfigError(f"{where}: fields: {name!r} must be a text, a number, or a list of them")
        found.append((name, tuple(str(value) for value in values)))
    return tuple(found)


def _flat(table: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Names as they are meant, whether `source.ip` was written with quotes or not."""
    found: list[tuple[str, Any]] = []
    for name, value in table.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{name}.")
        else:
            found.append((prefix + name, value))
    return found


def _moment(value: Any, where: str, zone: ZoneInfo) -> int:
    """The end of the day, or the moment, that `expires` says."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value) if "T" in value or " " in value else date.fromisoformat(value)
        except ValueError:
            raise ConfigError(f"{where}: 'expires' is {value!r}; write {_HINTS['expires']}") from None
    if isinstance(value, datetime):
        return from_datetime(value if value.tzinfo is not None else value.replace(tzinfo=zone))
    if isinstance(value, date):
        return from_datetime(datetime.combine(value, time(23, 59, 59), tzinfo=zone)) + SECOND
    raise ConfigError(f"{where}: 'expires' is no date; write {_HINTS['expires']}")

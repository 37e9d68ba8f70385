"""Whose machine an address or a host's name is, from a table that the institution keeps as CSV.

network,host,name,agency,owner,criticality,kind
10.20.0.0/16,,Red de Finanzas,finanzas,redes@finanzas.example,medium,network
10.20.1.7,cajas1,Servidor de cajas,finanzas,ana,high,server
"""

from __future__ import annotations

import csv
import ipaddress
import logging
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from almena.errors import ConfigError
from almena.event import Event
from collectors.enrich.files import Marks, marks

log = logging.getLogger("almena.enrich")

COLUMNS = ("name", "agency", "owner", "criticality", "kind")
_KEYS = ("network", "host")
_SIDES = (("source", "source.ip", "source.domain"), ("destination", "destination.ip", "destination.domain"))
_MOST_ROWS = 1_000_000
_LONGEST = 1_024


@dataclass
class _Table:
    networks: dict[tuple[int, int], dict[int, Event]] = field(default_factory=dict)
    """By version and shift to the prefix: prefix -> what is known."""
    hosts: dict[str, Event] = field(default_factory=dict)
    order: list[tuple[int, int]] = field(default_factory=list)


class Assets:
    """Sets `almena.asset.source.*`, `.destination.*` and `.host.*`; of networks the smallest counts."""

    def __init__(self, path: str) -> None:
        """Nothing is read before `refresh`."""
        self._path = path
        self._marks: Marks = ()
        self._hosts: dict[str, Event] = {}
        self._find: Any = lambda address: None

    def refresh(self) -> bool:
        """Read the table anew if it changed."""
        now = marks([self._path], "enrich: assets")
        if now == self._marks:
            return False
        table = _read(self._path)

        @lru_cache(maxsize=65_536)
        def find(address: str) -> Event | None:
            try:
                found = ipaddress.ip_address(address)
            except ValueError:
                return None
            number = int(found)
            for key in table.order:
                if key[0] == found.version and (known := table.networks[key].get(number >> key[1])) is not None:
                    return known
            return None

        self._hosts, self._find, self._marks = table.hosts, find, now
        return True

    def __call__(self, event: Event) -> None:
        """Add what is known of both ends and of the host that speaks."""
        for side, ip, domain in _SIDES:
            address = event.get(ip)
            known = self._find(address) if isinstance(address, str) and len(address) <= 45 else None
            self._put(event, side, known or self._host(event.get(domain)))
        self._put(event, "host", self._host(event.get("host.name")))

    def _host(self, name: Any) -> Event | None:
        if not isinstance(name, str) or not name or len(name) > 253:
            return None
        name = name.lower().rstrip(".")
        return self._hosts.get(name) or self._hosts.get(name.partition(".")[0])

    @staticmethod
    def _put(event: Event, side: str, known: Event | None) -> None:
        if known is not None:
            for name, value in known.items():
                event[f"almena.asset.{side}.{name}"] = value


def _read(path: str) -> _Table:
    """The table; rows that cannot be used are told with their line and left out. Raises ConfigError."""
    table, refused = _Table(), 0
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            columns = rows.fieldnames or ()
            unknown = [name for name in columns if name not in (*_KEYS, *COLUMNS)]
            if unknown or not set(_KEYS) & set(columns):
                raise ConfigError(
                    f"enrich: assets: {path}: the first line must name columns out of {', '.join((*_KEYS, *COLUMNS))}, "
                    f"'network' or 'host' among them"
                )
            for row in rows:
                if rows.line_num > _MOST_ROWS:
                    raise ConfigError(f"enrich: assets: {path}: more than {_MOST_ROWS} rows")
                reason = _add(table, row)
                if reason:
                    refused += 1
                    if refused <= 10:
                        log.warning("assets: %s:%d: %s; this row is left out", path, rows.line_num, reason)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"enrich: assets: {path}: cannot be read as CSV in UTF-8: {error}") from None
    if refused > 10:
        log.warning("assets: %s: %d rows are left out", path, refused)
    table.order = sorted(table.networks, key=lambda key: key[1])
    return table


def _add(table: _Table, row: dict[str | None, Any]) -> str:
    """Take one row; returns why not."""
    if None in row or any(value is None for value in row.values()):
        return "not as many cells as the first line names"
    known = {name: row[name].strip()[:_LONGEST] for name in COLUMNS if row.get(name, "").strip()}
    network, host = row.get("network", "").strip(), row.get("host", "").strip().lower()
    if not (network or host):
        return "neither a network nor a host"
    if network:
        try:
            found = ipaddress.ip_network(network, strict=False)
        except ValueError:
            return "no network or address such as 10.20.0.0/16"
        shift = found.max_prefixlen - found.prefixlen
        table.networks.setdefault((found.version, shift), {})[int(found.network_address) >> shift] = known
    if host:
        table.hosts[host] = known
    return ""

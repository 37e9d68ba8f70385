"""Known bad addresses, networks, domains, URLs, hashes and senders: a million of them, looked up in constant time.

Every value passes a bit table first, so that what is in no list (almost everything) costs a fraction of a
microsecond; the entries themselves lie in a temporary file.
"""

from __future__ import annotations

import ipaddress
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from almena.clock import parse_time
from almena.event import Event
from collectors.enrich.feeds import Entry, read, url_form
from collectors.enrich.files import Marks, marks

log = logging.getLogger("almena.enrich")

_BITS_EACH = 64
_ADDRESSES = ("source.ip", "destination.ip", "dns.resolved_ip", "network.forwarded_ip", "client.ip", "server.ip")
_NAMES = ("dns.question.name", "url.domain", "destination.domain", "source.domain", "tls.client.server_name")
_URLS = ("url.full", "url.original")
_HASHES = tuple(f"{what}.hash.{kind}" for what in ("file", "process", "dll") for kind in ("sha256", "sha1", "md5"))
_SENDERS = ("email.from.address", "email.sender.address", "email.reply_to.address")
_LABELS = 12
_TYPES = {"ip": "ipv4-addr", "network": "ipv4-addr", "domain": "domain-name", "url": "url", "hash": "file"}
_FIELDS = {"name": "description", "provider": "provider", "confidence": "confidence", "reference": "reference"}


class _List:
    """The entries of all files together."""

    def __init__(self, most: int) -> None:
        self._most = most
        bits = 1 << max(16, (most * _BITS_EACH - 1).bit_length())
        self._mask = min(bits, 1 << 27) - 1
        self._table = bytearray((self._mask + 1) >> 3)
        self._file = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._file.execute("PRAGMA journal_mode=OFF")
        self._file.execute("CREATE TABLE entry (key TEXT PRIMARY KEY, more TEXT) WITHOUT ROWID")
        self.shifts: dict[int, list[int]] = {4: [], 6: []}
        self.count = 0

    def close(self) -> None:
        self._file.close()

    def fill(self, entries: Iterator[Entry]) -> int:
        """Take entries up to the bound; returns how many were left out."""
        left = 0
        self._file.execute("BEGIN")
        for each in entries:
            if self.count >= self._most:
                left += 1
                continue
            key = self._key(each)
            more = "\x1f".join((each.name, each.provider, each.confidence, each.reference, str(each.until)))
            done = self._file.execute("INSERT OR IGNORE INTO entry VALUES (?, ?)", (key, more.replace("\x00", "")))
            self.count += done.rowcount
            place = hash(key) & self._mask
            self._table[place >> 3] |= 1 << (place & 7)
        self._file.execute("COMMIT")
        return left

    def _key(self, each: Entry) -> str:
        if each.kind != "network":
            return f"{each.kind}:{each.value}"
        network = ipaddress.ip_network(each.value)
        shift = network.max_prefixlen - network.prefixlen
        if shift not in self.shifts[network.version]:
            self.shifts[network.version].append(shift)
            self.shifts[network.version].sort()
        return f"network:{network.version}:{shift}:{int(network.network_address) >> shift}"

    def get(self, key: str) -> dict[str, str] | None:
        """What is known under a key."""
        place = hash(key) & self._mask
        if not self._table[place >> 3] & (1 << (place & 7)):
            return None
        row = self._file.execute("SELECT more FROM entry WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        name, provider, confidence, reference, until = row[0].split("\x1f")
        return {
            "name": name,
            "provider": provider,
            "confidence": confidence,
            "reference": reference,
            "until": until,
            "kind": key.partition(":")[0],
        }


class Indicators:
    """Sets `threat.indicator.*` and `almena.indicator.*` when a value of the event is on a list."""

    def __init__(self, patterns: Sequence[str], most: int) -> None:
        """Nothing is read before `refresh`; `most` entries are kept."""
        self._patterns = list(patterns)
        self._most = most
        self._marks: Marks = ()
        self._find: Any = lambda kind, value: None
        self.count = 0

    def refresh(self) -> bool:
        """Read the lists anew if one changed."""
        now = marks(self._patterns, "enrich: indicators")
        if now == self._marks:
            return False
        table = _List(self._most)
        for path, *_ in now:
            left = table.fill(_counted(path))
            if left:
                log.error("indicators: %s: %d left out; max_indicators is %d", path, left, self._most)
        self._find, self._marks, self.count = _finder(table), now, table.count
        log.info("indicators: %d from %d files", table.count, len(now))
        return True

    def __call__(self, event: Event) -> None:
        """Say of the first value that is on a list what the list says, and of all which they are."""
        first: tuple[str, str, dict[str, str]] | None = None
        atoms: list[str] = []
        for kind, names in _LOOKED_AT:
            for name in names:
                value = event.get(name)
                if value is None:
                    continue
                for each in value[:16] if isinstance(value, list) else (value,):
                    found = self._find(kind, each) if isinstance(each, str) and len(each) <= 1_024 else None
                    if found is not None and _counts(found, event):
                        first = first or (name, each, found)
                        atoms.append(each)
        if first is not None:
            _put(event, first, atoms)


_LOOKED_AT = (("ip", _ADDRESSES), ("domain", _NAMES), ("url", _URLS), ("hash", _HASHES), ("email", _SENDERS))


def _counted(path: str) -> Iterator[Entry]:
    refused = 0
    for each in read(path):
        if each is None:
            refused += 1
        else:
            yield each
    if refused:
        log.warning("indicators: %s: %d entries of kinds that are not understood are left out", path, refused)


def _counts(found: dict[str, str], event: Event) -> bool:
    until = int(found["until"])
    return not until or parse_time(event["@timestamp"]) < until


def _put(event: Event, first: tuple[str, str, dict[str, str]], atoms: list[str]) -> None:
    name, value, found = first
    kind = found["kind"]
    event["threat.indicator.type"] = (
        "ipv6-addr" if kind in ("ip", "network") and ":" in value else _TYPES.get(kind, "email-addr")
    )
    event["threat.indicator.name"] = value
    for key, field in _FIELDS.items():
        if found[key]:
            event[f"threat.indicator.{field}"] = found[key]
    category = event.get("event.category")
    if category is None or isinstance(category, list):
        event["event.category"] = [*(category or ()), "threat"]
    event["almena.indicator.field"] = name
    event["almena.indicator.matched"] = list(dict.fromkeys(atoms))


def _finder(table: _List) -> Any:
    """A lookup over a whole list, which goes with it when the list is exchanged."""

    def find(kind: str, value: str) -> dict[str, str] | None:
        for key in _keys(table, kind, value):
            found = table.get(key)
            if found is not None:
                return found
        return None

    return lru_cache(maxsize=65_536)(find)


def _keys(table: _List, kind: str, value: str) -> Iterator[str]:
    if kind == "ip":
        yield f"ip:{value}"
        shifts = table.shifts[6 if ":" in value else 4]
        if shifts:
            try:
                number = int(ipaddress.ip_address(value))
            except ValueError:
                return
            for shift in shifts:
                yield f"network:{6 if ':' in value else 4}:{shift}:{number >> shift}"
    elif kind == "domain":
        labels = value.lower().rstrip(".").split(".")
        for at in range(max(0, len(labels) - _LABELS), len(labels) - 1):
            yield "domain:" + ".".join(labels[at:])
    elif kind == "url":
        yield "url:" + url_form(value)
    else:
        yield f"{kind}:{value.lower()}"

"""Files of threat indicators, each entry as it is written there: CSV or plain lists, STIX 2.1 bundles, MISP events."""

from __future__ import annotations

import csv
import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import ciso8601
import msgspec

from almena.clock import from_datetime
from almena.errors import ConfigError

LARGEST_JSON = 256 << 20
"""Largest STIX or MISP file in bytes; they are read whole."""

_CSV_VALUE = ("value", "indicator", "ioc", "ioc_value", "dst_ip", "url", "ip", "domain", "hash", "sha256_hash")
_CSV = {
    "type": ("type", "ioc_type", "indicator_type"),
    "name": ("name", "description", "comment", "malware", "threat", "signature", "malware_printable"),
    "provider": ("provider", "source", "feed", "reporter"),
    "confidence": ("confidence", "confidence_level"),
    "reference": ("reference", "url_reference", "urlhaus_link"),
    "until": ("until", "expires", "valid_until", "expiration"),
}
_HASHES = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}
_HEX = re.compile(r"[0-9a-f]+", re.ASCII)
_DOMAIN = re.compile(
    r"(?=.{4,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]", re.ASCII
)
_STIX = re.compile(
    r"(ipv4-addr:value|ipv6-addr:value|domain-name:value|url:value|email-addr:value"
    r"|file:hashes\.'?(?:MD5|SHA-?1|SHA-?256|SHA-?512)'?) (?:=|ISSUBSET) '((?:[^'\\]|\\.){1,2048})'",
    re.ASCII,
)
_STIX_WHOLE = re.compile(r"\[?(?:§|\s|\(|\)|\[|\]|OR)+\]?", re.ASCII)
_MISP = {
    "ip-src": (0,),
    "ip-dst": (0,),
    "ip-src|port": (0,),
    "ip-dst|port": (0,),
    "domain": (0,),
    "hostname": (0,),
    "domain|ip": (0, 1),
    "url": (0,),
    "uri": (0,),
    "email-src": (0,),
    "email": (0,),
    "md5": (0,),
    "sha1": (0,),
    "sha256": (0,),
    "sha512": (0,),
    "filename|md5": (1,),
    "filename|sha1": (1,),
    "filename|sha256": (1,),
}


class Entry(NamedTuple):
    """One indicator."""

    kind: str
    """`ip`, `network`, `domain`, `url`, `email` or `hash`."""
    value: str
    """In its one written form: lower case, compressed addresses."""
    name: str = ""
    provider: str = ""
    confidence: str = ""
    reference: str = ""
    until: int = 0
    """Microseconds since 1970 from which on it counts no more; 0 for never."""


def read(path: str) -> Iterator[Entry | None]:
    """The entries of a file; None for each that is not understood. Raises ConfigError when it is no such file."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
        if head[:1] in (b"{", b"["):
            yield from _json(Path(path))
        else:
            yield from _csv(path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"enrich: indicators: {path}: cannot be read: {error}") from None


def entry(value: str, **more: Any) -> Entry | None:
    """An indicator of the kind that its value shows; None when it shows none. Defanged forms are understood."""
    value = value.strip().strip('"').replace("[.]", ".").replace("(.)", ".").replace("[:]", ":")
    if value[:4].lower() == "hxxp":
        value = "http" + value[4:]
    lower = value.lower()
    if "://" in lower[:16]:
        return Entry("url", url_form(value), **more)
    if len(lower) in _HASHES and _HEX.fullmatch(lower):
        return Entry("hash", lower, **more)
    if "@" in lower:
        return Entry("email", lower, **more) if _DOMAIN.fullmatch(lower.partition("@")[2]) else None
    address = _address(lower)
    if address is not None:
        return Entry(*address, **more)
    if _DOMAIN.fullmatch(lower.rstrip(".").removeprefix("*.")):
        return Entry("domain", lower.rstrip(".").removeprefix("*."), **more)
    return None


def url_form(url: str) -> str:
    """A URL in the form in which two are compared: scheme and host in lower case, no fragment, a path always."""
    scheme, _, rest = url.partition("://")
    rest = rest.partition("#")[0]
    end = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    return f"{scheme.lower()}://{rest[:end].lower()}{rest[end:] if rest[end : end + 1] == '/' else '/' + rest[end:]}"


def _address(value: str) -> tuple[str, str] | None:
    host, found, port = value.rpartition(":")
    if found and port.isdigit() and host.count(".") == 3 and ":" not in host:
        value = host
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        return None
    if network.prefixlen == network.max_prefixlen:
        return "ip", str(network.network_address)
    return ("network", str(network)) if network.prefixlen >= 8 else None


def _csv(path: str) -> Iterator[Entry | None]:
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        columns: dict[str, int] | None = None
        for row in csv.reader(file, skipinitialspace=True):
            if not row or (row[0].startswith("#") and columns is not None) or not "".join(row).strip():
                continue
            cells = [cell.strip() for cell in row]
            if columns is None:
                names = [cell.lower().lstrip("# ") for cell in cells]
                columns = _columns(names)
                if columns or cells[0].startswith("#"):
                    columns = columns or None
                    continue
                columns = {"value": 0}
            yield _row(cells, columns)


def _columns(names: list[str]) -> dict[str, int]:
    """Where the columns stand that a first line names; empty when it names none."""
    place = next((names.index(name) for name in _CSV_VALUE if name in names), None)
    if place is None:
        return {}
    found = {"value": place}
    for what, words in _CSV.items():
        at = next((names.index(word) for word in words if word in names), None)
        if at is not None and at != place:
            found[what] = at
    return found


def _row(cells: list[str], columns: dict[str, int]) -> Entry | None:
    def cell(name: str) -> str:
        at = columns.get(name)
        return cells[at][:512] if at is not None and at < len(cells) else ""

    return entry(
        cell("value"),
        name=cell("name"),
        provider=cell("provider"),
        confidence=cell("confidence"),
        reference=cell("reference"),
        until=_moment(cell("until")),
    )


def _moment(written: Any) -> int:
    try:
        moment = ciso8601.parse_datetime(written) if isinstance(written, str) and written else None
    except ValueError:
        return 0
    if moment is None:
        return 0
    return from_datetime(moment if moment.tzinfo else ciso8601.parse_datetime(written + "Z"))


class _Indicator(msgspec.Struct):
    type: str = ""
    pattern: str = ""
    name: str = ""
    description: str = ""
    confidence: int | None = None
    valid_until: str | None = None
    revoked: bool = False
    created_by_ref: str = ""


class _Attribute(msgspec.Struct):
    type: str = ""
    value: str = ""
    to_ids: bool = True
    comment: str | None = ""
    category: str = ""


class _Object(msgspec.Struct):
    Attribute: list[_Attribute] = []
    name: str = ""


class _Event(msgspec.Struct):
    Attribute: list[_Attribute] = []
    Object: list[_Object] = []
    info: str = ""
    uuid: str = ""


class _Wrapped(msgspec.Struct):
    Event: _Event


class _Document(msgspec.Struct):
    objects: list[_Indicator] | None = None
    Event: _Event | None = None
    response: list[_Wrapped] | None = None


def _json(path: Path) -> Iterator[Entry | None]:
    if path.stat().st_size > LARGEST_JSON:
        raise ConfigError(
            f"enrich: indicators: {path}: larger than {LARGEST_JSON >> 20} MiB; cut it into several files"
        )
    data = path.read_bytes().lstrip(b"\xef\xbb\xbf \t\r\n")
    try:
        if data[:1] == b"[":
            document = _Document(response=msgspec.json.decode(data, type=list[_Wrapped]))
        else:
            document = msgspec.json.decode(data, type=_Document)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise ConfigError(f"enrich: indicators: {path}: neither a STIX 2.1 bundle nor MISP events") from None
    if document.objects is None and document.Event is None and document.response is None:
        raise ConfigError(f"enrich: indicators: {path}: neither a STIX 2.1 bundle nor MISP events")
    for indicator in document.objects or ():
        if indicator.type == "indicator" and not indicator.revoked:
            yield from _stix(indicator)
    events = [wrapped.Event for wrapped in document.response or ()] + ([document.Event] if document.Event else [])
    for event in events:
        for attribute in [*event.Attribute, *(each for found in event.Object for each in found.Attribute)]:
            yield from _misp(attribute, event)


def _stix(indicator: _Indicator) -> Iterator[Entry | None]:
    """The values of a pattern that are alternatives; one that asks for several at once is not understood."""
    pattern = re.sub(r"\s+", " ", indicator.pattern[:65_536])
    values = _STIX.findall(pattern)
    if not values or _STIX_WHOLE.fullmatch(_STIX.sub("§", pattern)) is None:
        yield None
        return
    for _, value in values:
        yield entry(
            value.replace("\\'", "'").replace("\\\\", "\\"),
            name=(indicator.name or indicator.description)[:512],
            provider=indicator.created_by_ref[:512],
            confidence="" if indicator.confidence is None else str(indicator.confidence),
            until=_moment(indicator.valid_until),
        )


def _misp(attribute: _Attribute, event: _Event) -> Iterator[Entry | None]:
    if not attribute.to_ids:
        return
    places = _MISP.get(attribute.type)
    if places is None:
        yield None
        return
    parts = attribute.value.split("|")
    for place in places:
        yield entry(
            parts[place] if place < len(parts) else "",
            name=(attribute.comment or event.info)[:512],
            provider="MISP",
            reference=event.uuid[:512],
        )

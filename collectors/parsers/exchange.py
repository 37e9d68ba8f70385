"""Message tracking of Microsoft Exchange 2010 to 2019, with its `#Fields:` line in front of a record or without.

The logs of its proxy for HTTP, of IMAP and POP, and of SMTP are told by their header, or by their columns.

2026-11-22T19:34:00.123Z,10.0.0.25,mx1,10.0.0.30,EX1,context,EX1\\Default,SMTP,RECEIVE,1234,<a@b.example>,...
"""

from __future__ import annotations

import csv
import re
from functools import lru_cache

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import exchange_logs
from collectors.parsers.common import MAX_FIELDS, address, given, instant
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put
from collectors.parsers.network import put_count, put_end

_FIELDS = "#Fields:"
_BEGIN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z,", re.ASCII)
_FIRST = (
    "date-time client-ip client-hostname server-ip server-hostname source-context connector-id source event-id"
    " internal-message-id message-id"
)
_THEN = (
    "recipient-address recipient-status total-bytes recipient-count related-recipient-address reference"
    " message-subject sender-address return-path message-info directionality tenant-id original-client-ip"
    " original-server-ip custom-data"
)
_OLD = tuple(f"{_FIRST} {_THEN}".split())
_NEW = tuple(f"{_FIRST} network-message-id {_THEN} transport-traffic-type log-id schema-version".split())
_FAILED = frozenset(("FAIL", "BADMAIL", "POISONMESSAGE", "HAREDIRECTFAIL", "DROP", "SUBMITFAIL", "DELIVERFAIL"))
_WAITED = frozenset(("DEFER", "SUBMITDEFER", "RESUBMITDEFER", "DUPLICATEDELIVER"))
_WAYS = {"incoming": "inbound", "originating": "outbound"}
_MOST = 1_000


def read(message: str, event: Event, context: Context) -> bool:
    """Read a record, with or without its header in front, into the event; False for what is none."""
    *head, line = message.split("\n") if message.startswith("#") else (message,)
    if _BEGIN.match(line) is None:
        return False
    cells = _cells(line)
    written = next((each for each in reversed(head) if each.startswith(_FIELDS)), None)
    names = _names(written[:4_000]) if written is not None else exchange_logs.columns(cells)
    event |= {"observer.vendor": "Microsoft", "observer.product": "Exchange"}
    event["@timestamp"] = format_time(instant(cells[0], "UTC"))
    if names is not None and "event-id" not in names:
        return exchange_logs.read(dict(zip(names, cells, strict=False)), event)
    if names is None:
        names = _NEW if len(cells) >= len(_NEW) else _OLD
    if len(cells) < 10 or (written is None and len(cells) < len(_OLD) - 1):
        return False
    facts = dict(zip(names, cells, strict=False))
    event["event.category"] = ["email"]
    _hosts(facts, event)
    _mail(facts, event)
    code = facts["event-id"].upper()
    event["event.code"], event["event.action"], event["event.type"] = code, code.lower(), ["info"]
    event["event.outcome"] = "failure" if code in _FAILED else "unknown" if code in _WAITED else "success"
    return True


@lru_cache(maxsize=64)
def _names(line: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in line.removeprefix(_FIELDS).split(","))


def _cells(line: str) -> list[str]:
    if line.count(",") > MAX_FIELDS:
        raise ParseError(f"more than {MAX_FIELDS} fields")
    try:
        return next(csv.reader([line.rstrip("\r")]), [])
    except csv.Error:
        return line.split(",")


def _hosts(facts: dict[str, str], event: Event) -> None:
    get = facts.get
    original = address(get("original-client-ip"))
    put_end(event, "source", address(get("client-ip")) or given(get("client-hostname")) or original)
    if original is not None:
        event["almena.exchange.original_client"] = original
    put_end(event, "destination", address(get("server-ip")) or given(get("server-hostname")))
    for key, side, name in (("client-hostname", "source", "client"), ("server-hostname", "destination", "server")):
        host = given(get(key))
        if host is not None and address(host) is None:
            event[f"{side}.domain"] = event[f"{name}.domain"] = host
    for key, name in (("client-ip", "client"), ("server-ip", "server")):
        found = address(get(key))
        if found is not None:
            event[f"{name}.ip"] = event[f"{name}.address"] = found
    put(event, "host.name", get("server-hostname"))


def _mail(facts: dict[str, str], event: Event) -> None:
    get = facts.get
    recipients = [each for each in (get("recipient-address") or "").split(";")[:_MOST] if each]
    if recipients:
        event["email.to.address"] = recipients
    sender = get("sender-address")
    if sender and sender != "<>":
        event["email.sender.address"], event["email.from.address"] = sender, [sender]
    for key, name in (
        ("message-id", "email.message_id"),
        ("network-message-id", "email.local_id"),
        ("message-subject", "email.subject"),
        ("source", "event.provider"),
        ("recipient-status", "event.reason"),
        ("connector-id", "almena.exchange.connector"),
        ("source-context", "almena.exchange.context"),
        ("return-path", "almena.exchange.return_path"),
        ("internal-message-id", "almena.exchange.internal_id"),
    ):
        put(event, name, get(key))
    put_count(event, "network.bytes", get("total-bytes"))
    way = (get("directionality") or "").lower()
    if way:
        event["email.direction"] = _WAYS.get(way, "unknown")


FORMAT = Format(name="exchange", dataset="microsoft_exchange_server.messagetracking", read=read, words=False)

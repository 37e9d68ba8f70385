"""The audit events of vCenter's Single Sign-On: who signed in, and who changed its accounts and policies.

{"user":"ana@vsphere.local","client":"203.0.113.9","timestamp":"11/22/2026 19:34:00 UTC","description":
"User ana@vsphere.local@203.0.113.9 logged in with response code 200","eventSeverity":"INFO","type":
"com.vmware.sso.LoginSuccess"}
"""

from __future__ import annotations

import contextlib
import re
from typing import Any

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import instant, json_object
from collectors.parsers.jsonpath import text_at
from collectors.parsers.network import put_end, put_user

_TYPE = "com.vmware.sso."
_BEFORE = re.compile(r"(?:(\d{4}-\d\d-\d\dT[\d:.]{8,18}Z) )?(?=\{\")", re.ASCII)
_TIME = re.compile(r"(\d\d)/(\d\d)/(\d{4}) (\d\d:\d\d:\d\d) (?:UTC|GMT)$", re.ASCII)
_WHO = re.compile(r"User (\S{1,256})@([0-9A-Fa-f:.]{2,45}) (?:logged|failed)", re.ASCII)
_WHOM = re.compile(r"\{Name: ([^,}]{1,256}), Domain: ([^,}]{1,256})\}", re.ASCII)
_SIGNS = {
    "LoginSuccess": ("login", "start", "success"),
    "LoginFailure": ("login", "start", "failure"),
    "Logout": ("logout", "end", "success"),
}
_KINDS = (("Creat", "creation"), ("Add", "change"), ("Delet", "deletion"), ("Remov", "change"))


def fits(document: dict[str, Any]) -> bool:
    """Whether a JSON object is an audit event of the Single Sign-On."""
    kind = document.get("type")
    return isinstance(kind, str) and kind.startswith(_TYPE) and "description" in document


def read(message: str, event: Event) -> bool:
    """Read such an event, with its time before it or not, behind a syslog header; False when it is none."""
    before = _BEFORE.match(message)
    if before is None or _TYPE not in message:
        return False
    try:
        document = json_object(message[before.end() :].encode())
    except ParseError:
        return False
    if not fits(document):
        return False
    if "@timestamp" not in event:
        _time(before[1] or "", text_at(document, "timestamp") or "", event)
    _say(event, document)
    return True


def convert(document: dict[str, Any], context: Context) -> Event:
    """The event of one object; one without a time of its own has that of its line."""
    event: Event = {}
    _time("", text_at(document, "timestamp") or "", event)
    _say(event, document)
    return event


def _time(before: str, written: str, event: Event) -> None:
    """The time before the object, which is finer, or the one inside."""
    inside = _TIME.match(written) if not before else None
    if inside is not None:
        month, day, year, clock = inside.groups()
        before = f"{year}-{month}-{day}T{clock}Z"
    if before:
        with contextlib.suppress(ParseError):
            event["@timestamp"] = format_time(instant(before, "UTC"))


def _say(event: Event, document: dict[str, Any]) -> None:
    kind = (text_at(document, "type") or "").removeprefix(_TYPE)
    said = (text_at(document, "description") or "")[:8_192]
    event |= {"event.dataset": "vmware.sso", "event.code": _TYPE + kind, "message": said, "observer.vendor": "VMware"}
    level = text_at(document, "eventSeverity")
    if level is not None:
        event["log.level"] = level.lower()
    who, whom = _WHO.search(said), _WHOM.search(said)
    user = text_at(document, "user")
    put_user(event, who[1] if user in (None, "", "n/a", "N/A") and who is not None else user)
    put_end(event, "source", text_at(document, "client") or (who[2] if who is not None else None))
    if kind in _SIGNS:
        action, type_, outcome = _SIGNS[kind]
        event |= {"event.category": ["authentication"], "event.type": [type_], "event.action": action}
        event["event.outcome"] = outcome
        return
    change = next((name for begin, name in _KINDS if said.startswith(begin)), "change")
    event |= {"event.category": ["iam"], "event.type": [change], "event.action": kind}
    if whom is not None:
        event["user.target.name"], event["user.target.domain"] = whom[1], whom[2]

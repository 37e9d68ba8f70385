"""What AD FS writes to the Security channel: who asked for a token or signed in or out, from where, and the result.

Its events have a number and, as their second datum, XML of its own, whose names alone matter here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from almena.event import Event
from collectors.parsers.common import address
from collectors.parsers.windows_table import NOTHING

PROVIDER = "AD FS Auditing"
_ELEMENT = re.compile(
    r"<(AuditResult|FailureType|ErrorCode|UserId|IpAddress|ForwardedIpAddress|UserAgentString|Endpoint|RelyingParty)>"
    r"([^<]{1,1024})<"
)
_MAX = 16_384
_ACTIONS = {
    "1200": ("token-issued", ["authentication"], ["info"]),
    "1201": ("token-issue-failed", ["authentication"], ["info"]),
    "1202": ("sign-in", ["authentication"], ["start"]),
    "1203": ("sign-in", ["authentication"], ["start"]),
    "1204": ("change-password", ["iam"], ["user", "change"]),
    "1205": ("change-password", ["iam"], ["user", "change"]),
    "1206": ("sign-out", ["authentication"], ["end"]),
    "1207": ("sign-out", ["authentication"], ["end"]),
}
_COPIES = {"UserId": "user.name", "UserAgentString": "user_agent.original", "ErrorCode": "error.code"}


def audited(event: Event, code: str, data: Mapping[str, str]) -> None:
    """Add what an event of AD FS says; nothing for its other numbers."""
    action = _ACTIONS.get(code)
    if action is None:
        return
    event["event.action"], event["event.category"], event["event.type"] = action[0], [*action[1]], [*action[2]]
    found: dict[str, str] = {}
    for name, written in _ELEMENT.findall(data.get("param2", "")[:_MAX]):
        value = written.strip()
        if value not in NOTHING:
            found.setdefault(name, value)
    for name, field in _COPIES.items():
        if name in found:
            event[field] = found[name]
    if "AuditResult" in found:
        event["event.outcome"] = "success" if found["AuditResult"] == "Success" else "failure"
    if found.get("FailureType", "None") != "None":
        event["event.reason"] = found["FailureType"]
    if found.get("Endpoint", "")[:1] == "/":
        event["url.path"] = event["url.original"] = found["Endpoint"]
    if (client := _client(found)) is not None:
        event["source.ip"] = client


def _client(found: Mapping[str, str]) -> str | None:
    """Who asked: behind a proxy the first of those it asked for, unless the other address is one of them."""
    own = address(found.get("IpAddress"))
    forwarded = [address(each.strip()) for each in found.get("ForwardedIpAddress", "").split(",")]
    return own if forwarded[0] is None or own in forwarded else forwarded[0]

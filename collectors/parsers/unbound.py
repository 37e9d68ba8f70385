"""Unbound's queries and replies, local zones, response policies and failures.

[1795376040] unbound[811:0] info: 10.0.0.5 www.example.org. A IN
<30>Nov 22 13:34:00 ns1 unbound[811:0]: info: 10.0.0.5 www.example.org. A IN NOERROR 0.012345 0 50
"""

from __future__ import annotations

import re

from almena.clock import format_time
from almena.event import Event
from collectors.base import Context
from collectors.parsers.bind import put_question
from collectors.parsers.common import address, epoch, instant
from collectors.parsers.format import Format
from collectors.parsers.network import put_end, put_transport

_HEAD = re.compile(
    r"(?:\[(\d{9,13})\] |\[?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:?\d\d)?)\]? )?"
    r"(?:unbound\[(\d{1,9}):[0-9a-f]{1,4}\]:? )?(?:\[\d{1,9}:[0-9a-f]{1,4}\] )?"
    r"(?:(info|notice|warning|error|debug|fatal error|query|reply): )?",
    re.ASCII,
)
_QUERY = re.compile(
    r"([0-9A-Fa-f.:]{2,45})(?:@(\d{1,5}))? (\S{1,1024}) ([A-Z][A-Z0-9]{0,15}) ([A-Z]{2,8})"
    r"(?: ([A-Z]{4,16}\d{0,5}) (\d{1,6}\.\d{1,9}) ([01]) (\d{1,9})"
    r"(?: (udp|tcp|dot|doh|ssl|https))?(?: ([0-9A-Fa-f.:]{2,45}))?)?"
    r"(?:\s|$)",
    re.ASCII,
)
_LOCAL = re.compile(
    r"(\S{1,1024}) (always_\w{1,24}|deny|refuse|static|transparent|redirect|nodefault|typetransparent|inform\w{0,16}"
    r"|noview|block_a{1,4}|ipset) ([0-9A-Fa-f.:]{2,45})@(\d{1,5}) (\S{1,1024}) ([A-Z][A-Z0-9]{0,15}) ([A-Z]{2,8})",
    re.ASCII,
)
_POLICY = re.compile(
    r"rpz: applied (?:\[([^\]]{1,128})\] )?(\S{1,1024}) (rpz-\S{1,32}) ([0-9A-Fa-f.:]{2,45})@(\d{1,5}) (\S{1,1024})"
    r" ([A-Z][A-Z0-9]{0,15}) ([A-Z]{2,8})",
    re.ASCII,
)
_SERVFAIL = re.compile(r"SERVFAIL <(\S{1,1024}) ([A-Z][A-Z0-9]{0,15}) ([A-Z]{2,8})>: (.{1,512})", re.ASCII)
_VALIDATION = re.compile(r"validation failure <(\S{1,1024}) ([A-Z][A-Z0-9]{0,15}) ([A-Z]{2,8})>: (.{1,512})", re.ASCII)
_LIMIT = re.compile(r"ip_ratelimit exceeded ([0-9A-Fa-f.:]{2,45})", re.ASCII)
_PASSED = ("transparent", "typetransparent", "nodefault", "inform", "always_transparent", "noview")


def read(message: str, event: Event, context: Context) -> bool:
    """Read a line of Unbound into the event; False when it tells of no query."""
    text = message[:8_192]
    head = _HEAD.match(text)
    assert head is not None  # every part of it may be missing
    seconds, written, pid, level = head.groups()
    body = text[head.end() :]
    if head.end() == 0 and event.get("process.name") != "unbound":
        return False
    if not _body(body, event):
        return False
    if seconds is not None:
        event["@timestamp"] = format_time(epoch(int(seconds)))
    elif written is not None:
        event["@timestamp"] = format_time(instant(written, context.zone))
    if pid is not None:
        event["process.name"], event["process.pid"] = "unbound", int(pid)
    if level is not None and level not in ("query", "reply"):
        event["log.level"] = level
    event["event.category"] = event.get("event.category", ["network"])
    event["network.protocol"] = "dns"
    event["message"] = message
    return True


def _say(event: Event, action: str, outcome: str | None, types: list[str]) -> bool:
    event["event.action"], event["event.type"] = action, types
    if outcome is not None:
        event["event.outcome"] = outcome
    return True


def _body(text: str, event: Event) -> bool:
    query = _QUERY.match(text)
    if query is not None and address(query[1]) is not None:
        return _query(query, event)
    policy = _POLICY.match(text)
    if policy is not None:
        event["rule.ruleset"] = policy[1] or policy[2]
        event["rule.name"], event["event.reason"] = policy[2].rstrip("."), policy[3]
        event["event.kind"], event["event.category"] = "alert", ["network", "intrusion_detection"]
        put_end(event, "source", policy[4], policy[5])
        put_question(event, policy[6], policy[7], policy[8])
        passed = policy[3] in ("rpz-passthru", "rpz-disabled")
        return _say(event, "rpz-rewrite", "success", ["protocol", "allowed" if passed else "denied"])
    local = _LOCAL.match(text)
    if local is not None:
        event["rule.name"], event["event.reason"] = local[1].rstrip(".") or ".", local[2]
        put_end(event, "source", local[3], local[4])
        put_question(event, local[5], local[6], local[7])
        passed = local[2] in _PASSED
        return _say(event, "local-zone", "success", ["protocol", "allowed" if passed else "denied"])
    failed = _SERVFAIL.match(text) or _VALIDATION.match(text)
    if failed is not None:
        put_question(event, failed[1], failed[2], failed[3])
        event["event.reason"] = failed[4]
        if failed.re is _SERVFAIL:
            event["dns.response_code"] = "SERVFAIL"
        return _say(event, "query-failed", "failure", ["protocol", "error"])
    limit = _LIMIT.match(text)
    if limit is not None:
        put_end(event, "source", limit[1])
        return _say(event, "rate-limit", None, ["protocol", "denied"])
    return False


def _query(found: re.Match[str], event: Event) -> bool:
    where, port, name, kind, of, code, seconds, cached, _, transport, server = found.groups()
    put_end(event, "source", where, port)
    put_question(event, name, kind, of)
    if code is None:
        event["dns.type"] = "query"
        return _say(event, "query", None, ["protocol", "connection"])
    event["dns.type"], event["dns.response_code"] = "answer", code
    event["event.duration"] = round(float(seconds) * 1e9)
    event["almena.dns.cached"] = cached == "1"
    if transport is not None:
        put_transport(event, "udp" if transport == "udp" else "tcp")
    if server is not None:
        put_end(event, "destination", server)
    return _say(event, "response", "success" if code == "NOERROR" else "failure", ["protocol", "connection"])


FORMAT = Format(name="unbound", dataset="unbound.log", read=read, words=False, programs=("unbound",))

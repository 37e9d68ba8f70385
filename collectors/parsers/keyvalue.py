"""Lines of `key=value` pairs of programs that nobody knows here (logfmt, firewalls, portals), by what keys are named.

time=2026-11-22T13:34:00-06:00 level=warn msg="login failed" user=ana src=203.0.113.9 dst_port=443 action=login

Keys are compared without case, `_`, `-` and `.`: `src_ip`, `SrcIP` and `source.ip` are one. What no field has is in
`event.original`. A line counts when it is pairs from its beginning to its end, three at least.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import pairs
from collectors.parsers.common import epoch, instant, number
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put
from collectors.parsers.network import (
    PROTOCOLS,
    put_count,
    put_end,
    put_nat,
    put_total,
    put_transport,
    put_url,
    put_user,
)

_FEWEST = 3
_LONGEST = 8_192
_BEGIN = re.compile(r"\s*(?:[\[{]\s*)?[A-Za-z_@][A-Za-z0-9_.:@-]{0,63}=", re.ASCII)
_BETWEEN = re.compile(
    r'[A-Za-z_@][A-Za-z0-9_.:@-]{0,127}=(?:"(?:[^"\\]++|\\.)*+"|[^\s"]*+)|[\s,;|\]\[{}]++', re.ASCII | re.DOTALL
)
_FOLDED = str.maketrans("", "", "_-.@")
_EPOCH = re.compile(r"(\d{9,19})(\.\d{1,9})?", re.ASCII)

_ENDS = (
    (
        "source",
        ("src", "srcip", "sourceip", "source", "srcaddr", "sourceaddress", "saddr", "sip", "clientip", "client",
         "remoteaddr", "remoteip", "rip", "fromip", "cip", "peer", "ip", "ipaddress"),
        ("srcport", "sport", "spt", "sourceport", "clientport", "remoteport", "rport"),
    ),
    (
        "destination",
        ("dst", "dstip", "destip", "destinationip", "destination", "dest", "dstaddr", "destaddr", "destinationaddress",
         "daddr", "dip", "serverip", "toip", "targetip"),
        ("dstport", "dport", "dpt", "destport", "destinationport", "serverport", "port"),
    ),
)  # fmt: skip
_TIMES = ("timestamp", "time", "ts", "eventtime", "datetime", "logtime", "date")
_USERS = ("user", "username", "usr", "usrname", "suser", "login", "account", "accountname", "uname", "uid")
_ACTIONS = ("action", "act", "eventaction", "op", "operation", "event", "eventname", "eventtype")
_OUTCOMES = ("outcome", "result", "res", "status", "disposition", "success")
_TEXTS = {
    "message": ("message", "msg"),
    "log.level": ("level", "lvl", "loglevel", "severity"),
    "error.message": ("error", "err"),
    "event.reason": ("reason",),
    "event.code": ("eventid", "logid", "msgid", "code"),
    "http.request.method": ("method", "httpmethod", "requestmethod"),
    "http.request.referrer": ("referer", "referrer"),
    "user_agent.original": ("useragent", "ua", "agent", "httpuseragent"),
    "dns.question.name": ("qname", "query", "dnsquery"),
    "rule.name": ("rule", "rulename", "policy", "policyname"),
    "rule.id": ("ruleid", "policyid"),
    "network.application": ("app", "application", "service"),
    "observer.ingress.interface.name": ("inif", "srcintf", "ininterface"),
    "observer.egress.interface.name": ("outif", "dstintf", "outinterface"),
    "file.path": ("file", "filename", "path"),
}
_URLS = ("url", "uri", "requesturi", "requesturl")
_HTTP = ("status", "statuscode", "httpstatus", "responsecode")
_PROTOCOL = ("proto", "protocol", "transport")
_TRANSPORTS = frozenset(PROTOCOLS.values())
_SENT = ("sentbyte", "bytessent", "bytesout", "sent", "out")
_RECEIVED = ("rcvdbyte", "bytesreceived", "bytesin", "rcvd", "received", "recv")
_WELL = frozenset("success succeeded successful ok true yes accept accepted allow allowed pass passed granted".split())  # noqa: SIM905
_BADLY = frozenset(
    "failure failed fail false no error denied deny reject rejected block blocked drop dropped invalid".split()  # noqa: SIM905
)
_DENIED = _BADLY - {"false", "no", "error", "failure", "failed", "fail", "invalid"}


def read(message: str, event: Event, context: Context) -> bool:
    """Read a line into the event; False when it is no line of pairs throughout."""
    if _BEGIN.match(message) is None or _BETWEEN.sub("", message[: 4 * _LONGEST]).strip():
        return False
    found = pairs.scan(message)
    if len(found) < _FEWEST:
        return False
    facts: dict[str, str] = {}
    for key, value in found.items():
        value = value.rstrip(",;")
        if 0 < len(value) <= _LONGEST:
            facts.setdefault(key.lower().translate(_FOLDED), value)
    _time(facts, event, context)
    for side, addresses, ports in _ENDS:
        put_end(event, side, _first(facts, addresses), _first(facts, ports))
    for side, key in (("source", "srcnatip"), ("destination", "dstnatip")):
        put_nat(event, side, facts.get(key))
    put_user(event, _first(facts, _USERS))
    if "host.name" not in event:
        put(event, "host.name", _first(facts, ("host", "hostname", "devname", "computer")))
    for name, keys in _TEXTS.items():
        put(event, name, _first(facts, keys))
    put_url(event, _first(facts, _URLS))
    _numbers(facts, event)
    _judged(facts, event)
    return True


def _first(facts: dict[str, str], keys: Iterable[str]) -> str | None:
    for key in keys:
        if key in facts:
            return facts[key]
    return None


def _time(facts: dict[str, str], event: Event, context: Context) -> None:
    written = [facts[key] for key in _TIMES if key in facts]
    if "date" in facts and "time" in facts:
        written.insert(0, f"{facts['date']}T{facts['time']}{facts.get('tz', '')}")
    for text in written:
        number_of = _EPOCH.fullmatch(text)
        try:
            moment = epoch(float(text) if number_of and number_of[2] else int(text)) if number_of else None
            event["@timestamp"] = format_time(instant(text[:64], context.zone) if moment is None else moment)
        except (ParseError, OverflowError):
            continue
        return


def _numbers(facts: dict[str, str], event: Event) -> None:
    protocol = (_first(facts, _PROTOCOL) or "").lower()
    if protocol in _TRANSPORTS or protocol.isdigit():
        put_transport(event, protocol)
    elif protocol:
        event["network.protocol"] = protocol
    put_count(event, "source.bytes", _first(facts, _SENT))
    put_count(event, "destination.bytes", _first(facts, _RECEIVED))
    put_total(event, "bytes")
    status = number(_first(facts, _HTTP))
    if status is not None and 100 <= status <= 599:
        event["http.response.status_code"] = status
    pid = number(facts.get("pid"))
    if pid is not None and 0 < pid < 1 << 31:
        event["process.pid"] = pid


def _judged(facts: dict[str, str], event: Event) -> None:
    action = _first(facts, _ACTIONS)
    if action is not None:
        event["event.action"] = action.lower()
    for word in (*(facts[key].lower() for key in _OUTCOMES if key in facts), (action or "").lower()):
        if word in _WELL or word in _BADLY:
            event["event.outcome"] = "success" if word in _WELL else "failure"
            break
    else:
        status = event.get("http.response.status_code")
        if status is not None:
            event["event.outcome"] = "failure" if status >= 400 else "success"
    if "source.ip" in event and "destination.ip" in event:
        event["event.category"] = ["network"]
        denied = (action or "").lower() in _DENIED
        event["event.type"] = ["connection", "denied"] if denied else ["connection"]
    elif any(word in (action or "").lower() for word in ("login", "logon", "logout", "authenticat")):
        event["event.category"] = ["authentication"]
        event["event.type"] = ["end" if "logout" in event["event.action"] else "start"]
    elif "http.request.method" in event:
        event["event.category"], event["event.type"] = ["web"], ["access"]


FORMAT = Format(name="keyvalue", dataset="keyvalue.log", read=read, words=False)

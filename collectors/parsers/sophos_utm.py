"""Sophos UTM (Astaro): packets, sites, mail, intrusions and sign-ins, as pairs that begin with the message's number.

2026:11:22-13:34:00 utm1 ulogd[4711]: id="2001" severity="info" sys="SecureNet" sub="packetfilter" name="Packet dropped"
    action="drop" fwrule="60001" initf="eth0" srcip="203.0.113.9" dstip="10.0.0.5" proto="6" srcport="41000" dstport=...

The device's other programs write sentences; its dates, which nobody else writes so, tell that they are its own.
"""

from __future__ import annotations

import re

from almena.event import Event
from collectors.base import Context
from collectors.parsers import dhcp, pairs
from collectors.parsers.common import given, number
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put
from collectors.parsers.network import put_end, put_port, put_transport, put_url, put_user

_BEGIN = re.compile(r'(?:[A-Z] \S{1,128} => )?id=(?:"\d{4}" |\w{1,16} severity=)', re.ASCII)
_STARTED = re.compile(r"(Listening|Sending) +on +(?:LPF|Socket|BPF|DLPI|raw)/(\S{1,64}?)/", re.ASCII)
_BOUND = re.compile(
    r"(?:no longer )?listening on (?:IPv[46] interface (\S{1,64}), )?([0-9A-Fa-f.:]{2,45})#(\d{1,5})$", re.ASCII
)
_SEVERITIES = {"emerg": 0, "alert": 1, "crit": 2, "err": 3, "warn": 4, "notice": 5, "info": 6, "debug": 7}
_TEXTS = {
    "name": "message",
    "message": "message",
    "sub": "event.provider",
    "reason": "event.reason",
    "fwrule": "rule.id",
    "class": "rule.category",
    "categoryname": "rule.category",
    "initf": "observer.ingress.interface.name",
    "outitf": "observer.egress.interface.name",
    "method": "http.request.method",
    "referer": "http.request.referrer",
    "ua": "user_agent.original",
    "content-type": "http.response.mime_type",
    "application": "network.application",
    "filename": "file.name",
    "subject": "email.subject",
    "virus": "threat.indicator.name",
    "caller": "service.name",
    "engine": "almena.sophos_utm.engine",
}
_REFUSED = frozenset(("drop", "block", "reject", "deny", "denied"))
_LET = frozenset(("accept", "pass", "allow", "allowed"))
_MAIL = ("smtp", "pop3")


def read(message: str, event: Event, context: Context) -> bool:
    """Read a message into the event; False for what is none of Sophos UTM's."""
    if _BEGIN.match(message) is None:
        return event.get("observer.product") == "UTM" and _said(message, event, context)
    facts = {key: value.strip() for key, value in pairs.scan(message).items()}
    if "sys" not in facts and "sub" not in facts and "srcip" not in facts:
        return False
    event |= {"observer.vendor": "Sophos", "observer.product": "UTM", "observer.type": "firewall"}
    event["event.code"] = facts["id"]
    for key, name in _TEXTS.items():
        if value := facts.get(key):
            put(event, name, value)
    severity = _SEVERITIES.get(facts.get("severity", "").lower())
    if severity is not None:
        event["event.severity"], event["log.level"] = severity, facts["severity"].lower()
    _ends(facts, event)
    _web(facts, event)
    _judged(facts, event)
    return True


def _said(message: str, event: Event, context: Context) -> bool:
    """A sentence of one of the device's daemons; always True."""
    event["observer.type"] = "firewall"
    started, bound = _STARTED.match(message), _BOUND.match(message)
    if event.get("process.name") == "dhcpd" and dhcp.read(message, event, context):
        event["event.action"] = event["event.action"].lower()
        for part in ("address", "ip", "mac"):
            if f"source.{part}" in event:
                event[f"client.{part}"] = event[f"source.{part}"]
        return True
    event["message"] = message
    event["event.category"], event["event.type"] = ["network"], ["info"]
    if started is not None:
        event["event.action"] = f"dhcpd-{started[1].lower()}"
        event["observer.ingress.interface.name"] = started[2]
    elif bound is not None:
        event["event.action"] = "named-listening"
        put(event, "observer.ingress.interface.name", bound[1])
        put_end(event, "server", bound[2], bound[3])
    return True


def _daemon(message: str, event: Event, context: Context) -> bool:
    """Read what the device's name server and DHCP server say, which other formats know of other hosts."""
    return event.get("observer.product") == "UTM" and _said(message, event, context)


def _ends(facts: dict[str, str], event: Event) -> None:
    get = facts.get
    put_end(event, "source", get("srcip"), get("srcport"))
    put_end(event, "destination", get("dstip") or get("localip"), get("dstport"))
    for key, name in (("srcmac", "source.mac"), ("dstmac", "destination.mac")):
        parts = get(key, "").split(":")
        if len(parts) == 6:
            event[name] = "-".join(part.zfill(2) for part in parts).upper()
    put_transport(event, get("proto"))
    put_user(event, get("user"))
    if get("ad_domain") and "user.name" in event:
        event["user.domain"] = facts["ad_domain"]
    if "user.name" in event:
        put(event, "user.group.name", get("group"))
    for key, name in (("from", "email.from.address"), ("to", "email.to.address")):
        if "@" in get(key, ""):
            event[name] = [facts[key]]


def _web(facts: dict[str, str], event: Event) -> None:
    put_url(event, facts.get("url"))
    server = given(facts.get("server"))
    if server is not None:  # the published sites' own log, whose host is the client
        event["url.domain"] = server
        put_port(event, "url.port", facts.get("port"))
        put(event, "url.query", facts.get("query", "").removeprefix("?"))
    host = facts.get("host")
    if host and "url.original" in event and "url.domain" not in event:
        event["url.domain"] = host
    status, size = number(facts.get("statuscode")), number(facts.get("size"))
    if status is not None and 100 <= status <= 599:
        event["http.response.status_code"] = status
    if size is not None and size >= 0 and facts.get("sub") not in _MAIL:
        event["http.response.body.bytes"] = size
    taken = number(facts.get("fullreqtime") or facts.get("time"))
    if taken is not None and 0 <= taken < 10**12:
        event["event.duration"] = taken * 1_000


def _judged(facts: dict[str, str], event: Event) -> None:
    sub, name, action = facts.get("sub", ""), facts.get("name", ""), facts.get("action", "")
    reason = given(facts.get("reason")) if sub == "http" else None
    put(event, "event.action", f"{action}-{reason}" if action and reason else action or name)
    refused = action.lower() in _REFUSED or "blocked" in name
    if sub == "confd":
        event["event.category"], event["event.type"] = ["configuration"], ["change"]
        return
    if "localip" in facts and not action:  # what the web application firewall refused has a reason
        action = "allowed" if given(facts.get("reason")) is None else "denied"
        event["event.action"] = action
        refused = action == "denied"
    if sub == "auth":
        event["event.category"], event["event.type"] = ["authentication"], ["start"]
        event["event.outcome"] = "failure" if "fail" in name.lower() or "not" in name.lower() else "success"
        return
    categories = (
        ["network", "web"]
        if sub in ("http", "reverseproxy") or "localip" in facts
        else ["email"]
        if sub in _MAIL
        else ["network"]
    )
    allowed = ["allowed"] if action.lower() in _LET else []
    event["event.type"] = ["access" if "web" in categories else "info", *(["denied"] if refused else allowed)]
    if "web" in categories:
        event["network.protocol"] = "http"
    if sub == "ips" or "virus" in facts or "attack" in name.lower() or "flood" in name.lower():
        event["event.kind"] = "alert"
        categories = ["malware" if "virus" in facts else "intrusion_detection", "network"]
        put(event, "rule.name", facts.get("reason"))
        put(event, "rule.id", facts.get("sid"))
    event["event.category"] = categories
    if action or refused:
        event["event.outcome"] = "failure" if refused and "web" in categories else "success"


FORMAT = Format(
    name="sophos_utm",
    dataset="sophos.utm",
    read=read,
    words=False,
    begins=("id=", "I main::", "D main::", "I Role::", "D Role::", "I sys::", "D sys::", "W main::"),
)

DAEMONS = Format(
    name="sophos_utm", dataset="sophos.utm", read=_daemon, words=False, programs=("dhcpd", "named"), within=True
)
"""Asked before the formats of those two programs."""

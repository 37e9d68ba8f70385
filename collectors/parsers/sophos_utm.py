"""Sophos UTM (Astaro): packets, sites, mail, intrusions and sign-ins, as pairs that begin with the message's number.

2026:11:22-13:34:00 utm1 ulogd[4711]: id="2001" severity="info" sys="SecureNet" sub="packetfilter" name="Packet dropped"
    action="drop" fwrule="60001" initf="eth0" srcip="203.0.113.9" dstip="10.0.0.5" proto="6" srcport="41000" dstport=...
"""

from __future__ import annotations

import re

from almena.event import Event
from collectors.base import Context
from collectors.parsers import pairs
from collectors.parsers.common import number
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put
from collectors.parsers.network import put_end, put_transport, put_url, put_user

_BEGIN = re.compile(r'id="\d{4}" ', re.ASCII)
_SEVERITIES = {"emerg": 0, "alert": 1, "crit": 2, "err": 3, "warn": 4, "notice": 5, "info": 6, "debug": 7}
_TEXTS = {
    "name": "message",
    "message": "message",
    "sub": "event.provider",
    "reason": "event.reason",
    "fwrule": "rule.id",
    "sid": "rule.id",
    "class": "rule.category",
    "categoryname": "rule.category",
    "initf": "observer.ingress.interface.name",
    "outitf": "observer.egress.interface.name",
    "method": "http.request.method",
    "referer": "http.request.referrer",
    "ua": "user_agent.original",
    "application": "network.application",
    "filename": "file.name",
    "subject": "email.subject",
    "virus": "threat.indicator.name",
    "caller": "service.name",
    "engine": "almena.sophos_utm.engine",
}
_REFUSED = frozenset(("drop", "block", "reject", "deny"))
_MAIL = ("smtp", "pop3")


def read(message: str, event: Event, context: Context) -> bool:
    """Read a message into the event; False for what does not begin with a number of Sophos UTM."""
    if _BEGIN.match(message) is None:
        return False
    facts = {key: value.strip() for key, value in pairs.scan(message).items()}
    if "sys" not in facts and "sub" not in facts:
        return False
    event |= {"observer.vendor": "Sophos", "observer.product": "UTM", "observer.type": "firewall"}
    event["event.code"] = facts["id"]
    for key, name in _TEXTS.items():
        put(event, name, facts.get(key))
    severity = _SEVERITIES.get(facts.get("severity", "").lower())
    if severity is not None:
        event["event.severity"], event["log.level"] = severity, facts["severity"].lower()
    _ends(facts, event)
    _web(facts, event)
    _judged(facts, event)
    return True


def _ends(facts: dict[str, str], event: Event) -> None:
    get = facts.get
    put_end(event, "source", get("srcip"), get("srcport"))
    put_end(event, "destination", get("dstip"), get("dstport"))
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
    host = facts.get("host")
    if host and "url.original" in event and "url.domain" not in event:
        event["url.domain"] = host
    status, size = number(facts.get("statuscode")), number(facts.get("size"))
    if status is not None and 100 <= status <= 599:
        event["http.response.status_code"] = status
    if size is not None and size >= 0 and facts.get("sub") not in _MAIL:
        event["http.response.body.bytes"] = size
    taken = number(facts.get("fullreqtime"))
    if taken is not None and 0 <= taken < 10**12:
        event["event.duration"] = taken * 1_000


def _judged(facts: dict[str, str], event: Event) -> None:
    sub, name, action = facts.get("sub", ""), facts.get("name", ""), facts.get("action", "")
    put(event, "event.action", action or name)
    refused = action.lower() in _REFUSED or "blocked" in name
    if sub == "auth":
        event["event.category"], event["event.type"] = ["authentication"], ["start"]
        event["event.outcome"] = "failure" if "fail" in name.lower() or "not" in name.lower() else "success"
        return
    categories = ["network", "web"] if sub in ("http", "reverseproxy") else ["email"] if sub in _MAIL else ["network"]
    event["event.type"] = ["access" if "web" in categories else "info", *(["denied"] if refused else [])]
    if sub == "ips" or "virus" in facts or "attack" in name.lower() or "flood" in name.lower():
        event["event.kind"] = "alert"
        categories = ["malware" if "virus" in facts else "intrusion_detection", "network"]
        put(event, "rule.name", facts.get("reason"))
    event["event.category"] = categories
    if action or refused:
        event["event.outcome"] = "failure" if refused and "web" in categories else "success"


FORMAT = Format(
    name="sophos_utm",
    dataset="sophos.utm",
    read=read,
    words=False,
    begins=('id="',),
)

"""WatchGuard's Firebox: traffic that its policies and proxies let through or refused, attacks, sign-ins and events.

<142>May 20 15:19:05 fb1 D0000000000AB (2026-11-22T19:34:00) firewall: msg_id="3000-0148" Allow 1-Trusted 0-External
    52 tcp 20 127 10.0.1.2 203.0.113.7 62443 443 offset 8 S 832026162 win 8192 (HTTPS-00)
"""

from __future__ import annotations

import re

from almena.event import Event
from collectors.base import Context
from collectors.parsers import dhcp, pairs
from collectors.parsers.common import address, number
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put
from collectors.parsers.network import put_count, put_end, put_total, put_transport, put_url, put_user

_ID = re.compile(r'msg_id="([0-9A-F]{4}-[0-9A-F]{4})" ', re.ASCII)
_TRAFFIC = re.compile(
    r"(Allow|Deny|Drop|Block|Strip|Proxy[A-Z][a-z]+) (\S{1,64}(?: \S{1,64}){0,2}?) (\S{1,64}(?: \S{1,64}){0,2}?)"
    r"(?: \d{1,6})? ([a-z][a-z0-9/-]{0,31})(?: \d{1,4} \d{1,4})? ([0-9A-Fa-f.:]{2,45}) ([0-9A-Fa-f.:]{2,45})"
    r"(?: (\d{1,5}) (\d{1,5}))?(?= |$)",
    re.ASCII,
)
_POLICY = re.compile(r" ?\(([^()]{1,128})\)\s*$", re.ASCII)
_AGAINST = re.compile(
    r"(.{1,64}?) (?:attack )?against ([0-9A-Fa-f.:]{2,45}) from ([0-9A-Fa-f.:]{2,45}) detected", re.ASCII
)
_FROM_TO = re.compile(
    r"(.{1,64}): Traffic detected from ([0-9A-Fa-f.:]{2,45}) to ([0-9A-Fa-f.:]{2,45}?)(?: on port (\d{1,5}))?\.(?= |$)",
    re.ASCII,
)
_FROM = re.compile(r"(.{1,64}?) from (?:client )?([0-9A-Fa-f.:]{2,45}) detected", re.ASCII)
_NAMED = re.compile(r"(Source|Destination) (IP|Port)(?: Address)?: ([0-9A-Fa-f.:]{1,45})(?= |'|$)", re.ASCII)
_USER = re.compile(r"(?:\b[Uu]ser |\bclient (?=\[)|not found for )\[?'?([^\s\[\]',]{1,128})'?\]?", re.ASCII)
_ADDRESS = re.compile(r"\b(?:from|at) \[?((?:\d{1,3}\.){3}\d{1,3}|[0-9a-f]{0,4}:[0-9a-f:]{2,40})", re.ASCII)
_BETWEEN = re.compile(
    r"\b(?:negotiation|exchange) from ([0-9A-Fa-f.:]{2,45}?):(\d{1,5}) to ([0-9A-Fa-f.:]{2,45}?):(\d{1,5})(?= |$)",
    re.ASCII,
)
_GATEWAYS = re.compile(r"localgw:([\d.]{7,15}):(\d{1,5}) remotegw:([\d.]{7,15}):(\d{1,5})", re.ASCII)
_PLACE = re.compile(
    r"\b(?:[Ff]rom|at|host|IP|[Ss]erver|site|address|peer|ip=|entry) ?:? ?(?:the peer )?\[?"
    r"(\d{1,3}(?:\.\d{1,3}){3})(?::(\d{1,5})|/\d{1,2})?(?: port (\d{1,5}))?(?=[\s,.;)\]]|$)",
    re.ASCII,
)
_SERVER = re.compile(r"DDOS against server ([0-9A-Fa-f.:]{2,45}) detected", re.ASCII)
_CHANGED = re.compile(
    r"(?:Management user (\S{1,128}) from \S{2,64}|(\S{1,128})) (modified|added|removed|deleted|updated|imported) ",
    re.ASCII,
)
_TUNNEL = re.compile(r"'[^']{1,128}' \S{1,32} IPSec tunnel is (\w{1,32})\.", re.ASCII)
_BLOCKED = re.compile(r"Temporarily blocking host ([0-9A-Fa-f.:]{2,45})", re.ASCII)
_ADDED = {
    "proxy_act": "rule.ruleset",
    "rule_name": "rule.name",
    "signature_name": "rule.description",
    "signature_id": "rule.id",
    "signature_cat": "rule.category",
    "app_name": "network.application",
    "md5": "file.hash.md5",
    "virus": "threat.indicator.name",
    "question": "dns.question.name",
    "query_type": "dns.question.type",
    "record_type": "dns.question.type",
    "query_class": "dns.question.class",
    "sni": "tls.client.server_name",
    "cert_issuer": "tls.server.issuer",
    "cert_subject": "tls.server.x509.subject.distinguished_name",
    "file": "file.name",
    "filename": "file.name",
    "sender": "email.sender.address",
    "recipients": "email.to.address",
    "reason": "event.reason",
    "error": "error.message",
}
_FAILED = ("reject", "failed", "error", "denied", "invalid", "timed out", "locked out")
_WRONG = re.compile(
    r"fail|cannot|could not|unable|expired|not respond|reject|time(?:d )?out|crash|invalid|not found|no response"
    r"|dropped|error|unavailable|not valid|not received|not applied|not updated|locked out|disqualified|offline"
    r"|dead|refused|is down|did not|not available|without|revoked|spoofing",
    re.ASCII | re.IGNORECASE,
)
_LEFT = ("logged out", "log out", "logged off", "disconnect")
_ENTERED = ("logged in", "log in", "accepted", "succeeded", "authenticated")


def read(message: str, event: Event, context: Context) -> bool:
    """Read a message into the event; False for what has no number of WatchGuard's."""
    found = _ID.match(message)
    if found is None:
        return False
    event |= {
        "event.code": found[1],
        "observer.vendor": "WatchGuard",
        "observer.product": "Firebox",
        "observer.type": "firewall",
    }
    body = message[found.end() :]
    event["message"] = body
    traffic = _TRAFFIC.match(body)
    if traffic is not None and address(traffic[5]) is not None:
        _traffic(traffic, body[traffic.end() :], event)
    elif body.startswith("DHCP") and dhcp.read(body, event, context):
        pass
    elif not (_attack(body, event) or _sign_in(body, event)):
        _other(body[:1_024], event)
    policy = _POLICY.search(body[-132:])
    if policy is not None:
        event["rule.name"] = policy[1]
    return True


def _traffic(found: re.Match[str], rest: str, event: Event) -> None:
    verdict, ingress, egress, protocol, source, destination, source_port, port = found.groups()
    facts = pairs.scan(rest)
    event["observer.ingress.interface.alias"], event["observer.egress.interface.alias"] = ingress, egress
    put_transport(event, protocol.partition("/")[0])
    icmp = protocol.startswith("icmp")
    put_end(event, "source", source, None if icmp else source_port)
    put_end(event, "destination", destination, None if icmp else port)
    allowed = verdict in ("Allow", "ProxyAllow", "Strip", "ProxyStrip")
    event["event.action"] = (facts.get("action") or verdict).lower()
    event["event.outcome"] = "success" if allowed else "failure"
    event["event.category"] = ["network"]
    event["event.type"] = ["connection", "allowed" if allowed else "denied"]
    if "duration" in facts and "sent_bytes" in facts:
        event["event.type"] = ["connection", "end"]
    for key, name in _ADDED.items():
        put(event, name, facts.get(key))
    _told(facts, event)


def _told(facts: dict[str, str], event: Event) -> None:
    get = facts.get
    put(event, "message", get("msg"))
    host = get("dstname") or get("host") or get("hostname")
    if host and address(host) is None:
        event["destination.domain"] = host
    path = get("arg") or get("path")
    if path and ("op" in facts or get("msg", "").startswith(("HTTP", "Proxy"))) and path[0] == "/":
        put_url(event, f"http://{host}{path}" if host else path)
        event["url.original"] = path
        event["event.category"] = ["network", "web"]
    put(event, "http.request.method", get("op") or get("method"))
    for key, name in (("src_user", "source.user"), ("dst_user", "destination.user")):
        put_user(event, get(key), name)
    put_user(event, get("src_user") or get("user") or get("authenticated_user"))
    put_count(event, "source.bytes", get("sent_bytes"))
    put_count(event, "destination.bytes", get("rcvd_bytes"))
    put_total(event, "bytes")
    seconds = number(get("duration"))
    if seconds is not None and 0 <= seconds < 10**8:
        event["event.duration"] = seconds * 1_000_000_000
    status = number(get("response"))
    if status is not None and 100 <= status <= 599:
        event["http.response.status_code"] = status
    severity = number(get("severity"))
    if severity is not None and 0 <= severity < 100:
        event["event.severity"] = severity
    if "signature_name" in facts or "virus" in facts:
        event["event.kind"] = "alert"
        event["event.category"] = ["network", "malware" if "virus" in facts else "intrusion_detection"]


def _attack(body: str, event: Event) -> bool:
    text = body[:1_024]
    against, between, one, blocked, server = (
        each.match(text) for each in (_AGAINST, _FROM_TO, _FROM, _BLOCKED, _SERVER)
    )
    named = {f"{side.lower()} {what}": value for side, what, value in _NAMED.findall(text)}
    source = destination = port = None
    if against is not None:
        name, destination, source = against.groups()
    elif between is not None:
        name, source, destination, port = between.groups()
    elif one is not None:
        name, source = one.groups()
    elif blocked is not None:
        name, source = "blocked site", blocked[1]
    elif server is not None:
        name, destination = "DDOS", server[1]
    elif "source IP" in named:
        name = text.partition(".")[0] if text.startswith("APT") else "denied by policy"
        source, destination, port = (named.get(key) for key in ("source IP", "destination IP", "destination Port"))
    else:
        return False
    put_end(event, "source", source, named.get("source Port"))
    put_end(event, "destination", destination, port)
    event["event.kind"], event["event.action"] = "alert", name.lower().replace(" ", "_")
    event["event.category"], event["event.type"] = ["intrusion_detection", "network"], ["denied"]
    event["event.outcome"] = "unknown" if blocked is None else "success"
    return True


def _sign_in(body: str, event: Event) -> bool:
    user, said = _USER.search(body[:1_024]), body[:1_024].lower()
    if user is None:
        return False
    failed = any(word in said for word in _FAILED)
    left = any(word in said for word in _LEFT)
    if not (failed or left or any(word in said for word in _ENTERED)):
        return False
    put_user(event, user[1].rstrip(".:"))
    where = _ADDRESS.search(body[:1_024])
    if where is not None:
        put_end(event, "source", where[1])
    event["event.category"] = ["authentication"]
    event["event.type"] = ["end"] if left else ["start"]
    event["event.action"] = "logout" if left else "login"
    event["event.outcome"] = "failure" if failed else "success"
    return True


def _other(text: str, event: Event) -> None:
    """What the device says of itself, of its tunnels and of who changed what."""
    event["event.category"], event["event.type"] = ["host"], ["info"]
    wrong = _WRONG.search(text)
    event["event.outcome"] = "success" if wrong is None else "failure"
    between, gateways = _BETWEEN.search(text), _GATEWAYS.search(text)
    pair = between or gateways
    place = _PLACE.search(text) if pair is None else None
    if pair is not None:
        put_end(event, "source", pair[1], pair[2])
        put_end(event, "destination", pair[3], pair[4])
        event["event.category"] = ["network"]
    elif place is not None:
        put_end(event, "source", place[1], place[2] or place[3])
    changed, tunnel, user = _CHANGED.match(text), _TUNNEL.match(text), _USER.search(text)
    if changed is not None:
        if changed[1] or "feature key" in text:
            put_user(event, changed[1] or changed[2])
        event["event.action"] = changed[3]
        event["event.category"], event["event.type"] = ["configuration"], ["change"]
    elif user is not None:
        put_user(event, user[1].rstrip(".:"))
    if tunnel is not None:
        event["event.action"], event["event.category"] = tunnel[1].lower(), ["network"]


FORMAT = Format(name="watchguard", dataset="watchguard_firebox.log", read=read, begins=('msg_id="',))

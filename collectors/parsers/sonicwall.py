"""SonicWall's SonicOS: connections, sites, attacks, sign-ins and changes, by the number of the message.

id=firewall sn=0000 time="2026-11-22 19:34:00 UTC" fw=203.0.113.1 pri=6 c=262144 m=98 msg="Connection Opened" n=1
    src=10.0.0.5:52379:X0 dst=198.51.100.7:443:X1:www.example proto=tcp/https
"""

from __future__ import annotations

import re
from contextlib import suppress

from almena.clock import format_time
from almena.errors import ParseError
from almena.event import Event
from collectors.base import Context
from collectors.parsers import pairs
from collectors.parsers.common import address, instant, number
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put
from collectors.parsers.network import (
    put_count,
    put_end,
    put_nat,
    put_port,
    put_total,
    put_transport,
    put_url,
    put_user,
)
from collectors.parsers.sonicwall_messages import (
    ATTACK,
    BLOCKED,
    BY_NUMBER,
    CHANGE,
    DENIED,
    DROPPED,
    END,
    LOGIN,
    LOGOUT,
    OTHER,
    REFUSED,
    START,
    TRAFFIC,
    VIRUS,
    WEB,
    Meaning,
)

_BEGIN = re.compile(r"(?:[0-9A-Fa-f.:]{2,45} )? *id=([^\s\"=]{1,64}) +(?=sn=)", re.ASCII)
_TIME = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?: (UTC|GMT))?$", re.ASCII)
_APP = re.compile(r" appName='([^']{1,256})'", re.ASCII)
_ACTIONS = {"forward": "packet-forwarded", "drop": "packet-dropped", "mgmt": "packet-management"}
_METHODS = {"1": "GET", "2": "POST", "3": "HEAD", "GET": "GET", "POST": "POST", "HEAD": "HEAD"}
_LEVELS = ("emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug")
_NAMES = {
    "sn": "observer.serial_number",
    "srcZone": "observer.ingress.zone",
    "dstZone": "observer.egress.zone",
    "rule": "rule.id",
    "m": "event.code",
    "Category": "rule.category",
    "ipscat": "rule.category",
    "sid": "rule.id",
    "sess": "almena.sonicwall.session",
    "vpnpolicy": "almena.sonicwall.vpn_policy",
}
_NOBODY = "unknown ("

_WORDS: tuple[tuple[tuple[str, ...], Meaning], ...] = (
    (
        ("login denied", "login failed", "logon failed", "authentication failed", "login attempt", "locked out"),
        REFUSED,
    ),
    (("logged out", "logout", "log off", "session expired"), LOGOUT),
    (("login allowed", "logged in", "login from", "login successful", "authentication success"), LOGIN),
    (("virus", "spyware", "malware", "gateway anti"), VIRUS),
    (("ips prevention", "attack dropped", "flood attack", "spoof", "smurf", "attack blocked", "attack"), BLOCKED),
    (("ips detection", "port scan", "scan detected", "probable", "possible"), ATTACK),
    (("connection opened",), START),
    (("connection closed",), END),
    (("denied", "blocked", "refused", "rejected"), DENIED),
    (("dropped", "drop "), DROPPED),
    (("policy added", "policy modified", "policy deleted", "configuration", "settings", "changed"), CHANGE),
)


def read(message: str, event: Event, context: Context) -> bool:
    """Read a line into the event; False for what is none of SonicWall's."""
    begin = _BEGIN.match(message)
    if begin is None:
        return False
    facts = pairs.scan(message, begin.end())
    event |= {"observer.vendor": "SonicWall", "observer.product": "SonicOS", "observer.type": "firewall"}
    event["observer.name"] = begin[1]
    written = _TIME.match(facts.get("time", ""))
    if written is not None:
        with suppress(ParseError):  # a clock that is not set: the header's time stands
            event["@timestamp"] = format_time(instant(written[1], "UTC" if written[2] else context.zone))
    for key, name in _NAMES.items():
        put(event, name, facts.get(key))
    where = address(facts.get("fw"))
    if where is not None:
        event["observer.ip"] = [where]
    _ends(facts, event)
    _traffic(facts, event)
    app = _APP.search(message)
    if app is not None:
        event["network.application"] = app[1]
    _judged(facts, event)
    return True


def _ends(facts: dict[str, str], event: Event) -> None:
    for side, key, interface in (("source", "src", "ingress"), ("destination", "dst", "egress")):
        six = address(facts.get(f"{key}V6"))
        parts = facts.get(key, "").split(":", 3)
        if six is None and address(facts.get(key)) is not None and len(parts) > 2:
            six, parts = address(facts[key]), []
        parts += [""] * (4 - len(parts))
        put_end(event, side, six or parts[0], parts[1])
        put(event, f"observer.{interface}.interface.name", parts[2])
        if parts[3]:
            event[f"{side}.domain"] = parts[3]
            event.setdefault(f"{side}.address", parts[3])
        mac = facts.get(f"{key}Mac", "")
        if len(mac) == 17:
            event[f"{side}.mac"] = mac.upper().replace(":", "-")
        nat, _, port = facts.get("natSrc" if key == "src" else "natDst", "").partition(":")
        translated = facts.get("natSrcV6" if key == "src" else "natDstV6", "")
        if translated:
            nat, _, port = translated.removeprefix("[").partition("]:")
        put_nat(event, side, nat, port)
    user = facts.get("usr") or facts.get("user")
    if user and not user.lower().startswith(_NOBODY):
        put_user(event, user)


def _traffic(facts: dict[str, str], event: Event) -> None:
    get = facts.get
    transport, _, protocol = get("proto", "").partition("/")
    put_transport(event, transport)
    if protocol and not protocol.isdigit():
        event["network.protocol"] = protocol.lower()
    for key, name in (("sent", "source.bytes"), ("rcvd", "destination.bytes")):
        put_count(event, name, get(key))
    for key, name in (("spkt", "source.packets"), ("rpkt", "destination.packets")):
        put_count(event, name, get(key))
    put_total(event, "bytes")
    put_total(event, "packets")
    seconds, milliseconds = number(get("dur")), number(get("cdur"))
    if milliseconds is not None and 0 <= milliseconds < 10**11:
        event["event.duration"] = milliseconds * 1_000_000
    elif seconds is not None and 0 <= seconds < 10**8:
        event["event.duration"] = seconds * 1_000_000_000
    domain, path = get("dstname"), get("arg", "")
    if domain:
        put_url(event, f"{domain}{path if path.startswith('/') else ''}")
        if not path.startswith("/"):
            event.pop("url.path", None)
        elif protocol:
            event["url.scheme"] = protocol.lower()
            event["url.full"] = f"{protocol.lower()}://{domain}{path}"
    if "op" in facts:
        put(event, "http.request.method", _METHODS.get(facts["op"]))
        status = number(get("result"))
        if status is not None and 100 <= status < 600:
            event["http.response.status_code"] = status
    put_port(event, "destination.port", get("dstPort"))
    put_count(event, "event.sequence", get("n"))
    level = number(get("pri"))
    if level is not None and 0 <= level < len(_LEVELS):
        event["event.severity"], event["log.level"] = level, _LEVELS[level]


def _judged(facts: dict[str, str], event: Event) -> None:
    said, note = facts.get("msg", ""), facts.get("note", "")
    if said or note:
        event["message"] = f"{said} ({note})" if said and note else said or note
    numbered = BY_NUMBER.get(facts.get("m", ""))
    meaning = numbered or _meaning(said.lower())
    if meaning is None:
        meaning = TRAFFIC if "source.ip" in event and "destination.ip" in event else OTHER
    event["event.category"], event["event.type"] = list(meaning.categories), list(meaning.types)
    event["event.outcome"] = meaning.outcome
    verdict = _ACTIONS.get(facts.get("fw_action", "").lower()) if numbered in (None, WEB) else None
    if verdict or meaning.action:
        event["event.action"] = verdict or meaning.action
    if meaning.kind:
        event["event.kind"] = meaning.kind
        put(event, "rule.name", said.partition(": ")[2].partition(", SID")[0] or said)


def _meaning(said: str) -> Meaning | None:
    for words, meaning in _WORDS:
        if any(word in said for word in words):
            return meaning
    return None


FORMAT = Format(
    name="sonicwall",
    dataset="sonicwall_firewall.log",
    read=read,
    words=False,
    begins=("id=", " id=firewall", "  id=firewall"),
)

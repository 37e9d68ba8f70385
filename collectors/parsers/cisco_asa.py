"""Messages of Cisco's firewalls: ASA, FTD, PIX and FWSM, by the number of each.

    <166>Nov 22 2026 13:34:00 fw1 : %ASA-6-302013: Built inbound TCP connection 12 for outside:203.0.113.9/4444
        (203.0.113.9/4444) to dmz:10.0.0.5/443 (198.51.100.5/443)

As the field's integrations do, the end that opened an outbound connection is its source, and a denial's outcome is
failure. FTD's messages 430001 to 430005 are fields: see `cisco_ftd_events`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from almena.clock import SECOND, format_time, parse_time
from almena.event import Event
from collectors.base import Context
from collectors.parsers import cisco_ftd_events
from collectors.parsers.cisco_asa_messages import TRAFFIC
from collectors.parsers.cisco_asa_pieces import ALLOWED, DENIED, Meaning, compiled
from collectors.parsers.cisco_asa_users import USERS
from collectors.parsers.cisco_header import LEVELS
from collectors.parsers.common import address
from collectors.parsers.format import Format
from collectors.parsers.network import put_count, put_nat, put_port, put_transport, put_url, put_user

_HEAD = re.compile(r"%(ASA|FTD|PIX|FWSM)-(?:[A-Za-z]\w{0,31}-)?-?([0-7])-(\d{1,7}) ?:? *", re.ASCII)
_MASK = 2_048  # characters in which what is common to many messages is looked for
_COMMON = compiled("{vpn} {reason}$", "{ike2}{reason}$", "(?=Group = |Username = |IP = ){ike}{reason}$")
_ENDS = compiled("(?:from|for|flow) {src} to {dst}(?:[ .,]|$)", "src {src},? dst {dst}(?:[ .,]|$)")
_SOURCE = compiled(
    r"(?:from|IP|Addr|IP address:|addr) ?=? ?"
    r"(?P<sa>\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}|[0-9A-Fa-f]{1,4}:[0-9A-Fa-f:]{2,40})(?:/(?P<sp>\d{1,5}))?(?=[\s,.:;)]|$)"
)
_USER = compiled(
    r"(?:[Uu]ser(?:name)?|Uname)(?: ?[=:] ?| )(?:'(?P<user>[^'\n]{1,256})'|\"(?P<quoted>[^\"\n]{1,256})\")",
    r"(?:[Uu]ser(?:name)?|Uname) ?[=:] ?(?P<user>[^\s,;'\"<>]{1,256})",
)
_IPS = compiled(r"IPS:(?P<sig>\d{1,6}) (?P<threat>.{1,128}?) from {sip} to {dip} on interface {in}")
_SERVICES = {
    "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "bootps": 67, "bootpc": 68, "tftp": 69, "http": 80,
    "www": 80, "pop3": 110, "sunrpc": 111, "ntp": 123, "netbios-ns": 137, "netbios-dgm": 138, "netbios-ssn": 139,
    "imap4": 143, "snmp": 161, "snmptrap": 162, "bgp": 179, "ldap": 389, "https": 443, "isakmp": 500, "syslog": 514,
    "rip": 520, "ldaps": 636, "radius": 1645, "radius-acct": 1646, "sqlnet": 1521, "h323": 1720, "pptp": 1723,
    "sip": 5060,
}  # fmt: skip
_SGT = re.compile(r"^(?:(.*?), ?)?\d{1,5}(?::.*)?$", re.ASCII)
_DURATION = re.compile(r"(?:(\d{1,6})[hH:] ?)?(?:(\d{1,6})[mM:] ?)?(\d{1,9})[sS]?$", re.ASCII)
_Side = tuple[str, str, str, str, str, str]
_SIDES: tuple[_Side, ...] = (
    ("source", "s", "source.address", "source.ip", "source.port", "observer.ingress.interface.name"),
    ("destination", "d", "destination.address", "destination.ip", "destination.port", "observer.egress.interface.name"),
)
_TURNED: tuple[_Side, ...] = tuple(
    (one[0], other[1], one[2], one[3], one[4], one[5]) for one, other in zip(_SIDES, reversed(_SIDES), strict=True)
)  # of a connection from inside the second end is the source
_INFO = Meaning(None, None, ("network",), ("info",))

MESSAGES = TRAFFIC | USERS
"""By number, what a message means and how it reads."""


def read(message: str, event: Event, context: Context) -> bool:
    """Read a message of a firewall into the event; False when it does not begin with the mark of one."""
    head = _HEAD.match(message)
    if head is None:
        return False
    product, severity, code = head.groups()
    event["event.dataset"] = "cisco.ftd" if product == "FTD" else "cisco.asa"
    event["event.code"] = code
    event["event.severity"] = int(severity)
    event["log.level"] = LEVELS[int(severity)]
    event["observer.vendor"] = "Cisco"
    event["observer.product"] = product.lower()
    event["observer.type"] = "firewall"
    if "host.name" in event:
        event["observer.name"] = event["host.name"]
    text = message[head.end() :].rstrip()
    if code[:4] == "4300" and cisco_ftd_events.put(code, text, event, context):
        return True
    _message(code, text, event)
    event["message"] = message
    return True


def _message(code: str, text: str, event: Event) -> None:
    known = MESSAGES.get(code)
    meaning = _INFO if known is None else known.meaning
    found = None
    for pattern in () if known is None else known.texts:
        found = pattern.match(text)
        if found is not None:
            break
    if found is not None:
        meaning = put_parts(found.groupdict(), event, code, meaning)
    elif code[:3] == "400":
        meaning = _ips(text, event)
    else:
        _guess(text, event)
    action, outcome, category, types = meaning
    event["event.category"], event["event.type"] = list(category), list(types)
    if action is not None:
        event["event.action"] = action
    if outcome is not None:
        event["event.outcome"] = outcome


def put_parts(parts: dict[str, str | None], event: Event, code: str, meaning: Meaning) -> Meaning:
    """Put the named parts of a text into the event; the meaning, or the one that a verdict inside of the text gives."""
    direction = (parts.get("dir") or "").lower()
    turned = direction == "outbound" and code in ("302013", "302015", "302017", "302035")
    if code == "302020" and direction == "inbound":
        turned = True
        if (mapped := parts.pop("gaddr", None)) is not None and mapped != parts.get("sa"):
            put_nat(event, "destination", mapped)
    for names in _TURNED if turned else _SIDES:
        if parts.get(names[1] + "a"):
            _end(event, parts, names)
    for name, value in parts.items():
        if value and (setter := _SETTERS.get(name)) is not None:
            setter(event, value)
    if parts.get("user") and "source.ip" in event and "user.name" in event:
        event.setdefault("source.user.name", event["user.name"])
    if "user.name" not in event:
        for side in ("source", "destination"):
            if (user := event.get(f"{side}.user.name")) is not None:
                event["user.name"] = user
                break
    if code in ("305009", "305010", "305011", "305012") and "destination.ip" in event:
        put_nat(event, "source", event["destination.ip"], event.get("destination.port"))
    if parts.get("domain"):
        event[f"{parts['which']}.domain"] = parts["domain"]
    verdict = parts.get("verdict")
    return meaning if verdict is None else _verdict(meaning, verdict)


def _verdict(meaning: Meaning, verdict: str) -> Meaning:
    word = verdict.lower()
    if meaning is ALLOWED:
        return DENIED if word == "denied" else ALLOWED
    if word in ("failed", "failure"):
        return meaning._replace(outcome="failure", type=("info",))
    return meaning


def _end(event: Event, parts: dict[str, str | None], names: _Side) -> None:
    side, letter, address_name, ip_name, port_name, interface_name = names
    get = parts.get
    interface, where = get(letter + "i"), (get(letter + "a") or "").rstrip(",.")
    if interface is not None and ":" in where and address(f"{interface}:{where}") is not None:
        interface, where = None, f"{interface}:{where}"  # an IPv6 address without an interface
    event[address_name] = where
    found = address(where)
    if found is not None:
        event[ip_name] = found
    else:
        event[f"{side}.domain"] = where
    port = get(letter + "p") or get(letter + "q")
    if port is not None:
        service = None if port.isdigit() else _SERVICES.get(port)
        put_port(event, port_name, port if service is None else service)
        if service is not None:
            event["network.protocol"] = port
    if interface:
        event[interface_name] = interface
    translated, to_port = get(letter + "na"), get(letter + "np")
    if translated is not None and (translated != where or to_port != port):
        put_nat(event, side, translated, to_port)
    user = get(letter + "u")
    if user is not None:
        put_who(event, user, f"{side}.user")


def put_who(event: Event, value: str, name: str = "user") -> None:
    """A user as firewalls write one: with `LOCAL\\` for their own, and a security group's tag behind."""
    tagged = _SGT.match(value)
    if tagged is not None:
        value = tagged[1] or ""
    put_user(event, value.strip(" '\"<>$").removeprefix("LOCAL\\"), name)


def _reason(event: Event, value: str) -> None:
    event["event.reason"] = value.strip('" ')


def _transport(event: Event, value: str) -> None:
    if value not in ("IP", "ip"):
        put_transport(event, value)


def _spent(event: Event, value: str) -> None:
    nanoseconds = duration(value)
    if nanoseconds is None:
        return
    event["event.duration"] = nanoseconds
    event["event.end"] = event.get("@timestamp")
    if event["event.end"] is None:
        del event["event.end"]
    else:
        event["event.start"] = format_time(max(parse_time(event["event.end"]) - nanoseconds // 1_000, 0))


@lru_cache(maxsize=4_096)
def duration(value: str) -> int | None:
    """Nanoseconds of `1:02:03`, `1h:02m:03s` or `1h2m3s`; None for anything else."""
    found = _DURATION.match(value.replace("h:", "h").replace("m:", "m"))
    if found is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return (hours * 3600 + minutes * 60 + seconds) * 1_000 * SECOND


def _mac(value: str) -> str | None:
    digits = re.sub(r"[^0-9A-Fa-f]", "", value).upper()
    return "-".join(digits[at : at + 2] for at in range(0, 12, 2)) if len(digits) == 12 else None


def _put_mac(side: str) -> Any:
    def put(event: Event, value: str) -> None:
        written = _mac(value)
        if written is not None:
            event[f"{side}.mac"] = written

    return put


def _direction(event: Event, value: str) -> None:
    word = value.lower()
    if word in ("inbound", "outbound"):
        event["network.direction"] = word


def _tls(event: Event, value: str) -> None:
    name, _, version = value.rpartition("v")
    if name and version[:1].isdigit():
        event["tls.version"], event["tls.version_protocol"] = version, name.lower()


def _text(name: str) -> Any:
    def put(event: Event, value: str) -> None:
        event[name] = value

    return put


def _threat(event: Event, value: str) -> None:
    event["almena.cisco.threat"] = value


_SETTERS: dict[str, Any] = {
    "proto": _transport,
    "dir": _direction,
    "in": _text("observer.ingress.interface.name"),
    "rule": lambda event, value: event.__setitem__("rule.name", value.strip('"')),
    "user": put_who,
    "target": lambda event, value: put_who(event, value, "user.target"),
    "group": _text("user.group.name"),
    "cmd": _text("process.command_line"),
    "app": _text("network.application"),
    "svc": lambda event, value: event.__setitem__("network.protocol", value.lower()),
    "dur": _spent,
    "bytes": lambda event, value: put_count(event, "network.bytes", value),
    "sent": lambda event, value: put_count(event, "destination.bytes", value),
    "got": lambda event, value: put_count(event, "source.bytes", value),
    "reason": _reason,
    "url": put_url,
    "file": _text("file.path"),
    "agent": _text("user_agent.original"),
    "mac": _put_mac("source"),
    "dmac": _put_mac("destination"),
    "suser": lambda event, value: put_who(event, value, "source.user"),
    "duser": lambda event, value: put_who(event, value, "destination.user"),
    "gaddr": lambda event, value: put_nat(event, "source", value) if event.get("source.ip") != address(value) else None,
    "assigned": lambda event, value: put_nat(event, "source", value),
    "question": _text("dns.question.name"),
    "tls": _tls,
    "cipher": _text("tls.cipher"),
    "list": _text("rule.ruleset"),
    "threat": _threat,
    "conn": _text("almena.cisco.connection_id"),
}


def _ips(text: str, event: Event) -> Meaning:
    found = _IPS[0].match(text)
    if found is None:
        _guess(text, event)
        return _INFO
    parts = found.groupdict()
    parts.pop("threat")
    put_parts(parts, event, "400", _INFO)
    event["event.kind"] = "alert"
    event["rule.id"], event["rule.name"] = found["sig"], found["threat"]
    return Meaning("intrusion-detected", None, ("network", "intrusion_detection"), ("info",))


def _guess(text: str, event: Event) -> None:
    """Put what many messages have in common, of one whose text is not known."""
    text = text[:_MASK]
    for pattern in _COMMON:
        found = pattern.match(text)
        if found is not None:
            put_parts(found.groupdict(), event, "", _INFO)
            return
    for pattern in (*_ENDS, *_SOURCE):
        found = pattern.search(text)
        if found is not None:
            put_parts(found.groupdict(), event, "", _INFO)
            break
    for pattern in _USER:
        found = pattern.search(text)
        if found is not None:
            parts = found.groupdict()
            put_who(event, parts.get("user") or parts.get("quoted") or "")
            return


FORMAT = Format(name="cisco_asa", dataset="cisco.asa", read=read, begins=("%ASA-", "%PIX-", "%FWSM-"), words=False)

"""Kaspersky Security Center's own export by syslog: what its endpoints found and did, and events of the server.

<10>1 2026-11-22T19:34:00.000Z ksc KES|12.0.0.0 - GNRL_EV_VIRUS_FOUND [event@23668 p2="C:\\\\a.exe" p5="EICAR"
    p7="SFA\\\\ana" et="GNRL_EV_VIRUS_FOUND" tdn="..." etdn="..." hdn="PC-7" hip="10.0.0.7" gn="DIF"] Type: Virus...

Its parameters are numbered; what they are is known for the events below, and the text names the rest. Relays that speak
the older protocol leave the parameters in the message, in front of the text or behind it.
"""

from __future__ import annotations

import re

from almena.event import Event
from collectors.base import Context
from collectors.parsers.common import address, number
from collectors.parsers.format import Format
from collectors.parsers.jsonpath import put
from collectors.parsers.network import put_end, put_transport, put_url, put_user

_PREFIX = "log.syslog.structured_data.event@23668."
_ELEMENT = re.compile(r"\[event@23668((?: [\w-]{1,64}=\"(?:[^\"\\]++|\\.)*+\")++) ?\] ?", re.ASCII | re.DOTALL)
_PARAMETER = re.compile(r' ([\w-]{1,64})="((?:[^"\\]++|\\.)*+)"', re.ASCII | re.DOTALL)
_ESCAPE = re.compile(r'\\(["\\\]])', re.ASCII)
_LINES = re.compile(r"\\r\\n|\r?\n")
_NETWORK = re.compile(
    r"(?:(TCP|UDP|ICMP) )?from ([0-9A-Fa-f.:]{2,45}) (?:at|to) ([0-9A-Fa-f.:]{2,45}?)(?::(\d{1,5}))?$", re.ASCII
)
_ADMINISTRATOR = re.compile(r'User "([^"]{1,256})"(?:.{0,512}? from "([^"]{2,64})")?', re.ASCII)
_DIGEST = re.compile(r"[0-9A-Fa-f]{64}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{32}", re.ASCII)
_HASHES = {32: "file.hash.md5", 40: "file.hash.sha1", 64: "file.hash.sha256"}
_FILES = ("VIRUS", "OBJECT", "SUSPICIOUS", "INFECTED", "ROOTKIT", "CURED", "DELETED", "QUARANTINED")
_STOPPED = ("block", "prohibit", "denied", "deleted", "disinfected", "quarantined", "terminated", "cured", "moved")
_MOST = 64


def read(message: str, event: Event, context: Context) -> bool:
    """Read a message by the parameters that its header gave; False without them."""
    facts = {key[len(_PREFIX) :]: value for key, value in event.items() if key.startswith(_PREFIX) and value}
    if not facts and (inside := _ELEMENT.search(message)) is not None:
        facts = {key: _ESCAPE.sub(r"\1", value) for key, value in _PARAMETER.findall(inside[1]) if value}
        message = f"{message[: inside.start()]}{message[inside.end() :]}".strip()
    code = facts.get("et") or event.get("log.syslog.msgid")
    if not facts or not code:
        return False
    said = dict(_said(message))
    event |= {"observer.vendor": "Kaspersky", "observer.product": "Security Center", "event.code": code}
    application, bar, version = event.get("process.name", "").partition("|")
    if bar:
        event["observer.version"], event["process.name"] = version, application
    for key, name in (("hdn", "host.name"), ("gn", "almena.kaspersky.group"), ("tdn", "almena.kaspersky.component")):
        put(event, name, facts.get(key))
    where = address(facts.get("hip"))
    if where is not None:
        event["host.ip"] = [where]
    put(event, "message", facts.get("etdn") or message)
    event["event.action"] = code.lower()
    who = "p7" if _of_file(code) else "p2" if "LAUNCH" in code else "user"
    put_user(event, (said.get("user") or facts.get(who, "")).partition(" (")[0])
    administrator = _ADMINISTRATOR.match(message)
    if administrator is not None:
        put_user(event, administrator[1])
        put_end(event, "source", administrator[2])
    _subject(code, facts, said, event)
    _judged(code, said, event)
    return True


def _said(message: str) -> list[tuple[str, str]]:
    """The lines `Name: value` of the text, names in lower case."""
    found = []
    for line in _LINES.split(message[:16_384])[:_MOST]:
        name, colon, value = line.partition(": ")
        if colon and value.strip() and len(name) < 64:
            found.append((name.strip().lower(), value.strip()))
    return found[::-1]  # of equal names the first counts


def _of_file(code: str) -> bool:
    return any(word in code for word in _FILES)


def _subject(code: str, facts: dict[str, str], said: dict[str, str], event: Event) -> None:
    """What it is about: a file, a connection or a site."""
    started = "LAUNCH" in code
    thing = said.get("object") or said.get("path to object") or said.get("object name")
    thing = thing or facts.get("p7" if started else "p2", "")
    network = _NETWORK.match(thing)
    if "ATTACK" in code and facts.get("p3", "").isdigit():
        put_transport(event, facts.get("p2"))
        put_end(event, "source", _number_to_address(facts.get("p3")))
        put_end(event, "destination", _number_to_address(facts.get("p6")), facts.get("p4"))
    elif network is not None:
        put_transport(event, network[1])
        put_end(event, "source", network[2])
        put_end(event, "destination", network[3], network[4])
    elif "://" in thing[:16]:
        put_url(event, thing)
    elif "\\" in thing or "/" in thing:
        event["file.path"] = thing
        event["file.name"] = re.split(r"[\\/]", thing)[-1] or thing
    named = said.get("name") or facts.get("p5" if _of_file(code) else "p1")
    if _of_file(code) or "ATTACK" in code:
        put(event, "rule.name", named)
    put(event, "event.reason", said.get("reason"))
    for digest in (said.get("sha256"), said.get("md5"), facts.get("p1") if _of_file(code) else None):
        if digest and _DIGEST.fullmatch(digest):
            event.setdefault(_HASHES[len(digest)], digest.lower())
    path = said.get("process name") or said.get("application path")
    if path:
        event["process.executable"] = path


def _number_to_address(written: str | None) -> str | None:
    value = number(written)
    if value is None or not 0 < value < 1 << 32:
        return None
    return ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))


def _judged(code: str, said: dict[str, str], event: Event) -> None:
    result = (said.get("result description") or said.get("result") or "").lower()
    if "ATTACK" in code:
        event["event.kind"] = "alert"
        event["event.category"], event["event.type"] = ["intrusion_detection", "network"], ["info"]
    elif _of_file(code):
        event["event.kind"] = "alert"
        event["event.category"], event["event.type"] = ["malware", "file"], ["info"]
    elif "WEB_URL" in code:
        event["event.category"], event["event.type"] = ["web"], ["access"]
    elif code.startswith("KLAUD"):
        event["event.category"], event["event.type"] = ["configuration"], ["change"]
    else:
        event["event.category"], event["event.type"] = ["host"], ["info"]
    if any(word in result for word in _STOPPED) or "BLOCKED" in code or "DENIED" in code:
        event["event.type"] = ["denied"]
        event["event.outcome"] = "success"
    elif result:
        event["event.outcome"] = "failure" if "fail" in result or "not " in result else "success"


FORMAT = Format(
    name="kaspersky",
    dataset="kaspersky.security_center",
    read=read,
    words=False,
    begins=("[event@23668 ",),
    marks=(f"{_PREFIX}et", f"{_PREFIX}hdn"),
)

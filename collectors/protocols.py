"""What packets say of themselves: which may hold names in DNS, TLS or HTTP, and the events of what was found there."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import NamedTuple

from almena.event import Event
from collectors.dissector import LONGEST, Found
from collectors.flows import End, ends
from collectors.pcap import TCP, Segment

_METHODS = (b"GET ", b"POST ", b"HEAD ", b"PUT ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT ", b"TRACE ")
_CODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET")
_VERSIONS = {0x0300: ("ssl", "3.0"), 0x0301: ("tls", "1.0"), 0x0302: ("tls", "1.1"), 0x0303: ("tls", "1.2")}
_MOST_HELLOS = 1_000  # greetings waited for at once


class Question(NamedTuple):
    """A packet, or some that belong together, in which a name may be found."""

    number: int
    """Of its last packet, among all of the capture: it only grows."""
    moment: int
    """When it came, microseconds since 1970 UTC."""
    cut: Segment
    kind: bytes
    payload: bytes

    def event(self, found: Found) -> Event:
        """The event of what was found."""
        return _EVENTS[self.kind](self.cut, self.moment, found)


class Questions:
    """Chooses packets to look into. A greeting of TLS that takes several packets is waited for, a thousand at once."""

    def __init__(self) -> None:
        self._hellos: OrderedDict[tuple[End, End], Question] = OrderedDict()

    def of(self, cut: Segment, moment: int, number: int) -> Question | None:
        """What may be found in this packet, with those before; None for nothing, or nothing yet."""
        kind = kind_of(cut)
        if cut.protocol == TCP and self._hellos and cut.payload and (key := _ends(cut)) in self._hellos:
            begun = self._hellos.pop(key)
            return self._whole(begun._replace(number=number, payload=begun.payload + cut.payload[:LONGEST]), key)
        if not kind:
            return None
        question = Question(number, moment, cut, kind, payload_of(cut)[:LONGEST])
        return self._whole(question, _ends(cut)) if kind == b"T" else question

    def _whole(self, question: Question, key: tuple[End, End]) -> Question | None:
        length = 5 + int.from_bytes(question.payload[3:5], "big")
        if len(question.payload) >= min(length, LONGEST):
            return question
        self._hellos[key] = question
        if len(self._hellos) > _MOST_HELLOS:
            return self._hellos.popitem(last=False)[1]._replace(number=question.number)
        return None

    def rest(self, number: int) -> list[Question]:
        """What still waits, as far as it came, numbered on from `number`."""
        found = [question._replace(number=number + index) for index, question in enumerate(self._hellos.values())]
        self._hellos.clear()
        return found


def kind_of(cut: Segment) -> bytes:
    """What may be found in a packet: `D` DNS, `T` TLS, `H` HTTP, or nothing."""
    payload = cut.payload
    if len(payload) < 12:
        return b""
    if 53 in (cut.source_port, cut.destination_port):
        return b"D"
    if cut.protocol != TCP:
        return b""
    if payload[0] == 0x16 and payload[1] == 3 and payload[5] == 1:
        return b"T"
    return b"H" if payload.startswith(_METHODS) else b""


def payload_of(cut: Segment) -> bytes:
    """DNS over TCP has its length in front."""
    over_tcp = cut.protocol == TCP and 53 in (cut.source_port, cut.destination_port)
    return cut.payload[2:] if over_tcp else cut.payload


def _ends(cut: Segment) -> tuple[End, End]:
    return (cut.source, cut.source_port), (cut.destination, cut.destination_port)


def _dns(cut: Segment, moment: int, found: Found) -> Event:
    """A question or an answer; the source is who asked, in both."""
    source, destination = reversed(_ends(cut)) if found.response else _ends(cut)
    event = ends(source, destination, cut.protocol, moment, "network.dns")
    event["event.type"] = ["protocol", "info"]
    event["network.protocol"] = "dns"
    event["dns.id"] = str(found.id)
    event["dns.type"] = "answer" if found.response else "query"
    event["dns.question.name"] = found.name.lower() or "."
    event["dns.question.type"] = found.type
    if found.response:
        event["dns.response_code"] = _CODES[found.code] if found.code < len(_CODES) else str(found.code)
        event["dns.answers.type"] = [kind for kind, _ in found.answers]
        event["dns.answers.data"] = [data for _, data in found.answers]
        event["dns.resolved_ip"] = [data for kind, data in found.answers if kind in ("A", "AAAA") and _is_address(data)]
    return event


def _tls(cut: Segment, moment: int, found: Found) -> Event:
    event = ends(*_ends(cut), cut.protocol, moment, "network.tls")
    event["event.type"] = ["protocol", "info"]
    event["network.protocol"] = "tls"
    event["tls.version_protocol"], event["tls.version"] = _VERSIONS.get(found.version, ("tls", "1.3"))
    if found.name:
        event["tls.client.server_name"] = found.name.lower()
    return event


def _http(cut: Segment, moment: int, found: Found) -> Event:
    event = ends(*_ends(cut), cut.protocol, moment, "network.http")
    event["event.category"] = ["network", "web"]
    event["event.type"] = ["protocol", "access"]
    event["network.protocol"] = "http"
    event["http.request.method"] = found.method
    path, mark, query = found.path.partition("?")
    event["url.path"] = path
    if mark:
        event["url.query"] = query
    if found.host:
        event["url.domain"] = found.host.lower()
    if found.agent:
        event["user_agent.original"] = found.agent
    return event


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


_EVENTS = {b"D": _dns, b"T": _tls, b"H": _http}

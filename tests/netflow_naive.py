"""A second reader of NetFlow and IPFIX, written for plainness: one value after the other, as the RFCs say it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

Values = dict[tuple[int, int], bytes]
"""The bytes of each field of a record, by enterprise and number."""

V5 = "8:4 12:4 15:4 10:2 14:2 2:4 1:4 22:4 21:4 7:2 11:2 210:1 6:1 4:1 5:1 16:2 17:2 9:1 13:1 210:2"


def number(data: bytes) -> int:
    return int.from_bytes(data, "big")


class Naive:
    """Remembers templates of one exporter."""

    def __init__(self) -> None:
        self.templates: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
        self.options: set[tuple[int, int]] = set()

    def read(self, data: bytes) -> Iterator[tuple[dict[str, int], Values]]:
        """The header and the fields of every flow; what has no template is left out."""
        version = number(data[0:2])
        if version == 5:
            head = {
                "version": 5,
                "uptime": number(data[4:8]),
                "seconds": number(data[8:12]),
                "nano": number(data[12:16]),
            }
            fields = [(0, int(each.partition(":")[0]), int(each.partition(":")[2])) for each in V5.split()]
            for place in range(24, 24 + 48 * number(data[2:4]), 48):
                yield head, self.record(fields, data[place:])[0]
            return
        if version == 9:
            head = {"version": 9, "uptime": number(data[4:8]), "seconds": number(data[8:12]), "nano": 0}
            domain, place, end = number(data[16:20]), 20, len(data)
        else:
            head = {"version": 10, "seconds": number(data[4:8]), "nano": 0}
            domain, place, end = number(data[12:16]), 16, number(data[2:4])
        while place + 4 <= end:
            kind, length = number(data[place : place + 2]), number(data[place + 2 : place + 4])
            if length == 0:
                break
            body = data[place + 4 : place + length]
            if kind < 4:
                self.learn(version, domain, kind, body)
            elif kind >= 256 and (domain, kind) in self.templates and (domain, kind) not in self.options:
                fields = self.templates[domain, kind]
                least = sum(1 if size == 65_535 else size for _, _, size in fields)
                while len(body) >= least and any(body):
                    values, size = self.record(fields, body)
                    body = body[size:]
                    yield head, values
            place += length
        if version == 10 and len(data) - end >= 16:
            yield from self.read(data[end:])

    def learn(self, version: int, domain: int, kind: int, body: bytes) -> None:
        while len(body) >= 4 and any(body[:4]):
            name, count = number(body[0:2]), number(body[2:4])
            body = body[4:]
            if kind == 1:
                count = (count + number(body[0:2])) // 4
            if kind in (1, 3):
                body = body[2:]
                self.options.add((domain, name))
            fields = []
            for _ in range(count):
                element, size, enterprise = number(body[0:2]), number(body[2:4]), 0
                body = body[4:]
                if version == 10 and element >= 32_768:
                    element, enterprise, body = element - 32_768, number(body[0:4]), body[4:]
                fields.append((enterprise, element, size))
            self.templates[domain, name] = fields

    def record(self, fields: list[tuple[int, int, int]], body: bytes) -> tuple[Values, int]:
        values: Values = {}
        place = 0
        for enterprise, element, size in fields:
            if size == 65_535:
                size, place = body[place], place + 1
                if size == 255:
                    size, place = number(body[place : place + 2]), place + 2
            values[enterprise, element] = body[place : place + size]
            place += size
        return values, place


def expected(head: dict[str, int], values: Values) -> dict[str, Any]:
    """What an event of this flow has to say, as far as one element alone says it."""
    event: dict[str, Any] = {}
    for element, field in {1: "source.bytes", 2: "source.packets", 7: "source.port", 11: "destination.port"}.items():
        if (0, element) in values:
            event[field] = number(values[0, element])
    for element, field in {8: "source.ip", 12: "destination.ip", 27: "source.ip", 28: "destination.ip"}.items():
        if (0, element) in values:
            event[field] = str(ipaddress.ip_address(values[0, element]))
    for element, field in {10: "observer.ingress.interface.id", 14: "observer.egress.interface.id"}.items():
        if (0, element) in values:
            event[field] = str(number(values[0, element]))
    if (0, 4) in values:
        event["network.iana_number"] = str(number(values[0, 4]))
    if (0, 85) in values and (0, 1) not in values:
        event["source.bytes"] = number(values[0, 85])
    if (0, 6) in values:
        event["almena.netflow.tcp_control_bits"] = number(values[0, 6])
    for element, field in {22: "event.start", 21: "event.end"}.items():
        if (0, element) in values and "uptime" in head and head["seconds"] > 1_000_000_000:
            ago = (head["uptime"] - number(values[0, element])) % 2**32
            ago -= 2**32 if ago >= 2**31 else 0  # it begins again at 2**32, and is a little late sometimes
            event[field] = head["seconds"] * 1_000_000 + head["nano"] // 1_000 - ago * 1_000
    for element, field in {152: "event.start", 153: "event.end", 323: "event.end"}.items():
        if (0, element) in values:
            event[field] = number(values[0, element]) * 1_000
    for element, field in {225: "source.nat.ip", 226: "destination.nat.ip", 40_001: "source.nat.ip"}.items():
        if any(values.get((0, element), b"")):
            event[field] = str(ipaddress.ip_address(values[0, element]))
    return event

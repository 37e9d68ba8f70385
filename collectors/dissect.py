"""The process that dissects packets with scapy: packets come on standard input, JSON lines go to standard output.

It imports scapy and the standard library and nothing else, and nothing imports it: it is started, and may die.
A packet is four bytes of length, one byte of kind (`D` DNS, `T` TLS, `H` HTTP), and its payload; one line answers
each packet, `null` where there was nothing to find. The first line says `"ready"`.
"""

from __future__ import annotations

import json
import logging
import resource
import struct
import sys
from typing import Any, BinaryIO

MEMORY = 2 << 30
"""Bytes of address space this process may use."""

_LINE = 7_000
_ANSWERS = 10


def main(source: BinaryIO, target: BinaryIO) -> None:
    """Answer packets until there are no more."""
    logging.disable(logging.CRITICAL)
    from scapy.layers.dns import DNS, dnsqtypes
    from scapy.layers.http import HTTPRequest
    from scapy.layers.tls.handshake import TLSClientHello

    finders = {
        b"D": lambda payload: dns(DNS(payload), dnsqtypes),
        b"T": lambda payload: tls(TLSClientHello(payload[5:])),  # type: ignore[no-untyped-call]
        b"H": lambda payload: http(HTTPRequest(payload)),
    }
    say(target, "ready")
    while len(header := source.read(5)) == 5:
        length, kind = struct.unpack("!Ic", header)
        payload = source.read(length)
        try:
            found = finders[kind](payload)
        except Exception:  # scapy raises anything on what strangers send
            found = None
        say(target, found)


def say(target: BinaryIO, found: object) -> None:
    """One line, short enough that several fit into a pipe."""
    line = json.dumps(found, separators=(",", ":"))
    target.write((line if len(line) <= _LINE else "null").encode() + b"\n")
    target.flush()


def text(value: Any, limit: int = 255) -> str:
    """What scapy gives for a name, as text."""
    raw = value if isinstance(value, bytes) else str(value).encode()
    return raw[:limit].decode("utf-8", "backslashreplace")


def dns(message: Any, types: Any) -> dict[str, Any] | None:
    """The question, and the answers with their data."""
    if not message.qd:
        return None
    question = message.qd[0]
    answers = []
    for record in (message.an or [])[:_ANSWERS]:
        data = record.rdata if hasattr(record, "rdata") else ""
        kind = types.get(record.type, str(record.type))
        answers += [[kind, text(item, 120).rstrip(".")] for item in (data if isinstance(data, list) else [data])]
    return {
        "id": message.id,
        "response": bool(message.qr),
        "code": message.rcode,
        "name": text(question.qname).rstrip("."),
        "type": types.get(question.qtype, str(question.qtype)),
        "answers": answers[:_ANSWERS],
    }


def tls(hello: Any) -> dict[str, Any] | None:
    """The server's name as the client gives it, and the newest version it offers."""
    name, versions = "", [hello.version]
    for extension in hello.ext or []:
        if type(extension).__name__ == "TLS_Ext_ServerName" and extension.servernames:
            name = text(extension.servernames[0].servername)
        elif type(extension).__name__ == "TLS_Ext_SupportedVersion_CH":
            versions += extension.versions or []
    return {"name": name, "version": max(value for value in versions if 0x0300 <= value <= 0x0304)}


def http(request: Any) -> dict[str, Any] | None:
    """The request line, the host and the agent."""
    if not request.Method:
        return None
    return {
        "method": text(request.Method, 20),
        "path": text(request.Path or b"", 500),
        "host": text(request.Host or b""),
        "agent": text(request.User_Agent or b"", 200),
    }


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    main(sys.stdin.buffer, sys.stdout.buffer)

"""What collectors that listen share: addresses, bound sockets, certificates, and lanes for connections."""

from __future__ import annotations

import secrets
import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from almena.errors import ConfigError
from collectors.base import Raw
from collectors.framing import Frame


class Lanes:
    """Lanes that connections take and give back: their number stays small and their sequences only grow."""

    def __init__(self) -> None:
        self._epoch = secrets.token_hex(6)  # of this run: a sequence that begins again is never taken for a repeat
        self._next: list[int] = []
        self._free: list[int] = []

    @contextmanager
    def take(self) -> Iterator[Lane]:
        """A lane of one's own for a while."""
        if self._free:
            number = self._free.pop()
        else:
            number = len(self._next)
            self._next.append(0)
        lane = Lane(f"{self._epoch}.{number}", self._next[number])
        try:
            yield lane
        finally:
            self._next[number] = lane.seq
            self._free.append(number)


@dataclass(slots=True)
class Lane:
    """A name and the next number in it."""

    name: str
    seq: int = 0

    def number(self, frames: Iterable[Frame], received: int, origin: str) -> list[Raw]:
        """The frames as records, numbered on."""
        records = []
        for data, truncated in frames:
            records.append(
                Raw(data=data, lane=self.name, seq=self.seq, received=received, origin=origin, truncated=truncated)
            )
            self.seq += 1
        return records


def address(text: str, where: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:5514` or `[::1]:5514`; raises ConfigError."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ConfigError(f"{where}: listen: {text!r} is no address; write it like '127.0.0.1:5514' or '[::]:5514'")
    return host, int(port)


def bound(kind: socket.SocketKind, listen: str, where: str) -> socket.socket:
    """A non-blocking socket bound to `listen`; raises ConfigError saying why it cannot be."""
    host, port = address(listen, where)
    try:
        family, _, protocol, _, place = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)[0]
        sock = socket.socket(family, kind, protocol)  # asyncio sets TCP_NODELAY only when the protocol is named
    except OSError as error:
        raise ConfigError(f"{where}: cannot listen on {listen}: {error.strerror or error}") from None
    try:
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind(place)
    except OSError as error:
        sock.close()
        raise ConfigError(f"{where}: cannot listen on {listen}: {error.strerror or error}") from None
    return sock


def peer(place: object) -> str:
    """`192.0.2.1:514` or `[2001:db8::1]:514` of a socket's address."""
    if not isinstance(place, tuple) or len(place) < 2:
        return ""
    return f"[{place[0]}]:{place[1]}" if ":" in place[0] else f"{place[0]}:{place[1]}"


def encrypted(certificate: str, key: str, clients: str, where: str) -> ssl.SSLContext:
    """TLS with this certificate and key; with `clients`, only for who shows a certificate of that authority."""
    if not certificate or not key:
        raise ConfigError(f"{where}: tls needs 'certificate' and 'key', files in PEM")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(clients)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{where}: cannot use its certificate, key or clients: {error}") from None
    return context

"""What collectors that listen share: addresses, bound sockets, certificates, and lanes for connections."""

from __future__ import annotations

import logging
import secrets
import socket
import ssl
import time
from asyncio import sslproto
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from almena.errors import ConfigError
from collectors.base import Raw
from collectors.framing import Frame

log = logging.getLogger("almena.collect")

sslproto.SSLProtocol.max_size = 32 << 10
"""Bytes that asyncio keeps ready for what comes by each encrypted connection: of its 256 KiB, a thousand connections
that never finish their handshake would take a quarter of a gigabyte."""

_LOOK_EVERY = 1.0  # seconds between two looks at the files of a certificate
_LONGEST_NAME = 256
_NOT_NOW = (9, 10)  # OpenSSL: not yet valid, no longer valid
_REASONS = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no certificate",
    "WRONG_VERSION_NUMBER": "plaintext",
    "HTTP_REQUEST": "plaintext",
    "HTTPS_PROXY_REQUEST": "plaintext",
    "NO_SHARED_CIPHER": "old protocol",
    "UNSUPPORTED_PROTOCOL": "old protocol",
    "VERSION_TOO_LOW": "old protocol",
    "TLSV1_ALERT_UNKNOWN_CA": "our certificate refused",
    "SSLV3_ALERT_BAD_CERTIFICATE": "our certificate refused",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "our certificate refused",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "our certificate refused",
}
"""What OpenSSL says of a handshake that failed, in words that people and metrics share."""


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

    def number(self, frames: Iterable[Frame], received: int, origin: str, sender: str = "") -> list[Raw]:
        """The frames as records, numbered on."""
        return [self.record(data, received, origin, truncated, sender) for data, truncated in frames]

    def record(self, data: bytes, received: int, origin: str, truncated: bool, sender: str = "") -> Raw:
        """One record, with the next number."""
        seq = self.seq
        self.seq = seq + 1
        return Raw(
            data=data, lane=self.name, seq=seq, received=received, origin=origin, truncated=truncated, sender=sender
        )


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


class Refused(ssl.SSLError):
    """A sender that showed a good certificate, with a name that may not come in."""

    def __init__(self) -> None:
        super().__init__("its certificate bears none of the names in 'senders'")


def encrypted(
    certificate: str,
    key: str,
    clients: str,
    where: str,
    *,
    senders: Sequence[str] = (),
    refused: Callable[[str], None] | None = None,
) -> ssl.SSLContext:
    """TLS with this certificate and key; with `clients`, only for who shows a certificate of that authority.

    With `senders`, only for who shows one with such a name (`*.finanzas.example` stands for one level). Files that
    change are used from the next handshake on; those that cannot be used are logged, and what was read before stays.
    `refused` is told why a handshake failed, as `refusal` says it.
    """
    if not certificate or not key:
        raise ConfigError(f"{where}: tls needs 'certificate' and 'key', files in PEM")
    if senders and not clients:
        raise ConfigError(f"{where}: 'senders' needs 'clients', the authority of their certificates")
    return _Certificates((certificate, key, clients), where, _names(senders), refused).context()


def refusal(error: BaseException) -> str:
    """Why a handshake failed, in a word or two of a fixed set."""
    if isinstance(error, Refused):
        return "wrong name"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "expired certificate" if error.verify_code in _NOT_NOW else "untrusted certificate"
    if isinstance(error, ssl.SSLError):
        return _REASONS.get(getattr(error, "reason", None) or "", "broken handshake")
    return "no handshake"


def sender_of(shown: Mapping[str, Any] | None) -> str:
    """The name on a verified certificate, as `getpeercert` gives it: its first alternative name, or its subject's."""
    return next(_names_on(shown or {}), "")[:_LONGEST_NAME]


class _Certificates:
    """The files of one listener, read again when they change."""

    def __init__(
        self, files: tuple[str, str, str], where: str, senders: frozenset[str], refused: Callable[[str], None] | None
    ) -> None:
        self._files = files
        self._where = where
        self._guard = _guarding(senders, refused)
        self._stamp = self._stamps()
        try:
            self._current = self._load()
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"{where}: cannot use its certificate, key or clients: {error}") from None
        self._looked = time.monotonic()

    def context(self) -> ssl.SSLContext:
        """A context that hands every handshake over to the newest one."""
        facade = self._load()
        facade.sni_callback = self._choose
        return facade

    def _choose(self, shown: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        """Called by OpenSSL at every handshake, whether a name was asked for or not."""
        moment = time.monotonic()
        if moment >= self._looked + _LOOK_EVERY:
            self._looked = moment
            self._renew()
        shown.context = self._current

    def _renew(self) -> None:
        stamp = self._stamps()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._current = self._load()
        except (OSError, ssl.SSLError) as error:
            log.error(
                "%s: its new certificate, key or clients cannot be used, the ones before stay: %s", self._where, error
            )
        else:
            log.info("%s: its certificate, key and clients were read again", self._where)

    def _load(self) -> ssl.SSLContext:
        certificate, key, clients = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_TICKET  # who comes again shows its certificate again
        context.num_tickets = 0
        context.load_cert_chain(certificate, key)
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(clients)
        context.sslobject_class = self._guard
        return context

    def _stamps(self) -> tuple[object, ...]:
        return tuple(map(_stamp, filter(None, self._files)))


def _stamp(file: str) -> tuple[int, int, int] | None:
    try:
        found = Path(file).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _guarding(senders: frozenset[str], refused: Callable[[str], None] | None) -> type[ssl.SSLObject]:
    """A connection that looks at the name it was shown, and tells why a handshake failed."""

    class Guarding(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
                if senders and not any(_is_one_of(name, senders) for name in _names_on(self.getpeercert() or {})):
                    raise Refused
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError as error:
                if refused is not None:
                    refused(refusal(error))
                raise

    return Guarding


def _names(names: Sequence[str]) -> frozenset[str]:
    return frozenset(name.lower().rstrip(".") for name in names)


def _names_on(shown: Mapping[str, Any]) -> Iterator[str]:
    """The alternative names for hosts and addresses; the common name where there are none (RFC 5425, 5.2)."""
    found = [value for kind, value in shown.get("subjectAltName", ()) if kind in ("DNS", "IP Address", "URI", "email")]
    common = [value for part in shown.get("subject", ()) for kind, value in part if kind == "commonName"]
    yield from (name.lower().rstrip(".") for name in found or common)


def _is_one_of(name: str, senders: frozenset[str]) -> bool:
    _, dot, above = name.partition(".")
    return name in senders or (bool(dot) and f"*.{above}" in senders)

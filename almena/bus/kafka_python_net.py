"""What all of kafka-python's clients are made with: options, sockets that close, and errors that people can read."""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from kafka import errors as kafka_errors
from kafka.net.compat import KafkaNetClient
from kafka.net.inet import KafkaNetSocket

from almena.bus import kafka_client
from almena.bus.settings import KafkaSettings
from almena.errors import BusError, ConfigError

log = logging.getLogger("almena.bus")

T = TypeVar("T")

_ADVICE: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("TopicAuthorizationFailedError",),
        "an administrator must allow this user Read, Write and Describe on it",
    ),
    (("GroupAuthorizationFailedError",), "an administrator must allow this user Read and Delete on that group"),
    (
        ("TransactionalIdAuthorizationFailedError",),
        "an administrator must allow this user Write and Describe on that transactional id",
    ),
    (
        ("ClusterAuthorizationFailedError",),
        "an administrator must allow this user Create on topics of the prefix, or make the topic",
    ),
    (("SaslAuthenticationFailedError",), "check the user and the password"),
    (("SSLError",), "check ca, certificate and key, and the brokers' names"),
    (("NotEnoughReplicasError", "NotEnoughReplicasAfterAppendError"), "too few brokers keep up; see to those missing"),
    (("MessageSizeTooLargeError", "RecordListTooLargeError"), "set the topic's max.message.bytes to 16777216"),
    (("UnknownTopicOrPartitionError",), "it was deleted; start Almena anew to make it again"),
    (
        ("KafkaTimeoutError", "KafkaConnectionError", "NodeNotReadyError", "NoBrokersAvailable", "Cancelled"),
        "see whether the brokers run and can be reached",
    ),
)


def refusal(what: str, error: BaseException) -> BusError:
    """The error as a person reads it: what did not happen, why, and what to do."""
    names = {"SSLError"} if "SSL: " in str(error) else {kind.__name__ for kind in type(error).__mro__}
    advice = next((f"; {text}" for kinds, text in _ADVICE if names & set(kinds)), "")
    text = re.sub(r"^\[Error \d+\] ", "", str(error)) or type(error).__name__
    return BusError(f"bus: {what}: {text}{advice}")


def _telling(error: BaseException) -> int:
    """How much an error says: why somebody was refused, that nothing listens, or only that it did not work."""
    if isinstance(error, kafka_errors.SaslAuthenticationFailedError) or "SSL: " in str(error):
        return 2
    return int("ECONN" in str(error))


def options(servers: Sequence[str], settings: KafkaSettings, name: str) -> dict[str, Any]:
    """kafka-python's options to reach a cluster; raises ConfigError when a file cannot be used."""
    found: dict[str, Any] = {
        "bootstrap_servers": list(servers),
        "client_id": name or "almena",
        "bootstrap_timeout_ms": int(kafka_client.PATIENCE * 800),
        "request_timeout_ms": int(kafka_client.PATIENCE * 800),
        "reconnect_backoff_max_ms": 1000,
        "proxy_url": f"{_Socket.SCHEMES[0]}://",
        "security_protocol": ("SASL_" if settings.user else "") + ("SSL" if settings.tls else "PLAINTEXT"),
    }
    if found["security_protocol"] == "SASL_PLAINTEXT":
        log.warning("bus: the user %r signs in without TLS: set tls = true", settings.user)
    if settings.user:
        found |= {
            "sasl_mechanism": settings.mechanism,
            "sasl_plain_username": settings.user,
            "sasl_plain_password": settings.secret(),
        }
    if settings.tls:
        try:
            context = ssl.create_default_context(cafile=settings.ca or None)
            if settings.certificate:
                context.load_cert_chain(settings.certificate, settings.key or None)
        except OSError as error:
            files = ", ".join(filter(None, [settings.ca, settings.certificate, settings.key]))
            raise ConfigError(f"kafka: ca, certificate or key ({files}) cannot be used: {error}") from error
        context.sslsocket_class = _SecureSocket
        found["ssl_context"] = context
    return found


class _Socket(KafkaNetSocket):  # type: ignore[misc]
    """Connects as the library does, and closes what does not connect: it leaves that to the garbage collector."""

    SCHEMES = ("closing",)

    async def sock_connect(self, net: Any, sock: Any, sockaddr: Any, timeout_at: float | None = None) -> Any:
        try:
            return await super().sock_connect(net, sock, sockaddr, timeout_at=timeout_at)
        except BaseException:
            sock.close()
            raise


class _SecureSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except BaseException:
            self.close()
            raise


def made(kind: Callable[..., T], what: str, configs: dict[str, Any]) -> T:
    """A client, or a BusError and nothing left behind: a constructor that fails keeps a thread and sockets.

    The error tells why the last connection failed; the library's own only says that there is none.
    """
    made: list[Any] = []
    tried: list[Any] = []

    def network(**inner: Any) -> Any:
        made.append(KafkaNetClient(**inner))
        manager = made[0]._manager
        connect = manager.get_connection

        def get_connection(*args: Any, **options: Any) -> Any:
            tried.append(connect(*args, **options))
            return tried[-1]

        manager.get_connection = get_connection
        return made[0]

    try:
        client = kind(kafka_client=network, **configs)
    except (kafka_errors.KafkaError, OSError, ValueError, RuntimeError) as error:
        for each in made:
            with suppress(Exception):
                each.close()
        causes = [conn.init_future.exception for conn in tried if conn.init_future.is_done]
        cause = max(filter(None, causes), key=_telling, default=error)
        refused = refusal(f"{what}: {','.join(configs['bootstrap_servers'])}", cause)
        if "sasl_mechanism" in configs and not _telling(cause):  # their reason is often lost with the connection
            refused = BusError(f"{refused}; or check the user and the password")
        raise refused from error
    del made[0]._manager.get_connection
    return client

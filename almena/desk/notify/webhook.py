"""Tells messages to a web address by POST, and can be turned against no other: pinned address, no redirects, limits."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

import msgspec

from almena.clock import SECOND, now
from almena.desk.notify.base import Common, Message, NotifyError
from almena.errors import ConfigError

if TYPE_CHECKING:
    import httpx

LARGEST_ANSWER = 65_536
"""Bytes of an answer that are read; what follows is not."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_PORTS = {"https": 443, "http": 80}


@dataclass(kw_only=True)
class Webhook(Common):
    """A POST with a JSON object: title, text, level, agency, url, alert, group, rule, time, count, key.

    `Idempotency-Key` is the same for every attempt at one message. With a secret, `Almena-Signature` is
    `t=<seconds>,v1=<hex>`, the HMAC-SHA256 of `<seconds>.<body>`. Any answer from 200 to 299 is a delivery.
    """

    url: str
    """Where to POST; https, or http where `allow_http` says so."""
    hosts: list[str] = field(default_factory=list)
    """The hosts that may be called at all; the url's own when empty."""
    allow_private: bool = False
    """Whether the host may have a private, loopback or link-local address."""
    allow_http: bool = False
    """Whether the message may travel without encryption."""
    secret_env: str = ""
    """The environment variable that holds the signing secret."""
    secret_file: str = ""
    """The file that holds the signing secret."""

    def __post_init__(self) -> None:
        """Raises ConfigError for an address that may not be called, or a secret that is not there."""
        super().__post_init__()
        parts = self._parts()
        if parts.scheme != "https" and not (parts.scheme == "http" and self.allow_http):
            raise ConfigError("url must begin with https:// (or http:// with allow_http = true)")
        if not parts.hostname or parts.username is not None or parts.password is not None:
            raise ConfigError("url must name a host, and no user or password")
        if self.hosts and parts.hostname not in [host.lower() for host in self.hosts]:
            raise ConfigError(f"url: the host {parts.hostname} is not among hosts")
        if self.secret_env and self.secret_file:
            raise ConfigError("give secret_env or secret_file, not both")
        self._secret()

    def send(self, message: Message) -> None:
        """Deliver the message; raises NotifyError with the reason, which never tells the url's path."""
        import httpx

        try:
            asyncio.run(self._send(msgspec.json.encode(message), message.key))
        except TimeoutError:
            raise NotifyError(f"{self._host()}: no answer within {self.timeout}") from None
        except httpx.HTTPError as error:
            raise NotifyError(f"{self._host()}: {type(error).__name__}: {error}"[:300]) from None
        except (OSError, ValueError) as error:
            raise NotifyError(f"{self._host()}: {error}"[:300]) from None

    async def _send(self, body: bytes, key: str) -> None:
        import httpx

        async with (
            asyncio.timeout(self.timeout / SECOND),
            httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=self.timeout / SECOND) as client,
        ):
            parts = self._parts()
            request = client.build_request(
                "POST", self._pinned(parts, await self._address(parts)), content=body, headers=self._headers(body, key)
            )
            request.extensions["sni_hostname"] = str(parts.hostname)
            await self._judge(await client.send(request, stream=True))

    async def _judge(self, answer: httpx.Response) -> None:
        try:
            if answer.is_redirect or 300 <= answer.status_code < 400:
                raise NotifyError(f"{self._host()}: answered with a redirect ({answer.status_code}); give its target")
            if not 200 <= answer.status_code < 300:
                raise NotifyError(f"{self._host()}: answered {answer.status_code}")
            read = 0
            async for chunk in answer.aiter_raw():
                read += len(chunk)
                if read > LARGEST_ANSWER:
                    break
        finally:
            await answer.aclose()

    async def _address(self, parts: SplitResult) -> str:
        """The address the host has now; every one it has must be allowed, and the one returned is the one called."""
        port = parts.port or _PORTS[parts.scheme]
        found = await asyncio.get_running_loop().getaddrinfo(str(parts.hostname), port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
        for address in addresses:
            if not self.allow_private and not _is_public(address):
                raise NotifyError(f"{self._host()}: {address} is a private address; set allow_private if it is meant")
        if not addresses:
            raise NotifyError(f"{self._host()}: has no address")
        return addresses[0]

    def _pinned(self, parts: SplitResult, address: str) -> str:
        host = f"[{address}]" if ":" in address else address
        port = f":{parts.port}" if parts.port else ""
        return parts._replace(netloc=host + port, fragment="").geturl()

    def _headers(self, body: bytes, key: str) -> dict[str, str]:
        parts = self._parts()
        headers = {
            "Host": parts.netloc,
            "Content-Type": "application/json",
            "User-Agent": "almena",
            "Accept-Encoding": "identity",
            "Idempotency-Key": key,
        }
        if secret := self._secret():
            moment = str(now() // SECOND)
            digest = hmac.new(secret, moment.encode() + b"." + body, hashlib.sha256).hexdigest()
            headers["Almena-Signature"] = f"t={moment},v1={digest}"
        return headers

    def _secret(self) -> bytes:
        if self.secret_env:
            text = os.environ.get(self.secret_env, "")
            if not text:
                raise ConfigError(f"secret_env: the variable {self.secret_env} is not set")
            return text.encode()
        if self.secret_file:
            try:
                text = Path(self.secret_file).read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError):
                raise ConfigError(f"secret_file: {self.secret_file} cannot be read") from None
            if not text:
                raise ConfigError(f"secret_file: {self.secret_file} is empty")
            return text.encode()
        return b""

    def _parts(self) -> SplitResult:
        try:
            parts = urlsplit(self.url)
            _ = parts.port
        except ValueError:
            raise ConfigError("url is no valid address") from None
        return parts

    def _host(self) -> str:
        return str(self._parts().hostname)


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if found in _NAT64:
            inner = ipaddress.IPv4Address(found.packed[-4:])
        if inner is not None:
            return inner.is_global and not inner.is_multicast
    return found.is_global and not found.is_multicast

"""Whose request it is: by a secret shown or signed with, by the name on a certificate, or by nothing at all.

    Authorization: Bearer <secret>
    Authorization: Basic base64(<name>:<secret>)          as Elasticsearch's clients send user and password
    Authorization: ApiKey base64(<name>:<secret>)         as they send an API key
    X-Almena-Signature: t=<seconds>,v1=<hex>              HMAC-SHA256 of "<seconds>." and the body as sent
    X-Almena-Source: <name>                               beside a signature: whose it is, so that one is computed

A signature holds for five minutes, once: sent again with the same batch it is the same batch.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from starlette.requests import Request

from almena.clock import MINUTE, SECOND, now
from almena.errors import ConfigError
from collectors.base import Source
from collectors.http.answers import Refusal
from collectors.http.tokens import Token, secret_of

TOLERANCE = 5 * MINUTE
"""How far the time in a signature may lie from ours."""

_MOST_REMEMBERED = 100_000
_SIGNATURE = re.compile(r"t=(\d{1,12})((?:,v1=[0-9a-f]{64}){1,4})", re.ASCII)
_NOT_KNOWN = "no valid token; send 'Authorization: Bearer <token>', a signature, or a certificate of this source"


class Entry:
    """One sender as requests are compared with it."""

    __slots__ = ("anyone", "digest", "key", "name", "names", "rate", "secret", "source")

    def __init__(self, key: str, token: Token, source: Source, secret: str) -> None:
        self.key = key
        self.name = _digest(key)
        self.source = source
        self.secret = secret.encode("utf-8", "replace")
        self.digest = _digest(secret) if secret else None
        self.names = frozenset(_plain(name) for name in token.names)
        self.anyone = token.anyone
        self.rate = token.rate


class Access:
    """All senders of a collector."""

    def __init__(self, tokens: Mapping[str, Token], sources: Mapping[str, Source], where: str, *, tls: bool) -> None:
        """`sources` by the keys of `tokens`; `tls` says whether certificates are asked for. Raises ConfigError."""
        self.entries = [
            Entry(key, token, sources[key], secret_of(token, f"{where}.tokens.{key}")) for key, token in tokens.items()
        ]
        self._seen: dict[str, tuple[int, str]] = {}
        self._check(where, tls)

    def _check(self, where: str, tls: bool) -> None:
        if not self.entries:
            raise ConfigError(f"{where}: tokens: nobody may post; add [{where}.tokens.<name>]")
        secrets = [entry.digest for entry in self.entries if entry.digest]
        if len(set(secrets)) < len(secrets):
            raise ConfigError(f"{where}: tokens: two of them are the same secret")
        names = [name for entry in self.entries if not entry.digest for name in entry.names]
        if len(set(names)) < len(names):
            raise ConfigError(f"{where}: tokens: two of them are known by the same name on a certificate")
        if not tls and any(entry.names for entry in self.entries):
            raise ConfigError(f"{where}: tokens: 'names' are on certificates, so 'clients' must say whose these are")
        if sum(entry.anyone for entry in self.entries) > 1:
            raise ConfigError(f"{where}: tokens: two of them are 'anyone', and nobody could tell which")

    def known(self, request: Request) -> Entry | None:
        """Whose request it is by its header, None where only its signature tells; raises Refusal.

        Every secret is compared, in time that tells nothing.
        """
        shown = request.headers.get("authorization")
        found: Iterable[Entry]
        if shown is not None:
            name, digest = _shown(shown)
            found = [entry for entry in self.entries if _is(entry, name, digest) and _bears(entry, request)]
        elif "x-almena-signature" in request.headers:
            return None
        else:
            found = [entry for entry in self.entries if not entry.digest and entry.names and _bears(entry, request)]
            found = found or [entry for entry in self.entries if entry.anyone]
        for entry in found:
            return entry
        raise Refusal(401, _NOT_KNOWN)

    async def signed(self, request: Request, body: bytes, batch: str | None) -> tuple[Entry, str]:
        """Who signed the body, and the batch's name: the one it was given, or else the signature; raises Refusal."""
        match = _SIGNATURE.fullmatch(request.headers.get("x-almena-signature", "").replace(" ", ""))
        if match is None:
            raise Refusal(401, "X-Almena-Signature: write it as t=<seconds since 1970>,v1=<64 hexadecimal digits>")
        moment = int(match[1]) * SECOND
        if abs(now() - moment) > TOLERANCE:
            raise Refusal(401, "X-Almena-Signature: its time is more than five minutes from ours; see to the clocks")
        claimed = request.headers.get("x-almena-source")
        entries = [entry for entry in self.entries if entry.digest and claimed in (None, entry.key)]
        given = match[2].removeprefix(",v1=").split(",v1=")
        found = await asyncio.to_thread(_signer, entries, match[1].encode() + b".", body, given)
        if found is None or not _bears(found[0], request):
            raise Refusal(401, "X-Almena-Signature: no source signs this body so")
        entry, signature = found
        return entry, self._once(signature, moment, batch if batch is not None else f"sig.{signature[:40]}")

    def _once(self, signature: str, moment: int, batch: str) -> str:
        """The batch's name, refused where the signature came with another: that is somebody else's copy."""
        known = self._seen.get(signature)
        if known is not None and known[1] != batch:
            raise Refusal(401, "X-Almena-Signature: it was used for another batch; sign each one with its own time")
        if known is None:
            oldest = now() - 2 * TOLERANCE
            while self._seen and (len(self._seen) >= _MOST_REMEMBERED or self._first() < oldest):
                del self._seen[next(iter(self._seen))]
            self._seen[signature] = (moment, batch)
        return batch

    def _first(self) -> int:
        return next(iter(self._seen.values()))[0]


def certificate_names(shown: Mapping[str, Any] | None) -> list[str]:
    """Every name on a verified certificate, as `getpeercert` gives it: common names and alternative names."""
    if not shown:
        return []
    found = [value for part in shown.get("subject", ()) for kind, value in part if kind == "commonName"]
    found += [value for kind, value in shown.get("subjectAltName", ()) if isinstance(value, str)]
    return [_plain(name) for name in found]


def _plain(name: str) -> str:
    return name.lower().rstrip(".")


def _bears(entry: Entry, request: Request) -> bool:
    """Whether the request came with a certificate that the entry asks for, or it asks for none."""
    return not entry.names or not entry.names.isdisjoint(getattr(request.state, "names", ()))


def _shown(header: str) -> tuple[bytes | None, bytes]:
    """The name, where there is one, and the secret that a header shows, as they are compared."""
    scheme, _, value = header.partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        return None, _digest(value)
    if scheme.lower() not in ("basic", "apikey"):
        return None, _digest("")
    try:
        name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None, _digest("")
    return _digest(name), _digest(secret)


def _is(entry: Entry, name: bytes | None, digest: bytes) -> bool:
    named = hmac.compare_digest(entry.name, entry.name if name is None else name)
    return hmac.compare_digest(entry.digest or _NOBODY, digest) and named and entry.digest is not None


def _signer(entries: Sequence[Entry], head: bytes, body: bytes, given: Sequence[str]) -> tuple[Entry, str] | None:
    """Who signed, of those who may have; each one's signature is computed and compared whole."""
    found = None
    for entry in entries:
        made = hmac.new(entry.secret, head, hashlib.sha256)
        made.update(body)
        signature = made.hexdigest()
        if sum(hmac.compare_digest(signature, each) for each in given):
            found = entry, signature
    return found


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


_NOBODY = bytes(32)

"""Every address, user, host and hash of an event in one place each, `related.*`, where people search for them."""

from __future__ import annotations

from almena.event import Event
from collectors.parsers.common import address

_SIDES = ("source", "destination", "client", "server", "host")
_USERS = ("user", "user.effective", "user.target", "user.changes", "process.user", "process.real_user")
_HASHES = ("md5", "sha1", "sha256", "sha512", "imphash", "pehash")

_KINDS: dict[str, str] = {
    **dict.fromkeys((f"{side}.ip" for side in _SIDES), "related.ip"),
    **dict.fromkeys((f"{side}.nat.ip" for side in _SIDES[:4]), "related.ip"),
    **dict.fromkeys(("dns.resolved_ip", "network.forwarded_ip", "observer.ip"), "related.ip"),
    **dict.fromkeys((f"{who}.name" for who in _USERS), "related.user"),
    **dict.fromkeys((f"{side}.user.name" for side in _SIDES[:4]), "related.user"),
    **dict.fromkeys((f"{side}.domain" for side in _SIDES[:4]), "related.hosts"),
    **dict.fromkeys(("host.name", "host.hostname", "url.domain", "dns.question.name"), "related.hosts"),
    **dict.fromkeys((f"{what}.hash.{kind}" for what in ("file", "process", "dll") for kind in _HASHES), "related.hash"),
    **dict.fromkeys(("file.pe.imphash", "process.pe.imphash", "tls.client.ja3", "tls.server.ja3s"), "related.hash"),
}
_MOST = 64


def put_related(event: Event) -> None:
    """Set `related.ip`, `.user`, `.hosts` and `.hash` from what the event says; what it lists already stays first."""
    found: dict[str, list[str]] = {}
    for name, value in event.items():
        kind = _KINDS.get(name)
        if kind is not None:
            found.setdefault(kind, []).extend(value if isinstance(value, list) else (value,))
    for kind, values in found.items():
        before = event.get(kind)
        if before is not None:
            values = [*(before if isinstance(before, list) else (before,)), *values]
        fits = address if kind == "related.ip" else _text
        event[kind] = [value for value in dict.fromkeys(map(fits, values)) if value is not None][:_MOST]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None

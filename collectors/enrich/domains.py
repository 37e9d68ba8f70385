"""What of a host's name is registered, by the public suffix list: `example.gob.mx` in `www.example.gob.mx`."""

from __future__ import annotations

from functools import cache, lru_cache

from publicsuffixlist import PublicSuffixList

from almena.event import Event

_LONGEST = 253
_PLACES = (
    ("url.domain", "url"),
    ("dns.question.name", "dns.question"),
    ("source.domain", "source"),
    ("destination.domain", "destination"),
    ("client.domain", "client"),
    ("server.domain", "server"),
)


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


@lru_cache(maxsize=32_768)
def split(name: str) -> tuple[str, str, str] | None:
    """Subdomain (may be empty), registered domain and top level of a name; None when nothing in it is registered."""
    clean = name.rstrip(".").lower()
    if not clean or len(clean) > _LONGEST or "." not in clean or clean.replace(".", "").isdigit():
        return None
    registered = _suffixes().privatesuffix(clean)
    if registered is None:
        return None
    top = registered.partition(".")[2]
    return clean[: -len(registered) - 1], registered, top


def put_domains(event: Event) -> None:
    """Set `registered_domain`, `top_level_domain` and `subdomain` beside every name of a host."""
    for name, prefix in _PLACES:
        value = event.get(name)
        if not isinstance(value, str) or len(value) > _LONGEST + 1:
            continue
        found = split(value)
        if found is not None:
            event[f"{prefix}.registered_domain"] = found[1]
            event[f"{prefix}.top_level_domain"] = found[2]
            if found[0]:
                event[f"{prefix}.subdomain"] = found[0]

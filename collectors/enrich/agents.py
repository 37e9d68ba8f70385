"""What a browser or program calls itself, taken apart: name, version, operating system, device."""

from __future__ import annotations

from functools import lru_cache

import ua_parser

from almena.event import Event

_LONGEST = 512


@lru_cache(maxsize=8_192)
def _fields(agent: str) -> dict[str, str]:
    found = ua_parser.parse(agent)
    fields: dict[str, str] = {}
    if found.user_agent is not None:
        fields["user_agent.name"] = found.user_agent.family
        fields["user_agent.version"] = _version(found.user_agent.major, found.user_agent.minor, found.user_agent.patch)
    if found.os is not None:
        fields["user_agent.os.name"] = found.os.family
        fields["user_agent.os.version"] = _version(found.os.major, found.os.minor, found.os.patch)
    if found.device is not None:
        fields["user_agent.device.name"] = found.device.family
    return {name: value for name, value in fields.items() if value}


def _version(*parts: str | None) -> str:
    known = []
    for part in parts:
        if not part:
            break
        known.append(part)
    return ".".join(known)


def put_agent(event: Event) -> None:
    """Set `user_agent.*` from `user_agent.original`, unless the sender did."""
    agent = event.get("user_agent.original")
    if isinstance(agent, str) and "user_agent.name" not in event:
        event |= _fields(agent[:_LONGEST])

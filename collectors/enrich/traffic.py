"""Which way traffic goes, seen from the institution's networks, and the flow's name in all tools (Community ID)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeGuard

from almena.errors import ConfigError
from almena.event import Event
from collectors.flows import community_id

_WITH_PORTS = {"tcp": 6, "udp": 17, "sctp": 132}


class Traffic:
    """Sets `network.direction`, `.type` and `.community_id` where both ends are known."""

    def __init__(self, internal: Sequence[str]) -> None:
        """`internal` networks are the institution's. Raises ConfigError for what is none."""
        try:
            networks = [ipaddress.ip_network(network) for network in internal]
        except ValueError as error:
            raise ConfigError(f"enrich: internal: {error}; write networks such as 10.0.0.0/8") from None

        @lru_cache(maxsize=65_536)
        def look(address: str) -> tuple[bool, bytes] | None:
            try:
                found = ipaddress.ip_address(address)
            except ValueError:
                return None
            inside = found.is_loopback or found.is_link_local or any(found in network for network in networks)
            return inside, found.packed

        self._look = look

    def __call__(self, event: Event) -> None:
        """Add what follows from the two addresses."""
        source, destination = event.get("source.ip"), event.get("destination.ip")
        if not (isinstance(source, str) and isinstance(destination, str)) or len(source) + len(destination) > 128:
            return
        one, other = self._look(source), self._look(destination)
        if one is None or other is None:
            return
        if "network.direction" not in event:
            if one[0]:
                event["network.direction"] = "internal" if other[0] else "outbound"
            else:
                event["network.direction"] = "inbound" if other[0] else "external"
        if "network.type" not in event:
            event["network.type"] = "ipv4" if len(one[1]) == 4 else "ipv6"
        number = _WITH_PORTS.get(event.get("network.transport", ""))
        if number is None or "network.community_id" in event or len(one[1]) != len(other[1]):
            return
        source_port, destination_port = event.get("source.port"), event.get("destination.port")
        if _is_port(source_port) and _is_port(destination_port):
            event["network.community_id"] = community_id((one[1], source_port), (other[1], destination_port), number)


def _is_port(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and 0 <= value < 65_536

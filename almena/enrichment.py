"""`[enrich]`: the networks, tables and databases that events are enriched with."""

from __future__ import annotations

from dataclasses import dataclass, field

from almena.clock import SECOND, Span
from almena.errors import ConfigError


@dataclass(kw_only=True)
class EnrichSettings:
    """What events gain at the intake: assets, places, threat indicators, and who had an address.

    Tables are files, read anew when they change; a file that is broken then is told, and what was read stays in use.
    """

    internal: list[str] = field(
        default_factory=lambda: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"]
    )
    """Networks of the institution: they decide `network.direction`. Add its public ones."""
    assets: str = ""
    """CSV of assets: columns `network` or `host` (or both), `name`, `agency`, `owner`, `criticality`, `kind`."""
    geo: list[str] = field(default_factory=list)
    """Databases of places and autonomous systems, MaxMind's format (`.mmdb`)."""
    indicators: list[str] = field(default_factory=list)
    """Threat indicators: CSV, STIX 2.1 (`.json`) or MISP events (`.json`); `*` names many files."""
    max_indicators: int = 2_000_000
    """Most indicators kept, in a temporary file and 16 MiB of memory; what is beyond is told and left out."""
    max_leases: int = 100_000
    """Most addresses whose DHCP lease is remembered; 0 remembers none."""
    reload: Span = field(default_factory=lambda: Span(30 * SECOND))
    """How often files are looked at for changes."""

    def __post_init__(self) -> None:
        if self.reload < SECOND:
            raise ConfigError(f"reload: {self.reload} is shorter than 1s")
        if self.max_indicators < 1 or self.max_leases < 0:
            raise ConfigError("max_indicators, max_leases: a table cannot have fewer entries than none")

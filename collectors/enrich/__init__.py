"""What every event gains after its parser: one pure step per file, applied in the order of one list.

A step adds fields that follow from the event and from tables; it never changes what a parser said, reads no clock
and never fails. Tables are files that are read anew when they change.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from almena.enrichment import EnrichSettings
from almena.errors import ConfigError
from almena.event import Event
from collectors.enrich import domains, related, traffic
from collectors.enrich.agents import put_agent
from collectors.enrich.assets import Assets
from collectors.enrich.geo import Geo
from collectors.enrich.indicators import Indicators
from collectors.enrich.leases import Leases

log = logging.getLogger("almena.enrich")

Step = Callable[[Event], None]


class Table(Protocol):
    """A step with files behind it."""

    def __call__(self, event: Event) -> None:
        """Add what the table says."""

    def refresh(self) -> bool:
        """Read the files anew if they changed; True when they did. Raises ConfigError, and keeps what it had."""


class Enricher:
    """All steps; `refresh` belongs into another thread, and exchanges whole tables."""

    def __init__(self, settings: EnrichSettings) -> None:
        """Raises ConfigError when a file that `settings` names cannot be read."""
        self._tables: list[Table] = []
        if settings.assets:
            self._tables.append(Assets(settings.assets))
        if settings.geo:
            self._tables.append(Geo(settings.geo))
        if settings.indicators:
            self._tables.append(Indicators(settings.indicators, settings.max_indicators))
        for table in self._tables:
            table.refresh()
        leases = [Leases(settings.max_leases)] if settings.max_leases else []
        # Leases give hosts and users that `related` lists, and domains are what indicators are matched with.
        self._steps: list[Step] = [
            traffic.Traffic(settings.internal),
            domains.put_domains,
            put_agent,
            *leases,
            *self._tables,
            related.put_related,
        ]

    def __call__(self, event: Event) -> Event:
        """The same event with what the steps add."""
        for step in self._steps:
            step(event)
        return event

    def refresh(self) -> None:
        """Read changed files anew; what cannot be read is logged, and the table before stays."""
        for table in self._tables:
            try:
                table.refresh()
            except ConfigError as error:
                log.error("%s; what was read before stays in use", error)

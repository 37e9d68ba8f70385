"""The options of the desk."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from almena.clock import DAY, MINUTE, SECOND, Span


@dataclass(kw_only=True)
class DeskSettings:
    """How alerts are grouped, told and kept."""

    window: Span = field(default_factory=lambda: Span(DAY))
    """Alerts of one rule, agency and entity within one such stretch of time are one group, and one page."""
    suppressions: str = ""
    """The file of suppressions; when empty, `suppressions.toml` beside the configuration, if there is one."""
    language: Literal["es", "en"] = "es"
    """The language of notifications."""
    zone: str = "America/Mexico_City"
    """The time zone of times in notifications, and of the days on which suppressions expire."""
    console_url: str = ""
    """The console's address as people on call reach it, such as `https://almena.example.gob.mx`; for links."""
    page_within: Span = field(default_factory=lambda: Span(DAY))
    """Alerts about older events (from a replay, or a feed that was down) are stored and not told."""
    attempts: int = 20
    """How often a notification is tried before it counts as failed."""
    first_retry: Span = field(default_factory=lambda: Span(5 * SECOND))
    """Pause before the second attempt; it doubles from then on, with jitter."""
    longest_retry: Span = field(default_factory=lambda: Span(15 * MINUTE))
    """Longest pause between two attempts."""
    keep_alerts: Span = field(default_factory=lambda: Span(400 * DAY))
    """How long alerts are kept."""
    keep_dead: Span = field(default_factory=lambda: Span(30 * DAY))
    """How long dead letters are kept."""
    keep_sessions: Span = field(default_factory=lambda: Span(30 * DAY))
    """How long ended sessions of the console are kept."""
    keep_outbox: Span = field(default_factory=lambda: Span(30 * DAY))
    """How long notifications are kept, delivered or not."""

    def __post_init__(self) -> None:
        """Raises ValueError for what cannot work."""
        if self.window < MINUTE:
            raise ValueError("window is shorter than a minute")
        if self.attempts < 1 or self.first_retry <= 0 or self.longest_retry < self.first_retry:
            raise ValueError("attempts, first_retry and longest_retry do not fit together")
        if self.console_url and not self.console_url.startswith(("https://", "http://")):
            raise ValueError("console_url begins with https:// or http://")

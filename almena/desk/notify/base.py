"""What a channel is: something that tells one message, or raises."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

import msgspec

from almena.alert import SEVERITY
from almena.clock import MINUTE, SECOND, Span
from almena.errors import AlmenaError, ConfigError


class NotifyError(AlmenaError):
    """The message was not delivered; the text says why, without secrets, and it will be tried again."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What people are told: complete in itself, for whoever reads it at night on a phone."""

    key: str
    """The same for every attempt at the same message: receivers use it to drop repeats."""
    title: str
    """One line: how bad, and what."""
    text: str
    """What happened, where, since when, how bad, what to do; lines of plain text."""
    level: str
    """`low`, `medium`, `high` or `critical`."""
    agency: str
    """The agency's id."""
    alert: str
    """The alert's id."""
    group: str
    """The group that this message stands for."""
    rule: str
    """The rule's id."""
    time: str
    """When it began, RFC 3339 in UTC."""
    count: int = 1
    """Alerts in the group so far."""
    url: str = ""
    """The alert in the console, where its address is known."""


class Notifier(Protocol):
    """A channel."""

    def send(self, message: Message) -> None:
        """Deliver the message, or raise NotifyError; may be called again with the same key."""


@dataclass(kw_only=True)
class Common:
    """What every channel is told, and how fast."""

    min_level: Literal["low", "medium", "high", "critical"] = "high"
    """The lowest level that is told here."""
    agencies: list[str] = field(default_factory=list)
    """The agencies whose alerts are told here; all when empty."""
    per_minute: int = 30
    """Messages per minute at most, the worst first; the others wait."""
    timeout: Span = field(default_factory=lambda: Span(10 * SECOND))
    """How long one delivery may take in all, up to 5 minutes."""

    def __post_init__(self) -> None:
        """Raises ConfigError for what cannot work."""
        if not 0 < self.timeout <= 5 * MINUTE:
            raise ConfigError("timeout must be between 0 and 5 minutes")
        if self.per_minute < 1:
            raise ConfigError("per_minute must be 1 or more")

    def takes(self, level: str, agency: str) -> bool:
        """Whether an alert of this level and agency is told here."""
        return SEVERITY[level] >= SEVERITY[self.min_level] and (not self.agencies or agency in self.agencies)

    def send(self, message: Message) -> None:
        """Deliver the message, or raise NotifyError."""
        raise NotImplementedError

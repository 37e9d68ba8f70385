"""Every error Almena raises on purpose: each says where it happened and what to do instead."""

from __future__ import annotations


class AlmenaError(Exception):
    """Something a person can act on; its text is shown as it is, without a traceback."""


class ConfigError(AlmenaError):
    """The configuration is wrong; the text begins with the file and the option."""


class UsageError(AlmenaError):
    """A command was called with something it cannot work with."""


class ParseError(AlmenaError):
    """A record could not be understood; it becomes a dead letter with this reason.

    `reason` is short and without the record's own text (records are not masked yet), `at` is the byte or
    character where reading stopped, when that is known.
    """

    def __init__(self, reason: str, at: int | None = None) -> None:
        """Keep the reason and the place apart, so that both can be stored."""
        super().__init__(reason if at is None else f"{reason} (at {at})")
        self.reason = reason
        self.at = at


class RuleError(AlmenaError):
    """A detection rule was rejected; the text says which rule and why."""


class BusError(AlmenaError):
    """The bus refused an operation, or its data is damaged."""


class Moved(BusError):
    """Partitions went to another member: what was done since the last commit is void; poll again."""


class Fenced(BusError):
    """Another process has taken this member's name: end this one."""


class StoreError(AlmenaError):
    """The store refused an operation, or its data is damaged."""


class Refused(StoreError):
    """The store works, but cannot keep this document as it is; trying again does not help."""


class Conflict(StoreError):
    """The document changed since it was read, or an id was created twice with different content."""

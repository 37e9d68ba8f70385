"""The store: documents with compare-and-set; every question carries the agencies its asker may see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import msgspec

from almena.errors import ConfigError

if TYPE_CHECKING:
    from almena.store.settings import ElasticsearchSettings

Document: TypeAlias = dict[str, Any]
"""A flat ECS document; `organization.id` says which agency it belongs to."""

Scope: TypeAlias = frozenset[str] | None
"""The agencies a caller may see; None is all of them, and documents of none."""

ALL: Scope = None

KINDS = ("alerts", "users", "sessions", "outbox", "audit", "ledger", "dead", "events")
"""The kinds of documents there are. Ids of alerts begin with `YYYYMM-`, those of events with `YYYYMMDD-`."""

ALERTS, USERS, SESSIONS, OUTBOX, AUDIT, LEDGER, DEAD, EVENTS = KINDS


class Versioned(msgspec.Struct, frozen=True):
    """A document as it was read; hand `version` back to `replace`."""

    id: str
    version: int
    document: Document


class Filter(msgspec.Struct, frozen=True):
    """A condition on one field; a list in the document matches when one of its values does."""

    field: str
    op: Literal["in", "gte", "lt", "prefix", "exists"]
    values: tuple[str | int | float | bool, ...] = ()
    negate: bool = False


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Which documents, in which order. All conditions must hold."""

    kind: str
    scope: Scope
    text: str = ""
    """Words that must all stand in the document's text, whole, as `store.text.tokens` cuts them."""
    filters: tuple[Filter, ...] = ()
    sort: str = "@timestamp"
    """A field; documents without it come last; ties are broken by id."""
    descending: bool = True
    limit: int = 50


class Page(msgspec.Struct, frozen=True):
    """One page of answers; `cursor` asks for the next, None when there is none."""

    items: list[Versioned]
    cursor: str | None = None


class Terms(msgspec.Struct, frozen=True):
    """The most frequent values of a field, with counts."""

    field: str
    limit: int = 50


class Histogram(msgspec.Struct, frozen=True):
    """Counts per interval (microseconds) of a date field; keys are the intervals' RFC 3339 starts."""

    field: str
    interval: int


class Cardinality(msgspec.Struct, frozen=True):
    """How many different values a field has; the one key of the answer is the field's name."""

    field: str


Outcome: TypeAlias = Literal["created", "same", "different"]
"""What a create found: nothing there, the same content there, or other content (an error to report)."""


class Store(Protocol):
    """Documents by kind and id, with compare-and-set, search and counting."""

    by_period: bool
    """Whether alerts lie by month and events by day, so that old ones go at once: such a store can keep events."""

    def create_many(self, kind: str, documents: Mapping[str, Document]) -> dict[str, Outcome]:
        """Create what is not there yet; nothing that is there changes. Durable when it returns."""

    def get(self, kind: str, id: str, *, scope: Scope) -> Versioned | None:  # noqa: A002 (the field's own name)
        """The document, read after all writes; None when it is not there or outside `scope`."""

    def replace(self, kind: str, id: str, document: Document, version: int) -> int:  # noqa: A002
        """Write over `version` and return the new one; raises Conflict when it is no longer that version."""

    def delete(self, kind: str, id: str) -> None:  # noqa: A002
        """Remove one document, such as a session that ended; nothing happens when it is not there."""

    def search(self, query: Query, cursor: str | None = None) -> Page:
        """One page of documents; a cursor continues exactly behind the last one, whatever was written since."""

    def count(self, query: Query) -> int:
        """How many documents match."""

    def aggregate(self, query: Query, by: Terms | Histogram | Cardinality) -> Sequence[tuple[str, int]]:
        """Counts over all matches (not only `limit`): terms by count then value, histograms by time."""

    def scan(self, kind: str, scope: Scope = ALL) -> Iterator[Versioned]:
        """Every document of a kind in the order of ids, as they were at one moment; for moving and comparing stores."""

    def expire(self, kind: str, before: int) -> int:
        """Remove documents whose `@timestamp` is before `before` (microseconds); returns how many.

        A store that keeps alerts by month and events by day removes those by whole months and days.
        """

    def close(self) -> None:
        """Let go of files and connections."""


def open_store(url: str, settings: ElasticsearchSettings | None = None) -> Store:
    """The store at `url`: `memory:`, `sqlite:PATH` or `https://HOST:9200,...`, reached as `settings` say."""
    scheme, _, rest = url.partition(":")
    match scheme:
        case "memory":
            from almena.store.memory import MemoryStore

            return MemoryStore()
        case "sqlite":
            from almena.store.sqlite import SqliteStore

            return SqliteStore(rest)
        case "https" | "http":
            from almena.store.elasticsearch import ElasticsearchStore
            from almena.store.settings import ElasticsearchSettings

            return ElasticsearchStore(url, settings or ElasticsearchSettings())
        case _:
            raise ConfigError(
                f"store: {url!r} is not known; write 'memory:', 'sqlite:data/store.sqlite' or 'https://HOST:9200'"
            )

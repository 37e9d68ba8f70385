"""The sources on screen: when each last spoke, what it sent, and what of it was lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from almena.clock import DAY, HOUR, MINUTE, SECOND, Span, parse_time
from almena.console.visit import Visit
from almena.store import DEAD, LEDGER, Document, Filter, Query, Scope, Store, Terms

MOST = 20_000
"""Ledger documents that are read; one a source and partition."""

_PAGE = 1_000


@dataclass
class Source:
    """One source of one agency, over all its partitions."""

    name: str
    agency: str
    events: int = 0
    repeats: int = 0
    late: int = 0
    future: int = 0
    last_event: str = ""
    last_ingested: str = ""
    delay: int = 0
    """How long its quicker events take to arrive, microseconds; below zero its clock is ahead."""
    dead: int = 0
    """Dead letters that wait for somebody."""
    drops: dict[str, int] = field(default_factory=dict)
    """Records lost for good, by reason."""

    @property
    def dropped(self) -> int:
        """Records lost for good."""
        return sum(self.drops.values())

    silent: bool = False
    """It speaks less often than its configuration expects."""

    @property
    def ahead(self) -> Span | None:
        """By how much its clock is ahead; None below a second, which is no more than imprecise."""
        return _coarse(-self.delay) if self.delay < -SECOND else None

    @property
    def behind(self) -> Span | None:
        """By how much its clock is behind, or all it says is late; None below a minute."""
        return _coarse(self.delay) if self.delay > MINUTE else None

    def quiet(self, now: int, after: int) -> bool:
        """Whether nothing arrived for longer than `after` microseconds, which for some sources is ordinary."""
        return not self.last_ingested or now - parse_time(self.last_ingested) > after


def sources_page(visit: Visit) -> Response:
    """Every source, the silent ones first."""
    after = round(visit.console.settings.quiet_minutes * MINUTE)
    status = visit.console.status(visit.scope, visit.language)
    silent = {(item["agency"], item["name"]) for item in status.get("sources") or () if item.get("silent")}
    found = sources(visit.console.store, visit.scope)
    for source in found:
        source.silent = (source.agency, source.name) in silent
    rows = sorted(
        ((source, source.quiet(visit.look.now, after)) for source in found),
        key=lambda row: (not row[0].silent, row[0].agency, row[0].name),
    )
    template = "sources_table.html" if visit.fragment else "sources.html"
    problems = [str(problem) for problem in status.get("problems") or ()]
    return visit.render(template, rows=rows, problems=problems)


def sources(store: Store, scope: Scope) -> list[Source]:
    """Every source the ledger knows within `scope`."""
    found: dict[tuple[str, str], Source] = {}
    for document in _documents(store, scope):
        name = str(document.get("almena.source.name") or "")
        agency = str(document.get("organization.id") or "")
        if name:
            _add(found.setdefault((agency, name), Source(name, agency)), document)
    for agency in {agency for agency, _ in found}:
        for name, count in _dead(store, scope, agency):
            if (agency, name) in found:
                found[agency, name].dead = count
    return list(found.values())


def _documents(store: Store, scope: Scope) -> Iterable[Document]:
    query = Query(
        kind=LEDGER, scope=scope, filters=(Filter("almena.source.name", "exists"),), sort="@timestamp", limit=_PAGE
    )
    cursor: str | None = None
    for _ in range(MOST // _PAGE):
        page = store.search(query, cursor)
        for item in page.items:
            yield item.document
        cursor = page.cursor
        if cursor is None:
            return


def _coarse(span: int) -> Span:
    """A length of time in the largest unit of which it has two."""
    unit = next((unit for unit in (DAY, HOUR, MINUTE) if span >= 2 * unit), SECOND)
    return Span(span // unit * unit)


def _add(source: Source, document: Mapping[str, Any]) -> None:
    reason = document.get("almena.drop.reason")
    if reason is not None:
        count = int(document.get("almena.drop.count") or 0)
        source.drops[str(reason)] = source.drops.get(str(reason), 0) + count
        return
    for name in ("events", "repeats", "late", "future"):
        setattr(source, name, getattr(source, name) + int(document.get(f"almena.source.{name}") or 0))
    delay = int(document.get("almena.source.delay") or 0)
    source.delay = min(source.delay, delay) if source.delay else delay
    for name in ("last_event", "last_ingested"):
        setattr(source, name, max(getattr(source, name), str(document.get(f"almena.source.{name}") or "")))


def _dead(store: Store, scope: Scope, agency: str) -> Iterable[tuple[str, int]]:
    waiting = [Filter("almena.dead.status", "in", ("open",))]
    if agency:
        waiting.append(Filter("organization.id", "in", (agency,)))
    return store.aggregate(Query(kind=DEAD, scope=scope, filters=tuple(waiting)), Terms("almena.source.name", 5_000))

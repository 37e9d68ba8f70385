"""How the whole is doing: for machines whether it lives and its metrics, for people a page in words."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from almena.clock import SECOND
from almena.console.memory import Memory
from almena.console.security import host_of
from almena.errors import AlmenaError
from almena.store import ALL, LEDGER, Scope
from almena.traffic import READERS, lasting

if TYPE_CHECKING:
    from almena.console.rules import RuleInfo
    from almena.console.visit import Console, Visit

Status = Callable[[Scope, str], Mapping[str, Any]]
"""How the whole is doing within a scope, its problems in a language."""

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


async def alive(request: Request) -> Response:
    """200 while the store answers, 503 otherwise; says nothing else to strangers."""
    console: Console = request.app.state.console
    try:
        await anyio.to_thread.run_sync(lambda: console.store.get(LEDGER, "rules", scope=ALL))
    except (AlmenaError, OSError):
        return PlainTextResponse("the store does not answer\n", 503)
    return PlainTextResponse("ok\n")


async def metrics(request: Request) -> Response:
    """Prometheus text for a scraper on this machine; for anybody else the page does not exist."""
    if not from_here(request):
        return PlainTextResponse("not found\n", 404)
    console: Console = request.app.state.console
    text = await anyio.to_thread.run_sync(console.metrics)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def from_here(request: Request) -> bool:
    """Whether the peer is this machine itself, not somebody whom a proxy on this machine forwards."""
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    named = host_of(request.headers.get("host", ""))
    return _loopback(request.client.host) and (named == "localhost" or _loopback(named))


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def health_page(visit: Visit) -> Response:
    """What is wrong, what waits on the bus, who works, the memory of correlations, and who comes late."""
    from almena.console.sources import sources

    figures, titles = visit.console.memory.figures(), titles_of(visit.console.rules(), visit.language)
    state = visit.console.status(visit.scope, visit.language)
    late = [source for source in sources(visit.console.store, visit.scope) if source.late]
    return visit.render(
        "health.html",
        figures=figures,
        remembers=not figures.problems(visit.language, titles),
        problems=[str(problem) for problem in state.get("problems") or ()],
        lag=_lag(state),
        outbox=state.get("outbox") or {"waiting": 0, "failed": 0},
        spool=state.get("spool"),
        members=state.get("members") or (),
        titles=titles,
        late=sorted(late, key=lambda source: (-source.late / max(source.events, 1), source.agency, source.name)),
    )


def _lag(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What waits, a row for each topic."""
    delays = state.get("delay") or {}
    return [
        {
            "topic": topic,
            "reader": READERS.get(topic, ""),
            "count": count,
            "delay": "" if delays.get(topic) is None else lasting(round(delays[topic] * SECOND)),
        }
        for topic, count in (state.get("lag") or {}).items()
    ]


def titles_of(rules: Sequence[RuleInfo], language: str) -> dict[str, str]:
    """Rules' titles by what their memory goes by: the id, or a model's name."""
    return {rule.id.removeprefix("almena."): rule.said(language) for rule in rules}


def with_memory(status: Status, memory: Memory, rules: Callable[[], Sequence[RuleInfo]]) -> Status:
    """`status`, whose problems are also those of the memory of correlations."""

    def whole(scope: Scope, language: str) -> Mapping[str, Any]:
        found = dict(status(scope, language))
        more = memory.figures().problems(language, titles_of(rules(), language))
        if more:
            found |= {"ok": False, "problems": [*(found.get("problems") or ()), *more]}
        return found

    return whole


@dataclass
class Problems:
    """What every page's rail says is wrong: asked at most every ten seconds for each scope and language."""

    status: Status
    clock: Callable[[], int]
    _kept: dict[tuple[Scope, str], tuple[int, int]] = field(default_factory=dict)

    fresh = 10 * SECOND
    most = 1_000

    def count(self, scope: Scope, language: str) -> int:
        """How many problems there are."""
        now = self.clock()
        asked, count = self._kept.get((scope, language), (-self.fresh, 0))
        if now - asked >= self.fresh:
            count = len(self.status(scope, language).get("problems") or ())
            if len(self._kept) >= self.most:
                self._kept.clear()
            self._kept[scope, language] = (now, count)
        return count

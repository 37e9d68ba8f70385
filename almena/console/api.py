"""The API: the same alerts and the same figures as the pages, as JSON, for programs with a token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import anyio.to_thread
import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from almena.alert import BACKFILL
from almena.clock import format_time, parse_time
from almena.console.show import LEVELS, STATUSES
from almena.console.users import User, user_of_token
from almena.console.visit import Console, Visit
from almena.errors import StoreError, UsageError
from almena.status import LIVE
from almena.store import ALERTS, Filter, Query


class Problem(msgspec.Struct, kw_only=True, omit_defaults=False):
    """What went wrong, as RFC 9457 says it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""


class AlertPage(msgspec.Struct, kw_only=True):
    """One page of alerts, the newest first."""

    alerts: list[dict[str, Any]]
    """Flat ECS documents."""
    cursor: str | None
    """Ask again with it for the next page; null on the last."""


class SourceStatus(msgspec.Struct, kw_only=True):
    """One source, counted since it was first heard."""

    name: str
    agency: str = ""
    events: int = 0
    late: int = 0
    repeats: int = 0
    future: int = 0
    drops: int = 0
    dead_letters: int = 0
    last_seen: str | None = None
    """RFC 3339: its last arrival."""
    last_event: str | None = None
    """RFC 3339: the time of its last event."""
    silent: bool = False
    """It speaks less often than its configuration expects."""


class Rejection(msgspec.Struct, kw_only=True):
    """A rule that was refused."""

    rule: str
    reason: str


class ShadowRule(msgspec.Struct, kw_only=True):
    """A rule whose alerts are tagged, kept apart and told to nobody."""

    rule: str
    title: str = ""
    why: str
    """`listed` in the configuration, by the `rule` itself, over its `budget`, or it `rests` on such a rule."""
    detail: str = ""
    """What it cost for every event and of the whole, or the id of the rule it rests on."""
    since: str = ""
    """RFC 3339, for a rule over its budget."""


class Member(msgspec.Struct, kw_only=True):
    """A process that said lately that it works."""

    member: str
    """Its name in its group."""
    stage: str
    host: str = ""
    heard: str
    """RFC 3339: when it was heard last."""
    here: bool
    """Whether it still counts as there."""


class Outbox(msgspec.Struct, kw_only=True):
    """Notifications that wait, and those that could not be delivered."""

    waiting: int = 0
    failed: int = 0


class Waiting(msgspec.Struct, kw_only=True):
    """What waits on the console's machine until the bus takes it."""

    records: int = 0
    bytes: int = 0
    share: float = 0.0
    """Of its room, 0 to 1."""
    seconds: float = 0.0
    """How long the first has waited."""


class RulesStatus(msgspec.Struct, kw_only=True):
    """The rules in use, those in shadow, and those refused."""

    loaded: int = 0
    rejected: list[Rejection] = []
    shadow: list[ShadowRule] = []
    hash: str = ""


class Status(msgspec.Struct, kw_only=True):
    """How the whole is doing, within the agencies the caller may see."""

    ok: bool
    problems: list[str]
    """Sentences in the caller's language."""
    events: int = 0
    alerts: int = 0
    dead_letters: int = 0
    drops: int = 0
    lag: dict[str, int] = {}
    """Records not read yet, by topic of the bus."""
    delay: dict[str, float | None] = {}
    """Seconds that the oldest record not read yet has waited, by topic; null where that is not known."""
    bus: bool = True
    """Whether the bus answers."""
    store: bool = True
    """Whether the store answers."""
    members: list[Member] = []
    outbox: Outbox = msgspec.field(default_factory=Outbox)
    spool: Waiting | None = None
    sources: list[SourceStatus] = []
    rules: RulesStatus = msgspec.field(default_factory=RulesStatus)


class AlertFilters(msgspec.Struct, kw_only=True, rename={"from_": "from"}, forbid_unknown_fields=True):
    """What `GET /api/v1/alerts` may be asked with."""

    level: str | None = None
    """One of critical, high, medium, low, informational."""
    status: str | None = None
    """One of open, acknowledged, closed, suppressed, shadow, history; without it, all but shadow and history."""
    backfill: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    """Those of history that one run of `almena backfill` found, by its name."""
    agency: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    rule: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    q: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    """Words that must all stand in the alert."""
    from_: str | None = None
    """RFC 3339: alerts last seen at this moment or later."""
    to: str | None = None
    """RFC 3339: alerts last seen before this moment."""
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50
    cursor: Annotated[str, msgspec.Meta(max_length=1000)] | None = None


Handler = Callable[[Visit], object]


def endpoint(handler: Handler) -> Callable[[Request], Any]:
    """An endpoint of the API: JSON out, problems as `application/problem+json`."""

    async def answer(request: Request) -> Response:
        return await anyio.to_thread.run_sync(_answer, handler, Visit(request.app.state.console, request))

    return answer


def list_alerts(visit: Visit) -> AlertPage:
    """One page of alerts."""
    asked = _read(visit.request.query_params)
    query = Query(
        kind=ALERTS,
        scope=visit.scope,
        text=asked.q or "",
        filters=tuple(_filters(asked)),
        sort="almena.alert.last_seen",
        limit=asked.limit,
    )
    found = visit.console.store.search(query, asked.cursor or None)
    return AlertPage(alerts=[item.document for item in found.items], cursor=found.cursor)


def one_alert(visit: Visit) -> dict[str, Any]:
    """One alert; LookupError when there is none within the caller's agencies."""
    found = visit.console.store.get(ALERTS, visit.request.path_params["alert_id"][:100], scope=visit.scope)
    if found is None:
        raise LookupError("there is no alert with this id, or it belongs to an agency you do not see")
    return found.document


def status(visit: Visit) -> Status:
    """How the whole is doing."""
    return msgspec.convert(visit.console.status(visit.scope, visit.language), Status)


def problem(status: int, title: str, detail: str = "") -> Response:
    """An answer that says what went wrong."""
    body = msgspec.json.encode(Problem(title=title, status=status, detail=detail))
    headers = {"www-authenticate": 'Bearer realm="almena"'} if status == 401 else {}
    return Response(body, status, headers=headers, media_type="application/problem+json")


def _answer(handler: Handler, visit: Visit) -> Response:
    visit.user = caller(visit)
    if visit.user is None:
        return problem(401, "Not signed in", "Send `Authorization: Bearer <token>`, or sign in to the console first.")
    try:
        body = msgspec.json.encode(handler(visit))
    except LookupError as error:
        return problem(404, "Not found", str(error.args[0] if error.args else ""))
    except (UsageError, StoreError) as error:
        return problem(400, "Bad request", str(error))
    return Response(body, media_type="application/json")


def caller(visit: Visit) -> User | None:
    """Who calls: the token's person, or else the session's."""
    console: Console = visit.console
    scheme, _, token = visit.request.headers.get("authorization", "").partition(" ")
    if scheme:
        return user_of_token(console.store, token.strip()) if scheme.lower() == "bearer" else None
    user = console.sessions.find(visit.cookie("session"), touch=False)
    return None if user is None or user.must_change else user


def _read(params: QueryParams) -> AlertFilters:
    """The filters of an address; raises UsageError saying which one is wrong."""
    given = dict(params)
    if len(given) != len(params.multi_items()):
        raise UsageError("a filter is given twice; give each once")
    try:
        asked = msgspec.convert(given, AlertFilters, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(str(error)) from None
    for name, value, known in (("level", asked.level, LEVELS), ("status", asked.status, STATUSES)):
        if value is not None and value not in known:
            raise UsageError(f"{name}: {value[:60]!r} is not known; write one of {', '.join(known)}")
    return asked


def _filters(asked: AlertFilters) -> list[Filter]:
    found = [
        Filter(field, "in", (value,))
        for field, value in (
            ("almena.alert.level", asked.level),
            ("almena.alert.status", asked.status),
            ("organization.id", asked.agency),
            ("rule.id", asked.rule),
            (BACKFILL, asked.backfill),
        )
        if value
    ]
    if asked.status is None and not asked.backfill:
        found.append(LIVE)
    for name, op, moment in (("from", "gte", asked.from_), ("to", "lt", asked.to)):
        if moment:
            found.append(Filter("almena.alert.last_seen", op, (_moment(name, moment),)))  # type: ignore[arg-type]
    return found


def _moment(name: str, text: str) -> str:
    try:
        return format_time(parse_time(text[:64]))
    except (ValueError, OverflowError):
        raise UsageError(f"{name}: {text[:60]!r} is no time; write it like 2026-11-22T19:34:00Z") from None

"""The filter line: what the address of the queue says, and the conditions it stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from almena.clock import DAY, HOUR, format_time, from_datetime
from almena.console.i18n import mark
from almena.console.show import LEVELS, STATUSES
from almena.store import ALERTS, Filter, Query, Scope

RANGES = {
    "1h": (HOUR, mark("Última hora")),
    "24h": (DAY, mark("Últimas 24 horas")),
    "7d": (7 * DAY, mark("Últimos 7 días")),
    "30d": (30 * DAY, mark("Últimos 30 días")),
}
"""Time ranges that move with the clock."""

STATES = {
    "": (("open", "acknowledged"), mark("Pendientes")),
    **{name: ((name,), word) for name, word in STATUSES.items()},
    "all": ((), mark("Todas")),
}
"""What may be chosen as state; without a choice, what still waits for somebody."""

ORDERS = {"": mark("Lo más grave primero"), "recent": mark("Lo más reciente primero")}
"""The orders of the queue."""

LONGEST_WORDS = 200
_ID = re.compile(r"[\w.:@/+-]{1,200}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One filter line; every field is as it stands in the address, `` when it is not chosen."""

    q: str = ""
    nivel: str = ""
    estado: str = ""
    dependencia: str = ""
    regla: str = ""
    rango: str = ""
    desde: str = ""
    hasta: str = ""
    orden: str = ""

    def address(self, path: str = "/cola", **more: str) -> str:
        """The address of this choice, with more parameters behind it; an empty one is left out."""
        pairs = {**self.__dict__, **more}
        query = urlencode({name: value for name, value in pairs.items() if value})
        return f"{path}?{query}" if query else path

    def with_(self, **changes: str) -> Choice:
        """Another choice."""
        return replace(self, **changes)

    @property
    def narrowed(self) -> bool:
        """Whether anything is chosen that could hide alerts from the queue."""
        return any(value for name, value in self.__dict__.items() if name != "orden")


def read(params: Mapping[str, str]) -> Choice:
    """The choice an address makes; whatever makes no sense is not chosen."""
    got = {name: params.get(name, "").strip() for name in Choice.__dataclass_fields__}
    return Choice(
        q=" ".join(got["q"][:LONGEST_WORDS].split()),
        nivel=got["nivel"] if got["nivel"] in LEVELS else "",
        estado=got["estado"] if got["estado"] in STATES else "",
        dependencia=got["dependencia"] if _ID.fullmatch(got["dependencia"]) else "",
        regla=got["regla"] if _ID.fullmatch(got["regla"]) else "",
        rango=got["rango"] if got["rango"] in RANGES else "",
        desde=got["desde"] if _MOMENT.fullmatch(got["desde"]) else "",
        hasta=got["hasta"] if _MOMENT.fullmatch(got["hasta"]) else "",
        orden=got["orden"] if got["orden"] in ORDERS else "",
    )


def query_of(choice: Choice, *, scope: Scope, now: int, zone: ZoneInfo, limit: int) -> Query:
    """The choice as a question to the store, newest first."""
    filters = [
        Filter(field, "in", values)
        for field, values in (
            ("almena.alert.status", STATES[choice.estado][0]),
            ("almena.alert.level", (choice.nivel,) if choice.nivel else ()),
            ("organization.id", (choice.dependencia,) if choice.dependencia else ()),
            ("rule.id", (choice.regla,) if choice.regla else ()),
        )
        if values
    ]
    since, until = _moments(choice, now, zone)
    if since is not None:
        filters.append(Filter("almena.alert.last_seen", "gte", (format_time(since),)))
    if until is not None:
        filters.append(Filter("almena.alert.last_seen", "lt", (format_time(until),)))
    return Query(
        kind=ALERTS,
        scope=scope,
        text=choice.q,
        filters=tuple(filters),
        sort="almena.alert.last_seen",
        limit=limit,
    )


def _moments(choice: Choice, now: int, zone: ZoneInfo) -> tuple[int | None, int | None]:
    since = now - RANGES[choice.rango][0] if choice.rango else _local(choice.desde, zone)
    return since, _local(choice.hasta, zone)


def _local(text: str, zone: ZoneInfo) -> int | None:
    """A moment typed in the room's own zone."""
    try:
        return max(from_datetime(datetime.fromisoformat(text).replace(tzinfo=zone)), 0) if text else None
    except (ValueError, OverflowError):
        return None

"""How an installation is doing, for `almena status`, the API and the console: counts, sources, problems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from almena.alert import QUIET
from almena.bus import Bus
from almena.clock import DAY, MINUTE, SECOND, now, parse_time
from almena.errors import StoreError
from almena.store import ALERTS, ALL, DEAD, LEDGER, OUTBOX, Filter, Query, Scope, Store, Terms
from almena.traffic import READERS, Spooled, Traffic, lasting, traffic
from almena.words import safe

DROP_SHARE = 0.01
"""More than this share of a source's events dropped is a problem."""

LAG_LIMIT = 100_000
"""More records unread than this is a problem."""

DELAY_LIMIT = 5 * MINUTE
"""A record that lies unread for longer than this is a problem."""

SPOOL_LIMIT = MINUTE
"""A record that waits on disk for the bus for longer than this is a problem."""

PROBLEMS = {
    "es": {
        "silent": "La fuente {0} calla desde {1}: revise el equipo y la red.",
        "drops": "La fuente {0} perdió {1} registros.",
        "lag": "El tema {0} tiene {1} registros sin leer.",
        "delay": "El tema {0} espera desde hace {1}: revise el rol {2} o agréguele procesos.",
        "gone": "El rol {0} no da señales desde {1}: revise {2}.",
        "bus": "El bus no responde: {0}",
        "store": "El almacén no responde: {0}",
        "spool": "{0} registros esperan en este disco a que vuelva el bus, el primero desde hace {1}; "
        "ocupan {2} % de su lugar.",
        "rule": "La regla {0} fue rechazada: {1}",
        "refused": "Los cambios de las reglas no se aplicaron, siguen las de antes: {0}",
        "sets": "No todos los procesos usan las mismas reglas: {0}. Revise que lean la misma carpeta.",
        "shadow": "La regla {0} dejó de avisar por su costo ({1}) desde {2}: corríjala, "
        "o devuélvala con `almena rules shadow --lift {3}`.",
        "outbox": "{0} avisos no pudieron entregarse.",
    },
    "en": {
        "silent": "Source {0} is silent since {1}: check the host and the network.",
        "drops": "Source {0} lost {1} records.",
        "lag": "Topic {0} has {1} records unread.",
        "delay": "Topic {0} has waited for {1}: check the role {2}, or give it more processes.",
        "gone": "The role {0} has not been heard of since {1}: check {2}.",
        "bus": "The bus does not answer: {0}",
        "store": "The store does not answer: {0}",
        "spool": "{0} records wait on this disk for the bus, the first for {1}; they take {2} % of their room.",
        "rule": "Rule {0} was rejected: {1}",
        "refused": "The changes of the rules were not taken, those before run on: {0}",
        "sets": "Not all processes run the same rules: {0}. Check that they read the same folder.",
        "shadow": "Rule {0} stopped alerting for what it costs ({1}) since {2}: mend it, "
        "or take it back with `almena rules shadow --lift {3}`.",
        "outbox": "{0} notifications could not be delivered.",
    },
}
"""What is said about each kind of problem, by language."""

HEARD = 5 * MINUTE
"""A member that has not said for longer which rules it runs is gone."""

FORGOTTEN = DAY
"""After so long it is no longer spoken of."""

SETTLING = 30 * SECOND
"""For so long after one member took new rules the others may still run those before."""

_LONGEST = 600  # characters of what a server answered

LIVE = Filter("almena.alert.status", "in", QUIET, negate=True)
"""Alerts that are kept apart are no alerts to be counted."""

Problem = tuple[str, tuple[object, ...]]
"""What kind of problem it is, and what its sentence names."""

Expected = Mapping[str, int]
"""How often each source speaks at least, in microseconds, where that is configured."""


def status(
    store: Store | str,
    bus: Bus | Traffic | None,
    *,
    scope: Scope = ALL,
    expected: Expected | None = None,
    language: str = "es",
    spool: Spooled | None = None,
) -> dict[str, Any]:
    """Counts, lag, sources, rules and problems, as far as `scope` may see; `ok` is False when there are problems.

    In the place of a store may stand why there is none, in that of a bus what it said. Keys: `bus` and `store` (True
    where they answer), `events`, `alerts`, `dead_letters`, `drops`, `lag` (records by topic), `delay` (seconds by
    topic, null where unknown), `sources` (a list), `rules` (`loaded`, `rejected`, `shadow`, `hash`, `members`),
    `members` (who works: `member`, `stage`, `host`, `heard`, `here`), `outbox` (`waiting`, `failed`), `spool`
    (`records`, `bytes`, `share`, `seconds`; null where none is kept), `problems` (sentences in `language`), `ok`.
    """
    waiting = traffic(bus) if bus is not None and not isinstance(bus, Traffic) else bus or Traffic()
    try:
        if isinstance(store, str):
            raise StoreError(store)
        found = _stored(store, scope, expected or {})
    except StoreError as error:
        found, trouble = _nothing(), str(error)
    else:
        trouble = ""
    lag = {topic: sum(partitions.values()) for topic, partitions in waiting.lag.items()}
    problems: list[Problem] = [("bus", (waiting.error,))] if waiting.error else []
    problems += [("store", (trouble,))] if trouble else []
    problems += (
        []
        if spool is None or spool.age <= SPOOL_LIMIT
        else [("spool", (f"{spool.records:,}", lasting(spool.age), round(100 * spool.share)))]
    )
    problems += [*_problems(found, lag), *_delays(waiting), *_gone(found["members"])]
    said = [PROBLEMS[language][name].format(*(safe(value, _LONGEST) for value in values)) for name, values in problems]
    return {
        "ok": not said,
        "problems": said,
        "bus": not waiting.error,
        "store": not trouble,
        **found,
        "lag": lag,
        "delay": {topic: None if delay is None else delay / SECOND for topic, delay in waiting.delay.items()},
        "spool": None if spool is None else spool.document(),
    }


def _stored(store: Store, scope: Scope, expected: Expected) -> dict[str, Any]:
    """What the store tells."""
    sources, drops, rules, members = _ledger(store, scope)
    dead = store.aggregate(_open_dead(scope), Terms("almena.source.name", 10_000))
    for name, count in dead:
        sources.setdefault(name, _source(name, ""))["dead_letters"] = count
    for name, count in drops.items():
        sources.setdefault(name, _source(name, ""))["drops"] = count
    _judge_silence(sources.values(), expected)
    return {
        "events": sum(source["events"] for source in sources.values()),
        "alerts": store.count(Query(kind=ALERTS, scope=scope, filters=(LIVE,))),
        "dead_letters": sum(count for _, count in dead),
        "drops": sum(drops.values()),
        "sources": sorted(sources.values(), key=lambda source: str(source["name"])),
        "rules": rules,
        "members": sorted(members, key=lambda each: (each["stage"], each["member"])),
        "outbox": {
            "waiting": store.count(_outbox(scope, "pending")),
            "failed": store.count(_outbox(scope, "failed")),
        },
    }


def _nothing() -> dict[str, Any]:
    """What is told of a store that does not answer."""
    rules = {"loaded": 0, "rejected": [], "shadow": [], "hash": "", "members": []}
    counts = dict.fromkeys(("events", "alerts", "dead_letters", "drops"), 0)
    return {**counts, "sources": [], "rules": rules, "members": [], "outbox": {"waiting": 0, "failed": 0}}


def _open_dead(scope: Scope) -> Query:
    return Query(kind=DEAD, scope=scope, filters=(Filter("almena.dead.status", "in", ("open",)),))


def _outbox(scope: Scope, state: str) -> Query:
    return Query(kind=OUTBOX, scope=scope, filters=(Filter("almena.outbox.status", "in", (state,)),))


def _source(name: str, agency: str) -> dict[str, Any]:
    return {
        "name": name,
        "agency": agency,
        "events": 0,
        "late": 0,
        "repeats": 0,
        "future": 0,
        "drops": 0,
        "dead_letters": 0,
        "last_seen": None,
        "last_event": None,
        "delay": None,
        "silent": False,
    }


def _ledger(
    store: Store, scope: Scope
) -> tuple[dict[str, dict[str, Any]], dict[str, int], dict[str, Any], list[dict[str, Any]]]:
    """Sources by name, drops by source, the rules' entry, and who said lately that it works."""
    sources: dict[str, dict[str, Any]] = {}
    drops: dict[str, int] = {}
    rules: dict[str, Any] = {"loaded": 0, "rejected": [], "shadow": [], "hash": "", "members": []}
    members: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = store.search(Query(kind=LEDGER, scope=scope, limit=1_000), cursor)
        for item in page.items:
            document = item.document
            name = str(document.get("almena.source.name", ""))
            if item.id.startswith("source/"):
                _add(sources.setdefault(name, _source(name, str(document.get("organization.id", "")))), document)
            elif item.id.startswith("drop/"):
                drops[name] = drops.get(name, 0) + int(document.get("almena.drop.count", 0))
            elif item.id == "rules":
                rules |= {
                    "loaded": document.get("almena.rules.loaded", 0),
                    "rejected": document.get("almena.rules.rejected", []),
                    "shadow": document.get("almena.rules.shadow", []),
                    "hash": document.get("almena.rules.hash", ""),
                }
            elif item.id.startswith("rules/") and (member := _member(document)) is not None:
                members.append(member)
                if member["here"]:
                    told = ("member", "stage", "hash", "since", "refused")
                    rules["members"].append({name: document.get(f"almena.rules.{name}") for name in told})
        cursor = page.cursor
        if cursor is None:
            return sources, drops, rules, members


def _member(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """A member, as it said last that it works; None when that is too long ago."""
    silent = now() - parse_time(str(document["@timestamp"]))
    if silent > FORGOTTEN:
        return None
    name = str(document.get("almena.rules.member"))
    return {
        "member": name,
        "stage": str(document.get("almena.rules.stage")),
        "host": str(document.get("almena.rules.host") or name.partition("@")[2]),
        "heard": str(document["@timestamp"]),
        "here": silent <= HEARD,
    }


def _add(source: dict[str, Any], document: Mapping[str, Any]) -> None:
    """Add the share of one partition."""
    for name in ("events", "late", "repeats", "future"):
        source[name] += int(document.get(f"almena.source.{name}", 0))
    delay = document.get("almena.source.delay")
    if isinstance(delay, int) and (source["delay"] is None or delay < source["delay"]):
        source["delay"] = delay
    for name, field in (("last_seen", "last_ingested"), ("last_event", "last_event")):
        moment = document.get(f"almena.source.{field}")
        if moment and (source[name] is None or moment > source[name]):
            source[name] = moment


def _judge_silence(sources: Iterable[dict[str, Any]], expected: Expected) -> None:
    moment = now()
    for source in sources:
        limit = expected.get(source["name"])
        if limit is not None and source["last_seen"] is not None:
            source["silent"] = moment - parse_time(source["last_seen"]) > limit


def _problems(stored: Mapping[str, Any], lag: Mapping[str, int]) -> list[Problem]:
    found: list[Problem] = []
    for source in stored["sources"]:
        if source["silent"]:
            found.append(("silent", (source["name"], source["last_seen"])))
        if source["drops"] > DROP_SHARE * max(source["events"], 1):
            found.append(("drops", (source["name"], source["drops"])))
    rules = stored["rules"]
    found += [("lag", (topic, count)) for topic, count in lag.items() if count > LAG_LIMIT]
    found += [("rule", (entry["rule"], entry["reason"])) for entry in rules["rejected"]]
    found += _differences(rules["members"])
    found += [
        ("shadow", (entry["title"], entry["detail"], entry["since"], entry["rule"]))
        for entry in rules["shadow"]
        if entry["why"] == "budget"
    ]
    if stored["outbox"]["failed"]:
        found.append(("outbox", (stored["outbox"]["failed"],)))
    return found


def _delays(waiting: Traffic) -> list[Problem]:
    return [
        ("delay", (topic, lasting(delay), READERS[topic]))
        for topic, delay in waiting.delay.items()
        if delay is not None and delay > DELAY_LIMIT
    ]


def _gone(members: Sequence[Mapping[str, Any]]) -> list[Problem]:
    """Roles that nobody says any more it works in. One of several that is gone is no problem: others took over."""
    found: list[Problem] = []
    for stage in dict.fromkeys(each["stage"] for each in members):
        mine = [each for each in members if each["stage"] == stage]
        if not any(each["here"] for each in mine):
            last = max(mine, key=lambda each: str(each["heard"]))
            found.append(("gone", (stage, last["heard"], last["host"] or last["member"])))
    return found


def _differences(members: Sequence[Mapping[str, Any]]) -> list[Problem]:
    """What keeps members from running the rules as they are on disk, and from running the same."""
    refused = [item for each in members for item in each["refused"] or () if isinstance(item, dict)]
    said = [": ".join(str(item[name]) for name in ("file", "rule", "reason") if item.get(name)) for item in refused]
    found: list[Problem] = [("refused", (text,)) for text in dict.fromkeys(said)]
    newest = max((parse_time(str(each["since"])) for each in members if each["since"]), default=0)
    if len({each["hash"] for each in members}) > 1 and now() - newest > SETTLING:
        found.append(("sets", (", ".join(f"{each['member']} {each['hash']}" for each in members),)))
    return found

"""How an installation is doing, for `almena status`, the API and the console: counts, sources, problems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from almena.alert import QUIET
from almena.bus import ALERTS as ALERT_TOPIC
from almena.bus import DEAD as DEAD_TOPIC
from almena.bus import EVENTS, HITS, Bus
from almena.bus import LEDGER as LEDGER_TOPIC
from almena.clock import MINUTE, SECOND, now, parse_time
from almena.store import ALERTS, ALL, DEAD, LEDGER, OUTBOX, Filter, Query, Scope, Store, Terms
from almena.words import safe

READERS = {
    EVENTS: "detect",
    HITS: "correlate",
    ALERT_TOPIC: "desk",
    DEAD_TOPIC: "desk",
    LEDGER_TOPIC: "desk",
}
"""Which group reads each topic."""

DROP_SHARE = 0.01
"""More than this share of a source's events dropped is a problem."""

LAG_LIMIT = 100_000
"""More records unread than this is a problem."""

PROBLEMS = {
    "es": {
        "silent": "La fuente {0} calla desde {1}: revise el equipo y la red.",
        "drops": "La fuente {0} perdió {1} registros.",
        "lag": "El tema {0} tiene {1} registros sin leer.",
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

SETTLING = 30 * SECOND
"""For so long after one member took new rules the others may still run those before."""

LIVE = Filter("almena.alert.status", "in", QUIET, negate=True)
"""Alerts that are kept apart are no alerts to be counted."""

Expected = Mapping[str, int]
"""How often each source speaks at least, in microseconds, where that is configured."""


def status(
    store: Store, bus: Bus | None, *, scope: Scope = ALL, expected: Expected | None = None, language: str = "es"
) -> dict[str, Any]:
    """Counts, lag, sources, rules and problems, as far as `scope` may see; `ok` is False when there are problems.

    Keys: `events`, `alerts`, `dead_letters`, `drops`, `lag` (records by topic), `sources` (a list), `rules`
    (`loaded`, `rejected`, `shadow`, `hash`, `members`), `problems` (sentences in `language`, `es` or `en`), `ok`.
    """
    sources, drops, rules = _ledger(store, scope)
    dead = store.aggregate(_open_dead(scope), Terms("almena.source.name", 10_000))
    for name, count in dead:
        sources.setdefault(name, _source(name, ""))["dead_letters"] = count
    for name, count in drops.items():
        sources.setdefault(name, _source(name, ""))["drops"] = count
    _judge_silence(sources.values(), expected or {})
    lag = {topic: sum(bus.lag(topic, group).values()) for topic, group in READERS.items()} if bus is not None else {}
    failed = store.count(_outbox(scope, "failed"))
    problems = _problems(sources.values(), lag, rules, failed, language)
    return {
        "ok": not problems,
        "problems": problems,
        "events": sum(source["events"] for source in sources.values()),
        "alerts": store.count(Query(kind=ALERTS, scope=scope, filters=(LIVE,))),
        "dead_letters": sum(count for _, count in dead),
        "drops": sum(drops.values()),
        "lag": lag,
        "sources": sorted(sources.values(), key=lambda source: str(source["name"])),
        "rules": rules,
    }


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
        "silent": False,
    }


def _ledger(store: Store, scope: Scope) -> tuple[dict[str, dict[str, Any]], dict[str, int], dict[str, Any]]:
    """Sources by name, drops by source, and the rules' entry."""
    sources: dict[str, dict[str, Any]] = {}
    drops: dict[str, int] = {}
    rules: dict[str, Any] = {"loaded": 0, "rejected": [], "shadow": [], "hash": "", "members": []}
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
            elif item.id.startswith("rules/") and now() - parse_time(str(document["@timestamp"])) <= HEARD:
                told = ("member", "stage", "hash", "since", "refused")
                rules["members"].append({name: document.get(f"almena.rules.{name}") for name in told})
        cursor = page.cursor
        if cursor is None:
            return sources, drops, rules


def _add(source: dict[str, Any], document: Mapping[str, Any]) -> None:
    """Add the share of one partition."""
    for name in ("events", "late", "repeats", "future"):
        source[name] += int(document.get(f"almena.source.{name}", 0))
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


def _problems(
    sources: Iterable[Mapping[str, Any]], lag: Mapping[str, int], rules: Mapping[str, Any], failed: int, language: str
) -> list[str]:
    found: list[tuple[str, tuple[object, ...]]] = []
    for source in sources:
        if source["silent"]:
            found.append(("silent", (source["name"], source["last_seen"])))
        if source["drops"] > DROP_SHARE * max(source["events"], 1):
            found.append(("drops", (source["name"], source["drops"])))
    found += [("lag", (topic, count)) for topic, count in lag.items() if count > LAG_LIMIT]
    found += [("rule", (entry["rule"], entry["reason"])) for entry in rules["rejected"]]
    found += _differences(rules["members"])
    found += [
        ("shadow", (entry["title"], entry["detail"], entry["since"], entry["rule"]))
        for entry in rules["shadow"]
        if entry["why"] == "budget"
    ]
    if failed:
        found.append(("outbox", (failed,)))
    return [PROBLEMS[language][name].format(*map(safe, values)) for name, values in found]


def _differences(members: Sequence[Mapping[str, Any]]) -> list[tuple[str, tuple[object, ...]]]:
    """What keeps members from running the rules as they are on disk, and from running the same."""
    refused = [item for each in members for item in each["refused"] or () if isinstance(item, dict)]
    said = [": ".join(str(item[name]) for name in ("file", "rule", "reason") if item.get(name)) for item in refused]
    found: list[tuple[str, tuple[object, ...]]] = [("refused", (text,)) for text in dict.fromkeys(said)]
    newest = max((parse_time(str(each["since"])) for each in members if each["since"]), default=0)
    if len({each["hash"] for each in members}) > 1 and now() - newest > SETTLING:
        found.append(("sets", (", ".join(f"{each['member']} {each['hash']}" for each in members),)))
    return found

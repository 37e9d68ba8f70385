"""The engine against the brute-force reading of docs/correlation.md: random correlations, random hits, any cuts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import correlation_naive as naive
import msgspec
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from almena.alert import Alert
from almena.clock import MINUTE, SECOND, format_time
from almena.correlate import drive
from almena.hit import Hit, decode_hit, encode_hit, order_of
from almena.state import Partition
from detectors.correlation import CorrelationOperator
from detectors.correlation.feeds import feed_of, feeds_of
from detectors.sigma.condition import SCALE, scaled
from detectors.sigma.detector import operators_of
from detectors.sigma.loader import load_texts
from detectors.sigma.rules import Correlation, RuleSet

START = 1_790_000_000 * SECOND
RULES = {name: f"{number:08x}-0000-4000-8000-000000000000" for number, name in enumerate("abcd", 1)}
NAMES = {ident: name for name, ident in RULES.items()}
BASE = "\n---\n".join(
    f"title: Rule {name}\nid: {ident}\nname: {name}\nlogsource: {{product: app}}\n"
    f"detection: {{s: {{event.action: {name}}}, condition: s}}"
    for name, ident in RULES.items()
)

BOUNDS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        *({"gte": n} for n in (1, 2, 3, 5)),
        {"gt": 1},
        {"gt": 2},
        {"gte": 2, "gt": 1},
        {"lt": 3},
        {"lte": 2},
        {"eq": 1},
        {"eq": 2},
        {"neq": 2},
        {"gte": 2, "lt": 4},
        {"gt": 1, "neq": 3},
        {"gt": 0, "lte": 1},
    ]
)
NUMBERS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"gte": 12},
        {"gt": 7.5},
        {"gt": 20},
        {"gte": 40},
        {"gte": -5},
        {"lt": 8},
        {"eq": 7.5},
        {"neq": 7},
        {"gt": 5, "lte": 9.75},
    ]
)
RULE = st.lists(st.sampled_from("abcd"), min_size=1, max_size=3)
FEW = st.lists(st.sampled_from("abcd"), min_size=2, max_size=3)
EXPRESSIONS = st.sampled_from(
    [
        *("a and b", "a or b", "a and (b or c)", "(a or b) and (c or d)", "a and b or c"),
        *["a and not b", "a and b and not c", "a and not b and not c", "(a or b) and not c"] * 2,
        *(
            "a and (b or not c)",
            "a and not (b or c)",
            "a and not (b and c)",
            "a and b or c and not d",
            "b or a and not c",
            "c and not (a and b)",
        ),
    ]
)


def mapping(rules: Sequence[str], kind: str, condition: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "rules": list(rules),
        "group-by": ["source.ip"],
        "timespan": "1m",
        **({} if condition is None else {"condition": condition}),
    }


def numbers(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["value_sum", "value_avg", "value_percentile", "value_median"]))
    more = {"percentile": draw(st.sampled_from([1, 25, 50, 90, 99]))} if kind == "value_percentile" else {}
    return mapping(draw(RULE), kind, {**draw(NUMBERS), "field": "almena.payment.amount", **more})


def counts(draw: st.DrawFn) -> dict[str, Any]:
    if draw(st.booleans()):
        return mapping(draw(RULE), "event_count", draw(BOUNDS))
    fields = draw(st.sampled_from(["user.name", ["user.name", "host.name"]]))
    return mapping(draw(RULE), "value_count", {**draw(BOUNDS), "field": fields})


def temporal(draw: st.DrawFn) -> dict[str, Any]:
    return mapping(draw(FEW), draw(TEMPORAL), draw(st.one_of(st.none(), BOUNDS)))


def expressions(draw: st.DrawFn) -> dict[str, Any]:
    text = draw(EXPRESSIONS)
    order = draw(st.permutations([name for name in "abcd" if name in text.replace("and", "")]))
    return mapping(order, draw(TEMPORAL), text)


TEMPORAL = st.sampled_from(["temporal", "temporal_ordered"])
FAMILIES = [counts, numbers, temporal, expressions]
NEVER = ("holds without", "waits for", "absence alone", "no number")
"""Why some of these are refused when they are loaded."""

INNER = {
    "many": mapping("a", "event_count", {"gte": 2}),
    "by user": mapping("a", "event_count", {"gte": 2}) | {"group-by": ["source.ip", "user.name"]},
    "across": mapping("ab", "event_count", {"gte": 3}) | {"group-by": ["host.name"]},
    "lonely": mapping("ad", "temporal", "a and not d"),
    "few": mapping("a", "event_count", {"lt": 3}),
    "pair": mapping("ab", "temporal_ordered", None),
    "values": mapping("ac", "value_count", {"gte": 2, "field": "user.name"}),
}
OUTER = [
    mapping(["inner", "c"], "temporal_ordered", None),
    mapping(["inner", "b"], "temporal", None),
    mapping(["inner"], "event_count", {"gte": 2}),
    mapping(["inner"], "event_count", {"lt": 2}),
    mapping(["inner", "c"], "temporal_ordered", "inner and not c"),
    mapping(["a", "inner"], "temporal_ordered", None),
    mapping(["inner", "b"], "temporal", "inner and not b"),
    mapping(["inner"], "event_count", {"gte": 2, "lt": 4}),
    mapping(["a", "inner"], "event_count", {"gte": 3}),
]

STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, 5, 10, 20, 30, 30, 40, 59.999999, 60, 60.000001, 120, 200]),
        st.sampled_from("aaabbccd"),
        st.sampled_from(["192.0.2.1"] * 6 + ["192.0.2.2", ""]),
        st.sampled_from(["u", "v", "w", "x", None]),
        st.sampled_from(["7", "7.5", "9.75", "12", "20", "-3", "x", None]),
        st.booleans(),
    ),
    max_size=28,
)


def loaded(*documents: tuple[str, dict[str, Any]]) -> RuleSet:
    text = "\n---\n".join(
        [
            BASE,
            *(
                msgspec.json.encode({"title": name, "name": name, "correlation": one}).decode()
                for name, one in documents
            ),
        ]
    )
    return load_texts([("x.yml", text)], "ecs")


def hits_of(steps: Sequence[tuple[float, str, str, str | None, str | None, bool]]) -> list[Hit]:
    """Hits as rules give them, before any correlation asked for them; an event may come under two rules."""
    found: list[Hit] = []
    time, number = START, 0
    for gap, rule, address, user, port, same in steps:
        time += round(gap * SECOND)
        if not (same and gap == 0 and found and found[-1].rule != RULES[rule]):
            number += 1
        ident = f"e{number:03}"
        fields: dict[str, str | None] = {
            "@timestamp": format_time(time),
            "event.id": ident,
            "organization.id": "sfa",
            "source.ip": address,
        }
        fields |= {"host.name": "hk"[number % 2], "user.name": user, "almena.payment.amount": port}
        kept = {name: value for name, value in fields.items() if value not in (None, "")}
        if found and ident == str(found[-1].fields["event.id"]):
            kept = found[-1].fields
        found.append(Hit(time, f"{ident}/{RULES[rule]}", "", "", kept, rule=RULES[rule]))
    return sorted({(hit.time, hit.id): hit for hit in found}.values(), key=lambda hit: (hit.time, hit.id))


def routed(chain: Sequence[CorrelationOperator], hits: Sequence[Hit]) -> list[Hit]:
    feeds = [feed for one in chain for feed in feeds_of(one.rule, one.readers)]
    return [
        msgspec.structs.replace(hit, detector=feed.rule.id, group=group)
        for hit in hits
        for feed in feeds
        if feed.leaf == hit.rule
        and (group := feed.key("sfa", hit.fields.get)) is not None
        and feed.counts(hit.fields.get)
    ]


def played(chain: Sequence[CorrelationOperator], hits: Sequence[Hit], seed: int | None) -> list[Alert]:
    """Every alert of the chain; with a seed in random steps, restored from what was saved between some of them."""
    chance = random.Random(seed)
    waiting = {one.name: [hit for hit in hits if hit.detector == one.name] for one in chain}
    alerts: list[Alert] = []
    for one in chain:
        mine = sorted(waiting[one.name], key=lambda hit: (hit.time, hit.id, order_of(hit)))
        partition, saved = Partition(), dict[str, bytes]()
        while mine:
            size = len(mine) if seed is None else chance.choice([1, 1, 2, 5, 20])
            step, mine = mine[:size], mine[size:]
            alerts += _sorted_out(drive(one, step, step[-1].time - 1, partition.state(one.name)), waiting)
            for key, value in partition.changes().items():
                saved.pop(key, None) if value is None else saved.update({key: value})
            if seed is not None and chance.random() < 0.5:
                partition = Partition(dict(saved))
        alerts += _sorted_out(drive(one, (), 2**62, partition.state(one.name)), waiting)
    return alerts


def _sorted_out(found: Any, waiting: dict[str, list[Hit]]) -> list[Alert]:
    alerts = []
    for item in found:
        if isinstance(item, Hit):
            waiting[item.detector].append(decode_hit(encode_hit(item)))
        else:
            alerts.append(item)
    return alerts


def final(alerts: Sequence[Alert]) -> dict[str, Alert]:
    best: dict[str, Alert] = {}
    for alert in alerts:
        known = best.setdefault(alert["almena.alert.id"], alert)
        assert alert["almena.alert.revision"] != known["almena.alert.revision"] or alert == known
        if alert["almena.alert.revision"] > known["almena.alert.revision"]:
            best[alert["almena.alert.id"]] = alert
    return best


def told(alerts: Sequence[Alert]) -> list[tuple[Any, ...]]:
    """What the page defines of each alert's last revision: group, first, last, count, value."""
    return sorted(
        (
            alert["almena.alert.explanation"]["root"]["group"]["source.ip"],
            alert["almena.alert.first_seen"],
            alert["almena.alert.evidence"]["first"]["event.id"],
            alert["almena.alert.last_seen"],
            alert["almena.alert.count"],
            round(float(alert["almena.alert.explanation"]["root"]["value"]), 6),
        )
        for alert in final(alerts).values()
    )


def expected(chain: Sequence[CorrelationOperator], hits: Sequence[Hit]) -> list[tuple[Any, ...]]:
    """The same by brute force."""
    results: dict[str, list[naive.One]] = {}
    by_id = {hit.id: hit for hit in hits}
    episodes: list[tuple[str, naive.Episode]] = []
    for one in chain:
        groups: dict[str, list[naive.One]] = {}
        readers = [reader for reader in one.readers if one.rule.id in reader.rules]
        for hit in hits:
            if hit.detector == one.name:
                groups.setdefault(hit.group, []).append(_one(one.rule, hit, readers))
        for item in results.get(one.name, []):
            groups.setdefault(item.group, []).append(item)
        for name, items in groups.items():
            items.sort(key=lambda item: (item.time, item.id, item.first[1] != "", item.rule))
            found, given = naive.alerts(one.rule, items)
            if one is chain[-1]:
                # One alert begins with one hit: a later episode that begins with it revises the alert.
                episodes += {episode.first: (name, episode) for episode in found}.values()
            for result in given:
                for reader in readers:
                    if result.group:
                        results.setdefault(reader.id, []).append(result)
    return sorted(
        (
            group.split("|")[1],
            format_time(episode.first[0]),
            episode.first[1].rpartition("/")[0],
            by_id[episode.last.id].fields["@timestamp"],
            episode.count,
            round(float(episode.value), 6),
        )
        for group, episode in episodes
    )


def _one(rule: Correlation, hit: Hit, readers: Sequence[Correlation]) -> naive.One:
    value: Fraction | str = ""
    if rule.numeric:
        value = Fraction(scaled(hit.fields["almena.payment.amount"]) or 0, SCALE)
    elif rule.counted:
        value = "|".join(str(hit.fields.get(name)) for name in rule.counted)
    group = ""
    for reader in readers:
        feed = feed_of(reader, rule.id, hit.rule)
        group = (feed.key("sfa", hit.fields.get) or "") if feed.counts(hit.fields.get) else ""
    return naive.One(hit.time, hit.id, hit.rule, value, group=group)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
@examples(100)
@given(st.data(), STEPS, st.integers(0, 2**32))
def test_one_correlation_is_what_the_page_says(family: Any, data: st.DataObject, steps: list[Any], seed: int) -> None:
    ruleset = loaded(("tested", family(data.draw)))
    if ruleset.rejected:
        assert any(why in str(ruleset.rejected) for why in NEVER), ruleset.rejected
        return
    chain = operators_of(ruleset.correlations[0], ruleset)
    hits = routed(chain, hits_of(steps))
    found = played(chain, hits, None)
    assert told(found) == expected(chain, hits)
    assert final(played(chain, hits, seed)) == final(found)


@examples(60)
@given(st.sampled_from(sorted(INNER)), st.sampled_from(OUTER), STEPS, st.integers(0, 2**32))
def test_a_chain_is_what_the_page_says(inner: str, outer: dict[str, Any], steps: list[Any], seed: int) -> None:
    ruleset = loaded(("inner", INNER[inner]), ("outer", outer))
    assert not ruleset.rejected, ruleset.rejected
    (top,) = [item for item in ruleset.correlations if item.title == "outer"]
    chain = operators_of(top, ruleset)
    hits = routed(chain, hits_of(steps))
    found = played(chain, hits, None)
    assert told(found) == expected(chain, hits)
    assert final(played(chain, hits, seed)) == final(found)


@pytest.mark.parametrize("kind", ["count", "chain"])
def test_such_hits_alert(kind: str) -> None:
    """The properties above compare alerts, and not emptiness."""
    steps = [(5, name, "192.0.2.1", "u", "12", False) for name in "aabacdab" * 2]
    documents = [("inner", INNER["many"]), ("outer", OUTER[0])] if kind == "chain" else [("outer", INNER["many"])]
    ruleset = loaded(*documents)
    (top,) = [item for item in ruleset.correlations if item.title == "outer"]
    chain = operators_of(top, ruleset)
    hits = routed(chain, hits_of(steps))
    assert told(played(chain, hits, None)) == expected(chain, hits) != []


def test_the_timespan_is_a_minute() -> None:
    (item,) = loaded(("tested", INNER["many"])).correlations
    assert item.timespan == MINUTE

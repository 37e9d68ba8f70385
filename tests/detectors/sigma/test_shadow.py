"""Which rules run in shadow, why, and what becomes of what they find."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from almena.hit import Hit, decode_hit, encode_hit
from almena.state import State
from detectors.sigma.budget import Cost, Excess
from detectors.sigma.detector import SigmaDetector, operators
from detectors.sigma.evaluator import PlainEngine
from detectors.sigma.loader import load_texts
from detectors.sigma.rules import Rule, RuleSet
from detectors.sigma.shadow import Over, Shadow, entry, shadows, unknown

FAILED = "11111111-1111-4111-8111-111111111111"
MANY = "22222222-2222-4222-8222-222222222222"
CHAIN = "33333333-3333-4333-8333-333333333333"
OTHER = "44444444-4444-4444-8444-444444444444"

RULES = f"""\
title: Login failed
id: {FAILED}
name: failed
logsource: {{product: app, service: tramites}}
detection: {{s: {{event.action: login_failed}}, condition: s}}
level: low
---
title: Many logins failed
id: {MANY}
name: many
correlation: {{type: event_count, rules: [failed], group-by: [source.ip], timespan: 5m, condition: {{gte: 2}}}}
---
title: Again and again
id: {CHAIN}
correlation:
  {{type: event_count, rules: [many], group-by: [source.ip], timespan: 1h, condition: {{gte: 1}}, generate: true}}
---
title: Password changed
id: {OTHER}
name: other
logsource: {{product: app, service: tramites}}
detection: {{s: {{event.action: password_changed}}, condition: s}}
level: high
"""


def load(text: str = RULES) -> RuleSet:
    found = load_texts([("rules.yml", text)], "ecs")
    assert not found.rejected
    return found


RULESET = load()


def over(rule: str, ruleset: RuleSet = RULESET) -> dict[str, Over]:
    return {rule: Over(ruleset.by_id[rule].version, "2026-11-22T10:00:00.000000Z", Excess(50.0, 0.5))}


def event(number: int, action: str = "login_failed") -> dict[str, Any]:
    return {
        "@timestamp": f"2026-11-22T10:00:{number:02d}.000000Z",
        "event.id": f"app:0:{number}",
        "event.ingested": "2026-11-22T10:00:59.000000Z",
        "organization.id": "sfa",
        "event.dataset": "app.tramites",
        "event.action": action,
        "source.ip": "203.0.113.9",
    }


def found_by(detector: SigmaDetector, events: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[Hit]]:
    found = list(detector.select(events))
    return [item for item in found if not isinstance(item, Hit)], [item for item in found if isinstance(item, Hit)]


def test_a_rule_is_listed_by_id_or_by_name_and_what_rests_on_it_follows() -> None:
    rests = {MANY: Shadow("rests", FAILED), CHAIN: Shadow("rests", MANY)}
    assert shadows(RULESET, [FAILED]) == shadows(RULESET, ["failed"]) == {FAILED: Shadow("listed"), **rests}
    assert shadows(RULESET, ["other"]) == {OTHER: Shadow("listed")}
    assert shadows(RULESET) == {}
    assert shadows(RULESET, [""]) == {}, "rules without a name are not meant by an empty one"


def test_a_rule_may_say_so_itself_and_only_so() -> None:
    said = load(RULES + "almena: {shadow: true}\n")
    assert shadows(said) == {OTHER: Shadow("rule")}
    for other in ("almena: {shadow: 'yes'}", "almena: [shadow]", "almena: {Shadow: true}", "almena:"):
        assert shadows(load(f"{RULES}{other}\n")) == {}


def test_a_decision_holds_for_that_version_of_the_rule() -> None:
    decided = over(FAILED)
    since = "2026-11-22T10:00:00.000000Z"
    found = shadows(RULESET, ["failed"], decided)
    assert found[FAILED] == Shadow("budget", "50 µs · 50%", since)
    assert found[CHAIN] == Shadow("rests", MANY, since)
    assert shadows(load(RULES.replace("login_failed", "login_refused")), (), decided) == {}


def test_what_is_listed_and_not_there_is_told() -> None:
    assert unknown(RULESET, ["failed", OTHER, "gone", "11111111"]) == ["11111111", "gone"]


def test_the_entry_of_the_ledger_says_all() -> None:
    assert entry(RULESET.by_id[MANY], Shadow("rests", FAILED)) == {
        "rule": MANY, "title": "Many logins failed", "why": "rests", "detail": FAILED, "since": "",
    }  # fmt: skip


@pytest.mark.parametrize("shadow", [(), ("other",)])
def test_alerts_of_a_rule_in_shadow_are_tagged_and_the_same_otherwise(shadow: tuple[str, ...]) -> None:
    (alert,), _ = found_by(SigmaDetector(RULESET, shadow=shadow), [event(1, "password_changed")])
    assert alert.pop("almena.alert.shadow", False) is bool(shadow)
    (plain,), _ = found_by(SigmaDetector(RULESET), [event(1, "password_changed")])
    assert alert == plain


@pytest.mark.parametrize(
    ("shadow", "marked"), [((), set()), (("failed",), {MANY, CHAIN}), (("many",), {MANY, CHAIN}), ((CHAIN,), {CHAIN})]
)
def test_hits_are_marked_for_the_operators_in_shadow(shadow: tuple[str, ...], marked: set[str]) -> None:
    _, hits = found_by(SigmaDetector(RULESET, shadow=shadow), [event(1)])
    assert {hit.detector for hit in hits} == {MANY}
    (hit,) = (decode_hit(encode_hit(hit)) for hit in hits)
    assert set(hit.aside) | ({MANY} if hit.shadow else set()) == marked


def test_an_episode_keeps_what_it_began_as() -> None:
    operator = next(item for item in operators(RULESET) if item.name == MANY)
    for first, then in itertools.product((False, True), repeat=2):
        events = [event(number) for number in range(1, 5)]
        _, before = found_by(SigmaDetector(RULESET, shadow=[FAILED] * first), events[:2])
        _, after = found_by(SigmaDetector(RULESET, shadow=[FAILED] * then), events[2:])
        state = State()
        found = list(operator.observe(before + after, state))
        alerts = [item for item in found if not isinstance(item, Hit)]
        assert {item.shadow for item in found if isinstance(item, Hit)} == {first, then}
        assert [alert["almena.alert.count"] for alert in alerts] == [2, 4]
        assert [alert.get("almena.alert.shadow", False) for alert in alerts] == [first, first]


def test_a_hit_of_before_there_were_shadows_is_none() -> None:
    _, (hit,) = found_by(SigmaDetector(RULESET, shadow=["failed"]), [event(1)])
    import msgspec

    before = msgspec.msgpack.decode(encode_hit(hit))[: hit.__struct_fields__.index("shadow")]
    assert decode_hit(msgspec.msgpack.encode(before)).shadow is False


class Counting(PlainEngine):
    """Says how many events each of its rules was shown."""

    made: list[Counting]

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        self.ids = [rule.id for rule in rules]
        self.seen = 0
        type(self).made.append(self)

    def match(self, event: dict[str, Any]) -> Sequence[Rule]:
        self.seen += 1
        return super().match(event)

    def costs(self) -> dict[str, Cost]:
        return {rule: Cost(self.seen, 0, 1_000 * self.seen) for rule in self.ids}


@pytest.fixture
def engine() -> type[Counting]:
    Counting.made = []
    return Counting


@pytest.mark.parametrize("sizes", [[64], [1] * 64, [5, 11, 3, 40, 5], [0, 17, 47]])
def test_a_rule_over_budget_sees_one_event_in_so_many_however_they_are_cut(
    sizes: list[int], engine: type[Counting]
) -> None:
    detector = SigmaDetector(RULESET, engine, over=over(FAILED), sample=16)
    stream = (event(number % 60) for number in range(64))
    alerts, hits = found_by(detector, [])
    for size in sizes:
        more_alerts, more_hits = found_by(detector, list(itertools.islice(stream, size)))
        alerts, hits = alerts + more_alerts, hits + more_hits
    main, aside = engine.made
    assert (main.ids, main.seen) == ([OTHER], 64)
    assert (aside.ids, aside.seen) == ([FAILED], 4)
    assert len(hits) == 4
    assert all(hit.shadow for hit in hits)
    assert detector.costs() == {OTHER: Cost(64, 0, 64_000), FAILED: Cost(4, 0, 4_000)}
    assert sorted(detector.match_ids(event(1))) == [FAILED], "one event that is asked about is looked at by all"


def test_limits_come_and_go_and_only_a_change_compiles(engine: type[Counting]) -> None:
    detector = SigmaDetector(RULESET, engine)
    detector.limit({})
    detector.limit({OTHER: Over("another version", "", Excess(1.0, 1.0))})
    assert len(engine.made) == 1
    detector.limit(over(OTHER))
    assert [made.ids for made in engine.made[1:]] == [[FAILED], [OTHER]]
    assert detector.shadow[OTHER].why == "budget"
    detector.limit({})
    assert [made.ids for made in engine.made[3:]] == [[FAILED, OTHER]]
    assert detector.shadow == {}


def test_another_set_keeps_decisions_about_what_did_not_change(engine: type[Counting]) -> None:
    detector = SigmaDetector(RULESET, engine, shadow=["many"], over=over(FAILED) | over(OTHER))
    detector.replace(load(RULES.replace("password_changed", "password_lost")))
    assert {rule: shadow.why for rule, shadow in detector.shadow.items()} == {
        FAILED: "budget", MANY: "listed", CHAIN: "rests",
    }  # fmt: skip
    assert [made.ids for made in engine.made[-2:]] == [[OTHER], [FAILED]]
    alerts, _ = found_by(detector, [event(1, "password_lost"), event(2, "password_changed")])
    assert [alert["event.id"] for alert in alerts] == ["app:0:1"]


def test_a_set_that_cannot_be_compiled_leaves_the_old_one_running() -> None:
    def engine(rules: Sequence[Rule]) -> PlainEngine:
        if any(rule.title == "broken" for rule in rules):
            raise MemoryError
        return PlainEngine(rules)

    detector = SigmaDetector(RULESET, engine)
    with pytest.raises(MemoryError):
        detector.replace(load(RULES.replace("Password changed", "broken")))
    assert detector.ruleset is RULESET
    assert len(found_by(detector, [event(1, "password_changed")])[0]) == 1

"""What pySigma 2.0.1 does not do, and what other engines got wrong: each by its name, through every engine."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from sigma_engines import ENGINES

from almena.event import Event
from detectors.sigma.loader import load_texts
from detectors.sigma.rules import RuleSet
from detectors.sigma.trial import try_rules

Match = Callable[..., bool]

A, B, C = (f"{digit * 8}-{digit * 4}-4{digit * 3}-8{digit * 3}-{digit * 12}" for digit in "abc")


def rule(name: str, identity: str = A, *, selection: str = "{a: x}", logsource: str = "{product: windows}") -> str:
    return (
        f"title: {name}\nid: {identity}\nname: {name}\nlogsource: {logsource}\n"
        f"detection: {{s: {selection}, condition: s}}\n"
    )


def correlation(body: str, name: str = "many", identity: str = C) -> str:
    return f"title: {name}\nid: {identity}\nname: {name}\ncorrelation: {{{body}}}\n"


def load(*texts: str) -> RuleSet:
    return load_texts([(f"{number}.yml", text) for number, text in enumerate(texts)])


def refused(ruleset: RuleSet) -> dict[str, str]:
    return {rejection.rule: rejection.reason for rejection in ruleset.rejected}


# --- what pySigma lacks ----------------------------------------------------------------------------------------------


def test_a_range_in_a_correlation_is_read() -> None:
    body = "type: event_count, rules: [base], group-by: [a], timespan: 1m, condition: {gte: 2, lt: 9}"
    ruleset = load(rule("base"), correlation(body))
    (found,) = ruleset.correlations
    assert found.condition is not None
    assert found.condition.bounds == (("gte", 2), ("lt", 9))


@pytest.mark.parametrize(
    ("modifiers", "data"),
    [
        ("utf16le|base64", "iex".encode("utf-16-le")),
        ("utf16be|base64", "iex".encode("utf-16-be")),
        ("utf16|base64", b"\xff\xfe" + "iex".encode("utf-16-le")),
        ("wide|base64", "iex".encode("utf-16-le")),
    ],
)
@pytest.mark.parametrize("text", ["iex", "contraseña", "€"])
def test_utf16_in_chains(match: Match, modifiers: str, data: bytes, text: str) -> None:
    form = "utf-16-be" if "be|" in modifiers else "utf-16-le"
    encoded = b64encode((data[:2] if data[:2] == b"\xff\xfe" else b"") + text.encode(form)).decode()
    assert match(f"{{f|{modifiers}: {text}}}", {"f": encoded})
    assert not match(f"{{f|{modifiers}: {text}}}", {"f": b64encode(text.encode()).decode()})


@pytest.mark.parametrize("how", ["endswith", "startswith", "contains"])
@pytest.mark.parametrize("order", ["{0}|fieldref", "fieldref|{0}", "cased|{0}|fieldref", "fieldref|cased|{0}"])
def test_references_combine_in_any_order(match: Match, how: str, order: str) -> None:
    left = {"endswith": "xxAb", "startswith": "Abxx", "contains": "xAbx"}[how]
    key = f"f|{order.format(how)}"
    assert match(f"{{{key}: g}}", {"f": left, "g": "Ab"})
    assert match(f"{{{key}: g}}", {"f": left, "g": "AB"}) is ("cased" not in order)
    assert not match(f"{{{key}: g}}", {"f": "xAxbx", "g": "Ab"})


def test_conditions_of_filters_get_no_random_names() -> None:
    text = "title: F\nfilter: {rules: any, s: {b: y}, condition: not s}\nlogsource: {product: windows}\n"
    one, two = load(rule("base"), text), load(rule("base"), text)
    assert repr(one.rules[0].expression) == repr(two.rules[0].expression)
    assert "_filt" not in repr(one.rules[0].expression) + one.rules[0].condition
    assert one.hash == two.hash


@pytest.mark.parametrize(
    ("rules", "logsource", "said"),
    [
        ("[nobody]", "{product: windows}", "'nobody', which is not loaded"),
        ("[base, nobody]", "{product: windows}", "'nobody', which is not loaded"),
        ("[base]", "{product: linux}", "the filter is for linux/*/*"),
    ],
)
def test_a_filter_that_fits_nothing_is_refused_and_changes_nothing(rules: str, logsource: str, said: str) -> None:
    text = f"title: F\nid: {B}\nlogsource: {logsource}\nfilter: {{rules: {rules}, s: {{b: y}}, condition: not s}}\n"
    ruleset = load(rule("base"), text)
    assert said in refused(ruleset)[B]
    assert ruleset.rules[0].expression == load(rule("base")).rules[0].expression


def test_an_id_or_a_name_twice_is_refused() -> None:
    ruleset = load(rule("first"), rule("second"), rule("first", B), rule("third", C))
    assert [found.title for found in ruleset.rules] == ["first", "third"]
    assert "taken by 'first' in 0.yml" in refused(ruleset)[A]
    assert "its name 'first' is taken by 'first' in 0.yml" in refused(ruleset)[B]


def test_cycles_of_correlations_are_refused() -> None:
    one = correlation("type: temporal, rules: [two, base], timespan: 1m", "one", B)
    two = correlation("type: temporal, rules: [one, base], timespan: 1m", "two", C)
    ruleset = load(one, two, rule("base"))
    assert [found.title for found in ruleset.rules] == ["base"]
    assert not ruleset.correlations
    assert all("reads itself" in reason for reason in refused(ruleset).values())
    itself = correlation("type: temporal, rules: [many], timespan: 1m")
    assert "reads itself" in refused(load(itself))[C]


def test_one_missing_reference_costs_one_correlation() -> None:
    body = "type: event_count, rules: [{}], group-by: [a], timespan: 1m, condition: {{gte: 2}}"
    ruleset = load(rule("base"), correlation(body.format("nobody"), "bad", B), correlation(body.format("base"), "good"))
    assert [found.title for found in ruleset.correlations] == ["good"]
    assert refused(ruleset) == {B: "it reads the rule 'nobody', which is not loaded"}


def test_five_thousand_nested_lists_are_refused_with_a_reason() -> None:
    ruleset = load(rule("deep", selection="[" * 5_000 + "x" + "]" * 5_000), rule("good", B))
    assert [found.title for found in ruleset.rules] == ["good"]
    (rejection,) = ruleset.rejected
    assert "nested deeper than" in rejection.reason
    assert "RecursionError" not in rejection.reason


def test_validators_that_download_are_never_used() -> None:
    import sys

    load(rule("base") + "tags: [attack.stealth, attack.defense-impairment, attack.t9999]\n")
    assert not [name for name in sys.modules if name.startswith("sigma.validators")]


def test_whole_numbers_keep_their_last_digit(match: Match) -> None:
    """pySigma makes a float of what a float cannot hold, and the rule never matches."""
    assert match("{f: 9007199254740993}", {"f": 9007199254740993})
    assert not match("{f: 9007199254740993}", {"f": 9007199254740992})


# --- where others went wrong -----------------------------------------------------------------------------------------

CHAIN = """\
title: Followed
name: followed
correlation: {type: temporal_ordered, rules: [multiple_failed_login, successful_login], group-by: [User], timespan: 10m}
level: high
tests:
%s
---
title: Multiple failed logons
name: multiple_failed_login
correlation: {type: event_count, rules: [failed_login], group-by: [User], timespan: 10m, condition: {gte: 10}}
---
title: Single failed login
name: failed_login
logsource: {product: windows, service: security}
detection: {selection: {EventID: [529, 4625]}, condition: selection}
---
title: Successful login
name: successful_login
logsource: {product: windows, service: security}
detection: {selection: {EventID: [528, 4624]}, condition: selection}
"""
FAILED = "event.dataset: windows.security, event.code: '4625', winlog.event_data.User: ana"
ENTERED = "event.dataset: windows.security, event.code: '4624', winlog.event_data.User: ana"


def outcome(kind: str, example: str, text: str = CHAIN) -> tuple[int, list[str]]:
    found = try_rules(load_texts([("x.yml", text % f"  {kind}: {{x: {example}}}")], "ecs"))
    return found.passed, [str(failure) for failure in found.failures]


@pytest.mark.parametrize(
    ("kind", "example"),
    [
        ("alerts", f"[{{repeat: 10, every: 20s, {FAILED}}}, {{after: 4m, {ENTERED}}}]"),
        ("silent", f"[{{repeat: 9, every: 20s, {FAILED}}}, {{after: 4m, {ENTERED}}}]"),
        ("silent", f"[{{after: 0s, {ENTERED}}}, {{after: 10s, repeat: 10, every: 20s, {FAILED}}}]"),
    ],
)
def test_1_and_4_the_specification_s_chained_example_alerts(kind: str, example: str) -> None:
    """Correlation, "Failed Logins Followed by Successful Login": the outer alert, of a chained result."""
    assert outcome(kind, example) == (1, [])


@pytest.mark.parametrize("reference", ["base", A, A.upper()])
def test_2_correlations_find_their_rules_by_name_and_by_id(reference: str) -> None:
    body = f"type: event_count, rules: ['{reference}'], group-by: [a], timespan: 1m, condition: {{gte: 2}}"
    assert load(correlation(body), rule("base")).correlations[0].rules == (A,)


BOTH = """\
title: Both
correlation: {type: temporal, rules: [one, two], group-by: [User], timespan: 1m}
tests:
%s
---
title: One
name: one
logsource: {product: app, service: payments}
detection: {s: {event.action: a}, condition: s}
---
title: Two
name: two
logsource: {product: app, service: payments}
detection: {s: {event.action: b}, condition: s}
"""
ONE, TWO = ("event.dataset: app.payments, User: ana, event.action: " + action for action in "ab")


@pytest.mark.parametrize(
    ("kind", "example"),
    [
        ("silent", f"[{{repeat: 5, every: 1s, {ONE}}}]"),
        ("alerts", f"[{{after: 0s, {TWO}}}, {{after: 9s, {ONE}}}]"),
        ("silent", f"[{{after: 0s, {TWO}}}, {{after: 2h, {ONE}}}]"),
        ("silent", f"[{{after: 2h, {TWO}}}, {{after: 0s, {ONE}}}]"),
    ],
)
def test_3_and_6_temporal_needs_all_its_rules_within_its_window_in_any_order_of_arrival(
    kind: str, example: str
) -> None:
    assert outcome(kind, example, BOTH) == (1, [])


def test_7_events_without_a_group_do_not_share_one() -> None:
    without = "event.dataset: app.payments, event.action: "
    assert outcome("silent", f"[{{after: 0s, {without}a}}, {{after: 1s, {without}b}}]", BOTH) == (1, [])
    _, failures = outcome("alerts", f"[{{after: 0s, {without}a}}, {{after: 1s, {without}b}}]", BOTH)
    assert "lack a field to group by" in failures[0]


@pytest.mark.parametrize("written", ["-", "/", "–", "—", "―"])
@pytest.mark.parametrize("seen", ["-", "/", "–", "—", "―"])
def test_9_windash_works_both_ways(match: Match, written: str, seen: str) -> None:
    assert match(f"{{f|windash|contains: ' {written}enc'}}", {"f": f"powershell {seen}ENC x"})
    assert not match(f"{{f|contains: ' {written}enc'}}", {"f": f"powershell {seen}enc x"}) or written == seen


def test_10_a_star_crosses_line_breaks(match: Match) -> None:
    assert match("{f: 'begin*end'}", {"f": "begin\r\nmiddle\nend"})
    assert match("{f|contains: 'begin*mid?le'}", {"f": "x begin\nmid\nle"})


def test_11_wildcards_keep_their_meaning_under_windash(match: Match) -> None:
    for seen in ("-", "/", "–"):
        assert match("{f|windash|contains: ' -x*y?z'}", {"f": f"a {seen}x qq yyz"})
        assert not match("{f|windash|contains: ' -x*y?z'}", {"f": f"a {seen}x qq yz"})
    assert not match("{f|windash|contains: ' -x*y'}", {"f": "a -x*"})


def test_12_references_combine_with_places(match: Match) -> None:
    event: Event = {"TargetFilename": r"C:\Users\ana\x.exe", "Image": r"\x.exe"}
    assert match("{TargetFilename|endswith|fieldref: Image}", event)
    assert match("{TargetFilename|fieldref|contains: Image}", event)
    assert not match("{TargetFilename|startswith|fieldref: Image}", event)


@pytest.mark.parametrize("value", [4711, "4711", [1, 4711], {"deep": [4711]}, 47110, -4711, 4711.5])
def test_13_keywords_search_numbers_too(match: Match, value: Any) -> None:
    assert match("[4711]", {"f": value})
    assert match("['471']", {"f": value})
    assert not match("[4712]", {"f": value})


def test_16_every_document_is_loaded_or_refused_with_a_reason() -> None:
    texts = [rule("good"), rule("bad", B, selection="{a|nope: x}"), "just text", "a: [b", correlation("type: odd")]
    texts.append("title: F\nlogsource: {product: windows}\nfilter: {rules: [nobody], s: {a: b}, condition: s}\n")
    ruleset = load(*texts)
    assert len(ruleset.everything) + len(ruleset.rejected) == len(texts)
    assert all(rejection.file and rejection.rule and rejection.reason for rejection in ruleset.rejected)


def test_every_engine_is_asked() -> None:
    assert {engine.__name__ for engine in ENGINES} >= {"PlainEngine", "IndexEngine"}

"""Loading: ids, collections, filters, references, and a reason for everything that is refused."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest

from almena.errors import RuleError, UsageError
from detectors.sigma.condition import Condition
from detectors.sigma.evaluator import compile_test
from detectors.sigma.expression import Named, predicates
from detectors.sigma.loader import load_rules, load_texts
from detectors.sigma.rules import Correlation, RuleSet
from detectors.sigma.values import View

A, B, C = (f"{digit * 8}-{digit * 4}-4{digit * 3}-8{digit * 3}-{digit * 12}" for digit in "abc")


def rule(title: str = "T", *, ident: str | None = A, name: str = "", field: str = "a", more: str = "") -> str:
    lines = [f"title: {title}"]
    lines += [f"id: {ident}"] if ident else []
    lines += [f"name: {name}"] if name else []
    lines += [more] if more else []
    lines += ["logsource: {product: windows, category: process_creation}"]
    lines += [f"detection: {{s: {{{field}: x}}, condition: s}}"]
    return "\n".join(lines) + "\n"


def correlation(rules: str, *, ident: str = C, more: str = "", name: str = "", kind: str = "event_count") -> str:
    condition = "  condition: {gte: 3}\n" if kind == "event_count" else ""
    return (
        f"title: Correlation\nid: {ident}\n" + (f"name: {name}\n" if name else "") + "correlation:\n"
        f"  type: {kind}\n  rules: {rules}\n  timespan: 5m\n{condition}{more}"
    )


def load(*texts: str) -> RuleSet:
    return load_texts([(f"{number}.yml", text) for number, text in enumerate(texts)])


def reasons(ruleset: RuleSet) -> dict[str, str]:
    return {rejection.rule: rejection.reason for rejection in ruleset.rejected}


def matches(ruleset: RuleSet, title: str, event: dict[str, object]) -> bool:
    (found,) = [item for item in ruleset.rules if item.title == title]
    return compile_test(found.expression)(View(event))


def test_a_rule_keeps_its_document() -> None:
    (found,) = load(rule(more="level: HIGH\nes: {titulo: Título}\ntests: {alerts: {}}\ntags: [attack.t1059]")).rules
    assert (found.id, found.title, found.level, found.file) == (A, "T", "high", "0.yml")
    assert found.document["es"] == {"titulo": "Título"}
    assert found.about["tags"] == ["attack.t1059"]
    assert found.severity == 73


def test_levels_default_to_medium_and_ids_to_the_name() -> None:
    (first,) = load(rule(ident=None)).rules
    (again,) = load(rule(ident=None)).rules
    (other,) = load(rule("Other", ident=None)).rules
    assert first.level == "medium"
    assert first.id == again.id != other.id


def test_versions_change_with_what_is_detected_alone() -> None:
    (one,) = load(rule("One", more="level: low")).rules
    (reworded,) = load(rule("Reworded", more="level: high")).rules
    (changed,) = load(rule("One", field="b")).rules
    assert one.version == reworded.version != changed.version


def test_the_hash_names_the_whole_set() -> None:
    one, two = rule(), rule("U", ident=B)
    assert load(one, two).hash == load(two, one).hash
    assert load(one, two).hash != load(one).hash
    assert load(one).hash != load(rule(more="level: low")).hash
    assert load(one + "tests: {alerts: {1: {a: x}}}\n").hash


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1, 2]", "a rule is a mapping"),
        ("title: T\nid: " + A, "logsource"),
        (rule().replace("logsource: {product: windows, category: process_creation}", "logsource: {}"), "logsource"),
        (rule().replace("product: windows", "product: 5"), "logsource"),
        (rule().replace("detection: {", "detection: x #"), "'detection' is a mapping"),
        (rule(ident="NEW"), "UUID"),
        (rule(ident="5"), "malformed"),
        (rule(more="level: dreadful"), "level"),
        (rule(more="date: someday"), "date"),
        (rule(more="status: [a]"), "status"),
        (rule().replace("title: T", "title: [a]"), "title"),
        (rule().replace("title: T\n", ""), "title"),
        (rule(more="action: explode"), "unknown action"),
        ("a: [b", "line 2: no valid YAML"),
        ("a: &x [b]\nc: *x\n", "aliases"),
        (rule() + "title: Again\n", "'title' is written twice"),
        ("x: " + "[" * 5_000 + "]" * 5_000, "nested deeper"),
        (rule().replace("s: {a: x}", "s: " + "[" * 90 + "x" + "]" * 90), ""),
        ("x: \x00", "YAML"),
    ],
)
def test_a_broken_rule_is_refused_and_the_rest_loads(text: str, said: str) -> None:
    ruleset = load(text, rule("Good", ident=B))
    assert [item.title for item in ruleset.rules if item.id == B] == ["Good"]
    if said:
        (rejection,) = ruleset.rejected
        assert said in rejection.reason
        assert rejection.file == "0.yml"
        assert "Traceback" not in str(rejection)


def test_ids_and_names_are_taken_once() -> None:
    ruleset = load(rule("First", name="n"), rule("Second"), rule("Third", ident=B, name="n"))
    assert [item.title for item in ruleset.rules] == ["First"]
    assert "taken by 'First' in 0.yml" in reasons(ruleset)[A]
    assert "'n' is taken by 'First'" in reasons(ruleset)[B]


def test_an_unknown_log_source_is_said() -> None:
    ruleset = load(rule().replace("product: windows", "product: windwos"))
    (warning,) = ruleset.warnings
    assert "windwos/process_creation/*" in warning.reason
    assert ruleset.rules


# --- collections -----------------------------------------------------------------------------------------------------


def test_globals_accumulate_and_do_not_leak_into_other_files() -> None:
    text = "action: global\nlevel: low\n---\naction: global\nstatus: test\n---\n" + rule("Both")
    ruleset = load(text, rule("Other", ident=B))
    both, other = ruleset.rules
    assert (both.level, both.document["status"]) == ("low", "test")
    assert (other.level, other.document.get("status")) == ("medium", None)


def test_rules_that_inherit_one_id_get_one_each() -> None:
    text = f"action: global\nid: {A}\nlogsource: {{product: windows}}\n---\n"
    text += "title: One\ndetection: {s: {a: x}, condition: s}\n---\ntitle: Two\ndetection: {s: {a: y}, condition: s}\n"
    ruleset = load(text)
    assert not ruleset.rejected
    assert ruleset.rules[0].id == A
    assert len({item.id for item in ruleset.rules}) == 2


# --- filters ---------------------------------------------------------------------------------------------------------


def filter_of(rules: str, *, logsource: str = "{product: windows}", condition: str = "not 1 of f*") -> str:
    return (
        f"title: Filter\nid: {B}\nlogsource: {logsource}\n"
        f"filter: {{rules: {rules}, f1: {{user|startswith: adm_}}, f2: {{host: lab}}, condition: {condition}}}\n"
    )


def test_a_filtered_rule_is_the_same_at_every_load() -> None:
    one, two = load(filter_of("any"), rule()), load(filter_of("any"), rule())
    assert one.rules[0].expression == two.rules[0].expression
    assert one.rules[0].version == two.rules[0].version != load(rule()).rules[0].version
    assert one.rules[0].condition == "(s) and (not 1 of f*)"
    assert "_filt_" not in repr(one.rules[0].expression)


def test_a_filter_sees_only_its_own_selections() -> None:
    ruleset = load(filter_of("any", condition="not 1 of them"), rule())
    assert matches(ruleset, "T", {"a": "x"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (filter_of("[nobody]"), "'nobody', which is not loaded"),
        (filter_of("[named]", logsource="{product: linux}"), "the filter is for linux/*/*"),
        (filter_of("any", condition="not x"), "'x'"),
        (filter_of("any").replace("rules: any, ", ""), "which rules"),
        (filter_of("any").replace("lab", "[]"), "empty list"),
    ],
)
def test_a_broken_filter_is_refused_and_changes_nothing(text: str, said: str) -> None:
    ruleset = load(text, rule(name="named"))
    assert said in reasons(ruleset)[B]
    assert ruleset.rules[0].version == load(rule()).rules[0].version


def test_a_filter_for_nothing_is_said() -> None:
    ruleset = load(filter_of("any", logsource="{product: linux}"), rule())
    assert "no loaded rule has the filter's log source" in ruleset.warnings[0].reason


# --- correlations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reference", [A, A.upper(), "base"])
def test_correlations_find_rules_by_id_and_by_name(reference: str) -> None:
    ruleset = load(correlation(f"[{reference}]"), rule(name="base"))
    (found,) = ruleset.correlations
    assert found.rules == (A,)
    assert ruleset.muted == {A}
    assert found.condition == Condition((("gte", 3),))
    assert found.timespan == 300_000_000


def test_generate_lets_rules_alert_too() -> None:
    assert not load(correlation(f"[{A}]", more="  generate: true\n"), rule()).muted


def test_a_broken_correlation_still_mutes_its_rules() -> None:
    ruleset = load(correlation(f"[{A}, missing]"), rule())
    assert "'missing', which is not loaded" in reasons(ruleset)[C]
    assert ruleset.muted == {A, "missing"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("event_count", "value_sum"), "without field reference"),
        (("gte: 3", "lt: 1"), "no number of events fulfils its condition lt 1"),
        (("gte: 3", "gt: 3, lt: 4"), "no number of events fulfils its condition gt 3, lt 4"),
        (("gte: 3", "gte: 0"), "gte 0 holds without any event"),
        (("gte: 3", "gt: -5"), "gt -5 holds without any event"),
        (("gte: 3", "gte: 3, most: 9"), "its condition has most; known are gt"),
        (("gte: 3", "gte: soon"), "gte: 'soon', which is no number"),
        (("gte: 3", "gte: true"), "gte: True, which is no number"),
        (("gte: 3", "gte: .nan"), "gte: nan, which is no number"),
        (("gte: 3", "gte: 10000000000"), "and 1000000000 is the largest"),
        (("gte: 3", "field: a"), "compares with nothing"),
        (("timespan: 5m", "timespan: soon"), "Timespan"),
        (("  timespan: 5m\n", ""), "timespan"),
        (("  condition: {gte: 3}\n", ""), "condition"),
        (("type: event_count", "type: event_cuont"), "event_cuont"),
        (("type: event_count", "type: value_count"), "field"),
        ((f"rules: [{A}]", "rules: []"), "names no rules"),
        ((f"rules: [{A}]", "rules: {}"), "Rule reference"),
    ],
)
def test_correlations_that_do_not_run_say_why(change: tuple[str, str], said: str) -> None:
    ruleset = load(correlation(f"[{A}]").replace(*change), rule())
    assert said in reasons(ruleset)[C]
    assert len(ruleset.rules) == 1


@pytest.mark.parametrize(
    ("kind", "condition", "said"),
    [
        ("value_sum", "{gte: 3, field: [a, b]}", "takes one field, not 2"),
        ("value_avg", "{gte: 3, field: []}", "'field'"),
        ("value_percentile", "{gte: 3, field: a}", "needs 'percentile'"),
        ("value_percentile", "{gte: 3, field: a, percentile: 100}", "needs 'percentile'"),
        ("temporal", "{gte: 3}", "waits for 3, and it reads 2"),
        ("temporal_ordered", "{gt: 2}", "waits for 3, and it reads 2"),
        ("temporal", "base and", "is no expression of rules"),
        ("temporal", "base", "does not mention"),
        ("temporal", "base and other and third", "'third', which is not among its rules"),
        ("temporal", "base and other and not base", "contradicts itself"),
        ("temporal", "not base and not other", "every way needs a rule that occurs"),
        ("temporal", "base or not other", "every way needs a rule that occurs"),
    ],
)
def test_conditions_that_cannot_hold_say_why(kind: str, condition: str, said: str) -> None:
    text = correlation("[base, other]", kind=kind, more=f"  condition: {condition}\n")
    ruleset = load(text, rule(name="base"), rule("U", ident=B, name="other"))
    assert said in reasons(ruleset)[C]


@pytest.mark.parametrize(
    ("kind", "condition", "ways"),
    [
        ("temporal", "base and other", {((A, True), (B, True))}),
        ("temporal", "base or other", {((A, True),), ((B, True),)}),
        ("temporal", "other AND NOT base", {((A, False), (B, True))}),
        ("temporal_ordered", f"{B} and not ({A} or third)", {((A, False), (B, True), (C[:-1] + "0", False))}),
        ("temporal", "not (base or not other)", {((A, False), (B, True))}),
        ("temporal", "base and (other or not third)", {((A, True), (B, True)), ((A, True), (C[:-1] + "0", False))}),
    ],
)
def test_boolean_conditions_are_taken_apart(kind: str, condition: str, ways: set[Any]) -> None:
    third = rule("V", ident=C[:-1] + "0", name="third")
    rules = "[base, other, third]" if "third" in condition else "[base, other]"
    text = correlation(rules, kind=kind, more=f"  condition: {condition}\n")
    (found,) = load(text, rule(name="base"), rule("U", ident=B, name="other"), third).correlations
    assert set(found.ways) == ways
    assert found.expression == condition
    assert set(found.absent) == {rule for way in ways for rule, occurs in way if not occurs}


def test_some_rules_in_order_are_the_ways_of_choosing_them() -> None:
    rules = (rule(name="base"), rule("U", ident=B, name="other"))
    text = correlation("[base, other, base]", kind="temporal_ordered", more="  condition: {gte: 2}\n")
    (found,) = load(text, *rules).correlations
    assert set(found.ways) == {((A, True), (B, True)), ((A, True), (A, True)), ((B, True), (A, True))}
    many = correlation(str(["base", "other"] * 6).replace("'", ""), kind="temporal_ordered")
    assert "more than 64 ways" in reasons(load(many + "  condition: {gte: 6}\n", *rules))[C]


def test_rules_may_stand_in_the_expression_alone() -> None:
    text = correlation("[]", kind="temporal", more="  condition: base and not other\n").replace("  rules: []\n", "")
    ruleset = load(text, rule(name="base"), rule("U", ident=B, name="other"))
    assert ruleset.correlations[0].rules == (A, B)
    assert ruleset.muted == {A, B}


def test_bounds_are_kept_as_written() -> None:
    (found,) = load(correlation(f"[{A}]").replace("gte: 3", "gt: 3, lte: 9.5"), rule()).correlations
    assert found.condition is not None
    assert (found.condition.text(), found.condition.smallest, found.closes) == ("gt 3, lte 9.5", 4, True)


def test_a_correlation_may_wait_for_feeds_that_come_late() -> None:
    (found,) = load(correlation(f"[{A}]") + "almena: {lateness: 2h}\n", rule()).correlations
    assert found.lateness == 7_200_000_000
    ruleset = load(correlation(f"[{A}]") + "almena: {lateness: soon}\n", rule())
    assert "almena: lateness" in reasons(ruleset)[C]


def test_cycles_of_correlations_are_refused_and_the_rest_loads() -> None:
    one = correlation("[two]", name="one", ident=B, kind="temporal")
    two = correlation("[one]", name="two", ident=C, kind="temporal")
    ruleset = load(one, two, rule())
    assert not ruleset.correlations
    assert all("reads itself" in found for found in reasons(ruleset).values())
    assert len(ruleset.rules) == 1


def test_a_chain_has_an_end() -> None:
    texts = [correlation("[base]", name="c0", ident=f"{0:08x}-0000-4000-8000-000000000000")]
    for number in range(1, 102):
        ident = f"{number:08x}-0000-4000-8000-000000000000"
        texts.append(correlation(f"[c{number - 1}]", name=f"c{number}", ident=ident, kind="temporal"))
    ruleset = load(*texts, rule(name="base"))
    assert len(ruleset.correlations) == 100
    assert "a chain of more than 100" in str(ruleset.rejected[0])


def test_chains_load_forwards_and_backwards() -> None:
    inner, outer = correlation("[base]", name="inner", ident=B), correlation("[inner, base]", kind="temporal")
    for texts in ((inner, outer), (outer, inner)):
        ruleset = load(*texts, rule(name="base"))
        assert not ruleset.rejected
        assert {item.id for item in ruleset.correlations} == {B, C}


def test_a_chain_may_group_by_any_field_of_the_events() -> None:
    inner = correlation("[base]", name="inner", ident=B)
    outer = correlation("[inner]", kind="temporal", more="  group-by: [user]\n")
    found = load(inner, outer, rule(name="base")).by_id[C]
    assert isinstance(found, Correlation)
    assert (found.depth, found.sources) == (1, {B: {A: {"user": "user"}}})


def test_an_alias_says_the_field_of_every_rule() -> None:
    good = "  group-by: [ip]\n  aliases: {ip: {base: src, other: dst}}\n"
    bad = "  group-by: [ip]\n  aliases: {ip: {base: src}}\n"
    rules = (rule(name="base"), rule("U", ident=B, name="other"))
    (found,) = load(correlation("[base, other]", more=good), *rules).correlations
    assert found.sources == {A: {A: {"ip": "src"}}, B: {B: {"ip": "dst"}}}
    assert "'ip' does not say which field of 'U'" in reasons(load(correlation("[base, other]", more=bad), *rules))[C]


def test_versions_of_correlations_follow_their_rules() -> None:
    text = correlation(f"[{A}]")
    one, two = load(text, rule()).correlations[0], load(text, rule(field="b")).correlations[0]
    assert one.version != two.version


# --- files -----------------------------------------------------------------------------------------------------------


def test_folders_files_and_archives_read_alike(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    (folder / "sub").mkdir(parents=True)
    (folder / "pipelines").mkdir()
    (folder / "one.yml").write_text(rule(), "utf-8")
    (folder / "sub" / "two.yaml").write_text("\ufeff" + rule("Ü", ident=B), "utf-8")
    (folder / "pipelines" / "none.yml").write_text("name: none\ntransformations: []\n", "utf-8")
    (folder / "notes.txt").write_text("no rule", "utf-8")
    archive = tmp_path / "rules.tar.xz"
    with tarfile.open(archive, "w:xz") as packed:
        packed.add(folder / "one.yml", "rules/one.yml")
        packed.add(folder / "sub", "rules/sub")
    for path in (folder, archive):
        ruleset = load_rules([path])
        assert [item.title for item in ruleset.rules] == ["T", "Ü"]
        assert not ruleset.rejected
    assert load_rules([folder / "one.yml"]).rules[0].file == str(folder / "one.yml")


def test_a_missing_folder_is_an_error_of_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        load_rules([tmp_path / "nowhere"])
    (tmp_path / "bad.tar.xz").write_bytes(b"no archive")
    with pytest.raises(UsageError, match="no readable archive"):
        load_rules([tmp_path / "bad.tar.xz"])


def test_a_broken_pipeline_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "one.yml").write_text(rule(), "utf-8")
    pipelines = tmp_path / "own"
    pipelines.mkdir()
    (pipelines / "bad.yml").write_text("transformations: [{type: nonsense}]\n", "utf-8")
    with pytest.raises(RuleError, match=r"bad\.yml"):
        load_rules([tmp_path / "one.yml"], pipelines=pipelines)
    (pipelines / "bad.yml").write_text("- a\n", "utf-8")
    with pytest.raises(RuleError, match="one YAML mapping"):
        load_rules([tmp_path / "one.yml"], pipelines=pipelines)


def test_placeholders_get_values_from_a_pipeline(tmp_path: Path) -> None:
    (tmp_path / "one.yml").write_text(rule().replace("{a: x}", "{a|expand: '%servers%'}"), "utf-8")
    own = tmp_path / "own"
    own.mkdir()
    (own / "values.yml").write_text(
        "name: values\npriority: 1\nvars: {servers: [dc1, dc2]}\ntransformations: [{type: value_placeholders}]\n",
        "utf-8",
    )
    ruleset = load_rules([tmp_path / "one.yml"], pipelines=own)
    assert not ruleset.rejected
    assert matches(ruleset, "T", {"a": "dc2"})


# --- names of fields -------------------------------------------------------------------------------------------------


def ecs_fields(detection: str, logsource: str) -> set[str]:
    text = f"title: T\nlogsource: {logsource}\ndetection: {{s: {detection}, condition: s}}\n"
    ruleset = load_texts([("x.yml", text)], "ecs")
    assert not ruleset.rejected, ruleset.rejected
    return set(ruleset.rules[0].fields)


@pytest.mark.parametrize(
    ("detection", "logsource", "expected"),
    [
        (
            "{Image: a, ParentCommandLine: b, Hashes: c, EventID: 1}",
            "{product: windows, category: process_creation}",
            {"process.executable", "process.parent.command_line", "winlog.event_data.Hashes", "event.code"},
        ),
        (
            "{Image|fieldref|endswith: ParentImage, Odd: x}",
            "{product: windows, category: process_creation}",
            {"process.executable", "process.parent.executable", "winlog.event_data.Odd"},
        ),
        (
            "{process.executable: a, message: b, source.ip: c}",
            "{product: windows, service: security}",
            {"process.executable", "message", "source.ip"},
        ),
        (
            "{DestinationIp: 1.1.1.1, DestinationPort: 53}",
            "{product: windows, category: network_connection}",
            {"destination.ip", "destination.port"},
        ),
        ("{Image: a, User: b}", "{product: linux, category: process_creation}", {"process.executable", "user.name"}),
        (
            "{cs-method: GET, cs-uri-stem: /x, c-ip: 1.1.1.1, sc-status: 200}",
            "{category: webserver}",
            {"http.request.method", "url.path", "source.ip", "http.response.status_code"},
        ),
        ("{query: x, answer: y}", "{category: dns}", {"dns.question.name", "dns.answers.data"}),
        ("{dst_port: 1, action: block}", "{category: firewall}", {"destination.port", "event.action"}),
        (
            "{event.action: x, almena.payment.amount|gt: 5}",
            "{product: app, service: payments}",
            {"event.action", "almena.payment.amount"},
        ),
    ],
)
def test_fields_become_ecs(detection: str, logsource: str, expected: set[str]) -> None:
    assert ecs_fields(detection, logsource) == expected


def test_native_rules_keep_their_names() -> None:
    (found,) = load(rule(field="Image")).rules
    assert found.fields == {"Image"}
    assert isinstance(found.expression, Named)
    assert [predicate.field for predicate in predicates(found.expression)] == ["Image"]


def test_groups_of_correlations_are_mapped_like_the_rules_they_count() -> None:
    text = correlation(f"[{A}]", more="  group-by: [Image, Odd]\n")
    ruleset = load_texts([("x.yml", text), ("y.yml", rule())], "ecs")
    assert ruleset.correlations[0].sources[A][A] == {"Image": "process.executable", "Odd": "winlog.event_data.Odd"}

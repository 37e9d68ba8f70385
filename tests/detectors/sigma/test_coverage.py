"""What rules cover, counted, and the layer that ATT&CK Navigator reads."""

from __future__ import annotations

import msgspec

from detectors.sigma.attack import table
from detectors.sigma.coverage import coverage_of, layer
from detectors.sigma.loader import load_texts
from detectors.sigma.rules import RuleSet

RULES = """\
title: One
logsource: {product: windows, category: process_creation}
detection: {s: {Image: x}, condition: s}
tags: [attack.execution, attack.t1059.001, attack.t1027]
tests: {alerts: {a: {Image: x}}}
---
title: Two
name: two
logsource: {product: windows, category: process_creation}
detection: {s: {Image: y}, condition: s}
tags: [attack.t1027, attack.t0000]
---
title: Three
logsource: {product: beos}
detection: {s: {Image: z}, condition: s}
---
title: Several
correlation: {type: event_count, rules: [two], group-by: [User], timespan: 1m, condition: {gte: 2}}
tags: [attack.impact]
"""


def ruleset() -> RuleSet:
    return load_texts([("x.yml", RULES)], "ecs")


def test_techniques_tactics_and_log_sources_are_counted() -> None:
    found = coverage_of(ruleset())
    assert {name: (counts.rules, counts.tested) for name, counts in found.techniques.items()} == {
        "T1027": (["One", "Two"], 1),
        "T1059.001": (["One"], 1),
    }
    rows = {row.tactic: row for row in found.rows}
    assert list(rows) == list(table().tactics.values())
    assert (rows["Execution"].covered, rows["Execution"].rules, rows["Execution"].tested) == (1, 1, 1)
    assert (rows["Stealth"].covered, rows["Stealth"].rules, rows["Stealth"].tested) == (1, 1, 0)
    assert (rows["Impact"].covered, rows["Impact"].rules) == (0, 1)
    assert {str(source): len(counts.rules) for source, counts in found.sources.items()} == {
        "windows/process_creation/*": 2,
        "beos/*/*": 1,
    }
    assert [found.reached(source) for source in found.sources] == [True, False]
    assert (found.rules, found.untagged) == (4, 1)


def test_gaps_are_common_techniques_that_nothing_touches() -> None:
    gaps = {technique.id for row in coverage_of(ruleset()).rows for technique in row.gaps}
    assert "T1059.003" in gaps
    assert "T1059.001" not in gaps
    assert "T1027" not in gaps
    assert all(table().techniques[identity].common for identity in gaps)
    parent = RULES.replace("t1059.001", "t1059")
    gaps = {technique.id for row in coverage_of(load_texts([("x.yml", parent)], "ecs")).rows for technique in row.gaps}
    assert "T1059.003" not in gaps, "the technique as a whole is named"


def test_the_layer_is_what_navigator_reads() -> None:
    found = coverage_of(ruleset())
    made = layer(found, "ours")
    assert msgspec.json.decode(msgspec.json.encode(made)) == made
    assert made["name"] == "ours"
    assert made["versions"] == {"attack": "19", "navigator": "4.9.0", "layer": "4.5"}
    assert made["domain"] == "enterprise-attack"
    assert made["gradient"]["minValue"] < made["gradient"]["maxValue"]
    assert len(made["gradient"]["colors"]) >= 2
    entries = {entry["techniqueID"]: entry for entry in made["techniques"]}
    assert len(entries) == len(made["techniques"])
    assert entries["T1027"]["score"] == 2
    assert entries["T1027"]["comment"] == "One\nTwo"
    assert entries["T1027"]["metadata"][1] == {"name": "tested", "value": "1"}
    assert "score" not in entries["T1059.003"]
    for entry in entries.values():
        assert entry["techniqueID"] in table().techniques
        assert entry["color"] == "" or entry["color"].startswith("#")


def test_an_empty_set_covers_nothing() -> None:
    found = coverage_of(RuleSet())
    assert sum(row.rules for row in found.rows) == 0
    assert layer(found, "none")["gradient"]["maxValue"] == 1


def test_sigmahq_covers_most(sigmahq: RuleSet) -> None:
    found = coverage_of(sigmahq)
    assert len(found.techniques) == 388
    rows = {row.tactic: row for row in found.rows}
    assert rows["Stealth"].rules == 947
    assert rows["Defense Impairment"].rules == 373
    assert len(layer(found, "x")["techniques"][0]["comment"].splitlines()) <= 21
    assert all(map(found.reached, found.sources))

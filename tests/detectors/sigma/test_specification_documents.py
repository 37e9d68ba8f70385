"""Documents of the Sigma specification 2.1: log sources, collections, filters, placeholders; through every engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sigma_engines import ENGINES

from detectors.sigma.loader import load_rules, load_texts
from detectors.sigma.rules import RuleSet

A, B, C, D = (f"{digit * 8}-{digit * 4}-4{digit * 3}-8{digit * 3}-{digit * 12}" for digit in "abcd")
SYSMON = "Microsoft-Windows-Sysmon/Operational"

Titles = Callable[..., list[str]]


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.__name__)
def titles(request: pytest.FixtureRequest) -> Titles:
    """The titles of the rules of some texts (or of a loaded set) that an event matches."""

    def ask(rules: str | RuleSet, event: dict[str, Any]) -> list[str]:
        ruleset = load(rules) if isinstance(rules, str) else rules
        return [rule.title for rule in request.param(ruleset.rules).match(event)]

    return ask


def load(*texts: str) -> RuleSet:
    ruleset = load_texts([(f"{number}.yml", text) for number, text in enumerate(texts)])
    assert not ruleset.rejected, ruleset.rejected
    return ruleset


def rule(title: str, logsource: str, selection: str = "{a: x}") -> str:
    return f"title: {title}\nlogsource: {logsource}\ndetection: {{s: {selection}, condition: s}}\n"


# --- log sources -----------------------------------------------------------------------------------------------------

SOURCES = "---\n".join(
    rule(title, logsource)
    for title, logsource in (
        ("product", "{product: windows}"),
        ("category", "{category: process_creation}"),
        ("service", "{service: sysmon}"),
        ("both", "{product: windows, category: process_creation}"),
        ("all", "{product: windows, category: process_creation, service: sysmon}"),
        ("security", "{product: windows, service: security}"),
        ("linux", "{product: linux, category: process_creation}"),
        ("described", "{product: windows, definition: 'Requires auditing to be switched on'}"),
    )
)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"Channel": SYSMON, "EventID": 1}, {"product", "category", "service", "both", "all", "described"}),
        ({"Channel": SYSMON, "EventID": 3}, {"product", "service", "described"}),
        ({"Channel": "Security", "EventID": 4688}, {"product", "category", "both", "security", "described"}),
        ({"Channel": "Security", "EventID": 4624}, {"product", "security", "described"}),
        ({"Channel": "Linux-Sysmon/Operational", "EventID": 1}, {"category", "service", "linux"}),
        ({"event.dataset": "nginx.access"}, set()),
    ],
)
def test_log_sources_alone_and_in_combination(titles: Titles, event: dict[str, Any], expected: set[str]) -> None:
    """Rules, "LogSource": category, product and service can be used alone or in any combination."""
    assert set(titles(SOURCES, event | {"a": "x"})) == expected


@pytest.mark.parametrize("stated", ["{product: Windows, service: SECURITY}", "{service: security, custom: x}"])
def test_log_sources_are_lower_case_and_may_say_more(titles: Titles, stated: str) -> None:
    """Rules, "LogSource": values are lower case; an arbitrary number of optional elements is not evaluated."""
    assert titles(rule("T", stated), {"Channel": "Security", "EventID": 1, "a": "x"}) == ["T"]


@pytest.mark.parametrize(
    ("category", "channel", "codes"),
    [
        ("process_creation", SYSMON, [1]),
        ("file_change", SYSMON, [2]),
        ("network_connection", SYSMON, [3]),
        ("sysmon_status", SYSMON, [4, 16]),
        ("process_termination", SYSMON, [5]),
        ("driver_load", SYSMON, [6]),
        ("image_load", SYSMON, [7]),
        ("create_remote_thread", SYSMON, [8]),
        ("raw_access_thread", SYSMON, [9]),
        ("process_access", SYSMON, [10]),
        ("file_event", SYSMON, [11]),
        ("registry_event", SYSMON, [12, 13, 14]),
        ("registry_add", SYSMON, [12]),
        ("registry_delete", SYSMON, [12]),
        ("registry_set", SYSMON, [13]),
        ("registry_rename", SYSMON, [14]),
        ("create_stream_hash", SYSMON, [15]),
        ("pipe_created", SYSMON, [17, 18]),
        ("wmi_event", SYSMON, [19, 20, 21]),
        ("dns_query", SYSMON, [22]),
        ("file_delete", SYSMON, [23]),
        ("clipboard_capture", SYSMON, [24]),
        ("process_tampering", SYSMON, [25]),
        ("file_delete_detected", SYSMON, [26]),
        ("file_block_executable", SYSMON, [27]),
        ("file_block_shredding", SYSMON, [28]),
        ("file_executable_detected", SYSMON, [29]),
        ("sysmon_error", SYSMON, [255]),
        ("ps_classic_start", "Windows PowerShell", [400]),
        ("ps_classic_provider_start", "Windows PowerShell", [600]),
        ("ps_classic_script", "Windows PowerShell", [800]),
        ("ps_module", "Microsoft-Windows-PowerShell/Operational", [4103]),
        ("ps_module", "PowerShellCore/Operational", [4103]),
        ("ps_script", "Microsoft-Windows-PowerShell/Operational", [4104]),
        ("ps_script", "PowerShellCore/Operational", [4104]),
    ],
)
def test_windows_categories(titles: Titles, category: str, channel: str, codes: list[int]) -> None:
    """Taxonomy, "Windows Folder, Category": each category's event ids, in each channel, and no other id."""
    ruleset = load(rule("T", f"{{product: windows, category: {category}}}"))
    assert not ruleset.warnings
    for code in codes:
        assert titles(ruleset, {"Channel": channel, "EventID": code, "a": "x"}) == ["T"]
        ecs = {"winlog.channel": channel, "winlog.event_id": str(code), "event.code": str(code)}
        assert titles(ruleset, ecs | {"event.dataset": "windows.x", "a": "x"}) == ["T"]
    assert titles(ruleset, {"Channel": channel, "EventID": 9_999, "a": "x"}) == []
    assert titles(ruleset, {"Channel": "Application", "EventID": codes[0], "a": "x"}) == []


@pytest.mark.parametrize(
    ("category", "provider", "code"),
    [("file_access", "Microsoft-Windows-Kernel-File", 12), ("file_rename", "Microsoft-Windows-Kernel-File", 19)],
)
def test_windows_categories_of_traces(titles: Titles, category: str, provider: str, code: int) -> None:
    """Taxonomy, "Windows Folder, Category": the two that a trace's provider says."""
    text = rule("T", f"{{product: windows, category: {category}}}")
    assert titles(text, {"Provider_Name": provider, "EventID": code, "a": "x"}) == ["T"]


@pytest.mark.parametrize(
    ("logsource", "event"),
    [
        ("{category: application, product: django}", {"event.dataset": "django.log"}),
        ("{category: application, product: ruby_on_rails}", {"event.dataset": "ruby_on_rails.log"}),
        ("{category: antivirus}", {"event.dataset": "clamav.log"}),
        ("{category: database}", {"event.dataset": "postgresql.log"}),
        ("{product: aws, service: cloudtrail}", {"event.dataset": "aws.cloudtrail"}),
        ("{product: azure, service: riskdetection}", {"event.dataset": "azure.identity_protection"}),
        ("{product: gcp, service: google_workspace.admin}", {"event.dataset": "google_workspace.admin"}),
        ("{product: m365, service: threat_management}", {"event.dataset": "o365.audit"}),
        ("{product: onelogin, service: onelogin.events}", {"event.dataset": "onelogin.events"}),
        ("{product: linux, service: auditd}", {"event.dataset": "auditd.log"}),
        ("{product: linux, service: sudo}", {"event.dataset": "system.auth", "process.name": "sudo"}),
        ("{product: linux, service: sshd}", {"event.dataset": "system.auth", "process.name": "sshd"}),
        ("{product: linux, service: cron}", {"event.dataset": "system.syslog", "process.name": "CRON"}),
        ("{product: linux, service: syslog}", {"event.dataset": "system.syslog"}),
        ("{product: cisco, service: aaa}", {"event.dataset": "cisco.aaa"}),
        ("{product: huawei, service: ldp}", {"event.dataset": "huawei.ldp"}),
        ("{product: juniper, service: ldp}", {"event.dataset": "juniper.ldp"}),
        *(
            (f"{{product: zeek, service: {name}}}", {"event.dataset": f"zeek.{name}"})
            for name in ("dce_rpc", "dns", "http", "kerberos", "rdp", "smb_files", "x509", "ssl", "files")
        ),
        ("{product: zeek, service: conn}", {"event.dataset": "zeek.connection"}),
        ("{product: zeek, service: conn}", {"event.dataset": "zeek.conn"}),
        ("{category: dns}", {"event.dataset": "network.dns"}),
        ("{category: firewall}", {"event.dataset": "cisco.asa"}),
        ("{category: proxy}", {"event.dataset": "squid.access"}),
        ("{category: webserver}", {"event.dataset": "nginx.access"}),
        ("{service: apache}", {"event.dataset": "apache.error"}),
        ("{product: apache, service: access}", {"event.dataset": "apache.access"}),
        ("{product: apache, service: error}", {"event.dataset": "apache.error"}),
        ("{product: modsecurity}", {"event.dataset": "modsecurity.auditlog"}),
        ("{category: network, service: connection}", {"event.dataset": "network.flow"}),
        ("{category: network, service: connection}", {"event.dataset": "zeek.connection"}),
        ("{category: network, service: dns}", {"event.dataset": "network.dns"}),
        ("{category: network, service: dns}", {"event.dataset": "zeek.dns"}),
    ],
)
def test_other_log_sources_of_the_taxonomy(titles: Titles, logsource: str, event: dict[str, Any]) -> None:
    """Taxonomy, "Log Sources": events reach their rules by `event.dataset`, and each source is known at load."""
    ruleset = load(rule("T", logsource))
    assert ruleset.warnings == ()
    assert titles(ruleset, event | {"a": "x"}) == ["T"]
    assert titles(ruleset, {"event.dataset": "acme.other", "a": "x"}) == []


def test_an_unknown_log_source_is_reported_and_still_reached_by_its_name(titles: Titles) -> None:
    """Rules, "LogSource": a source of one's own works by its dataset; that nothing known fills it is said."""
    ruleset = load(rule("T", "{product: acme, service: gate}"))
    assert "acme/*/gate" in ruleset.warnings[0].reason
    assert titles(ruleset, {"event.dataset": "acme.gate", "a": "x"}) == ["T"]


# --- documents -------------------------------------------------------------------------------------------------------


def test_several_documents_in_one_file(titles: Titles) -> None:
    """Rules, "Yaml File"; Correlation, "Examples": rules and correlations may stand in one file, in any order."""
    correlation = f"title: Many\nname: many\nid: {C}\ncorrelation: {{type: event_count, rules: [one], group-by: [a], "
    correlation += "timespan: 1m, condition: {gte: 2}}\n"
    one = rule("One", "{product: windows}").replace("title: One", "title: One\nname: one")
    ruleset = load("---\n".join([correlation, one, rule("Two", "{product: windows}", "{a: y}")]))
    assert [found.title for found in ruleset.correlations] == ["Many"]
    assert titles(ruleset, {"event.dataset": "windows.x", "a": "y"}) == ["Two"]


def test_custom_fields_and_every_standard_attribute_are_kept() -> None:
    """Rules, "File Structure": arbitrary custom fields are allowed beside the standard ones."""
    text = rule("T", "{product: windows}") + (
        f"id: {A}\nname: n\nrelated: [{{id: {B}, type: derived}}]\ntaxonomy: sigma\nstatus: stable\ndescription: d\n"
        "license: MIT\nauthor: a\nreferences: ['https://example.org']\ndate: 2024-08-08\nmodified: 2025-08-02\n"
        "fields: [a]\nfalsepositives: [none]\nlevel: high\ntags: [attack.t1059]\nscope: [server]\nmine: {deep: [1]}\n"
    )
    (found,) = load(text).rules
    assert (found.id, found.name, found.level) == (A, "n", "high")
    assert found.document["mine"] == {"deep": [1]}


COLLECTION = f"""\
action: global
title: Common
level: low
detection: {{common: {{z: z}}, condition: s and common}}
---
id: {A}
title: One
logsource: {{product: windows}}
detection: {{s: {{a: x}}}}
---
action: repeat
id: {B}
title: Two
detection: {{s: {{a: y}}}}
---
action: global
level: high
---
id: {D}
title: Four
logsource: {{product: windows}}
detection: {{s: {{a: w}}}}
---
action: reset
---
id: {C}
title: Three
logsource: {{product: windows}}
detection: {{s: {{a: x}}, condition: s}}
"""


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"a": "x", "z": "z"}, ["One", "Three"]),
        ({"a": "x"}, ["Three"]),
        ({"a": "y", "z": "z"}, ["Two"]),
        ({"a": "y"}, []),
        ({"a": "w", "z": "z"}, ["Four"]),
    ],
)
def test_collections(titles: Titles, event: dict[str, Any], expected: list[str]) -> None:
    """Rule collections (specification 1): `global` is merged into what follows, `repeat` into the rule before it,
    `reset` forgets."""
    assert titles(COLLECTION, event | {"event.dataset": "windows.x"}) == expected
    assert {found.title: found.level for found in load(COLLECTION).rules} == {
        "One": "low", "Two": "low", "Four": "high", "Three": "medium"
    }  # fmt: skip


# --- filters ---------------------------------------------------------------------------------------------------------


def filter_of(rules: str, condition: str = "not 1 of f*", logsource: str = "{product: windows}") -> str:
    return (
        f"title: Filter\nlogsource: {logsource}\n"
        f"filter: {{rules: {rules}, f1: {{user|startswith: adm_}}, f2: {{host: lab}}, condition: {condition}}}\n"
    )


FILTERED = [
    f"id: {A}\nname: first\n" + rule("First", "{product: windows, category: process_creation}"),
    f"id: {B}\n" + rule("Second", "{product: windows}"),
    rule("Other", "{product: linux}"),
]
EVENT = {"Channel": SYSMON, "EventID": 1, "a": "x"}


@pytest.mark.parametrize(
    ("filters", "extra", "expected"),
    [
        ([filter_of("any")], {}, ["First", "Second"]),
        ([filter_of("any")], {"user": "ADM_ana"}, []),
        ([filter_of("any")], {"host": "lab"}, []),
        ([filter_of("[first]")], {"user": "adm_ana"}, ["Second"]),
        ([filter_of(f"[{A}]")], {"user": "adm_ana"}, ["Second"]),
        ([filter_of(f"[{A}, {B}]")], {"user": "adm_ana"}, []),
        ([filter_of("[first]", "not (f1 and f2)")], {"user": "adm_ana"}, ["First", "Second"]),
        ([filter_of("any", "f1")], {"user": "adm_ana"}, ["First", "Second"]),
        ([filter_of("any", "f1")], {"user": "ana"}, []),
        ([filter_of("any", logsource="{category: process_creation}")], {"user": "adm_ana"}, ["Second"]),
        ([filter_of("[first]", "not f1"), filter_of("any", "not f2")], {"user": "adm_ana"}, ["Second"]),
        ([filter_of("[first]", "not f1"), filter_of("any", "not f2")], {"host": "lab"}, []),
    ],
)
def test_filters(titles: Titles, filters: list[str], extra: dict[str, str], expected: list[str]) -> None:
    """Filters, "Global Filter": rules, selections and a condition that is added to the rules' own."""
    named = [text.replace("title: Filter", f"title: Filter {place}") for place, text in enumerate(filters)]
    assert titles(load(*named, *FILTERED), EVENT | extra) == expected


# --- fields and placeholders -----------------------------------------------------------------------------------------


def test_field_names_without_spaces_and_attributes_of_tags(titles: Titles) -> None:
    """Rules, "Field Usage": names as in the log source, spaces stripped; a tag's attribute behind an underscore."""
    from detectors.sigma.native import native_windows

    record = {
        "Event": {
            "System": {
                "Provider": {"#attributes": {"Name": "Service Control Manager"}},
                "Execution": {"#attributes": {"ProcessID": 788}},
                "Channel": "System",
                "EventID": 7045,
            },
            "EventData": {"New Value": "1", "SAM User Account": "ana"},
        }
    }
    selection = "{Provider_Name: Service Control Manager, Execution_ProcessID: 788, NewValue: 1, SAMUserAccount: ana}"
    assert titles(rule("T", "{product: windows, service: system}", selection), native_windows(record)) == ["T"]


def test_placeholders(titles: Titles, tmp_path: Path) -> None:
    """Rules, "Placeholders": only with `expand`; a pipeline gives values; without one the rule is rejected."""
    folder = tmp_path / "pipelines"
    folder.mkdir()
    (folder / "values.yml").write_text(
        "name: values\nvars: {servers: ['srv*', db1]}\ntransformations: [{type: value_placeholders}]\n", "utf-8"
    )
    (tmp_path / "literal.yml").write_text(rule("Literal", "{product: windows}", "{h: '%servers%'}"), "utf-8")
    (tmp_path / "placed.yml").write_text(rule("Placed", "{product: windows}", "{h|expand: '%servers%'}"), "utf-8")
    (tmp_path / "other.yml").write_text(rule("Other", "{product: windows}", "{h|expand: '%nobody%'}"), "utf-8")
    ruleset = load_rules([tmp_path], mode="ecs")
    assert [(found.rule, "%nobody%" in found.reason or "nobody" in found.reason) for found in ruleset.rejected] == [
        ("Other", True)
    ]
    for host, expected in (("SRV7", ["Placed"]), ("db1", ["Placed"]), ("db2", []), ("%servers%", ["Literal"])):
        assert titles(ruleset, {"event.dataset": "windows.x", "h": host}) == expected

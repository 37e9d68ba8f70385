"""Routing: which rules see which events, native and ECS."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.sigma.evaluator import MOST_ORIGINS, PlainEngine
from detectors.sigma.loader import load_texts
from detectors.sigma.logsource import known, origin_of, route_of
from detectors.sigma.rules import LogSource, RuleSet

SYSMON = "Microsoft-Windows-Sysmon/Operational"


def reaches(event: dict[str, Any], source: str) -> bool:
    product, category, service = (part if part != "*" else None for part in source.split("/"))
    return route_of(origin_of(event)).reaches(LogSource(product, category, service))


@pytest.mark.parametrize(
    ("event", "sources", "others"),
    [
        (
            {"Channel": SYSMON, "EventID": 1},
            ["windows/process_creation/*", "windows/*/sysmon", "windows/*/*", "*/process_creation/*"],
            ["windows/*/security", "linux/process_creation/*", "windows/file_event/*"],
        ),
        ({"Channel": SYSMON, "EventID": "3"}, ["windows/network_connection/*"], ["windows/process_creation/*"]),
        ({"Channel": SYSMON, "EventID": 11}, ["windows/file_event/*"], []),
        ({"Channel": SYSMON, "EventID": 13}, ["windows/registry_set/*", "windows/registry_event/*"], []),
        (
            {"Channel": SYSMON, "EventID": 12, "EventType": "DeleteKey"},
            ["windows/registry_delete/*", "windows/registry_event/*"],
            ["windows/registry_add/*"],
        ),
        (
            {"Channel": SYSMON, "EventID": 12, "EventType": "CreateKey"},
            ["windows/registry_add/*"],
            ["windows/registry_delete/*"],
        ),
        ({"Channel": SYSMON, "EventID": 12}, ["windows/registry_add/*", "windows/registry_delete/*"], []),
        ({"Channel": SYSMON, "EventID": 255}, ["windows/sysmon_error/*"], []),
        ({"Channel": "security", "EventID": 4688}, ["windows/process_creation/*", "windows/*/security"], []),
        ({"Channel": "Security", "EventID": 1}, ["windows/*/security"], ["windows/process_creation/*"]),
        ({"Channel": "System", "EventID": 7045}, ["windows/*/system"], ["windows/*/security"]),
        (
            {"Channel": "Microsoft-Windows-PowerShell/Operational", "EventID": 4104},
            ["windows/ps_script/*", "windows/*/powershell"],
            ["windows/ps_module/*"],
        ),
        (
            {"Channel": "Windows PowerShell", "EventID": 400},
            ["windows/ps_classic_start/*", "windows/*/powershell-classic"],
            ["windows/*/powershell"],
        ),
        ({"Channel": "DNS Server", "EventID": 770}, ["windows/*/dns-server"], []),
        ({"Channel": "Microsoft-Windows-AppLocker/EXE and DLL", "EventID": 8004}, ["windows/*/applocker"], []),
        (
            {"Channel": "Microsoft-Windows-Windows Defender/Operational", "EventID": 1116},
            ["windows/*/windefend", "*/antivirus/*"],
            [],
        ),
        (
            {"Channel": "Made-Up/Operational", "EventID": 1},
            ["windows/*/*"],
            ["windows/*/security", "windows/process_creation/*"],
        ),
        ({"Provider_Name": "Microsoft-Windows-Sysmon", "EventID": 1}, ["windows/process_creation/*"], []),
        (
            {"Channel": "Linux-Sysmon/Operational", "EventID": 1},
            ["linux/process_creation/*", "linux/*/sysmon"],
            ["windows/*/*"],
        ),
        (
            {"event.dataset": "windows.sysmon", "winlog.channel": SYSMON, "event.code": "1", "winlog.event_id": "1"},
            ["windows/process_creation/*", "windows/*/sysmon"],
            ["windows/*/security"],
        ),
        ({"event.dataset": "windows.security", "event.code": "4625"}, ["windows/*/security"], ["windows/*/system"]),
        ({"event.dataset": "windows.sysmon", "event.code": "1"}, ["windows/process_creation/*"], []),
        ({"almena.misfit": {"winlog.channel": SYSMON, "winlog.event_id": "1"}}, ["windows/process_creation/*"], []),
        (
            {"event.dataset": "system.auth", "process.name": "sshd"},
            ["linux/*/sshd", "linux/*/auth", "linux/*/*"],
            ["linux/*/sudo", "linux/*/syslog"],
        ),
        ({"event.dataset": "system.auth", "process.name": "sshd-session"}, ["linux/*/sshd"], []),
        ({"event.dataset": "system.auth", "process.name": "sudo"}, ["linux/*/sudo", "linux/*/auth"], ["linux/*/sshd"]),
        (
            {"event.dataset": "system.syslog", "process.name": "CRON"},
            ["linux/*/syslog", "linux/*/cron"],
            ["linux/*/auth"],
        ),
        (
            {"event.dataset": "nginx.access"},
            ["nginx/webserver/*", "*/webserver/*", "*/*/nginx"],
            ["*/*/apache", "*/proxy/*"],
        ),
        ({"event.dataset": "apache.access"}, ["apache/webserver/*", "*/*/apache"], ["*/*/nginx"]),
        ({"event.dataset": "network.dns"}, ["*/dns/*"], ["*/proxy/*"]),
        ({"event.dataset": "network.flow"}, ["*/flow/*", "network/*/flow"], ["*/dns/*"]),
        ({"event.dataset": "app.payments"}, ["app/*/payments"], ["app/*/tramites", "*/webserver/*"]),
        ({"event.dataset": "aws.cloudtrail"}, ["aws/*/cloudtrail"], ["azure/*/*"]),
        ({"event.dataset": "o365.audit"}, ["m365/*/audit", "m365/*/threat_management"], []),
        ({"event.dataset": "kubernetes.audit"}, ["kubernetes/application/audit", "kubernetes/*/audit"], []),
        ({"event.dataset": "spring.log"}, ["spring/application/*"], []),
        ({"event.dataset": "acme.gate"}, ["acme/*/gate"], ["acme/application/*"]),
        (
            {
                "event.dataset": "endpoint.events.process",
                "event.category": ["process"],
                "event.type": ["start"],
                "host.os.type": "linux",
            },
            ["linux/process_creation/*"],
            ["windows/process_creation/*", "linux/file_event/*"],
        ),
        (
            {"event.category": "file", "event.type": ["creation"], "host.os.type": "macos"},
            ["macos/file_event/*"],
            ["macos/file_delete/*"],
        ),
        ({"product": "linux", "category": "process_creation"}, ["linux/process_creation/*"], ["linux/*/sshd"]),
        ({"product": "windows", "service": "Security"}, ["windows/*/security"], []),
        ({}, [], ["windows/*/*", "*/webserver/*"]),
    ],
)
def test_events_reach_rules_of_their_log_source_alone(
    event: dict[str, Any], sources: list[str], others: list[str]
) -> None:
    for source in sources:
        assert reaches(event, source), source
    for source in others:
        assert not reaches(event, source), source


def test_every_log_source_of_sigmahq_is_known(sigmahq: RuleSet) -> None:
    assert {str(rule.logsource) for rule in sigmahq.rules if not known(rule.logsource)} == set()
    assert sigmahq.warnings == ()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (LogSource("windows", "process_creation"), True),
        (LogSource("windwos", "process_creation"), False),
        (LogSource("windows", "process_craetion"), False),
        (LogSource("windows", None, "securty"), False),
        (LogSource("app", None, "payments"), True),
        (LogSource("app", None, "paymets"), False),
        (LogSource(None, "webserver"), True),
        (LogSource("linux", None, "sudo"), True),
        (LogSource("linux", "image_loads"), False),
    ],
)
def test_misspelt_log_sources_are_unknown(source: LogSource, expected: bool) -> None:
    assert known(source) is expected


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        "event.dataset",
        "winlog.channel",
        "Channel",
        "event.code",
        "EventID",
        "Provider_Name",
        "EventType",
        "process.name",
        "event.category",
        "event.type",
        "host.os.type",
        "product",
        "category",
        "service",
        "almena.misfit",
    ]
)


@given(st.dictionaries(NAMES, ANYTHING))
def test_routing_never_raises(event: dict[str, Any]) -> None:
    route_of(origin_of(event))


def test_origins_are_remembered_within_bounds() -> None:
    text = "title: T\nlogsource: {product: acme}\ndetection: {s: {a: x}, condition: s}\n"
    engine = PlainEngine(load_texts([("x.yml", text)]).rules)
    for number in range(MOST_ORIGINS + 10):
        assert engine.match({"event.dataset": f"acme.s{number}", "a": "x"})
    assert len(engine._origins) <= MOST_ORIGINS

from __future__ import annotations

import pytest

from almena.event import Event
from collectors.parsers.windows_fields import enrich


def enriched(dataset: str, code: str, **data: str) -> Event:
    event: Event = {}
    enrich(event, dataset, code, data, None)
    return event


def test_dashes_and_null_sids_are_missing() -> None:
    event = enriched(
        "security", "4624", TargetUserName="-", TargetUserSid="S-1-0-0", IpAddress="-", IpPort="-", ProcessId="0x0"
    )
    assert not {"user.name", "user.id", "source.ip", "source.port", "process.pid"} & set(event)


def test_the_source_of_what_comes_in_is_the_other_side_in_either_order() -> None:
    sides = {"SourceAddress": "10.0.0.1", "SourcePort": "445", "DestAddress": "10.0.0.2", "DestPort": "50000"}
    inbound = enriched("security", "5156", Direction="%%14592", Protocol="6", **sides)
    assert (inbound["source.ip"], inbound["destination.port"], inbound["network.direction"]) == (
        "10.0.0.2",
        445,
        "ingress",
    )
    today = {"SourceAddress": "10.0.0.2", "SourcePort": "50000", "DestAddress": "10.0.0.1", "DestPort": "445"}
    inbound = enriched("security", "5156", Direction="%%14592", Protocol="6", **today)
    assert (inbound["source.ip"], inbound["destination.port"]) == ("10.0.0.2", 445)
    outbound = enriched("security", "5156", Direction="%%14593", Protocol="17", **sides)
    assert (outbound["source.ip"], outbound["destination.port"], outbound["network.transport"]) == (
        "10.0.0.1",
        50000,
        "udp",
    )


@pytest.mark.parametrize(
    ("code", "status", "outcome"),
    [("4768", "0x0", "success"), ("4769", "0x1f", "failure"), ("4776", "0xc000006a", "failure")],
)
def test_tickets_succeed_by_their_status(code: str, status: str, outcome: str) -> None:
    assert enriched("security", code, Status=status)["event.outcome"] == outcome


@pytest.mark.parametrize(
    ("keywords", "outcome"),
    [
        ("0x8020000000000000", "success"),
        ("0x8010000000000000", "failure"),
        ("-9214364837600034816", "success"),
        ("9232379236109516800", "success"),
        (["Audit Failure"], "failure"),
        ("Auditoría correcta", "success"),
        ("٣", None),
        ("0x80000000000000", None),
    ],
)
def test_audit_keywords_tell_the_outcome(keywords: object, outcome: str | None) -> None:
    event: Event = {"winlog.keywords": keywords}
    enrich(event, "security", "4672", {}, None)
    assert event.get("event.outcome") == outcome


def test_hashes_are_lowercase_and_empty_ones_are_left_out() -> None:
    event = enriched("sysmon", "1", Hashes="SHA1=AB,MD5=00000000,IMPHASH=CD,OTHER=EF", User="SFA\\ana")
    assert (event["process.hash.sha1"], event["process.pe.imphash"]) == ("ab", "cd")
    assert "process.hash.md5" not in event
    assert (event["user.domain"], event["user.name"]) == ("SFA", "ana")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (r"file:_C:\Users\ana\eicar.com", r"C:\Users\ana\eicar.com"),
        (r"containerfile:_C:\a.zip; file:_C:\a.zip->b.exe", r"C:\a.zip->b.exe"),
        ("process:_pid:5476,ProcessStart:1", None),
        ("", None),
    ],
)
def test_what_defender_found_and_where(path: str, expected: str | None) -> None:
    event = enriched("microsoft-windows-windows defender/operational", "1116", ThreatName="EICAR", Path=path)
    assert (event["rule.name"], event["event.category"]) == ("EICAR", ["malware"])
    assert event.get("file.path") == expected

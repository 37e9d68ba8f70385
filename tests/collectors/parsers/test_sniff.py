from __future__ import annotations

from pathlib import Path

import pytest

from almena.errors import UsageError
from collectors.parsers.sniff import sniff

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("syslog/rfc3164.log", "syslog"),
        ("syslog/rfc5424.log", "syslog"),
        ("nginx/access.log", "nginx"),
        ("nginx/error.log", "nginx"),
        ("apache/error.log", "apache"),
        ("sshd/messages.log", "sshd"),
        ("sudo/messages.log", "sudo"),
        ("windows/flat.json", "windows"),
        ("windows/security_evtx.json", "windows"),
        ("windows/winlogbeat.json", "windows"),
        ("app/events.json", "app"),
        ("ecs/events.json", "json"),  # a record of CloudTrail among them
        ("json/mixed.json", "json"),
    ],
)
def test_samples_are_told_apart(path: str, name: str) -> None:
    assert sniff((GOLDEN / path).read_bytes().split(b"\n")) == name


@pytest.mark.parametrize("records", [[], [b"hello"], [b"", b"\n"], [b'{"a":1}'], [b"\xff" * 50]])
def test_what_nobody_understands_is_said_so(records: list[bytes]) -> None:
    with pytest.raises(UsageError, match="no parser understands"):
        sniff(records)


def test_of_several_that_understand_the_one_that_recognises_wins() -> None:
    assert sniff([b"%ASA-6-302010: 12 in use, 10 most used"] * 3) == "cisco_asa"
    assert sniff([b"%FTD-6-302010: 12 in use, 10 most used"] * 3) == "cisco_ftd"

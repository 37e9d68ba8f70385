from __future__ import annotations

import msgspec
import pytest

from collectors.base import Context
from collectors.parsers import PARSERS

CONTEXT = Context(received=1_795_376_040_000_000)
SNARE = (
    "MSWinEventLog\t1\tSecurity\t7\tSun Nov 22 13:34:00 2026\t{code}\tMicrosoft-Windows-Security-Auditing\t{user}"
    "\tUser\tSuccess Audit\tSRV\tLogon\t\t{text}\t7"
)


def snare(code: int, text: str, user: str = "N/A") -> bytes:
    return ("<14>Nov 22 13:34:00 SRV " + SNARE.format(code=code, text=text, user=user)).encode()


def test_syslog_recognises_every_agent() -> None:
    event = PARSERS["syslog"](snare(4634, "An account was logged off.  Subject:  Account Name:  ana"), CONTEXT)
    assert (event["event.action"], event["user.name"], event["host.name"]) == ("logged-out", "ana", "SRV")
    line = b'<14>1 2026-11-22T13:34:00-06:00 SRV Other-Provider 9 - [NXLOG@14506 EventID="4634" Channel="Security"] x'
    event = PARSERS["syslog"](line, CONTEXT)
    assert (event["event.action"], event["event.provider"]) == ("logged-out", "Other-Provider")
    assert not [name for name in event if name.startswith("log.syslog.structured_data.")]
    document = {"EventID": 4634, "Channel": "Security", "TargetUserName": "ana", "EventTime": "2026-11-22T19:34:00Z"}
    line = b"<14>Nov 22 13:34:00 SRV Microsoft-Windows-Security-Auditing[9]: " + msgspec.json.encode(document)
    event = PARSERS["syslog"](line, CONTEXT)
    assert event["user.name"] == "ana"
    assert "process.name" not in event


def test_who_an_event_was_logged_for_is_the_user_where_its_data_tell_none() -> None:
    event = PARSERS["windows_syslog"](snare(5060, "Verification operation failed.", "SFA\\ana"), CONTEXT)
    assert (event["user.domain"], event["user.name"]) == ("SFA", "ana")


@pytest.mark.parametrize(
    ("sentence", "code"),
    [
        ("An account failed to log on. Subject: Account Name: ana", "4625"),
        ("Se inició sesión correctamente en una cuenta. Firmante: Nombre de cuenta: ana", "4624"),
        ("The audit log was cleared. Subject: Account Name: ana", "1102"),
    ],
)
def test_the_first_sentence_tells_the_id(sentence: str, code: str) -> None:
    line = f"<14>Nov 22 13:34:00 SRV Microsoft-Windows-Security-Auditing[9]: {sentence}"
    assert PARSERS["syslog"](line.encode(), CONTEXT)["event.code"] == code


@pytest.mark.parametrize("line", [b"4625 lines", b"<14>Nov 22 13:34:00 SRV app: 4625: x", b"4625: AUDIT_FAILURE x"])
def test_a_number_alone_is_no_event_of_windows(line: bytes) -> None:
    assert PARSERS["auto"](line, CONTEXT).get("event.module") != "windows_syslog"


def test_a_message_without_data_is_taken_apart() -> None:
    document = {
        "EventID": 4625,
        "Channel": "Security",
        "EventTime": "2026-11-22T19:34:00Z",
        "Message": "An account failed to log on.\r\n\r\nNetwork Information:\r\n\tSource Network Address:\t192.0.2.9",
    }
    assert PARSERS["windows"](msgspec.json.encode(document), CONTEXT)["source.ip"] == "192.0.2.9"


def test_splunk_writes_a_name_and_a_value_a_line() -> None:
    raw = (
        "11/22/2026 01:34:00 PM\nLogName=Security\nSourceName=Microsoft Windows security auditing.\nEventCode=4625\n"
        "EventType=0\nType=Information\nComputerName=SRV-DC-01.sfa.example\nTaskCategory=Logon\nRecordNumber=90211\n"
        "Keywords=Audit Failure\nMessage=An account failed to log on.\r\n\r\nAccount For Which Logon Failed:\r\n"
        "\tAccount Name:\t\tjlopez\r\n\tAccount Domain:\t\tSFA\r\n\r\nNetwork Information:\r\n"
        "\tSource Network Address:\t203.0.113.9\r\n\tSource Port:\t\t51234\r\n"
    )
    event = PARSERS["auto"](raw.encode(), Context(received=1_795_376_040_000_000, zone="America/Mexico_City"))
    assert event["event.module"] == "windows_syslog"
    assert event["@timestamp"] == "2026-11-22T19:34:00.000000Z"
    assert (event["event.action"], event["event.outcome"]) == ("logon-failed", "failure")
    assert (event["user.name"], event["user.domain"]) == ("jlopez", "SFA")
    assert (event["source.ip"], event["source.port"]) == ("203.0.113.9", 51_234)

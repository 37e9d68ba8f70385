from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collectors.parsers.windows_labels import DATA, LABELS, ROLES
from collectors.parsers.windows_text import data_of

FAILED = """An account failed to log on.\r
\r
Subject:\r
\tSecurity ID:\t\tS-1-5-18\r
\tAccount Name:\t\tSRV$\r
\tAccount Domain:\t\tSFA\r
\tLogon ID:\t\t0x3E7\r
\r
Logon Type:\t\t\t3\r
\r
Account For Which Logon Failed:\r
\tSecurity ID:\t\tNULL SID\r
\tAccount Name:\t\t{name}\r
\tAccount Domain:\t\tSFA\r
\r
Failure Information:\r
\tFailure Reason:\t\tUnknown user name or bad password.\r
\tStatus:\t\t\t0xC000006D\r
\tSub Status:\t\t0xC000006A\r
\r
Network Information:\r
\tWorkstation Name:\tPC-9\r
\tSource Network Address:\t203.0.113.9\r
\tSource Port:\t\t50333\r
"""


def flattened(text: str) -> str:
    return re.sub(r"\s", " ", text)


def squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("shape", [str, flattened, squeezed])
def test_lines_tabs_or_spaces_tell_the_same(shape: type[str]) -> None:
    data = data_of(shape(FAILED.format(name="ana")), "4625")
    assert data["SubjectUserName"] == "SRV$"
    assert data["TargetUserName"] == "ana"
    assert data["TargetDomainName"] == "SFA"
    assert (data["LogonType"], data["IpAddress"], data["IpPort"]) == ("3", "203.0.113.9", "50333")
    assert (data["Status"], data["SubStatus"]) == ("0xC000006D", "0xC000006A")
    assert "TargetSid" not in data


LABEL = st.sampled_from(sorted(LABELS)).map(lambda label: f" {label}: ")


@example(name=" Process Command Line: ")
@given(name=st.lists(LABEL | st.text(max_size=8) | st.just("198.51.100.1"), max_size=6).map("".join))
def test_a_chosen_name_forges_neither_subject_nor_address(name: str) -> None:
    data = data_of(flattened(FAILED.format(name=name)), "4625")
    assert data["SubjectUserName"] == "SRV$"
    assert data["IpAddress"] == "203.0.113.9"
    assert data["IpPort"] == "50333"
    assert data["Status"] == "0xC000006D"


def test_a_command_line_keeps_what_looks_like_a_label() -> None:
    text = (
        "Process Information:  New Process ID:  0x1  New Process Name:  C:\\a.exe  Process Command Line:  "
        "a.exe Account Name: x New Process Name: C:\\b.exe    Token Elevation Type indicates the type"
    )
    data = data_of(f"Creator Subject:  Account Name:  ana  {text}", "4688")
    assert data["NewProcessName"] == "C:\\a.exe"
    assert data["SubjectUserName"] == "ana"
    assert data["CommandLine"] == "a.exe Account Name: x New Process Name: C:\\b.exe"


def test_every_label_is_a_heading_or_a_datum() -> None:
    for english in LABELS.values():
        known = english in ROLES or english in DATA or any(name.endswith(" " + english) for name in DATA)
        assert known or english in ("network account name", "network account domain", "sam account name"), english


@given(text=st.text(max_size=300), code=st.sampled_from(["4624", "4625", "4688", "1", "x"]), sysmon=st.booleans())
def test_any_text_gives_texts(text: str, code: str, sysmon: bool) -> None:
    data = data_of(text, code, sysmon=sysmon)
    assert all(isinstance(value, str) for value in data.values())

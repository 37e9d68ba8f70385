"""The text of a Windows event, English or Spanish, taken apart into the data it was made of.

    An account failed to log on.  Subject:  Security ID:  S-1-0-0 ...  Source Network Address: 192.0.2.9

Relays turn its lines and tabs into spaces, so a label is known by its words alone, right before a colon. What people
chose themselves (names in a failed logon, command lines) may hold labels too: data that Windows writes before them
keep their first value, the others their last.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from collectors.parsers.windows_labels import DATA, FIRST, LABELS, LISTS, ROLES, SYSMON, TRAILERS

_COLON = re.compile(r":(?=\s|$)")
_GAP = re.compile(r"[\t\r\n]|  ")
_MAX = 32_768
"""Longest text that is read."""
_SERVICE = re.compile(
    r"The ([^.]{1,256}?) service entered the (\w{1,32}) state|El servicio ([^.]{1,256}?) entró en estado (\w{1,32})"
)
_DEFENDER = {
    "Name": "ThreatName",
    "ID": "ThreatID",
    "Severity": "SeverityName",
    "Category": "CategoryName",
    "Path": "Path",
    "Detection Origin": "OriginName",
    "Detection Source": "SourceName",
    "User": "DetectionUser",
    "Process Name": "ProcessName",
    "Action": "ActionName",
    "Error Code": "ErrorCode",
    "Error description": "ErrorDescription",
}
"""Labels of Defender's text, and what its data call the same."""
_OF_SUBJECT = frozenset(("4634", "4647", "4800", "4801", "4802", "4803"))
"""Events whose data call the target what their text calls the subject."""
_ENDS = frozenset(label[at:] for label in LABELS for at in range(len(label)) if at == 0 or label[at - 1] == " ")
"""Every label without its first words, so that a look back ends early."""


class _Hit(NamedTuple):
    """A label in the text."""

    name: str | None
    """The datum it stands for; None for headings and labels that are known and not kept."""
    start: int
    value: int
    """Where its value begins."""


def data_of(text: str, code: str, *, sysmon: bool = False) -> dict[str, str]:
    """The event data that the text of an event with that id tells; empty when it has no known labels."""
    text = text[:_MAX].replace("\u00a0", " ")
    hits = _genuine(_hits(text, code, sysmon), code)
    if not hits:
        return _sentence(text)
    ends = [*(hit.start for hit in hits[1:]), len(text)]
    found: dict[str, str] = {}
    for (name, _, begin), end in zip(hits, ends, strict=True):
        if name is None:
            continue
        value = _value(text[begin:end].strip(), name)
        if name.endswith("Sid") and value[:4].upper() != "S-1-":
            # Written as the account it stands for; only of members does nothing else tell the name.
            if name == "MemberSid" and value not in ("", "-", "NULL SID"):
                found["MemberName"] = value.rpartition("\\")[2]
        elif value not in ("", "-") or name not in found:
            found[name] = value
    return found


def defender_data(text: str) -> dict[str, str]:
    """The data that the text of an event of Defender tells, each on a line of its own behind its label."""
    found: dict[str, str] = {}
    for line in text[:_MAX].splitlines():
        label, colon, value = line.strip().partition(":")
        if colon and label in _DEFENDER and (value := value.strip()):
            found.setdefault(_DEFENDER[label], value)
    return found


def _sentence(text: str) -> dict[str, str]:
    match = _SERVICE.match(text)
    return {} if match is None else {"param1": match[1] or match[3], "param2": match[2] or match[4]}


def _genuine(hits: list[_Hit], code: str) -> list[_Hit]:
    """The labels without those that only stand in a value: of equal ones the first or the last is genuine."""
    chosen: dict[str, int] = {}
    for index, hit in enumerate(hits):
        if hit.name is not None and not (hit.name in chosen and (code == "4688" or hit.name in FIRST)):
            chosen[hit.name] = index
    return [hit for index, hit in enumerate(hits) if hit.name is None or chosen[hit.name] == index]


def _hits(text: str, code: str, sysmon: bool) -> list[_Hit]:
    hits: list[_Hit] = []
    role, headings, begin = "", set(), 0
    for colon in _COLON.finditer(text):
        end = colon.start()
        found = _label(text[max(begin, end - 80) : end], sysmon)
        if found is None:
            continue
        label, length = found
        name = label if sysmon else _datum(label, role, code)
        if not sysmon and label in ROLES and label not in headings:
            headings.add(label)
            role = ROLES[label]
        elif name is None and label in headings:
            continue
        hits.append(_Hit(name, end - length, colon.end()))
        begin = colon.end()
        if name == "CommandLine" and code == "4688" and not sysmon:
            break  # the last of its event, and whatever stands in it is its own
    return hits


def _datum(label: str, role: str, code: str) -> str | None:
    if role == "subject" and code in _OF_SUBJECT:
        role = "target"
    return DATA.get(f"{code} {label}") or DATA.get(f"{role} {label}") or DATA.get(label)


def _label(before: str, sysmon: bool) -> tuple[str, int] | None:
    """The longest label that the text ends with, by its English name, and its length."""
    before = before[max(before.rfind("\t"), before.rfind("\n")) + 1 :]
    if sysmon:
        word = before.rpartition(" ")[2]
        return (word, len(word)) if word in SYSMON else None
    folded = before.lower().rstrip()
    found, at = None, len(folded)
    while at >= 0:
        at = folded.rfind(" ", 0, at)
        candidate = folded[at + 1 :]
        if candidate not in _ENDS:
            break
        if candidate in LABELS:
            found = LABELS[candidate], len(before) - at - 1
    return found


def _value(value: str, name: str) -> str:
    for trailer in TRAILERS:
        at = value.find(trailer)
        if at >= 0:
            value = value[:at].rstrip()
    if name in LISTS:
        return value
    gap = _GAP.search(value)
    return value[: gap.start()].rstrip() if gap is not None else value

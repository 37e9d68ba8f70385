"""Values of the Sigma specification 2.1, each against events that match and that do not, through every engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from detectors.sigma.values import ENVELOPE, MISFIT

Match = Callable[..., bool]

YES, NO = True, False
MISSING = object()


@pytest.mark.parametrize(
    ("detection", "value", "expected"),
    [
        ("{f: Cmd.EXE}", "cMD.exe", YES),
        ("{f: cmd.exe}", "cmd.exe ", NO),
        ("{f: ÑANDÚ}", "ñandú", YES),
        ("{f: 'a.c'}", "abc", NO),
        ("{f: Cmd.EXE}", "CMD.EXE", YES),
        ("{f: straße}", "STRAẞE", YES),
        ("{f: straße}", "STRASSE", NO),
        ("{f: istanbul}", "İSTANBUL", YES),
        ("{f|contains: 'ΟΔΟΣ'}", "οδοσή", YES),
        ("{f: 'ΟΔΟΣ'}", "οδος", YES),
        ("{f|contains: x}", "İx", YES),
        ("{f|startswith: é}", "e\u0301", NO),
        ("{f: 'a(b)[c]{d}.e+f^g$h|i'}", "a(b)[c]{d}.e+f^g$h|i", YES),
        ("{f: '%name%'}", "%NAME%", YES),
    ],
)
def test_all_values_are_case_insensitive_strings(match: Match, detection: str, value: Any, expected: bool) -> None:
    """Rules, "General": all values are treated as case-insensitive strings; nothing else has to be escaped."""
    assert match(detection, {} if value is MISSING else {"f": value}) is expected


@pytest.mark.parametrize(
    ("detection", "value", "expected"),
    [
        ("{f: 'a*c'}", "abbbc", YES),
        ("{f: 'a*c'}", "ac", YES),
        ("{f: 'a*c'}", "a\r\nb\nc", YES),
        ("{f: 'a*c'}", "xac", NO),
        ("{f: 'a*c'}", "ac\n", NO),
        ("{f: 'a?c'}", "abc", YES),
        ("{f: 'a?c'}", "a\nc", YES),
        ("{f: 'a?c'}", "añc", YES),
        ("{f: 'a?c'}", "ac", NO),
        ("{f: 'a?c'}", "abbc", NO),
        ("{f: '*'}", "", YES),
        ("{f: '*'}", MISSING, NO),
        ("{f: '[ab]*$(x)^|{2}+'}", "[ab]zz$(x)^|{2}+", YES),
        ("{f: 'prog?.exe'}", "progA.exe", YES),
        ("{f: 'prog?.exe'}", "prog.exe", NO),
        ("{f: 'prog?.exe'}", "progAB.exe", NO),
        ("{f: 'antivirus_V*.exe'}", "antivirus_V21.2.1.exe", YES),
        ("{f: 'antivirus_V*.exe'}", "antivirus_V.exe", YES),
        ("{f: '??'}", "ab", YES),
        ("{f: '??'}", "a", NO),
        ("{f: '?'}", "😀", YES),
        ("{f: 'a?c'}", "aİc", YES),
        ("{f: '*a*b*'}", "xxaxxbxx", YES),
        ("{f: '*a*b*'}", "xxbxxaxx", NO),
        ("{f: 'a**b'}", "ab", YES),
        ("{f: '*ab?'}", "ab", NO),
        ("{f: 'ab*ab'}", "ab", NO),
        ("{f: 'ab*ab'}", "abab", YES),
        ("{f: '*'}", "\n", YES),
        ("{f: '*'}", 5, YES),
        ("{f: 'a*'}", ["x", "ab"], YES),
    ],
)
def test_string_wildcards(match: Match, detection: str, value: Any, expected: bool) -> None:
    """Rules, "String Wildcard": `?` is one mandatory character, `*` any number; both may be line breaks."""
    assert match(detection, {} if value is MISSING else {"f": value}) is expected


@pytest.mark.parametrize(
    ("detection", "value", "expected"),
    [
        (r"{f: 'a\*c'}", "a*c", YES),
        (r"{f: 'a\*c'}", "abc", NO),
        (r"{f: 'a\?c'}", "a?c", YES),
        (r"{f: 'a\?c'}", "abc", NO),
        (r"{f: 'a\\*c'}", r"a\bc", YES),
        (r"{f: 'a\\*c'}", "abc", NO),
        (r"{f: 'a\\\*c'}", r"a\*c", YES),
        (r"{f: 'a\b'}", r"a\b", YES),
        (r"{f: '\\host\share'}", r"\host\share", YES),
        (r"{f: '*\\'}", "C:\\", YES),
        (r"{f: 'a\\b'}", r"a\b", YES),
        (r"{f: 'a\\b'}", r"a\\b", NO),
        (r"{f: 'a\*b'}", "a*b", YES),
        (r"{f: 'a\\*b'}", "a\\", NO),
        (r"{f: 'a\\*'}", "a\\", YES),
        (r"{f: 'a\\*'}", "a\\xyz", YES),
        (r"{f: 'a\\*'}", "a*", NO),
        (r"{f: 'a\\?'}", "a\\x", YES),
        (r"{f: 'a\\?'}", "a\\", NO),
        (r"{f: 'a\\\*'}", "a\\*", YES),
        (r"{f: 'a\\\*'}", "a\\x", NO),
        (r"{f: 'a\\\?'}", "a\\?", YES),
        (r"{f: 'a\\\b'}", r"a\\b", YES),
        (r"{f: 'a\\\\b'}", r"a\\b", YES),
        (r"{f: 'a\\\\b'}", r"a\b", NO),
        (r"{f: 'a\\\\*'}", "a\\\\x", YES),
        (r"{f: 'a\\\\\*'}", "a\\\\*", YES),
        (r"{f: 'a\\\\\*'}", "a\\\\x", NO),
        (r"{f: '\\\\server\share'}", r"\\server\share", YES),
        (r"{f: 'a\'}", "a\\", YES),
        (r"{f: 'a\\'}", "a\\", YES),
        (r"{f: 'a\\\'}", "a\\\\", YES),
        (r"{f: 'a\\\\'}", "a\\\\", YES),
        (r"{f|endswith: '\'}", "C:\\", YES),
        (r"{f|endswith: '\\'}", "C:\\", YES),
        (r"{f|endswith: '\'}", "C:", NO),
        (r"{f|startswith: 'C:\'}", "C:\\x", YES),
        (r"{f|startswith: 'C:\'}", "C:x", NO),
        (r"{f|contains: '\*'}", "a*b", YES),
        (r"{f|contains: '\*'}", "ab", NO),
        (r"{f|contains: '\\*'}", "a\\b", YES),
        (r"{f|contains: '\'}", "a\\b", YES),
        (r"{f|contains: '\'}", "ab", NO),
        (r"{f: '\%name%'}", "\\%name%", YES),
    ],
)
def test_escapes(match: Match, detection: str, value: Any, expected: bool) -> None:
    """Rules, "Escape Character": each of its five possibilities, also at the ends of a value and under modifiers."""
    assert match(detection, {} if value is MISSING else {"f": value}) is expected


@pytest.mark.parametrize(
    ("detection", "value", "expected"),
    [
        ("{f: null}", MISSING, YES),
        ("{f: null}", "", NO),
        ("{f: null}", [], YES),
        ("{f: null}", [None], YES),
        ("{f: null}", 0, NO),
        ("{f: ''}", "", YES),
        ("{f: ''}", MISSING, NO),
        ("{f: ''}", " ", NO),
        ("{f: [a, b]}", "B", YES),
        ("{f: [a, null]}", MISSING, YES),
        ("{f: a}", ["x", "A"], YES),
        ("{f: a}", [["x", ["a"]]], YES),
        ("{f: a}", {"x": "a"}, NO),
        ("{f: null}", None, YES),
        ("{f: null}", "null", NO),
        ("{f: 'null'}", None, NO),
        ("{f: ''}", [""], YES),
        ("{f: ''}", [], NO),
        ("{f: ''}", "x", NO),
        ("{f: ['', x]}", "", YES),
    ],
)
def test_empty_is_not_null(match: Match, detection: str, value: Any, expected: bool) -> None:
    """Rules, "Special Field Values": an empty value is `''`, a null value `null`; a missing field has none."""
    assert match(detection, {} if value is MISSING else {"f": value}) is expected


def test_not_null_is_a_selection_of_its_own(match: Match) -> None:
    """Rules, "Special Field Values": the example of `not null`, and that of `1 of selection_empty*`."""
    detection = "selection: {EventID: 4738}\nfilter: {PasswordLastSet: null}\ncondition: selection and not filter"
    assert match(detection, {"EventID": 4738, "PasswordLastSet": "x"})
    assert not match(detection, {"EventID": 4738})
    detection = (
        "selection_main: {FieldA: something}\nselection_empty1: {FieldB: ''}\nselection_empty2: {FieldB: null}\n"
        "condition: selection_main and 1 of selection_empty*"
    )
    assert match(detection, {"FieldA": "something"})
    assert match(detection, {"FieldA": "something", "FieldB": ""})
    assert not match(detection, {"FieldA": "something", "FieldB": "x"})


@pytest.mark.parametrize(
    ("detection", "value", "expected"),
    [
        ("{f: 4624}", 4624, YES),
        ("{f: 4624}", "4624", YES),
        ("{f: '4624'}", 4624, YES),
        ("{f: 4624}", "4625", NO),
        ("{f: 4624}", "0x1210", NO),
        ("{f: 4624}", 4624.0, YES),
        ("{f: 1.5}", "1.5", YES),
        ("{f: 1}", True, NO),
        ("{f: true}", True, YES),
        ("{f: true}", "True", YES),
        ("{f: 'true'}", True, YES),
        ("{f: true}", "yes", NO),
        ("{f: 5}", "٥", NO),
        ("{f: '0x40810000'}", "0x40810000", YES),
        ("{f: 0x17}", "23", YES),
        ("{f: '0x17'}", "23", NO),
        ("{f: -1}", "-1", YES),
        ("{f: 0}", False, NO),
        ("{f: 1.0}", 1, YES),
        ("{f: false}", False, YES),
        ("{f: false}", 0, NO),
        ("{f: 18446744073709551615}", "18446744073709551615", YES),
        ("{f: 18446744073709551615}", "18446744073709551614", NO),
        ("{f|contains: 62}", 4624, YES),
        ("{f|endswith: '24'}", 4624, YES),
        ("{f|startswith: 46}", "4624", YES),
        ("{f: [517, 1102]}", 1102, YES),
        ("{f: [517, 1102]}", 1103, NO),
    ],
)
def test_numbers_and_booleans(match: Match, detection: str, value: Any, expected: bool) -> None:
    """Rules, "Maps": the value is a string or an integer; events say numbers as numbers or as text."""
    assert match(detection, {} if value is MISSING else {"f": value}) is expected


@pytest.mark.parametrize(
    ("detection", "expected"),
    [
        ("[needle]", YES),
        ("[missing, NEEDLE]", YES),
        ("[missing]", NO),
        ("needle", YES),
        ("'ne*le'", YES),
        ("'n?edle'", YES),
        ("'*needle*'", YES),
        ("[4711]", YES),
        ("['471']", YES),
        ("[deep]", YES),
        ("{'|all': [needle, 4711]}", YES),
        ("{'|all': [needle, missing]}", NO),
        ("{'|re': 'n[e]+dle'}", YES),
        ("{'|re': 'N[e]+dle'}", NO),
        ("{'|cased': Needle}", NO),
        ("{'|contains|cased': needle}", YES),
        ("{'|cidr': 192.0.2.0/24}", YES),
        ("['a needle', 'f']", YES),
        ("[secret-dataset]", NO),
    ],
)
def test_keywords_search_the_whole_event(match: Match, detection: str, expected: bool) -> None:
    event = {
        "f": "a needle here",
        "n": 4711,
        "list": ["x", {"y": ["deep"]}],
        "ip": "192.0.2.7",
        **dict.fromkeys(ENVELOPE, "secret-dataset"),
        "event.dataset": "windows.secret-dataset",
    }
    assert match(detection, event) is expected


def test_fields_that_intake_put_aside_are_read(match: Match) -> None:
    event = {MISFIT: {"winlog.event_data.Image": r"C:\a.exe", "n": 5}}
    assert match(r"{winlog.event_data.Image|endswith: '\a.exe'}", event)
    assert match("{n: 5}", event)
    assert not match("{n: null}", event)


@pytest.mark.parametrize("value", [10**400, -(10**400), 10**18, 0.1, float("inf"), float("nan"), "x" * 100_000])
def test_absurd_values_raise_nothing(match: Match, value: Any) -> None:
    for detection in ("{f: 5}", "{f: x}", "{f|gt: 5}", "{f|re: y+$}", "{f|cidr: 10.0.0.0/8}", "[zz]", "{f|hour: 1}"):
        assert match(detection, {"f": value}) in (YES, NO)

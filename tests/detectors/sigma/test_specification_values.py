"""Values and modifiers of the Sigma specification, each against events that match and that do not."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from detectors.sigma.values import ENVELOPE, MISFIT

Match = Callable[..., bool]

YES, NO = True, False


@pytest.mark.parametrize(
    ("detection", "value", "expected"),
    [
        # strings, case, wildcards, escapes
        ("{f: Cmd.EXE}", "cMD.exe", YES),
        ("{f: cmd.exe}", "cmd.exe ", NO),
        ("{f: ÑANDÚ}", "ñandú", YES),
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
        ("{f: '*'}", "", YES),
        ("{f: '*'}", None, NO),
        ("{f: 'a.c'}", "abc", NO),
        ("{f: '[ab]*$(x)^|{2}+'}", "[ab]zz$(x)^|{2}+", YES),
        # null, empty, lists, numbers, booleans
        ("{f: null}", None, YES),
        ("{f: null}", "", NO),
        ("{f: null}", [], YES),
        ("{f: null}", [None], YES),
        ("{f: null}", 0, NO),
        ("{f: ''}", "", YES),
        ("{f: ''}", None, NO),
        ("{f: ''}", " ", NO),
        ("{f: [a, b]}", "B", YES),
        ("{f: [a, null]}", None, YES),
        ("{f: a}", ["x", "A"], YES),
        ("{f: a}", [["x", ["a"]]], YES),
        ("{f: a}", {"x": "a"}, NO),
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
        # contains, startswith, endswith, all, cased
        ("{f|contains: b}", "aBc", YES),
        ("{f|contains: b}", "ac", NO),
        ("{f|contains: 'b*d'}", "a b c d e", YES),
        ("{f|contains: 44}", 1445, YES),
        ("{f|startswith: ab}", "ABc", YES),
        ("{f|startswith: ab}", "cab", NO),
        ("{f|endswith: [bc, xy]}", "aXY", YES),
        ("{f|endswith: bc}", "bcd", NO),
        ("{f|contains|all: [a, b]}", "b a", YES),
        ("{f|contains|all: [a, b]}", "a", NO),
        ("{f|all|contains: [a, b]}", ["xax", "xbx"], YES),
        ("{f|cased: Ab}", "Ab", YES),
        ("{f|cased: Ab}", "ab", NO),
        ("{f|contains|cased: Ab}", "xAbx", YES),
        ("{f|cased|contains: Ab}", "xabx", NO),
        ("{f|cased: 'A*b'}", "Axb", YES),
        ("{f|cased: 'A*b'}", "axb", NO),
        # exists, neq
        ("{f|exists: true}", "", YES),
        ("{f|exists: true}", None, NO),
        ("{f|exists: false}", None, YES),
        ("{f|exists: false}", "x", NO),
        ("{f|neq: a}", "b", YES),
        ("{f|neq: a}", "A", NO),
        ("{f|neq: a}", None, YES),
        ("{f|neq: [a, b]}", "b", NO),
        ("{f|contains|neq: a}", "bab", NO),
        ("{f|re|neq: a+}", "baab", NO),
        # numbers compared
        ("{f|lt: 5}", 4, YES),
        ("{f|lt: 5}", "4.9", YES),
        ("{f|lt: 5}", 5, NO),
        ("{f|lte: 5}", "5", YES),
        ("{f|gt: 5}", "6", YES),
        ("{f|gt: 5}", "x", NO),
        ("{f|gt: 5}", "NaN", NO),
        ("{f|gt: 5}", "1e999", NO),
        ("{f|gte: 5}", [1, "7"], YES),
        ("{f|gt: 5}", None, NO),
        ("{f|gt: 0}", True, NO),
        # regular expressions
        ("{f|re: 'a.c'}", "xabcx", YES),
        ("{f|re: 'a.c'}", "xABCx", NO),
        ("{f|re: 'a.c'}", "a\nc", NO),
        ("{f|re|s: 'a.c'}", "a\nc", YES),
        ("{f|re|i: 'a.c'}", "ABC", YES),
        ("{f|re: '(?i)a.c'}", "ABC", YES),
        ("{f|re: '^b'}", "a\nb", NO),
        ("{f|re|m: '^b'}", "a\nb", YES),
        ("{f|re|i|m|s: '^B.c'}", "a\nb\nC", YES),
        (r"{f|re: '\d{3}\s\w\b'}", "x 123 a.", YES),
        (r"{f|re: 'a\\b'}", r"a\b", YES),
        ("{f|re: ['x', 'y']}", "y", YES),
        ("{f|re|all: ['x', 'y']}", "y", NO),
        ("{f|re: 5}", "x5", YES),
        ("{f|re: 'a'}", "\ud800a", YES),
        ("{f: 'a*b'}", "a\ud800b", YES),
        # networks
        ("{f|cidr: 10.0.0.0/8}", "10.1.2.3", YES),
        ("{f|cidr: 10.0.0.0/8}", "11.1.2.3", NO),
        ("{f|cidr: [10.0.0.0/8, 'fe80::/10']}", "fe80::1%eth0", YES),
        ("{f|cidr: '::1/128'}", "0:0:0:0:0:0:0:1", YES),
        ("{f|cidr: 10.0.0.0/8}", "::ffff:10.0.0.1", YES),
        ("{f|cidr: 10.0.0.0/8}", "10.0.0", NO),
        ("{f|cidr: 10.0.0.0/8}", ["8.8.8.8", "10.0.0.1"], YES),
        ("{f|cidr: 10.0.0.0/8}", "1" * 1000, NO),
        # windash: five characters, both ways, wildcards keep their meaning
        ("{f|windash|contains: ' -x '}", "a /x b", YES),
        ("{f|windash|contains: ' /x '}", "a -x b", YES),
        ("{f|windash|contains: ' /x '}", "a –x b", YES),
        ("{f|windash|contains: ' /x '}", "a —x b", YES),
        ("{f|windash|contains: ' /x '}", "a ―x b", YES),
        ("{f|windash|contains: ' -x '}", "a _x b", NO),
        ("{f|windash|contains|all: [' -x', ' -y']}", "a /x –y", YES),
        ("{f|windash|contains|all: [' -x', ' -y']}", "a /x", NO),
        ("{f|windash|contains: ' -x*y'}", "a /x zz y", YES),
        ("{f|contains|windash: ' -x-y'}", "a /x-y", YES),
        ("{f|contains|windash: ' -x-y'}", "a /x/y", NO),
    ],
)
def test_values_and_modifiers(match: Match, detection: str, value: Any, expected: bool) -> None:
    assert match(detection, {} if value is None else {"f": value}) is expected


@pytest.mark.parametrize("offset", range(6))
def test_base64offset_finds_text_at_any_place(match: Match, offset: int) -> None:
    encoded = b64encode(b"x" * offset + "Invoke-Contraseña".encode() + b"tail").decode()
    assert match("{f|base64offset|contains: Invoke-Contraseña}", {"f": f"-enc {encoded}"})
    assert not match("{f|base64offset|contains: Invoke-Other}", {"f": f"-enc {encoded}"})


@pytest.mark.parametrize(
    ("modifier", "encoding", "mark"),
    [
        ("wide", "utf-16-le", b""),
        ("utf16le", "utf-16-le", b""),
        ("utf16be", "utf-16-be", b""),
        ("utf16", "utf-16-le", b"\xff\xfe"),
    ],
)
@pytest.mark.parametrize("text", ["iex", "contraseña", "€😀"])
def test_utf16_in_chains(match: Match, modifier: str, encoding: str, mark: bytes, text: str) -> None:
    data = mark + text.encode(encoding)
    assert match(f"{{f|{modifier}|base64: {text}}}", {"f": b64encode(data).decode()})
    for offset in range(3):
        encoded = b64encode(b"?" * offset + data + b"??").decode()
        assert match(f"{{f|{modifier}|base64offset|contains: {text}}}", {"f": encoded})
    assert not match(f"{{f|{modifier}|base64offset|contains: {text}}}", {"f": b64encode(text.encode()).decode()})


def test_wide_text_without_base64(match: Match) -> None:
    assert match("{f|wide|contains: ie}", {"f": "xi\0e\0x"})


@pytest.mark.parametrize(
    ("key", "left", "right", "expected"),
    [
        ("a|fieldref", "X", "x", YES),
        ("a|fieldref", "x", "y", NO),
        ("a|fieldref|cased", "X", "x", NO),
        ("a|cased|fieldref", "X", "X", YES),
        ("a|fieldref|endswith", "abc", "BC", YES),
        ("a|endswith|fieldref", "abc", "bc", YES),
        ("a|endswith|fieldref", "abc", "ab", NO),
        ("a|endswith|cased|fieldref", "abc", "BC", NO),
        ("a|startswith|fieldref", "abc", "ab", YES),
        ("a|fieldref|contains", "abc", "b", YES),
        ("a|contains|fieldref", "abc", "x", NO),
        ("a|fieldref|neq", "x", "y", YES),
        ("a|fieldref|neq", "x", "X", NO),
        ("a|fieldref", 5, "5", YES),
        ("a|fieldref", None, "5", NO),
        ("a|fieldref", None, None, NO),
        ("a|fieldref", ["p", "q"], ["r", "Q"], YES),
    ],
)
def test_references_to_fields(match: Match, key: str, left: Any, right: Any, expected: bool) -> None:
    event = {name: value for name, value in (("a", left), ("b", right)) if value is not None}
    assert match(f"{{{key}: b}}", event) is expected


@pytest.mark.parametrize(
    ("part", "utc", "local"),
    [("minute", 34, 34), ("hour", 4, 22), ("day", 1, 30), ("week", 49, 48), ("month", 12, 11), ("year", 2025, 2025)],
)
def test_parts_of_times(match: Match, part: str, utc: int, local: int) -> None:
    event = {"f": "2025-12-01T04:34:56.000000Z"}
    assert match(f"{{f|{part}: {utc}}}", event, zone="UTC")
    assert match(f"{{f|{part}: {local}}}", event, zone="America/Mexico_City")
    assert not match(f"{{f|{part}: {local + 1}}}", event, zone="America/Mexico_City")
    assert match(f"{{f|{part}|gte: {local}}}", event, zone="America/Mexico_City")
    assert not match(f"{{f|{part}|lt: {local}}}", event, zone="America/Mexico_City")


@pytest.mark.parametrize("value", ["", "yesterday", "9999-99-99", None, 5, ["x"]])
def test_what_is_no_time_has_no_parts(match: Match, value: Any) -> None:
    assert not match("{f|hour: 5}", {"f": value})
    assert not match("{f|hour|lt: 25}", {"f": value})


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

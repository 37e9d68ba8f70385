"""Modifiers of the Sigma specification 2.1, each and in chains, through every engine."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

Match = Callable[..., bool]

YES, NO = True, False
MISSING = object()


@pytest.mark.parametrize(
    ("detection", "value", "expected"),
    [
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
        ("{f|startswith: 'a*c'}", "abcd", YES),
        ("{f|endswith: 'b?d'}", "abcd", YES),
        ("{f|startswith: ab*}", "abc", YES),
        ("{f|endswith: '*bc'}", "abc", YES),
        ("{f|contains: '*b*'}", "abc", YES),
        ("{f|contains: ''}", "", YES),
        ("{f|contains: ''}", MISSING, NO),
        ("{f|startswith|all: [ab, abc]}", "abcd", YES),
        ("{f|startswith|all: [ab, abc]}", "abd", NO),
        ("{f|all: ['*a*', '*b*']}", "xbxa", YES),
        ("{f|all: [a]}", "a", YES),
        ("{f|contains|cased|all: [A, b]}", "bA", YES),
        ("{f|contains|cased|all: [A, b]}", "ba", NO),
        ("{f|cased|startswith: A}", "Ab", YES),
        ("{f|cased|startswith: A}", "ab", NO),
        ("{f|endswith|cased: Ñ}", "aÑ", YES),
        ("{f|endswith|cased: Ñ}", "añ", NO),
    ],
)
def test_generic_modifiers(match: Match, detection: str, value: Any, expected: bool) -> None:
    """Modifiers, "Generic Modifiers": all, startswith, endswith, contains, cased."""
    assert match(detection, {} if value is MISSING else {"f": value}) is expected


@pytest.mark.parametrize(
    ("detection", "value", "expected"),
    [
        ("{f|exists: true}", "", YES),
        ("{f|exists: true}", MISSING, NO),
        ("{f|exists: false}", MISSING, YES),
        ("{f|exists: false}", "x", NO),
        ("{f|neq: a}", "b", YES),
        ("{f|neq: a}", "A", NO),
        ("{f|neq: a}", MISSING, YES),
        ("{f|neq: [a, b]}", "b", NO),
        ("{f|contains|neq: a}", "bab", NO),
        ("{f|re|neq: a+}", "baab", NO),
        ("{f|exists: true}", None, YES),
        ("{f|exists: false}", None, NO),
        ("{f|exists: true}", [], YES),
        ("{f|exists: true}", 0, YES),
        ("{f|neq: 5}", 6, YES),
        ("{f|neq: 5}", "5", NO),
        ("{f|neq: null}", "x", YES),
        ("{f|neq: null}", MISSING, NO),
        ("{f|neq|contains: a}", "bab", NO),
        ("{f|startswith|neq: [a, b]}", "bx", NO),
        ("{f|startswith|neq: [a, b]}", "cx", YES),
        ("{f|contains|all|neq: [a, b]}", "a", YES),
        ("{f|contains|all|neq: [a, b]}", "ab", NO),
        ("{f|cidr|neq: 10.0.0.0/8}", "10.1.1.1", NO),
        ("{f|gt|neq: 5}", 4, YES),
        ("{f|neq: a}", ["a", "b"], NO),
    ],
)
def test_exists_and_neq(match: Match, detection: str, value: Any, expected: bool) -> None:
    """Modifiers, "Generic Modifiers": exists verifies presence, be the value empty or null; neq is different from."""
    assert match(detection, {} if value is MISSING else {"f": value}) is expected


@pytest.mark.parametrize(
    ("detection", "value", "expected"),
    [
        ("{f|lt: 5}", 4, YES),
        ("{f|lt: 5}", "4.9", YES),
        ("{f|lt: 5}", 5, NO),
        ("{f|lte: 5}", "5", YES),
        ("{f|gt: 5}", "6", YES),
        ("{f|gt: 5}", "x", NO),
        ("{f|gt: 5}", "NaN", NO),
        ("{f|gt: 5}", "1e999", NO),
        ("{f|gte: 5}", [1, "7"], YES),
        ("{f|gt: 5}", MISSING, NO),
        ("{f|gt: 0}", True, NO),
        ("{f|gte: 5}", 5, YES),
        ("{f|lte: 5}", 5.5, NO),
        ("{f|lt: -1}", "-2", YES),
        ("{f|gt: 1.5}", "1.6", YES),
        ("{f|gt: 9007199254740992}", 9007199254740993, YES),
        ("{f|gt: 5}", "", NO),
        ("{f|lt: [1, 9]}", 5, YES),
        ("{f|gt|all: [1, 9]}", 5, NO),
    ],
)
def test_numeric_modifiers(match: Match, detection: str, value: Any, expected: bool) -> None:
    """Modifiers, "Numeric Modifiers": lt, lte, gt, gte."""
    assert match(detection, {} if value is MISSING else {"f": value}) is expected


@pytest.mark.parametrize(
    ("detection", "value", "expected"),
    [
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
        ("{f|re: '^a[^b-d]{2,3}(x|y)?$'}", "azzx", YES),
        ("{f|re: '^a[^b-d]{2,3}(x|y)?$'}", "abzx", NO),
        ("{f|re: 'a*b+c?'}", "b", YES),
        ("{f|re: b$}", "b\n", NO),
        ("{f|re|m: b$}", "b\nc", YES),
        ("{f|re|i: ñ}", "Ñ", YES),
        ("{f|re: '^.$'}", "ñ", YES),
        (r"{f|re: '\*'}", "*", YES),
        ("{f|re: '\\\\'}", "\\", YES),
        ("{f|re: ''}", "", YES),
        ("{f|re: x}", MISSING, NO),
    ],
)
def test_regular_expressions(match: Match, detection: str, value: Any, expected: bool) -> None:
    """Modifiers, "Regular Expression": case-sensitive unless `i`; `m` anchors at lines, `s` widens `.`."""
    assert match(detection, {} if value is MISSING else {"f": value}) is expected


@pytest.mark.parametrize(
    ("detection", "value", "expected"),
    [
        ("{f|cidr: 10.0.0.0/8}", "10.1.2.3", YES),
        ("{f|cidr: 10.0.0.0/8}", "11.1.2.3", NO),
        ("{f|cidr: [10.0.0.0/8, 'fe80::/10']}", "fe80::1%eth0", YES),
        ("{f|cidr: '::1/128'}", "0:0:0:0:0:0:0:1", YES),
        ("{f|cidr: 10.0.0.0/8}", "::ffff:10.0.0.1", YES),
        ("{f|cidr: 10.0.0.0/8}", "10.0.0", NO),
        ("{f|cidr: 10.0.0.0/8}", ["8.8.8.8", "10.0.0.1"], YES),
        ("{f|cidr: 10.0.0.0/8}", "1" * 1000, NO),
        ("{f|cidr: 192.168.1.1/32}", "192.168.1.1", YES),
        ("{f|cidr: 0.0.0.0/0}", "255.255.255.255", YES),
        ("{f|cidr: 0.0.0.0/0}", "::1", NO),
        ("{f|cidr: '2001:db8::/32'}", "2001:0DB8::1", YES),
        ("{f|cidr: 10.0.0.0/8}", "", NO),
        ("{f|cidr: 10.0.0.0/8}", 167772161, NO),
        ("{f|cidr: 10.0.0.0/8}", MISSING, NO),
    ],
)
def test_networks(match: Match, detection: str, value: Any, expected: bool) -> None:
    """Modifiers, "IP (Internet Protocol) Modifiers": cidr, IPv4 and IPv6."""
    assert match(detection, {} if value is MISSING else {"f": value}) is expected


@pytest.mark.parametrize(
    ("detection", "value", "expected"),
    [
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
        ("{f|windash|contains: ' –x '}", "a -x b", YES),
        ("{f|windash|contains: ' –x '}", "a /x b", YES),
        ("{f|windash|contains: ' —x '}", "a ―x b", YES),
        ("{f|windash|endswith: '/x'}", "-x", YES),
        ("{f|windash: '-x'}", "/X", YES),
        ("{f|windash|contains: 'a-b'}", "a/b", NO),
        ("{f|windash|contains: '-?x'}", "/yx", YES),
        ("{f|windash|contains|cased: ' -X'}", "a /X", YES),
        ("{f|windash|contains|cased: ' -X'}", "a /x", NO),
        ("{f|windash|neq|contains: ' -x'}", "a /x", NO),
        ("{f|windash|contains: ' -x*-y?z'}", "a /x /yz", NO),
        ("{f|windash|contains: ' -x* -y?z'}", "a /x q –yyz", YES),
        ("{f|windash: '-'}", "/", NO),
        ("{f|windash: '- x'}", "/ x", NO),
        ("{f|windash: '*/'}", "a/", YES),
        ("{f|windash|contains: '-a -b -c'}", "/a –b ―c", YES),
        ("{f|windash|base64: '-x'}", "L3g=", YES),
    ],
)
def test_windash(match: Match, detection: str, value: Any, expected: bool) -> None:
    """Modifiers, "String Modifiers": windash permutes `-`, `/`, `–`, `—` and `―`; wildcards keep their meaning."""
    assert match(detection, {} if value is MISSING else {"f": value}) is expected


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

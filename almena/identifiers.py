"""Mexican identifiers and payment cards: their check digits, and where they stand in a text."""

from __future__ import annotations

import re
from typing import Any

import re2

CURP_ALPHABET = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"
GENERIC_RFCS = frozenset(("XAXX010101000", "XEXX010101000"))
"""The public's and foreigners' RFC on invoices: they name nobody."""

_WEIGHTS = (3, 7, 1)

# Escapes before an identifier (`%20BOXW...`, `\x22BOXW...`, `\nBOXW...`) end in letters and digits, yet are a border.
_BORDER = r"(?:(?<![A-Za-z0-9Ññ])|(?<=%[0-9A-Fa-f]{2})|(?<=\\x[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4})|(?<=\\[nrt]))"
_END = r"(?![A-Za-z0-9Ññ])"
_DATE = r"[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_CURP = r"[A-Za-zÑñ]{4}-?[0-9]{6}-?[HMXhmx][A-Za-zÑñ]{5}-?[0-9A-Za-zÑñ][0-9]"
_RFC = rf"(?:[A-Za-zÑñ][A-Za-zÑñ&]{{3}}|[A-Za-zÑñ&]{{3}})(?:{_DATE}|-{_DATE}-)[0-9A-Za-zÑñ]{{2}}[0-9Aa]"
_DIGITS = (
    r"[0-9]{13,19}|[0-9]{4}(?:[ +-][0-9]{4}){3}(?:[ +-][0-9]{1,3})?|[0-9]{4}[ +-][0-9]{6}[ +-][0-9]{4,5}"
    r"|[0-9]{3}[ +-][0-9]{3}[ +-][0-9]{11}[ +-]?[0-9]"
)

TOKEN = re.compile(r"(?:curp|rfc|clabe|card|citizen|secret)-[a-f][0-9a-f]{15}")
"""What stands in the place of something masked: a kind, a letter a-f and 15 hexadecimal digits."""

IDENTIFIER = re.compile(
    rf"(?P<token>{TOKEN.pattern})|(?P<curp>{_CURP})|{_BORDER}(?:(?P<rfc>{_RFC})|(?P<digits>{_DIGITS})){_END}"
)
"""An identifier by its shape, in the group of its kind; `digits` may be a CLABE, a card, or neither."""

# The same without looking around, over UTF-8 bytes: a first look that is fast and never misses one of the above.
_LETTER = r"(?:[A-Za-z&]|\xc3[\x91\xb1])"
_BEFORE = r"(?:^|[^0-9A-Za-z]|%[0-9A-Fa-f]{2}|\\x[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\[nrt])"
_BEHIND = r"(?:$|[^0-9A-Za-z])"
HINT = (
    rf"(?:{_LETTER}{{4}}-?[0-9]{{6}}-?[HMXhmx]{_LETTER}{{5}}-?(?:[0-9]|{_LETTER})[0-9]"
    rf"|{_BEFORE}(?:{_LETTER}{{3,4}}(?:{_DATE}|-{_DATE}-)(?:[0-9]|{_LETTER}){{2}}[0-9Aa]|{_DIGITS}){_BEHIND})"
)
"""Pattern for `re2` that finds something in every UTF-8 text in which `IDENTIFIER` does (tokens apart)."""


def compile_hint(pattern: str) -> Any:
    """`pattern` for `re2` over UTF-8 taken byte by byte, so that damaged UTF-8 hides nothing."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    return re2.compile(pattern.replace("ñ", r"\xc3\xb1").replace("Ñ", r"\xc3\x91").encode("ascii"), options)


_HINT = compile_hint(HINT)


def may_identify(data: bytes) -> bool:
    """Whether UTF-8 text has the shape of an identifier anywhere; linear, and never False for one that has."""
    return _HINT.search(data) is not None


def curp_check_digit(first: str) -> int:
    """The last digit of a CURP, from its first 17 characters; raises ValueError for characters no CURP has.

    >>> curp_check_digit("BOXW310820HNERXN0")
    9
    """
    if len(first) != 17:
        raise ValueError("the first 17 characters of a CURP are needed")
    total = sum(CURP_ALPHABET.index(char) * (18 - place) for place, char in enumerate(first.upper()))
    return (10 - total % 10) % 10


def clabe_check_digit(first: str) -> int:
    """The last digit of a CLABE, from its first 17 digits; raises ValueError for anything else.

    >>> clabe_check_digit("01218002605078385")
    8
    """
    if len(first) != 17 or not (first.isascii() and first.isdigit()):
        raise ValueError("the first 17 digits of a CLABE are needed")
    return (10 - sum(int(digit) * _WEIGHTS[place % 3] % 10 for place, digit in enumerate(first)) % 10) % 10


def luhn_check_digit(first: str) -> int:
    """The last digit of a payment card, from the digits before it."""
    doubled = (int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(first)))
    return (10 - sum(value - 9 if value > 9 else value for value in doubled) % 10) % 10


def is_clabe(digits: str) -> bool:
    """Whether digits are a CLABE by their check digit; banks are not looked at, since no list of them is complete."""
    return len(digits) == 18 and clabe_check_digit(digits[:17]) == int(digits[17])


def is_card(digits: str) -> bool:
    """Whether 13 to 19 digits are a payment card by an issuer's prefix and length and by Luhn's check digit."""
    length, two, four = len(digits), int(digits[:2]), int(digits[:4])
    if two // 10 == 4:
        known = length in (13, 16, 19)
    elif 51 <= two <= 55 or 2221 <= four <= 2720:
        known = length == 16
    elif two in (34, 37):
        known = length == 15
    elif two in (36, 38) or 3000 <= four <= 3059:
        known = length == 14
    else:
        known = 16 <= length <= 19 and (3528 <= four <= 3589 or two in (50, 56, 57, 58) or two // 10 == 6)
    return known and luhn_check_digit(digits[:-1]) == int(digits[-1])


def in_guid(match: re.Match[str]) -> bool:
    """Whether 12 hexadecimal characters behind `xxxx-` are the end of a GUID and no company's RFC."""
    found, before = match[0].lower(), match.string[max(0, match.start() - 5) : match.start()].lower()
    return len(found) == 12 and before[4:] == "-" and not set(found + before[:4]) - set("0123456789abcdef")

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.clock import parse_time
from almena.errors import ParseError
from collectors.parsers.common import (
    MAX_FIELDS,
    address,
    epoch,
    flat,
    instant,
    number,
    text,
    unescape,
)
from collectors.parsers.common import (
    given as given_text,
)


def test_bytes_that_are_no_utf_8_stay_visible_and_distinct() -> None:
    assert text(b"a\xff\xfeb") == "a\\xff\\xfeb"
    assert text("ñ\r\n".encode()) == "ñ"
    assert text(b"\x00\x00x\x00") == "x"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_utf_8_comes_through_unchanged(written: str) -> None:
    line = f"a{written}b"
    if line.count("\x00") * 4 <= len(line.encode()):
        assert text(line.encode()) == line


@pytest.mark.parametrize(
    ("written", "zone", "utc"),
    [
        ("2026-11-22T13:34:00", "America/Mexico_City", "2026-11-22T19:34:00Z"),
        ("2026-11-22T13:34:00", "UTC", "2026-11-22T13:34:00Z"),
        ("2026-11-22 13:34:00,5-06:00", "UTC", "2026-11-22T19:34:00.5Z"),
        ("2022-07-01T12:00:00", "America/Mexico_City", "2022-07-01T17:00:00Z"),
        ("2026-07-01T12:00:00", "America/Mexico_City", "2026-07-01T18:00:00Z"),
        ("2016-12-31T23:59:60Z", "UTC", "2017-01-01T00:00:00Z"),
        ("2026-11-22T19:34:00.1234567Z", "UTC", "2026-11-22T19:34:00.123456Z"),
    ],
)
def test_times_without_offset_are_in_the_zone_of_the_source(written: str, zone: str, utc: str) -> None:
    assert instant(written, zone) == parse_time(utc)


@pytest.mark.parametrize("written", ["", "now", "2026-02-30T00:00:00Z", "2026-11-22T19:34:61Z", "٢٠٢٦-11-22T00:00:00Z"])
def test_what_is_no_time_is_a_parse_error(written: str) -> None:
    with pytest.raises(ParseError):
        instant(written, "UTC")


@pytest.mark.parametrize(
    "value", [1795376040, 1795376040.0, 1795376040_000, 1795376040_000_000, 1795376040_000_000_000]
)
def test_epochs_are_told_apart_by_their_size(value: float) -> None:
    assert epoch(value) == 1795376040_000_000


@pytest.mark.parametrize("value", [-1, 1e20, 2**100])
def test_absurd_epochs_are_parse_errors(value: float) -> None:
    with pytest.raises(ParseError):
        epoch(value)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("12", 12),
        ("0x27cc", 10188),
        (7, 7),
        ("-1", -1),
        ("x", None),
        ("9" * 19, None),
        ("٣", None),
        (None, None),
        (1.5, None),
    ],
)
def test_numbers_are_decimal_or_hexadecimal(value: object, found: int | None) -> None:
    assert number(value) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("0:0:0:0:0:0:0:1", "::1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("10.0.0.1, 10.0.0.2", None),
        ("-", None),
        (None, None),
        ("1" * 100, None),
    ],
)
def test_addresses_have_one_written_form(value: object, found: str | None) -> None:
    assert address(value) == found


def test_escapes_of_web_servers_are_undone_and_what_is_no_utf_8_stays() -> None:
    assert unescape(r"ni\xC3\xB1o \x22 \\ \" \n \xFF \xZZ") == 'niño " \\ " \n \\xff \\xZZ'


def test_objects_in_lists_become_text_and_nulls_go() -> None:
    assert flat({"a": {"b": [1, None, {"c": [2]}, [3]]}, "d": None, "e": [], "f": True}) == {
        "a.b": [1, '{"c":[2]}', "[3]"],
        "f": True,
    }
    with pytest.raises(ParseError, match="fields"):
        flat({str(at): 1 for at in range(MAX_FIELDS + 1)})


def test_dashes_are_nothing() -> None:
    assert [given_text(value) for value in ("-", "", None, "(null)", "x", 5)] == [None, None, None, None, "x", "5"]

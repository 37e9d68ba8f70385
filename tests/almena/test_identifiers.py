from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.identifiers import (
    IDENTIFIER,
    TOKEN,
    clabe_check_digit,
    curp_check_digit,
    is_card,
    is_clabe,
    luhn_check_digit,
    may_identify,
)


def test_the_check_digits_of_published_examples() -> None:
    assert curp_check_digit("BOXW310820HNERXN0") == 9
    assert clabe_check_digit("01218002605078385") == 8
    assert clabe_check_digit("03218000011835971") == 9
    assert luhn_check_digit("411111111111111") == 1
    assert luhn_check_digit("37828224631000") == 5


@pytest.mark.parametrize("first", ["", "BOXW310820HNERXN09", "BOXW310820HNERXN?"])
def test_a_curp_that_is_none_has_no_check_digit(first: str) -> None:
    with pytest.raises(ValueError):
        curp_check_digit(first)


@pytest.mark.parametrize("first", ["", "012180026050783858", "0121800260507838x", "٠١٢١٨٠٠٢٦٠٥٠٧٨٣٨٥"])
def test_a_clabe_that_is_none_has_no_check_digit(first: str) -> None:
    with pytest.raises(ValueError):
        clabe_check_digit(first)


@given(st.text("0123456789", min_size=17, max_size=17), st.integers(0, 16), st.integers(1, 9))
def test_one_wrong_digit_never_passes_as_a_clabe(first: str, place: int, more: int) -> None:
    clabe = f"{first}{clabe_check_digit(first)}"
    assert is_clabe(clabe)
    wrong = clabe[:place] + str((int(clabe[place]) + more) % 10) + clabe[place + 1 :]
    assert not is_clabe(wrong)


@pytest.mark.parametrize(
    "digits",
    [
        "4111111111111111",
        "5555555555554444",
        "2223003122003222",
        "378282246310005",
        "36227206271667",
        "6011111111111117",
    ],
)
def test_cards_of_every_large_issuer_are_cards(digits: str) -> None:
    assert is_card(digits)
    assert not is_card(digits[:-1] + str((int(digits[-1]) + 1) % 10))


@pytest.mark.parametrize("digits", ["1763840000000000", "0000000000000000", "9214364837600034816", "1234567890123"])
def test_times_and_counters_are_no_cards(digits: str) -> None:
    assert not is_card(digits)


@given(st.text())
def test_the_hint_never_misses_what_the_pattern_finds(text: str) -> None:
    for match in IDENTIFIER.finditer(text):
        assert TOKEN.fullmatch(match[0]) or may_identify(text.encode("utf-8", "surrogatepass"))

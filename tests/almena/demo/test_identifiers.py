from __future__ import annotations

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.demo import identifiers

LETTERS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=4, max_size=4)
BORN = st.dates().map(lambda day: f"{day:%y%m%d}")


def test_the_known_curp_and_clabe_have_the_digits_we_compute() -> None:
    assert identifiers.curp_digit("BOXW310820HNERXN0") == "9"
    assert identifiers.clabe_digit("01218002605078385") == "8"


@pytest.mark.parametrize("rfc", ["GODE561231GR8", "MAB9307148T4"])
def test_known_rfcs_have_the_digit_we_compute(rfc: str) -> None:
    assert identifiers.rfc_digit(rfc[:-1]) == rfc[-1]


@given(LETTERS, BORN, st.sampled_from("HMX"), st.integers())
def test_a_curp_has_its_shape_and_its_digit(letters: str, born: str, sex: str, seed: int) -> None:
    random = Random(seed)
    curp = identifiers.curp(random, letters, born, sex)
    assert re.fullmatch(r"[A-Z]{4}\d{6}[HMX][A-Z]{2}[A-Z]{3}[0-9A-E]\d", curp)
    assert identifiers.curp_digit(curp[:-1]) == curp[-1]
    wrong = identifiers.wrong_curp(random, curp)
    assert wrong[:-1] == curp[:-1]
    assert identifiers.curp_digit(wrong[:-1]) != wrong[-1]


@given(LETTERS, BORN, st.integers())
def test_an_rfc_has_its_shape_and_its_digit(letters: str, born: str, seed: int) -> None:
    rfc = identifiers.rfc(Random(seed), letters, born)
    assert re.fullmatch(r"[A-Z]{4}\d{6}[A-Z0-9]{2}[0-9A]", rfc)
    assert identifiers.rfc_digit(rfc[:-1]) == rfc[-1]


@given(st.integers())
def test_a_clabe_has_eighteen_digits_and_the_last_holds(seed: int) -> None:
    clabe = identifiers.clabe(Random(seed))
    assert re.fullmatch(r"\d{18}", clabe)
    assert identifiers.clabe_digit(clabe[:-1]) == clabe[-1]

"""Fictional CURP, RFC and CLABE whose check digits hold, so that masking and checks meet what they will meet."""

from __future__ import annotations

from random import Random

_CURP = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"
_RFC = "0123456789ABCDEFGHIJKLMN&OPQRSTUVWXYZ Ñ"
_CONSONANTS = "BCDFGHJKLMNPQRSTVWXYZ"
_STATES = ("MN", "MN", "MN", "MN", "MN", "JC", "GT", "MC", "GR", "CL", "DF")
_BANKS = ("002", "012", "014", "021", "044", "072", "127", "137")


def curp_digit(first: str) -> str:
    """The check digit of a CURP's first 17 characters."""
    total = sum(_CURP.index(character) * (18 - place) for place, character in enumerate(first))
    return str((10 - total % 10) % 10)


def rfc_digit(first: str) -> str:
    """The check character of an RFC's first 12 characters (11 of a company's)."""
    padded = first.rjust(12)
    total = sum(_RFC.index(character) * (13 - place) for place, character in enumerate(padded))
    return "0123456789A"[(11 - total % 11) % 11]


def clabe_digit(first: str) -> str:
    """The check digit of a CLABE's first 17 digits."""
    total = sum(int(digit) * (3, 7, 1)[place % 3] % 10 for place, digit in enumerate(first))
    return str((10 - total % 10) % 10)


def curp(random: Random, letters: str, born: str, sex: str) -> str:
    """A CURP for four `letters`, a birth date `YYMMDD` and a sex (`H`, `M`, `X`)."""
    homonym = random.choice("0123456789" if int(born[:2]) > 26 else "ABCDE")
    middle = "".join(random.choice(_CONSONANTS) for _ in range(3))
    first = f"{letters}{born}{sex}{random.choice(_STATES)}{middle}{homonym}"
    return first + curp_digit(first)


def wrong_curp(random: Random, right: str) -> str:
    """`right` with a check digit that does not hold."""
    return right[:-1] + random.choice([digit for digit in "0123456789" if digit != right[-1]])


def rfc(random: Random, letters: str, born: str) -> str:
    """A person's RFC for four `letters` and a birth date `YYMMDD`."""
    first = letters + born + random.choice("ABCDEFGHJ123456789") + random.choice("0123456789ABC")
    return first + rfc_digit(first)


def clabe(random: Random) -> str:
    """A CLABE of a fictional account at a bank that exists."""
    first = random.choice(_BANKS) + f"{random.randrange(1, 1000):03d}{random.randrange(10**11):011d}"
    return first + clabe_digit(first)

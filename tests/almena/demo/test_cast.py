from __future__ import annotations

import ipaddress
from collections import Counter
from itertools import chain

from almena.demo import identifiers
from almena.demo.cast import AGENCIES, OFFICE, Cast


def test_the_same_seed_gives_the_same_people() -> None:
    assert Cast(3).officials == Cast(3).officials
    assert Cast(3).citizen(77) == Cast(3).citizen(77)
    assert Cast(3).citizen(77) != Cast(4).citizen(77)


def test_everybodys_identifiers_hold() -> None:
    cast = Cast(1)
    everybody = [*map(cast.citizen, range(300)), *cast.notaries, *chain.from_iterable(cast.officials.values())]
    for person in everybody:
        assert identifiers.curp_digit(person.curp[:-1]) == person.curp[-1]
        assert identifiers.rfc_digit(person.rfc[:-1]) == person.rfc[-1]
        assert identifiers.clabe_digit(person.clabe[:-1]) == person.clabe[-1]
        assert person.curp[:10] == person.rfc[:10]


def test_officials_sit_in_the_network_of_their_agency_and_have_accounts_of_their_own() -> None:
    officials = Cast(1).officials
    assert set(officials) == set(OFFICE) == set(AGENCIES)
    for agency, people in officials.items():
        network = ipaddress.ip_network(f"10.20.{OFFICE[agency]}.0/24")
        assert all(ipaddress.ip_address(person.ip) in network for person in people)
        assert len({person.user for person in people}) == len({person.ip for person in people}) == len(people)


def test_citizens_addresses_are_nobodys_and_spread() -> None:
    cast, shared = Cast(1), ipaddress.ip_network("100.64.0.0/10")
    addresses = Counter(cast.citizen(number).ip for number in range(2_000))
    assert all(ipaddress.ip_address(address) in shared for address in addresses)
    assert addresses.most_common(1)[0][1] <= 3

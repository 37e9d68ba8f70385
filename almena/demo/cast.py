"""Who appears in the simulation: agencies, officials, notaries, citizens, servers and addresses, all fictional."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import NamedTuple

from almena.demo import identifiers

AGENCIES = {
    "sfa": "Secretaría de Finanzas y Administración",
    "rpp": "Registro Público de la Propiedad",
    "see": "Secretaría de Educación del Estado",
    "tramites": "Portal de trámites",
    "cdo": "Centro Digital de Operaciones",
    "interop": "Plataforma de interoperabilidad",
}
"""The agencies of the demo, by the id their events carry."""

_GIVEN_NAMES = """
María Guadalupe Juana Rosa Leticia Alejandra Yolanda Araceli Xóchitl Citlali
José Juan Luis Carlos Jesús Miguel Eréndira Tariácuri Fernando Salvador
"""
_FAMILY_NAMES = """
Hernández García Martínez López González Rodríguez Pérez Sánchez Ramírez Flores
Torres Chávez Mendoza Cortés Ayala Equihua Tzintzun Villaseñor Magaña Arreola
"""
_GIVEN, _FAMILY = _GIVEN_NAMES.split(), _FAMILY_NAMES.split()
_PLAIN = str.maketrans("áéíóúüñÁÉÍÓÚÜÑ", "aeiouunAEIOUUN")


def rng(*parts: object) -> Random:
    """A generator of its own for whatever `parts` name, the same in every run and on every machine."""
    return Random("/".join(map(str, parts)))  # noqa: S311 - a simulation must repeat, not surprise


class Person(NamedTuple):
    """A citizen, an official or a notary."""

    user: str
    name: str
    curp: str
    rfc: str
    clabe: str
    ip: str
    agent: str


class Client(NamedTuple):
    """A program of an agency that calls another's services."""

    name: str
    agency: str
    token: str
    ip: str
    endpoint: str
    owner: str


_AGENTS = (
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
)

OFFICE = {"sfa": 8, "rpp": 16, "see": 24, "tramites": 32, "cdo": 1, "interop": 40}
"""The office network of each agency: the third number of 10.20.x.0/24."""

SERVERS = ("portal-web-01", "portal-web-02", "pagos-app-01", "registro-app-01", "cdo-salto-01", "plazas-db-01")
"""The Linux servers; the first two speak over UDP, the rest over TCP."""

CONTROLLER = "SRV-DC-01.michoacan.local"
"""The domain controller whose events come in."""

_ENDPOINTS = (
    ("sfa-padron", "sfa", "tramites", "/v1/personas"),
    ("rpp-avaluos", "rpp", "sfa", "/v1/lineas"),
    ("see-nomina", "see", "sfa", "/v1/empleados"),
    ("tramites-rpp", "tramites", "rpp", "/v1/folios"),
    ("tramites-renapo", "tramites", "interop", "/v1/curp"),
    ("sfa-catastro", "sfa", "rpp", "/v1/catastro"),
)


@dataclass(frozen=True)
class Cast:
    """Everybody, from one seed; the same seed gives the same people."""

    seed: int

    def _person(self, kind: str, number: int, ip: str) -> Person:
        random = rng(self.seed, kind, number)
        given, father, mother = random.choice(_GIVEN), random.choice(_FAMILY), random.choice(_FAMILY)
        plain = [part.translate(_PLAIN).upper() for part in (given, father, mother)]
        vowel = next((letter for letter in plain[1][1:] if letter in "AEIOU"), "X")
        letters = plain[1][0] + vowel + plain[2][0] + plain[0][0]
        born = f"{random.randrange(50, 100):02d}{random.randrange(1, 13):02d}{random.randrange(1, 29):02d}"
        user = f"{plain[0][0]}{plain[1]}{number}".lower()
        return Person(
            user=f"{user}@correo.example" if kind == "citizen" else user,
            name=f"{given} {father} {mother}",
            curp=identifiers.curp(random, letters, born, random.choice("HM")),
            rfc=identifiers.rfc(random, letters, born),
            clabe=identifiers.clabe(random),
            ip=ip,
            agent=random.choice(_AGENTS),
        )

    def citizen(self, number: int) -> Person:
        """One of any number of citizens; their addresses are those that carriers share out (100.64.0.0/10)."""
        spread = zlib.crc32(f"{self.seed}/{number}".encode())
        return self._person(
            "citizen", number, f"100.{64 + spread % 64}.{spread // 64 % 256}.{1 + spread // 16384 % 254}"
        )

    @cached_property
    def officials(self) -> dict[str, list[Person]]:
        """Twelve officials of each agency, each at one computer of its office."""
        return {
            agency: [self._person(agency, number, f"10.20.{third}.{20 + number}") for number in range(12)]
            for agency, third in OFFICE.items()
        }

    @cached_property
    def notaries(self) -> list[Person]:
        """Thirty notaries, each with one address."""
        return [self._person("notaria", number, f"100.127.{200 + number}.10") for number in range(30)]

    @cached_property
    def clients(self) -> list[Client]:
        """The programs that call the interoperability platform."""
        return [
            Client(name, agency, f"tk-{name}", f"10.20.{OFFICE[agency]}.{200 + number}", endpoint, owner)
            for number, (name, agency, owner, endpoint) in enumerate(_ENDPOINTS)
        ]

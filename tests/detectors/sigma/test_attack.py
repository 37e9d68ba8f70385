"""The shipped table of ATT&CK and D3FEND, and what is said of tags."""

from __future__ import annotations

import socket

import pytest

from detectors.sigma.attack import fault_of, table, tactics_of, techniques_of
from detectors.sigma.rules import RuleSet


def test_the_table_is_whole() -> None:
    found = table()
    assert len(found.tactics) == 15
    assert len(found.techniques) > 650
    assert list(found.tactics)[6:8] == ["stealth", "defense-impairment"]
    for technique in found.techniques.values():
        assert technique.parent in found.techniques, technique
        assert technique.tactics, technique
        assert set(technique.tactics) <= set(found.tactics), technique
    assert sum(technique.common for technique in found.techniques.values()) > 40
    for old, new in found.replaced.items():
        assert old.upper() not in found.techniques
        assert old not in found.tactics
        for name in new.split():
            assert name in found.techniques or name in found.tactics
    assert {"d3-am", "detect"} <= found.d3fend


def test_every_tag_of_sigmahq_is_known_without_the_network(sigmahq: RuleSet, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refused)
    tags = {tag for rule in sigmahq.rules for tag in rule.document.get("tags") or []}
    assert len(tags) > 400
    assert [fault for tag in sorted(tags) if (fault := fault_of(tag))] == []


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("attack.t1059.001", None),
        ("attack.T1059", None),
        ("attack.command_and_control", None),
        ("attack.stealth", None),
        ("attack.g0016", None),
        ("attack.s0002", None),
        ("attack.ds0005", None),
        ("d3fend.d3-fh", None),
        ("d3fend.detect", None),
        ("cve.2021-44228", None),
        ("car.2019-04-004", None),
        ("stp.1u", None),
        ("tlp.amber-strict", None),
        ("detection.emerging-threats", None),
        ("attack.t9999", "names no technique of ATT&CK v19"),
        ("attack.t1059.999", "names no technique"),
        ("attack.stealht", "names no tactic of ATT&CK v19; they are reconnaissance"),
        ("attack.defense-evasion", "now it is attack.stealth or attack.defense-impairment"),
        ("attack.defense_evasion", "now it is attack.stealth or attack.defense-impairment"),
        ("attack.t1562.001", "is no more in ATT&CK v19; now it is attack.t1685"),
        ("d3fend.d3-nope", "is not in D3FEND"),
        ("cve.2021.44228", "is not written as tags of 'cve' are"),
        ("mitre.t1059", "an unknown namespace; known are attack, car"),
        ("t1059", "has no namespace; write it like 'attack.t1059'"),
        ("", "has no namespace"),
        ("attack.", "has no namespace"),
    ],
)
def test_faults_of_tags(tag: str, said: str | None) -> None:
    fault = fault_of(tag)
    assert (fault is None) if said is None else (fault is not None and said in fault)


def test_tags_are_read_once_and_unknown_ones_passed_over() -> None:
    tags = ["attack.t1059", "attack.T1059", "attack.t1059.001", "attack.t0000", "attack.execution", "car.1", 5, None]
    assert [technique.id for technique in techniques_of(tags)] == ["T1059", "T1059.001"]
    assert tactics_of(tags) == ["execution"]
    assert list(techniques_of("attack.t1059")) == []
    assert tactics_of(None) == []

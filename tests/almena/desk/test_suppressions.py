"""Suppressions have an owner, a reason and an end, silence only what they name, and say what is wrong with them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.clock import DAY, parse_time
from almena.desk import suppressions as module
from almena.desk.suppressions import Suppressions, load
from almena.errors import ConfigError

GOOD = """
[[suppression]]
name = "escáner"
rule = "r1"
owner = "ana"
reason = "prueba autorizada"
expires = 2026-12-31
"""
ALERT = {
    "rule.id": "r1",
    "organization.id": "fin",
    "almena.alert.entity": "source.ip=10.1.2.3",
    "source.ip": "10.1.2.3",
    "user.name": "svc_scan",
}
NOW = parse_time("2026-11-22T00:00:00Z")


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "suppressions.toml"
    path.write_text(text, "utf-8")
    return path


def only(tmp_path: Path, scope: str) -> Suppressions:
    return Suppressions(written(tmp_path, GOOD.replace('rule = "r1"', scope)))


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        ('rule = "r1"', True),
        ('rule = "r2"', False),
        ('agency = "fin"', True),
        ('agency = "edu"', False),
        ('entity = "source.ip=10.1.2.3"', True),
        ('entity = "source.ip=10.1.2.4"', False),
        ('fields = {"source.ip" = "10.1.2.3"}', True),
        ('fields = {"source.ip" = ["192.168.0.0/16", "10.0.0.0/8"]}', True),
        ('fields = {"source.ip" = "10.2.0.0/16"}', False),
        ('fields = {"source.ip" = "10.0.0.0/8", "user.name" = "svc_scan"}', True),
        ('fields = {"source.ip" = "10.0.0.0/8", "user.name" = "ana"}', False),
        ('fields = {"user.name" = "svc"}', False),
        ('fields = {"host.name" = "pc"}', False),
        ("fields.source.ip = '10.1.2.3'", True),
        ('rule = "r1"\nagency = "edu"', False),
    ],
)
def test_it_covers_what_it_names(tmp_path: Path, scope: str, covered: bool) -> None:
    found = only(tmp_path, scope).find(ALERT, NOW)
    assert (found is not None) == covered
    if found is not None:
        assert (found.name, found.owner, found.reason) == ("escáner", "ana", "prueba autorizada")


@pytest.mark.parametrize(
    ("expires", "last"),
    [
        ("2026-12-31", "2027-01-01T05:59:59.999999Z"),  # the whole day in Michoacán
        ("'2026-12-31'", "2027-01-01T05:59:59.999999Z"),
        ("2026-12-31T10:00:00", "2026-12-31T15:59:59.999999Z"),
        ("2026-12-31T10:00:00Z", "2026-12-31T09:59:59.999999Z"),
        ("'2026-12-31T10:00:00+00:00'", "2026-12-31T09:59:59.999999Z"),
    ],
)
def test_it_ends(tmp_path: Path, expires: str, last: str) -> None:
    known = Suppressions(written(tmp_path, GOOD.replace("2026-12-31", expires)))
    end = parse_time(last)
    assert known.find(ALERT, end) is not None
    assert known.find(ALERT, end + 1) is None
    assert (known.expired(end), len(known.expired(end + 1))) == ([], 1)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('owner = "ana"', "", "suppression 1: 'owner' is missing; write who answers for it"),
        ('owner = "ana"', 'owner = ""', "'owner' is missing"),
        ('reason = "prueba autorizada"', "", "'reason' is missing"),
        ("expires = 2026-12-31", "", "'expires' is missing; write its last day, such as 2026-12-31"),
        ('name = "escáner"', "", "'name' is missing"),
        ("2026-12-31", "'mañana'", "'expires' is 'mañana'"),
        ("2026-12-31", "7", "'expires' is no date"),
        ("2026-12-31", "12:00:00", "'expires' is no date"),
        ('rule = "r1"', "", "silence everything"),
        ('rule = "r1"', "fields = {}", "silence everything"),
        ('rule = "r1"', "rule = 7", "'rule' must be a text"),
        ('rule = "r1"', 'rulle = "r1"', "no option 'rulle'; did you mean 'rule'?"),
        ('rule = "r1"', "fields = 7", "write fields ="),
        ('rule = "r1"', 'fields = {"a" = []}', "'a' must be a text"),
        ("[[suppression]]", "[suppression]", "two brackets"),
        ("[[suppression]]", "[[silence]]", "no section 'silence'"),
        ("[[suppression]]", "[[suppression", "no valid TOML"),
        ("[[suppression]]", "suppression = [1]\n[x]", "no section 'x'"),
    ],
)
def test_errors_say_where_and_what_instead(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(ConfigError, match=r"^suppressions\.toml: ") as caught:
        Suppressions(written(tmp_path, GOOD.replace(old, new)))
    assert says in str(caught.value)


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="suppression 2: the name 'escáner' is taken"):
        Suppressions(written(tmp_path, GOOD + GOOD))


def test_no_file_is_no_suppression_unless_it_was_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    assert Suppressions(None).entries == ()
    assert Suppressions(missing).find(ALERT, NOW) is None
    with pytest.raises(ConfigError, match="there is no file"):
        Suppressions(missing, needed=True)


def test_a_change_is_read_and_a_wrong_one_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "suppressions.toml"
    known = Suppressions(path)
    written(tmp_path, GOOD)
    known.refresh(NOW)
    assert known.find(ALERT, NOW) is not None
    written(tmp_path, GOOD.replace("owner", "woner"))
    os.utime(path, ns=(1, 1))
    known.refresh(NOW)
    assert known.find(ALERT, NOW) is not None
    assert "did you mean 'owner'" in known.problem
    assert "stay in use" in caplog.text
    written(tmp_path, GOOD.replace('"r1"', '"r2"'))
    known.refresh(NOW + 60 * DAY)
    assert known.find(ALERT, NOW) is None
    assert known.problem == ""
    assert "'escáner' of ana expired" in caplog.text
    path.unlink()
    known.refresh(NOW)
    assert known.entries == ()


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(data)
    with suppress(ConfigError):
        assert all(each.name and each.owner and each.reason for each in load(path, ZoneInfo("UTC")))


plain: st.SearchStrategy[Any] = st.integers() | st.booleans() | st.text() | st.lists(st.integers(), max_size=2)


@given(st.dictionaries(st.sampled_from(["name", "rule", "fields", "owner", "reason", "expires", "agency"]), plain))
def test_any_table_is_an_entry_or_refused(table: dict[str, Any]) -> None:
    with suppress(ConfigError):
        entry = module._entry(table, "here", ZoneInfo("UTC"))
        assert all((entry.name, entry.owner, entry.reason))


def test_the_example_in_the_source_is_valid(tmp_path: Path) -> None:
    example = (module.__doc__ or "").partition("\n\n")[2]
    text = "\n".join(line.removeprefix("    ") for line in example.splitlines())
    (entry,) = Suppressions(written(tmp_path, text)).entries
    assert dict(entry.fields) == {"source.ip": ("10.20.30.0/28",), "user.name": ("svc_scan",)}

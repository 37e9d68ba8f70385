"""Decisions about rules over budget: shared by workers, kept over restarts, lifted by people."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.app.limits import Limits
from detectors.sigma.budget import Excess
from detectors.sigma.shadow import Over

DEAR = Over("v1", "2026-11-22T10:00:00.000000Z", Excess(50.0, 0.5))
OTHER = Over("v2", "2026-11-22T11:00:00.000000Z", Excess(70.0, 0.7))


@pytest.fixture
def limits(tmp_path: Path) -> Limits:
    return Limits(tmp_path / "data" / "shadow.json")


def again(limits: Limits) -> Limits:
    return Limits(limits._path)


def test_without_a_file_nothing_is_decided(limits: Limits) -> None:
    assert limits.changed()
    assert limits.read() == {}
    assert not limits.changed()
    assert not limits.lift("a")


def test_what_one_decides_all_read_and_the_next_start_too(limits: Limits) -> None:
    other = again(limits)
    other.read()
    assert limits.add({"a": DEAR}) == {"a": DEAR}
    assert other.changed()
    assert other.read() == {"a": DEAR}
    assert not other.changed()
    assert again(limits).read() == {"a": DEAR}


def test_only_the_first_to_decide_is_told_that_it_is_news(limits: Limits) -> None:
    limits.add({"a": DEAR})
    assert again(limits).add({"a": Over("v1", "later", Excess(1.0, 1.0)), "b": OTHER}) == {"b": OTHER}
    assert limits.read() == {"a": DEAR, "b": OTHER}
    assert limits.add({"a": OTHER}) == {"a": OTHER}, "another version is another rule"


def test_what_is_lifted_is_gone(limits: Limits) -> None:
    limits.add({"a": DEAR, "b": OTHER})
    assert limits.lift("a")
    assert not limits.lift("a")
    assert again(limits).read() == {"b": OTHER}


def test_workers_that_decide_at_once_lose_nothing(limits: Limits) -> None:
    code = (
        "import sys; from pathlib import Path; from almena.app.limits import Limits\n"
        "from detectors.sigma.shadow import Over; from detectors.sigma.budget import Excess\n"
        "for n in range(20): Limits(Path(sys.argv[1])).add({f'{sys.argv[2]}{n}': Over('v', '', Excess(1.0, 1.0))})"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(limits._path), name]) for name in "xyz"]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert len(limits.read()) == 60


@given(st.binary(max_size=200))
def test_a_damaged_file_decides_nothing_and_is_written_anew(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    limits = Limits(tmp_path_factory.mktemp("limits") / "shadow.json")
    limits._path.write_bytes(data)
    limits.read()
    limits.add({"a": DEAR})
    assert limits.read()["a"] == DEAR

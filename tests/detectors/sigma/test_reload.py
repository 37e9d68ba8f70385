"""Which changed rules may take the place of those that run, and when files have come to rest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.errors import UsageError
from detectors.sigma.inputs import Stamp
from detectors.sigma.loader import load_texts
from detectors.sigma.reload import Watch, lost
from detectors.sigma.rules import RuleSet


def rule(name: str, detection: str = "{s: {a: b}, condition: s}", more: str = "") -> str:
    return f"title: {name}\nname: {name}\nlogsource: {{product: x}}\ndetection: {detection}\n{more}"


BROKEN = "{s: {a|nonsense: b}, condition: s}"
CORRELATION = "title: many\ncorrelation: {type: event_count, rules: [one], timespan: 5m, condition: {gte: 3}}\n"
FILTER = "title: quiet\nlogsource: {product: x}\nfilter: {rules: any, s: {u: root}, condition: not s}\n"


def loaded(**files: str) -> RuleSet:
    return load_texts([(f"{name}.yml", text) for name, text in files.items()])


RUNNING = loaded(one=rule("one"), many=CORRELATION, filter=FILTER, two=rule("two"), bad=rule("bad", BROKEN))


def reasons(**files: str) -> list[tuple[str, str]]:
    texts = {"one": rule("one"), "many": CORRELATION, "filter": FILTER, "two": rule("two"), "bad": rule("bad", BROKEN)}
    fresh = loaded(**{name: text for name, text in (texts | files).items() if text})
    return [(item.rule, item.file) for item in lost(RUNNING, fresh)]


def test_the_set_runs() -> None:
    assert len(RUNNING.everything) == 3
    assert RUNNING.filters == (("quiet", "filter.yml"),)
    assert [item.file for item in RUNNING.rejected] == ["bad.yml"]


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, []),
        ({"two": rule("two", "{s: {a: c}, condition: s}")}, []),
        ({"two": ""}, []),
        ({"two": rule("other")}, []),
        ({"new": rule("new")}, []),
        ({"new": rule("new", BROKEN)}, []),
        ({"bad": rule("bad", BROKEN, "level: high\n")}, []),
        ({"bad": rule("bad")}, []),
        ({"filter": ""}, []),
        ({"two": rule("two", BROKEN)}, [("two", "two.yml")]),
        ({"two": "a: b: c"}, [("two.yml", "two.yml")]),
        ({"two": rule("renamed", BROKEN)}, [("renamed", "two.yml")]),
        ({"filter": FILTER.replace("not s", "not t")}, [("quiet", "filter.yml")]),
        ({"one": ""}, [("many", "many.yml")]),
        ({"one": rule("one", BROKEN)}, [("one", "one.yml"), ("many", "many.yml")]),
        ({"many": CORRELATION.replace("gte: 3", "gte: -3")}, [("many", "many.yml")]),
        ({"late": rule("two")}, []),
    ],
)
def test_only_what_costs_something_that_runs_is_a_reason(files: dict[str, str], why: list[tuple[str, str]]) -> None:
    assert reasons(**files) == why


def test_a_new_file_that_takes_the_id_of_a_rule_that_runs_is_refused() -> None:
    fresh = loaded(a=rule("two", more="level: low\n"), one=rule("one"), two=rule("two"))
    assert [(item.rule, item.file) for item in lost(loaded(one=rule("one"), two=rule("two")), fresh)] == [
        ("two", "two.yml")
    ]


def test_an_empty_folder_replaces_nothing() -> None:
    assert [item.reason for item in lost(RUNNING, loaded())] == ["no rule is left"]
    assert lost(loaded(), loaded()) == []
    assert lost(loaded(), RUNNING) == []


class Disk:
    """Files whose stamps a test sets."""

    def __init__(self) -> None:
        self.now: Stamp | None = (("a", 1, 1, 1),)

    def stamp(self) -> Stamp:
        if self.now is None:
            raise UsageError("gone")
        return self.now


def test_files_are_taken_when_they_are_written_no_more() -> None:
    disk = Disk()
    watch = Watch(disk.stamp)
    assert not watch.look()
    disk.now = (("a", 2, 1, 1),)
    assert not watch.look(), "it may be half written"
    disk.now = (("a", 3, 2, 1),)
    assert not watch.look(), "it was"
    assert watch.look()
    assert watch.look(), "as long as nobody took it"
    disk.now = (("a", 4, 2, 1),)
    assert not watch.settle(), "written while it was read"
    assert not watch.look()
    assert watch.look()
    assert watch.settle()
    assert not watch.look()


def test_what_was_gone_and_is_back_is_news() -> None:
    disk = Disk()
    watch = Watch(disk.stamp)
    before, disk.now = disk.now, None
    for _ in range(2):
        with pytest.raises(UsageError):
            watch.look()
    disk.now = before
    assert not watch.look()
    assert watch.look()


@given(st.lists(st.sampled_from(["write", "look", "take"]), max_size=40))
def test_whatever_happens_the_last_writing_is_taken_and_none_that_is_not_at_rest(doings: list[str]) -> None:
    disk = Disk()
    writes = count_from(2)
    watch = Watch(disk.stamp)
    taken = seen = disk.now
    for doing in [*doings, "look", "take", "look", "take"]:
        if doing == "write":
            disk.now = (("a", next(writes), 1, 1),)
        else:
            ready = watch.look()
            assert ready == (disk.now == seen != taken)
            seen = disk.now
            if ready and doing == "take":
                assert watch.settle()
                taken = disk.now
    watch.look()
    if watch.look():
        assert watch.settle()
        taken = disk.now
    assert taken == disk.now


def count_from(start: int) -> Iterator[int]:
    while True:
        yield start
        start += 1

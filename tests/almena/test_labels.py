"""Fields, numbers and lengths of time are said in words in both languages."""

from __future__ import annotations

import doctest
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import almena.labels
from almena.ecs import fields
from almena.labels import called, label, labels, length, number
from almena.paths import rules_dir
from almena.words import KEYS, fields_of
from almena.yamlfile import load_all
from detectors._web_window import FEATURES

DOCUMENTS = [
    document
    for path in sorted(rules_dir().rglob("*.yml"))
    if path.parent.name != "pipelines"
    for document in load_all(path.read_text("utf-8"))
]


def test_a_field_has_a_word_in_both_languages() -> None:
    assert label("user.name", "es") == "usuario"
    assert label("user.name", "en") == "user"
    assert label("novel.field", "es") == ""
    assert (called("novel.field", "es"), called("a\n", "es")) == ("novel.field", "a\\u000a")
    assert doctest.testmod(almena.labels).failed == 0


def test_a_windows_name_is_known_alone_and_as_winlogbeat_writes_it() -> None:
    assert label("ScriptBlockText", "es") == label("winlog.event_data.ScriptBlockText", "es") == "texto del script"


def test_only_fields_that_exist_have_words() -> None:
    shippers = ("winlog.", "auditd.log.")
    named = {name for name in labels() if "." in name and name not in fields() and not name.startswith(shippers)}
    assert named - {"almena.alert.value"} == {"source.network"}, "what a model measures, and what only words tell"
    assert set(FEATURES) <= labels().keys()


def test_the_table_is_whole_and_has_no_name_twice() -> None:
    text = (Path(almena.labels.__file__).parent / "labels.tsv").read_text("utf-8")
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    assert all(len(row) == 3 and all(cell.strip() == cell and cell for cell in row) for row in rows)
    assert len({row[0] for row in rows}) == len(rows) == len(labels())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["title"])
def test_nobody_reads_a_schema_name_in_our_own_rules(document: dict[str, Any]) -> None:
    named = [name for language, keys in KEYS.items() for key in keys for name in fields_of(document[language][key])]
    correlation = document.get("correlation", {})
    condition = correlation.get("condition")
    counted = condition.get("field", []) if isinstance(condition, dict) else []
    told = [*correlation.get("group-by", ()), *(counted if isinstance(counted, list) else [counted])]
    named += [name for name in told if name not in correlation.get("aliases", {})]
    assert [name for name in named if not label(name, "es")] == []


def test_numbers_have_the_separators_of_the_language() -> None:
    assert number(184_300, "es") == "184,300"
    assert number(0.641129, "en") == "0.641"
    assert (number(True, "es"), number("x\x1b", "es"), number(10**400, "es")[:3]) == ("True", "x\\u001b", "100")
    assert number(float("nan"), "es") == "nan"


def test_lengths_of_time_are_words() -> None:
    assert [length(span, "es") for span in ("30d", "1h30m", "10s", "soon")] == [
        "30 días",
        "1 hora 30 min",
        "10 s",
        "soon",
    ]
    assert length("30d", "en") == "30 days"


@given(st.none() | st.text() | st.integers() | st.floats() | st.booleans() | st.lists(st.text(), max_size=3))
def test_anything_is_said_on_one_line(value: object) -> None:
    for shown in (number(value, "es"), length(value, "en"), called(str(value), "es")):
        assert not any(ord(char) < 32 for char in shown)

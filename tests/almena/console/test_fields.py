from __future__ import annotations

import pytest

from almena.console.fields import FEATURES, LABELS, label, plumbing
from almena.console.i18n import speaker
from almena.ecs import fields
from almena.paths import rules_dir
from almena.words import KEYS, fields_of
from almena.yamlfile import load_all
from detectors._web_window import FEATURES as MEASURED

DOCUMENTS = [
    document
    for path in sorted(rules_dir().rglob("*.yml"))
    if path.parent.name != "pipelines"
    for document in load_all(path.read_text("utf-8"))
]


def test_a_field_has_a_word_in_both_languages() -> None:
    assert label("user.name", speaker("es")) == "usuario"
    assert label("user.name", speaker("en")) == "user"
    assert label("novel.field", speaker("es")) == ""


def test_only_fields_that_exist_have_words() -> None:
    assert [name for name in LABELS if name not in fields() and not name.startswith("winlog.event_data.")] == []
    assert not LABELS.keys() & FEATURES.keys()
    assert set(MEASURED) <= FEATURES.keys()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["title"])
def test_nobody_reads_a_schema_name_in_our_own_rules(document: dict) -> None:  # type: ignore[type-arg]
    named = [name for language, keys in KEYS.items() for key in keys for name in fields_of(document[language][key])]
    correlation = document.get("correlation", {})
    grouped = [name for name in correlation.get("group-by", ()) if name not in correlation.get("aliases", {})]
    counted = correlation.get("condition", {}).get("field", [])
    named += grouped + (counted if isinstance(counted, list) else [counted])
    assert [name for name in named if name not in LABELS] == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("event.id", True),
        ("event.ingested", True),
        ("log.file.path", True),
        ("winlog.record_id", True),
        ("organization.id", True),
        ("event.idle", False),
        ("event.action", False),
        ("winlog.event_data.TargetSid", False),
        ("@timestamp", False),
        ("almena.application", False),
    ],
)
def test_plumbing_is_told_from_what_happened(name: str, expected: bool) -> None:
    assert plumbing(name) is expected

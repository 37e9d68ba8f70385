"""Almena's own rules: they load, their examples hold, and they speak to people in two languages."""

from __future__ import annotations

import re
import uuid
from functools import cache
from typing import Any

import pytest

from almena.ecs import fields as ecs_fields
from almena.paths import rules_dir
from almena.words import CONDITIONS, KEYS, MISSING, condition_faults, fields_of, words_of
from almena.yamlfile import load_all
from detectors.sigma.check import check
from detectors.sigma.loader import load_rules
from detectors.sigma.trial import run_tests

SERVICES = (
    "payments",
    "tramites",
    "registry",
    "posts",
    "api",
    "identity",
    "audit",
    "linux",
    "web",
    "windows",
    "network",
)
STEPS = frozenset({"after", "repeat", "every"})
ATTENDED = ("medium", "high", "critical")
VALUE = "almena.alert.value"
"""What a correlation counted: only its words know it."""


@cache
def documents() -> list[tuple[str, dict[str, Any]]]:
    """Every document of our own rules, with its file below `rules/`."""
    found = []
    for service in SERVICES:
        for file in sorted((rules_dir() / service).glob("*.yml")):
            found += [(f"{service}/{file.name}", document) for document in load_all(file.read_text("utf-8"))]
    return found


def titles() -> list[Any]:
    return [pytest.param(file, document, id=f"{file}: {document['title']}") for file, document in documents()]


def test_every_rule_loads_and_none_gives_a_warning() -> None:
    report = check([rules_dir()])
    assert [str(rejection) for rejection in report.rejected] == []
    assert [str(warning) for warning in report.warnings] == []
    assert report.loaded == len(documents())


def test_every_example_holds() -> None:
    outcome = run_tests([rules_dir()])
    assert [str(failure) for failure in outcome.failures] == []
    assert outcome.passed >= 2 * len(documents())


def test_every_service_of_the_institution_has_rules_that_alert() -> None:
    alerting = {file.partition("/")[0] for file, document in documents() if document["level"] in ATTENDED}
    assert alerting == set(SERVICES)
    assert sum(document["level"] in ATTENDED for _, document in documents()) >= 28
    kinds = {document["correlation"]["type"] for _, document in documents() if "correlation" in document}
    assert {"event_count", "value_count", "temporal_ordered"} <= kinds


def test_ids_are_fixed_unique_random_uuids() -> None:
    ids = [document["id"] for _, document in documents()]
    assert len(set(ids)) == len(ids)
    assert all(uuid.UUID(text).version == 4 and str(uuid.UUID(text)) == text for text in ids)


def test_names_are_unique() -> None:
    names = [document["name"] for _, document in documents() if "name" in document]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("file", "document"), titles())
def test_a_rule_says_everything_a_person_needs(file: str, document: dict[str, Any]) -> None:
    for key in ("title", "id", "status", "description", "author", "date", "falsepositives", "level", "tags"):
        assert document.get(key), key
    assert document["author"] == "Almena"
    for language, keys in KEYS.items():
        texts = {key: text for key, text in document[language].items() if key != CONDITIONS[language]}
        assert list(texts) == list(keys), language
        assert all(isinstance(text, str) and text.strip() == text for text in texts.values())
    for kind in ("alerts", "silent"):
        assert document["tests"][kind], kind


@pytest.mark.parametrize(("file", "document"), titles())
def test_words_name_fields_that_exist_and_sound_like_sentences(file: str, document: dict[str, Any]) -> None:
    for language in KEYS:
        texts = [document[language][key] for key in KEYS[language]]
        said = document[language].get(CONDITIONS[language], {})
        named = [name for text in [*texts, *said.values()] for name in fields_of(text)]
        assert [name for name in named if not _known(name)] == []
        assert not texts[0].endswith("."), "a title is no sentence"
        assert all(text.endswith(".") for text in texts[1:])


@pytest.mark.parametrize(("file", "document"), titles())
def test_alerting_examples_fill_every_place_in_the_words(file: str, document: dict[str, Any]) -> None:
    for name, example in document["tests"]["alerts"].items() if document["level"] in ATTENDED else ():
        event = {field: value for step in _steps(example) for field, value in step.items()}
        for language, texts in words_of(document, {**event, "almena.alert.count": 9, VALUE: 9}).items():
            assert [text for text in texts.values() if MISSING in text] == [], (name, language)


@pytest.mark.parametrize(("file", "document"), titles())
def test_what_to_do_takes_a_beginner_by_the_hand(file: str, document: dict[str, Any]) -> None:
    todo = document["es"]["que_hacer"]
    assert re.match(r"[A-ZÁÉÍÓÚ][a-záéíóú]+", todo)
    if document["level"] in ATTENDED:
        assert len(re.findall(r"\.(?: |$)", todo)) >= 2, "one step is not enough"
        assert len(todo) <= 400, "nobody reads that at night"


@pytest.mark.parametrize(("file", "document"), titles())
def test_fields_of_rules_and_examples_exist(file: str, document: dict[str, Any]) -> None:
    examples = [step for kind in document["tests"].values() for example in kind.values() for step in _steps(example)]
    used = {name for example in examples for name in example} - STEPS
    if document.get("logsource", {}).get("product") != "windows":
        used |= {name for name in _detection_fields(document.get("detection", {})) if not name[0].isupper()}
    correlation = document.get("correlation", {})
    aliases = correlation.get("aliases", {})
    used |= {name for name in correlation.get("group-by", ()) if name not in aliases}
    # An alias that stands for itself is one of the correlation that is read.
    used |= {name for alias, names in aliases.items() for name in names.values() if name != alias}
    assert sorted(name for name in used if not _known(name)) == []


def test_rules_are_all_there_in_the_engine() -> None:
    ruleset = load_rules([rules_dir()])
    loaded = {rule.id for rule in (*ruleset.rules, *ruleset.correlations)}
    assert {document["id"] for _, document in documents()} == loaded


def _steps(example: Any) -> list[dict[str, Any]]:
    return example if isinstance(example, list) else [example]


def _known(name: str) -> bool:
    return name in ecs_fields() or name.startswith("winlog.") or name == VALUE


def _detection_fields(detection: Any) -> set[str]:
    """The names a detection reads, without modifiers."""
    found: set[str] = set()
    for name, selection in detection.items():
        if name == "condition":
            continue
        for mapping in selection if isinstance(selection, list) else [selection]:
            for field, value in mapping.items():
                bare, *modifiers = field.split("|")
                found.add(bare)
                if "fieldref" in modifiers:
                    found.add(value)
    return found


@pytest.mark.parametrize(("file", "document"), titles())
def test_each_of_several_conditions_has_words(file: str, document: dict[str, Any]) -> None:
    selections = document.get("detection", {}).keys() - {"condition"}
    assert condition_faults(document, selections) == []
    if len(selections) > 1:
        for language, key in CONDITIONS.items():
            said = document[language].get(key, {})
            assert said.keys() == selections, f"{file}: {key} under {language}"
            assert all(text[0].isupper() and not text.endswith(".") and len(text) < 80 for text in said.values())

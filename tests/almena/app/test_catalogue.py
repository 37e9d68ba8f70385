"""The console's rules follow what the detectors run, and nothing that they refused."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from almena.app.catalogue import Catalogue
from almena.config import Config
from almena.errors import StoreError
from almena.store import ALL, LEDGER
from almena.store.memory import MemoryStore

RULE = """
title: {title}
id: 11111111-1111-4111-8111-111111111111
logsource: {{product: x}}
detection: {{s: {{a: b}}, condition: s}}
"""


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = MemoryStore()
        self.write("One")
        self.catalogue = Catalogue(Config(rules=[str(folder)]), self.store)

    def write(self, title: str) -> None:
        (self.folder / "one.yml").write_text(RULE.format(title=title), "utf-8")

    def run(self, ruleset: str, *rejected: str) -> None:
        document = {"almena.rules.hash": ruleset, "almena.rules.rejected": list(rejected)}
        found = self.store.get(LEDGER, "rules", scope=ALL)
        if found is None:
            self.store.create_many(LEDGER, {"rules": document})
        else:
            self.store.replace(LEDGER, "rules", document, found.version)

    def titles(self) -> list[str]:
        return [rule.title["en"] for rule in self.catalogue() if rule.kind == "sigma"]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_rules_are_read_again_when_the_detectors_run_others(place: Place) -> None:
    assert place.titles() == ["One"]
    assert len(place.catalogue()) > 1, "and the models"
    place.write("Two")
    assert not place.catalogue.look(), "nobody runs it yet"
    assert place.titles() == ["One"]
    place.run("h1")
    assert place.catalogue.look()
    assert place.titles() == ["Two"]
    assert not place.catalogue.look()
    place.run("h1", "a rule")
    assert place.catalogue.look()


def test_it_is_followed_and_no_trouble_ends_that(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    read = place.store.get
    asked: list[str] = []

    def refuse(*_: object, **__: object) -> object:
        asked.append("")
        raise StoreError("locked")

    with place.catalogue.following(0.01):
        monkeypatch.setattr(place.store, "get", refuse)
        wait(lambda: len(asked) > 2)
        monkeypatch.setattr(place.store, "get", read)
        place.write("Two")
        place.run("h1")
        wait(lambda: place.titles() == ["Two"])


def wait(condition: object) -> None:
    deadline = time.monotonic() + 30
    assert callable(condition)
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)

"""Every store gives the same answers: generated documents and questions, hostile ones among them, to all of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from typing import Any, cast

import pytest
from elasticstores import empty, fresh
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from almena.clock import DAY, HOUR, SECOND, format_time
from almena.ecs import fields
from almena.store import (
    ALERTS,
    ALL,
    EVENTS,
    LEDGER,
    Cardinality,
    Document,
    Filter,
    Histogram,
    Query,
    Store,
    Terms,
    open_store,
)
from almena.store.match import LONGEST_BOUND, encode

START = 1_790_000_000 * SECOND
DOCUMENTS, QUESTIONS = 60, 40

KNOWN = [
    "@timestamp",
    "organization.id",
    "event.severity",
    "event.risk_score",
    "event.duration",
    "event.created",
    "user.name",
    "message",
    "related.ip",
    "source.ip",
    "source.bytes",
    "process.command_line",
    "process.pid",
    "file.size",
    "almena.alert.status",
    "almena.alert.shadow",
    "almena.post.rank",
    "almena.post.rank.after",
    "url.full",
    "tags",
    "dns.answers",
    "almena.alert.words",
    "almena.misfit",
    "event.original",
]
ODD = [
    "x",
    "y.z",
    "host",
    "host.name.more",
    "user",
    "almena",
    "almena.store",
    "almena.store.id",
    "_id",
    "_source",
    "a..b",
    ".a",
    "a.",
    "",
    " ",
    "\x00",
    "~a",
    "*",
    "x*",
    "ñ",
    "🦉",
    "%",
    "a\nb",
    '"; DROP',
    ".".join("abcdefghijklmnopqrstuvwxyz"),
    "n" * 512,
    "n" * 513,
]
TEXTS = [
    "",
    "a",
    "b",
    "ab",
    "svc_backup",
    "Contraseña",
    "contrasena",
    "ÁRBOL",
    "n",
    "t",
    "~",
    "7",
    "73",
    "073",
    "1e3",
    "true",
    "false",
    "fin",
    "edu",
    "10.0.0.10",
    "10.0.0.2",
    "::ffff:10.0.0.1",
    "2001:DB8::1",
    "fe80::1%eth0",
    "10.0.0.1, 10.0.0.2",
    "🦉",
    "\uffee",
    "\U0010ffff",
    "a\x00b",
    "\x00",
    "e\u0301",
    "é",
    r"C:\Windows\cmd.exe",
    "x" * 8_192,
    "x" * 8_193,
    "ñ" * 4_096,
    "🦉" * 2_048,
    "not a time",
]
NUMBERS: list[int | float] = [
    *range(-3, 4),
    *(0.0, -0.0, 0.5, -0.5, 1.5, 73, 73.0, 1e3, 1e16, 1e18, 1e300, -1e300, 5e-324, 0.1),
    *(2**53, 2**53 + 1, 2**62, 2**62 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) + 1, 2**64, 2**80, 10**40),
    *(float(2**62), float(2**63), float(-(2**63))),
]
WORDS = ["", "", "", "a", "contraseña", "contrasena", "svc backup", "cmd.exe", "10.0.0.2", "🦉", "arbol", "é", "nada"]


class Chance(random.Random):
    """What strangers send, and what people ask about it."""

    def time(self) -> str:
        micros = START + self.choice([0, 1, 999, 1_000, HOUR, DAY]) * self.randrange(6)
        text = format_time(self.choice([micros, micros, micros, 0, 253_402_300_799 * SECOND]))
        return self.choice([text, text, text, text[:19] + "Z", text[:-1] + "+00:00", text[:10], "x"])

    def value(self) -> Any:
        return self.choice(
            [self.choice(TEXTS), self.choice(TEXTS), self.choice(NUMBERS), self.time(), self.random() < 0.5, None]
        )

    def values(self, deep: int = 0) -> Any:
        match self.randrange(10):
            case 0 | 1:
                return [self.values(deep + 1) if deep < 2 else self.value() for _ in range(self.randrange(5))]
            case 2:
                return {self.choice(ODD): self.values(deep + 1) if deep < 2 else None for _ in range(2)}
            case _:
                return self.value()

    def document(self) -> Document:
        names = self.sample(KNOWN, 8) + self.sample(ODD, 4)
        document = {name: self.values() for name in names}
        document["@timestamp"] = self.time() if self.random() < 0.9 else self.values()
        document["organization.id"] = self.choice(["fin", "edu", ["fin", "edu"], None, 7])
        for name in ("x", "user.name", "event.severity"):
            document[name] = self.choice([1, 2, 2.5, "a", "b", [1, "a"], ["b", "a", 2, 2], True])
        return document

    def identity(self) -> str:
        text = self.choice(["", "202611-", "202612-", "20261123-", "ñ", "/", "..", "a b", "🦉", "%2F", '"'])
        return text + str(self.randrange(10_000))

    def field(self) -> str:
        return self.choice([*KNOWN, "x", "user.name", "event.severity", "@timestamp", *ODD, "nowhere"])

    def condition(self) -> Filter:
        op = self.choice(["in", "gte", "lt", "prefix", "exists"])
        several = self.choice([0, 1, 2, 3]) if op == "in" else 1
        short = [text for text in TEXTS if op == "in" or len(text) <= 128]
        choices = (self.choice([self.choice(short), self.value()]) for _ in range(several))
        found = tuple(value for value in choices if value is not None and (op == "in" or len(str(value)) <= 128))
        if op == "prefix":
            found = (self.choice([*short, "10.", "2026", "2026-09-21T1", "x" * LONGEST_BOUND, "\ud800"]),)
        elif op == "exists":
            found = ()
        elif op != "in" and not found:
            found = (1,)
        return Filter(self.field(), cast(Any, op), found, self.random() < 0.3)

    def query(self, kind: str) -> Query:
        return Query(
            kind=kind,
            scope=self.choice([ALL, ALL, frozenset({"fin"}), frozenset({"edu", "7"}), frozenset()]),
            text=self.choice(WORDS),
            filters=tuple(self.condition() for _ in range(self.choice([0, 0, 1, 1, 2]))),
            sort=self.field(),
            descending=self.random() < 0.5,
            limit=self.choice([1, 3, 7, 25, 100]),
        )


def pages(store: Store, query: Query) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    cursor: str | None = None
    for _ in range(12):
        page = store.search(query, cursor)
        found += [(item.id, encode(query.kind, item.id, item.document)) for item in page.items]
        cursor = page.cursor
        if cursor is None:
            break
    return found


@pytest.fixture(scope="module")
def stores(elasticsearch: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Store]]:
    """The store in memory, which the others are compared with, and those others."""
    sqlite = open_store(f"sqlite:{tmp_path_factory.mktemp('alike')}/store.sqlite")
    with fresh(elasticsearch) as cluster:
        yield [open_store("memory:"), sqlite, cluster]
    sqlite.close()


@settings(max_examples=5, derandomize=True, phases=[Phase.generate])
@given(seed=st.integers(0, 2**32))
def test_every_store_answers_alike(stores: list[Store], seed: int) -> None:
    for store in stores:
        empty(store)
    plain, *others = stores
    chance = Chance(seed)
    kind = chance.choice([ALERTS, EVENTS, LEDGER])
    documents = {chance.identity(): chance.document() for _ in range(DOCUMENTS)}
    for store in stores:
        assert store.create_many(kind, documents) == dict.fromkeys(documents, "created")
        assert store.create_many(kind, documents) == dict.fromkeys(documents, "same")
    for identity in islice(documents, 10):
        replacement = chance.document()
        for store in stores:
            found = store.get(kind, identity, scope=ALL)
            assert found is not None
            store.replace(kind, identity, replacement, found.version)
    for _ in range(QUESTIONS):
        query = chance.query(kind)
        by: Any = chance.choice(
            [
                Terms(chance.field(), limit=chance.choice([1, 5, 50])),
                Cardinality(chance.field()),
                Histogram(chance.choice([query.sort, "@timestamp", "event.created"]), chance.choice([HOUR, SECOND, 7])),
            ]
        )
        expected = pages(plain, query), plain.count(query), plain.aggregate(query, by)
        for store in others:
            note = f"{type(store).__name__}: {query} {by}"
            assert pages(store, query) == expected[0], note
            assert store.count(query) == expected[1], note
            assert store.aggregate(query, by) == expected[2], note
    scope = chance.choice([ALL, frozenset({"fin"})])
    everything = [(item.id, encode(kind, item.id, item.document)) for item in plain.scan(kind, scope)]
    for store in others:
        assert [(item.id, encode(kind, item.id, item.document)) for item in store.scan(kind, scope)] == everything


def test_known_names_are_known() -> None:
    assert not set(KNOWN) - set(fields()), "names of the schema"
    assert not set(ODD) & set(fields()), "names outside it"

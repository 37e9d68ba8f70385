"""How a query becomes SQL: every value is a parameter, and the order of the work is ours, not the planner's guess."""

# ruff: noqa: S608 (all that is put into the text here is SQL of this module; what others sent is a parameter)
from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from almena.store import Filter, Query
from almena.store.match import TIME, Mark, Value, after_prefix, conditions
from almena.store.text import tokens

FEW = 4_096
"""A condition that at most so many documents meet is asked first; otherwise documents are walked in their order."""

NOWHERE = -1
"""The number of a field that no document has."""


class Sql(NamedTuple):
    """A piece of SQL with its parameters."""

    text: str
    values: tuple[Value | None, ...] = ()


def join(pieces: Sequence[Sql], separator: str) -> Sql:
    """The pieces one after the other."""
    return Sql(separator.join(piece.text for piece in pieces), tuple(v for piece in pieces for v in piece.values))


def _through(rows: Sql) -> Sql:
    """The documents of `rows`, each once, found in that order of work."""
    return Sql(f"(SELECT DISTINCT * FROM ({rows.text})) m CROSS JOIN documents d ON d.row = m.row", rows.values)


def kind_word(kind: str) -> str:
    """The word under which every document of a kind is found; no text can contain it."""
    return "=" + kind.encode("utf-8", "replace").hex()


def field_number(connection: sqlite3.Connection, kind: str, name: str) -> int:
    """The number under which a field's values lie."""
    found = connection.execute("SELECT number FROM names WHERE kind = ? AND name = ?", (kind, name)).fetchone()
    return NOWHERE if found is None else int(found[0])


class Plan:
    """The conditions of one query over the tables `documents` (d), `fields` and `words`."""

    def __init__(self, connection: sqlite3.Connection, query: Query) -> None:
        """Reads the numbers of the fields; raises StoreError for a query that is none."""
        self.query = query
        self._connection = connection
        self._filters = conditions(query)
        self._numbers = {each.field: field_number(connection, query.kind, each.field) for each in self._filters}
        words = [f'"{word}"' for word in (kind_word(query.kind), *tokens(query.text))]
        self._match = " AND ".join(words) if len(words) > 1 else ""

    def _values(self, condition: Filter) -> Sql:
        """What a value of the field must be; SQLite sorts numbers before texts."""
        if condition.op == "exists":
            return Sql("1")
        if condition.op == "in":
            return Sql(f"value IN ({', '.join('?' * len(condition.values))})", condition.values)
        if not condition.values:
            return Sql("0")
        bound = condition.values[0]
        if condition.op == "prefix":
            end = after_prefix(str(bound))
            return Sql("value >= ?", (bound,)) if end is None else Sql("value >= ? AND value < ?", (bound, end))
        if condition.op == "gte":
            return Sql("value >= ?" if isinstance(bound, str) else "value >= ? AND value < ''", (bound,))
        return Sql("value >= '' AND value < ?" if isinstance(bound, str) else "value < ?", (bound,))

    def _rows(self, condition: Filter) -> Sql:
        """The rows that meet a condition, through the index by value."""
        values = self._values(condition)
        return Sql(
            f"SELECT row FROM fields INDEXED BY by_value WHERE field = ? AND {values.text}",
            (self._numbers[condition.field], *values.values),
        )

    def _test(self, condition: Filter) -> Sql:
        """Whether the row at hand meets a condition, through the row's own values."""
        if condition.field == TIME and condition.op in ("gte", "lt") and not condition.negate:
            return Sql("d.time >= ?" if condition.op == "gte" else "d.time < ?", condition.values[:1] or (None,))
        values = self._values(condition)
        negated = "NOT " if condition.negate else ""
        return Sql(
            f"{negated}EXISTS (SELECT 1 FROM fields WHERE row = d.row AND field = ? AND {values.text})",
            (self._numbers[condition.field], *values.values),
        )

    def _text_rows(self) -> Sql:
        return Sql("SELECT rowid AS row FROM words WHERE words MATCH ?", (self._match,))

    def first(self, *, always: bool = False) -> tuple[Sql, list[Sql]]:
        """The rows to begin with (empty for all of the kind), and the tests left for each of them.

        With `always`, the condition met by the fewest is asked first even when they are many.
        """
        asked = [(self._rows(each), each) for each in self._filters if not each.negate]
        choices: list[tuple[Sql, Filter | None]] = [*asked]
        if self._match:
            choices.append((self._text_rows(), None))
        best, fewest = -1, FEW + 1
        for number, (rows, _) in enumerate(choices):
            found = self._at_most(rows, fewest)
            if found < fewest:
                best, fewest = number, found
        if best < 0 and always and choices:
            best = len(choices) - 1 if self._match else 0
        chosen = choices[best] if best >= 0 else (Sql(""), ())
        tests = [Sql("d.kind = ?", (self.query.kind,))]
        tests += [self._test(each) for each in self._filters if each is not chosen[1]]
        if self._match and chosen[1] is not None:
            rows = self._text_rows()
            tests.append(Sql(f"+d.row IN ({rows.text})", rows.values))
        return chosen[0], tests

    def _at_most(self, rows: Sql, most: int) -> int:
        counted = self._connection.execute(f"SELECT count(*) FROM ({rows.text} LIMIT ?)", (*rows.values, most))
        return int(counted.fetchone()[0])

    def matching(self) -> Sql:
        """The numbers of all matching rows."""
        rows, tests = self.first(always=True)
        where = join(tests, " AND ")
        if not rows.text:
            return Sql(f"SELECT d.row FROM documents d WHERE {where.text}", where.values)
        source = _through(rows)
        return Sql(f"SELECT d.row FROM {source.text} WHERE {where.text}", (*source.values, *where.values))

    def pages(self, mark: Mark | None, limit: int) -> list[Sql]:
        """The selects of (value, id, version, body) that give a page: documents with the sort field, then without."""
        rows, tests = self.first()
        phases = [] if mark is not None and mark.value is None else [self._valued(rows, tests, mark, limit)]
        bare_mark = mark if mark is not None and mark.value is None else None
        return [*phases, self._bare(rows, tests, bare_mark, limit)]

    def _valued(self, rows: Sql, tests: list[Sql], mark: Mark | None, limit: int) -> Sql:
        """Documents with the sort field, in its order."""
        query = self.query
        number = Sql("?", (field_number(self._connection, query.kind, query.sort),))
        way, behind, most = ("DESC", "<", "max") if query.descending else ("ASC", ">", "min")
        tests = list(tests)
        head = Sql("")
        if query.sort == TIME:
            sort = "d.time"
            source = Sql("documents d") if rows.text else Sql("documents d INDEXED BY by_time")
        elif rows.text:
            sort = "value"
            head = Sql(f"(SELECT {most}(value) FROM fields WHERE row = d.row AND field = {number.text})", number.values)
            source = Sql("documents d")
        else:
            sort = "s.value"
            source = Sql("fields s INDEXED BY by_value CROSS JOIN documents d ON d.row = s.row")
            further = ">" if query.descending else "<"
            tests.append(Sql("s.field = ?", number.values))
            tests.append(
                Sql(
                    "NOT EXISTS (SELECT 1 FROM fields o WHERE o.row = s.row AND o.field = s.field "
                    f"AND o.value {further} s.value)"
                )
            )
        if rows.text:
            source = Sql(
                f"(SELECT DISTINCT * FROM ({rows.text})) m CROSS JOIN documents d ON d.row = m.row", rows.values
            )
        asked = head if head.text else Sql(sort)
        where = join(tests, " AND ")
        inner = Sql(
            f"SELECT {asked.text} AS value, d.id AS id, d.version, d.body FROM {source.text} WHERE {where.text}",
            (*asked.values, *source.values, *where.values),
        )
        return self._ordered(inner, sort, way, behind, mark, limit, wrapped=bool(head.text))

    def _ordered(
        self, inner: Sql, sort: str, way: str, behind: str, mark: Mark | None, limit: int, *, wrapped: bool
    ) -> Sql:
        """The inner select in order, from behind the mark on."""
        identity = "id" if wrapped else "d.id"
        text = f"SELECT * FROM ({inner.text}) WHERE" if wrapped else f"{inner.text} AND"
        text += f" {sort} IS NOT NULL"
        values = inner.values
        if mark is not None:
            text += f" AND {sort} {behind}= ? AND ({sort}, {identity}) {behind} (?, ?)"
            values = (*values, mark.value, mark.value, mark.id)
        return Sql(f"{text} ORDER BY {sort} {way}, {identity} {way} LIMIT ?", (*values, limit))

    def _bare(self, rows: Sql, tests: list[Sql], mark: Mark | None, limit: int) -> Sql:
        """Documents without the sort field, by id."""
        query = self.query
        way, behind = ("DESC", "<") if query.descending else ("ASC", ">")
        if query.sort == TIME:
            tests = [*tests, Sql("d.time IS NULL")]
        else:
            number = field_number(self._connection, query.kind, query.sort)
            tests = [*tests, Sql("NOT EXISTS (SELECT 1 FROM fields WHERE row = d.row AND field = ?)", (number,))]
        if mark is not None:
            tests.append(Sql(f"d.id {behind} ?", (mark.id,)))
        source = Sql("documents d")
        if rows.text:
            source = Sql(
                f"(SELECT DISTINCT * FROM ({rows.text})) m CROSS JOIN documents d ON d.row = m.row", rows.values
            )
        where = join(tests, " AND ")
        return Sql(
            f"SELECT NULL, d.id, d.version, d.body FROM {source.text} WHERE {where.text} ORDER BY d.id {way} LIMIT ?",
            (*source.values, *where.values, limit),
        )

"""What a database's statement does, judged by its first word, and the classes that audits name."""

from __future__ import annotations

import re

from almena.event import Event

_COMMENT = re.compile(r"(?:\s|--[^\n]{0,2000}\n|/\*(?:[^*]|\*(?!/)){0,2000}\*/|\(){1,50}", re.ASCII)
_WORD = re.compile(r"[A-Za-z_]{1,32}", re.ASCII)

_CLASSES = {
    **dict.fromkeys(("SELECT", "SHOW", "EXPLAIN", "DESCRIBE", "DESC", "FETCH", "VALUES", "WITH", "TABLE"), "access"),
    **dict.fromkeys(
        ("INSERT", "UPDATE", "MERGE", "REPLACE", "COPY", "LOAD", "UPSERT", "CALL", "EXEC", "EXECUTE"), "change"
    ),
    **dict.fromkeys(("DELETE", "TRUNCATE", "DROP"), "deletion"),
    **dict.fromkeys(("CREATE",), "creation"),
    **dict.fromkeys(("ALTER", "GRANT", "REVOKE", "DENY", "RENAME", "SET", "COMMENT"), "change"),
}

LONGEST = 8_000
"""Characters of a statement that are kept."""


def put_statement(event: Event, statement: str) -> None:
    """Set `almena.database.statement` and `.command`, `event.category` and `event.type` from SQL."""
    text = statement.strip()
    if not text:
        return
    event["almena.database.statement"] = text[:LONGEST]
    begin = _COMMENT.match(text)
    word = _WORD.match(text, begin.end() if begin else 0)
    event["event.category"] = ["database"]
    if word is not None:
        put_command(event, word[0])
    else:
        event["event.type"] = ["info"]


def put_command(event: Event, command: str) -> None:
    """Set `almena.database.command` and `event.type` from a command's name, such as `ALTER TABLE`."""
    command = command.upper()[:64]
    event["almena.database.command"] = command
    event["event.type"] = [_CLASSES.get(command.partition(" ")[0], "info")]

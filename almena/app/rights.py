"""What each role must be allowed to do on Kafka, and nothing beyond: the lists in deploy/kafka are made of this."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from almena.app import member
from almena.bus import ALERTS, DEAD, EVENTS, HITS, LEDGER, TOPICS
from almena.desk.events import GROUP as ARCHIVE
from almena.traffic import READERS

ADMINISTRATOR = "administrator"
"""Who makes topics (`almena check --create`) and puts dead letters back; no process runs as this user."""


class Right(NamedTuple):
    """Operations of one role on resources whose names begin with, or are, `<prefix>.<name>`."""

    role: str
    kind: Literal["topic", "group", "transactional-id"]
    name: str
    pattern: Literal["literal", "prefixed"]
    operations: tuple[str, ...]


READS: dict[str, tuple[tuple[str, str], ...]] = {
    "collect": (),
    "detect": (("detect", EVENTS),),
    "correlate": (("correlate", HITS),),
    "desk": (("desk", ALERTS), ("desk", DEAD), ("desk", LEDGER), (ARCHIVE, EVENTS)),
}
"""The groups that each role joins, with their topics; the archive only where `[events]` keeps them."""

PROBE = "check"
"""The topic that `almena check` writes to, to see the brokers' clocks; nobody reads it."""

_LOOKS = {"correlate": (EVENTS,), "console": TOPICS}
_WRITES = {
    "collect": (EVENTS, DEAD, LEDGER),
    "detect": (HITS, ALERTS, DEAD, LEDGER),
    "correlate": (ALERTS, DEAD, LEDGER),
    "desk": (ALERTS, DEAD),
}
_APPENDS = ("collect", "detect", "correlate")


def rights() -> list[Right]:
    """All of them, role by role."""
    found: list[Right] = []
    for role in (*READS, "console"):
        found += _topics(role)
        found += _groups(role)
        if role in _APPENDS:
            found.append(Right(role, "transactional-id", f"append.{_name(role)}", "prefixed", ("Write",)))
    everything: tuple[str, ...] = ("Read", "Write", "Create", "Delete", "Alter", "DescribeConfigs", "AlterConfigs")
    found.append(Right(ADMINISTRATOR, "topic", "", "prefixed", everything))
    found.append(Right(ADMINISTRATOR, "group", "", "prefixed", ("Read", "Delete")))
    found.append(Right(ADMINISTRATOR, "transactional-id", "", "prefixed", ("Write",)))
    return found


def _name(role: str) -> str:
    """What the names of a role's processes begin with, whichever machine they are on."""
    return member(role, "\n").removesuffix("\n")


def _topics(role: str) -> Iterator[Right]:
    """Each role knows all topics; it reads some and writes some."""
    for topic in TOPICS:
        read = topic in {name for _, name in READS.get(role, ())} or topic in _LOOKS.get(role, ())
        allowed = [name for name, may in (("Read", read), ("Write", topic in _WRITES.get(role, ()))) if may]
        yield Right(role, "topic", topic, "literal", tuple(allowed or ["Describe"]))
    if role == "console":
        yield Right(role, "topic", f"state.correlate.{HITS}", "literal", ("Read",))
    else:
        yield Right(role, "topic", PROBE, "literal", ("Write",))


def _groups(role: str) -> Iterator[Right]:
    """A group's members read it, keep its state, and commit each partition under an id of its own."""
    for group, topic in READS.get(role, ()):
        yield Right(role, "topic", f"state.{group}.{topic}", "literal", ("Read", "Write"))
        yield Right(role, "group", f"{group}.{topic}", "literal", ("Read",))
        yield Right(role, "transactional-id", f"{group}.{topic}.", "prefixed", ("Write",))
    if role == "console":
        for topic, group in READERS.items():
            yield Right(role, "group", f"{group}.{topic}", "literal", ("Describe",))


def needed(role: str) -> list[Right]:
    """What one role needs; with an empty name, what a user needs who is all of them."""
    return [right for right in rights() if right.role == role or (not role and right.role != ADMINISTRATOR)]


def table() -> str:
    """The rights as tab-separated lines: role, kind, name behind the prefix, pattern, operations."""
    lines = ["#role\tkind\tname\tpattern\toperations"]
    lines += [f"{r.role}\t{r.kind}\t{r.name or '-'}\t{r.pattern}\t{','.join(r.operations)}" for r in rights()]
    return "\n".join(lines) + "\n"


_SCRIPT = """\
#!/bin/sh
# Gives each role of Almena its rights on Kafka, and nothing beyond. Written by `make docs`.
#   AT="--bootstrap-server k1:9093 --command-config admin.properties" PREFIX=almena sh acls.sh
# Users are called almena-<role>; KAFKA_ACLS names Kafka's own tool where it is not on the path.
set -eu
: "${AT:?say where: AT='--bootstrap-server HOST:PORT --command-config FILE'}"
PREFIX="${PREFIX:-almena}"
allow() {  # role kind name pattern operations...
    role=$1 kind=$2 name=$3 pattern=$4
    shift 4
    for operation in "$@"; do set -- "$@" --operation "$operation"; shift; done
    # shellcheck disable=SC2086
    "${KAFKA_ACLS:-kafka-acls.sh}" $AT --add --allow-principal "User:almena-$role" "$@" \\
        "--$kind" "$PREFIX.$name" --resource-pattern-type "$pattern"
}
"""


def script() -> str:
    """A shell script that gives all the rights with Kafka's own tool."""
    lines = [f"allow {r.role} {r.kind} '{r.name}' {r.pattern} {' '.join(r.operations)}" for r in rights()]
    return _SCRIPT + "\n".join(lines) + "\n"

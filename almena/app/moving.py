"""Carries every document from one store to another, as often as it takes, and proves that both hold the same."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from almena.app.operate import idle, person
from almena.app.texts import Texts
from almena.clock import now
from almena.config import Config
from almena.console import audit
from almena.errors import Refused, StoreError, UsageError
from almena.store import ALL, AUDIT, KINDS, Document, Outcome, Query, Store, Versioned, open_store
from almena.store.match import encode
from almena.words import safe

BATCH = 200
"""Documents that are carried at once."""

MOST_NAMED = 100
"""Ids that are named of each kind of trouble; all of them are counted."""

HINTS = frozenset({(AUDIT, "head")})
"""Documents that only say where to look and are found anew: they are carried, and may differ."""

_BITS = (1 << 256) - 1

Told = Callable[[str, int, int], None]
"""Told a kind, how many of its documents are done, and how many there are."""


class Sum(msgspec.Struct, frozen=True):
    """How many documents there are, and a hash of all of them in which their order does not count."""

    count: int = 0
    hash: int = 0

    def plus(self, digest: int) -> Sum:
        """With one document more."""
        return Sum(self.count + 1, (self.hash + digest) & _BITS)

    def __str__(self) -> str:
        """The hash as people compare it."""
        return f"{self.hash:064x}"


def _digest(kind: str, item: Versioned) -> int:
    """The SHA-256 of a document's id and its content as JSON with sorted keys."""
    name = item.id.encode()
    content = len(name).to_bytes(4, "big") + name + encode(kind, item.id, item.document)
    return int.from_bytes(hashlib.sha256(content).digest(), "big")


@dataclass
class Moved:
    """What became of one kind."""

    kind: str
    created: int = 0
    """Documents that this run carried."""
    source: Sum = Sum()
    """What lies in the source."""
    target: Sum = Sum()
    """What lies in the target of what lies in the source."""
    only_there: int = 0
    """Documents that the target has and the source does not."""
    differing: int = 0
    """Documents that the target has with other content, or lacks."""
    different: list[str] = field(default_factory=list)
    """Ids of the first of them."""
    refused: list[str] = field(default_factory=list)
    """Ids of documents that the target cannot keep as they are, each with the reason."""

    @property
    def whole(self) -> bool:
        """Whether the target has everything, as it is in the source."""
        return self.source == self.target and not self.differing and not self.refused

    @property
    def there(self) -> int:
        """Documents that were there already."""
        return max(0, self.target.count - self.created)


class Progress(msgspec.Struct):
    """How far a move has come: written to a file after every batch, so that the next run goes on there."""

    source: str
    target: str
    cursors: dict[str, str] = {}
    """By kind, behind the last document that was carried."""
    done: list[str] = []
    """Kinds of which everything was carried."""
    told: bool = False
    """Whether the audit of the target knows of the move."""


class Notes:
    """The progress of one move, in a file; a move between other stores begins anew."""

    def __init__(self, path: Path, source: str, target: str) -> None:
        """Read what an earlier run left at `path`; what cannot be read is no loss, carrying twice does no harm."""
        self._path = path
        self.progress = Progress(source, target)
        try:
            found = msgspec.json.decode(path.read_bytes(), type=Progress)
        except (OSError, msgspec.MsgspecError):
            return
        if (found.source, found.target) == (source, target):
            self.progress = found

    def save(self) -> None:
        """Write it down, whole or not at all."""
        part = self._path.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(self.progress))
        part.replace(self._path)


def move(source: Store, target: Store, notes: Notes, told: Told = lambda *_: None) -> list[Moved]:
    """Carry all kinds; what is there already stays as it is. Raises StoreError: the next run goes on there."""
    return [_move(source, target, kind, notes, told) for kind in KINDS]


def record(target: Store, notes: Notes, user: str, found: list[Moved]) -> None:
    """Write the move into the target's audit, once: from where, how much, and the hash of each kind."""
    if notes.progress.told:
        return
    facts = {"event.reason": f"{notes.progress.source} → {notes.progress.target}"}
    facts["message"] = "; ".join(f"{item.kind} {item.source.count} sha256 {item.source}" for item in found)
    audit.record(target, time=now(), action="store-moved", user=user, facts=facts)
    notes.progress.told = True
    notes.save()


def _move(source: Store, target: Store, kind: str, notes: Notes, told: Told) -> Moved:
    progress, found = notes.progress, Moved(kind)
    resumed = kind in progress.done or kind in progress.cursors
    if kind not in progress.done:
        _carry(source, target, found, notes, told)
    _compare(source, target, found)
    if resumed and not found.whole:  # what was carried before has changed since: look at all of it
        progress.done = [name for name in progress.done if name != kind]
        progress.cursors.pop(kind, None)
        found.refused = []
        _carry(source, target, found, notes, told)
        _compare(source, target, found)
    return found


def _carry(source: Store, target: Store, found: Moved, notes: Notes, told: Told) -> None:
    """Copy a kind, page by page, oldest first: what comes meanwhile is behind the cursor."""
    kind, progress = found.kind, notes.progress
    query = Query(kind=kind, scope=ALL, descending=False, limit=BATCH)
    whole, done = source.count(query), 0
    cursor = progress.cursors.get(kind)
    while True:
        try:
            page = source.search(query, cursor)
        except StoreError:
            if cursor is None:
                raise
            cursor = None  # the source no longer knows the place: from the beginning then
            continue
        outcomes = _create(target, found, {item.id: item.document for item in page.items})
        found.created += sum(outcome == "created" and (kind, name) not in HINTS for name, outcome in outcomes.items())
        cursor, done = page.cursor, done + len(page.items)
        if cursor is None:
            break
        progress.cursors[kind] = cursor
        notes.save()
        told(kind, done, whole)
    progress.cursors.pop(kind, None)
    progress.done.append(kind)
    notes.save()
    told(kind, done, whole)


def _create(target: Store, found: Moved, documents: dict[str, Document]) -> dict[str, Outcome]:
    """Create them; where one of them cannot be kept, each for itself."""
    if not documents:
        return {}
    try:
        return target.create_many(found.kind, documents)
    except Refused as error:
        if len(documents) == 1:
            found.refused += [f"{name}: {error}" for name in documents]
            return {}
    return {
        name: outcome
        for one, document in documents.items()
        for name, outcome in _create(target, found, {one: document}).items()
    }


def _compare(source: Store, target: Store, found: Moved) -> None:
    """Walk through both in the order of ids and sum them up; what only the target has is counted, and put aside."""
    kind = found.kind
    found.source, found.target, found.only_there = Sum(), Sum(), 0
    found.different, found.differing = [], 0
    ours, theirs = everything(source, kind), everything(target, kind)
    one, other = next(ours, None), next(theirs, None)
    while one is not None or other is not None:
        if one is None or (other is not None and other.id < one.id):
            found.only_there += 1
            other = next(theirs, None)
            continue
        there = other if other is not None and other.id == one.id else None
        mine, its = _digest(kind, one), _digest(kind, there) if there is not None else None
        found.source = found.source.plus(mine)
        if its is not None:
            found.target = found.target.plus(its)
            other = next(theirs, None)
        if mine != its:
            found.differing += 1
            found.different += [one.id] if found.differing <= MOST_NAMED else []
        one = next(ours, None)


def everything(store: Store, kind: str) -> Iterator[Versioned]:
    """Every document of a kind in the order of ids, without the hints."""
    return (item for item in store.scan(kind) if (kind, item.id) not in HINTS)


def run(config: Config, source: str, target: str, *, live: bool, json: bool) -> int:
    """`almena move`: 1 when the target does not hold the same in the end."""
    source = source or config.store
    if source == target:
        raise UsageError(f"{bare(source)}: both stores are the same; `--from` and `--to` name two")
    scheme, _, path = source.partition(":")
    if scheme == "sqlite" and not Path(path).exists():
        raise UsageError(f"{path}: there is no store; `--from` names the one to carry from")
    say = Texts(config.language)
    with (
        nullcontext() if live else idle(config),
        closing(open_store(source, config.elasticsearch)) as old,
        closing(open_store(target, config.elasticsearch)) as new,
    ):
        notes = Notes(Path(config.data) / "move.json", bare(source), bare(target))
        found = move(old, new, notes, _progress(say))
        whole = all(item.whole for item in found)
        if whole:
            record(new, notes, person(), found)
    if json:
        print(msgspec.json.encode({"ok": whole, "kinds": [as_json(item) for item in found]}).decode())
    else:
        _show(found, say, live=live)
    return 0 if whole else 1


def bare(url: str) -> str:
    """A store's URL without a user and a password."""
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{','.join(host.rpartition('@')[2] for host in rest.split(','))}" if mark else url


def as_json(found: Moved) -> dict[str, object]:
    """What became of one kind, for programs."""
    return {
        "kind": found.kind,
        "documents": found.source.count,
        "moved": found.created,
        "there": found.there,
        "only_there": found.only_there,
        "differing": found.differing,
        "different": found.different,
        "refused": found.refused,
        "source_sha256": str(found.source),
        "target_sha256": str(found.target),
    }


def _progress(say: Texts) -> Told:
    last = 0.0

    def told(kind: str, done: int, whole: int) -> None:
        nonlocal last
        if time.monotonic() - last >= 1 or done >= whole > BATCH:
            last = time.monotonic()
            print(say("move_progress", kind=kind, done=f"{done:,}", whole=f"{whole:,}"), file=sys.stderr, flush=True)

    return told


def _show(found: Sequence[Moved], say: Texts, *, live: bool) -> None:
    for item in found:
        counts = {"moved": item.created, "there": item.there, "only": item.only_there}
        mark = "✓" if item.whole else "✗"
        text = say("move_kind", kind=item.kind, **{name: f"{count:,}" for name, count in counts.items()})
        print(f"{mark} {text} · sha256 {str(item.source)[:16]}")
        for name in item.different:
            print(f"    {say('move_different')}: {safe(name)}")
        if item.differing > len(item.different):
            print(f"    … +{item.differing - len(item.different):,}")
        for name in item.refused[:MOST_NAMED]:
            print(f"    {say('move_refused')}: {safe(name, 500)}")
        if len(item.refused) > MOST_NAMED:
            print(f"    … +{len(item.refused) - MOST_NAMED:,}")
    bad = sum(not item.whole for item in found)
    print(say("move_bad_live" if live else "move_bad", count=bad) if bad else say("move_good"))

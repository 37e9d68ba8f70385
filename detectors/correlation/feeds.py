"""The hits that correlations are fed with: of events that a rule matched, and of what other correlations found."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from almena.alert import ENTITY_FIELDS
from almena.event import strings
from almena.hit import IDENTITY, Hit, group_key
from almena.words import KEYS, fields_of
from detectors.correlation.sketches import digest
from detectors.sigma.condition import scaled
from detectors.sigma.rules import Correlation

LONGEST = 200
"""Characters of a value that is compared; a longer one is told apart by a hash."""

OFTEN = (
    *ENTITY_FIELDS,
    "organization.name",
    "event.dataset",
    "event.action",
    "event.outcome",
    "event.code",
    "destination.ip",
    "destination.port",
    "url.domain",
    "url.path",
    "process.name",
    "user.target.name",
)
"""Fields that people want to see of most events."""

FORMAT = 2
"""How correlations lay out their state and their hits; another number begins afresh."""

Get = Callable[[str], Any]
"""The value of a field of one event, None where it has none."""


def short(value: object) -> str:
    """A value as text to group or count by: a list as one, a long text as its beginning and a hash."""
    text = ", ".join(strings(value)) if isinstance(value, list) else str(value)
    if len(text) <= LONGEST:
        return text
    told = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()
    return f"{text[: LONGEST - 20]}…{told}"


def joined(get: Get, fields: Sequence[str]) -> list[str] | None:
    """The values of the fields as text; None where one is missing or empty."""
    found = []
    for field in fields:
        value = get(field)
        if value is None or value == "" or value == []:
            return None
        found.append(short(value))
    return found


def counted(fields: Sequence[str], numeric: bool, get: Get) -> int | None:
    """What is counted of an event: its number in millionths, or the digest of its values together; None for neither."""
    if numeric:
        return scaled(get(fields[0]))
    values = joined(get, fields)
    return None if values is None else digest(group_key(*values))


def version_of(rule: Correlation) -> str:
    """What changes with the correlation, with every rule it rests on, and with the layout of its state."""
    return f"{rule.version}.{FORMAT}"


@dataclass(frozen=True, slots=True)
class Feed:
    """What one correlation wants of the events of one rule, or of one correlation that rests on it."""

    rule: Correlation
    leaf: str
    """The rule whose events they are."""
    read: str
    """The rule or correlation that the hits are of."""
    group: tuple[str, ...]
    """Fields whose values make the group."""
    counted: tuple[str, ...] = ()
    """Fields whose values are counted."""
    keep: tuple[str, ...] = ()
    """Fields that travel in the hit, the most important first."""

    def key(self, agency: str, get: Get) -> str | None:
        """The group of an event, None where it has none; events of two agencies are never counted together."""
        values = joined(get, self.group)
        return None if values is None else group_key(agency, *values)

    def counts(self, get: Get) -> bool:
        """Whether the event has what is counted, if anything is beside the event itself."""
        if self.rule.numeric:
            return scaled(get(self.counted[0])) is not None
        return joined(get, self.counted) is not None


def feed_of(rule: Correlation, read: str, leaf: str) -> Feed:
    """What a correlation looks up in the events of `leaf`, which `read` is or rests on."""
    names = rule.sources[read][leaf]
    group, values = tuple(names[name] for name in rule.group_by), tuple(names[name] for name in rule.counted)
    return Feed(rule, leaf, read, group, values)


def feeds_of(rule: Correlation, readers: Sequence[Correlation]) -> list[Feed]:
    """What a correlation wants of the events of rules; `readers` are those that rest on it, however far up."""
    found = []
    for read, leaves in rule.sources.items():
        if read not in leaves:
            continue
        feed = feed_of(rule, read, read)
        further = [reader.field(name, read) for reader in readers for name in reader.names]
        said = [name for item in (rule, *readers) for name in _said(item)]
        keep = dict.fromkeys([*IDENTITY, *feed.group, *feed.counted, *further, *said, *OFTEN])
        found.append(dataclasses.replace(feed, keep=tuple(keep)))
    return found


def outlets_of(rule: Correlation, readers: Sequence[Correlation]) -> list[Feed]:
    """What the correlations that read this one want of its results, by the rule whose events these are of."""
    return [feed_of(reader, rule.id, leaf) for reader in readers if rule.id in reader.rules for leaf in rule.leaves]


def result(feed: Feed, fields: dict[str, Any], made: Hit, ident: str) -> Hit | None:
    """A correlation's result for one that reads it; None where the event has no group there, or nothing to count.

    `made` has what all its results share, `ident` is the id of the hit whose fields these are.
    """
    group = feed.key(str(fields.get("organization.id", "")), fields.get)
    if group is None or not feed.counts(fields.get):
        return None
    return Hit(
        time=made.time,
        id=ident,
        detector=feed.rule.id,
        group=group,
        fields=fields,
        rule=made.rule,
        shadow=made.shadow or feed.rule.id in made.aside,
        version=version_of(feed.rule),
        clock=feed.rule.lateness,
        first=made.first,
        count=made.count,
        fresh=made.fresh,
        aside=made.aside,
    )


def readers_of(rule: Correlation, others: Sequence[Correlation]) -> list[Correlation]:
    """Those of `others` that rest on `rule`, the nearest first."""
    found: dict[str, Correlation] = {}
    near = {rule.id}
    while near:
        above = [item for item in others if item.id not in found and near.intersection(item.rules)]
        found |= {item.id: item for item in above}
        near = {item.id for item in above}
    return list(found.values())


def _said(rule: Correlation) -> list[str]:
    """The fields that the correlation's words tell."""
    return [
        name
        for language, keys in KEYS.items()
        if isinstance(block := rule.document.get(language), dict)
        for key in keys
        for name in fields_of(str(block.get(key, "")))
    ]

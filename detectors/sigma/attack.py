"""The tactics and techniques that rules' tags may name, from a table that is shipped: nothing is downloaded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

VERSION = "19"
"""The version of ATT&CK in the table."""

_PATTERNS = {
    "car": re.compile(r"\d{4}-\d{2}-\d{3}"),
    "cve": re.compile(r"\d{4}-\d{4,}"),
    "detection": re.compile(r"dfir|emerging-threats|threat-hunting"),
    "stp": re.compile(r"[1-5][auk]?"),
    "tlp": re.compile(r"white|clear|green|amber|amber-strict|red"),
}
"""What may stand behind a tag's namespace, beside those of MITRE's tables."""

_TECHNIQUE = re.compile(r"t\d{4}(?:\.\d{3})?")
_OTHERS = re.compile(r"[gs]\d{4}|c\d{4}|ds\d{4}|m\d{4}")
"""Groups, software, campaigns, data sources and mitigations: said to be well formed, not to exist."""


@dataclass(frozen=True, slots=True)
class Technique:
    """One technique or sub-technique of ATT&CK."""

    id: str
    """Such as `T1059.001`."""
    name: str
    tactics: tuple[str, ...]
    """Tags of the tactics it serves, in the order of the matrix."""
    common: bool
    """True for those that intrusions often show."""

    @property
    def parent(self) -> str:
        """The id of the technique it is a part of; its own when it is none's."""
        return self.id.partition(".")[0]


@dataclass
class Table:
    """What `attack.tsv` holds."""

    tactics: dict[str, str] = field(default_factory=dict)
    """Names by tag, in the order of the matrix."""
    techniques: dict[str, Technique] = field(default_factory=dict)
    """By id."""
    replaced: dict[str, str] = field(default_factory=dict)
    """What took the place of an id or tactic that is no more, by tag."""
    d3fend: frozenset[str] = frozenset()
    """Tags of D3FEND: `d3-fh` for techniques, `detect` for tactics."""


@cache
def table() -> Table:
    """The shipped table."""
    found = Table()
    d3fend = set()
    for line in files("detectors.sigma").joinpath("attack.tsv").read_text("utf-8").splitlines():
        kind, *columns = line.split("\t")
        match kind, columns:
            case "tactic", [_, tag, name]:
                found.tactics[tag] = name
            case "technique", [identity, tactics, name]:
                tags = tuple(tactics.split())
                common = tags[-1] == "*"
                found.techniques[identity] = Technique(identity, name, tags[:-1] if common else tags, common)
            case "replaced", [old, new]:
                found.replaced[old.lower()] = new
            case "d3fend", [identity, name]:
                d3fend.add((name if identity == "-" else identity).lower())
    found.d3fend = frozenset(d3fend)
    return found


def techniques_of(tags: object) -> Iterator[Technique]:
    """The techniques that a rule's tags name, each once; what is unknown is passed over."""
    for name in dict.fromkeys(_names(tags, "attack")):
        if technique := table().techniques.get(name.upper()):
            yield technique


def tactics_of(tags: object) -> list[str]:
    """The tactics that a rule's tags name, each once; what is unknown is passed over."""
    return [name for name in dict.fromkeys(_names(tags, "attack")) if name in table().tactics]


def _names(tags: object, namespace: str) -> Iterator[str]:
    for tag in tags if isinstance(tags, list) else ():
        first, _, name = str(tag).lower().partition(".")
        if first == namespace:
            yield name.replace("_", "-")


def fault_of(tag: str) -> str | None:
    """What is wrong with one tag, or None."""
    namespace, _, name = tag.lower().partition(".")
    if not name:
        return f"the tag {tag!r} has no namespace; write it like 'attack.t1059'"
    if namespace == "attack":
        return _fault_of_attack(tag, name)
    if namespace == "d3fend":
        return None if name in table().d3fend or name.startswith("d3f-") else f"the tag {tag!r} is not in D3FEND"
    pattern = _PATTERNS.get(namespace)
    if pattern is None:
        known = ", ".join(sorted(["attack", "d3fend", *_PATTERNS]))
        return f"the tag {tag!r} has an unknown namespace; known are {known}"
    return None if pattern.fullmatch(name) else f"the tag {tag!r} is not written as tags of {namespace!r} are"


def _fault_of_attack(tag: str, name: str) -> str | None:
    name = name.replace("_", "-")
    known = name in table().tactics or name.upper() in table().techniques
    if known or _OTHERS.fullmatch(name):
        return None
    if new := table().replaced.get(name):
        return f"the tag {tag!r} is no more in ATT&CK v{VERSION}; now it is {' or '.join(_tagged(new))}"
    if _TECHNIQUE.fullmatch(name):
        return f"the tag {tag!r} names no technique of ATT&CK v{VERSION}"
    return f"the tag {tag!r} names no tactic of ATT&CK v{VERSION}; they are {', '.join(table().tactics)}"


def _tagged(names: str) -> list[str]:
    return [f"attack.{name.lower()}" for name in names.split()]

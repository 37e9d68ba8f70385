"""Why an example of a rule failed, for people: the branches that decided, what they asked and what they saw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any

Node = Mapping[str, Any]
"""One node of an explanation, as `explain.explain` makes them."""

FEW = 4
"""Values of one condition that are listed."""

MOST_LINES = 60
"""Lines of one tree."""

_COMPARED = 200
"""Characters that two values are compared by for being alike."""


def lines(explanation: Mapping[str, Any], wanted: bool, indent: str = "    ") -> Iterator[str]:
    """The condition, its tree with the branches that keep it from being `wanted`, the least that would change it."""
    root = explanation["root"]
    nearest = list(_nearest(root, wanted))
    yield f"{indent}condition: {explanation['condition']}"
    tree = list(_tree(root, wanted, nearest, indent))
    yield from tree[:MOST_LINES]
    if len(tree) > MOST_LINES:
        yield f"{indent}… and {len(tree) - MOST_LINES} more lines"
    if nearest:
        yield f"{indent}{'nearest miss' if wanted else 'enough to stop it'}: {_and(map(_needed, nearest))}"


def _nearest(node: Node, wanted: bool) -> Iterator[Node]:
    """The fewest leaves that would have to answer otherwise for `node` to be `wanted`."""
    if node["pass"] is wanted:
        return
    if "children" not in node:
        yield node
        return
    if node["kind"] == "not":
        yield from _nearest(node["children"][0], not wanted)
        return
    ways = [list(_nearest(child, wanted)) for child in node["children"]]
    if (node["kind"] == "and") is wanted:
        for way in ways:
            yield from way
    else:
        yield from min(ways, key=lambda way: (len(way), -sum(map(_likeness, way))), default=[])


def _tree(node: Node, wanted: bool, nearest: list[Node], indent: str) -> Iterator[str]:
    mark = "✓" if node["pass"] else "✗"
    name = f"{node['selection']}: " if node.get("selection") else ""
    if "children" not in node:
        yield f"{indent}{mark} {name}{_asked(node)}" + ("" if node["pass"] is wanted else f"; seen {_seen(node)}")
        if any(node is one for one in nearest) and not node["pass"] and node["seen"] is not None:
            yield from _difference(node, indent + "    ")
    elif node["pass"] is wanted:
        yield f"{indent}{mark} {name or node['kind']}".rstrip(": ")
    else:
        yield f"{indent}{mark} {name}{node['kind']}"
        for child in node["children"]:
            yield from _tree(child, wanted is not (node["kind"] == "not"), nearest, indent + "  ")
        if left_out := node.get("left_out"):
            yield f"{indent}  … and {left_out} more"


def _asked(node: Node) -> str:
    expected = _ordered(node)
    every = str(node["op"]).endswith("|all")
    hidden = max(len(expected) - FEW, 0) + node.get("more", 0)
    shown = [*map(repr, expected[:FEW]), *([f"{hidden} more"] if hidden else [])]
    return f"{node.get('field', 'any value')} {node['op']} {(' and ' if every else ' or ').join(shown)}"


def _seen(node: Node) -> str:
    return "nothing" if node["seen"] is None else repr(node["seen"])


def _needed(node: Node) -> str:
    if node["pass"]:
        return f"{node.get('field', 'any value')} other than {_seen(node)}"
    return f"{node.get('field', 'any value')} {node['op']} {_ordered(node)[0]!r}"


def _ordered(node: Node) -> list[Any]:
    """The values asked for, those most like what was seen first."""
    expected = list(node["expected"])
    if node["pass"] or not isinstance(node["seen"], str):
        return expected
    return sorted(expected, key=lambda value: -_alike(str(value), node["seen"]))


def _likeness(node: Node) -> float:
    """How much what a leaf saw is like what it asked for in vain, from 0 to 1."""
    if node["pass"] or not isinstance(node["seen"], str) or not node["expected"]:
        return 0.0
    return max(_alike(str(value), node["seen"]) for value in node["expected"])


def _alike(asked: str, seen: str) -> float:
    asked, seen = asked.strip("*")[:_COMPARED].lower(), seen[:_COMPARED].lower()
    return SequenceMatcher(None, asked, seen, autojunk=False).ratio()


def _difference(node: Node, indent: str) -> Iterator[str]:
    """What was asked above what was seen, with a mark under the first place where they part."""
    asked, seen = str(_ordered(node)[0]), str(node["seen"])
    yield f"{indent}asked {asked}"
    yield f"{indent}seen  {seen}"
    at = _parting(asked, seen)
    if node["op"] in ("equals", "startswith") and at is not None:
        yield f"{indent}      {' ' * at}^"


def _parting(asked: str, seen: str) -> int | None:
    if "*" in asked.rstrip("*"):
        return None
    pairs = zip(asked.rstrip("*").lower() + "\0", seen.lower() + "\0", strict=False)
    return next((place for place, (left, right) in enumerate(pairs) if left != right), None)


def _and(texts: Iterator[str] | map[str]) -> str:
    found = list(texts)
    shown = " and ".join(found[:FEW])
    return shown + (f" and {len(found) - FEW} more" if len(found) > FEW else "")

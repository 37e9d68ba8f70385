"""Why a rule matched, or did not: its expression walked once more, each condition with what it asked and saw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from almena.words import conditions_of, safe
from detectors.sigma.expression import And, Expression, Named, Not, Or, Predicate, groups
from detectors.sigma.matching import test_of
from detectors.sigma.regex import compile_pattern
from detectors.sigma.rules import Rule
from detectors.sigma.values import MISFIT, View

MOST_NODES = 400
"""Conditions of one explanation; what decided is kept first, and what is left out is counted."""

MOST_EXPECTED = 20
"""Values of one condition that are shown, those that held first; the others are counted."""

MOST_TEXT = 32_000
"""Characters of all values of one explanation; beyond it each condition shows one value asked for and a short one
seen."""

LONGEST_SEEN = 200
"""Characters of a value seen: those around what was found in it."""

_BRIEF = 40
_BEFORE = 60

_Part: TypeAlias = Expression | list[Predicate]


def explain(rule: Rule, view: View) -> dict[str, Any]:
    """What `almena.alert.explanation` holds: the condition as written, the tree, and the rule's words for it."""
    found: dict[str, Any] = {"condition": rule.condition, "root": Walk(view).node(rule.expression)}
    if rule.document:
        misfit = view.event.get(MISFIT)
        event = {**misfit, **view.event} if isinstance(misfit, dict) else view.event
        words = conditions_of(rule.document, event)
        if words:
            found["words"] = words
    return found


class Walk:
    """One event seen by one expression; every condition is asked at most once."""

    def __init__(self, view: View) -> None:
        """`view` is the event."""
        self._view = view
        self._truths: dict[int, bool] = {}
        self._nodes = 0
        self._room = MOST_TEXT

    def holds(self, expression: Expression) -> bool:
        """Whether `expression`, a part of the one walked, is true."""
        known = self._truths.get(id(expression))
        if known is None:
            known = self._truths[id(expression)] = self._ask(expression)
        return known

    def _ask(self, expression: Expression) -> bool:
        match expression:
            case Predicate():
                return test_of(expression)(self._view)
            case Named():
                return self.holds(expression.child)
            case Not():
                return not self.holds(expression.child)
            case And():
                return all(map(self.holds, expression.children))
            case Or():
                return any(map(self.holds, expression.children))
        raise AssertionError(expression)

    def node(self, expression: Expression, selection: str = "", most: int = MOST_NODES) -> dict[str, Any]:
        """The tree of `expression` in at most `most` nodes."""
        while isinstance(expression, Named):
            selection, expression = expression.name, expression.child
        match expression:
            case Predicate():
                return self.leaf([expression], selection)
            case Not():
                return self._inner("not", selection, [expression.child], not self.holds(expression.child), most)
            case And():
                parts = list(self._together(expression))
                if len(parts) == 1 and isinstance(parts[0], list):
                    return self.leaf(parts[0], selection, every=True)
                return self._inner("and", selection, parts, self.holds(expression), most)
            case Or():
                shapes, others = groups(expression.children)
                if len(shapes) == 1 and not others:
                    return self.leaf(shapes[0], selection)
                return self._inner("or", selection, [*shapes, *others], self.holds(expression), most)
        raise AssertionError(expression)

    def _together(self, expression: And) -> Iterator[_Part]:
        """The parts of an `and`: conditions of one shape are told as one where all of them hold."""
        shapes, others = groups(expression.children)
        for shape in shapes:
            if len(shape) > 1 and all(map(self.holds, shape)):
                yield shape
            else:
                yield from shape
        yield from others

    def _inner(self, kind: str, selection: str, parts: Sequence[_Part], held: bool, most: int) -> dict[str, Any]:
        self._nodes += 1
        node: dict[str, Any] = {"kind": kind, "pass": held}
        if selection:
            node["selection"] = selection
        room = max(most - 1, 0)
        kept = self._decisive(parts, room, wanted=kind == "or")
        if len(kept) < len(parts):
            node["left_out"] = len(parts) - len(kept)
        node["children"] = children = []
        end = self._nodes + room
        for at, part in enumerate(kept):
            share = max((end - self._nodes) // (len(kept) - at), 1)
            if isinstance(part, list):
                children.append(self.leaf(part, every=kind == "and"))
            else:
                children.append(self.node(part, most=share))
        return node

    def _decisive(self, parts: Sequence[_Part], room: int, *, wanted: bool) -> Sequence[_Part]:
        """As many parts as there is room for, those that are `wanted` first, in the order written."""
        if len(parts) <= room:
            return parts
        truths = [any(map(self.holds, part)) if isinstance(part, list) else self.holds(part) for part in parts]
        chosen = sorted(range(len(parts)), key=lambda at: truths[at] is not wanted)[:room]
        return [parts[at] for at in sorted(chosen)]

    def leaf(self, predicates: Sequence[Predicate], selection: str = "", *, every: bool = False) -> dict[str, Any]:
        """Predicates of one shape as one condition: any of them, or `every` one."""
        self._nodes += 1
        first = predicates[0]
        held = [predicate for predicate in predicates if self.holds(predicate)]
        truth = len(held) == len(predicates) if every else bool(held)
        shown = held if len(held) == len(predicates) else held + [item for item in predicates if not self.holds(item)]
        node: dict[str, Any] = {
            "kind": "keyword" if first.field is None else "field",
            "op": operator_of(first) + ("|all" if every and len(predicates) > 1 else ""),
            "expected": self._expected(shown),
            "seen": self._seen(first, held),
            "pass": truth,
        }
        if len(node["expected"]) < len(predicates):
            node["more"] = len(predicates) - len(node["expected"])
        if first.field is not None:
            node["field"] = first.field
        if selection:
            node["selection"] = selection
        return node

    def _expected(self, predicates: Sequence[Predicate]) -> list[Any]:
        found: list[Any] = []
        for predicate in predicates[:MOST_EXPECTED]:
            if self._room <= 0 and found:
                break
            value = expected_of(predicate)
            self._room -= len(value) if isinstance(value, str) else 4
            found.append(value)
        return found

    def _seen(self, first: Predicate, held: Sequence[Predicate]) -> str | None:
        longest = LONGEST_SEEN if self._room > 0 else _BRIEF
        shown = seen(self._view, first, held, longest)
        self._room -= len(shown or "")
        return shown


def seen(view: View, first: Predicate, held: Sequence[Predicate] = (), longest: int = LONGEST_SEEN) -> str | None:
    """What `first`'s field holds (any value of the event for a keyword), around what one of `held` found in it."""
    if first.field is not None:
        texts = view.texts(first.field)
        if not texts or (len(texts) > 1 and sum(map(len, texts)) <= longest):
            return safe(list(texts), longest) if texts else None
    else:
        texts = view.all_texts() if held else ()
    for text in texts if held else ():
        if len(texts) == 1 or test_of(held[0])(View({held[0].field or "text": text})):
            return safe(around(text, held[0], longest), longest + 2)
    return safe(list(texts) if len(texts) > 1 else texts[0], longest) if texts else None


def around(text: str, predicate: Predicate, longest: int) -> str:
    """The stretch of a long text in which `predicate` found what it asked for, `…` where it was cut."""
    if len(text) <= longest:
        return text
    start = _where(text, predicate)
    begin = max(min(start - min(_BEFORE, longest // 3), len(text) - longest), 0)
    end = begin + longest
    return ("…" if begin else "") + text[begin:end] + ("…" if end < len(text) else "")


def _where(text: str, predicate: Predicate) -> int:
    """The character at which what was found begins; 0 when that cannot be told."""
    value = str(predicate.value)
    if predicate.op == "contains":
        place = text.find(value) if predicate.cased else text.lower().find(value)
        return max(place, 0)
    if predicate.op == "endswith":
        return max(len(text) - len(value), 0)
    if predicate.op in ("re", "wildcard"):
        data = (text if predicate.cased else text.lower()).encode("utf-8", "replace")
        found = compile_pattern(value).search(data)
        return len(data[: found.start()].decode("utf-8", "ignore")) if found is not None else 0
    return 0


def operator_of(predicate: Predicate) -> str:
    """The predicate's question as Sigma writes its modifiers; `equals` for a plain value."""
    operator = {"number": "equals", "null": "equals"}.get(predicate.op, predicate.op)
    parts = [predicate.part] if predicate.part else []
    if operator.startswith("fieldref_"):
        parts.append("fieldref")
        operator = operator.removeprefix("fieldref_")
    if operator != "equals":
        parts.append(operator)
    if predicate.cased and operator != "re":
        parts.append("cased")
    return "|".join(parts) or "equals"


def expected_of(predicate: Predicate) -> Any:
    """The value the predicate asks for, as its author wrote it."""
    if predicate.op in ("exists", "null"):
        return predicate.value
    return safe(predicate.shown or predicate.value)

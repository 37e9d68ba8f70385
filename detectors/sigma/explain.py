"""Why a rule matched: its expression walked once more, each condition with what it asked and what it saw."""

from __future__ import annotations

from typing import Any

from almena.words import safe
from detectors.sigma.expression import And, Expression, Named, Not, Or, Predicate, groups
from detectors.sigma.matching import test_of
from detectors.sigma.rules import Rule
from detectors.sigma.values import View

MOST_NODES = 400
"""Conditions of one explanation; the rest is left out."""

MOST_EXPECTED = 20
"""Values of one condition that are shown, those that held first."""

_SHOWN = {"number": "equals", "wildcard": "equals", "null": "equals"}


def explain(rule: Rule, view: View) -> dict[str, Any]:
    """What `almena.alert.explanation` holds: the condition as written, and the tree."""
    return {"condition": rule.condition, "root": _Walk(view).node(rule.expression, "")}


class _Walk:
    def __init__(self, view: View) -> None:
        self._view = view
        self._left = MOST_NODES

    def node(self, expression: Expression, selection: str) -> dict[str, Any]:
        self._left -= 1
        match expression:
            case Predicate():
                return self._leaf([expression], selection)
            case Named():
                return self.node(expression.child, expression.name)
            case Not():
                child = self.node(expression.child, "")
                return self._inner("not", selection, [child], not child["pass"])
            case And():
                children = [self.node(child, "") for child in self._few(expression.children)]
                return self._inner("and", selection, children, all(child["pass"] for child in children))
            case Or():
                shapes, others = groups(expression.children)
                if len(shapes) == 1 and not others:
                    return self._leaf(shapes[0], selection)
                children = [self._leaf(shape, "") for shape in self._few(shapes)]
                children += [self.node(child, "") for child in self._few(others)]
                return self._inner("or", selection, children, any(child["pass"] for child in children))
        raise AssertionError(expression)

    def _few(self, items: Any) -> Any:
        return items[: max(self._left, 1)]

    def _inner(self, kind: str, selection: str, children: list[dict[str, Any]], held: bool) -> dict[str, Any]:
        node: dict[str, Any] = {"kind": kind, "pass": held, "children": children}
        if selection:
            node["selection"] = selection
        return node

    def _leaf(self, predicates: list[Predicate], selection: str) -> dict[str, Any]:
        first = predicates[0]
        held = [predicate for predicate in predicates if test_of(predicate)(self._view)]
        shown = held + [predicate for predicate in predicates if predicate not in held]
        node: dict[str, Any] = {
            "kind": "keyword" if first.field is None else "field",
            "op": _operator(first),
            "expected": [_expected(predicate) for predicate in shown[:MOST_EXPECTED]],
            "seen": self._seen(first, held),
            "pass": bool(held),
        }
        if first.field is not None:
            node["field"] = first.field
        if selection:
            node["selection"] = selection
        return node

    def _seen(self, first: Predicate, held: list[Predicate]) -> str | None:
        if first.field is not None:
            texts = self._view.texts(first.field)
            return safe(list(texts) if len(texts) > 1 else texts[0]) if texts else None
        for text in self._view.all_texts() if held else ():
            if test_of(held[0])(View({"text": text})):
                return safe(text)
        return None


def _operator(predicate: Predicate) -> str:
    operator = _SHOWN.get(predicate.op, predicate.op)
    if operator.startswith("fieldref_"):
        operator = "fieldref|" + operator.removeprefix("fieldref_")
    if predicate.part:
        operator = f"{predicate.part}|{operator}"
    return operator.removesuffix("|equals")


def _expected(predicate: Predicate) -> Any:
    if predicate.op in ("exists", "null"):
        return predicate.value
    return safe(predicate.shown or predicate.value)

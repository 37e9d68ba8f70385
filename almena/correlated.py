"""What a correlation asked for and what came of it: its sentence, and whether each rule that it reads occurred."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

from almena.labels import beside, called, label, length, number, numeric, quantity
from almena.phrases import CORRELATIONS, LIMITS, MEASURES, NOUNS, THRESHOLDS, either, phrase
from almena.words import safe

MOST_RULES = 20
"""Rules of one correlation that are listed."""

MOST_NAMED = 6
"""Rules that a sentence names; with more of them the expression stands for itself."""

LONGEST_TITLE = 120
"""Characters of a rule's title inside a sentence."""

LONGEST_EXPRESSION = 600
"""Characters of an expression of rules that are told."""

_TOKEN = re.compile(r"[()]|[^\s()]+")
_LOW = {"gte": 0, "gt": 1}
_HIGH = {"lte": 0, "lt": -1}

Bound = tuple[str, Decimal]


@dataclass(frozen=True)
class Sentence:
    """One correlation in words."""

    text: str
    lead: str = ""
    seen: str = ""
    names: bool = False
    """Whether it says which rules it is about."""


@dataclass(frozen=True)
class Correlated:
    """A correlation's node, for one language."""

    node: Mapping[str, Any]
    language: str
    titles: Mapping[str, str]
    """Rules' titles by id."""
    inside: bool = False
    """True for one that another reads."""

    def sentence(self) -> Sentence:
        """What it asked, or what came of it where that is known; in lower case, without a full stop."""
        if self.kind in MEASURES:
            return Sentence(self._measured())
        if not self.kind.startswith("temporal"):
            return self._counted()
        if not self.absent and not self._branches:
            return self._together()
        named = all(rule in self.titles for rule in self.rules) or not self._tokens
        if self.absent and not self._branches and named and len(self.rules) <= MOST_NAMED:
            text = self._without()
        else:
            text = self._say(f"{'that_order' if self._ordered else 'held'}_{self._tense}", what=self._expression())
        return Sentence(text or self._together().text, names=True)

    def note(self) -> str:
        """What the sentence leaves out: when a whole window is decided, or where what must not occur is looked for."""
        if self.absent:
            return self._say("looked_around") if self._branches and not self._ordered else ""
        return self._say(f"closes_{self._tense}") if self.node.get("closes") is True else ""

    def marks(self) -> dict[str, bool | None]:
        """For each rule it reads, by id: whether it occurred, None where that cannot be told."""
        known = self.node.get("occurred")
        if isinstance(known, list):
            return {rule: rule in _texts(known) for rule in self.rules}
        if self._branches or not self._everything:
            return dict.fromkeys(self.rules)
        return {rule: rule not in self.absent for rule in self.rules}

    def occurred(self, rule: str, title: str, mark: bool | None) -> str:
        """A rule's title with what is to be said of it where a condition asks for some and not for others."""
        if not self.absent and not self._branches:
            return title
        if not self._happened:
            return self._say("must_not", title=title) if rule in self.absent and not self._branches else title
        return title if mark is None else self._say("occurred" if mark else "not_occurred", title=title)

    @cached_property
    def kind(self) -> str:
        """Its type."""
        return str(self.node.get("type") or "")

    @cached_property
    def rules(self) -> list[str]:
        """Ids of the rules it reads, in order."""
        return list(dict.fromkeys(_texts(self.node.get("rules"))))[:MOST_RULES]

    @cached_property
    def absent(self) -> set[str]:
        """Ids of the rules that must not occur."""
        return set(_texts(self.node.get("absent")))

    @cached_property
    def _happened(self) -> bool:
        return "group" in self.node or "value" in self.node

    @property
    def _tense(self) -> str:
        return "past" if self._happened else "now"

    @property
    def _ordered(self) -> bool:
        return self.kind == "temporal_ordered"

    @cached_property
    def _tokens(self) -> list[str]:
        found = _TOKEN.findall(str(self.node.get("condition") or "")[:LONGEST_EXPRESSION])
        return [part.lower() if part in ("AND", "OR", "NOT") else part for part in found]

    @property
    def _branches(self) -> bool:
        """Whether it may hold in more than one way."""
        return "or" in self._tokens or ("not" in self._tokens and not self.absent)

    @property
    def _everything(self) -> bool:
        """Whether all that it names had to occur, but for what must not."""
        return bool(self._tokens) or self._least >= len(_texts(self.node.get("rules")))

    @property
    def _least(self) -> int:
        """The smallest count that a lower bound lets through."""
        return max((math.floor(count) + 1 if op == "gt" else math.ceil(count) for op, count in self._bounds
                    if op in (*_LOW, "eq")), default=0)  # fmt: skip

    @cached_property
    def _bounds(self) -> list[Bound]:
        """The threshold's parts; nothing where it cannot be read."""
        found: list[Bound] = []
        for part in str(self.node.get("threshold") or "")[:200].split(","):
            op, _, count = part.strip().partition(" ")
            value = numeric(count.strip())
            if op not in THRESHOLDS or value is None:
                return []
            found.append((op, value))
        return found

    def _say(self, key: str, **values: str) -> str:
        values.setdefault("timespan", length(self.node.get("timespan") or "—", self.language))
        return either(CORRELATIONS[key], self.language).format(**values)

    def _counted(self) -> Sentence:
        counts = {"event_count": "findings" if self.node.get("children") else "events", "value_count": "values"}
        noun = counts.get(self.kind, "")
        if noun == "values" and len(_texts(self.node.get("counted"))) > 1:
            noun = "combinations"
        return Sentence(self._say("within" if noun else "unknown", what=self._amount(noun)), *self._value())

    def _together(self) -> Sentence:
        """The temporal types where a number of rules has to occur."""
        count = len(_texts(self.node.get("rules")))
        key = "in_order" if self._ordered else "within"
        noun = "findings" if self._ordered else "different"
        if count and self._everything:
            nouns = self._nouns(noun, count != 1)
            return Sentence(self._say(key, what=f"{number(count, self.language)} {nouns}"))
        lower = any(op in _LOW for op, _ in self._bounds) and count
        what = self._amount("", count) if lower else self._amount(noun)
        return Sentence(self._say(key, what=what), *self._value())

    def _nouns(self, noun: str, many: bool) -> str:
        if not noun:
            return ""
        names = [called(name, self.language) for name in _texts(self.node.get("counted"))[:5]]
        counted = linked(names, phrase("and", self.language)) or phrase("a_field", self.language)
        spanish, english = NOUNS[noun]
        return (english if self.language == "en" else spanish)[many].format(counted=counted)

    def _amount(self, noun: str, total: int = 0) -> str:
        """How many of what it asks for; of `total` where there are only so many."""
        low, high, bounds = self._whole()
        if not self._bounds:
            return f"{safe(self.node.get('threshold') or '—')} {self._nouns(noun, True)}".strip()
        if [op for op, _ in bounds] == ["neq"] and noun:
            plain = self._nouns("findings" if noun == "different" else noun, True)
            return self._say("other_number", nouns=plain, count=quantity(bounds[0][1], self.language))
        if low is not None and high is not None and low < high:
            amount, last = (
                self._say("between", low=quantity(low, self.language), high=quantity(high, self.language)),
                high,
            )
        else:
            said = [
                either(THRESHOLDS[op], self.language).format(count=quantity(count, self.language))
                for op, count in bounds
            ]
            amount, last = linked(said, phrase("and", self.language)), bounds[-1][1]
        if total:
            nouns = self._nouns("findings", total != 1)
            return self._say("of", amount=amount, count=number(total, self.language), nouns=nouns)
        return f"{amount} {self._nouns(noun, last != 1)}".rstrip()

    def _whole(self) -> tuple[Decimal | None, Decimal | None, list[Bound]]:
        """A range of whole numbers with both ends included, if it is one, and the bounds to be told otherwise."""
        bounds = self._bounds
        if sorted(op in _LOW for op, _ in bounds) != [False, True] or any(op in ("eq", "neq") for op, _ in bounds):
            return None, None, bounds
        low, high = sorted(bounds, key=lambda bound: bound[0] not in _LOW)
        least = Decimal(math.floor(low[1]) + 1 if low[0] == "gt" else math.ceil(low[1]))
        most = Decimal(math.ceil(high[1]) - 1 if high[0] == "lt" else math.floor(high[1]))
        return least, most, [("eq", least)] if least == most else bounds

    def _value(self) -> tuple[str, str]:
        """What stands before the value seen, and the value."""
        value = self.node.get("value")
        if value is None:
            return "", ""
        found = numeric(value)
        shown = safe(value) if found is None else self._shown(found)
        lead = self._say("there_was" if found == 1 else "there_were")
        return (self._say("about", value=lead), f"{shown} ({self._off})") if self._off else (lead, shown)

    @cached_property
    def _off(self) -> str:
        """How far off an estimate may be: `±1.6 %`; empty for what is exact."""
        share = numeric(self.node.get("error"))
        if share is None or not 0 < share < 1:
            return ""
        return self._say("error", share=number(share * 100, self.language, "#,##0.##"))

    def _shown(self, value: Decimal) -> str:
        """A value with as few digits as tell on which side of the bounds it is."""
        rounded = [round(value, 2 if abs(value) >= 100 else 3), value]
        if self._off:
            rounded.insert(0, Decimal(f"{value:.3g}"))
        sides = self._sides(value)
        near = next(each for each in rounded if self._sides(each) == sides)
        return quantity(near, self.language)

    def _sides(self, value: Decimal) -> list[tuple[bool, bool]]:
        return [(value < count, value > count) for _, count in self._bounds]

    def _measured(self) -> str:
        names = _texts(self.node.get("counted"))[:5]
        counted = linked(list(map(self._heading, names)), phrase("and", self.language))
        rank = numeric(self.node.get("percentile"))
        what = either(MEASURES[self.kind], self.language).format(
            counted=counted or phrase("a_field", self.language), rank="—" if rank is None else self._rank(rank)
        )
        limits = self._limits() or safe(self.node.get("threshold") or "—")
        limit = self._say("counts" if self.inside else "alerts", limits=limits)
        value = self.node.get("value")
        if value is None:
            return self._say("measures", what=what, limit=limit)
        found = numeric(value)
        text = safe(value) if found is None else self._shown(found)
        if self._off:
            text, limit = self._say("nearly", value=text), f"{self._off}; {limit}"
        if found is not None and not self._holds(found):
            return self._say("moved_on", what=what, limits=limits, value=text)
        return self._say("measured", what=what, limit=limit, value=text)

    def _heading(self, name: str) -> str:
        """A field's name as a heading: `Monto`, so that it is not taken for a word of the sentence."""
        said = label(name, self.language)
        return said[:1].upper() + said[1:] if said else safe(name)

    def _rank(self, rank: Decimal) -> str:
        text = quantity(rank, self.language)
        if self.language != "en":
            return text
        ending = "th" if text.endswith(("11", "12", "13")) else {"1": "st", "2": "nd", "3": "rd"}.get(text[-1], "th")
        return text + ending

    def _limits(self) -> str:
        bounds = sorted(self._bounds, key=lambda bound: bound[0] not in _LOW)
        if [op for op, _ in bounds] == ["gte", "lte"]:
            return self._say(
                "between", low=quantity(bounds[0][1], self.language), high=quantity(bounds[1][1], self.language)
            )
        said = [either(LIMITS[op], self.language).format(count=quantity(count, self.language)) for op, count in bounds]
        return linked(said, phrase("and", self.language))

    def _holds(self, value: Decimal) -> bool:
        tests = {"lt": value.__lt__, "lte": value.__le__, "gt": value.__gt__, "gte": value.__ge__,
                 "eq": value.__eq__, "neq": value.__ne__}  # fmt: skip
        return all(tests[op](count) for op, count in self._bounds)

    def _expression(self) -> str:
        """The condition as written, with titles for names."""
        words = {name: phrase(name, self.language) for name in ("and", "or")}
        words |= {"not": "not" if self.language == "en" else "no", "(": "(", ")": ")"}
        parts = [words.get(part) or f"«{self._title(part)}»" for part in self._tokens]
        text = " ".join(parts).replace("( ", "(").replace(" )", ")")
        if self.language != "en":
            text = _euphonious(text)
        return text if len(text) <= 2 * LONGEST_EXPRESSION else f"{text[: 2 * LONGEST_EXPRESSION]}…"

    def _title(self, name: str) -> str:
        """A rule's title, its id or the name that the condition gives it being known."""
        names = self.node.get("names")
        rule = str(names.get(name, name)) if isinstance(names, Mapping) else name
        return safe(self.titles.get(rule) or name, LONGEST_TITLE)

    def _without(self) -> str:
        """Some rules that occur and some that do not: the chain, or the set, and where the others are missing."""
        there = [rule for rule in self.rules if rule not in self.absent]
        if not there:
            return ""
        if not self._ordered:
            chain = self._occurring(there)
            missing = [("around", [rule for rule in self.rules if rule in self.absent])]
        else:
            first, last = self.rules.index(there[0]), self.rules.index(there[-1])
            chain = self._chain(self.rules[first : last + 1])
            missing = [("before", self.rules[:first]), ("after", self.rules[last + 1 :])]
        alone = len(there) == 1
        clauses = [self._missing(side, rules, alone=alone) for side, rules in missing if rules]
        if alone:
            text = linked([chain, *clauses], phrase("and", self.language))
        else:
            text = "; ".join([self._say("all_within", what=chain), *clauses])
        return _euphonious(text) if self.language != "en" else text

    def _quoted(self, rules: list[str], joint: str) -> str:
        return linked([f"«{self._title(rule)}»" for rule in rules], joint)

    def _occurring(self, rules: list[str]) -> str:
        key = "one" if len(rules) == 1 else "some"
        return self._say(f"{key}_{self._tense}", what=self._quoted(rules, phrase("and", self.language)))

    def _chain(self, rules: list[str]) -> str:
        """One rule after the other; what must not occur between two is said with the second."""
        clauses, absent = [self._occurring(rules[:1])], list[str]()
        for rule in rules[1:]:
            if rule in self.absent:
                absent.append(rule)
                continue
            key = f"then_without_{self._tense}" if absent else "then"
            without = self._quoted(absent, "or" if self.language == "en" else "ni")
            clauses.append(self._say(key, what=self._quoted([rule], ""), absent=without))
            absent = []
        return ", ".join(clauses)

    def _missing(self, side: str, rules: list[str], *, alone: bool) -> str:
        absent = self._quoted(rules, "nor" if self.language == "en" else "ni")
        never = self._say(f"{'never' if len(rules) == 1 else 'none'}_{self._tense}", absent=absent)
        near = beside(self.node.get("timespan"), self.language, side) if alone else ""
        return self._say(side if near else f"same_{side}", never=never, when=near)


def linked(parts: list[str], joint: str) -> str:
    """`a, b y c`."""
    return f" {joint} ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _euphonious(text: str) -> str:
    """Spanish says `e` before the sound of i, and `u` before that of o."""
    text = re.sub(r"\by (?=«?(?:[ií]|h[ií](?![ae])))", "e ", text, flags=re.IGNORECASE)
    return re.sub(r"\bo (?=«?h?[oó])", "u ", text, flags=re.IGNORECASE)


def _texts(value: object) -> list[str]:
    return list(_each(value))


def _each(value: object) -> Iterator[str]:
    for item in (value if isinstance(value, list) else [value])[:1_000]:
        if isinstance(item, (str, int, float)) and item != "":
            yield str(item)

"""The explanation of an alert in plain words: each condition, what it asked, what was seen, whether it held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from almena.correlated import Correlated
from almena.labels import called, label, number
from almena.phrases import OPERATORS, PARTS, operator, phrase
from almena.words import safe

MOST_NODES = 400
"""Conditions that are told; the raw document has them all."""

DEEPEST = 20
"""Levels of conditions within conditions that are told."""

MOST_VALUES = 7
"""Values of one condition that are shown."""

LONGEST_SEEN = 300
"""Characters of a value seen that are shown."""

LONGEST_VALUE = 120
"""Characters of a value asked for that are shown."""

LONGEST_SUMMARY = 400
"""Characters after which a summary tells no further condition."""

_SAME = {"": "equals", "eq": "equals", "is": "equals", "equal": "equals", "==": "equals", "regex": "re", "in": "equals"}


@dataclass
class Step:
    """One line of the explanation with the lines below it."""

    text: str
    held: bool | None = None
    """Whether the condition held; None for lines that ask nothing."""
    lead: str = ""
    """What stands before `seen`."""
    seen: str = ""
    name: str = ""
    """The name of the selection in the rule."""
    said: str = ""
    """What the rule's own words say of the selection; the rest of the line is the proof."""
    asked: str = ""
    """The field that was asked about, in words."""
    raw: str = ""
    """The same field as the event has it."""
    denied: bool = False
    """True for what must not hold."""
    brief: str = ""
    """What `summary` says of it: few values, patterns left out; nothing for lines that only join others."""
    below: list[Step] = field(default_factory=list)
    rows: list[tuple[str, str, str]] = field(default_factory=list)
    """For models: feature, observed, expected."""


def tell(explanation: object, language: str = "es", titles: Mapping[str, str] | None = None) -> Step | None:
    """The tree of an alert's explanation in `language`, or None when it has none that can be read.

    `titles` are rules by id, for correlations that name what they put together. Never raises, and everything in it
    is safe to show.
    """
    if not isinstance(explanation, Mapping):
        return None
    root = explanation.get("root", explanation)
    if not isinstance(root, Mapping) or not root.get("kind"):
        return None
    return _Teller(language, titles or {}, _words(explanation, language), iter(range(MOST_NODES))).step(root, 0)


def lines(explanation: object, language: str = "es", titles: Mapping[str, str] | None = None) -> list[str]:
    """The explanation as lines of plain text, indented by two spaces for each level; none when it cannot be read."""
    step = tell(explanation, language, titles)
    return [] if step is None else list(told(step, language))


def summary(explanation: object, language: str = "es", titles: Mapping[str, str] | None = None) -> str:
    """What made the rule fire, in one line of at most some `LONGEST_SUMMARY` characters; empty when nothing can be
    read.

    Only what holds is told; exceptions that do not apply are counted.
    """
    step = tell(explanation, language, titles)
    parts: list[str] = []
    exceptions: list[Step] = []
    if step is not None:
        _deciding(step, language, parts, exceptions)
    said = list(dict.fromkeys(parts))
    if len(exceptions) == 1 and exceptions[0].brief:
        said.append(exceptions[0].said or exceptions[0].brief)
    elif len(exceptions) == 1:
        said.append(phrase("no_exception", language))
    elif exceptions:
        said.append(phrase("no_exceptions", language).format(count=len(exceptions)))
    kept = _fitting(said)
    if len(kept) < len(said):
        kept.append(phrase("and_more", language).format(count=len(said) - len(kept)))
    elif len(kept) > 1:
        kept[-1] = f"{phrase('and', language)} {kept[-1]}"
    return "; ".join(kept)


def _deciding(step: Step, language: str, parts: list[str], exceptions: list[Step]) -> None:
    if step.held is False:
        return
    if step.denied:
        exceptions.append(step)
        return
    if step.said or step.brief:
        parts.append(step.said or step.brief)
    usual = phrase("usual", language)
    parts += [f"{feature}: {observed} ({usual} {expected})" for feature, observed, expected in step.rows[:3]]
    for below in () if step.said else step.below:
        _deciding(below, language, parts, exceptions)


def _fitting(parts: list[str]) -> list[str]:
    """As many of the parts as fit, one at least."""
    kept: list[str] = []
    room = LONGEST_SUMMARY
    for part in parts:
        room -= len(part) + 2
        if room < 0 and kept:
            break
        kept.append(part)
    return kept


def asked(explanation: object) -> set[str]:
    """The fields that an explanation speaks of, as the event has them."""
    found: set[str] = set()
    waiting = [(explanation.get("root", explanation), 0)] if isinstance(explanation, Mapping) else []
    for _ in range(MOST_NODES):
        if not waiting:
            break
        node, depth = waiting.pop()
        if not isinstance(node, Mapping):
            continue
        group = node.get("group")
        found |= {str(name) for name in (node.get("field"), *listed(node.get("counted"))) if name}
        found |= {str(name) for name in group} if isinstance(group, Mapping) else set()
        if depth < DEEPEST:
            waiting += [(child, depth + 1) for child in listed(node.get("children"))]
    return found


def sentence(step: Step) -> str:
    """One step on one line, without its mark and without what is below it."""
    said = f"{step.said}:" if step.said and step.asked else step.said
    parts = [said, step.asked, step.text if step.asked or not step.said else ""]
    line = " ".join(part for part in parts if part)
    proof = " ".join(part for part in (step.lead, step.seen) if part)
    return (" · " if step.lead else " ").join(part for part in (line, proof) if part)


def told(step: Step, language: str, indent: str = "") -> Iterator[str]:
    """One step and all below it as lines, each behind its mark."""
    mark = {True: "✓ ", False: "✗ ", None: ""}[step.held]
    name = f"{step.name}: " if step.name and not step.said else ""
    yield f"{indent}{mark}{name}{sentence(step)}"
    for feature, observed, expected in step.rows:
        yield f"{indent}  {feature}: {observed} ({phrase('usual', language)} {expected})"
    for below in step.below:
        yield from told(below, language, indent + "  ")


def _words(explanation: Mapping[str, Any], language: str) -> dict[str, str]:
    """The rule's own words for its selections, those of the other language where there are none."""
    words = explanation.get("words")
    found: dict[str, str] = {}
    for known in ("es", "en") if language == "en" else ("en", "es"):
        said = words.get(known) if isinstance(words, Mapping) else None
        if isinstance(said, Mapping):
            found |= {str(name): safe(text, LONGEST_SEEN) for name, text in said.items() if text}
    return found


@dataclass(frozen=True)
class _Teller:
    language: str
    titles: Mapping[str, str]
    words: Mapping[str, str]
    budget: Iterator[int]

    def step(self, node: Mapping[str, Any], depth: int) -> Step | None:
        if next(self.budget, None) is None:
            return None
        held = node["pass"] if isinstance(node.get("pass"), bool) else None
        match node.get("kind"):
            case "model":
                step, held = self._model(node), True if held is None else held
            case "correlation":
                step, held = self._correlation(node, depth), True if held is None else held
            case "field" | "keyword":
                step = self._leaf(node)
            case "not":
                step = self._denied(node, depth)
            case "and" | "or" as kind:
                step = Step(self._say(f"{kind}_failed" if held is False else f"{kind}_held"))
                step.below = self._below(node, depth)
            case other:
                step = Step(safe(other), below=self._below(node, depth))
        step.held = held
        self._named(step, node)
        return step

    def _named(self, step: Step, node: Mapping[str, Any]) -> None:
        """Gives the step its selection's name, and what the rule says of it."""
        step.name = step.name or safe(node.get("selection") or "")
        said = self.words.get(step.name, "") if step.name else ""
        if said and step.denied:
            said = self._say("exception_failed" if step.held is False else "exception_held").format(words=said)
        step.said = step.said or said

    def _denied(self, node: Mapping[str, Any], depth: int) -> Step:
        only = listed(node.get("children"))
        child = only[0] if len(only) == 1 and isinstance(only[0], Mapping) else {}
        kind = child.get("kind")
        if kind in ("field", "keyword"):
            step = self._leaf(child, denied=True)
        elif kind in ("and", "or"):
            step = Step(self._say(f"not_{kind}"), below=self._below(child, depth))
        else:
            step = Step(self._say("not"), below=self._below(node, depth))
        step.denied = True
        step.name = safe(child.get("selection") or "")
        return step

    def _say(self, key: str) -> str:
        return phrase(key, self.language)

    def _below(self, node: Mapping[str, Any], depth: int) -> list[Step]:
        children = [child for child in listed(node.get("children")) if isinstance(child, Mapping)]
        near = children if depth < DEEPEST else []
        steps = [step for child in near if (step := self.step(child, depth + 1)) is not None]
        missing = node.get("left_out")
        known = missing if isinstance(missing, int) and not isinstance(missing, bool) and missing > 0 else 0
        unsaid = known + len(children) - len(steps)
        if unsaid:
            more = self._say("left_out" if unsaid > 1 else "left_out_one")
            steps.append(Step(more.format(count=number(unsaid, self.language))))
        return steps

    def _leaf(self, node: Mapping[str, Any], *, denied: bool = False) -> Step:
        name, seen = str(node.get("field") or ""), node.get("seen")
        asks = _Asks.of(node)
        if node.get("kind") == "keyword":
            subject, denies = self._say("no_value" if denied else "some_value"), False
        else:
            subject, denies = called(name, self.language) if name else "", denied
        words = self._operator(asks, denied=denies)
        step = Step(f"{words} {self._values(node, asks, MOST_VALUES)}".rstrip(), asked=subject, raw=safe(name))
        if seen in (None, "", []):
            step.lead = "" if node.get("kind") == "keyword" else self._say("absent")
        else:
            step.lead, step.seen = self._say("seen"), safe(seen, LONGEST_SEEN)
        few = f"{words} {self._values(node, asks, 2)}".rstrip()
        if "re" in asks.names:
            few = self._say("no_pattern" if denies else "a_pattern")
        proof = f" ({safe(seen, LONGEST_VALUE)})" if step.seen and f"«{step.seen}»" not in few else ""
        step.brief = f"{subject} {few}{proof}".strip()
        return step

    def _operator(self, asks: _Asks, *, denied: bool) -> str:
        if asks.names == ["exists"] and asks.expected[:1] in ([False], ["false"]):
            return operator("exists", self.language, denied=not denied)
        parts = [self._say(name) for name in asks.names if name in PARTS]
        others = [name for name in asks.names if name not in PARTS and (name != "fieldref" or len(asks.names) == 1)]
        words = [
            operator(name if name in OPERATORS else safe(name), self.language, denied=denied and not at)
            for at, name in enumerate(others or ["equals"])
        ]
        if "fieldref" in asks.names and "fieldref" not in others:
            words.append(self._say("the_field"))
        if asks.cased:
            words.append(f"({self._say('cased')})")
        if asks.every:
            words.append(self._say("all_of"))
        return " ".join(parts + words)

    def _values(self, node: Mapping[str, Any], asks: _Asks, most: int) -> str:
        """The values asked for, the first `most` of them."""
        if "exists" in asks.names:
            return ""
        refers = "fieldref" in asks.names
        texts = [
            called(str(value), self.language) if refers else _bare(safe(value, LONGEST_VALUE), asks.names)
            for value in asks.expected
        ]
        shown = [f"«{text}»" if text not in ("", "None") else self._say("empty") for text in texts]
        more = node.get("more")
        count = len(shown) + (more if isinstance(more, int) and not isinstance(more, bool) and more > 0 else 0)
        if count > most or count > len(shown):
            shown = shown[: most - 1]
            rest = self._say("and_more" if asks.every else "or_more")
            return f"{', '.join(shown)} {rest.format(count=number(count - len(shown), self.language))}"
        joint = self._say("and" if asks.every else "or")
        return f" {joint} ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)

    def _model(self, node: Mapping[str, Any]) -> Step:
        step = Step(self._say("model"))
        for part in listed(node.get("contributions"))[:30]:
            if isinstance(part, Mapping):
                name = label(str(part.get("feature")), self.language)
                feature = _capital(name) or _cell(part.get("feature"), self.language)
                observed, expected = (_cell(part.get(key), self.language) for key in ("observed", "expected"))
                step.rows.append((feature, observed, expected))
        return step

    def _correlation(self, node: Mapping[str, Any], depth: int) -> Step:
        told = Correlated(node, self.language, self.titles, inside=depth > 0)
        said = told.sentence()
        step = Step(_capital(said.text), lead=said.lead, seen=said.seen, brief=said.text)
        if said.lead:
            proof = f"{said.lead} {said.seen}"
            step.brief = f"{said.text}: {proof}" if "(" in proof else f"{said.text} ({proof})"
        group = node.get("group")
        for name, value in list(group.items())[:10] if isinstance(group, Mapping) else ():
            same = self._say("all_with").format(field=called(str(name), self.language))
            shown = safe(value, LONGEST_SEEN)
            step.below.append(Step(same, seen=shown, brief=f"{same} {shown}"))
        if note := told.note():
            step.below.append(Step(note))
        step.below += self._facts(node, depth, told, named=said.names)
        return step

    def _facts(self, node: Mapping[str, Any], depth: int, told: Correlated, *, named: bool) -> list[Step]:
        """What a correlation puts together: the rules by their titles, and the correlations inside it."""
        inner = {
            str(child.get("rule") or at): step
            for at, child in enumerate(listed(node.get("children")))
            if depth < DEEPEST and isinstance(child, Mapping) and (step := self.step(child, depth + 1)) is not None
        }
        facts = []
        for rule, mark in told.marks().items():
            step, title = inner.pop(rule, None), safe(self.titles.get(rule, ""), LONGEST_SEEN)
            said = told.occurred(rule, title, mark)
            if step is not None and title:
                text = f"{step.text[:1].lower()}{step.text[1:]}"
                step.text = f"{title}: {text}" if said == title else f"{said}; {text}"
                step.brief = f"{title}: {step.brief}"
                step.held = mark if named else step.held
            elif title:
                step = Step(said, mark, brief=title if mark and not named else "")
            if step is not None:
                facts.append(step)
        return facts + list(inner.values())


@dataclass(frozen=True)
class _Asks:
    """What a leaf asks: its operator taken apart, and the values."""

    names: list[str]
    every: bool
    cased: bool
    expected: list[Any]

    @classmethod
    def of(cls, node: Mapping[str, Any]) -> _Asks:
        modifiers = [part for part in str(node.get("op") or "").lower().split("|") if part][:8]
        names = [
            name for part in modifiers if part not in ("all", "cased") and (name := _SAME.get(part, part)) != "equals"
        ]
        return cls(names, "all" in modifiers, "cased" in modifiers, listed(node.get("expected"))[:1_000])


def _bare(text: str, names: list[str]) -> str:
    """A pattern without the wildcards that its operator already says."""
    if ("endswith" in names or "contains" in names) and text.startswith("*"):
        text = text[1:]
    if ("startswith" in names or "contains" in names) and text.endswith("*") and not text.endswith("\\*"):
        text = text[:-1]
    return text


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _cell(value: object, language: str) -> str:
    return "—" if value is None else number(value, language)


def listed(value: object) -> list[Any]:
    """A list as it is, one value as a list of it, nothing as none."""
    return value if isinstance(value, list) else [] if value is None else [value]

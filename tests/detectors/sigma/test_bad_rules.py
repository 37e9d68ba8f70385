"""Rules from strangers: whatever a file holds, each document is loaded or refused with a reason, and the rest loads."""

from __future__ import annotations

import copy
import datetime
import re
import resource
import tarfile
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
import pytest
import yaml
from corpora import corpus
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sigma_engines import ENGINES
from sigma_strategies import written

from almena.yamlfile import load_all
from detectors.sigma.detector import SigmaDetector
from detectors.sigma.loader import load_texts
from detectors.sigma.rules import RuleSet

GOOD = "title: Good\nid: bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb\nlogsource: {product: windows}\n"
GOOD += "detection: {s: {a: x}, condition: s}\n"
BASE = "title: Bad\nlogsource: {product: windows}\ndetection: {s: {a: x}, condition: s}\n"
EVENT = {"event.dataset": "windows.x", "a": "x", "@timestamp": "2026-11-22T19:34:00.123456Z", "event.id": "s:l:1"}
EVENT |= {"event.ingested": EVENT["@timestamp"], "organization.id": "sfa"}

BLOCK = "".join(f"{' ' * level}-\n" for level in range(1, 300)) + " " * 301 + "x\n"

_BARE = re.compile(r"[A-Za-z_.]*(?:Error|Exception)|.*object at 0x.*|.*Traceback.*|", re.DOTALL)


def load(*texts: str) -> RuleSet:
    """The set of some files; the good one among them loads, and what is refused is refused in words."""
    ruleset = load_texts([*((f"{number}.yml", text) for number, text in enumerate(texts)), ("good.yml", GOOD)])
    assert [rule.title for rule in ruleset.rules if rule.file == "good.yml"] == ["Good"]
    for rejection in ruleset.rejected:
        assert rejection.file != "good.yml"
        assert not _BARE.fullmatch(rejection.reason), rejection
        assert len(str(rejection)) < 2_000
        assert len(rejection.reason.split()) > 1, rejection
    return ruleset


def reason_of(text: str) -> str:
    ruleset = load(text)
    assert len(ruleset.rules) == 1
    return "; ".join(rejection.reason for rejection in ruleset.rejected)


def use(ruleset: RuleSet) -> None:
    """What the product does with a set and an event; nothing of it may raise."""
    for make in ENGINES:
        make(ruleset.rules).match(EVENT)
    assert len(ruleset.hash) == 16
    list(SigmaDetector(ruleset).select([EVENT]))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BASE.replace("{a: x}", "&x {a: x}") + "again: *x\n", "aliases (*x) are refused"),
        (BASE.replace("{a: x}", "{a: &x x, b: *x}"), "aliases (*x) are refused"),
        ("a: &a [x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n" + BASE, "aliases (*a) are refused"),
        ("base: &b {title: T}\n<<: *b\n" + BASE, "aliases (*b) are refused"),
        (BASE.replace("{a: x}", "[" * 5_000 + "x" + "]" * 5_000), "nested deeper than 100"),
        (BASE.replace("{a: x}", "{a: " * 5_000 + "x" + "}" * 5_000), "nested deeper than 100"),
        (f"title: T\nx:\n{BLOCK}", "nested deeper than 100"),
        (BASE.replace("a: x", "a|nope: x"), "Unknown modifier 'nope'"),
        (BASE.replace("a: x", "a|: x"), "Unknown modifier ''"),
        (BASE.replace("a: x", "a|contains|contain: x"), "Unknown modifier 'contain'"),
        (BASE.replace("a: x", "a|re: '(a{1,1000}){1,1000}'"), "is invalid: "),
        (BASE.replace("a: x", r"a|re: '(a)\1'"), "is invalid: "),
        (BASE.replace("a: x", "a|re: '(?=a)a'"), "is invalid: "),
        (BASE.replace("a: x", "a|re: '(a'"), "is invalid: "),
        (BASE + "id: bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb\n---\n" + GOOD, "is taken by 'Bad' in 0.yml"),
        (BASE.replace("a: x", "a: !!python/object/apply:os.system [x]"), "could not determine a constructor"),
        (BASE.replace("a: x", "a: !!binary eA=="), "Unsupported type"),
        (BASE.replace("a: x", "a: 2020-01-01"), "Unsupported type"),
        (BASE.replace("a: x", "a: .nan"), "Invalid number"),
        (BASE.replace("a: x", "a: .inf"), "Invalid number"),
        (BASE.replace("a: x", "a: !!set {x, y}"), "Unsupported type"),
        (BASE.replace("a: x", "a: " + "9" * 5_000), "no valid YAML"),
        (BASE.replace("a: x", "? [a, b]\n  : x"), "YAML"),
        (BASE.replace("a: x", "a: x, a: y"), "the key 'a' is written twice"),
        (BASE.replace("a: x", "1: x"), "is no text"),
        (BASE.replace("s: {", "5: {"), "is no text"),
        (BASE.replace("detection: ", "\tdetection: "), "no valid YAML"),
        (BASE.replace("condition: s", "condition: " + "s or " * 5_000 + "s"), "longer than"),
        (BASE.replace("condition: s", "condition: " + "(" * 500 + "s" + ")" * 500), "parentheses"),
        (BASE.replace("title: Bad", "title: [1]"), "title"),
        (BASE.replace("title: Bad", "title: " + "x" * 300), "title"),
        ("\x00" + BASE, "no valid YAML"),
        ("%YAML 9.9\n---\n" + BASE, "no valid YAML"),
        ("- a\n- b\n", "a rule is a mapping"),
        ("5", "a rule is a mapping"),
        ("title: T\n", "logsource"),
    ],
)
def test_each_is_refused_with_its_reason_and_the_rest_loads(text: str, said: str) -> None:
    ruleset = load_texts([("0.yml", text), ("good.yml", GOOD)])
    assert said in "; ".join(rejection.reason for rejection in ruleset.rejected)
    assert "Good" in [rule.title for rule in ruleset.rules] or said.startswith("is taken")


@pytest.mark.parametrize("bom", ["\ufeff", "\ufeff\ufeff"])
def test_a_mark_of_the_byte_order_is_no_harm(bom: str) -> None:
    ruleset = load(bom + BASE)
    assert len(ruleset.rules) + len(ruleset.rejected) == 2


BIG = [
    ("a rule of ten megabytes", BASE + "description: " + "x" * 10_000_000 + "\n"),
    ("a value of ten megabytes", BASE.replace("a: x", f"a: {'x' * 10_000_000}")),
    ("a hundred thousand documents", "---\n".join(["a: b\n"] * 100_000)),
    ("a hundred thousand selections", BASE.replace("s: {", "".join(f"s{n}: x, " for n in range(100_000)) + "s: {")),
    ("a million brackets", "x: " + "[" * 1_000_000),
    ("a comment of four megabytes", BASE + "#" * 4_000_000),
    ("a million keys", "".join(f"k{n}: 1\n" for n in range(300_000)) + BASE),
    (
        "a long condition of many values",
        BASE.replace("a: x", f"a: [{', '.join(f'v{n}' for n in range(9_000))}]").replace(
            "condition: s", "condition: " + "s or " * 1_900 + "s"
        ),
    ),
    ("many wildcards", BASE.replace("a: x", f"a: '{'*a?' * 50_000}'")),
    ("many dashes", BASE.replace("a: x", f"a|windash: '{' -a' * 50_000}'")),
    ("many patterns", BASE.replace("a: x", f"a|re: [{', '.join(f'a{n}+b' for n in range(20_000))}]")),
    ("many values", BASE.replace("a: x", f"a|contains: [{', '.join(f'v{n}' for n in range(100_000))}]")),
    ("a long pattern", BASE.replace("a: x", f"a|re: '{'(a|b)*' * 20_000}'")),
    ("wide alternatives", BASE.replace("a: x", "a|re: '" + "|".join("x" * 50 for _ in range(20_000)) + "'")),
    ("base64 of a megabyte", BASE.replace("a: x", f"a|base64offset|contains: '{'x' * 1_000_000}'")),
]


@pytest.mark.parametrize("text", [text for _, text in BIG], ids=[name for name, _ in BIG])
def test_large_rules_cost_bounded_time_and_memory(text: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    ruleset = load(text)
    use(ruleset)
    assert time.process_time() - start < 60
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_500_000


def test_a_catastrophic_expression_is_linear_on_any_event() -> None:
    """RE2 takes what backtracking engines choke on, and answers in linear time."""
    ruleset = load(
        BASE.replace("a: x", "a|re: '^(a+)+$'"), BASE.replace("a: x", "a|re: '(x+x+)+y'").replace("Bad", "B")
    )
    assert not ruleset.rejected
    start = time.process_time()
    for make in ENGINES:
        make(ruleset.rules).match({**EVENT, "a": "a" * 200_000 + "!"})
        make(ruleset.rules).match({**EVENT, "a": "x" * 200_000})
    assert time.process_time() - start < 20


# --- SigmaHQ's rules, damaged ----------------------------------------------------------------------------------------


@cache
def originals() -> list[dict[str, Any]]:
    """Every thirtieth of SigmaHQ's rules."""
    with tarfile.open(corpus("sigmahq/rules-994da16.tar.xz")) as archive:
        texts = [file.read().decode() for member in archive if (file := archive.extractfile(member)) is not None]
    return [content for text in texts[::30] if isinstance(content := load_all(text)[0], dict)]


def deep(levels: int) -> Any:
    found: Any = "x"
    for level in range(levels):
        found = [found] if level % 2 else {"k": found}
    return found


ODD = st.one_of(
    st.sampled_from(
        [None, [], {}, "", 0, -1, True, False, 1.5, float("nan"), float("inf"), 10**30, 10**400, b"\xff\x00"]
    ),
    st.sampled_from([datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)]),
    st.sampled_from(
        [[None], [[]], [{}], {"": ""}, {None: 1}, {1: 2}, {True: "x"}, ["x", {"a": "b"}], {"a": [{"b": []}]}]
    ),
    st.sampled_from(
        ["them", "1 of them", "all of x*", "not", "(", "s or", "%x%", "*", "\\", "a|b", "<<", "=", "!!int 5"]
    ),
    st.sampled_from(
        ["\ufeff", "\u202e", "\x85", "\ud7ff", "\U0010ffff", "İ", "ß", "a\tb", "a\x00b", "\r\n", "é" * 300]
    ),
    st.sampled_from([10, 40, 98]).map(deep),
    st.sampled_from([["x"] * 300, "x" * 9_000, {f"k{number}": "x" for number in range(100)}]),
    st.text(max_size=8),
)
KEYS = st.one_of(
    st.sampled_from(
        ["a|re", "a|contains|all", "|all", "|", "a|cidr", "a|expand", "a|gt", "a|fieldref", "a|base64offset"]
    ),
    st.sampled_from(
        ["a|windash|re", "a|exists", "a|minute", "a|cased|wide|base64", "condition", "timeframe", "action"]
    ),
    st.sampled_from(["correlation", "filter", "detection", "logsource", "tests", "es", "id", "name", "", "<<", "re|i"]),
    st.sampled_from([None, 5, True, datetime.date(2020, 1, 1), b"k", 1.5]),
    st.text(max_size=4),
)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a tree, by the keys that lead to it."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path] * bool(path) + [found for key, child in children for found in places(child, (*path, key))]


def damage(document: dict[str, Any], draw: Callable[..., Any]) -> None:
    path = draw(st.sampled_from(places(document) or [()]))
    if not path:
        document[draw(KEYS)] = copy.deepcopy(draw(ODD))
        return
    parent: Any = document
    for key in path[:-1]:
        parent = parent[key]
    match draw(st.sampled_from(["drop", "replace", "rename", "wrap", "add"])):
        case "drop":
            del parent[path[-1]]
        case "replace":
            parent[path[-1]] = copy.deepcopy(draw(ODD))
        case "rename" if isinstance(parent, dict):
            parent[draw(KEYS)] = parent.pop(path[-1])
        case "wrap":
            parent[path[-1]] = draw(st.sampled_from([[parent[path[-1]]], {"x": parent[path[-1]]}]))
        case _ if isinstance(parent, dict):
            parent[draw(KEYS)] = copy.deepcopy(draw(ODD))
        case _:
            parent.append(copy.deepcopy(draw(ODD)))


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_damaged_rules_load_or_say_why(data: st.DataObject) -> None:
    document = copy.deepcopy(data.draw(st.sampled_from(originals())))
    for _ in range(data.draw(st.integers(1, 4))):
        damage(document, data.draw)
    try:
        text = written(document)
    except (yaml.YAMLError, TypeError):
        return  # no YAML says it
    for mode in ("native", "ecs"):
        ruleset = load_texts([("0.yml", text), ("good.yml", GOOD)], mode)
        assert "Good" in [rule.title for rule in ruleset.rules]
        for rejection in ruleset.rejected:
            assert not _BARE.fullmatch(rejection.reason), rejection
    use(load(text))


@settings(max_examples=150)
@given(st.data())
def test_damaged_texts_load_or_say_why(data: st.DataObject) -> None:
    text = written(data.draw(st.sampled_from(originals())))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        piece = data.draw(
            st.sampled_from(
                ["\t", "\n", "---\n", "...\n", "&a ", "*a", "<<: ", "!!x ", "{", "]", "'", '"', "\x00", "\ufeff"]
            )
            | st.sampled_from(["#", "|", "> ", "? ", ": ", "- ", "%", "@", "`", "\r", "\x85", "\u2028", "  "])
            | st.text(max_size=3)
        )
        text = text[:at] + piece + text[at + data.draw(st.integers(0, 5)) :]
    use(load(text))


METADATA = ["title", "id", "name", "related", "taxonomy", "status", "description", "license", "author", "references"]
METADATA += ["date", "modified", "fields", "falsepositives", "level", "tags", "scope", "es", "en", "tests", "mine"]


@settings(max_examples=400)
@given(st.dictionaries(st.sampled_from(METADATA), ODD, max_size=3))
def test_whatever_a_rule_says_about_itself_it_alerts(about: dict[str, Any]) -> None:
    """A rule that loads raises its alert, and the alert can be stored."""
    try:
        ruleset = load(written(load_all(BASE)[0] | about))
    except (yaml.YAMLError, TypeError):
        return  # no YAML says it
    assert len(ruleset.rules) + len(ruleset.rejected) == 2
    found = [item for item in SigmaDetector(ruleset).select([EVENT]) if isinstance(item, dict)]
    assert len(found) == len(ruleset.rules)
    assert all(msgspec.json.encode(alert) for alert in found)

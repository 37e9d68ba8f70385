"""Random rules over everything that a detection may hold, and random events over everything that strangers send."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import yaml
from hypothesis import strategies as st

FIELDS = st.sampled_from(["x", "y", "z", "deep.er", "aside"])

LETTERS = ["a", "A", "b", "ab", "ba", "aab", "Ab", "a b", "c-d"]
FOREIGN = ["ñ", "Ñ", "İ", "i", "ı", "ß", "ẞ", "ΟΔΟΣ", "οδος", "aΣb", "é", "e\u0301", "\u212a", "k", "ﬀ", "😀", "\u2028"]
ODD = ["", " ", "\x00", "a\x00b", "a\nb", "a\r\n", "a\\", "\\", "a\\b", "*", "?", "%a%", "a.b", "[a]", "$", "^a"]
NUMBERS = ["0", "1", "5", "5.0", "-3", "05", "1e1", "0x5", "٥", "true", "null", "5 "]
DASHED = ["-a", " -a", "/a", "–a", "—a b", "―a", "-a -b", "a-b", "-?b", "- a"]
PLACES = ["10.1.2.3", "10.0.0.1", "::ffff:10.1.2.3", "::1", "fe80::1%eth0", "11.0.0.0/8", "010.1.2.3"]
TIMES = ["2025-12-01T04:34:56.000000Z", "2025-12-01T04:34:56-06:00", "2024-02-29T23:59:59.999999Z", "2025-13-01"]
SPOKEN = [*LETTERS, *FOREIGN, *ODD, *NUMBERS, *DASHED]

WILD = ["a*", "*a", "a?b", "*a*b*", "?", "??", "*?", r"\*"]
WILD += [r"a\?", r"a\\*", r"\\\*", "a*b", "a*b?", "*ñ?*", "*İ*", "ΟΔ?Σ", "*\\", "*-a*"]
WORDS = st.sampled_from([*SPOKEN, *WILD])
FULL = WORDS.filter(bool)
SCALARS = WORDS | st.integers(-3, 6) | st.booleans() | st.none() | st.sampled_from([1.5, 5.0, 0.0, 10**20])
VALUES = SCALARS | st.lists(SCALARS, min_size=1, max_size=3)
EXPRESSIONS = [
    "a+b",
    "^a",
    "b$",
    "[ab]{2}",
    r"\w\d",
    "a|5",
    "(?i)A",
    ".",
    "^$",
    r"a\\",
    r"\bA\b",
    "a.b",
    "ñ",
    "(?i)Ñ",
    "^.{1,3}$",
    "(?s)^a.b$",
    "(?s)^a.*b$",
]
PATTERNS = st.sampled_from(EXPRESSIONS)
NETWORKS = st.sampled_from(["10.0.0.0/8", "::1/128", "fe80::/10", "0.0.0.0/0", "10.1.2.3/32"])
ENCODED = st.sampled_from(["ab", "A", "ñ", "iex", "€", "ab "])
TEXTS = ["contains", "startswith", "endswith", "cased", "windash", "neq"]
CHAINS = [
    *TEXTS,
    *(f"{one}|{two}" for one in TEXTS for two in TEXTS if one != two),
    *(f"{one}|all" for one in TEXTS[:5]),
    "all|contains",
    "windash|contains|all",
    "contains|cased|windash",
    "windash|endswith|cased|neq",
]
ENCODINGS = [
    *(
        f"{wide}{base}"
        for wide in ("", "wide|", "utf16le|", "utf16be|", "utf16|")
        for base in ("base64", "base64offset")
    ),
    "base64offset|contains",
    "wide|base64offset|contains",
    "utf16le|base64offset|contains|all",
    "wide",
    "wide|contains",
]
REFERENCES = ["fieldref", "fieldref|cased", "neq|fieldref"] + [
    f"{pair}" for how in ("contains", "startswith", "endswith") for pair in (f"fieldref|{how}", f"{how}|fieldref|neq")
]


@st.composite
def items(draw: Callable[..., Any]) -> tuple[str, Any]:
    """A field with its modifiers, and its values."""
    field, kind = draw(FIELDS), draw(st.sampled_from(["", "", "text", "text", "code", "number", "time", "re", "other"]))
    if kind == "text":
        return f"{field}|{draw(st.sampled_from(CHAINS))}", draw(st.lists(FULL, min_size=1, max_size=3))
    if kind == "code":
        return f"{field}|{draw(st.sampled_from(ENCODINGS))}", draw(st.lists(ENCODED, min_size=1, max_size=2))
    if kind == "number":
        compare = draw(st.sampled_from(["lt", "lte", "gt", "gte", "lt|neq", "gte|neq"]))
        return f"{field}|{compare}", draw(st.integers(-3, 6) | st.sampled_from([0.5, 5.0, 1e300]))
    if kind == "time":
        part = draw(st.sampled_from(["minute", "hour", "day", "week", "month", "year"]))
        more = draw(st.sampled_from(["", "|gte", "|lt", "|neq"]))
        return f"{field}|{part}{more}", draw(st.sampled_from([1, 4, 12, 22, 29, 30, 34, 48, 49, 2025]))
    if kind == "re":
        flags = draw(st.sampled_from(["", "|i", "|m", "|s", "|i|s", "|m|s|i", "|neq"]))
        return f"{field}|re{flags}", draw(PATTERNS | st.lists(PATTERNS, min_size=1, max_size=2))
    if kind == "other":
        way = draw(st.sampled_from(["exists", "cidr", "cidr|neq", *REFERENCES]))
        return f"{field}|{way}", draw(st.booleans() if way == "exists" else NETWORKS if "cidr" in way else FIELDS)
    return draw(st.sampled_from([field, f"{field}|neq"])), draw(VALUES)


KEYWORDS = st.one_of(
    FULL,
    st.lists(FULL | st.integers(0, 6) | st.booleans(), min_size=1, max_size=3),
    st.tuples(
        st.sampled_from(["|all", "|contains|all", "|cased", "|startswith", "|endswith", "|windash", "|contains|cased"]),
        st.lists(FULL, min_size=1, max_size=3),
    ).map(lambda pair: dict([pair])),
    st.tuples(st.just("|re"), PATTERNS).map(lambda pair: dict([pair])),
    st.just({"|cidr": "10.0.0.0/8"}),
)
MAPS = st.lists(items(), min_size=1, max_size=3).map(dict)
SELECTIONS = st.one_of(MAPS, st.lists(MAPS, min_size=1, max_size=2), st.lists(MAPS | FULL, min_size=1, max_size=3))
NAMES = ["s1", "s2", "k", "_f"]
CONDITIONS = st.recursive(
    st.sampled_from([*NAMES, "1 of s*", "all of s*", "1 of them", "all of them", "any of *", "1 of _*", "all of s1*"]),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join)
        | inner.map(lambda text: f"({text})")
        | inner.map(lambda text: f"not ({text})")
        | st.sampled_from(NAMES).map(lambda name: f"not {name}")
    ),
    max_leaves=5,
)


@st.composite
def detections(draw: Callable[..., Any]) -> dict[str, Any]:
    """A whole detection."""
    found = {"s1": draw(SELECTIONS), "s2": draw(SELECTIONS), "k": draw(KEYWORDS), "_f": draw(SELECTIONS)}
    return found | {"condition": draw(CONDITIONS | st.lists(CONDITIONS, min_size=1, max_size=2))}


CODES = [
    b64encode(b"?" * pad + text.encode(form) + b"!").decode()
    for text in ("ab", "ñ", "iex")
    for form in ("utf-8", "utf-16-le", "utf-16-be", "utf-16")
    for pad in range(3)
]
LONG = ["b" * 5_000 + "ab", "a" * 70_000, "ab" + " " * 3_000 + "ñ"]
SIMPLE = st.one_of(
    st.sampled_from([*SPOKEN, *PLACES, *TIMES, *CODES, "iex", "i\0e\0x\0", *LONG]),
    st.sampled_from([True, False, 0, 1, 1.0, 0.0, -0.0, 5, 5.0, 1.5, -3, None, 10**20, 10**400, 1e300]),
    st.sampled_from([float("nan"), float("inf")]),
    st.text(max_size=4),
)
ANYTHING = st.recursive(
    SIMPLE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "q"]), inner, max_size=2),
    max_leaves=4,
)
EVENTS = st.builds(
    lambda fields, aside: fields | ({} if aside is None else {"almena.misfit": aside}),
    st.dictionaries(FIELDS | st.just("other"), ANYTHING, max_size=4),
    st.none() | st.none() | st.dictionaries(st.sampled_from(["aside", "x"]), ANYTHING, max_size=2) | SIMPLE,
)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def written(document: Any) -> str:
    """The document as YAML, in ASCII."""
    return yaml.dump(document, Dumper=_Dumper, allow_unicode=False, width=10**6)

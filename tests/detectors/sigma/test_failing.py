"""What a person reads when an example of a rule fails."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.sigma import failing
from detectors.sigma.loader import load_texts
from detectors.sigma.trial import try_rules

RULE = """\
title: Web shell
id: 11111111-1111-4111-8111-111111111111
logsource: {product: linux, category: process_creation}
detection:
  selection:
    Image|endswith: [/sh, /bash]
    CommandLine|contains|all: [curl, http]
    ParentImage: /usr/sbin/nginx
  filter_main:
    User: deploy
  filter_cron:
    CommandLine|contains: cron
  condition: selection and not 1 of filter_*
tests:
"""


def failure(tests: str) -> list[str]:
    (found,) = try_rules(load_texts([("x.yml", f"{RULE}  {tests}\n")], "ecs")).failures
    return str(found).splitlines()


def test_one_that_should_match_shows_each_branch_that_kept_it_from_it() -> None:
    event = "{Image: /bin/dash, CommandLine: 'curl -s http://x', ParentImage: /usr/sbin/nginix, User: deploy}"
    assert failure(f"alerts: {{shell: {event}}}") == [
        "x.yml: Web shell: alerts: shell: it should match and does not",
        "    condition: selection and not 1 of filter_*",
        "    ✗ and",
        "      ✗ selection: and",
        "        ✗ process.parent.executable equals '/usr/sbin/nginx'; seen '/usr/sbin/nginix'",
        "            asked /usr/sbin/nginx",
        "            seen  /usr/sbin/nginix",
        "                                ^",
        "        ✗ process.executable endswith '*/bash' or '*/sh'; seen '/bin/dash'",
        "            asked */bash",
        "            seen  /bin/dash",
        "        ✓ process.command_line contains|all '*curl*' and '*http*'",
        "      ✗ not",
        "        ✓ or",
        "          ✓ filter_main: user.name equals 'deploy'; seen 'deploy'",
        "          ✗ filter_cron: process.command_line contains '*cron*'",
        (
            "    nearest miss: process.parent.executable equals '/usr/sbin/nginx'"
            " and process.executable endswith '*/bash' and user.name other than 'deploy'"
        ),
    ]


def test_one_that_should_not_match_says_what_would_stop_it() -> None:
    found = failure("silent: {other: {Image: /bin/sh, CommandLine: curl http cro, ParentImage: /usr/sbin/nginx}}")
    assert found[0] == "x.yml: Web shell: silent: other: it should not match and does"
    assert "          ✗ filter_main: user.name equals 'deploy'; seen nothing" in found
    assert found[-1] == "    enough to stop it: process.command_line contains '*cron*'"


def test_the_event_of_several_that_failed_is_named() -> None:
    good = "{Image: /bin/sh, CommandLine: curl http, ParentImage: /usr/sbin/nginx}"
    found = failure(f"alerts: {{two: [{good}, {{Image: /bin/sh}}]}}")
    assert found[0].endswith("alerts: two: it should match and does not, its event 2 of 2")
    assert "        ✗ process.parent.executable equals '/usr/sbin/nginx'; seen nothing" in found


def test_control_characters_of_an_example_are_escaped() -> None:
    found = failure('alerts: {x: {Image: "/bin/\\e[31mdash"}}')
    assert "\x1b" not in "\n".join(found)


LEAVES = st.fixed_dictionaries(
    {
        "kind": st.just("field"),
        "field": st.sampled_from("ab"),
        "op": st.sampled_from(["equals", "endswith", "re"]),
        "expected": st.lists(st.sampled_from(["x", "*x", "yx", 5]), min_size=1, max_size=3),
        "seen": st.sampled_from([None, "x", "zx"]),
        "pass": st.booleans(),
    }
)


def joined(kind: str, children: list[dict[str, Any]]) -> dict[str, Any]:
    answers = [child["pass"] for child in children]
    held = {"and": all(answers), "or": any(answers), "not": not answers[0]}[kind]
    return {"kind": kind, "children": children[:1] if kind == "not" else children, "pass": held}


TREES = st.recursive(
    LEAVES,
    lambda inner: st.builds(joined, st.sampled_from(["and", "or", "not"]), st.lists(inner, min_size=1, max_size=3)),
    max_leaves=10,
)


def answer(node: dict[str, Any], turned: list[int]) -> bool:
    if "children" not in node:
        return bool(node["pass"]) is not (id(node) in turned)
    answers = [answer(child, turned) for child in node["children"]]
    return {"and": all(answers), "or": any(answers), "not": not answers[0]}[node["kind"]]


@given(TREES)
def test_turning_the_nearest_leaves_turns_the_whole(tree: dict[str, Any]) -> None:
    wanted = not tree["pass"]
    nearest = list(failing._nearest(tree, wanted))
    assert nearest
    assert answer(tree, [id(node) for node in nearest]) is wanted
    said = list(failing.lines({"condition": "c", "root": tree}, wanted))
    assert said[-1].startswith("    nearest miss: " if wanted else "    enough to stop it: ")


def test_a_rule_of_thousands_of_conditions_fails_in_few_lines() -> None:
    values = ", ".join(f"v{number}" for number in range(2_000))
    text = (
        "title: T\nlogsource: {product: windows}\ndetection: {s: {%s}, condition: s}\ntests: {alerts: {x: {b1: y}}}\n"
    )
    wide = load_texts([("x.yml", text % f"a: [{values}]")])
    (found,) = try_rules(wide).failures
    assert len(str(found)) < 2_000
    assert "or 1996 more" in str(found)
    many = load_texts([("x.yml", text % ", ".join(f"b{number}: x" for number in range(2_000)))])
    (found,) = try_rules(many).failures
    assert len(str(found).splitlines()) < 70


@pytest.mark.parametrize(
    ("asked", "seen", "at"),
    [("abc", "abd", 2), ("abc", "ABC", None), ("abc*", "abX", 2), ("abc", "abcd", 3), ("a*c", "abd", None)],
)
def test_where_two_values_part(asked: str, seen: str, at: int | None) -> None:
    assert failing._parting(asked, seen) == at

"""`almena rules explain` as a person calls it, on rules and events of every kind."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from almena.app.explaining import choose, explain
from almena.errors import UsageError
from detectors.sigma.loader import load_texts

ONE, TWO, FAILED, CAME, MANY, THEN, USERS, BOTH = (
    f"{n}{n}{n}{n}{n}{n}{n}{n}-0000-4000-8000-000000000000" for n in range(1, 9)
)
ROOT = Path(__file__).parents[3]
RULES = f"""
title: Shell of a web server
id: {ONE}
name: web_shell
level: high
logsource: {{product: linux, category: process_creation}}
detection:
  server: {{ParentImage|endswith: [/nginx, /apache2]}}
  shell: {{Image|endswith: /sh}}
  filter: {{User: deploy}}
  condition: server and shell and not filter
es: {{titulo: Una consola, condiciones: {{server: 'Lo abrió {{process.parent.executable}}'}}}}
---
title: Shell elsewhere
id: {TWO}
logsource: {{product: linux, category: process_creation}}
detection: {{s: {{Image|endswith: /zsh}}, condition: s}}
---
title: Login failed
id: {FAILED}
name: failed
logsource: {{product: app, service: api}}
detection: {{s: {{event.outcome: failure}}, condition: s}}
---
title: Login
id: {CAME}
name: came
logsource: {{product: app, service: api}}
detection: {{s: {{event.outcome: success}}, condition: s}}
---
title: Many failures
id: {MANY}
name: many
correlation: {{type: event_count, rules: [failed], group-by: [source.ip], timespan: 5m, condition: {{gte: 8}}}}
---
title: Failures, then in
id: {THEN}
correlation: {{type: temporal_ordered, rules: [many, came], group-by: [source.ip], timespan: 1h}}
---
title: Many users
id: {USERS}
correlation:
  {{type: value_count, rules: [failed], group-by: [source.ip], timespan: 5m, condition: {{gte: 5, field: user.name}}}}
---
title: Both
id: {BOTH}
correlation: {{type: temporal, rules: [failed, came], group-by: [source.ip], timespan: 5m}}
"""
SHELL = {
    "@timestamp": "2026-11-22T10:00:00Z",
    "host.os.type": "linux",
    "event.category": ["process"],
    "event.type": ["start"],
    "process.executable": "/bin/sh",
    "process.parent.executable": "/usr/sbin/nginx",
    "user.name": "www-data",
}
CALL = {
    "@timestamp": "2026-11-22T10:00:00Z",
    "event.dataset": "app.api",
    "event.action": "login",
    "event.outcome": "failure",
    "source.ip": "203.0.113.9",
    "user.name": "ana",
}


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALMENA_SECRET", "00" * 32)
    (tmp_path / "rules").mkdir()
    path = tmp_path / "rules" / "own.yml"
    path.write_text(RULES, "utf-8")
    return path


def text(document: object) -> str:
    return msgspec.json.encode(document).decode()


def said(
    capsys: pytest.CaptureFixture[str], rules: Path, rule: str, event: str, **options: Any
) -> tuple[int, list[str]]:
    code = explain(rule, event, rules=[rules.parent], **options)
    return code, capsys.readouterr().out.splitlines()


def test_a_match_is_explained_with_the_rules_words(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, rules, "web_shell", text(SHELL)) == (
        0,
        [
            f"Shell of a web server ({ONE}, high)",
            "La regla coincide con el evento.",
            "Condición: server and shell and not filter",
            "✓ Se cumple todo esto",
            "  ✓ Lo abrió /usr/sbin/nginx: programa padre termina en «/nginx» o «/apache2» · se vio /usr/sbin/nginx",
            "  ✓ shell: programa termina en «/sh» · se vio /bin/sh",
            "  ✓ filter: usuario no es «deploy» · se vio www-data",
        ],
    )


def test_a_miss_says_what_comes_nearest(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = said(capsys, rules, ONE, text(SHELL | {"process.executable": "/bin/sh2"}), language="en")
    assert code == 1
    assert lines[-3:] == [
        "The nearest miss: one condition would change.",
        "  1. shell: program ends with «/sh» · seen /bin/sh2",
        "     the value contains it, but not at the end",
    ]


def test_as_json(rules: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert explain(ONE, text(SHELL | {"user.name": "deploy"}), rules=[rules.parent], json=True) == 1
    found = msgspec.json.decode(capsysbinary.readouterr().out)
    assert found["rule"] == {
        "id": ONE, "title": "Shell of a web server", "level": "high", "file": str(rules), "kind": "sigma",
    }  # fmt: skip
    assert found["matches"] is False
    assert found["nearest"]["changes"][0]["wanted"] is False


@pytest.mark.parametrize(
    "named", [ONE, ONE.upper(), ONE[:6], "web_shell", "Shell of a web server", "una consola", "of a web", "WEB_SHELL"]
)
def test_a_rule_has_many_names(named: str) -> None:
    assert choose(load_texts([("r.yml", RULES)], "ecs"), named).id == ONE


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ("shell", "'shell' names 2 rules: Shell of a web server"),
        ("Shel of a wep server", "did you mean 'Shell of a web server'?"),
        ("own", "names 8 rules"),
        ("x", "no rule 'x' among 8"),
        ("Broken", "Broken (broken.yml) is rejected: "),
    ],
)
def test_a_rule_that_is_not_found_says_what_is_near(named: str, reason: str) -> None:
    broken = "title: Broken\nlogsource: {product: x}\ndetection: {s: {a|nope: 1}, condition: s}\n"
    with pytest.raises(UsageError) as error:
        choose(load_texts([("own.yml", RULES), ("broken.yml", broken)], "ecs"), named)
    assert reason in str(error.value)


def test_a_file_may_stand_for_its_rule(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    documents = RULES.split("---")
    alone = rules.with_name("alone.yml")
    alone.write_text(documents[0])
    assert explain(str(alone), text(SHELL)) == 0
    pair = rules.with_name("pair.yml")
    pair.write_text("---".join([documents[2], documents[4]]))
    assert explain(str(pair), text(CALL)) == 0
    assert "Many failures" in capsys.readouterr().out, "the correlation over the file's rule"
    with pytest.raises(UsageError, match="8 rules; name one: Shell of a web server"):
        explain(str(rules), text(SHELL))
    broken = rules.with_name("broken.yml")
    broken.write_text("title: Broken\nlogsource: {product: x}\ndetection: {s: {a|nope: 1}, condition: s}\n")
    with pytest.raises(UsageError, match="Broken is rejected: "):
        explain(str(broken), text(SHELL))
    broken.write_text("")
    with pytest.raises(UsageError, match="there is no rule in it"):
        explain(str(broken), text(SHELL))
    with pytest.raises(UsageError, match="no such file"):
        explain("none.yml", text(SHELL))


def test_native_records_and_a_hint_when_they_were_not_called_so(
    rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = {"product": "linux", "category": "process_creation", "Image": "/bin/sh", "ParentImage": "/x/nginx"}
    assert said(capsys, rules, ONE, text(record), format_="native")[0] == 0
    code, lines = said(capsys, rules, ONE, text(record), format_="ecs")
    assert code == 1
    assert "     el evento lo trae con otro nombre, Image: «/bin/sh»; ahí se cumpliría" in lines
    assert lines[-1].endswith("pruebe --format native.")
    code, lines = said(capsys, rules, ONE, text(SHELL), format_="native", language="en")
    assert code == 1
    assert lines[-1].endswith("leave --format native out.")


def test_an_event_of_a_count(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, rules, "many", text(CALL)) == (
        0,
        [
            f"Many failures ({MANY}, medium)",
            "El evento cuenta para la correlación; por sí solo no la dispara.",
            "Al menos 8 eventos en 5 min",
            "✓ Login failed: cuenta en el grupo origen 203.0.113.9",
            "Faltan otros 7 eventos del mismo grupo en 5 min.",
        ],
    )
    ungrouped = {name: value for name, value in CALL.items() if name != "source.ip"}
    code, lines = said(capsys, rules, "many", text(ungrouped))
    assert (code, lines[3]) == (1, "✗ Login failed: coincide, pero no cuenta: no trae origen")


def test_an_event_of_other_correlations(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, rules, "Many users", text(CALL), language="en")[1][-1] == (
        "Another 4 different values of user in the same group are needed; this one has ana."
    )
    assert said(capsys, rules, "Both", text(CALL))[1][-1] == "Faltan en el mismo grupo: Login."
    _, lines = said(capsys, rules, "Failures, then in", text(CALL))
    assert lines[2:] == [
        "2 hechos en este orden, en 1 hora",
        "  Many failures: al menos 8 eventos en 5 min",
        "  Login",
        "✓ Login failed: cuenta en el grupo origen 203.0.113.9",
        "✗ Login: no coincide",
        "Antes debe cumplirse: Many failures.",
        "Después, en el mismo grupo: Login.",
    ]
    code, lines = said(capsys, rules, "Failures, then in", text(CALL | {"event.outcome": "success"}))
    assert (code, lines[-1]) == (0, "Antes, en el mismo grupo: Many failures.")


FEEDS = "El evento cuenta para la correlación; por sí solo no la dispara."
ALONE = "El evento cuenta para la correlación y por sí solo la dispara."
WAITS = "El evento cuenta para la correlación; si no viene nada más, la dispara."


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("type: event_count, condition: {gt: 1}", FEEDS, "Falta otro evento del mismo grupo en 5 min."),
        ("type: event_count, condition: {gte: 1}", ALONE, ""),
        ("type: event_count, condition: {lt: 5}", WAITS,
         "✓ Login failed: cuenta en el grupo origen 203.0.113.9"),
        ("type: event_count, condition: {gt: 2, lt: 9}", FEEDS,
         "✓ Login failed: cuenta en el grupo origen 203.0.113.9"),
        ("type: value_sum, condition: {gte: 5000, field: almena.payment.amount}", FEEDS,
         "Faltan otros 3,157.50 de monto en el mismo grupo en 5 min; este trae 1,842.50."),
        ("type: value_sum, condition: {gt: 1842.5, field: almena.payment.amount}", FEEDS,
         "Falta algo más de monto en el mismo grupo en 5 min; este trae 1,842.50."),
        ("type: value_sum, condition: {gt: 1842, field: almena.payment.amount}", ALONE, ""),
        ("type: value_sum, condition: {gte: 5, field: user.name}", "El evento no cuenta para la correlación.",
         "✗ Login failed: coincide, pero no cuenta: usuario no es un número"),
        ("type: value_percentile, condition: {gt: 5000, field: almena.payment.amount, percentile: 95}", FEEDS,
         "Depende de todos los eventos del grupo en 5 min; este trae 1,842.50 de monto."),
        ("type: temporal, condition: {gte: 2}", FEEDS, "Falta en el mismo grupo uno de estos: Login; Shell elsewhere."),
        ("type: temporal, condition: failed and not came", WAITS,
         "No debe venir en el mismo grupo, ni antes ni después: Login."),
        ("type: temporal, condition: came and not failed",
         "El evento es lo que no debe ocurrir: donde llega a tiempo, la correlación no avisa.", ""),
        ("type: temporal, condition: failed and (came or not zsh)", WAITS,
         "  2. No debe venir en el mismo grupo, ni antes ni después: Shell elsewhere."),
        ("type: temporal_ordered, condition: failed and not came", WAITS,
         "No debe venir después en el mismo grupo: Login."),
        ("type: temporal_ordered, rules: [came, failed, zsh], condition: failed and zsh and not came", FEEDS,
         "No debe haber venido antes en el mismo grupo: Login."),
    ],
)  # fmt: skip
def test_an_event_of_every_kind_of_correlation(
    rules: Path, capsys: pytest.CaptureFixture[str], asked: str, first: str, last: str
) -> None:
    reads = "" if "not" in asked else ", rules: [failed, came, zsh]" if "temporal" in asked else ", rules: [failed]"
    own = f"title: New\nname: new\ncorrelation: {{{asked}{reads}, group-by: [source.ip], timespan: 5m}}\n"
    (rules.parent / "new.yml").write_text(own, "utf-8")
    rules.write_text(RULES.replace("title: Shell elsewhere", "title: Shell elsewhere\nname: zsh"), "utf-8")
    code, lines = said(capsys, rules, "New", text(CALL | {"almena.payment.amount": 1842.5}))
    assert (code, lines[1]) == (int("no cuenta" in first), first)
    assert (lines[-1] == last) if last else lines[-1][0] in "✓✗"


def test_an_event_that_no_rule_of_a_correlation_sees(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines = said(capsys, rules, "many", text(CALL | {"event.outcome": "unknown"}))
    assert code == 1
    assert "La regla más cercana: Login failed" in lines
    assert lines[-1].strip() == "1. s: resultado es «failure» · se vio unknown"


def test_of_several_records_one_is_taken(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calm = SHELL | {"process.executable": "/bin/ls"}
    path = rules.parent.parent / "events.ndjson.gz"
    path.write_bytes(gzip.compress(b"\n".join(msgspec.json.encode(event) for event in (calm, SHELL))))
    assert explain(ONE, str(path), rules=[rules.parent]) == 1
    assert "--line N" in capsys.readouterr().err
    assert explain(ONE, str(path), rules=[rules.parent], line=2) == 0


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"language": "fr"}, "no language 'fr'; there are es, en"),
        ({"format_": "nope"}, "no format 'nope'"),
        ({"rules": [Path("nowhere")]}, "nowhere: no such file or folder"),
    ],
)
def test_wrong_options_say_what_instead(rules: Path, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError) as error:
        explain(ONE, text(SHELL), **{"rules": [rules.parent], **options})
    assert reason in str(error.value)


def test_the_command_says_by_its_exit_code_whether_the_rule_matches(rules: Path) -> None:
    def almena(*arguments: str, event: object = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "almena", "rules", "explain", "--rules", str(rules.parent), *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            command, input=text(event), capture_output=True, text=True, timeout=100, check=False, env=environment
        )

    done = almena(ONE, "-", event=SHELL)
    assert (done.returncode, done.stderr) == (0, "")
    assert almena(ONE, "-", event=SHELL | {"user.name": "deploy"}).returncode == 1
    done = almena("Shel of a wep server", "-", event=SHELL)
    assert done.returncode == 2
    assert done.stderr.startswith("almena: no rule 'Shel of a wep server' among 8")

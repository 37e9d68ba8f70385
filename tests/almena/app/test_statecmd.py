"""`almena state show` says in words why nothing has fired yet."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from almena.app import configuration, operators_of, ruleset
from almena.app.nearby import Looker
from almena.app.reaching import reached
from almena.app.remembered import Clock, Group, Remembered
from almena.app.standing import Measured, Teller
from almena.app.statecmd import find, measured_in, show
from almena.bus import EVENTS, HITS, Step, open_bus
from almena.clock import FOREVER, MINUTE, SECOND, format_time, parse_time
from almena.config import Config
from almena.correlate import Correlate, owner
from almena.detect import hit_record
from almena.errors import UsageError
from almena.event import Event
from almena.hit import Hit
from almena.progress import Progress
from almena.state import Partition
from almena.store import open_store
from almena.watermarks import watermark_records
from detectors.sigma.detector import SigmaDetector
from detectors.sigma.loader import load_texts
from detectors.sigma.rules import Correlation
from detectors.web_session import WebSession

LOGIN = "88888888-8888-4888-8888-888888888888"
OTHER = "77777777-7777-4777-8777-777777777777"
MANY = "99999999-9999-4999-8999-999999999999"
SOME = "44444444-4444-4444-8444-444444444444"
BOTH = "66666666-6666-4666-8666-666666666666"
RULES = f"""\
title: Login fails
id: {LOGIN}
name: login
logsource: {{product: app, service: tramites}}
detection: {{s: {{event.action: login_failed}}, condition: s}}
es: {{titulo: Falla una entrada}}
---
title: "A sign-in\\u202e"
id: {OTHER}
name: entered
logsource: {{product: app, service: tramites}}
detection: {{s: {{event.action: login}}, condition: s}}
---
title: Many accounts from one address
id: {MANY}
correlation:
  {{type: value_count, rules: [login], group-by: [source.ip], timespan: 5m, condition: {{gte: 5, field: user.name}}}}
es: {{titulo: Muchas cuentas desde una dirección}}
---
title: Both
id: {BOTH}
correlation: {{type: temporal, rules: [login, entered], group-by: [source.ip], timespan: 5m}}
---
title: Some
id: {SOME}
name: some
correlation: {{type: event_count, rules: [login], group-by: [source.ip], timespan: 5m, condition: {{gte: 2}}}}
---
title: Then in
id: 33333333-3333-4333-8333-333333333333
correlation: {{type: temporal_ordered, rules: [some, entered], group-by: [source.ip], timespan: 5m}}
---
title: Broken
id: 55555555-5555-4555-8555-555555555555
correlation: {{type: event_count, rules: [nobody], group-by: [source.ip], timespan: 5m, condition: {{gte: 2}}}}
"""
SET = load_texts([("a.yml", RULES)], "ecs")
NOON = parse_time("2026-11-21T18:00:00Z")
CLOCK = Clock(partition=1, lateness=0, watermark=NOON, waiting=3)


def progress(**changes: object) -> Progress:
    made = {
        "key": "sfa|10.0.0.1",
        "agency": "sfa",
        "group": {"source.ip": "10.0.0.1"},
        "value": 3,
        "wanted": "gte 5",
        "hits": 3,
        "first": NOON - 2 * MINUTE,
        "last": NOON - MINUTE,
        "closes": NOON + 3 * MINUTE,
    }
    return Progress(**{**made, **changes})  # type: ignore[arg-type]


def said(
    *groups: Progress,
    rule: str = MANY,
    clock: Clock = CLOCK,
    language: str = "es",
    key: str = "",
    others: tuple[Progress, ...] = (),
    measured: Measured | None = None,
    shadow: bool = False,
) -> list[str]:
    item = SET.by_id[rule]
    assert isinstance(item, Correlation)
    teller = Teller(language, ZoneInfo("America/Mexico_City"), NOON + 6 * SECOND, SET, item, None, measured)
    found, instead = (
        Remembered(groups=[Group(progress=each, clock=clock) for each in these], clocks=[clock])
        for these in (groups, others or groups)
    )
    return list(teller.lines(rule, found, instead, key, 2, shadow=shadow))


def test_a_group_on_its_way_is_told_with_its_clock() -> None:
    assert said(progress()) == [
        f"Muchas cuentas desde una dirección ({MANY}, medium)",
        "1. origen 10.0.0.1, dependencia sfa",
        "   3 de 5 valores distintos de usuario; desde las 11:58:00, el último hecho a las 11:59:00.",
        "   El más antiguo deja de contar a las 12:03:00, dentro de 3 min en la hora de los eventos.",
        "",
        "Partición 1: la hora de los eventos es 12:00:00, 6 s atrás; hechos de esta regla que la esperan: 3.",
    ]
    assert said(progress(), language="en")[1:4] == [
        "1. source 10.0.0.1, agency sfa",
        "   3 of 5 different values of user; since 11:58:00, the last hit at 11:59:00.",
        "   The oldest stops counting at 12:03:00, in 3 min of event time.",
    ]


def test_what_is_missing_and_what_has_fired() -> None:
    lines = said(progress(value=1, wanted="gte 2", missing=(OTHER, "gone")), progress(alert="202611-ab"), rule=BOTH)
    assert lines[2:4] == [
        "   1 de 2 hechos distintos; desde las 11:58:00, el último hecho a las 11:59:00.",
        "   Falta: «A sign-in\\u202e»; «gone».",
    ]
    assert lines[-3] == "   Ya avisó: la alerta 202611-ab está abierta."


def test_one_that_only_feeds_others_says_so() -> None:
    lines = said(progress(alert="202611-ab"), rule=SOME)
    assert lines[1] == "No avisa por sí sola; la leen: «Then in»."
    assert lines[4] == "   Ya se cumplió; lo saben las que la leen."


def test_windows_that_close_have_closed_or_have_no_clock() -> None:
    past = NOON - SECOND
    assert "se decide cuando la ventana cierre a las 12:03:00" in " ".join(said(progress(waits=True))).lower()
    assert "La ventana cerró a las 11:59:59" in said(progress(waits=True, closes=past))[3]
    assert "dejó de contar a las 11:59:59" in said(progress(closes=past))[3]
    unstarted = Clock(partition=0, lateness=0, watermark=-1)
    lines = said(progress(), clock=unstarted)
    assert (lines[3], lines[-1]) == (
        "   Cuenta hasta las 12:03:00.",
        "Partición 0: aún sin hora; falta que detect hable de cada partición de eventos.",
    )
    assert said(progress(), clock=Clock(partition=0, lateness=0, watermark=FOREVER))[-1].endswith("ya no vendrá nada.")
    slow = Clock(partition=0, lateness=0, watermark=NOON - 20 * MINUTE)
    assert said(progress(), clock=slow)[-1].startswith("La hora de los eventos va muy atrás")
    batch = Clock(partition=0, lateness=120 * MINUTE, watermark=NOON - 121 * MINUTE)
    assert said(progress(), clock=batch)[-1] == (
        "Partición 0, lotes de hasta 2 horas: la hora de sus eventos es 09:59:00."
    ), "such a clock is late by nature"


def test_nothing_is_told_with_its_reason() -> None:
    lines = said(measured=Measured({LOGIN: 1_200.0}, {"group": 7.0, "field": 0.0}), clock=Clock(
        partition=0, lateness=0, watermark=NOON), shadow=True)  # fmt: skip
    assert lines[1:6] == [
        "Está en sombra: lo que encuentra no avisa a nadie. `almena rules shadow` dice por qué.",
        "No recuerda ningún grupo: ningún hecho de sus reglas cuenta en este momento.",
        "Cuenta los hechos de:",
        "· «Falla una entrada»: eventos con los que ha coincidido desde que Almena arrancó: 1,200.",
        "No se contaron, por faltarles un campo por el que se agrupa: 7.",
    ]
    never = said(measured=Measured({LOGIN: 0.0}, {}))
    assert "hay hechos que esperan su hora" in never[1]
    assert never[3] == "✗ «Falla una entrada»: no ha coincidido con ningún evento desde que Almena arrancó."
    assert said()[3] == "· «Falla una entrada»"


def test_a_group_that_is_not_there_is_told_with_the_nearest_others() -> None:
    lines = said(key="10.9.9.9\x1b", others=tuple(progress() for _ in range(5)))
    assert lines[1] == ("Entre los grupos que recuerda (5) no está «10.9.9.9\\u001b». Los más cercanos a avisar:")
    assert sum(line.endswith("dependencia sfa") for line in lines) == 3


def test_more_groups_than_asked_for_are_counted() -> None:
    assert said(*[progress()] * 5)[-3] == "… y más grupos: 3; --limit los muestra."


@pytest.mark.parametrize(
    ("kind", "value", "wanted", "expected"),
    [
        ("event_count", 3.0, "gte 1000", "3 de 1,000 eventos"),
        ("event_count", 3, "gt 4", "eventos: 3; se pide más de 4"),
        ("event_count", 1, "gte 2, lt 9", "eventos: 1; se pide al menos 2 y menos de 9"),
        ("value_sum", 1500.5, "gte 10000", "suma de usuario: 1,500.5; se pide al menos 10,000"),
        ("value_percentile", 20, "gt 10", "percentil 50 de usuario: 20; se pide más de 10"),
        ("temporal_ordered", 1, "gte 3", "1 de 3 pasos en orden"),
        ("temporal", 1, "login and not\u202e entered", "hechos distintos: 1; se pide login and not\\u202e entered"),
        ("temporal_ordered", 1, "", "pasos en orden: 1"),
        ("unheard_of", "≥ 500", "gte 900", "≥ 500 de 900 hechos"),
    ],
)
def test_what_was_reached_is_told_by_the_type(kind: str, value: float | str, wanted: str, expected: str) -> None:
    item = SET.by_id[MANY]
    assert isinstance(item, Correlation)
    changed = dataclasses.replace(item, type=kind)
    assert reached(progress(value=value, wanted=wanted), changed, "es") == expected


def test_matches_and_skips_are_taken_from_the_metrics() -> None:
    text = (
        f'almena_rule_matches_total{{rule_id="{LOGIN}",level="low"}} 4.0\n'
        f'almena_correlation_skipped_total{{rule_id="{MANY}",reason="group"}} 2.0\n'
        f'almena_correlation_skipped_total{{rule_id="{BOTH}",reason="group"}} 9.0\n'
    )
    assert measured_in(text.encode(), MANY) == Measured({LOGIN: 4.0}, {"group": 2.0})


def test_a_wrong_name_is_told_with_what_comes_near() -> None:
    models = [WebSession()]
    assert find("web_session", SET, models)[0] is models[0]
    assert find("almena.WEB_session", SET, models)[1] is None
    assert find("muchas cuentas desde", SET, models)[0].name == MANY
    with pytest.raises(UsageError, match=r"did you mean 'Many accounts from one address'.*models: web_session"):
        find("Many acounts from one adress", SET, models)
    with pytest.raises(UsageError, match=r"one event at a time.*it is read by 'Many accounts.*'Both'"):
        find("login", SET, models)
    with pytest.raises(UsageError, match=r"is rejected: .*nobody"):
        find("55555555-5555-4555-8555-555555555555", SET, models)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yml").write_text(RULES)
    file = tmp_path / "almena.toml"
    file.write_text('rules = ["rules"]\nlanguage = "es"\n[console]\nlisten = "127.0.0.1:1"\n')
    return configuration(file)


def test_an_installation_is_looked_at_while_nobody_runs(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="there is no installation"):
        show(config, "web_session")
    open_store(config.store).close()
    bus = open_bus(config.bus, partitions=config.partitions)
    assert show(config, "web_session") == 1
    assert "Todavía no recuerda nada." in capsys.readouterr().out
    assert show(config, MANY, language="en") == 1
    assert "It remembers no group: no hit of its rules counts at present." in capsys.readouterr().out

    partition = Partition()
    partition.state(owner(WebSession())).table("books", limit=5).put("sfa|portal", [1, 2, 3])
    session = bus.session(HITS, group="correlate", member="m")
    session.poll(1, 0)
    session.commit({0: Step(0, {}, partition.changes())})
    assert show(config, "web_session", "portal") == 0
    out = capsys.readouterr().out
    assert "books: valores 1, bytes 20\n  recuerda «sfa|portal»\n" in out
    assert show(config, "web_session", "otro") == 1
    assert "No recuerda «otro»." in capsys.readouterr().out
    assert show(config, "web_session", json=True) == 0
    found = msgspec.json.decode(capsys.readouterr().out)
    assert (found["rule"], found["tables"][0]["entries"], found["shadow"]) == ("web_session", 1, False)
    with pytest.raises(UsageError, match="there are es, en"):
        show(config, "web_session", language="fr")
    session.commit({0: Step(0)})  # it was disturbed by nobody
    bus.close()


def failed_login(number: int, user: str, address: str, agency: str) -> Event:
    return {
        "@timestamp": format_time(NOON + number * SECOND),
        "event.ingested": format_time(NOON + number * SECOND),
        "event.id": f"s:l:{number}",
        "event.action": "login_failed",
        "event.dataset": "app.tramites",
        "service.name": "tramites",
        "organization.id": agency,
        "source.ip": address,
        "user.name": user,
    }


def correlated(config: Config, events: Sequence[Event], mark: int) -> None:
    """Detect's and correlate's work on `events`, up to event time `mark`, committed on the bus."""
    rules = ruleset(config)
    bus = open_bus(config.bus, partitions=config.partitions)
    bus.append(HITS, [hit_record(hit) for hit in SigmaDetector(rules).select(events) if isinstance(hit, Hit)])
    for source in range(bus.partitions(EVENTS)):
        bus.append(HITS, watermark_records(EVENTS, source, {(0, 0): mark}, [1], bus.partitions(HITS)))
    session = bus.session(HITS, group="correlate", member="m")
    for partition, records in session.poll(1_000, 0).records.items():
        operators = operators_of((), rules)
        work = Correlate(partition, Partition(), operators=operators, event_partitions=bus.partitions(EVENTS))
        work.step(records)
        session.commit({partition: Step(records[-1].offset + 1, {}, work.state.changes())})
    session.close()
    bus.close()


def test_a_correlation_that_runs_is_told_on_the_terminal_and_to_the_console(
    config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    open_store(config.store).close()
    events = [failed_login(each, f"user{each}", "10.0.0.1", "sfa") for each in range(4)]
    events += [failed_login(10 + each, f"user{each}", "10.0.0.2", "sep") for each in range(6)]
    events += [failed_login(20, "ana", "10.0.0.3", "sfa"), failed_login(400, "ana", "10.0.0.1", "sfa")]
    correlated(config, events, NOON + 100 * SECOND)
    assert show(config, "Many accounts from one address", "10.0.0.1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "Al menos 5 valores distintos de usuario en 5 min."
    assert lines[2] == "1. origen 10.0.0.1, dependencia sfa"
    assert lines[3].startswith("   4 de 5 valores distintos de usuario; desde las 2026-11-21 12:00:00, el último hecho")
    assert "dentro de 3 min 20 s en la hora de los eventos" in lines[4]
    assert "hechos de esta regla que la esperan: 1." in lines[6]
    assert show(config, MANY, json=True) == 0
    groups = msgspec.json.decode(capsys.readouterr().out)["groups"]
    assert [group["progress"]["group"]["source.ip"] for group in groups] == ["10.0.0.2", "10.0.0.1", "10.0.0.3"]
    assert groups[0]["progress"]["alert"].startswith("202611-")
    assert show(config, BOTH, "10.0.0.3", language="en") == 0
    assert "Missing: «A sign-in\\u202e»." in capsys.readouterr().out

    bus = open_bus(config.bus)
    look = Looker(config, bus, lambda: 1)
    everything, own = look(MANY, None, "es"), look(MANY, frozenset({"sfa"}), "en")
    assert everything is not None
    assert own is not None
    assert [group.agency for group in everything.groups] == ["sep", "sfa", "sfa"]
    assert [(group.name, group.reached) for group in own.groups] == [
        ("source 10.0.0.1", "4 of 5 different values of user"),
        ("source 10.0.0.3", "1 of 5 different values of user"),
    ]
    assert (own.waiting, own.watermark, own.whole, own.more) == (1, NOON + 100 * SECOND, True, 0)
    assert look(LOGIN, None, "es") is None
    assert look("web_session", None, "es") is None
    bus.close()

"""Correlations of every type read as sentences, in both languages, with whatever came of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from almena.correlated import MOST_NAMED
from almena.explanation import lines, summary
from almena.labels import beside, numeric

TITLES = {"off": "Fuente apagada", "on": "La fuente habla", "folio": "Cambio de folio", "in": "Intento de entrada"}
AMOUNT = ["almena.payment.amount"]
SPENT = {"type": "value_sum", "threshold": "gte 1000000", "timespan": "1h", "counted": AMOUNT}
SLOW = {"type": "value_percentile", "percentile": 95, "threshold": "gt 5", "counted": ["event.duration"]}
SILENT = {"rules": ["off", "on"], "absent": ["on"], "condition": "off and not heard", "closes": True}


def text(node: dict[str, Any], language: str = "es", titles: dict[str, str] | None = None) -> list[str]:
    root = {"kind": "correlation", "timespan": "10m", "group": {}} | node
    return lines({"root": root}, language, TITLES if titles is None else titles)


def told(node: dict[str, Any], language: str = "es", titles: dict[str, str] | None = None) -> str:
    """The sentence alone."""
    return text(node, language, titles)[0].removeprefix("✓ ")


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"threshold": "lt 5", "value": 3}, "Menos de 5 eventos en 10 min · hubo 3"),
        ({"threshold": "gte 1", "value": 1}, "Al menos 1 evento en 10 min · hubo 1"),
        ({"threshold": "gte 2, lte 9", "value": 4}, "Entre 2 y 9 eventos en 10 min · hubo 4"),
        ({"threshold": "lt 9, gt 2"}, "Entre 3 y 8 eventos en 10 min"),
        ({"threshold": "gt 2, lt 4"}, "Exactamente 3 eventos en 10 min"),
        ({"threshold": "gte 2, neq 5"}, "Al menos 2 y no exactamente 5 eventos en 10 min"),
        ({"threshold": "neq 4", "value": 1}, "Un número de eventos distinto de 4 en 10 min · hubo 1"),
        ({"threshold": "soon"}, "Soon eventos en 10 min"),
        ({"threshold": "gte 3", "children": [{}]}, "Al menos 3 hechos en 10 min"),
        ({"type": "value_count", "threshold": "gt 1", "counted": ["user.name"]},
         "Más de 1 valor distinto de usuario en 10 min"),
        ({"type": "value_count", "threshold": "gte 9000", "counted": ["user.name", "source.ip"], "value": 12_312,
          "error": 0.016},
         ("Al menos 9,000 combinaciones distintas de usuario y origen en 10 min · "
         "hubo aproximadamente 12,300 (±1.6 %)")),
        (SPENT | {"value": 1_250_000.5}, "La suma de Monto fue 1,250,000.50 (se avisa desde 1,000,000 en 1 hora)"),
        (SPENT | {"value": "1250000.00"}, "La suma de Monto fue 1,250,000 (se avisa desde 1,000,000 en 1 hora)"),
        (SPENT, "La suma de Monto en 1 hora (se avisa desde 1,000,000)"),
        (SPENT | {"threshold": "gte 1000000.004", "value": 1_000_000.0041},
         "La suma de Monto fue 1,000,000.0041 (se avisa desde 1,000,000.004 en 1 hora)"),
        (SLOW | {"value": 8.2}, "El percentil 95 de Duración fue 8.2 (se avisa por encima de 5 en 10 min)"),
        (SLOW | {"value": 8.2, "error": 0.01},
         "El percentil 95 de Duración fue aproximadamente 8.2 (±1 %; se avisa por encima de 5 en 10 min)"),
        (SLOW | {"value": 5.0002, "error": 0.01},
         "El percentil 95 de Duración fue aproximadamente 5.0002 (±1 %; se avisa por encima de 5 en 10 min)"),
        (SLOW | {"type": "value_avg", "value": 4.1},
         "El promedio de Duración llegó al límite (por encima de 5 en 10 min); con el último evento va en 4.1"),
        (SLOW | {"type": "value_median", "threshold": "lte 9, gte 2", "value": 9},
         "La mediana de Duración fue 9 (se avisa entre 2 y 9 en 10 min)"),
        (SLOW | {"type": "value_median", "threshold": "gte 2, lt 9", "value": "mucho"},
         "La mediana de Duración fue mucho (se avisa desde 2 y por debajo de 9 en 10 min)"),
        ({"type": "value_sum"}, "La suma de un campo en 10 min (se avisa —)"),
        ({"type": "novel", "threshold": "gte 3"}, "Correlación en 10 min: al menos 3"),
    ],
)  # fmt: skip
def test_counts_and_measures_are_sentences(node: dict[str, Any], said: str) -> None:
    assert told({"type": "event_count", **node}) == said


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"type": "event_count", "threshold": "lt 5", "value": 1}, "Fewer than 5 events within 10 min · there was 1"),
        (SPENT | {"value": 1_250_000}, "The sum of Amount was 1,250,000 (alerts at 1,000,000 or more within 1 hour)"),
        (SLOW | {"value": 8.2}, "The 95th percentile of Duration was 8.2 (alerts above 5 within 10 min)"),
        (SLOW | {"percentile": 51}, "The 51st percentile of Duration within 10 min (alerts above 5)"),
        (SLOW | {"percentile": 11}, "The 11th percentile of Duration within 10 min (alerts above 5)"),
        (SILENT | {"type": "temporal_ordered"},
         "«Fuente apagada» occurred and «La fuente habla» did not occur in the following 10 minutes"),
    ],
)  # fmt: skip
def test_english_reads_as_well(node: dict[str, Any], said: str) -> None:
    assert told(node, "en") == said


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"threshold": "gte 2"}, "2 hechos distintos en 10 min"),
        ({"condition": "off and on"}, "2 hechos distintos en 10 min"),
        ({"threshold": "gte 2", "rules": ["off", "on", "in"], "value": 2}, "Al menos 2 de 3 hechos en 10 min · hubo 2"),
        ({"threshold": "lt 2", "value": 1}, "Menos de 2 hechos distintos en 10 min · hubo 1"),
        ({"type": "temporal_ordered", "threshold": "lt 2"}, "Menos de 2 hechos en este orden, en 10 min"),
        (SILENT | {"type": "temporal_ordered"},
         "Ocurrió «Fuente apagada» y en los 10 minutos siguientes no ocurrió «La fuente habla»"),
        (SILENT | {"rules": ["on", "off"], "type": "temporal_ordered", "timespan": "1h"},
         "Ocurrió «Fuente apagada» y en la hora anterior no ocurrió «La fuente habla»"),
        (SILENT | {"timespan": "2h"},
         "Ocurrió «Fuente apagada» y no ocurrió «La fuente habla» en las 2 horas anteriores ni en las siguientes"),
        (SILENT | {"rules": ["off", "folio", "on", "in"], "absent": ["on", "in"]},
         ("Ocurrieron «Fuente apagada» y «Cambio de folio», todo en 10 min; en el mismo plazo no ocurrió "
         "«La fuente habla» ni «Intento de entrada», ni antes ni después")),
        (SILENT | {"type": "temporal_ordered", "rules": ["off", "on", "folio"]},
         ("Ocurrió «Fuente apagada», después «Cambio de folio» sin que entre tanto ocurriera «La fuente habla», "
         "todo en 10 min")),
        (SILENT | {"timespan": "soon"},
         "Ocurrió «Fuente apagada» y en el mismo plazo no ocurrió «La fuente habla», ni antes ni después"),
        (SILENT | {"absent": ["off", "on"]}, "2 hechos distintos en 10 min"),
        (SILENT | {"rules": ["folio", "in", "on"]},
         ("Ocurrieron «Cambio de folio» e «Intento de entrada», todo en 10 min; en el mismo plazo no ocurrió "
         "«La fuente habla», ni antes ni después")),
    ],
)  # fmt: skip
def test_what_occurs_together_is_a_sentence(node: dict[str, Any], said: str) -> None:
    assert told({"type": "temporal", "rules": ["off", "on"], **node}) == said


def test_what_has_not_happened_yet_is_told_in_the_present() -> None:
    node = {"kind": "correlation", "type": "temporal_ordered", "timespan": "1d", **SILENT}
    assert lines({"root": node}, "es", TITLES) == [
        "✓ Ocurre «Fuente apagada» y en las 24 horas siguientes no ocurre «La fuente habla»",
        "  ✓ Fuente apagada",
        "  ✗ La fuente habla: no debe ocurrir",
    ]


def test_an_expression_is_told_with_titles_and_what_occurred() -> None:
    choice = {
        "type": "temporal",
        "rules": ["off", "on", "in"],
        "condition": "apagada and (habla or not entrada)",
        "names": {"apagada": "off", "habla": "on", "entrada": "in"},
        "absent": ["in"],
        "occurred": ["off"],
        "pass": True,
    }
    assert text(choice) == [
        "✓ Se cumplió «Fuente apagada» y («La fuente habla» o no «Intento de entrada») en 10 min",
        "  Lo que no debe ocurrir se busca antes y después, en el mismo plazo",
        "  ✓ Fuente apagada: ocurrió",
        "  ✗ La fuente habla: no ocurrió",
        "  ✗ Intento de entrada: no ocurrió",
    ]
    unsaid = {key: value for key, value in choice.items() if key not in ("names", "occurred")}
    assert text(unsaid | {"type": "temporal_ordered"}) == [
        "✓ Se cumplió «apagada» y («habla» o no «entrada»), en ese orden, en 10 min",
        "  Fuente apagada",
        "  La fuente habla",
        "  Intento de entrada",
    ], "nothing is said of what is not known"
    many = {f"r{at}": f"Regla {at}" for at in range(MOST_NAMED + 1)}
    assert told({**SILENT, "type": "temporal", "rules": list(many), "absent": ["r1"]}, titles=many) == (
        "Se cumplió «off» y no «heard» en 10 min"
    )


def test_rules_without_a_title_go_by_the_names_in_the_condition() -> None:
    silent = {"kind": "correlation", "type": "temporal", "timespan": "10m", "group": {}, **SILENT}
    assert summary({"root": silent}) == "se cumplió «off» y no «heard» en 10 min"
    assert told(SILENT | {"type": "temporal", "condition": ""}, titles={}) == (
        "Ocurrió «off» y no ocurrió «on» en los 10 minutos anteriores ni en los siguientes"
    )


def test_when_a_window_is_decided_is_said_below() -> None:
    few = {"type": "event_count", "threshold": "lt 5", "closes": True, "value": 3, "pass": True}
    assert text(few | {"group": {"source.ip": "10.0.0.1"}}) == [
        "✓ Menos de 5 eventos en 10 min · hubo 3",
        "  todos con origen 10.0.0.1",
        "  Se decidió 10 min después del primer evento, con todos los que hubo hasta entonces",
    ]


def test_a_chain_tells_what_each_of_its_correlations_asks() -> None:
    inner = {"kind": "correlation", "rule": "on", "timespan": "10m", **SPENT}
    chain = {"type": "temporal_ordered", "threshold": "gte 2", "rules": ["off", "on"], "children": [inner]}
    assert text(chain) == [
        "✓ 2 hechos en este orden, en 10 min",
        "  ✓ Fuente apagada",
        "  ✓ La fuente habla: la suma de Monto en 1 hora (cuenta desde 1,000,000)",
    ]
    assert text({"type": "temporal", "children": [inner], **SILENT})[-1] == (
        "  ✗ La fuente habla: no ocurrió; la suma de Monto en 1 hora (cuenta desde 1,000,000)"
    )


def test_a_summary_says_each_thing_once() -> None:
    root = {"kind": "correlation", "type": "temporal", "timespan": "10m", "group": {"host.name": "a"}, **SILENT}
    assert summary({"root": root}, titles=TITLES) == (
        "ocurrió «Fuente apagada» y no ocurrió «La fuente habla» en los 10 minutos anteriores ni en los siguientes; "
        "y todos con equipo a"
    )
    rough = {"kind": "correlation", "type": "event_count", "threshold": "gt 9", "value": 1234, "error": 0.016}
    assert summary({"root": rough | {"timespan": "1h"}}) == (
        "más de 9 eventos en 1 hora: hubo aproximadamente 1,230 (±1.6 %)"
    )


def test_numbers_are_read_exactly_or_not_at_all() -> None:
    assert [numeric(value) for value in (3, "1500.00", 0.25, "-7")] == [3, 1500, Decimal("0.25"), -7]
    odd: tuple[Any, ...] = (True, None, "1_000", "nan", "1e9", 10**400, float("inf"), "9" * 50, [], "٣")
    assert [numeric(value) for value in odd] == [None] * len(odd)


def test_where_something_is_looked_for_is_said_by_its_length() -> None:
    assert beside("1d", "es", "after") == "en las 24 horas siguientes"
    assert beside("30d", "es", "around") == "en los 30 días anteriores ni en los siguientes"
    assert beside("1m", "es", "before") == "en el minuto anterior"
    assert beside("90s", "en", "after") == "in the following 90 seconds"
    assert beside("1h", "en", "around") == "in the hour before or after"
    assert beside("soon", "en", "after") == ""

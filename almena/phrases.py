"""The words that explanations are made of: each phrase in Spanish and in English."""

from __future__ import annotations

from typing import NamedTuple


class Said(NamedTuple):
    """An operator in words."""

    es: str
    en: str
    en_not: str
    """English denies each in its own way; Spanish puts `no` before it."""


OPERATORS = {
    "equals": Said("es", "is", "is not"),
    "contains": Said("contiene", "contains", "does not contain"),
    "startswith": Said("empieza con", "begins with", "does not begin with"),
    "endswith": Said("termina en", "ends with", "does not end with"),
    "wildcard": Said("tiene la forma", "has the form", "does not have the form"),
    "re": Said("coincide con el patrón", "matches the pattern", "does not match the pattern"),
    "cidr": Said("está en la red", "is in the network", "is not in the network"),
    "gt": Said("es mayor que", "is greater than", "is not greater than"),
    "gte": Said("es al menos", "is at least", "is not at least"),
    "lt": Said("es menor que", "is less than", "is not less than"),
    "lte": Said("es a lo más", "is at most", "is not at most"),
    "exists": Said("existe", "exists", "does not exist"),
    "neq": Said("es distinto de", "differs from", "does not differ from"),
    "fieldref": Said("es igual al campo", "equals the field", "does not equal the field"),
}
"""Sigma's modifiers in words."""

PHRASES = {
    "minute": ("el minuto", "its minute"),
    "hour": ("la hora", "its hour"),
    "day": ("el día", "its day"),
    "week": ("la semana", "its week"),
    "month": ("el mes", "its month"),
    "year": ("el año", "its year"),
    "some_value": ("algún valor del evento", "some value of the event"),
    "no_value": ("ningún valor del evento", "no value of the event"),
    "the_field": ("el campo", "the field"),
    "a_field": ("un campo", "a field"),
    "a_pattern": ("coincide con un patrón", "matches a pattern"),
    "no_pattern": ("no coincide con un patrón", "does not match a pattern"),
    "all_of": ("todo esto:", "all of:"),
    "cased": ("con las mismas mayúsculas", "in the same case"),
    "empty": ("vacío", "empty"),
    "and": ("y", "and"),
    "or": ("o", "or"),
    "and_more": ("y {count} más", "and {count} more"),
    "or_more": ("u otros {count} valores", "or {count} other values"),
    "left_out_one": ("y una condición más", "and one more condition"),
    "left_out": ("y {count} condiciones más", "and {count} more conditions"),
    "seen": ("se vio", "seen"),
    "absent": ("el evento no lo trae", "the event does not have it"),
    "usual": ("acostumbrado", "usual"),
    "held": ("se cumple:", "holds:"),
    "failed": ("no se cumple:", "does not hold:"),
    "and_held": ("Se cumple todo esto", "All of this holds"),
    "and_failed": ("No se cumple todo esto", "Not all of this holds"),
    "or_held": ("Se cumple al menos una de estas", "At least one of these holds"),
    "or_failed": ("No se cumple ninguna de estas", "None of these holds"),
    "not": ("No debe cumplirse", "This must not hold"),
    "not_and": ("No debe cumplirse todo esto a la vez", "Not all of this may hold at once"),
    "not_or": ("Nada de esto debe cumplirse", "None of this may hold"),
    "exception_held": ("Excepción que no aplica: {words}", "Exception that does not apply: {words}"),
    "exception_failed": ("Excepción que sí aplica: {words}", "Exception that applies: {words}"),
    "no_exception": ("no aplica su excepción", "its exception does not apply"),
    "no_exceptions": ("no aplica ninguna de sus {count} excepciones", "none of its {count} exceptions applies"),
    "model": ("Esto se aparta de lo acostumbrado", "This is unlike what is usual"),
    "all_with": ("todos con {field}", "all with {field}"),
}
"""Everything else an explanation says."""

THRESHOLDS = {
    "gt": ("más de {count}", "more than {count}"),
    "gte": ("al menos {count}", "at least {count}"),
    "lt": ("menos de {count}", "fewer than {count}"),
    "lte": ("a lo más {count}", "at most {count}"),
    "eq": ("exactamente {count}", "exactly {count}"),
    "neq": ("no exactamente {count}", "not exactly {count}"),
}
"""How many a correlation asks for, in words."""

NOUNS: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "events": (("evento", "eventos"), ("event", "events")),
    "findings": (("hecho", "hechos"), ("finding", "findings")),
    "different": (("hecho distinto", "hechos distintos"), ("different finding", "different findings")),
    "values": (
        ("valor distinto de {counted}", "valores distintos de {counted}"),
        ("different value of {counted}", "different values of {counted}"),
    ),
    "combinations": (
        ("combinación distinta de {counted}", "combinaciones distintas de {counted}"),
        ("different combination of {counted}", "different combinations of {counted}"),
    ),
}
"""What correlations count: one of it and several."""

MEASURES = {
    "value_sum": ("la suma de {counted}", "the sum of {counted}"),
    "value_avg": ("el promedio de {counted}", "the average of {counted}"),
    "value_median": ("la mediana de {counted}", "the median of {counted}"),
    "value_percentile": ("el percentil {rank} de {counted}", "the {rank} percentile of {counted}"),
}
"""What correlations measure."""

LIMITS = {
    "gt": ("por encima de {count}", "above {count}"),
    "gte": ("desde {count}", "at {count} or more"),
    "lt": ("por debajo de {count}", "below {count}"),
    "lte": ("con {count} o menos", "at {count} or less"),
    "eq": ("con {count} exactamente", "at exactly {count}"),
    "neq": ("con todo lo que no sea {count}", "at anything but {count}"),
}
"""From where on a measure alerts, in words."""

CORRELATIONS = {
    "within": ("{what} en {timespan}", "{what} within {timespan}"),
    "in_order": ("{what} en este orden, en {timespan}", "{what} in this order, within {timespan}"),
    "unknown": ("correlación en {timespan}: {what}", "correlation within {timespan}: {what}"),
    "of": ("{amount} de {count} {nouns}", "{amount} of {count} {nouns}"),
    "between": ("entre {low} y {high}", "between {low} and {high}"),
    "other_number": ("un número de {nouns} distinto de {count}", "a number of {nouns} other than {count}"),
    "there_was": ("hubo", "there was"),
    "there_were": ("hubo", "there were"),
    "about": ("{value} aproximadamente", "{value} about"),
    "nearly": ("aproximadamente {value}", "about {value}"),
    "error": ("±{share} %", "±{share}%"),
    "measured": ("{what} fue {value} ({limit} en {timespan})", "{what} was {value} ({limit} within {timespan})"),
    "measures": ("{what} en {timespan} ({limit})", "{what} within {timespan} ({limit})"),
    "moved_on": (
        "{what} llegó al límite ({limits} en {timespan}); con el último evento va en {value}",
        "{what} reached the limit ({limits} within {timespan}); with the last event it stands at {value}",
    ),
    "alerts": ("se avisa {limits}", "alerts {limits}"),
    "counts": ("cuenta {limits}", "counts {limits}"),
    "closes_past": (
        "Se decidió {timespan} después del primer evento, con todos los que hubo hasta entonces",
        "Decided {timespan} after the first event, with all that there were until then",
    ),
    "closes_now": (
        "Se decide {timespan} después del primer evento, con todos los que haya hasta entonces",
        "Decided {timespan} after the first event, with all that there are until then",
    ),
    "held_past": ("se cumplió {what} en {timespan}", "{what} held within {timespan}"),
    "held_now": ("se cumple {what} en {timespan}", "{what} holds within {timespan}"),
    "that_order_past": (
        "se cumplió {what}, en ese orden, en {timespan}",
        "{what} held, in that order, within {timespan}",
    ),
    "that_order_now": (
        "se cumple {what}, en ese orden, en {timespan}",
        "{what} holds, in that order, within {timespan}",
    ),
    "one_past": ("ocurrió {what}", "{what} occurred"),
    "one_now": ("ocurre {what}", "{what} occurs"),
    "some_past": ("ocurrieron {what}", "{what} occurred"),
    "some_now": ("ocurren {what}", "{what} occur"),
    "then": ("después {what}", "then {what}"),
    "then_without_past": (
        "después {what} sin que entre tanto ocurriera {absent}",
        "then {what} without {absent} in between",
    ),
    "then_without_now": (
        "después {what} sin que entre tanto ocurra {absent}",
        "then {what} without {absent} in between",
    ),
    "all_within": ("{what}, todo en {timespan}", "{what}, all within {timespan}"),
    "never_past": ("no ocurrió {absent}", "{absent} did not occur"),
    "never_now": ("no ocurre {absent}", "{absent} does not occur"),
    "none_past": ("no ocurrió {absent}", "neither {absent} occurred"),
    "none_now": ("no ocurre {absent}", "neither {absent} occurs"),
    "before": ("{when} {never}", "{never} {when}"),
    "after": ("{when} {never}", "{never} {when}"),
    "around": ("{never} {when}", "{never} {when}"),
    "same_before": ("antes, en el mismo plazo, {never}", "before that, within the same span, {never}"),
    "same_after": ("después, en el mismo plazo, {never}", "after that, within the same span, {never}"),
    "same_around": ("en el mismo plazo {never}, ni antes ni después", "within the same span, before or after, {never}"),
    "looked_around": (
        "Lo que no debe ocurrir se busca antes y después, en el mismo plazo",
        "What must not occur is looked for before and after, within the same span",
    ),
    "occurred": ("{title}: ocurrió", "{title}: occurred"),
    "not_occurred": ("{title}: no ocurrió", "{title}: did not occur"),
    "must_not": ("{title}: no debe ocurrir", "{title}: must not occur"),
}
"""What correlations look for and what came of it."""

PARTS = ("minute", "hour", "day", "week", "month", "year")
"""The parts of a time that a rule may ask about."""


def either(pair: tuple[str, str], language: str) -> str:
    """The Spanish or the English of a pair."""
    return pair[1] if language == "en" else pair[0]


def phrase(key: str, language: str) -> str:
    """One of `PHRASES`."""
    return either(PHRASES[key], language)


def operator(name: str, language: str, *, denied: bool = False) -> str:
    """An operator in words, or denied; an unknown one by its own name."""
    said = OPERATORS.get(name) or Said(name, name, f"not {name}")
    if language == "en":
        return said.en_not if denied else said.en
    return f"no {said.es}" if denied else said.es

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
    "there_were": ("hubo", "there were"),
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

CORRELATIONS = {
    "event_count": ("{many} eventos en {timespan}", "{many} events within {timespan}"),
    "value_count": (
        "{many} valores distintos de {counted} en {timespan}",
        "{many} different values of {counted} within {timespan}",
    ),
    "temporal": ("{many} hechos distintos en {timespan}", "{many} different facts within {timespan}"),
    "temporal_ordered": (
        "{many} hechos en este orden, en {timespan}",
        "{many} facts in this order, within {timespan}",
    ),
    "value_sum": ("una suma de {counted} en {timespan}: {many}", "a sum of {counted} within {timespan}: {many}"),
    "value_avg": (
        "un promedio de {counted} en {timespan}: {many}",
        "an average of {counted} within {timespan}: {many}",
    ),
    "value_median": (
        "una mediana de {counted} en {timespan}: {many}",
        "a median of {counted} within {timespan}: {many}",
    ),
    "value_percentile": (
        "un percentil de {counted} en {timespan}: {many}",
        "a percentile of {counted} within {timespan}: {many}",
    ),
    "": ("correlación en {timespan}: {many}", "correlation within {timespan}: {many}"),
}
"""What Sigma's correlations look for, in words; the last stands for a type that is not known."""

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

"""The names and labels that Almena's processes export, and those that a PromQL expression names."""

from __future__ import annotations

import re

from prometheus_client.metrics import MetricWrapperBase

from almena import metrics

_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def _exported() -> dict[str, set[str]]:
    found = {}
    for value in vars(metrics).values():
        if isinstance(value, MetricWrapperBase):
            (family,) = value.describe()
            for suffix in _SUFFIXES[family.type]:
                found[family.name + suffix] = set(value._labelnames)
    return found


EXPORTED = _exported()
"""Series by name, with their labels."""

_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_NAME = re.compile(r"\b(?:[a-z_]+:)?almena[a-z0-9_]*(?::[a-z0-9_]+)*\b|\bup\b")
_BY = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_MATCHERS = re.compile(r"\{([^}]*)\}")


def names_in(expression: str) -> set[str]:
    """The series a PromQL expression asks for."""
    bare = _BY.sub(" ", _MATCHERS.sub(" ", _TEXT.sub('""', expression)))
    return set(_NAME.findall(bare))


def labels_in(expression: str) -> set[str]:
    """The labels a PromQL expression groups by or matches on."""
    bare = _TEXT.sub('""', expression)
    grouped = [name.strip() for names in _BY.findall(bare) for name in names.split(",")]
    matched = [
        name.strip() for matchers in _MATCHERS.findall(bare) for name in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)
    ]
    return {name for name in [*grouped, *matched] if name}

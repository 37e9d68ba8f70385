"""What every component promises of its configuration: a class whose fields are options, each with its meaning."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from typing import Any

import pytest

from almena.app import components
from almena.config import build
from almena.errors import ConfigError

KINDS = components()


def classes() -> Iterator[Any]:
    """Every component, and what stands inside its options, such as a token."""
    listed = [*KINDS.collectors.values(), *KINDS.detectors.values(), *KINDS.notify.values()]
    for kind in [*listed, KINDS.desk, KINDS.console]:
        yield kind
        for hint in typing.get_type_hints(kind).values():
            yield from (item for item in typing.get_args(hint) if dataclasses.is_dataclass(item))


EVERY = pytest.mark.parametrize("kind", list(classes()), ids=lambda kind: kind.__name__)


@EVERY
def test_every_option_says_what_it_means(kind: type) -> None:
    from docs.generate import docstring_of

    assert dataclasses.is_dataclass(kind)
    assert kind.__doc__
    assert not kind.__doc__.startswith(f"{kind.__name__}("), "the docstring that dataclass makes says nothing"
    for option in dataclasses.fields(kind):
        meaning = docstring_of(kind, option.name)
        assert len(meaning.split()) >= 3, option.name
        assert meaning.rstrip().endswith("."), option.name


@EVERY
def test_an_unknown_option_is_refused_and_the_nearest_named(kind: type) -> None:
    options = [option.name for option in dataclasses.fields(kind) if option.init]
    wrong = options[0] + "x"
    with pytest.raises(ConfigError) as caught:
        build(kind, {wrong: 1}, "almena.toml: a.section")
    assert str(caught.value).startswith(f"almena.toml: a.section: no option {wrong!r}; did you mean ")


@EVERY
def test_what_is_set_by_the_program_cannot_be_configured(kind: type) -> None:
    for option in dataclasses.fields(kind):
        if not option.init:
            with pytest.raises(ConfigError, match=f"no option '{option.name}'"):
                build(kind, {option.name: "x"}, "almena.toml: a.section")

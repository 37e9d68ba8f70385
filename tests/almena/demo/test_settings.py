from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from almena.app import components, sources_of
from almena.config import parse
from almena.demo.cast import AGENCIES
from almena.demo.settings import HTTP_SOURCES, PARSERS, SOURCES, Ports, agency_of, demo_config, new_tokens, source_name
from collectors.parsers import PARSERS as KNOWN


def text(**more: object) -> str:
    values = {"ports": Ports(), "nginx": Path("/var/log/nginx/access.log"), "tokens": new_tokens()} | more
    return demo_config(**values)  # type: ignore[arg-type]


def test_the_demo_has_a_configuration_that_holds() -> None:
    config = parse(tomllib.loads(text()), components(), "almena.toml")
    sources = sources_of(config)
    assert set(sources) == {source_name(source) for source in SOURCES}
    for source in SOURCES:
        configured = sources[source_name(source)]
        assert configured.agency == agency_of(source)
        assert configured.parser == PARSERS[source]
        assert configured.parser in KNOWN
    assert set(config.agencies) == set(AGENCIES)
    assert {source.agency for source in sources.values()} == set(AGENCIES)


def test_the_past_is_not_late_and_its_end_is_no_silence() -> None:
    live = sources_of(parse(tomllib.loads(text()), components(), "almena.toml"))
    past = sources_of(parse(tomllib.loads(text(lateness="2h", expect=False)), components(), "almena.toml"))
    assert any(source.expect for source in live.values())
    assert not any(source.expect for source in past.values())
    assert {str(source.lateness) for source in live.values()} == {"5s"}
    assert {str(source.lateness) for source in past.values()} == {"2h"}


def test_tokens_are_secrets_of_their_own() -> None:
    tokens, others = new_tokens(), new_tokens()
    assert set(tokens) == set(HTTP_SOURCES)
    assert len({*tokens.values(), *others.values()}) == 2 * len(HTTP_SOURCES)
    assert min(map(len, tokens.values())) >= 32


@pytest.mark.parametrize("folder", ['a "quoted" place', "back\\slash", "con eñe y espacio"])
def test_any_folder_can_hold_the_demo(folder: str) -> None:
    tree = tomllib.loads(text(nginx=Path(folder) / "access.log", data=Path(folder)))
    assert tree["collectors"]["portal-nginx"]["paths"] == [f"{folder}/access.log", f"{folder}/access.log.1"]
    assert tree["data"] == folder
    assert tree["bus"] == f"sqlite:{folder}/bus.sqlite"

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
from pathlib import Path

import pytest

from almena.config import build
from almena.errors import ConfigError
from collectors import COLLECTORS, remember
from collectors.base import Collector
from collectors.http import Http

OPTIONS: dict[str, dict[str, object]] = {
    "file": {"agency": "finanzas", "paths": ["/var/log/*.log"], "poll": "1s", "start": "end"},
    "http": {"tokens": {"payments": {"agency": "finanzas", "token_env": "PAYMENTS", "expect": "5m"}}},
    "packets": {"agency": "ssp", "paths": ["/captures/*.pcap"]},
    "syslog": {"agency": "ssp", "transport": "tcp", "idle_timeout": "10m"},
}


@pytest.mark.parametrize("kind", COLLECTORS)
def test_a_collector_is_made_from_its_configuration(kind: str) -> None:
    collector: Collector = build(COLLECTORS[kind], OPTIONS[kind], f"almena.toml: collectors.{kind}")
    (source,) = collector.sources("edge")
    assert source.name == ("edge.payments" if kind == "http" else "edge")
    assert inspect.iscoroutinefunction(collector.run)


def test_a_wrong_transport_is_told() -> None:
    with pytest.raises(ConfigError, match=r"collectors\.edge\.transport: .*invalid enum value 'tpc'"):
        build(COLLECTORS["syslog"], {"agency": "a", "transport": "tpc"}, "almena.toml: collectors.edge")


@pytest.mark.parametrize("kind", COLLECTORS)
def test_every_option_says_what_it_means(kind: str) -> None:
    for cls in [COLLECTORS[kind], *COLLECTORS[kind].__mro__[1:-1]]:
        source = Path(inspect.getfile(cls)).read_text()
        classes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]
        (body,) = (node.body for node in classes if node.name == cls.__name__)
        for item, after in itertools.pairwise(body):
            if isinstance(item, ast.AnnAssign):
                assert isinstance(after, ast.Expr), f"{cls.__name__}.{ast.unparse(item.target)} has no docstring"
    assert dataclasses.is_dataclass(COLLECTORS[kind])


def test_collectors_that_keep_their_place_get_a_file_of_their_own() -> None:
    made = {kind: build(COLLECTORS[kind], OPTIONS[kind], "almena.toml: collectors") for kind in COLLECTORS}
    made["own"] = build(COLLECTORS["file"], {**OPTIONS["file"], "checkpoint": "/x.json"}, "almena.toml: collectors")
    remember(made, Path("data"))
    assert made["file"].checkpoint == "data/checkpoints/file.json"
    assert made["packets"].checkpoint == "data/checkpoints/packets.json"
    assert made["own"].checkpoint == "/x.json"
    assert isinstance(made["http"], Http)

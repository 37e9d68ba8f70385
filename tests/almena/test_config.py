"""The configuration says where and what instead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from almena.clock import SECOND, Span
from almena.config import Components, Config, CorrelateSettings, DetectSettings, load
from almena.errors import ConfigError


@dataclass(kw_only=True)
class Token:
    agency: str
    expect: Span | None = None


@dataclass(kw_only=True)
class Syslog:
    agency: str
    listen: str = "127.0.0.1:5514"
    max_line: int = 1024
    tokens: dict[str, Token] = field(default_factory=dict)

    def sources(self, name: str) -> Iterable[SimpleNamespace]:
        return [SimpleNamespace(name=name, agency=self.agency)]


@dataclass(kw_only=True)
class Settings:
    window: Span = field(default_factory=lambda: Span(60 * SECOND))


KINDS = Components(
    collectors={"syslog": Syslog},
    detectors={"beacon": Settings},
    notify={"log": Settings},
    desk=Settings,
    console=Settings,
)


def read(tmp_path: Path, text: str, **environ: str) -> Config:
    path = tmp_path / "almena.toml"
    path.write_text(text, "utf-8")
    return load(path, KINDS, environ)


GOOD = """
bus = "sqlite:/var/lib/almena/bus.sqlite"
[agencies.sfa]
name = "Secretaría de Finanzas y Administración"
[collectors.edge]
type = "syslog"
agency = "sfa"
[collectors.edge.tokens.pagos]
agency = "sfa"
expect = "5m"
[desk]
window = "1h30m"
"""


def test_reads_components_spans_and_nested_tables(tmp_path: Path) -> None:
    config = read(tmp_path, GOOD)
    assert config.bus == "sqlite:/var/lib/almena/bus.sqlite"
    assert config.collectors["edge"].tokens["pagos"].expect == 300 * SECOND
    assert config.desk.window == 5400 * SECOND
    assert config.console.window == 60 * SECOND


def test_environment_wins(tmp_path: Path) -> None:
    config = read(tmp_path, GOOD, ALMENA_PARTITIONS="8", ALMENA_DESK__WINDOW="10s", ALMENA_BUS="memory:", OTHER="1")
    assert (config.partitions, config.desk.window, config.bus) == (8, 10 * SECOND, "memory:")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("buss = 'memory:'", "almena.toml: no option 'buss'; did you mean 'bus'?"),
        ("path = 'x'", "almena.toml: there is no option 'path'"),
        (
            GOOD.replace('agency = "sfa"\n[', 'agency = "sfa"\nlisen = "x"\n[', 1),
            "almena.toml: collectors.edge: syslog has no option 'lisen'; did you mean 'listen'?",
        ),
        (
            GOOD.replace('type = "syslog"', 'type = "syslgo"'),
            "almena.toml: collectors.edge: no type 'syslgo'; did you mean 'syslog'?; there are syslog",
        ),
        (GOOD.replace('type = "syslog"', ""), "collectors.edge: the option 'type' is missing; one of syslog"),
        (
            GOOD.replace('expect = "5m"', 'expect = "soon"'),
            "almena.toml: collectors.edge.tokens.pagos.expect: 'soon' is no length of time",
        ),
        (
            GOOD.replace("[collectors.edge]", "[collectors.edge]\nmax_line = 'x'"),
            "collectors.edge.max_line: expected `int`",
        ),
        (GOOD.replace("[agencies.sfa]", "[agencies.sfb]"), "collectors.edge: no agency 'sfa'; did you mean 'sfb'?"),
        ("[detectors.beacn]", "no detector 'beacn'; did you mean 'beacon'?"),
        ("desk = 3", "almena.toml: desk: expected a table of options, got int"),
        ("collectors = 3", "almena.toml: collectors: expected tables like [collectors.name]"),
        ("partitions = 0", "almena.toml: partitions: 0 is not between 1 and 1000"),
        ("bus = [", "almena.toml: no valid TOML"),
    ],
)
def test_errors_say_where_and_what_instead(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        read(tmp_path, text)
    assert message in str(error.value)


def test_a_missing_file_and_an_unknown_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path / "none.toml", KINDS, {})
    with pytest.raises(ConfigError, match="ALMENA_BUSS: no option 'buss'; did you mean 'bus'"):
        read(tmp_path, "", ALMENA_BUSS="memory:")


def test_a_language_is_es_or_en_and_the_variable_that_says_otherwise_is_named(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD).language == "es"
    assert read(tmp_path, GOOD, ALMENA_LANGUAGE="en").language == "en"
    with pytest.raises(ConfigError, match=r"^almena.toml: language: 'fr' is not known; write 'es' or 'en'$"):
        read(tmp_path, 'language = "fr"')
    with pytest.raises(ConfigError, match=r"^almena.toml with ALMENA_LANGUAGE: language: 'fr' is not known"):
        read(tmp_path, "", ALMENA_LANGUAGE="fr")
    with pytest.raises(ConfigError, match=r"^ALMENA_LANGUAGE: language: 7 is not known"):
        load(None, KINDS, {"ALMENA_LANGUAGE": "7"})


def test_what_a_rule_may_cost_is_read(tmp_path: Path) -> None:
    path = tmp_path / "almena.toml"
    path.write_text('[detect]\nshadow = ["a", "b"]\nbudget_time = "50us"\nbudget_share = 0.5\nbudget_window = "10s"\n')
    found = load(path, KINDS, {}).detect
    assert found == DetectSettings(
        shadow=["a", "b"], budget_time=Span(50), budget_share=0.5, budget_window=Span(10 * SECOND)
    )
    assert load(None, KINDS, {}).detect == DetectSettings()
    assert load(None, KINDS, {"ALMENA_DETECT__BUDGET_TIME": "0s"}).detect.budget_time == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("budget_share = 1.5", "budget_share: 1.5 is not between 0 and 1"),
        ("budget_share = nan", "budget_share: nan is not between 0 and 1"),
        ('budget_window = "999ms"', "budget_window: 999ms is shorter than 1s"),
        ("shadow = 'a'", "shadow: expected `array`"),
        ("shadows = []", "no option 'shadows'; did you mean 'shadow'?"),
    ],
)
def test_a_budget_that_cannot_work_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "almena.toml"
    path.write_text(f"[detect]\n{text}\n")
    with pytest.raises(ConfigError, match=r"almena\.toml: detect") as raised:
        load(path, KINDS, {})
    assert message in str(raised.value)


def test_what_correlations_may_remember_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, 'batch = "10s"\n[correlate]\ngroups = 5000\nmemory = 64\n')
    assert found.correlate == CorrelateSettings(groups=5000, memory=64)
    assert found.batch == 10 * SECOND
    assert load(None, KINDS, {}).correlate == CorrelateSettings()
    assert load(None, KINDS, {"ALMENA_CORRELATE__MEMORY": "2048"}).correlate.memory == 2048


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("memory = 15", "memory: 15 is not between 16 and 1000000 megabytes"),
        ("memory = 1000001", "memory: 1000001 is not between 16 and 1000000 megabytes"),
        ("groups = 0", "groups: 0 is not between 1 and 100000000"),
        ("group = 7", "no option 'group'; did you mean 'groups'?"),
    ],
)
def test_a_memory_that_cannot_work_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=r"almena\.toml: correlate") as raised:
        read(tmp_path, f"[correlate]\n{text}\n")
    assert message in str(raised.value)

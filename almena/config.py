"""The configuration: `almena.toml` and `ALMENA_*`, checked as a whole before anything starts."""

from __future__ import annotations

import dataclasses
import difflib
import os
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from almena.bus.settings import KafkaSettings, SpoolSettings
from almena.clock import DAY, MINUTE, SECOND, Span
from almena.enrichment import EnrichSettings
from almena.errors import ConfigError
from almena.store.settings import ElasticsearchSettings, EventSettings

Kinds = Mapping[str, type]
"""Component classes by the name that `type` (or the section's own name) gives."""


@dataclass(kw_only=True)
class Agency:
    """One agency, autonomous body or municipality; every event, alert and user belongs to one."""

    name: str
    """Its name as people read it."""


@dataclass(kw_only=True)
class DetectSettings:
    """How rules run: which of them in shadow, and what one of them may cost.

    A rule in shadow goes on finding; what it finds is tagged, waits apart, and nobody is told. A rule that costs more
    than both limits, in two windows in a row, moves to shadow and sees one event in sixteen; that is announced.
    """

    shadow: list[str] = field(default_factory=list)
    """Ids or names of rules and correlations that run in shadow; `almena: {shadow: true}` in a rule does the same."""
    budget_time: Span = field(default_factory=lambda: Span(20))
    """The most time that one rule may take, on average over every event; `0s` sets no budget."""
    budget_share: float = 0.25
    """The most of the whole time of detection that one rule may take, 0 to 1."""
    budget_window: Span = field(default_factory=lambda: Span(MINUTE))
    """How long is measured before a rule is judged."""

    def __post_init__(self) -> None:
        if not 0 <= self.budget_share <= 1:
            raise ConfigError(f"budget_share: {self.budget_share} is not between 0 and 1")
        if self.budget_window < SECOND:
            raise ConfigError(f"budget_window: {self.budget_window} is shorter than 1s")


@dataclass(kw_only=True)
class CorrelateSettings:
    """What correlations and baselines may remember. Beyond it what was used longest ago is forgotten, and counted."""

    groups: int = 100_000
    """Groups (users, addresses, ...) that one correlation remembers at most, in each partition and on each clock."""
    memory: int = 512
    """Megabytes that the groups of all correlations may take in one process, 16 to 1000000."""

    def __post_init__(self) -> None:
        if not 1 <= self.groups <= 100_000_000:
            raise ConfigError(f"groups: {self.groups} is not between 1 and 100000000")
        if not 16 <= self.memory <= 1_000_000:
            raise ConfigError(f"memory: {self.memory} is not between 16 and 1000000 megabytes")


@dataclass(kw_only=True)
class WorkerSettings:
    """How many processes of a role `almena up` starts here; together with other machines' at most one a partition."""

    detect: int = 1
    """Processes that run rules over events, 1 to 64."""
    correlate: int = 1
    """Processes that run correlations and baselines over hits, 1 to 64."""

    def __post_init__(self) -> None:
        for name, count in self.counts().items():
            if not 1 <= count <= 64:
                raise ConfigError(f"{name}: {count} is not between 1 and 64")

    def counts(self) -> dict[str, int]:
        """Processes by role."""
        return {"detect": self.detect, "correlate": self.correlate}


@dataclass(kw_only=True)
class Config:
    """The whole configuration of an installation; each field is a key of `almena.toml`."""

    bus: str = "sqlite:data/bus.sqlite"
    """Where events, hits and alerts travel: `memory:`, `sqlite:PATH`, `kafka://HOST:PORT,...` or
    `kafka+confluent://HOST:PORT,...` (faster; needs `almena[confluent]`)."""
    store: str = "sqlite:data/store.sqlite"
    """Where alerts, users and counts are kept: `memory:`, `sqlite:PATH` or `https://HOST:9200,...`."""
    data: str = "data"
    """Folder of the secret key, checkpoints, metrics and logs."""
    language: typing.Literal["es", "en"] = "es"
    """Language of messages on the terminal: `es` or `en`."""
    partitions: int = 4
    """Partitions of new topics: the most workers that can share the work of one role."""
    lateness: Span = field(default_factory=lambda: Span(5 * SECOND))
    """How late events may come and still count in live windows, where a source does not say."""
    batch: Span = field(default_factory=lambda: Span(MINUTE))
    """Sources that may be later than this are feeds that come in batches; each such lateness has a clock of its own."""
    keep_bus: Span = field(default_factory=lambda: Span(7 * DAY))
    """How long records stay on the bus."""
    rules: list[str] = field(default_factory=list)
    """Folders of Sigma rules; the project's own when empty."""
    detect: DetectSettings = field(default_factory=DetectSettings)
    """`[detect]`: rules in shadow, and what a rule may cost."""
    correlate: CorrelateSettings = field(default_factory=CorrelateSettings)
    """`[correlate]`: what correlations may remember."""
    workers: WorkerSettings = field(default_factory=WorkerSettings)
    """`[workers]`: how many processes share the work of a role on this machine."""
    kafka: KafkaSettings = field(default_factory=KafkaSettings)
    """`[kafka]`: how a bus on Kafka is reached."""
    enrich: EnrichSettings = field(default_factory=EnrichSettings)
    """`[enrich]`: networks, assets, places and threat indicators that events are enriched with."""
    spool: SpoolSettings = field(default_factory=SpoolSettings)
    """`[spool]`: what collectors keep while Kafka is away."""
    elasticsearch: ElasticsearchSettings = field(default_factory=ElasticsearchSettings)
    """`[elasticsearch]`: how a store on Elasticsearch is reached."""
    events: EventSettings = field(default_factory=EventSettings)
    """`[events]`: whether events are kept in the store too."""
    agencies: dict[str, Agency] = field(default_factory=dict)
    """`[agencies.<id>]`: the agencies there are."""
    collectors: dict[str, Any] = field(default_factory=dict)
    """`[collectors.<name>]` with a `type`: the ways in."""
    detectors: dict[str, Any] = field(default_factory=dict)
    """`[detectors.<name>]`: settings of the anomaly detectors; each runs with its defaults when not named."""
    desk: Any = None
    """`[desk]`: grouping, suppression, retention."""
    console: Any = None
    """`[console]`: the address of the console and its sessions."""
    notify: dict[str, Any] = field(default_factory=dict)
    """`[notify.<name>]` with a `type`: channels that alerts are told on."""
    path: str = ""
    """The file this was read from; not a key."""


@dataclass(frozen=True, kw_only=True)
class Components:
    """What the sections of components mean; filled in by the composition root."""

    collectors: Kinds
    detectors: Kinds
    notify: Kinds
    desk: type
    console: type


def load(path: Path | None, components: Components, environ: Mapping[str, str] | None = None) -> Config:
    """Read `path` (or only defaults when None) with `ALMENA_*` on top; raises ConfigError saying where and what."""
    environ = os.environ if environ is None else environ
    where = path.name if path is not None else "almena.toml"
    tree: dict[str, Any] = {}
    if path is not None:
        tree = _read(path)
    overlaid = _overlay(tree, environ, {name.name for name in dataclasses.fields(Config)})
    if overlaid:
        where = " with ".join([where, ", ".join(overlaid)] if path is not None else [", ".join(overlaid)])
    return parse(tree, components, where, str(path or ""))


def parse(tree: dict[str, Any], components: Components, where: str, path: str = "") -> Config:
    """The configuration from a tree of plain values; `where` begins every error."""
    sections: dict[str, Any] = {}
    sections["collectors"] = _typed(tree.get("collectors", {}), components.collectors, f"{where}: collectors")
    sections["notify"] = _typed(tree.get("notify", {}), components.notify, f"{where}: notify")
    sections["detectors"] = _named(tree.get("detectors", {}), components.detectors, f"{where}: detectors")
    sections["desk"] = build(components.desk, tree.get("desk", {}), f"{where}: desk")
    sections["console"] = build(components.console, tree.get("console", {}), f"{where}: console")
    if "path" in tree:
        raise ConfigError(f"{where}: there is no option 'path'")
    rest = {key: value for key, value in tree.items() if key not in sections}
    config: Config = build(Config, rest, where)
    for name, section in sections.items():
        setattr(config, name, section)
    config.path = path
    _check_agencies(config, where)
    if not 1 <= config.partitions <= 1000:
        raise ConfigError(f"{where}: partitions: {config.partitions} is not between 1 and 1000")
    return config


def build(cls: type, values: object, where: str) -> Any:
    """An object of the dataclass `cls` from plain values; unknown keys are errors with a suggestion."""
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: expected a table of options, got {type(values).__name__}")
    hints = typing.get_type_hints(cls)
    known = [item.name for item in dataclasses.fields(cls) if item.init]
    for key in values:
        if key not in known:
            raise ConfigError(f"{where}: no option {key!r}{_suggestion(key, known)}")
    made: dict[str, Any] = {}
    for key, value in values.items():
        made[key] = _convert(hints[key], value, f"{where}.{key}" if ":" in where else f"{where}: {key}")
    for item in dataclasses.fields(cls):
        required = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        if required and item.init and item.name not in made:
            raise ConfigError(f"{where}: the option {item.name!r} is missing")
    try:
        return cls(**made)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from None


def _convert(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return build(kind, value, where)
    if origin is dict and isinstance(value, dict) and dataclasses.is_dataclass(arguments[1]):
        return {key: _convert(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if origin is list and isinstance(value, list) and dataclasses.is_dataclass(arguments[0]):
        return [_convert(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value)]
    if origin is typing.Literal and value not in arguments:
        raise ConfigError(f"{where}: {value!r} is not known; write {' or '.join(map(repr, arguments))}")
    try:
        return msgspec.convert(value, kind, dec_hook=_hook)
    except msgspec.ValidationError as error:
        text = str(error)
        raise ConfigError(f"{where}: {text[0].lower()}{text[1:]}") from None
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def _hook(kind: type, value: Any) -> Any:
    if kind is Span:
        try:
            return Span.parse(value)
        except ConfigError as error:
            raise ValueError(str(error)) from None
    raise ConfigError(f"cannot read a {kind.__name__}")


def _typed(section: object, kinds: Kinds, where: str) -> dict[str, Any]:
    """Components that name their class by `type`."""
    made = {}
    for name, values in _tables(section, where).items():
        values = dict(values)
        kind = values.pop("type", None)
        if kind not in kinds:
            if kind is None:
                raise ConfigError(f"{where}.{name}: the option 'type' is missing; one of {', '.join(sorted(kinds))}")
            raise ConfigError(
                f"{where}.{name}: no type {kind!r}{_suggestion(kind, kinds)}; there are {', '.join(sorted(kinds))}"
            )
        try:
            made[name] = build(kinds[kind], values, f"{where}.{name}")
        except ConfigError as error:
            raise ConfigError(str(error).replace(": no option", f": {kind} has no option")) from None
    return made


def _named(section: object, kinds: Kinds, where: str) -> dict[str, Any]:
    """Components whose section's name is their class."""
    made = {}
    for name, values in _tables(section, where).items():
        if name not in kinds:
            raise ConfigError(
                f"{where}: no detector {name!r}{_suggestion(name, kinds)}; there are {', '.join(sorted(kinds))}"
            )
        made[name] = build(kinds[name], values, f"{where}.{name}")
    return made


def _tables(section: object, where: str) -> dict[str, dict[str, Any]]:
    if not isinstance(section, dict):
        raise ConfigError(f"{where}: expected tables like [{where.rpartition(' ')[2]}.name]")
    for name, values in section.items():
        if not isinstance(values, dict):
            raise ConfigError(f"{where}.{name}: expected a table of options, got {type(values).__name__}")
    return section


def _suggestion(key: object, known: typing.Iterable[str]) -> str:
    close = difflib.get_close_matches(str(key), list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; `--config FILE` names another") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path.name}: no valid TOML: {error}") from None


RESERVED = frozenset(
    {
        *("ALMENA_SECRET", "ALMENA_SUPERVISED", "ALMENA_RESTARTED", "ALMENA_GOLDEN"),
        *("ALMENA_STACK", "ALMENA_TEST_KAFKA", "ALMENA_TEST_ELASTICSEARCH"),
    }
)
"""Variables that are no options of the configuration."""


def _overlay(tree: dict[str, Any], environ: Mapping[str, str], known: set[str]) -> list[str]:
    """Put `ALMENA_BUS=…` and `ALMENA_CONSOLE__LISTEN=…` over the tree, and return the variables that were.

    Values are TOML, or else text.
    """
    overlaid = []
    for variable, text in environ.items():
        if not variable.startswith("ALMENA_") or variable in RESERVED:
            continue
        *parents, last = variable.removeprefix("ALMENA_").lower().split("__")
        first = [*parents, last][0]
        if first not in known:
            raise ConfigError(f"environment: {variable}: no option {first!r}{_suggestion(first, known)}")
        target = tree
        for parent in parents:
            target = target.setdefault(parent, {})
            if not isinstance(target, dict):
                raise ConfigError(f"environment: {variable}: {parent!r} is no table")
        overlaid.append(variable)
        try:
            target[last] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            target[last] = text
    return sorted(overlaid)


def _check_agencies(config: Config, where: str) -> None:
    """Every source belongs to an agency that exists."""
    for name, collector in config.collectors.items():
        for source in collector.sources(name):
            if source.agency not in config.agencies:
                raise ConfigError(
                    f"{where}: collectors.{name}: no agency {source.agency!r}"
                    f"{_suggestion(source.agency, config.agencies)}; add [agencies.{source.agency}] with a name"
                )

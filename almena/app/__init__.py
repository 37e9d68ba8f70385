"""The composition root: from a configuration to the roles that run it; only this folder and `cli.py` import upward."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from almena.bus import TOPICS, Bus, open_bus
from almena.config import Components, Config, load
from almena.errors import UsageError
from almena.paths import rules_dir
from almena.sealing import Secret
from almena.store import Store, open_store

if TYPE_CHECKING:
    from collectors.base import Source
    from detectors.sigma.rules import RuleSet

CACHE = "cache"
"""The folder below `data` where rules are remembered."""

ROLES = ("collect", "detect", "correlate", "desk", "console")
"""The roles of an installation, in the order of the flow."""


def components() -> Components:
    """Every component a configuration may name."""
    from almena.console.settings import ConsoleSettings
    from almena.desk.notify import NOTIFIERS
    from almena.desk.settings import DeskSettings
    from collectors import COLLECTORS
    from detectors import DETECTORS

    return Components(
        collectors=COLLECTORS, detectors=DETECTORS, notify=NOTIFIERS, desk=DeskSettings, console=ConsoleSettings
    )


def configuration(path: Path | None) -> Config:
    """The configuration in `path`, or in `almena.toml` of this folder when there is one; relative paths are taken
    from the folder of the file."""
    from collectors import remember

    if path is None and Path("almena.toml").exists():
        path = Path("almena.toml")
    config = load(path, components())
    if path is not None:
        base = path.resolve().parent
        config.data = str(base / config.data)
        config.bus = _anchored(config.bus, base)
        config.store = _anchored(config.store, base)
        config.rules = [str(base / folder) for folder in config.rules]
        enrich = config.enrich
        enrich.assets = str(base / enrich.assets) if enrich.assets else ""
        enrich.geo = [str(base / path) for path in enrich.geo]
        enrich.indicators = [str(base / path) for path in enrich.indicators]
    remember(config.collectors, Path(config.data))
    return config


def _anchored(url: str, base: Path) -> str:
    scheme, _, rest = url.partition(":")
    return f"{scheme}:{base / rest}" if scheme == "sqlite" and rest != ":memory:" else url


def secret_of(config: Config) -> Secret:
    """The installation's one secret, from which all keys are derived."""
    return Secret.load(Path(config.data) / "secret.key")


def sources_of(config: Config) -> dict[str, Source]:
    """Every source by name."""
    found: dict[str, Source] = {}
    for name, collector in config.collectors.items():
        for source in collector.sources(name):
            found[source.name] = source
    return found


def bus_of(config: Config, name: str = "") -> Bus:
    """The configured bus, with the topics of all roles; `name` is who appends, see `open_bus`."""
    bus = open_bus(config.bus, partitions=config.partitions, name=name, kafka=config.kafka, keep=int(config.keep_bus))
    try:
        for topic in TOPICS:
            bus.partitions(topic)
    except BaseException:
        bus.close()
        raise
    return bus


def store_of(config: Config) -> Store:
    """The configured store."""
    return open_store(config.store, config.elasticsearch)


def member(role: str, name: str = "") -> str:
    """This process's name in its group: static, so that it takes its partitions back at once after a crash."""
    return f"{role}@{name or socket.gethostname()}"


def rule_folders(config: Config) -> list[Path]:
    """The configured folders and archives of rules, or the project's own."""
    return [Path(folder) for folder in config.rules] or [rules_dir()]


def ruleset(config: Config) -> RuleSet:
    """The configured rules."""
    from detectors.sigma.cache import load_rules

    return load_rules(rule_folders(config), cache=cache_of(config))


def cache_of(config: Config) -> Path | None:
    """Where commands remember rules: with the installation when there is one, else where the person keeps such things;
    nowhere when they did not say where."""
    if Path(config.data).is_dir():
        return Path(config.data) / CACHE
    home = os.environ.get("XDG_CACHE_HOME")
    return Path(home) / "almena" if home else None


def detectors_of(config: Config, *, live: bool = True) -> list[Any]:
    """The anomaly detectors, each with its configured settings or its defaults.

    Only a live installation misses a source: the end of a file is no silence.
    """
    from detectors import DETECTORS

    expected = {
        source.name: (source.agency, int(source.expect))
        for source in sources_of(config).values()
        if live and source.expect is not None
    }
    found = []
    for name, kind in DETECTORS.items():
        detector = config.detectors.get(name) or kind()
        if hasattr(detector, "expected"):
            detector.expected = expected
        found.append(detector)
    return found


def operators_of(models: Iterable[Any], rules: RuleSet, groups: int = 100_000) -> dict[str, Any]:
    """Correlations and anomaly detectors by name; a correlation remembers so many `groups` per partition."""
    from detectors.sigma.detector import operators

    return {operator.name: operator for operator in [*operators(rules, limit=groups), *models]}


def there(config: Config) -> None:
    """Raises UsageError when an installation that would be in files is not there."""
    for url in (config.bus, config.store):
        scheme, _, path = url.partition(":")
        if scheme == "sqlite" and not Path(path).exists():
            raise UsageError(f"{path}: there is no installation; `--config FILE` names one, `almena up` starts it")


@contextlib.contextmanager
def opened(config: Config) -> Iterator[tuple[Bus, Store]]:
    """The bus and the store of an installation that is there, closed at the end; raises UsageError when none is."""
    there(config)
    bus, store = bus_of(config), store_of(config)
    try:
        yield bus, store
    finally:
        bus.close()
        store.close()

"""The demo's configuration: agencies, the collectors its records come in by, detectors that learn within minutes."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from almena.demo.cast import AGENCIES
from almena.demo.wire import APPS

HTTP_SOURCES = (*APPS, "windows")
"""Sources of the simulation that come by HTTP, each with a token of its own."""

SOURCES = ("servers-udp", "servers-tcp", "portal-nginx", *HTTP_SOURCES)
"""Every source of the simulation."""

PARSERS = {
    "servers-udp": "syslog",
    "servers-tcp": "syslog",
    "portal-nginx": "nginx",
    "windows": "windows",
    **dict.fromkeys(APPS, "app"),
}
"""The parser of each source."""

_AGENCY = {
    "payments": "sfa",
    "registry": "rpp",
    "posts": "see",
    "tramites": "tramites",
    "portal-nginx": "tramites",
    "api": "interop",
}
_EXPECT = {"portal-nginx": "2m", "payments": "2m", "tramites": "5m", "windows": "5m", "servers-udp": "10m"}
_COLLECTOR = "apps"


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Where the demo's own services listen, on this machine only."""

    udp: int = 5514
    """Syslog over UDP."""
    tcp: int = 5514
    """Syslog over TCP."""
    http: int = 8514
    """JSON lines by HTTP."""
    console: int = 8080
    """The console."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Servers that the demo's bus and store are on."""

    bus: str = ""
    """URL of the bus; the demo's own file when empty."""
    store: str = ""
    """URL of the store; the demo's own file when empty."""
    prefix: str = "almena-demo"
    """What the demo's topics and indices are called."""
    workers: int = 2
    """Processes of detect and of correlate."""


def agency_of(source: str) -> str:
    """The agency that a source of the simulation belongs to."""
    return _AGENCY.get(source, "cdo")


def source_name(source: str) -> str:
    """What a source of the simulation is called in the installation: `payments` comes as `apps.payments`."""
    return f"{_COLLECTOR}.{source}" if source in HTTP_SOURCES else source


def new_tokens() -> dict[str, str]:
    """A fresh secret for each of `HTTP_SOURCES`."""
    return {name: secrets.token_urlsafe(24) for name in HTTP_SOURCES}


def demo_config(
    *,
    ports: Ports,
    nginx: Path,
    tokens: Mapping[str, str],
    data: Path | None = None,
    lateness: str = "5s",
    expect: bool = True,
    cluster: Cluster | None = None,
) -> str:
    """The text of `almena.toml` for the demo.

    `nginx` is the access log to tail, `tokens` the secrets of `HTTP_SOURCES`; `data` the folder of bus, store and
    keys (`data` beside the file when None). For `play.once`, `lateness` must span the whole past, and `expect` be
    False: the sources fall silent afterwards, and that is no alert. With a `cluster`, bus and store are there.
    """
    parts = [_head(data, lateness, cluster)]
    parts += [f"[agencies.{key}]\nname = {_text(name)}\n" for key, name in AGENCIES.items()]
    for transport, port in (("udp", ports.udp), ("tcp", ports.tcp)):
        name = f"servers-{transport}"
        more = f'type = "syslog"\ntransport = "{transport}"\nlisten = "127.0.0.1:{port}"'
        parts.append(f"[collectors.{name}]\n{more}\n{_common(name, lateness, expect)}")
    paths = f"[{_text(str(nginx))}, {_text(f'{nginx}.1')}]"
    parts.append(
        f'[collectors.portal-nginx]\ntype = "file"\npaths = {paths}\n{_common("portal-nginx", lateness, expect)}'
    )
    parts.append(f'[collectors.{_COLLECTOR}]\ntype = "http"\nlisten = "127.0.0.1:{ports.http}"\n')
    for name in HTTP_SOURCES:
        token = f"token = {_text(tokens[name])}"
        parts.append(f"[collectors.{_COLLECTOR}.tokens.{name}]\n{token}\n{_common(name, lateness, expect)}")
    # A newcomer watches for minutes, not weeks: the account's history is judged on the day it began.
    parts.append("[detectors.first_seen_network]\ndays = 0\nlogins = 10\n")
    parts.append(f'[console]\nlisten = "127.0.0.1:{ports.console}"\n')
    return "\n".join(parts)


def _head(data: Path | None, lateness: str, cluster: Cluster | None) -> str:
    lines = [f'lateness = "{lateness}"']
    if data is not None:
        bus, store = f"sqlite:{data / 'bus.sqlite'}", f"sqlite:{data / 'store.sqlite'}"
        if cluster is not None:
            bus, store = cluster.bus or bus, cluster.store or store
        lines += [f"data = {_text(str(data))}", f"bus = {_text(bus)}", f"store = {_text(store)}"]
    if cluster is not None:
        lines += [f"[workers]\ndetect = {cluster.workers}\ncorrelate = {cluster.workers}"]
        lines += [f"[kafka]\nprefix = {_text(cluster.prefix)}", f"[elasticsearch]\nprefix = {_text(cluster.prefix)}"]
        lines += ["replicas = 0"]  # one server alone can hold no copies
    return "\n".join(lines) + "\n"


def _common(source: str, lateness: str, expect: bool) -> str:
    lines = [f'agency = "{agency_of(source)}"', f'parser = "{PARSERS[source]}"', f'lateness = "{lateness}"']
    if expect and source in _EXPECT:
        lines.append(f'expect = "{_EXPECT[source]}"')
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    """A basic string of TOML, which JSON's strings are too."""
    return msgspec.json.encode(text).decode()

"""Which events a rule sees: the log source it names against what an event says of where it came from."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from almena.event import Event
from detectors.sigma import sources
from detectors.sigma.rules import LogSource
from detectors.sigma.values import MISFIT

_NONE: frozenset[str] = frozenset()

READ = (
    ("event.dataset",),
    ("winlog.channel", "Channel"),
    ("event.code", "winlog.event_id", "EventID"),
    ("winlog.provider_name", "Provider_Name", "SourceName"),
    ("winlog.event_data.EventType", "EventType"),
    ("process.name",),
    ("event.category",),
    ("event.type",),
    ("host.os.type",),
    ("product",),
    ("category",),
    ("service",),
)
"""What routing reads: for each part of an origin the fields that may say it, the first one that does counts."""

WINDOWS = frozenset(READ[1] + READ[3])
"""Fields that make an event one of Windows'."""

_THREAT = "threat"
"""`event.category` of events with a value that is on a list of threat indicators, whoever tells them."""

_WINDOWS_EVENT_TYPES = {"createkey": "registry_add", "deletekey": "registry_delete", "deletevalue": "registry_delete"}


class Route(NamedTuple):
    """What rules may call an event: its products, categories and services."""

    products: frozenset[str] = _NONE
    categories: frozenset[str] = _NONE
    services: frozenset[str] = _NONE

    def __or__(self, other: Route) -> Route:
        return Route(self.products | other.products, self.categories | other.categories, self.services | other.services)

    def reaches(self, logsource: LogSource) -> bool:
        """True when a rule of `logsource` sees the event."""
        return (
            (logsource.product is None or logsource.product in self.products)
            and (logsource.category is None or logsource.category in self.categories)
            and (logsource.service is None or logsource.service in self.services)
        )


class Origin(NamedTuple):
    """All that routing looks at in an event; events of one origin go to the same rules."""

    dataset: str
    channel: str
    code: str
    provider: str
    event_type: str
    process: str
    category: tuple[str, ...]
    type: tuple[str, ...]
    system: str
    product: str
    own_category: str
    service: str


def origin_of(event: Event) -> Origin:
    """What routing looks at; never raises, whatever the values are."""
    misfit = event.get(MISFIT)
    found: list[Any] = []
    for names in READ:
        value: Any = None
        for name in names:
            value = event.get(name)
            if value is None and misfit and isinstance(misfit, dict):
                value = misfit.get(name)
            if value is not None:
                break
        found.append(value)
    dataset, channel, code, provider, event_type, process, category, kind, system, *own = found
    windows = channel is not None or provider is not None
    return Origin(
        _name(dataset),
        _name(channel),
        _name(code) if windows or dataset is not None else "",
        _name(provider),
        _name(event_type) if windows and code in (12, "12") else "",
        _process(process) if isinstance(dataset, str) and dataset.startswith("system.") else "",
        tuple(name for name in _names(category) if not windows or name == _THREAT),
        () if windows else _names(kind),
        _name(system),
        *(_name(value) for value in own),
    )


def _name(value: object) -> str:
    if isinstance(value, str):
        return value[:128].lower()
    # Equal numbers, such as 1, 1.0 and true, have one name: whoever remembers what they mean may keep one for all.
    return str(int(value)) if isinstance(value, (int, float)) and value == value // 1 and abs(value) < 1e6 else ""


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(sorted({name for item in value[:8] if (name := _name(item))}))
    name = _name(value)
    return (name,) if name else ()


def _process(value: object) -> str:
    name = _name(value)
    return name if name in sources.PROCESSES else ""


def route_of(origin: Origin) -> Route:
    """What rules may call events of `origin`."""
    route = Route(_one(origin.product), _one(origin.own_category), _one(origin.service))
    if _THREAT in origin.category:
        route |= Route(categories=_one(_THREAT))
    if origin.channel or origin.provider or origin.dataset.startswith("windows."):
        return route | _windows(origin)
    if origin.dataset:
        route |= _dataset(origin.dataset)
        if origin.process:
            route |= Route(services=_one(sources.PROCESSES[origin.process]))
    if origin.category:
        route |= _agent(origin)
    return route


def _one(name: str) -> frozenset[str]:
    return frozenset({name}) if name else _NONE


def _windows(origin: Origin) -> Route:
    product = "linux" if "linux-sysmon" in (origin.provider, origin.channel.partition("/")[0]) else "windows"
    services = sources.CHANNELS.get(origin.channel)
    if services is None:
        if product == "linux":
            services = _one("sysmon")
        elif origin.provider == sources.KERNEL_FILE:
            services = _one("kernel-file")
        elif origin.channel:
            services = _NONE
        else:
            services = _one(sources.PROVIDERS.get(origin.provider) or origin.dataset.removeprefix("windows."))
    categories = {
        category for service in services for category in sources.CATEGORIES.get(service, {}).get(origin.code, ())
    }
    kept = _WINDOWS_EVENT_TYPES.get(origin.event_type)
    if kept and "registry_event" in categories:
        categories = {"registry_event", kept}
    return Route(_one(product), frozenset(categories), services)


def _dataset(dataset: str) -> Route:
    known = sources.DATASETS.get(dataset)
    if known is not None:
        product, categories, services = known
        return Route(_one(product), frozenset(categories.split()), frozenset(services.split()))
    product, _, service = dataset.partition(".")
    categories = "application" if product in sources.APPLICATIONS else ""
    return Route(_one(product), _one(categories), _one(service or product))


def _agent(origin: Origin) -> Route:
    system = _one(origin.system) if origin.system in sources.SYSTEMS else _NONE
    found = {
        name for category in origin.category for kind in origin.type if (name := sources.FROM_ECS.get((category, kind)))
    }
    if not found or not system:
        return Route(categories=_one("antivirus") if "malware" in origin.category else _NONE)
    if any(name.startswith("registry_") for name in found):
        found.add("registry_event")
    return Route(system, frozenset(found))


@cache
def _known() -> tuple[Route, ...]:
    """Every product with all that may come with it, then what rules name without a product."""
    services = frozenset(service for names in sources.CHANNELS.values() for service in names)
    categories = {name for table in sources.CATEGORIES.values() for names in table.values() for name in names}
    of_hosts = frozenset(sources.FROM_ECS.values()) | {"registry_event"}
    linux = frozenset(sources.PROCESSES.values()) | {"auth", "syslog", "auditd", "sysmon"}
    routes = [
        Route(_one("windows"), frozenset(categories | of_hosts), services),
        Route(_one("linux"), of_hosts | frozenset(name for names in sources.SYSMON.values() for name in names), linux),
        Route(_one("macos"), of_hosts),
        *(Route(_one(name), _one("application")) for name in sources.APPLICATIONS),
        *(Route(_one(name), _NONE, frozenset(names.split())) for name, names in sources.PRODUCTS.items()),
        *(_dataset(name) for name in sources.DATASETS),
        Route(categories=_one(_THREAT)),
    ]
    return tuple(routes)


def known(logsource: LogSource) -> bool:
    """True when some event can reach a rule of `logsource`."""
    return any(route.reaches(logsource) for route in _known())

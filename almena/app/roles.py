"""What each role runs, from the configuration to the loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from almena.app import bus_of, detectors_of, member, operators_of, secret_of, sources_of, store_of
from almena.bus import EVENTS, HITS, TOPICS, Bus
from almena.bus.spool import Later, Spool
from almena.clock import SECOND, now
from almena.config import Config
from almena.errors import AlmenaError, BusError, Fenced
from almena.stage import Stage
from almena.state import Partition

if TYPE_CHECKING:
    from collectors.enrich import Enricher

log = logging.getLogger("almena")

STAGES = ("detect", "correlate", "desk")
"""The roles that read the bus, of which several may share the work."""

MEGABYTE = 1 << 20


def run_role(role: str, config: Config, name: str = "") -> int:
    """Run one role until it is told to stop; returns its exit code. `name` is the member's name in its group."""
    from almena import metrics
    from almena.supervisor import until_told

    configure_logging(role)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        metrics.bury_dead(Path(folder))
    if os.environ.get("ALMENA_RESTARTED"):
        metrics.RESTARTS.labels(role).inc()
    stop = threading.Event()
    try:
        if role in STAGES:
            until_told(stop)
            {"detect": detect, "correlate": correlate, "desk": desk}[role](config, stop, member(role, name))
        else:
            {"collect": collect, "console": console}[role](config)
    except Fenced as error:
        log.error("%s", error)
        return 3
    except AlmenaError as error:
        log.error("%s", error)
        return 2
    return 0


def configure_logging(role: str) -> None:
    """Log to the terminal, or to wherever the supervisor keeps what is said there."""
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s {role} %(levelname)s %(message)s", force=True)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # its errors arrive as ours
    for chatty in ("httpx", "elastic_transport"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def collect(config: Config) -> None:
    """Run every collector of the configuration on one intake."""
    from almena.masking import Masker
    from almena.supervisor import lifeline
    from collectors.enrich import Enricher
    from collectors.intake import Intake
    from collectors.parsers import PARSERS
    from collectors.recognition import Recogniser

    secret = secret_of(config)
    bus = spooled(config) if config.bus.startswith("kafka") else bus_of(config, member("collect"))
    enrich, mask = Enricher(config.enrich), Masker(secret.derive("masking")).mask
    intake = Intake(
        bus, parsers={**PARSERS, "auto": Recogniser()}, mask=lambda event: mask(enrich(event)), seal=secret.seal
    )

    async def main() -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        async with intake as sink, asyncio.TaskGroup() as group:
            for name, collector in config.collectors.items():
                group.create_task(collector.run(name, sink), name=name)
            group.create_task(_refreshed(enrich, config.enrich.reload / SECOND), name="enrich")

    lifeline()
    try:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(main())
    except BaseExceptionGroup as group:
        raise _told(group) from group
    finally:
        bus.close()


async def _refreshed(enrich: Enricher, seconds: float) -> None:
    """Look again and again whether tables changed."""
    while True:
        await asyncio.sleep(seconds)
        await asyncio.to_thread(enrich.refresh)


def spooled(config: Config) -> Spool:
    """The bus behind a file for what it refuses; it may be away at the start."""
    from almena import metrics

    later = Later(lambda: bus_of(config, member("collect")))
    away = ""
    try:
        later.reach()
    except Fenced:
        raise
    except BusError as error:
        away = str(error)
        log.error("the bus is away at the start; records wait on this machine: %s", away)
    metrics.SPOOL_LIMIT.set(config.spool.megabytes * MEGABYTE)
    return Spool(later, Path(config.data) / "spool.sqlite", config.spool.megabytes * MEGABYTE, away=away)


def _told(failure: BaseException) -> BaseException:
    """What a person can act on among the failures of collectors; all of them when there is nothing."""
    if isinstance(failure, BaseExceptionGroup):
        found = map(_told, failure.exceptions)
        return next((item for item in found if isinstance(item, AlmenaError)), failure)
    return failure


def detect(config: Config, stop: threading.Event, name: str) -> None:
    """Run rules and detectors over events."""
    from almena.app.limits import NAME, Limits
    from almena.app.live import LiveRules
    from almena.app.reloading import Reloading
    from almena.detect import Detect, hit_record
    from almena.heap import settle
    from detectors.sigma.detector import SigmaDetector

    bus = bus_of(config, name)
    limits = Limits(Path(config.data) / NAME)
    rules = Reloading(config, "detect", name, bus)
    sigma = SigmaDetector(rules.ruleset, shadow=config.detect.shadow, over=limits.read())
    live = LiveRules(sigma, bus, config.detect, limits, changed=rules.take)
    models = detectors_of(config)
    announced = [hit for model in models if hasattr(model, "announce") for hit in model.announce(now())]
    if announced:
        bus.append(HITS, [hit_record(hit) for hit in announced])
    selectors = [live, *models]
    lateness = {source.name: int(source.lateness) for source in sources_of(config).values()}
    seal = secret_of(config).seal

    def open_work(partition: int, state: Partition) -> Detect:
        return Detect(
            partition,
            state,
            selectors=selectors,
            hit_partitions=bus.partitions(HITS),
            lateness=lateness,
            default_lateness=int(config.lateness),
            batch=int(config.batch),
            seal=seal,
            rules=lambda: sigma.ruleset.hash,
        )

    settle()
    with rules.watched(sigma.prepare):
        Stage("detect", bus.session(EVENTS, group="detect", member=name), open_work, live.between).run(stop)
    bus.close()


def correlate(config: Config, stop: threading.Event, name: str) -> None:
    """Run correlations and baselines over hits."""
    from almena.app.reloading import Reloading
    from almena.correlate import Correlate
    from almena.heap import settle

    bus = bus_of(config, name)
    rules = Reloading(config, "correlate", name, bus)
    models = detectors_of(config)
    operators = operators_of(models, rules.ruleset, config.correlate.groups)
    hit_partitions = bus.partitions(HITS)
    seal = secret_of(config).seal

    def open_work(partition: int, state: Partition) -> Correlate:
        return Correlate(
            partition,
            state,
            operators=operators,
            event_partitions=bus.partitions(EVENTS),
            hit_partitions=hit_partitions,
            batch=int(config.batch),
            memory=config.correlate.memory * MEGABYTE // hit_partitions,
            seal=seal,
            rules=lambda: rules.ruleset.hash,
        )

    def between() -> None:
        nonlocal operators
        fresh = rules.take()
        if fresh is not None:
            operators = operators_of(models, fresh, config.correlate.groups)
            for work in stage.works:
                assert isinstance(work, Correlate)
                work.replace(operators)

    stage = Stage("correlate", bus.session(HITS, group="correlate", member=name), open_work, between)
    settle()
    with rules.watched():
        stage.run(stop)
    bus.close()


def console(config: Config) -> None:
    """Serve the console and the API."""
    from almena import metrics
    from almena.app.catalogue import Catalogue
    from almena.app.nearby import Looker
    from almena.app.operate import expected_of, spool_of
    from almena.console import create_app, ensure_admin, serve
    from almena.status import status
    from almena.store import ALL, LEDGER, Scope
    from almena.supervisor import lifeline
    from almena.traffic import Patient, Traffic, measure, reachable, traffic

    lifeline()
    bus, store = bus_of(config, member("console")), store_of(config)
    password = ensure_admin(store)
    if password is not None:
        tell_password(config, password)
    rules = Catalogue(config, store)
    expected = expected_of(config)

    # Asked here and not by the readers, so that a reader that is dead is seen to fall behind.
    waiting = Patient(lambda: traffic(bus), lambda: Traffic(error="no answer within 3 s"))
    away = Patient(lambda: reachable(lambda: store.get(LEDGER, "rules", scope=ALL)), lambda: "no answer within 3 s")

    def how(scope: Scope, language: str) -> dict[str, object]:
        return status(store, waiting(), scope=scope, expected=expected, language=language, spool=spool_of(config))

    def measured() -> bytes:
        measure(waiting())
        metrics.STORE_UP.set(not away())
        return metrics.render(os.environ.get("PROMETHEUS_MULTIPROC_DIR"))

    app = create_app(
        store,
        config.console,
        agencies={name: agency.name for name, agency in config.agencies.items()},
        rules=rules,
        status=how,
        metrics=measured,
        secret=secret_of(config).derive("console"),
        nearest=Looker(config, bus, rules.seen),
    )
    with rules.following():
        serve(app, config.console)
    bus.close()
    store.close()


def tell_password(config: Config, password: str) -> None:
    """Put the one-time password where the person at this machine finds it: a file only they can read."""
    file = password_file(config)
    file.touch(mode=0o600)
    file.write_text(f"admin {password}\n", "utf-8")
    log.info("user admin, one-time password: see %s", file)


def password_file(config: Config) -> Path:
    """Where the one-time password of the first sign-in is left."""
    return Path(config.data) / "admin-password"


def desk(config: Config, stop: threading.Event, name: str) -> None:
    """Store alerts, dead letters and counts, and tell people."""
    from almena.desk.role import run

    bus, store = bus_of(config, name), store_of(config)
    folder = Path(config.path).parent if config.path else Path()
    halt = threading.Event()
    trimmer = threading.Thread(target=_trim, args=(bus, int(config.keep_bus), halt), name="trim", daemon=True)
    if not config.bus.startswith("kafka"):  # there the brokers do it, and no role may remove records
        trimmer.start()
    try:
        run(
            bus,
            store,
            config.desk,
            member=name,
            stop=stop,
            channels=config.notify,
            agencies={name: agency.name for name, agency in config.agencies.items()},
            suppressions=folder / "suppressions.toml",
            seal=secret_of(config).seal,
            events=config.events,
        )
    finally:
        halt.set()
        if trimmer.ident is not None:
            trimmer.join()
        store.close()
        bus.close()


def _trim(bus: Bus, keep: int, stop: threading.Event) -> None:
    """Forget what has been on the bus for longer than `keep` microseconds, at the start and every hour."""
    while True:
        for topic in TOPICS:
            try:
                if count := bus.trim(topic, now() - keep):
                    log.info("%d records of %s reached their age and left the bus", count, topic)
            except BusError as error:
                log.warning("%s; trying again in an hour", error)
        if stop.wait(3_600):
            return

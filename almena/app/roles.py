"""What each role runs, from the configuration to the loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import logging.handlers
import os
import signal
import threading
from typing import TYPE_CHECKING

import msgspec

from almena.app import bus_of, detectors_of, member, operators_of, ruleset, secret_of, sources_of
from almena.bus import EVENTS, HITS, LEDGER, Bus, Record
from almena.config import Config
from almena.errors import AlmenaError, Fenced
from almena.stage import Stage
from almena.state import Partition

if TYPE_CHECKING:
    from detectors.sigma.loader import RuleSet

log = logging.getLogger("almena")


def run_role(role: str, config: Config) -> int:
    """Run one role until it is told to stop; returns its exit code."""
    from almena.supervisor import until_told

    configure_logging(role)
    stop = threading.Event()
    if role in ("detect", "correlate", "desk"):
        until_told(stop)
    try:
        {"collect": collect, "detect": detect, "correlate": correlate, "desk": desk, "console": console}[role](
            config, stop
        )
    except Fenced as error:
        log.error("%s", error)
        return 3
    except AlmenaError as error:
        log.error("%s", error)
        return 2
    return 0


def configure_logging(role: str) -> None:
    """Log to the terminal, or to a bounded file where `ALMENA_LOG` names one."""
    handler: logging.Handler = logging.StreamHandler()
    if path := os.environ.get("ALMENA_LOG"):
        handler = logging.handlers.RotatingFileHandler(path, maxBytes=5_000_000, backupCount=2, encoding="utf-8")
    handler.setFormatter(logging.Formatter(f"%(asctime)s {role} %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)


def collect(config: Config, stop: threading.Event) -> None:
    """Run every collector of the configuration on one intake."""
    from almena.masking import Masker
    from collectors.intake import Intake
    from collectors.parsers import PARSERS

    secret = secret_of(config)
    bus = bus_of(config)
    intake = Intake(bus, parsers=PARSERS, mask=Masker(secret.derive("masking")).mask, seal=secret.seal)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        async with intake as sink, asyncio.TaskGroup() as group:
            for name, collector in config.collectors.items():
                group.create_task(collector.run(name, sink), name=name)

    lifeline()
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(main())
    bus.close()


def lifeline() -> None:
    """End this process in good order when its supervisor is gone, however it went."""
    if os.environ.get("ALMENA_SUPERVISED") != "1":
        return

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def detect(config: Config, stop: threading.Event) -> None:
    """Run rules and detectors over events."""
    from detectors.sigma.detector import SigmaDetector

    from almena.detect import Detect

    bus = bus_of(config)
    rules = ruleset(config)
    tell_rules(bus, rules)
    selectors = [SigmaDetector(rules), *detectors_of(config)]
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
            seal=seal,
        )

    Stage("detect", bus.session(EVENTS, group="detect", member=member("detect")), open_work).run(stop)
    bus.close()


def tell_rules(bus: Bus, rules: RuleSet) -> None:
    """Say which rules run and which were refused, as metrics and on the ledger."""
    from almena import metrics

    metrics.RULES_LOADED.set(len(rules.rules) + len(rules.correlations))
    metrics.RULES_REJECTED.set(len(rules.rejected))
    for rejection in rules.rejected:
        log.warning("rule %s (%s) is rejected: %s", rejection.rule, rejection.file, rejection.reason)
    entry = {
        "kind": "rules",
        "loaded": len(rules.rules) + len(rules.correlations),
        "rejected": [{"rule": str(item.rule), "reason": str(item.reason)} for item in rules.rejected],
        "hash": rules.hash,
    }
    bus.append(LEDGER, [Record("rules", msgspec.json.encode(entry))])


def correlate(config: Config, stop: threading.Event) -> None:
    """Run correlations and baselines over hits."""
    from almena.correlate import Correlate

    bus = bus_of(config)
    operators = operators_of(config, ruleset(config))

    def open_work(partition: int, state: Partition) -> Correlate:
        return Correlate(partition, state, operators=operators, event_partitions=bus.partitions(EVENTS))

    Stage("correlate", bus.session(HITS, group="correlate", member=member("correlate")), open_work).run(stop)
    bus.close()

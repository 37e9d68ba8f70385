"""Runs the desk: three readers of the bus, the outbox and the housekeeping, until told to stop or one of them fails."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from almena import metrics
from almena.bus import ALERTS, DEAD, EVENTS, LEDGER, Bus, Record, Stored
from almena.clock import now
from almena.dead import Seal
from almena.desk.desk import Desk
from almena.desk.events import GROUP, Events
from almena.desk.ledger import Ledger
from almena.desk.message import Composer
from almena.desk.notify import Common, Log
from almena.desk.outbox import Outbox
from almena.desk.settings import DeskSettings
from almena.desk.suppressions import Suppressions
from almena.errors import BusError, Fenced, Moved, StoreError
from almena.stage import Stage, Work
from almena.state import Partition
from almena.store import Store
from almena.store.settings import EventSettings

log = logging.getLogger("almena.desk")

_HOUSEKEEPING_SECONDS = 3_600.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0


class Patient:
    """A step that is tried until the store takes it: it may be repeated, so nothing is lost or doubled."""

    def __init__(
        self,
        state: Partition,
        step: Callable[[Sequence[Stored]], Mapping[str, list[Record]]],
        stop: threading.Event,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        """Once `stop` is set, a failing step raises instead, and is done again by the next process.

        `alive` is called while the store is down: the partition stays this process's.
        """
        self.state = state
        self._step = step
        self._stop = stop
        self._alive = alive

    def step(self, records: Sequence[Stored]) -> Mapping[str, list[Record]]:
        """Do the step, however long the store is down."""
        pause = _FIRST_PAUSE
        while True:
            try:
                return self._step(records)
            except StoreError as error:
                metrics.STORE_FAILURES.inc()
                log.error("%s; trying again in %.1f s", error, pause)
                if self._stop.wait(pause):
                    raise
                pause = min(2 * pause, _LONGEST_PAUSE)
                self._keep()

    def _keep(self) -> None:
        """Say that this member is still at work; where the bus is away too, the store is waited for all the same."""
        try:
            self._alive()
        except (Fenced, Moved):
            raise
        except BusError as error:
            log.warning("%s; waiting for the store and the bus", error)


def run(
    bus: Bus,
    store: Store,
    settings: DeskSettings,
    *,
    member: str,
    stop: threading.Event,
    channels: Mapping[str, Common] | None = None,
    agencies: Mapping[str, str] | None = None,
    suppressions: Path | None = None,
    seal: Seal | None = None,
    events: EventSettings | None = None,
) -> None:
    """Run until `stop` is set; raises what made a reader fail, such as Fenced.

    Events are kept as `events` say; raises ConfigError when this store cannot keep them.

    `channels` are `[notify.<name>]` (the terminal when there are none), `agencies` names by id, `suppressions` the
    file to read when the settings name none. With `seal` what is damaged on the bus is kept as a dead letter.
    """
    archive = Events(store, events) if events is not None and events.keep else None
    told = dict(channels) if channels else {"log": Log()}
    named = bool(settings.suppressions)
    known = Suppressions(Path(settings.suppressions) if named else suppressions, zone=settings.zone, needed=named)
    known.report(now())
    desk = Desk(store, settings, known, told, seal)
    composer = Composer(
        language=settings.language, zone=settings.zone, console_url=settings.console_url, agencies=agencies or {}
    )
    halt = threading.Event()
    ledger = partial(Ledger, store=store, seal=seal)
    readers = {topic: _reader(bus, topic, member, desk, ledger, halt) for topic in (ALERTS, DEAD, LEDGER)}
    if archive is not None:
        readers[EVENTS] = _archiver(bus, member, archive, halt)
    _together(
        {
            **{f"desk.{topic}": stage.run for topic, stage in readers.items()},
            "outbox": Outbox(store, settings, told, composer).run,
            "housekeeping": lambda event: _housekeeping([desk.expire, *([archive.expire] if archive else [])], event),
        },
        halt,
        stop,
    )


def _reader(
    bus: Bus, topic: str, member: str, desk: Desk, ledger: Callable[[int, Partition], Ledger], stop: threading.Event
) -> Stage:
    session = bus.session(topic, group="desk", member=member)

    def open_work(partition: int, state: Partition) -> Work:
        if topic == LEDGER:
            return Patient(state, ledger(partition, state).step, stop, session.alive)
        return Patient(state, desk.alerts if topic == ALERTS else desk.dead, stop, session.alive)

    return Stage("desk", session, open_work)


def _archiver(bus: Bus, member: str, archive: Events, stop: threading.Event) -> Stage:
    session = bus.session(EVENTS, group=GROUP, member=member)
    return Stage(GROUP, session, lambda _, state: Patient(state, archive.step, stop, session.alive))


def _together(
    parts: Mapping[str, Callable[[threading.Event], None]], halt: threading.Event, stop: threading.Event
) -> None:
    """Run every part in a thread until `stop` is set or one fails; then all stop, and the failure is raised."""
    failures: list[BaseException] = []

    def guarded(part: Callable[[threading.Event], None]) -> None:
        try:
            part(halt)
        except BaseException as error:
            failures.append(error)
        finally:
            halt.set()

    threads = [threading.Thread(target=guarded, args=(part,), name=name, daemon=True) for name, part in parts.items()]
    for thread in threads:
        thread.start()
    while not stop.is_set() and not halt.is_set():  # not `stop.wait`: a signal handler would wait for its lock in vain
        time.sleep(0.1)
    halt.set()
    for thread in threads:
        thread.join(timeout=30.0)
    if failures:
        raise failures[0]


def _housekeeping(expire: Sequence[Callable[[int], int]], stop: threading.Event) -> None:
    """Remove what is too old, at the start and every hour."""
    while True:
        try:
            if gone := sum(each(now()) for each in expire):
                log.info("%d documents reached their age and were removed", gone)
        except StoreError as error:
            log.warning("housekeeping: %s; trying again in an hour", error)
        if stop.wait(_HOUSEKEEPING_SECONDS):
            return

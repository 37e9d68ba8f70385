"""Rules that change while a role runs: watched, loaded beside the work, and handed over between two steps."""

from __future__ import annotations

import logging
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from almena import metrics
from almena.app import CACHE, rule_folders
from almena.bus import LEDGER, Bus, Record
from almena.clock import format_time, now
from almena.config import Config
from almena.errors import AlmenaError, BusError
from detectors.sigma import cache
from detectors.sigma.inputs import gather, stamp
from detectors.sigma.reload import Watch, lost
from detectors.sigma.rules import Rejection, RuleSet

log = logging.getLogger("almena.rules")

INTERVAL = 1.0
"""Seconds between two looks at the files, at least."""

SHARE = 0.01
"""The share of time that looking may take: for very many files the looks are further apart."""

TELL = 60.0
"""Seconds after which a member says again which rules it runs: one that is gone is told from one that is not."""

PATIENCE = 5.0
"""Seconds to wait at the end for a load that goes on."""

MOST_REFUSED = 100
"""Refusals that are told."""


class Reloading:
    """The rules of one role. A thread looks after the files; `take` hands a new set over to the one who runs it.

    Files that are being written are waited for. A set that would lose a rule that runs, because the rule is broken,
    is refused as a whole and told; so is one that cannot be loaded at all. The set before then runs on.
    """

    def __init__(self, config: Config, stage: str, member: str, bus: Bus, *, interval: float = INTERVAL) -> None:
        """Loads the rules; raises UsageError and RuleError as loading does."""
        self._folders = rule_folders(config)
        self._cache = Path(config.data) / CACHE
        self._stage, self._member, self._bus = stage, member, bus
        self._interval = self._pause = interval
        self._watch = Watch(lambda: stamp(self._folders))
        self._inputs = gather(self._folders)
        self.ruleset = cache.load(self._inputs, self._cache)
        """The set that was accepted last."""
        self.refused: Sequence[Rejection] = ()
        """Why the files as they are now were refused."""
        self._prepare: Callable[[RuleSet], None] = lambda rules: None
        self._fresh: deque[RuleSet] = deque(maxlen=1)
        self._forced = False
        self._stop = False
        self._told = float("-inf")
        self._running = ("", 0, "")
        self._runs(self.ruleset)

    @contextmanager
    def watched(self, prepare: Callable[[RuleSet], None] = lambda rules: None) -> Iterator[None]:
        """Look after the files meanwhile; `prepare` is called in the thread, before a new set is handed over.

        SIGHUP forces a reload, where this is the main thread.
        """
        self._prepare = prepare
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGHUP, lambda *_: self.force())
        thread = threading.Thread(target=self._run, name="rules", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop = True
            thread.join(PATIENCE)

    def take(self) -> RuleSet | None:
        """The new set, once, when there is one; the caller runs it from now on."""
        try:
            fresh = self._fresh.popleft()
        except IndexError:
            return None
        metrics.RULES_RELOADS.labels(self._stage).inc()
        self._runs(fresh)
        return fresh

    def force(self) -> None:
        """Load the files at the next look even if they look unchanged; may be called by a signal handler."""
        self._forced = True

    def look(self) -> None:
        """Load the files if they changed and have come to rest; say which rules run when it is time."""
        forced, self._forced = self._forced, False
        began = time.monotonic()
        try:
            changed = self._watch.look()
            self._pause = max(self._interval, (time.monotonic() - began) / SHARE)
            if changed or forced:
                self._load(forced)
        except AlmenaError as error:
            self._refuse([Rejection("", "", str(error))])
        except Exception as error:
            log.exception("the changed rules could not be loaded; those before run on")
            self._refuse([Rejection("", "", f"{type(error).__name__}: {error}")])
        self._tell()

    def _load(self, forced: bool) -> None:
        inputs = gather(self._folders)
        if not self._watch.settle():
            self._forced = self._forced or forced  # written meanwhile: look again
            return
        if inputs.key == self._inputs.key and not forced:
            return
        self._inputs = inputs
        began = time.monotonic()
        fresh = cache.load(inputs, self._cache)
        refused = lost(self.ruleset, fresh)
        if refused:
            self._refuse(refused)
            return
        if self.refused:
            self.refused, self._told = (), float("-inf")
        if (fresh.hash, fresh.rejected) == (self.ruleset.hash, self.ruleset.rejected):
            return
        self._prepare(fresh)
        self.ruleset = fresh
        self._fresh.append(fresh)
        log.info("changed rules were loaded in %.1f s: set %s", time.monotonic() - began, fresh.hash)

    def _refuse(self, why: Sequence[Rejection]) -> None:
        if list(why) == list(self.refused):
            return
        self.refused, self._told = why, float("-inf")
        metrics.RULES_RELOAD_FAILURES.labels(self._stage).inc()
        for item in why[:MOST_REFUSED]:
            log.error("the changed rules are refused, set %s runs on: %s", self.ruleset.hash, item)

    def _runs(self, ruleset: RuleSet) -> None:
        metrics.run_set(ruleset.hash, self._running[0])
        self._running = (ruleset.hash, len(ruleset.everything), format_time(now()))
        self._told = float("-inf")

    def _tell(self) -> None:
        """Say on the ledger which set this member runs, and why a newer one was refused."""
        moment = time.monotonic()
        if moment - self._told < TELL:
            return
        self._told = moment
        running, loaded, since = self._running
        entry = {
            "kind": "member",
            "member": self._member,
            "stage": self._stage,
            "host": socket.gethostname(),
            "hash": running,
            "loaded": loaded,
            "since": since,
            "refused": [msgspec.to_builtins(item) for item in self.refused[:MOST_REFUSED]],
        }
        try:
            self._bus.append(LEDGER, [Record(f"rules/{self._member}", msgspec.json.encode(entry))])
        except BusError as error:
            log.warning("%s; which rules run is told later", error)
            self._told = moment - TELL

    def _run(self) -> None:
        due = time.monotonic() + self._pause
        while not self._stop:
            time.sleep(0.1)
            if self._forced or time.monotonic() >= due:
                self.look()
                due = time.monotonic() + self._pause

"""The command that runs history through the installed rules: its alerts are stored apart, and nobody is told."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

import msgspec

from almena import replay as replaying
from almena.alert import BACKFILL, Alert
from almena.app import opened, secret_of, sources_of
from almena.app.offline import Batches, Opened, Opener, equipped, event_batches, opener, some_files
from almena.app.operate import letters_of, settle
from almena.bus import ALERTS, DEAD, Bus, Record
from almena.clock import Span, format_time, now, parse_time
from almena.config import Config
from almena.detect import SKEW, alert_record
from almena.errors import BusError, Conflict, ParseError, UsageError
from almena.event import Event, event_time
from almena.masking import Masker
from almena.replay import LONGEST_LINE, Item, Totals
from almena.sealing import VARIABLE, Secret
from almena.store import Store

log = logging.getLogger("almena.backfill")

BATCH, BATCH_BYTES = 500, 4 << 20
"""Records, and bytes of them, of one append."""

ROOM = 2_000
"""Records that may lie before the desk: what is found live comes behind no more history than that."""

PATIENCE = 5.0
"""Seconds after which a desk that reads nothing is not waited for: it is not running, and will find all of it."""

LETTERS, LETTERS_BYTES = 10_000, 64 << 20
"""Dead letters of one run that are kept, and their bytes; what cannot be read beyond is counted only."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_POLL = 0.05


def backfill(
    config: Config, paths: list[Path], *, rules: list[Path], format_: str, name: str = "", agency: str = ""
) -> int:
    """Put the alerts of files on the bus, with progress and a summary on stderr; 1 when something was left out.

    The same files under the same name give the same alerts, so it may be run again, and after a kill.
    """
    from collectors.enrich import Enricher

    _check(config, name, agency)
    files = some_files([path.resolve() for path in paths])
    with opened(config) as (bus, store):
        secret = _secret(config)
        detector, models, operators = equipped(config, rules, format_)
        began = time.monotonic()
        digests, copies = digests_of(files)
        files = [path for path in files if path not in copies]
        run = Run(name or default_name(digests.values()), agency, bus, int(config.desk.keep_alerts))
        # Who had an address is learned in the order of lines, which must not matter here.
        enrich = Enricher(replace(config.enrich, max_leases=0))
        history = History(run, secret, digests, enrich)
        totals = Totals()
        batches = history.events(event_batches(files, history.opener(format_), totals))
        try:
            for alert in replaying.alerts(batches, [detector, *models], operators, totals):
                run.alert(alert)
            run.flush()
            history.settle(store, totals.dead.total())
        except BusError as error:
            raise BusError(f"{error}; run the same again when that is mended: nothing comes twice") from None
    print(replaying.summary(totals, began, time.monotonic()), file=sys.stderr)
    for line in _told(config, run, history, totals, copies):
        print(line, file=sys.stderr)
    return 1 if totals.dead or run.aged else 0


def _check(config: Config, name: str, agency: str) -> None:
    if name and not _NAME.fullmatch(name):
        raise UsageError(f"--name {name[:80]!r}: write up to 64 letters, digits, '.', '_' and '-', such as enero-2026")
    if name in sources_of(config):
        raise UsageError(f"--name {name!r} is a source's name; give the backfill one of its own")
    if agency and agency not in config.agencies:
        raise UsageError(f"--agency {agency[:80]!r} is not configured; there are {', '.join(sorted(config.agencies))}")


def _secret(config: Config) -> Secret:
    """The installation's secret, which must be there: under another one equal identifiers get other tokens."""
    path = Path(config.data) / "secret.key"
    if VARIABLE not in os.environ and not path.exists():
        raise UsageError(
            f"{path}: the installation's key is not there, and what is masked with another one fits nothing that is "
            f"stored; bring it back from a backup, or set {VARIABLE}"
        )
    return secret_of(config)


def digests_of(files: Iterable[Path]) -> tuple[dict[Path, str], dict[Path, Path]]:
    """The digest of each file's bytes, and of those that are there before under another name, which that is.

    History is told by what it is and not by where it lies: moved and renamed files are the same history.
    """
    digests: dict[Path, str] = {}
    first: dict[str, Path] = {}
    copies: dict[Path, Path] = {}
    with _working("looking through the files…"):
        for path in files:
            if not path.is_file():
                raise UsageError(f"{path}: is no file that can be read twice; write it to a file first")
            digest = _digest(path)
            if digest in first:
                copies[path] = first[digest]
            else:
                first[digest] = path
                digests[path] = digest
    return digests, copies


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from None


def _working(text: str) -> AbstractContextManager[object]:
    from rich.console import Console

    console = Console(stderr=True)
    return console.status(text) if console.is_terminal else nullcontext()


def default_name(digests: Iterable[str]) -> str:
    """The name of a backfill that was given none: the same for the same files, whenever they are run."""
    joined = "\x1f".join(sorted(digests))
    return f"history-{hashlib.blake2b(joined.encode(), digest_size=5).hexdigest()}"


class Run:
    """What one backfill puts on the bus, in batches, no faster than the desk takes them."""

    def __init__(self, name: str, agency: str, bus: Bus, keep: int) -> None:
        """Alerts about what is older than `keep` microseconds are left out, since the desk would soon remove them."""
        self.name = name
        self.agency = agency
        self.oldest = now() - keep
        self.alerts = self.aged = 0
        """Alerts that were put, and that were left out for their age."""
        self._bus = bus
        self._outputs: dict[str, list[Record]] = {ALERTS: [], DEAD: []}
        self._bytes = 0
        self._since = time.monotonic()
        self._seen: object = None

    def alert(self, alert: Alert) -> None:
        """Put an alert, tagged and under an id that no live alert has."""
        if parse_time(alert["@timestamp"]) < self.oldest:
            self.aged += 1
            return
        month, _, found = str(alert["almena.alert.id"]).partition("-")
        digest = hashlib.blake2b(f"{self.name}\x1f{found}".encode("utf-8", "surrogatepass"), digest_size=16)
        alert["almena.alert.id"] = f"{month}-{digest.hexdigest()}"
        alert[BACKFILL] = self.name
        self.alerts += 1
        self._put(ALERTS, alert_record(alert))

    def letter(self, letter: Mapping[str, object]) -> None:
        """Put a dead letter."""
        self._put(DEAD, Record(f"{self.name}/{letter['lane']}", msgspec.json.encode(letter)))

    def _put(self, topic: str, record: Record) -> None:
        self._outputs[topic].append(record)
        self._bytes += len(record.value)
        if sum(map(len, self._outputs.values())) >= BATCH or self._bytes >= BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Append what was put since the last append, as soon as there is room."""
        outputs = {topic: records for topic, records in self._outputs.items() if records}
        if outputs:
            self._wait()
            self._bus.append_all(outputs)
            self._outputs = {ALERTS: [], DEAD: []}
            self._bytes = 0

    def _wait(self) -> None:
        """Wait until the desk has read most of what lies before it, unless it reads nothing at all."""
        while any(sum(self._bus.lag(topic, "desk").values()) > ROOM for topic in (ALERTS, DEAD)):
            read = [self._bus.positions(topic, "desk") for topic in (ALERTS, DEAD)]
            if read != self._seen:
                self._seen, self._since = read, time.monotonic()
            if time.monotonic() - self._since >= PATIENCE:
                return
            time.sleep(_POLL)


class History:
    """Files as events with an identity of their own, `<name>:<digest of the file>:<line>`, and as dead letters."""

    def __init__(self, run: Run, secret: Secret, digests: Mapping[Path, str], enrich: Callable[[Event], Event]) -> None:
        """Masks and seals under the installation's secret."""
        from collectors.reading import shown

        self.kept: set[str] = set()
        """Ids of the dead letters that were kept."""
        self._run = run
        self._seal = secret.seal
        self._mask = Masker(secret.derive("masking")).mask
        self._enrich = enrich
        self._digests = {shown(path): digest for path, digest in digests.items()}
        self._latest = now() + SKEW
        self._bytes = 0
        self._failed: Counter[str] = Counter()

    def settle(self, store: Store, dead: int) -> None:
        """Close the letters of runs before of these files whose records were understood this time, of `dead` that
        were not."""
        if dead > len(self.kept):
            return
        lanes = set(self._digests.values())
        for letter in letters_of(store, every=False, source=self._run.name):
            if letter.id not in self.kept and letter.document.get("almena.dead.lane") in lanes:
                with suppress(Conflict):
                    settle(store, letter)

    def events(self, batches: Batches) -> Batches:
        """The batches with the identity of their events, in place of where their file lies at present."""
        for batch in batches:
            for place, event in batch:
                event["event.id"] = f"{self._run.name}:{self._digests[place.path]}:{place.line}"
            yield batch

    def opener(self, format_: str) -> Opener:
        """Opens files; what cannot be read in them is kept as dead letters."""
        from collectors.parsers.ecs import disarm

        # No parser has looked at native records: what only Almena says of an event is taken out here.
        prepare = disarm if format_ == "native" else self._enrich
        open_ = opener(format_, lambda event: self._own(self._mask(prepare(event))))
        return lambda path: self._watched(*open_(path))

    def _own(self, event: Event) -> Event:
        event["almena.source.name"] = self._run.name
        if self._run.agency:
            event["organization.id"] = self._run.agency
        return event

    def _watched(self, kind: str, items: Iterator[Item], read: Callable[[bytes], Event]) -> Opened:
        current: Item | None = None

        def watched_items() -> Iterator[Item]:
            nonlocal current
            for current in items:
                _, data = current
                if isinstance(data, ParseError):
                    self._keep(kind, current, data)
                elif len(data) > LONGEST_LINE:
                    self._keep(kind, current, ParseError(f"longer than {LONGEST_LINE} bytes"))
                yield current

        def watched_read(raw: bytes) -> Event:
            try:
                return self._believed(read(raw))
            except Exception as error:
                refused = error if isinstance(error, ParseError) else self._mistake(kind, error)
                if current is not None:
                    self._keep(kind, current, refused)
                raise refused from None

        return kind, watched_items(), watched_read

    def _believed(self, event: Event) -> Event:
        """The event, when its time can be: no window and no baseline is to begin in 1970 or end in 9999."""
        moment = event_time(event)
        if moment <= 0:
            raise ParseError("no time that can be believed")
        if moment > self._latest:
            raise ParseError("its time lies in the future")
        return event

    def _mistake(self, kind: str, error: Exception) -> ParseError:
        """A mistake in a parser, told once of its kind and without the message, which may quote the record."""
        refused = ParseError(f"parser failed: {type(error).__name__}")
        self._failed[f"{kind}: {refused.reason}"] += 1
        if self._failed[f"{kind}: {refused.reason}"] == 1:
            log.error("%s: %s; such records become dead letters", kind, refused.reason)
        return refused

    def _keep(self, kind: str, item: Item, error: ParseError) -> None:
        """A dead letter, as the intake writes them; up to `LETTERS` of them."""
        place, data = item
        raw = data if isinstance(data, bytes) else b""
        if len(self.kept) >= LETTERS or self._bytes + len(raw) > LETTERS_BYTES:
            return
        self._bytes += len(raw)
        name, lane = self._run.name, self._digests[place.path]
        identity = hashlib.blake2b(f"{name}:{lane}:{place.line}".encode(), digest_size=16).hexdigest()
        self.kept.add(identity)
        self._run.letter(
            {
                "id": identity,
                "source": name,
                "agency": self._run.agency,
                "lane": lane,
                "seq": place.line,
                "parser": kind,
                "reason": error.reason[:300].encode("utf-8", "replace").decode(),
                "at": error.at,
                "received": format_time(now()),
                "origin": place.path,
                "place": place.offset,
                "sealed": self._seal(raw),
            }
        )


def _told(config: Config, run: Run, history: History, totals: Totals, copies: Mapping[Path, Path]) -> Iterator[str]:
    """What people should know beside the counts."""
    address = config.desk.console_url or f"http://{config.console.listen}"
    yield (
        f"{run.name}: {_alerts(run.alerts)} handed to the desk, which keeps them apart and tells nobody: "
        f"{address.rstrip('/')}/cola?estado=history&q={run.name}"
    )
    for path, same in copies.items():
        yield f"{path}: is the same as {same}, and is read once"
    if run.aged:
        yield (
            f"{_alerts(run.aged)} left out, about what happened before {format_time(run.oldest)[:10]}, and "
            f"`[desk] keep_alerts` ({Span(config.desk.keep_alerts)}) would remove them within the hour; make it "
            "longer, or look at them with `almena replay`"
        )
    if dead := totals.dead.total():
        kept = len(history.kept)
        how_many = f"{kept:,} of {dead:,} dead letters are kept" if kept < dead else "dead letters are kept"
        yield f"{how_many} as of source {run.name}; `almena dead list` shows them, and why"


def _alerts(count: int) -> str:
    return f"{count:,} alert{'' if count == 1 else 's'}"

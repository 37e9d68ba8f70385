"""The commands of operators: up, status, dead letters, backup and restore."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from almena import backup as backups
from almena import metrics
from almena.app import bus_of, configuration, opened, secret_of, sources_of, store_of, there
from almena.app.texts import Texts
from almena.bus import EVENTS, Record
from almena.clock import SECOND, format_time, now, parse_time, to_datetime
from almena.config import Config
from almena.console import audit
from almena.errors import BusError, Conflict, ParseError, StoreError, UsageError
from almena.event import Event, encode
from almena.sealing import Secret
from almena.status import status
from almena.store import ALL, DEAD, Filter, Query, Store, Versioned
from almena.supervisor import Supervisor, metrics_places, units
from almena.traffic import READERS, Spooled, Traffic, lasting, spooled_at, traffic
from almena.words import safe

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")

ROLES = ("collect", "detect", "correlate", "desk", "console")
"""The roles of an installation, in the order of the flow."""

_ATTEMPT = "almena.dead.attempt"
_PAGE = 500
_WIDTH = 110


def up(path: Path | None) -> int:
    """Run all roles until told to stop."""
    config = configuration(path)
    file = Path(config.path) if config.path else None
    if file is None:
        raise UsageError("there is no almena.toml in this folder; `almena up --config FILE` names one")
    if not config.collectors:
        raise UsageError(f"{file.name}: no [collectors.<name>] is configured; CONTRIBUTING.md shows one")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s almena %(levelname)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with only_one(config):
        supervisor = Supervisor(units(ROLES, config.workers.counts()), file, Path(config.data))
        supervisor.start()
        if not sys.stdin.isatty():  # there it would mean that the terminal is closed
            signal.signal(signal.SIGHUP, lambda *_: reload(supervisor))
        logging.getLogger("almena").info("console on http://%s", config.console.listen)
        supervisor.watch(stop)
        return 0 if supervisor.stop() else 1


def reload(supervisor: Supervisor) -> None:
    """Let the roles that run rules read them again."""
    for unit in supervisor.roles:
        pid = supervisor.pid(unit)
        if pid is not None and unit.partition(".")[0] in ("detect", "correlate"):
            os.kill(pid, signal.SIGHUP)


@contextlib.contextmanager
def only_one(config: Config) -> Iterator[None]:
    """Hold the installation's lock; raises UsageError when another process has it."""
    data = Path(config.data)
    data.mkdir(parents=True, exist_ok=True)
    with (data / "almena.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{data}: Almena runs there already; stop it first") from None
        yield


@contextlib.contextmanager
def at_work(config: Config) -> Iterator[None]:
    """Hold, with others, that a role runs on this folder; raises UsageError while `idle` is held."""
    data = Path(config.data)
    data.mkdir(parents=True, exist_ok=True)
    with (data / "roles.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{data}: a restore or a move is under way; start again when it is done") from None
        yield


@contextlib.contextmanager
def idle(config: Config) -> Iterator[None]:
    """Hold that no role runs on this installation's folder; raises UsageError when one does."""
    with only_one(config), (Path(config.data) / "roles.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{config.data}: a role of Almena runs there; stop all of them first") from None
        yield


def expected_of(config: Config) -> dict[str, int]:
    """How often each source speaks at least, where that is configured."""
    return {name: int(source.expect) for name, source in sources_of(config).items() if source.expect is not None}


def spool_of(config: Config) -> Spooled | None:
    """What waits on this machine until the bus takes it."""
    given = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    places = [Path(given)] if given else metrics_places(Path(config.data))
    told = next((metrics.render(str(folder)) for folder in places if (folder / "lock").exists()), b"")
    return spooled_at(Path(config.data) / "spool.sqlite", config.spool.megabytes << 20, told)


def show_status(config: Config, *, json: bool) -> int:
    """Print the status; 1 when something is wrong. What does not answer is told, and the rest all the same."""
    there(config)
    with contextlib.ExitStack() as stack:
        waiting = _asked(lambda: traffic(stack.enter_context(contextlib.closing(bus_of(config)))))
        store = _asked(lambda: stack.enter_context(contextlib.closing(store_of(config))))
        found = status(
            store,
            Traffic(error=waiting) if isinstance(waiting, str) else waiting,
            expected=expected_of(config),
            language=config.language,
            spool=spool_of(config),
        )
    if json:
        print(msgspec.json.encode(found).decode())
    else:
        _print_status(found, Texts(config.language), config.console.time_zone())
    return 0 if found["ok"] else 1


def _asked(question: Callable[[], T]) -> T | str:
    """The answer, or why there is none."""
    try:
        return question()
    except (BusError, StoreError) as error:
        return str(error)


def _print_status(found: dict[str, Any], say: Texts, zone: ZoneInfo) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    console.width = max(console.width, _WIDTH)
    if found["store"]:
        _print_sources(found, say, zone, console)
    _print_lag(found, say, console)
    for member in found["members"]:
        mark = "●" if member["here"] else "○"
        heard = f"{say('heard')} {_local(member['heard'], zone)}"
        console.print(f"{mark} {member['member']}  {heard}", markup=False, soft_wrap=True)
    outbox = {name: f"{count:,}" for name, count in found["outbox"].items()}
    if found["store"]:
        console.print(say("outbox", **outbox))
    if (spool := found["spool"]) is not None and spool["records"]:
        console.print(say("spool", count=f"{spool['records']:,}", share=f"{spool['share']:.0%}"))
    for problem in found["problems"]:
        console.print(f"✗ {problem}", markup=False, soft_wrap=True)
    if found["ok"]:
        console.print(f"✓ {say('good')}")


def _print_sources(found: dict[str, Any], say: Texts, zone: ZoneInfo, console: Console) -> None:
    from rich.table import Table

    offset = to_datetime(now()).astimezone(zone).strftime("%z")
    last_seen = f"{say('last_seen')} (UTC{offset[:3]}:{offset[3:]})"
    table = Table(say("source"), say("agency"), last_seen, box=None, header_style="dim")
    for title in ("events_column", "late_column", "dead_column", "drops_column"):
        table.add_column(say(title), justify="right")
    for source in found["sources"]:
        counts = (f"{source[name]:,}" for name in ("events", "late", "dead_letters", "drops"))
        table.add_row(safe(source["name"]), safe(source["agency"]), _local(source["last_seen"], zone), *counts)
    console.print(table if found["sources"] else say("no_sources"))
    totals = {"events": found["events"], "alerts": found["alerts"], "rules": found["rules"]["loaded"]}
    console.print("\n" + " · ".join(say(name, count=f"{count:,}") for name, count in totals.items()))


def _print_lag(found: dict[str, Any], say: Texts, console: Console) -> None:
    from rich.table import Table

    if not found["lag"]:
        return
    table = Table(say("topic"), say("group"), box=None, header_style="dim")
    for title in ("unread", "delay"):
        table.add_column(say(title), justify="right")
    for topic, count in found["lag"].items():
        delay = found["delay"].get(topic)
        table.add_row(topic, READERS[topic], f"{count:,}", "—" if delay is None else lasting(round(delay * SECOND)))
    console.print(table)


def _local(moment: str | None, zone: ZoneInfo) -> str:
    return to_datetime(parse_time(moment)).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S") if moment else "—"


def letters_of(store: Store, *, every: bool, source: str = "") -> Iterator[Versioned]:
    """Dead letters, newest first: those that wait, or `every` one; of one source where it is named."""
    filters = [] if every else [Filter("almena.dead.status", "in", ("open",))]
    if source:
        filters.append(Filter("almena.source.name", "in", (source,)))
    query = Query(kind=DEAD, scope=ALL, filters=tuple(filters), limit=_PAGE)
    cursor: str | None = None
    while True:
        page = store.search(query, cursor)
        yield from page.items
        cursor = page.cursor
        if cursor is None:
            return


def dead_list(config: Config, *, limit: int, every: bool) -> int:
    """One dead letter per line."""
    with opened(config) as (_, store):
        for number, letter in enumerate(letters_of(store, every=every)):
            if number == limit:
                print(f"… more; `--limit` shows them (now {limit})", file=sys.stderr)
                break
            document = letter.document
            names = (
                "@timestamp",
                "almena.source.name",
                "almena.dead.parser",
                "almena.dead.status",
                "almena.dead.reason",
            )
            print("\t".join([letter.id, *(safe(document.get(name, "")) for name in names)]))
    return 0


def _letter(store: Store, identity: str) -> Versioned:
    found = store.get(DEAD, identity, scope=ALL)
    if found is None:
        raise UsageError(f"there is no dead letter {identity!r}; `almena dead list` shows them")
    return found


def dead_show(config: Config, identity: str) -> int:
    """One dead letter with its original bytes, which may hold personal data: the look is audited."""
    with opened(config) as (_, store):
        document = _letter(store, identity).document
        facts = {"almena.audit.target": identity}
        agency = str(document.get("organization.id", ""))
        audit.record(store, time=now(), action="dead-letter-shown", user=person(), agency=agency, facts=facts)
    for name in sorted(document):
        if name != "almena.dead.sealed":
            print(f"{name}: {safe(document[name], 2_000)}")
    original = secret_of(config).unseal(str(document["almena.dead.sealed"]))
    print(f"\n{len(original)} bytes:\n{safe(original.decode('utf-8', 'backslashreplace'), 1 << 20)}")
    return 0


def person() -> str:
    """Who runs this command, for the audit."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def dead_replay(config: Config, identities: list[str], source: str) -> int:
    """Parse letters again and append what is understood now; 1 when some are still not understood."""
    from almena.masking import Masker
    from collectors.enrich import Enricher

    done = failed = 0
    secret, enrich = secret_of(config), Enricher(config.enrich)
    mask = Masker(secret.derive("masking")).mask
    with opened(config) as (bus, store):
        letters = [_letter(store, identity) for identity in identities] or list(
            letters_of(store, every=False, source=source)
        )
        for letter in letters:
            if letter.document.get("almena.dead.status") != "open":
                continue
            try:
                record = revived(config, letter, secret, lambda event: mask(enrich(event)))
            except ParseError as error:
                failed += 1
                print(f"{letter.id}: still not understood: {error}", file=sys.stderr)
                with contextlib.suppress(Conflict):  # somebody else tries it too
                    store.replace(DEAD, letter.id, letter.document | {_ATTEMPT: _attempts(letter) + 1}, letter.version)
                continue
            bus.append(EVENTS, [record])
            settle(store, letter)
            done += 1
    print(f"{done} put back, {failed} still not understood")
    return 1 if failed else 0


def settle(store: Store, letter: Versioned) -> None:
    """Write down that what the letter holds was understood; raises Conflict."""
    document = letter.document | {"almena.dead.status": "replayed", "almena.dead.replayed": format_time(now())}
    store.replace(DEAD, letter.id, document, letter.version)


def _attempts(letter: Versioned) -> int:
    """How often the letter was tried."""
    return int(letter.document.get(_ATTEMPT) or 1)


def revived(config: Config, letter: Versioned, secret: Secret, finish: Callable[[Event], Event]) -> Record:
    """The letter's event as a record of a lane of its own, so that it is no repeat; raises ParseError."""
    from collectors.base import Raw
    from collectors.intake import event_of
    from collectors.parsers import PARSERS

    document = letter.document
    if (topic := document.get("almena.dead.topic", EVENTS)) != EVENTS:
        raise ParseError(f"it lay on the bus among the {topic} and came from no source")
    name = str(document.get("almena.source.name", ""))
    source = sources_of(config).get(name)
    if source is None:
        raise ParseError(f"source {name} is no longer configured; if it was a backfill, run that again")
    raw = Raw(
        data=secret.unseal(str(document["almena.dead.sealed"])),
        lane=str(document.get("almena.dead.lane", "")),
        seq=int(document.get("almena.dead.seq") or 0),
        received=parse_time(str(document["@timestamp"])),
        origin=str(document.get("almena.dead.origin", "")),
        place=int(document.get("almena.dead.place") or 0),
    )
    event = event_of(source, raw, PARSERS[source.parser], finish)
    headers = {"source": source.name, "agency": source.agency, "lane": f"dead.{letter.id}", "seq": "0"}
    headers["attempt"] = str(_attempts(letter) + 1)
    return Record(f"{source.name}/dead.{letter.id}", encode(event), headers)


def backup(config: Config, archive: Path) -> int:
    """Write an archive of the installation."""
    print(f"{archive}: {', '.join(backups.save(config, archive))}")
    return 0


def restore(config: Config, archive: Path, *, force: bool) -> int:
    """Bring an archive back."""
    with idle(config):
        print(f"{config.data}: {', '.join(backups.load(config, archive, force=force))}")
    return 0

"""The metrics of every role, in one place: `almena_` prefix, base units, labels that no stranger can multiply."""

from __future__ import annotations

import fcntl
import logging
import os
import struct
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families

log = logging.getLogger("almena.metrics")

_STEP_BUCKETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
_LEFT = -1.0
"""`almena_rule_shadow` of a rule that left."""
_DELAY_BUCKETS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 300.0, 3600.0)

EVENTS_RECEIVED = Counter("almena_events_received_total", "Records received, before parsing.", ["source", "agency"])
EVENTS_DROPPED = Counter("almena_events_dropped_total", "Records lost for good.", ["source", "reason"])
CONNECTIONS_REFUSED = Counter(
    "almena_connections_refused_total", "Connections of senders that were refused or had to go.", ["source", "reason"]
)
EVENTS_PARSE_ERRORS = Counter(
    "almena_events_parse_errors_total", "Records that became dead letters.", ["source", "parser"]
)
EVENTS_RECOGNISED = Counter(
    "almena_events_recognised_total",
    "Records of sources with the parser auto, by format.",
    ["source", "format"],
)
EVENTS_REPEATED = Counter("almena_events_repeated_total", "Records seen before and left out by detect.", ["source"])
EVENTS_LATE = Counter("almena_events_late_total", "Events too late for live windows.", ["source"])
EVENTS_FUTURE = Counter("almena_events_future_total", "Events from the future, clamped to the append time.", ["source"])
SOURCE_FLOOD = Gauge(
    "almena_source_flood",
    "1 while the room for what waits of a source is nearly full, 2 once it was full, 0 when that is over.",
    ["source"],
    multiprocess_mode="livemax",
)
EVENT_DELAY = Histogram("almena_event_delay_seconds", "From event time to append.", buckets=_DELAY_BUCKETS)
SOURCE_LAST_EVENT = Gauge(
    "almena_source_last_event_timestamp_seconds",
    "When the source's last event was appended.",
    ["source", "agency"],
    multiprocess_mode="max",
)
NETFLOW_MISSING = Counter(
    "almena_netflow_missing_total",
    "Flows, records or datagrams that exporters numbered and nobody received, by what their version numbers.",
    ["source", "unit"],
)
NETFLOW_EXPORTERS = Gauge("almena_netflow_exporters", "Exporters remembered.", ["source"], multiprocess_mode="livesum")
NETFLOW_TEMPLATES = Gauge(
    "almena_netflow_templates", "Templates of exporters remembered.", ["source"], multiprocess_mode="livesum"
)
CAPTURE_PACKETS = Counter("almena_capture_packets_total", "Packets read from an interface.", ["source"])
CAPTURE_LOSS = Gauge(
    "almena_capture_loss_ratio",
    "Of the packets on an interface the share that the kernel threw away, in the last seconds.",
    ["source"],
    multiprocess_mode="livemax",
)
BUS_LAG = Gauge(
    "almena_bus_lag_records",
    "Records a group has not read yet.",
    ["topic", "group", "partition"],
    multiprocess_mode="mostrecent",
)
BUS_DELAY = Gauge(
    "almena_bus_delay_seconds",
    "How long the oldest record that a group has not read yet has lain on the bus.",
    ["topic", "group"],
    multiprocess_mode="mostrecent",
)
BUS_UP = Gauge("almena_bus_up", "1 where the bus answers the console, 0 where not.", multiprocess_mode="mostrecent")
STORE_UP = Gauge(
    "almena_store_up", "1 where the store answers the console, 0 where not.", multiprocess_mode="mostrecent"
)
BUS_GAPS = Counter("almena_bus_gap_records_total", "Records trimmed or damaged before they were read.", ["topic"])
SPOOL_RECORDS = Gauge(
    "almena_spool_records", "Records that wait on disk because the bus refuses.", multiprocess_mode="livesum"
)
SPOOL_BYTES = Gauge("almena_spool_bytes", "Bytes of what waits on disk for the bus.", multiprocess_mode="livesum")
SPOOL_LIMIT = Gauge("almena_spool_limit_bytes", "Bytes that may wait on disk for the bus.", multiprocess_mode="livesum")
SPOOL_OLDEST = Gauge(
    "almena_spool_oldest_seconds", "How long the oldest record on disk has waited.", multiprocess_mode="livemax"
)
STEP_DURATION = Histogram(
    "almena_step_duration_seconds", "One atomic step of a role.", ["stage"], buckets=_STEP_BUCKETS
)
DETECTOR_EVENT_DURATION = Histogram(
    "almena_detector_event_duration_seconds",
    "Detection time per event, batch means.",
    buckets=(1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 1e-2),
)
DETECTOR_ERRORS = Counter("almena_detector_errors_total", "Batches a detector failed on.", ["detector"])
RULE_MATCHES = Counter("almena_rule_matches_total", "Events a rule matched.", ["rule_id", "level"])
RULE_CANDIDATES = Counter("almena_rule_candidates_total", "Events a rule was asked about, by samples.", ["rule_id"])
RULE_SECONDS = Counter("almena_rule_seconds_total", "Time spent on asking a rule, by samples.", ["rule_id"])
RULE_SHADOW = Gauge(
    "almena_rule_shadow", "1 for a rule in shadow, 0 for one that alerts.", ["rule_id"], multiprocess_mode="livemax"
)
RULES_INFO = Gauge(
    "almena_rules_info", "Workers that run the set of rules of this hash.", ["hash"], multiprocess_mode="livesum"
)
RULES_SHADOW = Gauge(
    "almena_rules_shadow",
    "Rules in shadow, by why: listed, rule, budget, rests.",
    ["why"],
    multiprocess_mode="mostrecent",
)
RULES_LOADED = Gauge("almena_rules_loaded", "Rules in use.", multiprocess_mode="mostrecent")
RULES_REJECTED = Gauge("almena_rules_rejected", "Rules refused, with a reason.", multiprocess_mode="mostrecent")
RULES_RELOADS = Counter("almena_rules_reloads_total", "Rule sets taken into use while running.", ["stage"])
RULES_RELOAD_FAILURES = Counter(
    "almena_rules_reload_failures_total", "Changed rules that were refused; the set before runs on.", ["stage"]
)
HITS_UNCLAIMED = Counter(
    "almena_hits_unclaimed_total", "Hits left out because the operator they were made for was not there."
)
WATERMARK_DELAY = Gauge(
    "almena_watermark_delay_seconds",
    "How far event time lies behind the clock.",
    ["partition"],
    multiprocess_mode="mostrecent",
)
PENDING_HITS = Gauge(
    "almena_correlation_pending_hits",
    "Hits that wait for event time to pass them.",
    ["partition"],
    multiprocess_mode="mostrecent",
)
STATE_ENTRIES = Gauge("almena_correlation_state_entries", "Values kept by operators.", multiprocess_mode="livesum")
STATE_BYTES = Gauge("almena_correlation_state_bytes", "Bytes of what operators keep.", multiprocess_mode="livesum")
STATE_EVICTIONS = Counter(
    "almena_correlation_evictions_total", "Values that left operators' state for lack of room.", ["detector"]
)
STATE_DAMAGED = Counter(
    "almena_state_damaged_total", "Values of saved state that could not be read and were forgotten.", ["detector"]
)
CORRELATION_SKIPPED = Counter(
    "almena_correlation_skipped_total",
    "Matches a correlation could not count, by what was missing: group, field.",
    ["rule_id", "reason"],
)
ALERTS = Counter("almena_alerts_total", "Alerts stored.", ["level", "agency"])
ALERTS_SHADOW = Counter("almena_alerts_shadow_total", "Alerts of rules in shadow.", ["level", "agency"])
ALERTS_HISTORY = Counter("almena_alerts_history_total", "Alerts of backfilled history.", ["level", "agency"])
ALERTS_SUPPRESSED = Counter("almena_alerts_suppressed_total", "Alerts stored as suppressed.", ["reason"])
DEAD_LETTERS = Counter("almena_dead_letters_total", "Dead letters stored.", ["stage"])
STORE_FAILURES = Counter("almena_store_write_failures_total", "Writes the store refused or lost.")
NOTIFICATIONS = Counter("almena_notification_attempts_total", "Notifications tried.", ["channel", "outcome"])
OUTBOX_DEPTH = Gauge("almena_outbox_depth", "Notifications waiting to be delivered.", multiprocess_mode="mostrecent")
HEARTBEAT = Gauge(
    "almena_heartbeat_timestamp_seconds", "When the role last did a step.", ["stage"], multiprocess_mode="max"
)
RESTARTS = Counter("almena_role_restarts_total", "Roles restarted by the supervisor.", ["stage"])


def render(multiprocess_dir: str | None) -> bytes:
    """The metrics as Prometheus text: of all processes that share a directory, or of this one."""
    if multiprocess_dir is None:
        return generate_latest()
    with _locked(Path(multiprocess_dir), fcntl.LOCK_SH):
        found = list(MultiProcessCollector(None, path=multiprocess_dir).collect())  # type: ignore[no-untyped-call]
    return generate_latest(_Present(found))


def read(text: bytes, *names: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Name, labels and value of the series in Prometheus text whose names begin with one of `names`."""
    lines = [line for line in text.decode("utf-8", "replace").splitlines() if line.startswith(names)]
    for family in text_string_to_metric_families("\n".join([*lines, ""])):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


class _Present(CollectorRegistry):
    """What all processes measured, without rules that left: what a file holds cannot be taken out of it."""

    def __init__(self, found: Sequence[Metric]) -> None:
        super().__init__(auto_describe=False)
        self._found = found

    def collect(self) -> Iterator[Metric]:
        """The metrics, those of rules only where a living process runs the rule; all of them where none lives."""
        known: dict[str, float] = {}
        for metric in self._found:
            if metric.name == "almena_rule_shadow":
                known = {sample.labels["rule_id"]: sample.value for sample in metric.samples}
        for metric in self._found:
            if metric.name == "almena_rules_info":
                metric.samples = [item for item in metric.samples if item.value]
            if known and metric.name.startswith("almena_rule_"):
                metric.samples = [item for item in metric.samples if known.get(item.labels["rule_id"], _LEFT) != _LEFT]
            yield metric


def register_rules(levels: Mapping[str, str], shadow: Collection[str] = ()) -> dict[str, Counter]:
    """Export every rule from now on, from zero; `levels` by rule id; returns the counter of each rule's matches.

    Ids come from rules that were loaded, never from events, so strangers cannot multiply them.
    """
    counters = {}
    for rule, level in levels.items():
        counters[rule] = RULE_MATCHES.labels(rule, level)
        RULE_CANDIDATES.labels(rule)
        RULE_SECONDS.labels(rule)
    for rule in {*levels, *shadow}:
        RULE_SHADOW.labels(rule).set(rule in shadow)
    return counters


def forget_rules(levels: Mapping[str, str]) -> None:
    """Export the rules no more: they left; `levels` as they were registered."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # where files are shared the series stay in them: see _Present
        for rule, level in levels.items():
            RULE_SHADOW.labels(rule).set(_LEFT)
            for metric, labels in ((RULE_MATCHES, (rule, level)), (RULE_CANDIDATES, (rule,)), (RULE_SECONDS, (rule,))):
                metric.remove(*labels)
            RULE_SHADOW.remove(rule)


def run_set(name: str, before: str = "") -> None:
    """Say that this process runs the set of rules of that hash, and no more the one before."""
    if before and before != name:
        RULES_INFO.labels(before).set(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            RULES_INFO.remove(before)
    RULES_INFO.labels(name).set(1)


def bury_dead(folder: Path) -> None:
    """Add what ended processes counted to the files of process 0: each restart would leave more files for ever."""
    with _locked(folder, fcntl.LOCK_EX):
        for file in sorted(folder.glob("*_*.db")):
            kind, _, pid = file.stem.rpartition("_")
            if pid == "0" or _lives(int(pid)):
                continue
            if not kind.startswith("gauge_live"):
                _add(file, folder / f"{kind}_0.db", kind)
            file.unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """Nobody reads while what was counted moves from one file to another."""
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, how)
        yield


def _add(file: Path, heir: Path, kind: str) -> None:
    total = MmapedDict(str(heir))  # type: ignore[no-untyped-call]
    try:
        for key, value, moment, _ in MmapedDict.read_all_values_from_file(str(file)):  # type: ignore[no-untyped-call]
            msgspec.json.decode(key, type=tuple[str, str, dict[str, str], str])
            known, before = total.read_value(key)  # type: ignore[no-untyped-call]
            match kind:
                case "gauge_max":
                    value = max(value, known)
                case "gauge_mostrecent":
                    moment, value = max((moment, value), (before, known))
                case _:
                    value += known
            total.write_value(key, value, moment)  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, struct.error, msgspec.MsgspecError) as error:  # killed while it wrote
        log.warning("%s: damaged (%s); what it counted last is left out", file.name, error)
    finally:
        total.close()  # type: ignore[no-untyped-call]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

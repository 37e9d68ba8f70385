"""What the demo shows on the terminal: a small live screen, and the report of `--once`."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live as RichLive
from rich.table import Table
from rich.text import Text

from almena.alert import LEVELS
from almena.app.roles import password_file
from almena.app.texts import Texts
from almena.clock import now, parse_time, to_datetime
from almena.config import Config
from almena.console.i18n import speaker
from almena.console.show import LEVEL_WORDS, SHAPES, Look
from almena.console.users import find_user
from almena.demo.play import Sent
from almena.store import ALERTS, ALL, Query, Store
from almena.supervisor import Supervisor
from almena.words import safe

STYLES = {"critical": "bold red", "high": "yellow", "medium": "cyan", "low": "blue", "informational": "dim"}
"""The colour of each severity, beside its shape and its word."""

_REFRESH = 1.0
_RECENT = 8
_PLAIN_EVERY = 5.0
_TITLE = 2
_ROOM_FOR_ENTITY = 100
"""Columns from which an alert's line also says whom it is about."""


def waiting_password(config: Config, store: Store) -> str | None:
    """The one-time password while nobody has used it; the file of a used one is removed."""
    file, admin = password_file(config), find_user(store, "admin")
    if not file.exists():
        return None
    if admin is None or admin.must_change:
        return file.read_text("utf-8").split()[1]
    file.unlink(missing_ok=True)
    return None


@dataclass
class Live:
    """The live screen: address, password, rates and the newest alerts; plain lines where there is no terminal."""

    config: Config
    password: str | None
    supervisor: Supervisor
    _console: Console = field(default_factory=lambda: Console(highlight=False))
    _screen: RichLive | None = None
    _shown: float = 0.0
    _events: tuple[float, int] = (0.0, 0)
    _rate: float = 0.0

    def __post_init__(self) -> None:
        """Speak the configured language."""
        self._say = Texts(self.config.language)

    def __enter__(self) -> Live:
        for line in self._head():
            self._console.print(line)
        if self._console.is_terminal:
            self._screen = RichLive(console=self._console, auto_refresh=False, transient=True)
            self._screen.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._screen is not None:
            self._screen.stop()

    def update(self, status: Callable[[], dict[str, Any]], store: Store) -> None:
        """Show how things are, at most once a second (every five seconds in plain lines)."""
        moment = time.monotonic()
        if moment - self._shown < (_REFRESH if self._screen is not None else _PLAIN_EVERY):
            return
        self._shown = moment
        found = status()
        before, count = self._events
        if before:
            self._rate = (found["events"] - count) / (moment - before)
        self._events = (moment, found["events"])
        if self._screen is not None:
            self._screen.update(Group(self._figures(found), "", self._newest(store)), refresh=True)
        else:
            self._console.print(self._figures(found))
            sys.stdout.flush()

    def _head(self) -> list[str]:
        say, user = self._say, "[bold]admin[/bold]"
        if self.password is not None:
            who = say("once_password", user=user, password=f"[bold]{self.password}[/bold]")
        else:
            who = say("own_password", user=user)
        url = f"http://{self.config.console.listen}"
        zone = self._look().zone_label()
        return [f"[bold]Almena[/bold] · {say('console', url=url)}", f"  {who}", f"  {say('simulated', zone=zone)}\n"]

    def _look(self) -> Look:
        return Look(self.config.language, self.config.console.time_zone(), now())

    def _figures(self, found: dict[str, Any]) -> Text:
        parts = [self._say("rate", count=f"{found['events']:,}", rate=f"{self._rate:,.0f}")]
        parts += [self._say(name, count=f"{found[name]:,}") for name in ("alerts", "dead_letters", "drops")]
        if restarts := sum(self.supervisor.restarts().values()):
            parts.append(self._say("restarts", count=restarts))
        return Text(" · ".join(parts))

    def _newest(self, store: Store) -> RenderableType:
        items = store.search(Query(kind=ALERTS, scope=ALL, limit=_RECENT)).items
        if not items:
            return Text(self._say("no_alerts"), "dim")
        look, columns = self._look(), 4 if self._console.width >= _ROOM_FOR_ENTITY else 3
        rows = [_row(item.document, look)[:columns] for item in items]
        table = Table(box=None, show_header=False, padding=(0, 1))
        widths = [max(row[at].cell_len for row in rows) for at in range(columns)]
        # Where there is no room for all, only the title gives way.
        missing = max(sum(widths) + 2 * columns - self._console.width, 0)
        widths[_TITLE] = max(widths[_TITLE] - missing, 10)
        for width in widths:
            table.add_column(no_wrap=True, width=width, overflow="ellipsis")
        for row in rows:
            table.add_row(*row)
        return table


def _row(alert: dict[str, Any], look: Look) -> list[Text]:
    level = LEVELS.get(int(alert["event.severity"]), "low")
    moment = to_datetime(parse_time(alert["@timestamp"])).astimezone(look.zone)
    return [
        Text(moment.strftime("%H:%M:%S"), "dim"),
        Text(f"{SHAPES[level]} {speaker(look.language)(LEVEL_WORDS[level])}", STYLES[level]),
        Text(look.title(alert)),
        Text(" ".join(look.entity(str(alert.get("almena.alert.entity", ""))))[:40], "dim"),
    ]


@dataclass
class Report:
    """What `almena demo --once` found."""

    sent: Sent
    status: dict[str, Any]
    alerts: list[dict[str, Any]]
    seconds: tuple[float, float]
    """From the start until all was sent, and until the roles had stopped."""

    @property
    def missed(self) -> list[tuple[str, str]]:
        """Scenes with the rules that did not alert on them."""
        raised = {str(alert["rule.id"]) for alert in self.alerts}
        named = {(str(alert["rule.id"]), str(alert.get("almena.alert.entity", ""))) for alert in self.alerts}
        found = []
        for played in self.sent.played:
            rules = [rule for rule in played.scene.rules if rule not in raised]
            if played.entity and (played.scene.rules[0], played.entity) not in named and not rules:
                rules = [f"{played.scene.rules[0]} ({played.entity})"]
            found += [(played.scene.name, rule) for rule in rules]
        return found

    @property
    def difference(self) -> int:
        """Records sent less those accounted for."""
        return self.total - int(self.status["events"] + self.status["dead_letters"] + self.status["drops"])

    @property
    def total(self) -> int:
        """Records sent."""
        return sum(self.sent.records.values())

    @property
    def ok(self) -> bool:
        """True when no scene was missed, the sum holds, and only what must be a dead letter is one."""
        return not self.missed and self.difference == 0 and self._broken == self.status["dead_letters"]

    @property
    def _broken(self) -> int:
        return sum(self.sent.broken.values())

    def show(self, language: str) -> None:
        """Print the summary."""
        console, say = Console(highlight=False), Texts(language)
        count = Counter(str(alert["rule.id"]) for alert in self.alerts)
        table = Table(say("scene"), box=None, header_style="dim")
        table.add_column(say("alerts_column"), justify="right")
        for played in self.sent.played:
            table.add_row(say.scene(played.scene.name), f"{sum(count[rule] for rule in played.scene.rules):,}")
        console.print(table)
        for line in self._lines(say):
            console.print(line, soft_wrap=True, markup=False)

    def _lines(self, say: Texts) -> list[str]:
        found, (played_in, whole) = self.status, self.seconds
        kept, dead, lost = (f"{found[name]:,}" for name in ("events", "dead_letters", "drops"))
        sign = f"✗ ({say('missing', count=f'{self.difference:,}')})" if self.difference else "✓"
        lines = ["", f"{say('sum', sent=f'{self.total:,}', kept=kept, dead=dead, lost=lost)} {sign}"]
        if self._broken != found["dead_letters"]:
            lines.append(f"✗ {say('broken', count=f'{self._broken:,}')}")
        lines.append(say("took", count=f"{len(self.alerts):,}", sent=played_in, whole=whole))
        lines += [f"✗ {say('scene_missed', scene=say.scene(scene), rule=rule)}" for scene, rule in self.missed]
        lines += [f"✗ {safe(problem, 400)}" for problem in found["problems"]]
        if not self.missed:
            lines.append(f"✓ {say('none_missed')}")
        return lines

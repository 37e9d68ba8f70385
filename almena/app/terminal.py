"""What the demo shows on the terminal: a small live screen, and the report of `--once`."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.table import Table
from rich.text import Text

from almena.alert import LEVELS
from almena.config import Config
from almena.demo.play import Sent
from almena.store import ALERTS, ALL, Query, Store
from almena.supervisor import Supervisor
from almena.words import safe

SIGNS = {
    "critical": ("◆", "Crítica", "bold red"),
    "high": ("▲", "Alta", "yellow"),
    "medium": ("●", "Media", "cyan"),
    "low": ("○", "Baja", "blue"),
    "informational": ("·", "Informativa", "dim"),
}
"""Severity as shape, word and colour, never by colour alone."""

_REFRESH = 1.0
_RECENT = 8
_PLAIN_EVERY = 5.0


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
            self._screen.update(Group(self._figures(found), _newest(store)), refresh=True)
        else:
            self._console.print(self._figures(found))
            sys.stdout.flush()

    def _head(self) -> list[str]:
        lines = [f"[bold]Almena[/bold] · consola en http://{self.config.console.listen}"]
        if self.password is not None:
            lines.append(f"  usuario [bold]admin[/bold], contraseña de un solo uso [bold]{self.password}[/bold]")
        else:
            lines.append("  usuario [bold]admin[/bold], con la contraseña que usted eligió")
        lines.append("  tráfico simulado; Ctrl-C detiene todo\n")
        return lines

    def _figures(self, found: dict[str, Any]) -> Text:
        parts = [f"eventos {found['events']:,} ({self._rate:,.0f}/s)", f"alertas {found['alerts']:,}"]
        parts += [f"mal formados {found['dead_letters']:,}", f"perdidos {found['drops']:,}"]
        if restarts := sum(self.supervisor.restarts().values()):
            parts.append(f"reinicios {restarts}")
        return Text(" · ".join(parts))


def _newest(store: Store) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 1))
    for item in store.search(Query(kind=ALERTS, scope=ALL, limit=_RECENT)).items:
        document = item.document
        sign, word, style = SIGNS[LEVELS.get(int(document["event.severity"]), "low")]
        words = document.get("almena.alert.words", {}).get("es", {})
        time_of_day = str(document["@timestamp"])[11:19]
        table.add_row(
            Text(f"{time_of_day}Z", "dim"),
            Text(f"{sign} {word}", style),
            Text(safe(words.get("title", document["message"]))),
            Text(safe(document.get("almena.alert.entity", ""), 60), "dim"),
        )
    return table


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

    def show(self) -> None:
        """Print the summary."""
        console = Console(highlight=False)
        count = Counter(str(alert["rule.id"]) for alert in self.alerts)
        table = Table("escena", "alertas", box=None, header_style="dim")
        for played in self.sent.played:
            alerts = sum(count[rule] for rule in played.scene.rules)
            table.add_row(played.scene.name, str(alerts))
        console.print(table)
        played_in, whole = self.seconds
        figures = (
            f"enviados {self.total:,} = guardados {self.status['events']:,} + mal formados "
            f"{self.status['dead_letters']:,} + perdidos {self.status['drops']:,}"
        )
        console.print(f"\n{figures} {'✓' if self.difference == 0 else f'✗ (faltan {self.difference:,})'}")
        if self._broken != self.status["dead_letters"]:
            console.print(f"✗ debían ser mal formados {self._broken:,}")
        console.print(f"alertas {len(self.alerts):,} · enviado en {played_in:.1f} s · terminado en {whole:.1f} s")
        for scene, rule in self.missed:
            console.print(f"✗ escena sin alerta: {scene} ({rule})")
        for problem in self.status["problems"]:
            console.print(f"✗ {safe(problem, 400)}")
        console.print("✓ ninguna escena quedó sin alerta" if not self.missed else "", end="\n")

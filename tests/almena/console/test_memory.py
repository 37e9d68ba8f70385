"""The figures of the memory of correlations: read, compared with an hour ago, and told in words."""

from __future__ import annotations

from collections.abc import Callable

import console_seed as seed
import pytest
from console_client import Clock, TestClient
from starlette.applications import Starlette

from almena.clock import HOUR, MINUTE, SECOND
from almena.console.memory import Figures, Memory, figures_in

SPRAYING = seed.SPRAYING["id"]
TEXT = """\
# HELP almena_correlation_state_entries Values kept by operators.
# TYPE almena_correlation_state_entries gauge
almena_correlation_state_entries 1200.0
almena_correlation_state_bytes 5.0e+06
almena_correlation_evictions_total{{detector="{rule}"}} {forgotten}
almena_correlation_evictions_created{{detector="{rule}"}} 1.7e+09
almena_correlation_pending_hits{{partition="10"}} 7.0
almena_correlation_pending_hits{{partition="2"}} 40.0
almena_watermark_delay_seconds{{partition="2"}} {delay}
almena_state_damaged_total{{detector="web_session"}} {damaged}
almena_events_received_total{{source="x"}} 9.0
"""


class Metrics:
    """Prometheus text that tests change."""

    def __init__(self) -> None:
        self.forgotten, self.damaged, self.delay, self.asked = 0, 0, 6.0, 0

    def __call__(self) -> bytes:
        self.asked += 1
        return TEXT.format(rule=SPRAYING, **{k: v for k, v in vars(self).items() if k != "asked"}).encode()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def test_the_figures_are_those_of_the_metrics(metrics: Metrics) -> None:
    metrics.forgotten = 3
    found = figures_in(metrics())
    assert (found.entries, found.size) == (1200, 5_000_000)
    assert (found.forgotten, found.pending, found.delay) == ({SPRAYING: 3}, {"10": 7, "2": 40}, {"2": 6})
    assert found.partitions() == ["2", "10"]
    assert figures_in(b"") == Figures()


def test_what_was_forgotten_is_a_problem_for_an_hour(metrics: Metrics, clock: Clock) -> None:
    memory = Memory(metrics, clock)
    titles = {SPRAYING: "Muchas cuentas"}
    assert memory.figures().problems("es", titles) == []
    metrics.forgotten, metrics.damaged = 1_234, 2
    assert memory.figures().problems("es", titles) == [], "asked at most every ten seconds"
    clock.time += 10 * SECOND
    full, torn = memory.figures().problems("es", titles)
    assert full == (
        "La memoria de correlación está llena: en la última hora se olvidaron 1,234 grupos de «Muchas "
        "cuentas»; puede faltar una alerta. Quizá alguien inunda a propósito."
    )
    assert torn == "Se dañó parte de la memoria de «web_session»: 2 valores no se pudieron leer y se olvidaron."
    assert "within the last hour 1,234 groups" in memory.figures().problems("en", {})[0]
    for _ in range(61):
        clock.time += MINUTE
        memory.figures()
    assert memory.figures().problems("es", titles) == []
    metrics.forgotten = 5  # Almena was started anew
    clock.time += MINUTE
    assert memory.figures().lately == {SPRAYING: 5}


def test_event_time_that_drifts_away_is_a_problem_and_one_that_is_merely_late_is_none(
    metrics: Metrics, clock: Clock
) -> None:
    memory = Memory(metrics, clock)
    memory.figures()
    clock.time += MINUTE
    metrics.delay = 1_800.0
    problem = "Las ventanas de la partición 2 se atrasan: la hora de los eventos va 30 min atrás."
    clock.time += MINUTE
    assert memory.figures().problems("es", {}) == [problem]
    for _ in range(2 * HOUR // MINUTE):
        clock.time += MINUTE
        memory.figures()
    assert memory.figures().problems("es", {}) == [], "it stands where it stood an hour ago"


def test_metrics_that_cannot_be_read_cost_no_page(clock: Clock) -> None:
    def torn() -> bytes:
        raise ValueError("torn")

    assert Memory(torn, clock).figures() == Figures()
    assert Memory(lambda: b"almena_correlation_state_entries no number\n", clock).figures() == Figures()


def test_the_page_and_every_place_that_tells_problems_say_it(
    make_app: Callable[..., Starlette], sign_in: Callable[..., TestClient], client: TestClient, metrics: Metrics
) -> None:
    console = client.app.state.console  # type: ignore[attr-defined]
    console.memory._metrics = metrics
    metrics.forgotten = 1_234
    ana = sign_in()
    page = ana.get("/salud").text
    assert "se olvidaron 1,234 grupos de «Alguien prueba una contraseña en muchas cuentas" in page
    assert "1,200 grupos y líneas base" in page
    assert "5.0 MB" in page
    assert '<td class="number">6 s</td><td class="number">40</td>' in page
    assert "se olvidaron 1,234 grupos" in ana.get("/fuentes").text
    assert any("1,234" in problem for problem in ana.get("/api/v1/status").json()["problems"])
    english = ana.get("/salud?lang=en").text
    assert "1,234 groups" in english
    assert "Nothing" not in english


def test_late_events_are_shown_by_source_within_the_agencies(
    sign_in: Callable[..., TestClient], store: object, clock: Clock
) -> None:
    seed.ledger(store, clock.time)  # type: ignore[arg-type]
    page = sign_in("ana.ruiz").get("/salud").text
    assert "portal</th>" in page
    assert "no ha olvidado nada en la última hora" in page
    assert "portal</th>" not in sign_in("eva.gil", "registro").get("/salud").text

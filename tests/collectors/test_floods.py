"""A flood is told when it begins, when it fills what may wait, and when it is over: once each."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collectors.base import Source
from collectors.floods import QUIET, Flood, Floods

SOURCE = Source(name="edge", agency="finanzas", parser="syslog")


def told(*steps: tuple[float, float, int]) -> list[tuple[str, int]]:
    """The stages of steps of (moment, share, lost); a share below nought is a tick."""
    found: list[Flood] = []
    floods = Floods(found.append)
    for moment, share, lost in steps:
        if share < 0:
            floods.tick(moment)
        else:
            floods.filled(SOURCE, share, lost, "192.0.2.1" if share >= 0.9 else "", moment, int(moment * 1e6))
    return [(flood.stage, flood.lost) for flood in found]


def test_the_stages_of_a_flood() -> None:
    assert told((0, 0.89, 0)) == []
    assert told((0, 0.9, 0), (1, 0.95, 0)) == [("near", 0)]
    assert told((0, 0.9, 0), (1, 1.0, 0), (2, 1.0, 5)) == [("near", 0), ("full", 0)]
    assert told((0, 0.4, 5)) == [("full", 5)]
    assert told((0, 0.9, 0), (QUIET - 1, -1, 0)) == [("near", 0)]
    assert told((0, 0.9, 0), (QUIET, -1, 0), (99, -1, 0)) == [("near", 0), ("over", 0)]
    assert told((0, 1.0, 2), (9, 0.6, 0), (11, -1, 0), (18, 1.0, 3), (28, -1, 0)) == [("full", 2), ("over", 5)]
    assert told((0, 1.0, 2), (9, 0.4, 0), (10, -1, 0)) == [("full", 2), ("over", 2)]


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3), st.floats(0, 20)), max_size=40))
def test_whatever_happens_stages_come_in_order_and_nothing_lost_is_left_out(
    steps: list[tuple[float, int, float]],
) -> None:
    found: list[Flood] = []
    floods = Floods(found.append)
    moment = 0.0
    for share, lost, pause in steps:
        moment += pause
        floods.tick(moment)
        floods.filled(SOURCE, share, lost, "", moment, int(moment * 1e6))
    floods.close()
    text = "".join({"near": "n", "full": "f", "over": "o"}[flood.stage] for flood in found)
    assert not set(text.split("o")) - {"", "n", "nf", "f"}
    assert text.endswith("o") or not text
    assert sum(flood.lost for flood in found if flood.stage == "over") == sum(lost for _, lost, _ in steps)
    assert len({flood.since for flood in found if flood.stage == "over"}) == text.count("o")

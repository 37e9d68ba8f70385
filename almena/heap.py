"""Keeps the garbage collector from looking again and again at what lives as long as the process."""

from __future__ import annotations

import gc

YOUNG = 50_000
"""Objects made before the collector looks at the youngest: a slice of events is made and gone between two looks."""


def settle() -> None:
    """Collect once, then leave everything that is alive now out of later collections; call it after loading.

    With thousands of rules in memory a full collection takes a tenth of a second, in which no event is judged.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 100)

"""Shapes read only what they read wholly, and neither many nor odd ones cost more than a little."""

from __future__ import annotations

import pytest

from collectors.parsers.pair_shapes import Shapes

LINE = 'id="7" who="ana maría" from=192.0.2.1 bytes=70 note=""'
NUMBER = "[0-9]{1,9}+"


def taught(*lines: str, times: int = 40) -> Shapes:
    shapes = Shapes({"bytes": NUMBER, "packets": NUMBER}, 'id="', 5)
    for line in lines:
        for _ in range(times):
            if shapes.read(line) is None:
                shapes.learn(line)
    return shapes


def test_what_moves_is_given_alone() -> None:
    still, moving = taught(LINE).read('id="7" who="eva" from=10.0.0.9 bytes=71 note="x"') or ((), ())
    assert moving == ("71", "")
    assert still == ('id="7" who="eva" from=10.0.0.9 ', 'note="x"')


@pytest.mark.parametrize(
    "line",
    [
        'id="7" who=eva from=10.0.0.9 bytes=71 note="x"',
        'id="7" who="eva" from=10.0.0.9 bytes=many note="x"',
        'id="7" who="eva" from=10.0.0.9 bytes=71 note="x" more=1',
        'id="7" who="e\\"va" from=10.0.0.9 bytes=71 note="x"',
        'id="7" who="eva" bytes=71 from=10.0.0.9 note="x"',
        "",
    ],
    ids=["quoted otherwise", "no number", "more keys", "escapes", "another order", "nothing"],
)
def test_what_is_of_another_shape_is_not_read(line: str) -> None:
    assert taught(LINE).read(line) is None


def test_lines_with_another_mark_are_read_by_the_shape_of_the_line_before() -> None:
    still, moving = taught(LINE).read('id="8" who="eva" from=10.0.0.9 bytes=71 note="x"') or ((), ())
    assert moving == ("71", "")
    assert still[0].startswith('id="8"'), "and the mark is among what does not move"


def test_a_shape_is_met_often_before_it_is_kept() -> None:
    assert taught(LINE, times=8).read(LINE) is None


@pytest.mark.parametrize(
    "line",
    ['id="7" a=1 a=2', 'id="7"  a=1', 'id="7" words a=1', 'id="7" ' + " ".join(f"k{at}=1" for at in range(120))],
    ids=["twice the same key", "two spaces", "words", "too many keys"],
)
def test_lines_of_another_build_have_no_shape(line: str) -> None:
    assert taught(line).read(line) is None


def test_shapes_are_bounded() -> None:
    lines = [f'id="{at % 10}" k{at}=1 bytes=1' for at in range(600)]
    shapes = taught(*lines)
    kept = sum(shapes.read(line) is not None for line in lines)
    assert 0 < kept <= 40  # four of each mark

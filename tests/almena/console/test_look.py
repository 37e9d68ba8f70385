"""The colours keep their contrast; every rule of the look that a test can hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import almena.console

STATIC = Path(almena.console.__file__).parent / "static"
TOKENS = (STATIC / "tokens.css").read_text("utf-8")
STYLE = (STATIC / "console.css").read_text("utf-8")

LIGHT, DARK, MORE, MORE_DARK = (
    dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block)) for block in re.split(r"@media", TOKENS)
)
THEMES = {"light": LIGHT, "dark": LIGHT | DARK, "more": LIGHT | MORE, "more-dark": LIGHT | DARK | MORE_DARK}
EXPECTED = {
    "text": (15.8, 14.7),
    "muted": (6.1, 7.7),
    "accent": (9.6, 7.7),
    "link": (7.5, 8.9),
    "critical": (9.2, 8.1),
    "high": (5.6, 9.9),
    "medium": (5.9, 11.3),
    "low": (6.6, 9.2),
    "ok": (6.2, 10.2),
}


def luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("token", EXPECTED)
def test_the_tokens_have_the_contrast_they_were_chosen_for(token: str) -> None:
    for theme, expected in zip(("light", "dark"), EXPECTED[token], strict=True):
        found = contrast(THEMES[theme][token], THEMES[theme]["background"])
        assert found == pytest.approx(expected, abs=0.3), theme


@pytest.mark.parametrize("theme", THEMES)
def test_all_text_is_legible_on_both_grounds(theme: str) -> None:
    colors = THEMES[theme]
    for token in EXPECTED:
        for ground in ("background", "panel"):
            assert contrast(colors[token], colors[ground]) >= 4.5, (token, ground)
    assert contrast(colors["on-accent"], colors["accent"]) >= 4.5
    for ground in ("background", "panel"):
        assert contrast(colors["edge"], colors[ground]) >= 3, "the borders of fields carry meaning"


@pytest.mark.parametrize(("theme", "ground"), [("more", "#ffffff"), ("more-dark", "#000000")])
def test_high_contrast_is_on_pure_black_or_white(theme: str, ground: str) -> None:
    colors = THEMES[theme]
    assert colors["background"] == colors["panel"] == ground
    assert contrast(colors["text"], ground) == pytest.approx(21)
    assert colors["line"] == colors["text"]


def test_colours_are_named_in_one_place() -> None:
    assert not re.findall(r"#[0-9a-fA-F]{3,8}\b", STYLE)
    used = set(re.findall(r"var\(--([a-z-]+)\)", STYLE))
    assert used <= LIGHT.keys()


def test_nothing_moves_for_who_asked_for_stillness() -> None:
    moving = re.split(r"@media \(prefers-reduced-motion: no-preference\)", STYLE)
    assert len(moving) == 2
    assert not re.search(r"animation|transition|@keyframes", moving[0])


def test_nothing_is_fetched_from_elsewhere() -> None:
    for path in STATIC.iterdir():
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|url\(|@import", text), path.name


def test_the_script_writes_no_markup() -> None:
    script = (STATIC / "console.js").read_text("utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(", script)

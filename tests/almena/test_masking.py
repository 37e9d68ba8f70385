from __future__ import annotations

import re
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almena.errors import ConfigError
from almena.event import Event
from almena.identifiers import CURP_ALPHABET, GENERIC_RFCS, TOKEN, clabe_check_digit, curp_check_digit, luhn_check_digit
from almena.masking import Masker

MASKER = Masker(b"a key for tests, long enough")
CURP, RFC, CLABE, CARD = "BOXW310820HNERXN09", "VECJ880326XK4", "012180026050783858", "4111111111111111"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@st.composite
def curps(draw: st.DrawFn) -> str:
    def letters(count: int) -> str:
        return draw(st.text(LETTERS, min_size=count, max_size=count))

    date = f"{draw(st.integers(0, 99)):02}{draw(st.integers(1, 12)):02}{draw(st.integers(1, 28)):02}"
    first = f"{letters(4)}{date}{draw(st.sampled_from('HMX'))}{letters(5)}{draw(st.sampled_from('0123456789A'))}"
    curp = f"{first}{curp_check_digit(first)}"
    return draw(st.sampled_from((curp, curp.lower())))


@st.composite
def rfcs(draw: st.DrawFn) -> str:
    name = draw(st.text(LETTERS + "Ñ", min_size=3, max_size=4))
    date = f"{draw(st.integers(0, 99)):02}{draw(st.integers(1, 12)):02}{draw(st.integers(1, 28)):02}"
    rest = draw(st.text(LETTERS + "123456789", min_size=2, max_size=2)) + draw(st.sampled_from("0123456789A"))
    return draw(st.sampled_from((f"{name}{date}{rest}", f"{name}-{date}-{rest}", f"{name}{date}{rest}".lower())))


@st.composite
def clabes(draw: st.DrawFn) -> str:
    first = draw(st.text("0123456789", min_size=17, max_size=17))
    whole = f"{first}{clabe_check_digit(first)}"
    return draw(st.sampled_from((whole, f"{whole[:3]} {whole[3:6]} {whole[6:17]} {whole[17]}")))


@st.composite
def cards(draw: st.DrawFn) -> str:
    prefix, length = draw(st.sampled_from((("4", 16), ("51", 16), ("2221", 16), ("34", 15), ("36", 14), ("6011", 16))))
    first = prefix + draw(st.text("0123456789", min_size=length - 1 - len(prefix), max_size=length - 1 - len(prefix)))
    card = f"{first}{luhn_check_digit(first)}"
    if length == 16:
        parts = [card[at : at + 4] for at in (0, 4, 8, 12)]
        return draw(st.sampled_from((card, " ".join(parts), "-".join(parts))))
    return card


IDENTIFIERS = st.one_of(curps(), rfcs(), clabes(), cards())
BORDERS = st.sampled_from(
    (" ", "/", "&", "=", '"', "%20", "\\x22", "\\n", "\n", "(", "_", "|", "%3D", ":", "á", "\u200b", "")
)


def bare(text: str) -> str:
    return re.sub(r"[^0-9A-ZÑ]", "", text.upper())


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"CURP {CURP}.", "CURP {curp}."),
        (f"curp={CURP.lower()}&x=1", "curp={curp}&x=1"),
        (f"acta_{CURP}acta.pdf", "acta_{curp}acta.pdf"),
        ("BOXW-310820-HNERXN-09", "{curp}"),
        (f"RFC:{RFC}", "RFC:{rfc}"),
        ("vecj-880326-xk4", "{rfc}"),
        (f"a {CLABE} b", "a {clabe} b"),
        ("012 180 02605078385 8", "{clabe}"),
        (f"pago con {CARD}", "pago con {card}"),
        ("4111-1111-1111-1111, 4111 1111 1111 1111", "{card}, {card}"),
        ("card-4111111111111111", "card-{card}"),
        ("4111 1111 1111 1111 12/27", "{card} 12/27"),
        ("ref 1234 4111 1111 1111 1111 123", "ref 1234 {card} 123"),
        ("4111-1111-1111-1111 012 180 02605078385 8", "{card} {clabe}"),
        ("/x?c=%42OXW3%310820HNERXN09&y=a%20b", "/x?c={curp}&y=a%20b"),
        ("%2542OXW310820HNERXN09", "{curp}"),
        ("%20VECJ880326XK4%22", "%20{rfc}%22"),
        ("\\x22VECJ880326XK4\\x22", "\\x22{rfc}\\x22"),
    ],
)
def test_identifiers_become_tokens_that_are_equal_for_equal_values(text: str, masked: str) -> None:
    tokens = {
        kind: MASKER.token(kind, value)
        for kind, value in (("curp", CURP), ("rfc", RFC), ("clabe", CLABE), ("card", CARD))
    }
    assert MASKER.mask_text(text) == masked.format(**tokens)


@pytest.mark.parametrize(
    "text",
    [
        "XAXX010101000 XEXX010101000",
        "012180026050783859",
        "4111111111111112",
        "1763840000123456",
        "{94F748D5-4A4A-5A42-0000-abc101112d3a}",
        "a0177fd4b7690a680e5eac9bdc78e21117b523622607bca47305eb74984c0000",
        "PublicKeyToken=b77a5c561934e089",
        "     ana : TTY=pts/0 ; PWD=/home/ana ; USER=root ; COMMAND=/usr/bin/apt update",
        "pam_unix(passwd:chauthtok): password changed for ana",
        "Failed password for root from 192.0.2.7 port 51022 ssh2",
        "Key Length:\t\t0\r\nToken Elevation Type:\t%%1936",
        "2026-11-22T19:34:00.123456Z 0x8020000000000000",
        "10.0.17763.1 (WinBuild.160101.0800)",
    ],
)
def test_what_is_no_identifier_stays(text: str) -> None:
    assert MASKER.mask_text(text) == text
    event: Event = {"@timestamp": "2026-11-22T19:34:00.123456Z", "message": text, "process.pid": 4111}
    assert MASKER.mask(event) == event


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abc.def-123", "abc.def-123"),
        ('"authorization": "Basic YW5hOmhvbGE="', "YW5hOmhvbGE="),
        ("curl -H 'X: Bearer 0123456789abcdef' https://h", "0123456789abcdef"),
        ("GET /x?a=1&access_token=s3cr3t&b=2 HTTP/1.1", "s3cr3t"),
        ("GET /x?sig=s3cr3t", "s3cr3t"),
        ("https%3A%2F%2Fh%2F%3Ftoken%3Ds3cr3t", "s3cr3t"),
        ("net use --password s3cr3t", "s3cr3t"),
        ("setup.exe /password:s3cr3t /quiet", "s3cr3t"),
        ('{"password": "s3 cr3t", "x": 1}', "s3 cr3t"),
        ("<Password>s3cr3t</Password>", "s3cr3t"),
        ("Server=db;Uid=sa;Pwd=s3cr3t;", "s3cr3t"),
        ("contraseña: s3cr3t Contrasena=s3cr3t CONTRASEÑA=s3cr3t", "s3cr3t"),
        ("api_key=s3cr3t", "s3cr3t"),
        ("git clone https://ana:s3cr3t@git.example/x.git", "s3cr3t"),
        ("Cookie: sid=s3cr3t; b=2", "s3cr3t"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", "eyJzdWIiOiIxMjM0In0"),
    ],
)
def test_secrets_in_texts_become_tokens(text: str, secret: str) -> None:
    masked = MASKER.mask_text(text)
    assert secret not in masked
    assert TOKEN.search(masked)
    assert MASKER.mask_text(masked) == masked


def test_fields_that_are_identifiers_are_masked_whole_whatever_their_shape() -> None:
    masked = MASKER.mask(
        {
            "almena.citizen.curp": "no es una curp",
            "almena.citizen.rfc": "XAXX010101000",
            "almena.account.clabe": "0121 8002 6050 7838 58",
            "almena.account.previous_clabe": "12",
            "almena.account.holder_rfc": RFC.lower(),
            "almena.app.citizen.email": "ana@example.com",
            "message": f"clabe {CLABE}",
        }
    )
    assert masked["almena.citizen.curp"] == MASKER.token("curp", "NOESUNACURP")
    assert masked["almena.citizen.rfc"] == "XAXX010101000"
    assert masked["almena.account.clabe"] == MASKER.token("clabe", CLABE)
    assert masked["message"] == f"clabe {masked['almena.account.clabe']}"
    assert masked["almena.account.holder_rfc"] == MASKER.token("rfc", RFC)
    assert TOKEN.fullmatch(masked["almena.app.citizen.email"])


def test_fields_named_like_secrets_are_masked_and_their_likes_are_not() -> None:
    masked = MASKER.mask(
        {
            "http.request.headers.authorization": "Bearer x",
            "almena.app.new_password": "hola",
            "almena.app.contraseña": "hola",
            "almena.app.nip": 1234,
            "almena.api.token_id": "tk-9",
            "winlog.event_data.PasswordLastSet": "%%1794",
            "winlog.event_data.ElevatedToken": "%%1842",
        }
    )
    for name in ("http.request.headers.authorization", "almena.app.new_password", "almena.app.contraseña"):
        assert TOKEN.fullmatch(masked[name]), name
    assert TOKEN.fullmatch(masked["almena.app.nip"])
    assert masked["almena.api.token_id"] == "tk-9"
    assert masked["winlog.event_data.PasswordLastSet"] == "%%1794"
    assert masked["winlog.event_data.ElevatedToken"] == "%%1842"


def test_machine_made_names_of_things_are_left_alone() -> None:
    event: Event = {
        "event.id": f"pagos:1:{CLABE}",
        "trace.id": CARD,
        "file.hash.sha256": CARD,
        "winlog.record_id": CLABE,
        "winlog.event_data.LogonGuid": "abc101112d3a",
        "message": "nothing",
    }
    assert MASKER.mask(event) is event


def test_numbers_lists_names_and_nested_values_are_masked() -> None:
    event: Event = {
        "a": int(CARD),
        "b": ["x", CURP, 7],
        CURP: "the name of a field",
        "almena.misfit": {"c": [{"d": f"rfc {RFC}", "password": "hola"}], CURP: 1},
        "e": float(CARD),
        "small": 12,
        "url.query": "key=abc&q=1",
    }
    masked = MASKER.mask(event)
    assert masked["a"] == MASKER.token("card", CARD)
    assert masked["b"] == ["x", MASKER.token("curp", CURP), 7]
    assert masked[MASKER.token("curp", CURP)] == "the name of a field"
    assert CURP not in str(masked)
    assert masked["almena.misfit"]["c"][0]["d"] == f"rfc {MASKER.token('rfc', RFC)}"
    assert TOKEN.fullmatch(masked["almena.misfit"]["c"][0]["password"])
    assert CARD not in str(masked["e"])
    assert masked["small"] == 12
    assert masked["url.query"] == f"key={MASKER.token('secret', 'abc')}&q=1"


def test_nesting_without_end_is_cut_and_does_not_fail() -> None:
    value: Any = CURP
    for _ in range(5_000):
        value = [value]
    assert CURP not in str(MASKER.mask({"almena.misfit": {"a": value}}))


def test_another_key_gives_other_tokens_and_the_key_is_never_shown() -> None:
    other = Masker(b"another key, long enough too")
    assert other.mask_text(CURP) != MASKER.mask_text(CURP)
    assert b"another" not in repr(other).encode()


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="16 or more"):
        Masker(b"short")


@given(st.lists(st.tuples(st.text(max_size=12), BORDERS, IDENTIFIERS, BORDERS), min_size=1, max_size=4))
def test_no_identifier_survives_in_any_text(parts: list[tuple[str, str, str, str]]) -> None:
    # A border may be empty, but then no letter or digit may touch: glued to one, only a CURP is an identifier.
    text = "".join(f"{before} {left}{found}{right} " for before, left, found, right in parts)
    masked = MASKER.mask_text(text)
    for _, _, found, _ in parts:
        if bare(found) not in GENERIC_RFCS:
            assert found not in masked
            assert len(bare(found)) < 14 or bare(found) not in bare(masked)
    assert MASKER.mask_text(masked) == masked


@given(
    IDENTIFIERS,
    st.sampled_from(("message", "event.original", "url.original", "url.query", "process.command_line", "x")),
)
def test_no_identifier_survives_in_any_field(found: str, name: str) -> None:
    for value in (found, [found], f"/a/{found}?x={found}&y", {"deep": [found]}):
        event = MASKER.mask({name: value, "@timestamp": "2026-11-22T19:34:00.000000Z"})
        assert bare(found) in GENERIC_RFCS or found not in msgspec.json.encode(event).decode()
        assert MASKER.mask(event) == event


@given(curps(), st.data())
def test_a_curp_survives_no_percent_encoding(found: str, data: st.DataObject) -> None:
    encoded = "".join(f"%{ord(char):02X}" if data.draw(st.booleans()) else char for char in found)
    assert MASKER.mask_text(f"/x?c={encoded}&d=1") == f"/x?c={MASKER.token('curp', found.upper())}&d=1"


PIECES = st.one_of(
    IDENTIFIERS,
    BORDERS,
    st.text(max_size=6),
    st.sampled_from(
        ("password=", "token: ", "?key=", "&sig=", "Bearer ", "Authorization: ", "Cookie: ", "://a:", "@", "--pass ",
         '"', "'", "eyJ", ".", "%", "\\x", "\\u00", "%4", "%25", "%C3%", "91", "secret", "-", "curp-", "card-", "<",
         ">", "=", "N\u0303", "4111", "0121", "ABCD", "\ud800")
    ),
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(PIECES, max_size=14).map("".join))
def test_masking_twice_changes_nothing(text: str) -> None:
    once = MASKER.mask_text(text)
    assert MASKER.mask_text(once) == once


@given(
    st.dictionaries(st.text(max_size=8) | st.sampled_from(("token", "url.query", "message")), PIECES | st.integers())
)
def test_masking_an_event_twice_changes_nothing(event: Event) -> None:
    once = MASKER.mask(event)
    assert MASKER.mask(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "eyj-" * 250_000 + "." + "a" * 8,
        'password="' * 100_000,
        "password='" * 100_000,
        "://a:" * 200_000 + "@",
        "ABCD010101" * 100_000,
        "4111 " * 200_000,
        "%25" * 330_000 + "41",
        "%41" * 330_000,
        "N\u0303" * 300_000,
        "Bearer " * 140_000,
        "Cookie: " * 130_000,
        "1" * 1_000_000,
        "A" * 1_000_000,
    ],
    ids=lambda text: text[:12],
)
def test_a_hostile_mebibyte_takes_linear_time(text: str) -> None:
    began = time.monotonic()
    MASKER.mask_text(text)
    assert time.monotonic() - began < 10  # about a second where it is slowest; what is quadratic takes minutes


def test_curp_letters_are_those_of_the_check_digit() -> None:
    assert len(CURP_ALPHABET) == 37

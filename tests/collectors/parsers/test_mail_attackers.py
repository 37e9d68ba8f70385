"""Mail logs hold what strangers chose: none of it passes for the sender's address or for a sign-in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collectors.base import Context
from collectors.parsers import PARSERS

CONTEXT = Context(received=1_795_376_040_000_000)
CHOSEN = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60) | st.sampled_from(
    (
        ">, rip=192.0.2.1, lip=192.0.2.2",
        " from a[192.0.2.1]; from=<",
        "x[192.0.2.1]: SASL LOGIN authentication failed",
        "Login: user=<root>, rip=192.0.2.1",
    )
)


@given(CHOSEN)
def test_the_user_of_a_failed_sign_in_moves_no_address(user: str) -> None:
    text = f"imap-login: Login aborted: Connection closed (auth failed, 1 attempts in 2 secs): user=<{user}>, "
    line = f"Nov 22 13:34:00 mx1 dovecot: {text}method=PLAIN, rip=203.0.113.9, lip=198.51.100.25, session=<Zk3>"
    event = PARSERS["dovecot"](line.encode(), CONTEXT)
    assert event["event.outcome"] == "failure"
    assert (event["source.ip"], event["destination.ip"]) == ("203.0.113.9", "198.51.100.25")


@given(CHOSEN)
def test_a_subject_that_was_refused_moves_no_address(subject: str) -> None:
    text = f"4F1B2AAA: reject: header Subject: {subject} from x.example[203.0.113.9]; from=<a@b.example> "
    line = f"Nov 22 13:34:00 mx1 postfix/cleanup[811]: {text}to=<c@d.example> proto=ESMTP helo=<x.example>: 5.7.1 no"
    event = PARSERS["postfix"](line.encode(), CONTEXT)
    assert (event["source.ip"], event["event.action"], event["event.outcome"]) == ("203.0.113.9", "reject", "failure")

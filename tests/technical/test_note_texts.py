"""What becomes of people's texts before others may read them: courtesy, names and secrets go."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.technical.utils.anonymity import anonymous
from app.technical.utils.excerpts import excerpt
from app.technical.utils.pleasantries import essence, is_acknowledgement


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Hi,\n\nThe export stops.\n\nBest regards,\nBob Miller\nHead of Exports", "The export stops."),
        ("Hello team, the export stops.\nCheers", "the export stops."),
        ("Sehr geehrte Damen und Herren,\nder Export bricht ab.\n\nMit freundlichen Grüßen\nBob", None),
        ("Bonjour,\nl'export s'arrête.\nCordialement,\nBob", "l'export s'arrête."),
        ("It stops.\n\nSent from my phone", "It stops."),
        ("It stops.\n-- \nBob Miller\n+49 30 901820", "It stops."),
        ("It is solved.\n\nOn Mon, 3 Nov 2025, Ann wrote:\n> does it\n> still stop?", "It is solved."),
        ("Thanks,\nBob", "Thanks,\nBob"),
        ("Hello world fails to compile.", "Hello world fails to compile."),
        (
            "Set it to:\nbest\nand restart the server, then wait until the index was built again, a minute.",
            0,
        ),
        ("One.\n\n\n\n\nTwo.", "One.\n\nTwo."),
        ("", ""),
    ],
)
def test_courtesy_signatures_and_quoted_mail_are_no_part_of_what_was_said(text, left):
    expected = {None: "der Export bricht ab.", 0: text}.get(left, left)
    assert essence(text) == expected


@pytest.mark.parametrize(
    ("text", "is_thanks"),
    [
        ("Thanks, that works!", True),
        ("Perfekt, vielen Dank!", True),
        ("It is fixed now.\n\nOn Mon, Ann wrote:\n> Did it not help?", True),
        ("Thanks, but it still stops.", False),
        ("Great! And how do I undo it?", False),
        ("It doesn't work.", False),
        ("It is back.", False),
        ("Thanks. " + "Here is more of what happens. " * 20, False),
    ],
)
def test_a_short_thanks_is_told_from_a_further_question(text, is_thanks):
    assert is_acknowledgement(text) is is_thanks


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Ask Bob Müller or Müller.", "Ask [name] or [name]."),
        ("bob müller's key, MÜLLER", "[name]'s key, [name]"),
        ("At Acme, Acme GmbH and ACME.", "At [company], [company] and [company]."),
        ("bob.mueller+x@mail.acme.example wrote", "[e-mail address] wrote"),
        ("+49 (0)30 901820-44", "[telephone number]"),
        ("(030) 901820 or 555-123-4567.", "[telephone number] or [telephone number]."),
        ("call me at 0171 2345678", "call me at [telephone number]"),
        ("https://bob:pw@x.example/a/b?token=abc#t", "https://x.example/a/b"),
        ("https://x.example/users/48211/edit", "https://x.example/users/…/edit"),
        ("https://x.example/f/7f3c9a2b7f3c9a2b7f3c", "https://x.example/f/…"),
        ("password: hunter2 and api_key=abcdef", "password: [secret] and api_key=[secret]"),
        ("Authorization: Bearer abc.def-ghijk", "Authorization: Bearer [secret]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "[secret]"),
        ("card 4111 1111 1111 1111", "card [card number removed, ending 1111]"),
    ],
)
def test_what_names_somebody_is_taken_out(text, left):
    assert anonymous(text, people=["Bob Müller"], accounts=["Acme GmbH"]) == left


@pytest.mark.parametrize(
    "text",
    [
        "Version 4.2.1.0 of 2026-11-22 12:30:00",
        "ORA-00942, 0x80070005, E11000, ERR_CONNECTION_RESET, HTTP 504",
        "Order 20261122 took 120000 ms; 10,000 rows in 3 600 s",
        "https://docs.example.com/guides/exports",
        "10.0.19041.1 at line 1024 of exporter.py",
        "The token expired. Secret sharing is off. mark the box",
        "acmeology is another word",
    ],
)
def test_what_a_solution_needs_stays(text):
    assert anonymous(text, people=["Mark Bo"], accounts=["Acme"]) == text


PIECES = st.sampled_from(
    ["Bob Müller", "Bob", "bob@x.example", "+49 30 901820", "https://u@x.example/7?q=1", "password: x1y2",
     "Bearer abcdefghi", "Acme GmbH", "[name]", "4111111111111111", "\n", " ", "word", "504", "é", "(", "+1"]
)  # fmt: skip


@settings(max_examples=150)
@given(st.lists(PIECES, max_size=20).map("".join))
def test_doing_it_twice_changes_nothing_further_and_leaves_no_name(text):
    once = anonymous(text, people=["Bob Müller"], accounts=["Acme GmbH"])
    assert anonymous(once, people=["Bob Müller"], accounts=["Acme GmbH"]) == once
    assert "bob@x.example" not in once
    assert " Bob " not in f" {once} "


@pytest.mark.parametrize(
    "piece",
    ["+1 ", "1 ", "a@", "a.", "a1-", "password", "Hi ", "tel. 1 ", "(1)", "/a1", "eyJa.", "\n>", "-", "x"],
)
def test_hostile_texts_take_no_more_than_linear_time(piece):
    text = "http://x.example/" + piece * (65_536 // len(piece))
    started = time.process_time()
    anonymous(text, people=["Bob Müller"], accounts=["Acme"])
    essence(text)
    is_acknowledgement(text)
    assert time.process_time() - started < 1.0


@settings(max_examples=100)
@given(st.text(alphabet="ab \nü", max_size=900), st.lists(st.sampled_from(["needle", "ab"]), max_size=2))
def test_an_excerpt_is_short_on_one_line_and_holds_the_word_found(text, terms):
    text = f"{text} needle {text}"
    cut = excerpt(text, [*terms, "needle"] if "ab" not in terms else ["needle"])
    assert len(cut) <= 242
    assert "\n" not in cut
    assert "needle" in cut

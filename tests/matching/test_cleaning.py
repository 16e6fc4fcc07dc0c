"""What texts are matched by."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.matching.cleaning import clean, signature_list
from app.matching.constants import BODY_MAX, SIGNATURE_MAX, SIGNATURES_MAX, TITLE_MAX
from app.matching.words import last_word, spellings

REPORT = """User Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:60.0) Gecko/20100101 Firefox/60.0

<!-- Please fill in
     the template -->
**Steps to reproduce:**

1. Print an invoice with Mozilla/5.0 (X11; Linux) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/605
- [x] I have searched for duplicates

### Expected behavior

The expected behavior is a page.
"""


def test_boilerplate_goes_and_what_was_written_stays():
    assert clean("Print  fails\n", REPORT).body == (
        "1. Print an invoice with  \nThe expected behavior is a page."
    )
    assert clean("Print  fails\n", "").title == "Print fails"


def test_card_numbers_and_nul_are_not_kept():
    cleaned = clean("pay 4111 1111 1111 1111", "card\0 4111111111111111 refused")
    assert "4111" not in (cleaned.title + cleaned.body).replace("ending 1111", "")
    assert "\0" not in cleaned.body


@pytest.mark.parametrize(
    "piece", ["<!--", "mozilla/5.0 (", "- [ ] ", "\n> ", "user agent: ", "steps to ", "\n \n", "*", "a/b "]
)
def test_hostile_texts_take_no_more_time_than_others(piece):
    started = time.process_time()
    cleaned = clean(piece * 20_000, piece * 100_000)
    assert cleaned.lexical is not None
    assert time.process_time() - started < 1
    assert len(cleaned.body) <= BODY_MAX
    assert len(cleaned.title) <= TITLE_MAX


@given(st.text(), st.text())
def test_cleaning_what_is_clean_changes_nothing(title, body):
    once = clean(title, body)
    again = clean(once.title, once.body)
    assert (again.title, again.body) == (once.title, once.body) or len(again.body) < len(once.body)
    assert once.passages == ([] if not (once.title or once.body) else once.passages)
    assert all(each.strip() for each in once.passages)
    (once.title + once.body).encode()


def test_the_vector_is_made_of_the_title_and_the_whole():
    assert clean("a", "b").passages == ["a", "a\nb"]
    assert clean("a", "").passages == ["a"]
    assert clean("", "b").passages == ["b"]
    assert clean("", "Steps to reproduce:").passages == []


def test_signatures_are_bounded_and_each_once():
    assert signature_list(["E1", "E1", "", "E\0"]) == ["E1", "E "]
    assert len(signature_list([str(each) for each in range(100)])) == SIGNATURES_MAX
    assert len(signature_list(["x" * 1_000])[0]) == SIGNATURE_MAX


def test_lexemes_are_told_as_they_were_written():
    assert spellings("Printing in the Café; prints")["print"] == "printing"
    assert spellings("Printing in the Café; prints")["cafe"] == "café"


def test_only_a_word_at_the_very_end_is_a_beginning():
    assert last_word("print fail") == "fail"
    assert last_word("print Éta") == "eta"
    assert last_word("print ") is None
    assert last_word("print a") is None
    assert last_word("") is None

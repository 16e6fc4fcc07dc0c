"""Sentences, words and hard tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rag.language import hard_tokens, supported_hard_tokens, units, words


def cut(text: str) -> list[tuple[str, str]]:
    return [(unit.kind, text[unit.start : unit.end]) for unit in units(text)]


def test_sentences_list_items_table_rows_and_headings_are_units_of_their_own() -> None:
    text = (
        "Refunds\n\nAsk within 14 days, e.g. by mail. Write to us.\n\nSteps:\n- Open it.\n1. Save\n\n"
        "| Plan | Price |\n| Pro | €12 |\n"
    )
    assert cut(text) == [
        ("heading", "Refunds"),
        ("sentence", "Ask within 14 days, e.g. by mail."),
        ("sentence", "Write to us."),
        ("sentence", "Steps:"),
        ("item", "- Open it."),
        ("item", "1. Save"),
        ("row", "| Plan | Price |"),
        ("row", "| Pro | €12 |"),
    ]


def test_a_decimal_point_an_initial_and_an_abbreviation_end_no_sentence() -> None:
    assert [
        text for _, text in cut("It takes 3.5 days, approx. a week, says J. Doe of Acme Inc. today.")
    ] == ["It takes 3.5 days, approx. a week, says J. Doe of Acme Inc. today."]


@given(st.text(max_size=400))
def test_units_are_in_order_do_not_overlap_and_hold_every_visible_character(text: str) -> None:
    position = 0
    for unit in units(text):
        assert position <= unit.start < unit.end
        assert not text[position : unit.start].strip()
        position = unit.end
    assert not text[position:].strip()


def test_words_are_stemmed_and_composites_found_by_part_and_whole() -> None:
    assert words("The policies' refunds for ERR_42") == ["polici", "refund", "err", "42", "err42"]
    assert words("Café") == words("cafes")


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("€1,200.50", {"1200.50"}),
        ("E-1042 and E1042", {"e1042"}),
        ("on 2024-01-03", {"20240103"}),
        ("the 14th", {"14"}),
        ("v2.3", {"v2.3"}),
        ("nothing here", set()),
    ],
)
def test_hard_tokens_are_numbers_codes_and_dates_in_one_spelling(text: str, tokens: set[str]) -> None:
    assert hard_tokens(text) == tokens


def test_a_source_supports_its_number_words_and_the_parts_of_its_dates() -> None:
    assert {"3", "2024", "12"} <= supported_hard_tokens("three days from 2024/12/01")
    assert "4" not in supported_hard_tokens("three days")

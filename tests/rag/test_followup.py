"""Follow-up questions without a model: what leans on the last one takes its topic along, nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rag.evidence import Turn
from app.rag.followup import CARRIED, stand_alone


def after(earlier: str) -> list[Turn]:
    return [Turn(question=earlier, standalone=earlier, answer="An answer about bananas.")]


@pytest.mark.parametrize(
    ("earlier", "question", "carried"),
    [
        ("How long do refunds take?", "What about yearly plans?", "refunds"),
        ("How long do refunds take?", "And for yearly plans?", "refunds"),
        ("How do I install the desktop app?", "Does it work on Linux?", "desktop"),
        ("What does the Business plan cost?", "Can I change it to yearly billing?", "Business"),
        ("What does error E1042 mean?", "Why?", "E1042"),
        ("Which payment methods are there?", "And in Switzerland?", "payment"),
        ("How many seats has the Starter plan?", "How much are additional ones?", "Starter"),
        ("How do I export data?", "How long does it take?", "export"),
        ("How do I export data?", "PDF?", "export"),
        ("How do I export my invoices?", "Is that possible for customers?", "invoices"),
    ],
)
def test_a_question_that_leans_on_the_last_one_is_searched_with_its_topic(
    earlier: str, question: str, carried: str
) -> None:
    standalone = stand_alone(question, after(earlier))
    assert carried in standalone
    assert standalone.endswith(question)
    assert "bananas" not in standalone


@pytest.mark.parametrize(
    "question",
    [
        "How do I install the desktop app?",
        "Is there a mobile app?",
        "Are there discounts for schools?",
        "Why was my card declined?",
        "How long does it take to export data?",
        "Is it possible to pay by invoice?",
        "And what does the mobile app cost?",
        "Does the mobile app have its own settings?",
        "What is the service level?",
        "So how does single sign-on work?",
    ],
)
def test_a_question_with_a_topic_of_its_own_takes_nothing_along(question: str) -> None:
    assert stand_alone(question, after("How long do refunds of yearly plans take?")) == question


def test_only_the_last_topic_is_carried() -> None:
    turns = after("How long do refunds take?") + after("How do I install the desktop app?")
    assert "refunds" not in stand_alone("Does it work on Linux?", turns)


def test_a_row_of_follow_ups_keeps_its_topic() -> None:
    second = stand_alone("What about yearly plans?", after("How long do refunds take?"))
    turn = Turn(question="What about yearly plans?", standalone=second, answer="")
    assert "refunds" in stand_alone("And monthly ones?", [turn])


def test_the_first_question_stands_as_it_is() -> None:
    assert stand_alone("What about it?", []) == "What about it?"


@given(earlier=st.text(max_size=2000), question=st.text(min_size=1, max_size=300))
def test_a_question_is_never_cut_and_what_is_carried_is_bounded(earlier: str, question: str) -> None:
    standalone = stand_alone(question, after(earlier)).strip()
    assert standalone.endswith(question.strip())
    assert len(standalone.removesuffix(question.strip()).split()) <= CARRIED

"""A model's answer is shown as far as it is supported; whatever its endpoint does, there is an answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config import Settings
from app.database import Database
from app.rag.runtime import Rag
from app.rag.writing import split_sentences
from tests.openai_server import Cut, Failure, Hang, Raw, Refusal, Reply
from tests.rag.test_streaming import FIRST, LIES, SECOND, Desk, open_desk

SHOWN = "Refunds of monthly plans are paid within 14 days of the request. [1]"


@pytest.fixture(scope="module")
async def desk(settings: Settings, database: Database, rag: Rag, keys: dict[str, str]) -> AsyncIterator[Desk]:
    """A desk whose endpoint is given up after half a second of silence."""
    async with open_desk(settings, database, rag, keys["customer"], timeout=1.0, silence=0.5) as made:
        yield made


@pytest.mark.parametrize(
    ("text", "whole", "rest"),
    [
        ("One [1]. Two [2]. Thr", ["One [1].", "Two [2]."], " Thr"),
        ("One. [1] Two", ["One. [1]"], " Two"),
        ("One. [1][2] [3, 4] Two", ["One. [1][2] [3, 4]"], " Two"),
        ("One [1] Two", ["One [1]"], " Two"),
        ("Pro [1] and Basic [2] differ. X", ["Pro [1] and Basic [2] differ."], " X"),
        ("It costs 3.50 euros [1]. X", ["It costs 3.50 euros [1]."], " X"),
        ("Use e.g. the app [1]. X", ["Use e.g. the app [1]."], " X"),
        ("1. Open it [1]\n2. Close it [1]\n", ["1. Open it [1]", "2. Close it [1]"], ""),
        ("One [1].\n\nTwo [1].\n", ["One [1].", "Two [1]."], ""),
        ("返金は十四日以内です。次", ["返金は十四日以内です。"], "次"),
        ("One [1].", [], "One [1]."),
        ("One [1]. [", [], "One [1]. ["),
        ('He said "yes." [1] Then', ['He said "yes." [1]'], " Then"),
        ("", [], ""),
    ],
)
def test_sentences_end_where_they_end(text: str, whole: list[str], rest: str) -> None:
    assert split_sentences(text) == (whole, rest)


@given(text=st.text(alphabet='ab A.!?[]12,\n。"', max_size=80), cuts=st.lists(st.integers(0, 80), max_size=6))
def test_no_character_is_lost_or_doubled_however_the_text_is_cut_into_pieces(
    text: str, cuts: list[int]
) -> None:
    places = sorted({0, *(min(cut, len(text)) for cut in cuts), len(text)})
    sentences, rest = [], ""
    for start, end in pairwise(places):
        whole, rest = split_sentences(rest + text[start:end])
        sentences += whole
    assert "".join("".join([*sentences, rest]).split()) == "".join(text.split())


async def test_supported_sentences_are_shown_and_an_invention_between_them_is_not(desk: Desk) -> None:
    answer = await desk.ask(f"{FIRST} {LIES} {SECOND}")
    assert "99" not in answer["text"]
    assert answer["text"].startswith(SHOWN)
    assert "The money goes back" in answer["text"]
    assert (answer["outcome"], answer["reason"]) == ("caveat", "unsupported_sentences_dropped")


async def test_a_wholly_supported_answer_has_no_caveat_of_the_writer(desk: Desk) -> None:
    answer = await desk.ask(f"{FIRST} {SECOND}")
    assert answer["reason"] in (None, "weak_evidence")
    assert len(answer["citations"]) == 2


async def test_an_unsupported_draft_is_repaired_once(desk: Desk) -> None:
    before = len(desk.model.requests)
    answer = await desk.ask(LIES, FIRST)
    assert answer["text"] == SHOWN
    assert answer["reason"] != "unsupported_sentences_dropped"
    assert answer["extractive"] is False
    first, repair = desk.model.requests[before:]
    assert first.body["stream"] is True
    assert repair.body["messages"][-2] == {"role": "assistant", "content": LIES}


async def test_a_repair_that_invents_again_gives_the_quoted_answer(desk: Desk) -> None:
    before = len(desk.model.requests)
    answer = await desk.ask(LIES, LIES)
    assert len(desk.model.requests) == before + 2
    assert (answer["model"], answer["extractive"]) == ("extractive", True)
    assert "14 days" in answer["text"]
    assert "99" not in answer["text"]


async def test_a_repair_may_find_nothing(desk: Desk) -> None:
    answer = await desk.ask(LIES, "NOT_FOUND")
    assert (answer["outcome"], answer["reason"], answer["extractive"]) == (
        "abstained",
        "model_found_nothing",
        False,
    )


async def test_not_found_is_an_abstention_without_a_repair(desk: Desk) -> None:
    before = len(desk.model.requests)
    answer = await desk.ask("NOT_FOUND.")
    assert (answer["outcome"], answer["citations"]) == ("abstained", [])
    assert "NOT_FOUND" not in answer["text"]
    assert len(desk.model.requests) == before + 1


async def test_not_found_behind_a_supported_sentence_is_left_out(desk: Desk) -> None:
    answer = await desk.ask(f"{FIRST} NOT_FOUND")
    assert answer["text"] == SHOWN


@pytest.mark.parametrize(
    "trouble",
    [
        Failure(429, retry_after=0.01), Failure(429, retry_after=3600), Failure(500), Failure(401),
        Failure(400, code="context_length_exceeded", message="maximum context length is 10 tokens"),
        Hang(), Cut(), Cut("Refunds of"), Raw(), Raw(b"<html>", "text/html"), Refusal(), "",
    ],
    ids=repr,
)  # fmt: skip
async def test_every_failure_before_the_first_sentence_gives_the_quoted_answer(
    desk: Desk, trouble: Any
) -> None:
    answer = await desk.ask(trouble)
    assert (answer["model"], answer["extractive"]) == ("extractive", True)
    assert answer["outcome"] != "abstained"
    assert "14 days" in answer["text"]


@pytest.mark.parametrize("end", [Cut, Hang])
async def test_a_failure_after_the_first_sentence_keeps_it_with_a_caveat(desk: Desk, end: Any) -> None:
    answer = await desk.ask(end(f"{FIRST} The money goes back to the"))
    assert (answer["outcome"], answer["reason"]) == ("caveat", "completion_interrupted")
    assert answer["text"] == SHOWN


async def test_a_failing_repair_gives_the_quoted_answer(desk: Desk) -> None:
    answer = await desk.ask(LIES, Failure(500))
    assert answer["extractive"] is True


async def test_a_last_sentence_without_a_full_stop_counts(desk: Desk) -> None:
    answer = await desk.ask("Refunds of monthly plans are paid within 14 days of the request")
    assert answer["text"] == "Refunds of monthly plans are paid within 14 days of the request [1]"
    assert answer["extractive"] is False


async def test_a_last_sentence_cut_off_by_the_limit_is_not_shown(desk: Desk) -> None:
    filler = "Refunds of monthly plans are made of cheese [1]. " * 60
    answer = await desk.ask(Reply(f"{FIRST} {filler} The money goes back to", finish_reason="length"))
    assert answer["text"] == SHOWN
    assert answer["outcome"] == "caveat"


async def test_a_model_that_goes_round_in_circles_is_shown_once(desk: Desk) -> None:
    answer = await desk.ask(f"{FIRST} " * 20)
    assert answer["text"] == SHOWN


async def test_a_list_is_shown_as_one(desk: Desk) -> None:
    answer = await desk.ask(
        "- Refunds of monthly plans are paid within 14 days [1]\n- Vouchers are not refunded [1]\n"
    )
    assert answer["text"] == (
        "- Refunds of monthly plans are paid within 14 days [1]\n- Vouchers are not refunded [2]"
    )


async def test_two_sentences_on_one_span_share_its_citation(desk: Desk) -> None:
    answer = await desk.ask("Vouchers are not refunded [1]. Vouchers are simply not refunded [1].")
    assert answer["text"].count("[1]") == 2
    assert len(answer["citations"]) == 1


async def test_a_window_too_small_for_the_question_gives_the_quoted_answer_without_a_call(
    settings: Settings, database: Database, rag: Rag, keys: dict[str, str]
) -> None:
    async with open_desk(settings, database, rag, keys["customer"], context_tokens=128) as small:
        answer = await small.ask()
        assert small.model.requests == []
    assert answer["extractive"] is True

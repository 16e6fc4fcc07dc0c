"""The extractive reader: what it quotes and what it signals."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from app.knowledge import Outcome
from app.rag.abstention import confidence, outcome_for
from app.rag.evidence import Signals
from app.rag.extractive import extract
from app.rag.retrieval import Hit
from app.rag.runtime import Rag


def hit(text: str, *, title: str = "Handbook", headings: tuple[str, ...] = (), score: float = 1.0) -> Hit:
    return Hit(
        chunk_id=uuid4(),
        document_id=uuid4(),
        version=1,
        collection_id=uuid4(),
        ordinal=0,
        title=title,
        source=None,
        updated_at=datetime.now(UTC),
        heading_path=headings,
        header=" > ".join((title, *headings)),
        text=text,
        start=0,
        end=len(text),
        hash="",
        tokens=0,
        score=score,
        bm25=score,
        share=score / 2,
        coverage=score / 2,
        cosine=score / 2,
        rank_bm25=1,
        rank_dense=1,
    )


REFUNDS = (
    "Seats can be changed at any time. Refunds are paid within 30 days of the payment. "
    "The office has a garden."
)


async def test_the_sentence_that_answers_is_quoted_and_not_its_neighbours(rag: Rag) -> None:
    found = await extract("How long does a refund take?", [hit(REFUNDS)], rag.embedder)
    assert found.statements[0].quote == "Refunds are paid within 30 days of the payment."
    assert "garden" not in " ".join(each.text for each in found.statements)


async def test_every_statement_is_the_exact_text_at_its_span(rag: Rag) -> None:
    source = hit(
        "📦 Lieferung:\n\n- Schritt eins: Öffnen 🔧.\n- Schritt zwei: Schließen.\n\nFertig ist die Lieferung."
    )
    found = await extract("Was sind die Schritte der Lieferung?", [source], rag.embedder)
    assert found.statements
    for each in found.statements:
        assert each.quote == source.text[each.start : each.end]
        assert each.text in " ".join(each.quote.split())


async def test_a_sentence_that_introduces_a_list_brings_it_along_under_one_span(rag: Rag) -> None:
    text = (
        "To reset the password, do the following:\n\n1. Open the settings.\n2. Choose Reset.\n3. Confirm."
        "\n\nBadges are sold in packs."
    )
    found = await extract("How do I reset my password?", [hit(text)], rag.embedder)
    assert [each.text for each in found.statements][:4] == [
        "To reset the password, do the following:",
        "Open the settings.",
        "Choose Reset.",
        "Confirm.",
    ]
    assert len({(each.start, each.end) for each in found.statements[:4]}) == 1


async def test_a_sentence_that_leans_on_the_one_before_is_quoted_with_it(rag: Rag) -> None:
    text = "The Workshop plan is for small teams. It costs 5 euros per seat and month."
    found = await extract("What does the Workshop plan cost?", [hit(text)], rag.embedder)
    assert [each.text for each in found.statements] == [
        "The Workshop plan is for small teams.",
        "It costs 5 euros per seat and month.",
    ]


async def test_a_table_row_is_shown_without_its_bars(rag: Rag) -> None:
    text = "| Code | Meaning |\n| E1007 | The badge is unknown |\n| E1042 | The clock is wrong |"
    found = await extract("What does E1042 mean?", [hit(text)], rag.embedder)
    assert found.statements[0].text == "E1042 · The clock is wrong"


async def test_nothing_found_gives_no_statement_and_an_abstention(rag: Rag) -> None:
    found = await extract("Anything?", [], rag.embedder)
    assert not found.statements
    assert outcome_for(confidence(found.signals)) is Outcome.ABSTAINED


@pytest.mark.parametrize("name", ["cosine", "sentence_cosine", "holds_type"])
def test_confidence_rises_with_what_speaks_for_an_answer(name: str) -> None:
    assert confidence(Signals(**{name: 0.9})) > confidence(Signals(**{name: 0.1}))


@pytest.mark.parametrize("name", ["missing_names", "heaviest_missing"])
def test_confidence_falls_with_what_the_passages_lack(name: str) -> None:
    assert confidence(Signals(**{name: 0.9})) < confidence(Signals(**{name: 0.1}))


async def test_a_code_that_no_passage_has_is_missed(rag: Rag) -> None:
    passages = [hit("| E1042 | The clock is wrong |")]
    known = await extract("What does error E1042 mean?", passages, rag.embedder)
    unknown = await extract("What does error E1099 mean?", passages, rag.embedder)
    assert known.signals.missing_names == 0
    assert unknown.signals.missing_names > 0
    assert confidence(unknown.signals) < confidence(known.signals)

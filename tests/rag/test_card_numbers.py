"""Payment card numbers are gone before a text is stored, embedded or shown to a model."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from hypothesis import given
from hypothesis import settings as example_settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.parsing import Block, BlockKind, Parsed, parse
from app.rag.preparation import without_cards
from app.redaction import find, redact
from tests.rag.library import Library

CARD = "4111 1111 1111 1111"
DIGITS = "4111111111111111"
GONE = "[card number removed, ending 1111]"


async def columns_with(library: Library, mark: str) -> set[str]:
    """Where a text stands among what the room stores."""
    statement = """
        select 'version' from document_version where document_id = any(
            select id from document where collection_id = :id) and
            (text like :mark or encode(content, 'escape') like :mark)
        union all select 'document' from document where collection_id = :id and title like :mark
        union all select 'chunk' from chunk where collection_id = :id
            and (text like :mark or header like :mark)
        union all select 'answer' from answer where question like :mark or standalone_question like :mark
        union all select 'chat' from chat where title like :mark
        union all select 'feedback' from feedback where comment like :mark
    """
    async with library.database.session() as session:
        values = {"id": library.collection_id, "mark": f"%{mark}%"}
        return set(await session.scalars(text(statement), values))


async def test_a_document_is_stored_and_embedded_without_card_numbers_and_its_quotes_still_fit(library):
    content = f"# Cards like {DIGITS}\n\nA *zephyr* paid with {CARD} is refunded.\n\nThe end, after all that."
    document = await library.add(content, title=f"Paid by {CARD}")
    assert await columns_with(library, CARD) == await columns_with(library, DIGITS) == set()
    assert await columns_with(library, "ending 1111") == {"version", "document", "chunk"}
    assert not any(DIGITS in each or CARD in each for each in library.embedder.texts)
    async with library.database.session() as session:
        whole = await session.scalar(
            text("select text from document_version where document_id = :id"), {"id": document.id}
        )
    hits = await library.search("zephyr refunded")
    assert GONE in whole
    assert GONE in hits[0].text
    assert all(whole[hit.start : hit.end] == hit.text for hit in hits)


async def test_the_same_bytes_again_are_the_same_document_although_they_are_stored_otherwise(library):
    content = f"A zephyr paid with {CARD}."
    first = await library.add(content, source="cards.md")
    again = await library.put(content, source="cards.md")
    assert (again.id, again.latest_version, again.status) == (first.id, 1, "ready")


async def test_the_text_of_a_file_that_is_no_plain_text_loses_them_when_it_is_parsed(library):
    raw = rf"{{\rtf1\ansi A zephyr paid with {CARD} is refunded.\par And that was all.}}".encode()
    document = await library.add(raw, media_type="application/rtf", filename="cards.rtf")
    (hit, *_) = await library.search("zephyr refunded")
    assert GONE in hit.text
    assert not any(CARD in each for each in library.embedder.texts)
    async with library.database.session() as session:
        whole = await session.scalar(
            text("select text from document_version where document_id = :id"), {"id": document.id}
        )
    assert whole[hit.start : hit.end] == hit.text
    assert CARD not in whole


async def test_text_in_another_encoding_loses_its_card_numbers_and_nothing_else(library):
    raw = f"Gr\xfc\xdfe, {DIGITS}".encode("latin-1")
    document = await library.put(raw, media_type="text/plain")
    async with library.database.session() as session:
        stored = await session.scalar(
            text("select content from document_version where document_id = :id"), {"id": document.id}
        )
    assert stored == f"Gr\xfc\xdfe, {GONE}".encode("latin-1")


async def test_questions_titles_and_comments_lose_their_card_numbers(library, as_role):
    mark = uuid4().hex
    async with as_role("customer") as customer:
        chat = await customer.post("/v1/rag/chats", json={"title": f"{mark} {DIGITS}"})
        path = f"/v1/rag/chats/{chat.json()['id']}/messages"
        asked = await customer.post(path, json={"question": f"{mark}: was {CARD} charged twice?"})
        body = {"rating": "down", "comment": f"{mark} {CARD}"}
        rated = await customer.post(f"/v1/rag/answers/{asked.json()['id']}/feedback", json=body)
    assert chat.json()["title"] == f"{mark} {GONE}"
    assert asked.json()["question"] == f"{mark}: was {GONE} charged twice?"
    assert rated.json()["comment"] == f"{mark} {GONE}"
    assert await columns_with(library, CARD) == await columns_with(library, DIGITS) == set()


@given(
    st.lists(
        st.sampled_from(["plain words", f"pay {CARD} now", f"{DIGITS}\n{DIGITS}", "1", "ünïcode \U0001f4b3"])
    )
)
@example_settings(max_examples=60, deadline=None)
def test_blocks_cover_the_same_words_after_redaction(paragraphs):
    parsed = parse("\n\n".join(paragraphs).encode() or b"x", media_type="text/plain")
    clean = without_cards(parsed)
    assert find(clean.text) == []
    pairs = list(zip(parsed.blocks, clean.blocks, strict=True))
    assert all(
        clean.text[new.start : new.end] == redact(parsed.text[old.start : old.end])
        and replace(new, start=old.start, end=old.end) == old
        for old, new in pairs
    )
    ends = [0, *(each.end for each in clean.blocks)]
    between = [clean.text[end : each.start] for end, each in zip(ends, clean.blocks, strict=False)]
    assert not "".join(between).strip()


def test_a_number_in_the_title_alone_is_redacted_too():
    block = Block(BlockKind.PARAGRAPH, 0, 5)
    parsed = Parsed(title=f"On {CARD}", text="words", blocks=(block,), media_type="text/plain")
    assert without_cards(parsed) == replace(parsed, title=f"On {GONE}")

"""Texts of attachments: extracted by the job, without card numbers, found by a search."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from app import conversations
from app.conversations.constants import EXTRACT_JOB, MessageKind
from app.conversations.extraction import TextExtractor
from app.exceptions import UnavailableError
from app.jobs import LAST_ATTEMPT
from app.parsing.isolation import IsolatedPool
from tests.conversations.desk import SUBJECT
from tests.parsing import makers


@pytest.fixture(scope="module")
async def extractor(database):
    pool = IsolatedPool(workers=1)
    yield TextExtractor(database=database, pool=pool, timeout=30)
    await pool.aclose()


def payload(attachment_id) -> bytes:
    return msgspec.json.encode({"attachment_id": attachment_id})


async def row_of(database, attachment_id) -> Any:
    async with database.session() as session:
        statement = text("select text, text_status from attachment where id = :id")
        return (await session.execute(statement, {"id": attachment_id})).one()


async def queued(database, attachment_id) -> int:
    statement = text("select count(*) from pgqueuer where entrypoint = :job and position(:id in payload) > 0")
    async with database.session() as session:
        found = await session.scalar(statement, {"job": EXTRACT_JOB, "id": str(attachment_id).encode()})
    return int(found)


async def search(database, principal, query):
    async with database.session() as session:
        return await conversations.search(session, principal, query, subject_type=SUBJECT)


class TestExtraction:
    async def test_sending_queues_the_job_and_uploading_does_not(
        self, database, people, opened, post, upload
    ):
        file = await upload(people.customer)
        assert await queued(database, file) == 0
        await post(await opened(), people.customer, attachments=[file])
        assert await queued(database, file) == 1
        picture = await upload(people.customer, b"\xff\xd8\xff\xe0")
        await post(await opened(), people.customer, attachments=[picture])
        assert await queued(database, picture) == 0

    async def test_the_text_is_stored_once_and_without_card_numbers(
        self, database, sent, extractor, events_of
    ):
        _, _, file = await sent(content=b"Paid with 4111 1111 1111 1111 in Lisbon", name="bill.txt")
        await extractor.handle(payload(file), 1)
        await extractor.handle(payload(file), 1)
        assert tuple(await row_of(database, file)) == (
            "Paid with [card number removed, ending 1111] in Lisbon",
            "ready",
        )
        types = [each["type"] for each in await events_of(file)]
        assert types == ["attachment.uploaded", "attachment.text_extracted"]

    async def test_formats_are_read_by_their_content(self, database, sent, extractor):
        pdf = makers.pdf([[("Unusual flamingo invoice", 12)]])
        _, _, file = await sent(content=pdf, name="wrong-name.txt")
        await extractor.handle(payload(file), 1)
        row = await row_of(database, file)
        assert (row.text_status, "flamingo" in row.text) == ("ready", True)

    async def test_a_damaged_file_is_failed_and_not_tried_again(self, database, sent, extractor):
        _, _, file = await sent(content=b"%PDF-1.7\nbroken", name="a.pdf")
        await extractor.handle(payload(file), 1)
        assert tuple(await row_of(database, file)) == (None, "failed")

    async def test_what_may_pass_is_tried_again_until_the_last_attempt(self, database, sent):
        class Busy:
            async def run(self, *_: object, **__: object) -> None:
                raise UnavailableError("later")

        _, _, file = await sent()
        extractor = TextExtractor(database=database, pool=Busy(), timeout=1)  # type: ignore[arg-type]  # a stand-in
        with pytest.raises(UnavailableError):
            await extractor.handle(payload(file), 1)
        assert (await row_of(database, file)).text_status == "queued"
        await extractor.handle(payload(file), LAST_ATTEMPT)
        assert (await row_of(database, file)).text_status == "failed"

    async def test_a_file_that_has_gone_is_no_error(self, database, people, upload, extractor):
        file = await upload(people.agent)
        async with database.session() as session:
            await session.execute(text("delete from attachment where id = :id"), {"id": file})
        await extractor.handle(payload(file), 1)


class TestSearch:
    async def test_messages_are_found_by_their_words_names_and_files(
        self, database, sent, people, extractor, unique
    ):
        mark = f"zebra{unique.replace('-', '')}"
        written, posted, _ = await sent(f"The **{mark}** ran")
        named, _, _ = await sent(name=f"{mark}.txt", content=b"x")
        inside, _, file = await sent(content=f"about a {mark} there".encode())
        await extractor.handle(payload(file), 1)
        found = await search(database, people.agent, mark.upper())
        assert {each.conversation_id for each in found} >= {written.id, inside.id}
        by_text = next(each for each in found if each.message_id == posted.message.id)
        assert (by_text.subject_id, by_text.number) == (written.subject_id, 1)
        assert mark in by_text.excerpt
        assert {each.conversation_id for each in await search(database, people.agent, f"{mark}.txt")} == {
            named.id
        }
        assert {each.conversation_id for each in await search(database, people.agent, f'"{mark} ran"')} == {
            written.id
        }
        assert await search(database, people.agent, f"{mark} -ran -there") == []

    async def test_customers_find_what_they_may_read(self, database, opened, post, people, unique):
        mark = f"quokka{unique.replace('-', '')}"
        conversation = await opened()
        await post(conversation, people.agent, mark)
        await post(conversation, people.agent, mark, kind=MessageKind.note)
        assert len(await search(database, people.agent, mark)) == 2
        assert [each.number for each in await search(database, people.customer, mark)] == [1]
        assert await search(database, people.stranger, mark) == []

    async def test_another_desks_messages_are_not_found(self, database, people, sent, unique):
        mark = f"lynx{unique.replace('-', '')}"
        await sent(mark)
        async with database.session() as session:
            assert await conversations.search(session, people.agent, mark, subject_type="other") == []

    @pytest.mark.parametrize(
        "query", ["", "\0", "'", "&|!()", "a" * 10_000, "\u202e", "-", '"', "or or or", "\ud83d\ude00"]
    )
    async def test_no_query_is_an_error(self, database, people, query):
        await search(database, people.agent, query.encode("utf-16", "surrogatepass").decode("utf-16"))

    async def test_the_longest_texts_of_any_words_can_be_indexed(self, opened, post, people):
        words = " ".join(chr(0x4E00 + index % 20000) + str(index) for index in range(20_000))
        await post(await opened(), people.agent, words * 2, body_format="html")

"""Answers whose passages changed are marked in that transaction, and a replay says what differs now."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import text

from tests.rag.test_answers import Shelf

REFUNDS = "# Refunds\n\nRefunds of monthly plans are paid within 14 days of the request.\n"
STORAGE = "# Storage\n\nThe Starter plan has 5 GB of storage for files.\n"
ASKED = "How long do refunds of monthly plans take?"
ABSENT = "/v1/rag/answers/00000000-0000-4000-8000-000000000000/replay"


@pytest.fixture
async def shelf(database, rag):
    return await Shelf.make(database, rag)


async def ask(who, shelf, question=ASKED):
    response = await who.post("/v1/rag/answers", json=shelf.ask(question))
    assert response.status_code == 200, response.text
    return response.json()


async def replay(who, answer):
    response = await who.get(f"/v1/rag/answers/{answer['id']}/replay")
    assert response.status_code == 200, response.text
    return response.json()


async def stale(who, answer):
    return (await who.get(f"/v1/rag/answers/{answer['id']}")).json()["stale_since"] is not None


async def test_an_answer_is_stale_from_the_moment_on_that_its_passage_is_replaced(as_role, shelf, database):
    source = f"handbook-{uuid4()}.md"
    await shelf.put("Handbook", REFUNDS, source=source)
    await shelf.put("Storage", STORAGE)
    async with as_role("agent") as agent:
        refund, storage = await ask(agent, shelf), await ask(agent, shelf, "How much storage has Starter?")
        same = await replay(agent, refund)
        assert (same["differs"], same["evidence_gone"], same["evidence_new"]) == ([], [], [])
        assert same["now"]["text"] == same["answer"]["text"]
        await shelf.put("Handbook", REFUNDS.replace("14 days", "7 days"), source=source)
        assert (await stale(agent, refund), await stale(agent, storage)) == (True, False)
        seen = await replay(agent, refund)
        assert "14 days" in seen["answer"]["text"]
        assert "7 days" in seen["now"]["text"]
        assert {"text", "citations", "evidence"} <= set(seen["differs"])
        assert [each["version"] for each in seen["evidence_gone"]] == [1]
        assert [each["version"] for each in seen["evidence_new"]] == [2]
        kept = text("select count(*) from answer where question = :asked and id <> :id")
        async with database.session() as session:
            before = await session.scalar(kept, {"asked": ASKED, "id": refund["id"]})
            await replay(agent, refund)
            assert await session.scalar(kept, {"asked": ASKED, "id": refund["id"]}) == before


async def test_a_replacement_that_is_rolled_back_makes_nothing_stale(as_role, shelf, database):
    document = await shelf.put("Handbook", REFUNDS)
    async with as_role("agent") as agent:
        answer = await ask(agent, shelf)
        async with database.session() as session:
            gone = text("delete from chunk where document_id = :id")
            await session.execute(gone, {"id": document.id})
            marked = text("select stale_since from answer where id = :id")
            assert await session.scalar(marked, {"id": answer["id"]}) is not None, "in the same one"
            await session.rollback()
        assert not await stale(agent, answer)


async def test_a_replay_is_answered_from_what_one_may_read_now(as_role, caller, shelf):
    document, stranger = await shelf.put("Handbook", REFUNDS), (await caller()).client
    async with as_role("customer") as customer, as_role("agent") as agent:
        answer = await ask(customer, shelf)
        async with as_role("admin") as admin:
            path = f"/v1/rag/documents/{document.id}"
            assert (await admin.patch(path, json={"audience": "staff"})).status_code == 200
        seen = await replay(customer, answer)
        assert (seen["answer"]["reason"], seen["now"]["outcome"]) == ("sources_unavailable", "abstained")
        assert (seen["evidence_gone"], "14 days" in str(seen)) == ([], False)
        assert "14 days" in (await replay(agent, answer))["now"]["text"]
        for path in (ABSENT, f"/v1/rag/answers/{answer['id']}/replay"):
            assert (await stranger.get(path)).status_code == 404


async def test_of_a_chat_the_question_is_replayed_as_it_was_understood(as_role, shelf):
    await shelf.put("Handbook", REFUNDS)
    async with as_role("agent") as agent:
        chat = (await agent.post("/v1/rag/chats", json={})).json()["id"]
        messages = f"/v1/rag/chats/{chat}/messages"
        await agent.post(messages, json=shelf.ask("Tell me about refunds of monthly plans"))
        answer = (await agent.post(messages, json=shelf.ask("How long do they take?"))).json()
        seen = await replay(agent, answer)
        assert "14 days" in seen["now"]["text"]
        assert seen["differs"] == []

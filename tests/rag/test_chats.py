"""Chats: a question is understood in the light of the ones before, by their owner's right alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import select

from app.config import Settings
from app.database import Database
from app.identity import Role
from app.identity import service as identity
from app.rag.models import Answer
from app.rag.runtime import Rag
from tests.openai_server import Failure, Hang
from tests.rag.test_answers import Shelf, handbook
from tests.rag.test_streaming import FIRST, Desk, Exchange, check_order, open_desk

Client = Callable[[str], httpx.AsyncClient]
FIRST_QUESTION = "How long do refunds of monthly plans take?"


@pytest.fixture(scope="module")
async def shelf(database: Database, rag: Rag) -> Shelf:
    """The handbook."""
    return await handbook(database, rag)


@pytest.fixture(scope="module")
async def desk(settings: Settings, database: Database, rag: Rag, keys: dict[str, str]) -> AsyncIterator[Desk]:
    """A desk with a scripted model."""
    async with open_desk(settings, database, rag, keys["customer"], timeout=60.0, silence=60.0) as made:
        yield made


async def begin(client: httpx.AsyncClient) -> str:
    response = await client.post("/v1/rag/chats", json={})
    assert response.status_code == 201
    return str(response.json()["id"])


async def say(client: httpx.AsyncClient, shelf: Shelf, chat: str, question: str) -> dict[str, Any]:
    response = await client.post(f"/v1/rag/chats/{chat}/messages", json=shelf.ask(question))
    assert response.status_code == 200, response.text
    return dict(response.json())


async def standalone(database: Database, answer: dict[str, Any]) -> str:
    async with database.session() as session:
        found = await session.scalar(
            select(Answer.standalone_question).where(Answer.id == UUID(answer["id"]))
        )
    return str(found)


def client_of(app: Litestar, key: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # litestar's own ASGI types
    return httpx.AsyncClient(
        transport=transport, base_url="http://t.test", headers={"Authorization": f"Bearer {key}"}
    )


async def test_a_follow_up_is_searched_with_the_topic_and_a_new_topic_without_it(
    database: Database, shelf: Shelf, as_role: Client
) -> None:
    async with as_role("customer") as client:
        chat = await begin(client)
        first = await say(client, shelf, chat, FIRST_QUESTION)
        second = await say(client, shelf, chat, "What about yearly plans?")
        third = await say(client, shelf, chat, "How do I install the terminal?")
        fourth = await say(client, shelf, chat, "How often does it restart?")
    assert first["chat_id"] == chat
    assert second["question"] == "What about yearly plans?"
    assert "30 days" in second["text"]
    assert await standalone(database, third) == "How do I install the terminal?"
    assert "refund" not in (await standalone(database, fourth)).lower()
    assert "twice" in fourth["text"]


async def test_a_model_rewrites_the_follow_up_and_only_that(desk: Desk) -> None:
    async with client_of(desk.app, desk.key) as client:
        chat = await begin(client)
        desk.model.script(FIRST)
        await say(client, desk.shelf, chat, FIRST_QUESTION)
        before = len(desk.model.requests)
        desk.model.script("\n How long do refunds of monthly plans take by card? \nSure!", FIRST)
        second = await say(client, desk.shelf, chat, "And by card?")
    assert await standalone(desk.database, second) == "How long do refunds of monthly plans take by card?"
    rewriting, writing = desk.model.requests[before:]
    assert FIRST_QUESTION in rewriting.body["messages"][-1]["content"]
    assert "Question: And by card?" in writing.body["messages"][-1]["content"]


@pytest.mark.parametrize(
    "trouble", [Failure(500), Hang(), "   ", "x" * 5000], ids=["500", "hang", "blank", "flood"]
)
async def test_without_a_usable_rewriting_the_topic_is_carried_over(desk: Desk, trouble: Any) -> None:
    async with client_of(desk.app, desk.key) as client:
        chat = await begin(client)
        desk.model.script(FIRST)
        await say(client, desk.shelf, chat, FIRST_QUESTION)
        desk.model.script(trouble, FIRST)
        async with asyncio.timeout(20):  # far less than the endpoint's own patience
            second = await say(client, desk.shelf, chat, "And by card?")
    assert await standalone(desk.database, second) == "long refunds monthly plans take And by card?"


async def test_what_the_reader_may_no_longer_see_is_not_told_to_the_model(
    desk: Desk, as_role: Client
) -> None:
    secret = await desk.shelf.put(
        "Offer", "# Offer\n\nThe winter offer is a rebate of 40 percent on monthly plans.\n"
    )
    async with client_of(desk.app, desk.key) as client, as_role("admin") as admin:
        chat = await begin(client)
        desk.model.script("The winter offer is a rebate of 40 percent on monthly plans.")
        told = await say(client, desk.shelf, chat, "What is the rebate of the winter offer?")
        assert "40 percent" in told["text"]
        assert (await admin.delete(f"/v1/rag/documents/{secret.id}")).status_code == 204
        before = len(desk.model.requests)
        desk.model.script("How long do refunds of monthly plans take?", FIRST)
        await say(client, desk.shelf, chat, "And refunds?")
        shown = (await client.get(f"/v1/rag/chats/{chat}/messages")).json()["items"]
    assert "40 percent" not in str([call.body for call in desk.model.requests[before:]])
    assert "40 percent" not in str(shown)


async def test_a_chat_streams_too_and_keeps_what_it_streamed(desk: Desk) -> None:
    async with client_of(desk.app, desk.key) as client:
        chat = await begin(client)
        desk.model.script(FIRST)
        path = f"/v1/rag/chats/{chat}/messages"
        exchange = Exchange(desk.app, desk.key, path, desk.shelf.ask(FIRST_QUESTION))
        async with exchange.running():
            pass
        answer = check_order(exchange.events)
        assert (await client.get(path)).json()["items"] == [answer]


async def test_the_title_is_the_first_question_on_one_line_unless_given(
    shelf: Shelf, as_role: Client
) -> None:
    async with as_role("customer") as client:
        chat = await begin(client)
        assert (await client.get(f"/v1/rag/chats/{chat}")).json()["title"] is None
        await say(client, shelf, chat, "How long\n do refunds take? " + "x" * 200)
        await say(client, shelf, chat, "Anything else?")
        named = (await client.get(f"/v1/rag/chats/{chat}")).json()["title"]
        given = (await client.post("/v1/rag/chats", json={"title": "Mine"})).json()
        await say(client, shelf, given["id"], "Anything?")
        kept = (await client.get(f"/v1/rag/chats/{given['id']}")).json()["title"]
    assert named.startswith("How long do refunds take? xxx")
    assert len(named) == 80
    assert kept == "Mine"


async def test_others_see_nothing_and_staff_read_but_do_not_write(
    database: Database, app: Litestar, shelf: Shelf, as_role: Client, unique: str
) -> None:
    async with database.session() as session:
        person = await identity.upsert_person(
            session, unique, name="Other", account_id=None, role=Role.customer
        )
        _, key = await identity.create_key(session, name=unique, role=Role.customer, person_id=person.id)
    async with as_role("customer") as owner, client_of(app, key) as other, as_role("agent") as agent:
        chat = await begin(owner)
        answer = await say(owner, shelf, chat, FIRST_QUESTION)
        messages = f"/v1/rag/chats/{chat}/messages"
        for path in (f"/v1/rag/chats/{chat}", messages, f"/v1/rag/answers/{answer['id']}"):
            refused = await other.get(path)
            assert (refused.status_code, refused.json()["code"][-9:]) == (404, "not_found")
            assert (await agent.get(path)).status_code == 200
        for stranger in (other, agent):
            refused = await stranger.post(messages, json=shelf.ask("Mine?"))
            assert (refused.status_code, refused.json()["code"]) == (404, "chat_not_found")
        assert chat not in [each["id"] for each in (await other.get("/v1/rag/chats")).json()["items"]]
        assert chat not in [each["id"] for each in (await agent.get("/v1/rag/chats")).json()["items"]]
        assert len((await owner.get(messages)).json()["items"]) == 1


async def test_a_key_without_a_person_owns_its_chats_and_no_other_key_does(
    database: Database, app: Litestar, shelf: Shelf, unique: str
) -> None:
    async with database.session() as session:
        keys = [
            (await identity.create_key(session, name=f"{unique} {i}", role=Role.agent, person_id=None))[1]
            for i in range(2)
        ]
    async with client_of(app, keys[0]) as one, client_of(app, keys[1]) as two:
        chat = await begin(one)
        answer = await say(one, shelf, chat, FIRST_QUESTION)
        assert [each["id"] for each in (await one.get("/v1/rag/chats")).json()["items"]] == [chat]
        assert (await two.get("/v1/rag/chats")).json()["items"] == []
        assert (await two.post(f"/v1/rag/chats/{chat}/messages", json=shelf.ask("Mine?"))).status_code == 404
        second = await say(one, shelf, chat, "Anything else?")
        assert second["chat_id"] == answer["chat_id"] == chat


async def test_messages_at_once_are_all_kept_and_listed_newest_first_page_by_page(
    shelf: Shelf, as_role: Client
) -> None:
    async with as_role("customer") as client:
        chat = await begin(client)
        asked = await asyncio.gather(*(say(client, shelf, chat, f"Question number {i}?") for i in range(5)))
        path = f"/v1/rag/chats/{chat}/messages"
        seen: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = (
                await client.get(path, params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
            ).json()
            assert len(page["items"]) <= 2
            seen += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
    assert sorted(each["id"] for each in seen) == sorted(each["id"] for each in asked)
    assert [each["created_at"] for each in seen] == sorted(
        (each["created_at"] for each in seen), reverse=True
    )


async def test_no_more_than_the_last_turns_reach_the_model(desk: Desk) -> None:
    async with client_of(desk.app, desk.key) as client:
        chat = await begin(client)
        for turn in range(5):
            desk.model.script(*([] if turn == 0 else [f"What of topic{turn}?"]), FIRST)
            await say(client, desk.shelf, chat, f"What of topic{turn}?")
        before = len(desk.model.requests)
        desk.model.script("What of topic5?", FIRST)
        await say(client, desk.shelf, chat, "What of topic5?")
    told = str([call.body for call in desk.model.requests[before:]])
    assert "topic2" in told
    assert "topic1" not in told

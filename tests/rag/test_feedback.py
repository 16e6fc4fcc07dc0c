"""Feedback: one verdict a reader and answer, the last one counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select

from app.database import Database
from app.rag.models import Feedback
from app.rag.runtime import Rag
from tests.rag.test_answers import Shelf

Client = Callable[[str], httpx.AsyncClient]


async def ask(client: httpx.AsyncClient, database: Database, rag: Rag) -> str:
    shelf = await Shelf.make(database, rag)
    return str((await client.post("/v1/rag/answers", json=shelf.ask("Anything?"))).json()["id"])


async def rows(database: Database, answer: str) -> list[Feedback]:
    async with database.session() as session:
        return list(await session.scalars(select(Feedback).where(Feedback.answer_id == UUID(answer))))


async def test_a_second_verdict_replaces_the_first_and_the_same_one_changes_nothing(
    database: Database, rag: Rag, as_role: Client
) -> None:
    async with as_role("customer") as client:
        answer = await ask(client, database, rag)
        path = f"/v1/rag/answers/{answer}/feedback"
        first = await client.post(path, json={"rating": "down", "comment": "Wrong plan."})
        again = await client.post(path, json={"rating": "down", "comment": "Wrong plan."})
        last = await client.post(path, json={"rating": "up"})
    assert [each.status_code for each in (first, again, last)] == [200, 200, 200]
    assert first.json()["comment"] == again.json()["comment"] == "Wrong plan."
    assert (last.json()["rating"], last.json()["comment"]) == ("up", None)
    assert last.json()["updated_at"] > first.json()["updated_at"]
    assert [(each.rating, each.comment) for each in await rows(database, answer)] == [("up", None)]


async def test_two_readers_have_two_verdicts(database: Database, rag: Rag, as_role: Client) -> None:
    async with as_role("customer") as customer, as_role("agent") as agent:
        answer = await ask(customer, database, rag)
        path = f"/v1/rag/answers/{answer}/feedback"
        await customer.post(path, json={"rating": "up"})
        await agent.post(path, json={"rating": "down"})
    assert sorted(each.rating for each in await rows(database, answer)) == ["down", "up"]


@pytest.mark.parametrize(
    "body",
    [
        {}, {"rating": "sideways"}, {"rating": None}, {"rating": "up", "comment": "x" * 4001},
        {"rating": "up", "comment": 7}, {"rating": "up", "stars": 5}, {"rating": "up", "comment": "\x00"},
    ],
)  # fmt: skip
async def test_a_malformed_verdict_is_refused_and_not_stored(
    database: Database, rag: Rag, as_role: Client, body: dict[str, Any]
) -> None:
    async with as_role("customer") as client:
        answer = await ask(client, database, rag)
        response = await client.post(f"/v1/rag/answers/{answer}/feedback", json=body)
    assert (response.status_code, response.json()["code"]) == (400, "validation_error")
    assert await rows(database, answer) == []


async def test_another_readers_answer_and_none_at_all_are_both_not_found(
    database: Database, rag: Rag, as_role: Client
) -> None:
    async with as_role("agent") as agent, as_role("customer") as customer:
        answer = await ask(agent, database, rag)
        for target in (answer, str(uuid4())):
            response = await customer.post(f"/v1/rag/answers/{target}/feedback", json={"rating": "up"})
            assert (response.status_code, response.json()["code"]) == (404, "answer_not_found")
    assert await rows(database, answer) == []

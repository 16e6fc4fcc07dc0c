"""Answers through the API without a model: quoted, cited to the letter, silent where they must be."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from app.config import Settings
from app.database import Database
from app.main import create_app
from app.rag.models import Answer, Chunk, Document
from app.rag.runtime import Rag
from app.rag.service import collections, documents
from app.rag.service.answers import unmarked

Client = Callable[[str], httpx.AsyncClient]
_numbers = itertools.count(1)
MARKERS = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True)
class Shelf:
    """A collection of a test's own."""

    database: Database
    rag: Rag
    id: UUID

    @classmethod
    async def make(cls, database: Database, rag: Rag) -> Shelf:
        async with database.session() as session:
            made = await collections.create(session, name=f"answers {next(_numbers)} {uuid4().hex}")
        return cls(database, rag, made.id)

    async def put(self, title: str, content: str | bytes, **fields: Any) -> Document:
        """A document, ingested."""
        raw = content.encode() if isinstance(content, str) else content
        described: dict[str, Any] = {"media_type": "text/markdown", "audience": "public", **fields}
        upload = documents.Upload(collection_id=self.id, content=raw, title=title, **described)
        async with self.database.session() as session:
            document = await documents.take_in(session, upload)
        await self.rag.ingestor.ingest(document.id, document.latest_version)
        return document

    def ask(self, question: str) -> dict[str, Any]:
        """The body of a question to this collection."""
        return {"question": question, "collections": [str(self.id)]}


HANDBOOK = {
    "Refund policy": "# Refund policy\r\n\r\n"
    "Refunds of monthly plans are paid within 14 days of the request. 🧾\r\n\r\n"
    "## Yearly plans\r\n\r\n"
    "Refunds of yearly plans are paid in full during the first 30 days. Later nothing is refunded.\r\n",
    "Café guide": "# Café guide\n\nThe cafe\u0301 opens at 08:30 😀 on working days. "
    "Naïve guests 👩\u200d👩\u200d👧 are welcome in the crème bar.\n",
    "Plans": "# Plans\n\n| Plan | Monthly price | Storage |\n| --- | --- | --- |\n"
    "| Starter | €9.00 | 5 GB |\n| Business | €29.00 | 1.5 TB |\n",
    "Installing": "# Installing\n\nTo install the terminal, do this:\n\n"
    "1. Plug in the terminal. 🔌\n2. Open the settings.\n3. Press *Pair* and type the code.\n\n"
    "The terminal restarts twice.\n",
    "Errors": "# Errors\n\nError E1042 means that the terminal lost its connection [7]. "
    "See the footnote [12, 13] for NOT_FOUND.\n\nThe index items[0] of the log names the port.\n",
}
QUESTIONS = [
    "How long do refunds of monthly plans take?",
    "When are refunds of yearly plans paid?",
    "When does the cafe open?",
    "Who is welcome in the crème bar?",
    "What does the Business plan cost?",
    "How much storage has the Starter plan?",
    "How do I install the terminal?",
    "How often does the terminal restart?",
    "What does error E1042 mean?",
    "What names the port in the log?",
    "What is NOT_FOUND?",
    "terminal",
    "refunds",
    "Plan Monthly price Storage",
]


async def handbook(database: Database, rag: Rag) -> Shelf:
    """The documents above."""
    shelf = await Shelf.make(database, rag)
    for title, content in HANDBOOK.items():
        await shelf.put(title, content)
    return shelf


async def stored_text(client: httpx.AsyncClient, citation: dict[str, Any]) -> str:
    """The words that a citation points to, as the API tells them."""
    path = f"/v1/rag/documents/{citation['document_id']}/text"
    response = await client.get(path, params={"version": citation["version"]})
    assert response.status_code == 200
    return str(response.json()["text"])[citation["start"] : citation["end"]]


async def test_every_citation_is_the_stored_text_and_every_marker_has_its_citation(
    database: Database, rag: Rag, as_role: Client
) -> None:
    shelf = await handbook(database, rag)
    answered = 0
    async with as_role("customer") as client:
        for question in QUESTIONS:
            answer = (await client.post("/v1/rag/answers", json=shelf.ask(question))).json()
            assert answer["extractive"] is True
            assert answer["model"] == "extractive"
            if answer["outcome"] == "abstained":
                continue
            answered += 1
            marks = {int(number) for number in MARKERS.findall(answer["text"])}
            assert marks == set(range(1, len(answer["citations"]) + 1))
            for citation in answer["citations"]:
                assert citation["kind"] == "chunk"
                assert citation["quote"]
                assert await stored_text(client, citation) == citation["quote"]
    assert answered >= 8


async def test_a_literal_footnote_is_not_taken_for_a_citation(
    database: Database, rag: Rag, as_role: Client
) -> None:
    shelf = await handbook(database, rag)
    async with as_role("customer") as client:
        answer = (await client.post("/v1/rag/answers", json=shelf.ask("What does error E1042 mean?"))).json()
    assert "lost its connection" in answer["text"]
    assert {int(number) for number in MARKERS.findall(answer["text"])} == set(
        range(1, len(answer["citations"]) + 1)
    )
    assert any("[7]" in each["quote"] for each in answer["citations"])
    assert "[ 7 ]" in answer["text"]


@given(text=st.text(alphabet="[]【】0123456789 ,;^-\u2013ab", max_size=40))
def test_no_text_of_a_document_looks_like_a_marker(text: str) -> None:
    assert not MARKERS.search(unmarked(text))
    assert unmarked(text).replace(" ", "") == text.replace(" ", "")


async def test_numbered_steps_come_with_their_lead_in_as_a_list(
    database: Database, rag: Rag, as_role: Client
) -> None:
    shelf = await handbook(database, rag)
    async with as_role("customer") as client:
        answer = (
            await client.post("/v1/rag/answers", json=shelf.ask("How do I install the terminal?"))
        ).json()
    assert "\n- Open the settings." in answer["text"]
    assert not answer["text"].startswith((" ", "\n"))


async def test_an_abstention_names_the_closest_passages_once_and_quotes_nothing(
    database: Database, rag: Rag, as_role: Client
) -> None:
    shelf = await handbook(database, rag)
    async with as_role("customer") as client:
        answer = (
            await client.post("/v1/rag/answers", json=shelf.ask("Which volcano erupted in Iceland in 1783?"))
        ).json()
    assert (answer["outcome"], answer["reason"]) == ("abstained", "weak_evidence")
    assert answer["citations"] == []
    assert "The closest passages are: " in answer["text"]
    assert any(title in answer["text"] for title in HANDBOOK)
    assert not any(f"{title} > {title}" in answer["text"] for title in HANDBOOK)


async def test_nothing_at_all_is_said_to_be_nothing(database: Database, rag: Rag, as_role: Client) -> None:
    shelf = await Shelf.make(database, rag)
    async with as_role("customer") as client:
        answer = (await client.post("/v1/rag/answers", json=shelf.ask("Anything?"))).json()
    assert (answer["outcome"], answer["reason"]) == ("abstained", "nothing_found")
    assert answer["text"] == "The documents do not answer this question."


async def test_a_customer_is_told_nothing_of_a_staff_document_in_any_form(
    database: Database, rag: Rag, as_role: Client
) -> None:
    shelf = await Shelf.make(database, rag)
    await shelf.put(
        "Goodwill limits",
        "# Goodwill limits\n\nAgents may grant goodwill up to €250 a case.\n",
        audience="staff",
    )
    question = shelf.ask("How much goodwill may agents grant in a case?")
    async with as_role("customer") as customer, as_role("agent") as agent:
        told = await customer.post("/v1/rag/answers", json=question)
        streamed = await customer.post(
            "/v1/rag/answers", json=question, headers={"Accept": "text/event-stream"}
        )
        known = (await agent.post("/v1/rag/answers", json=question)).json()
        assert "€250" in known["text"]
        assert (await customer.get(f"/v1/rag/answers/{known['id']}")).status_code == 404
    for response in (told, streamed):
        assert response.status_code == 200
        assert "€250" not in response.text
        assert "Goodwill limits" not in response.text


async def test_an_answer_stores_what_it_was_made_of(database: Database, rag: Rag, as_role: Client) -> None:
    shelf = await handbook(database, rag)
    async with as_role("customer") as client:
        answer = (await client.post("/v1/rag/answers", json=shelf.ask(QUESTIONS[0]))).json()
        again = (await client.get(f"/v1/rag/answers/{answer['id']}")).json()
    assert again == answer
    async with database.session() as session:
        row = (await session.scalars(select(Answer).where(Answer.id == UUID(answer["id"])))).one()
        hashes = {str(chunk): known for chunk, known in await session.execute(select(Chunk.id, Chunk.hash))}
    assert row.evidence
    assert [each["index"] for each in row.evidence] == list(range(1, len(row.evidence) + 1))
    for each in row.evidence:
        assert hashes[each["chunk_id"]] == each["hash"]
        assert {"score", "rank_bm25", "rank_dense", "version", "document_id"} <= set(each)
    assert row.prompt_hash is None
    assert (row.question, row.standalone_question) == (QUESTIONS[0], QUESTIONS[0])


async def test_an_answer_is_withheld_once_its_document_is_no_longer_the_readers(
    database: Database, rag: Rag, as_role: Client
) -> None:
    shelf = await handbook(database, rag)
    async with as_role("customer") as customer, as_role("admin") as admin:
        answer = (await customer.post("/v1/rag/answers", json=shelf.ask(QUESTIONS[0]))).json()
        for document in {each["document_id"] for each in answer["citations"]}:
            assert (await admin.delete(f"/v1/rag/documents/{document}")).status_code == 204
        later = (await customer.get(f"/v1/rag/answers/{answer['id']}")).json()
    assert later["reason"] == "sources_unavailable"
    assert later["citations"] == []
    assert "14 days" not in later["text"]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("application/json, text/event-stream;q=0.5", "application/json"),
        ("text/event-stream", "text/event-stream"),
        ("text/event-stream, application/json;q=0.5", "text/event-stream"),
        ("text/html", "application/json"),
    ],
)
async def test_the_form_follows_what_the_caller_prefers(
    database: Database, rag: Rag, as_role: Client, accept: str, media_type: str
) -> None:
    shelf = await Shelf.make(database, rag)
    async with as_role("customer") as client:
        response = await client.post(
            "/v1/rag/answers", json=shelf.ask("Anything?"), headers={"Accept": accept}
        )
    assert response.headers["content-type"].partition(";")[0] == media_type


@pytest.mark.parametrize(
    "question", ["???", "🧾", "\u200b?", "the of and", "x" * 4000, "' or 1=1 --", "退款", "a\nb"]
)
async def test_an_odd_question_is_answered_like_any_other(
    database: Database, rag: Rag, as_role: Client, question: str
) -> None:
    shelf = await handbook(database, rag)
    async with as_role("customer") as client:
        response = await client.post("/v1/rag/answers", json=shelf.ask(question))
    assert response.status_code == 200


@pytest.mark.parametrize("question", ["", "   ", "x" * 4001, 7, None])
async def test_a_question_that_is_none_is_a_validation_error(as_role: Client, question: object) -> None:
    async with as_role("customer") as client:
        response = await client.post("/v1/rag/answers", json={"question": question})
    assert response.status_code == 400
    assert response.json()["code"] == "validation_error"


async def test_search_shows_the_same_headings_as_answers(
    database: Database, rag: Rag, as_role: Client
) -> None:
    shelf = await handbook(database, rag)
    async with as_role("customer") as client:
        found = await client.post(
            "/v1/rag/search", json={"query": "refunds of yearly plans", "collections": [str(shelf.id)]}
        )
    items = found.json()["items"]
    headings = {tuple(each["heading_path"]) for each in items if each["title"] == "Refund policy"}
    assert headings <= {(), ("Yearly plans",)}
    assert not any(each["title"] in each["heading_path"] for each in items)


async def test_without_a_database_the_problem_comes_as_a_problem_and_not_as_a_stream(
    settings: Settings, keys: dict[str, str]
) -> None:
    app = create_app(settings, database=Database(settings))
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # litestar's own ASGI types
    headers = {"Authorization": f"Bearer {keys['customer']}", "Accept": "text/event-stream"}
    async with httpx.AsyncClient(transport=transport, base_url="http://tridesk.test") as client:
        response = await client.post("/v1/rag/answers", json={"question": "Anything?"}, headers=headers)
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"

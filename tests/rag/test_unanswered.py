"""What people ask in vain: by what they ask for, until a document closes it; with the real model."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import text

from app.rag.service.unanswered import unanswered_handler
from tests.rag.test_answers import Shelf

UNANSWERED = "/v1/rag/unanswered"
WAITING = text("select payload from pgqueuer where entrypoint = 'rag.unanswered' order by id")
DONE = text("delete from pgqueuer where entrypoint = 'rag.unanswered'")


@pytest.fixture
async def shelf(database, rag):
    made = await Shelf.make(database, rag)
    await made.put("Refunds", "# Refunds\n\nRefunds of monthly plans are paid within 14 days.\n")
    return made


@pytest.fixture
async def work(database, rag):
    """``await work()``: what is queued is done, each job twice, as after a worker's death."""
    async with database.session() as session:
        await session.execute(DONE)

    async def run() -> int:
        async with database.session() as session:
            payloads = list(await session.scalars(WAITING))
            await session.execute(DONE)
        handle = unanswered_handler(database, rag.embeds)
        for each in payloads * 2:
            await handle(each, 0)
        return len(payloads)

    return run


async def ask(who, shelf, question, outcome):
    response = await who.client.post("/v1/rag/answers", json=shelf.ask(question))
    assert (response.status_code, response.json()["outcome"]) == (200, outcome), response.text
    return response.json()


async def about(lead, word, **query):
    """The clusters of questions with a word."""
    found = (await lead.client.get(UNANSWERED, params={"limit": 100} | query)).json()["items"]
    return [each for each in found if any(word in one["question"] for one in each["questions"])]


async def test_what_is_asked_in_vain_is_counted_by_what_it_asks_for_and_closed_by_a_document(
    caller, shelf, work
):
    one, two, lead, word = await caller(), await caller(), await caller("lead"), f"zq{uuid4().hex[:8]}"
    await ask(one, shelf, f"How do I connect the {word} scanner?", "abstained")
    await ask(one, shelf, f"How can I connect a {word} scanner?", "abstained")
    await ask(two, shelf, f"How do I connect the {word} scanner", "abstained")
    await ask(two, shelf, f"Which colours does the {word} roof have in winter?", "abstained")
    assert await work() == 4
    found = await about(lead, word)
    assert sorted((each["asked"], each["people"]) for each in found) == [(1, 1), (3, 2)]
    scanner = next(each for each in found if each["asked"] == 3)
    text_ = f"# Scanners\n\nTo connect the {word} scanner, plug it into the USB port.\n"
    document = await shelf.put("Scanners", text_)
    path = f"{UNANSWERED}/{scanner['id']}"
    nothing = {"document_id": str(uuid4())}
    refused = await lead.client.post(f"{path}/close", json=nothing)
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_document")
    closed = await lead.client.post(f"{path}/close", json={"document_id": str(document.id)})
    assert (closed.json()["status"], closed.json()["document_id"]) == ("closed", str(document.id))
    await ask(one, shelf, f"How do I connect the {word} scanner?", "answered")
    assert await work() == 0
    assert [each["id"] for each in await about(lead, word, status="closed")] == [scanner["id"]]
    stale = await lead.client.post(f"{path}/reopen", headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    assert (await lead.client.post(f"{path}/reopen")).json()["status"] == "open"


async def test_what_is_asked_in_vain_again_is_open_again(caller, shelf, work):
    one, lead, word = await caller(), await caller("lead"), f"zq{uuid4().hex[:8]}"
    await ask(one, shelf, f"Does the {word} terminal speak Frisian?", "abstained")
    await work()
    (cluster,) = await about(lead, word)
    assert (await lead.client.post(f"{UNANSWERED}/{cluster['id']}/close")).json()["status"] == "closed"
    await ask(one, shelf, f"Does the {word} terminal speak Frisian?", "abstained")
    await work()
    (again,) = await about(lead, word)
    assert (again["id"], again["status"], again["asked"]) == (cluster["id"], "open", 2)


async def test_a_disliked_answer_is_among_them_and_an_erased_question_is_not(as_role, caller, shelf, work):
    one, lead = await caller(), await caller("lead")
    answer = await ask(one, shelf, "How long do refunds of monthly plans take?", "answered")
    await one.client.post(f"/v1/rag/answers/{answer['id']}/feedback", json={"rating": "down"})
    assert await work() == 1
    (found,) = [
        each
        for each in await about(lead, "refunds of monthly plans")
        if answer["id"] in [one["answer_id"] for one in each["questions"]]
    ]
    assert (found["disliked"], found["questions"][0]["reason"]) == (1, "disliked")
    async with as_role("admin") as admin:
        path = f"/v1/identity/people/{one.person_id}/erase"
        assert (await admin.post(path, json={"confirm": str(one.person_id)})).status_code == 200
    left = [
        each
        for each in await about(lead, "refunds of monthly plans")
        if answer["id"] in [one["answer_id"] for one in each["questions"]]
    ]
    assert left == []


async def test_only_leads_read_what_everybody_asked(caller):
    for role in ("customer", "agent"):
        assert (await (await caller(role)).client.get(UNANSWERED)).status_code == 403
    lead = await caller("lead")
    missing = await lead.client.post(f"{UNANSWERED}/{uuid4()}/close")
    assert (missing.status_code, missing.json()["code"]) == (404, "question_cluster_not_found")

"""Resolution notes: what a solved ticket taught, who finds it, and when it is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.identity import SYSTEM
from app.main import technical_desk
from app.rag.service.notes import published
from app.technical.desk import Desk
from app.technical.service import changes, indexing, noting, transitions
from app.technical.service.changes import subject_of

PATH = "/v1/technical/tickets"


@pytest.fixture
def desk(settings, rag) -> Desk:
    """The desk as the app has it."""
    return technical_desk(settings, rag)


@pytest.fixture
async def solved(caller, open_ticket, unique) -> Callable[..., Any]:
    """``await solved()``: (customer, agent, lead, ticket, word): solved with a reply that holds the word."""

    async def make(**fields: Any) -> Any:
        customer, agent, lead = await caller(), await caller("agent"), await caller("lead")
        word = f"zq{unique.replace('-', '')}x"
        ticket = await open_ticket(
            customer,
            subject=f"The {word} exporter stops",
            description=f"Hi,\nthe {word} exporter stops with error 504.\nRegards,\nBob",
            **fields,
        )
        await reply(agent, ticket, f"Raise {word}_limit to 600 seconds and restart.", status="solved")
        return customer, agent, lead, ticket, word

    return make


async def reply(by: Any, ticket: dict[str, Any], body: str, **more: Any) -> dict[str, Any]:
    response = await by.client.post(f"{PATH}/{ticket['id']}/messages", json={"body": body, **more})
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def note_of(by: Any, ticket: dict[str, Any]) -> Any:
    return await by.client.get(f"{PATH}/{ticket['id']}/resolution")


async def titles(by: Any, query: str) -> list[str]:
    """Titles of what the caller's search finds."""
    found = await by.client.post("/v1/rag/search", json={"query": query})
    assert found.status_code == 200, found.text
    return [each["title"] for each in found.json()["items"] if query in each["text"] + each["title"]]


async def listed(by: Any, query: str) -> list[str]:
    """Ids of the tickets that the caller's search finds."""
    found = await by.client.get(f"{PATH}/search", params={"q": query})
    return [each["ticket"]["id"] for each in found.json()["items"]]


async def answer(by: Any, question: str) -> dict[str, Any]:
    given = await by.client.post("/v1/rag/answers", json={"question": question})
    assert given.status_code == 200, given.text
    told: dict[str, Any] = given.json()
    return told


async def embed(rag, note: dict[str, Any], database) -> None:
    """What the note's job does."""
    async with database.session() as session:
        version = await session.scalar(
            text("select latest_version from document where id = :id"), {"id": note["document_id"]}
        )
    await rag.ingestor.ingest(UUID(note["document_id"]), version)


async def test_a_solved_ticket_is_found_and_cited_by_staff_at_once_and_by_customers_after_review(
    solved, caller, rag, database
):
    _, agent, lead, ticket, word = await solved()
    stranger = await caller()
    assert await titles(agent, word) == [f"{ticket['number']}: {ticket['subject']}"]
    assert await titles(stranger, word) == []
    note = (await note_of(agent, ticket)).json()
    await embed(rag, note, database)
    question = f"How do I stop the {word} exporter from failing with error 504?"
    told = await answer(agent, question)
    assert note["document_id"] in {each["document_id"] for each in told["citations"]}
    assert f"{word}_limit" in told["text"]
    assert (await answer(stranger, question))["outcome"] == "abstained"
    reviewed = await lead.client.post(f"{PATH}/{ticket['id']}/resolution/review", json={"audience": "public"})
    assert reviewed.status_code == 200, reviewed.text
    assert reviewed.json()["audience"] == "public"
    assert reviewed.json()["reviewed_by_id"] == str(lead.person_id)
    shown = await answer(stranger, question)
    assert note["document_id"] in {each["document_id"] for each in shown["citations"]}
    assert len(await titles(stranger, word)) == 1


async def test_reopening_takes_the_note_out_in_the_same_commit(solved, caller, database, desk, rag):
    customer, agent, lead, ticket, word = await solved()
    note = (await note_of(agent, ticket)).json()
    await embed(rag, note, database)
    await lead.client.post(f"{PATH}/{ticket['id']}/resolution/review", json={"audience": "public"})
    given = await answer(customer, f"How do I stop the {word} exporter from failing with error 504?")
    assert given["citations"]
    async with database.session() as session:
        locked = await changes.lock(session, UUID(ticket["id"]), principal=lead.principal)
        await transitions.move(session, desk, locked, changes.Status.open, actor=lead.principal)
        assert await titles(customer, word) != []  # not yet committed
    assert await titles(customer, word) == []
    assert await titles(agent, word) == []
    again = (await customer.client.get(f"/v1/rag/answers/{given['id']}")).json()
    assert again["citations"] == []
    assert (await note_of(agent, ticket)).json()["code"] == "resolution_not_found"
    document = await agent.client.get(f"/v1/rag/documents/{note['document_id']}")
    assert document.status_code == 404
    async with database.session() as session:
        kept = await session.execute(
            text("select title, problem, solution from ticket_resolution where ticket_id = :id"),
            {"id": ticket["id"]},
        )
        assert [tuple(each) for each in kept] == [("", "", "")]


async def test_a_rolled_back_solve_leaves_no_note(caller, open_ticket, database, desk, unique):
    customer, agent = await caller(), await caller("agent")
    ticket = await open_ticket(customer)
    await reply(agent, ticket, f"Restart the {unique} server.")

    async def cut_off() -> None:
        async with database.session() as session:
            locked = await changes.lock(session, UUID(ticket["id"]), principal=agent.principal)
            await transitions.move(session, desk, locked, changes.Status.solved, actor=agent.principal)
            assert await published(session, subject_of(locked.id)) is not None
            raise RuntimeError("cut")

    with pytest.raises(RuntimeError, match="cut"):
        await cut_off()
    assert (await note_of(agent, ticket)).status_code == 404
    async with database.session() as session:
        assert await published(session, subject_of(UUID(ticket["id"]))) is None


async def test_the_note_names_nobody(caller, open_ticket, database):
    customer, agent = await caller(), await caller("agent")
    async with database.session() as session:
        for person, name in ((customer, "Bob Müller"), (agent, "Ann Smith")):
            await session.execute(
                text("update person set name = :name where id = :id"), {"name": name, "id": person.person_id}
            )
        await session.execute(
            text("update account set name = 'Acme GmbH' where id = :id"), {"id": customer.account_id}
        )
    ticket = await open_ticket(
        customer,
        subject="Export of Acme fails",
        description="Bob Müller of Acme GmbH here (bob@acme.example, +49 30 901820).\nIt gives error 504.",
    )
    body = "Hi Bob, open https://app.example.com/x?token=abc and set password: hunter2.\nBest,\nAnn Smith"
    await reply(agent, ticket, body, status="solved")
    note = (await note_of(agent, ticket)).json()
    assert note["problem"] == (
        "[name] of [company] here ([e-mail address], [telephone number]).\nIt gives error 504."
    )
    assert note["title"] == "Export of [company] fails"
    assert note["solution"] == "open https://app.example.com/x and set password: [secret]"
    document = (await agent.client.get(f"/v1/rag/documents/{note['document_id']}")).json()
    assert document["title"] == f"{ticket['number']}: Export of [company] fails"


@pytest.mark.parametrize(
    ("said", "solution"),
    [
        ([("agent", "One."), ("agent", "Two.")], "One.\n\nTwo."),
        ([("agent", "Old."), ("customer", "It fails again."), ("agent", "New.")], "New."),
        ([("agent", "Do this."), ("customer", "Thanks, that works!")], "Do this."),
        ([("agent", "Do this."), ("customer", "That does not help.")], None),
        ([("agent", "Any logs?"), ("customer", "It went away by itself.")], None),
        ([("note", "The customer is wrong.")], None),
        ([], None),
        ([("agent", "One."), ("note", "Internal."), ("agent", "Two.")], "One.\n\nTwo."),
    ],
)
async def test_the_accepted_solution_is_what_the_staff_said_last(caller, open_ticket, said, solution):
    customer, agent = await caller(), await caller("agent")
    ticket = await open_ticket(customer)
    for who, body in said:
        kind = {"kind": "note"} if who == "note" else {}
        await reply(customer if who == "customer" else agent, ticket, body, **kind)
    moved = await agent.client.post(f"{PATH}/{ticket['id']}/transitions", json={"to": "solved"})
    assert moved.status_code == 200
    note = await note_of(agent, ticket)
    if solution is None:
        assert note.status_code == 404
    else:
        assert note.json()["solution"] == solution


async def test_the_message_that_it_was_solved_with_is_the_solution(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    ticket = await open_ticket(customer)
    await reply(agent, ticket, "We look into it.")
    await reply(agent, ticket, "Clear the cache.", status="solved")
    assert (await note_of(agent, ticket)).json()["solution"] == "Clear the cache."


async def test_notes_are_the_staffs_and_reviews_the_leads(solved):
    customer, agent, lead, ticket, _ = await solved()
    path = f"{PATH}/{ticket['id']}/resolution"
    assert (await customer.client.get(path)).status_code == 404
    assert (await customer.client.delete(path)).status_code == 404
    refused = await agent.client.post(f"{path}/review", json={"audience": "public"})
    assert refused.status_code == 403
    unknown = await lead.client.post(f"{path}/review", json={"audience": f"account:{UUID(int=1)}"})
    assert unknown.json()["code"] == "unknown_account"
    for wrong in ("everybody", "", "account:", f"account:{UUID(int=1)}x"):
        assert (await lead.client.post(f"{path}/review", json={"audience": wrong})).status_code == 400
    mine = await lead.client.post(f"{path}/review", json={"audience": f"account:{customer.account_id}"})
    assert mine.json()["audience"] == f"account:{customer.account_id}"


async def test_a_stale_correction_is_refused(solved):
    _, agent, lead, ticket, _ = await solved()
    path = f"{PATH}/{ticket['id']}/resolution"
    tag = (await agent.client.get(path)).headers["etag"]
    one = await agent.client.patch(path, json={"solution": "Better."}, headers={"If-Match": tag})
    assert (one.status_code, one.json()["version"]) == (200, 2)
    for method, more in (("patch", {"json": {"solution": "Worse."}}), ("delete", {})):
        stale = await getattr(agent.client, method)(path, headers={"If-Match": tag}, **more)
        assert (stale.status_code, stale.json()["current_version"]) == (412, 2)
    late = await lead.client.post(f"{path}/review", json={"audience": "public"}, headers={"If-Match": tag})
    assert late.status_code == 412


async def test_what_an_agent_corrects_is_the_staffs_until_it_is_reviewed_again(solved, caller):
    _, agent, lead, ticket, word = await solved()
    stranger, path = await caller(), f"{PATH}/{ticket['id']}/resolution"
    await lead.client.post(f"{path}/review", json={"audience": "public"})
    kept = (await lead.client.patch(path, json={"solution": f"Set {word} to 60."})).json()
    assert (kept["audience"], kept["solution"]) == ("public", f"Set {word} to 60.")
    assert len(await titles(stranger, word)) == 1
    taken = (await agent.client.patch(path, json={"solution": f"Set {word} to 90."})).json()
    assert (taken["audience"], taken["reviewed_at"]) == ("staff", None)
    assert await titles(stranger, word) == []
    back = await lead.client.post(
        f"{path}/review", json={"audience": "customers", "solution": f"Write to me@x.example about {word}."}
    )
    assert back.json()["solution"] == f"Write to [e-mail address] about {word}."
    assert len(await titles(stranger, word)) == 1
    await agent.client.patch(f"{PATH}/{ticket['id']}", json={"subject": "What nobody has reviewed"})
    assert await titles(stranger, word) == [f"{ticket['number']}: {ticket['subject']}"]
    retitled = await lead.client.patch(path, json={"title": f"Limits of {word}"})
    assert retitled.json()["audience"] == "customers"
    assert await titles(stranger, word) == [f"{ticket['number']}: Limits of {word}"]
    staff = await lead.client.post(f"{path}/review", json={"audience": "staff"})
    assert staff.json()["audience"] == "staff"
    assert await titles(stranger, word) == []


async def test_a_withdrawn_note_stays_away_until_the_ticket_is_solved_anew(solved, database, desk):
    _, agent, _, ticket, word = await solved()
    path = f"{PATH}/{ticket['id']}/resolution"
    assert (await agent.client.delete(path)).status_code == 204
    assert (await agent.client.delete(path)).status_code == 404
    async with database.session() as session:
        locked = await changes.lock(session, UUID(ticket["id"]), principal=SYSTEM)
        await indexing.changed(session, desk, locked)
    await noting.sweep(database, desk)
    assert await titles(agent, word) == []
    for to in ("open", "solved"):
        await agent.client.post(f"{PATH}/{ticket['id']}/transitions", json={"to": to})
    assert len(await titles(agent, word)) == 1


async def put(database, ticket_id: str, desk: Desk, **columns: Any) -> None:
    """Change a ticket as merging does, and tell the index."""
    async with database.session() as session:
        locked = await changes.lock(session, UUID(ticket_id), principal=SYSTEM)
        locked = await changes.change(session, locked, columns, actor=SYSTEM)
        await indexing.changed(session, desk, locked)


async def test_a_merged_ticket_is_not_found_and_comes_back_as_reviewed(
    solved, caller, open_ticket, database, desk
):
    customer, agent, lead, ticket, word = await solved()
    stranger, other = await caller(), await open_ticket(customer)
    await lead.client.post(f"{PATH}/{ticket['id']}/resolution/review", json={"audience": "public"})
    await put(database, ticket["id"], desk, status="merged", merged_into_id=UUID(other["id"]))
    assert await titles(agent, word) == []
    assert (await note_of(agent, ticket)).status_code == 404
    assert ticket["id"] not in await listed(agent, word)
    await put(database, ticket["id"], desk, status="solved", merged_into_id=None)
    assert len(await titles(stranger, word)) == 1
    assert (await note_of(agent, ticket)).json()["audience"] == "public"
    assert (await listed(agent, word))[0] == ticket["id"]


async def test_an_erased_ticket_leaves_neither_likeness_nor_note(solved, database, desk):
    _, agent, _, ticket, word = await solved()
    async with database.session() as session:
        locked = await changes.lock(session, UUID(ticket["id"]), principal=SYSTEM)
        await indexing.erased(session, desk, locked, actor=SYSTEM)
    assert await titles(agent, word) == []
    async with database.session() as session:
        left = await session.scalar(
            text("select count(*) from matchable where id = :id"), {"id": UUID(ticket["id"])}
        )
        assert left == 0
        assert not await session.scalar(
            text("select title || problem || solution from ticket_resolution where ticket_id = :id"),
            {"id": ticket["id"]},
        )


@pytest.fixture(params=["starting", "none"])
def away(request, settings) -> Desk:
    """The desk of a server whose models are not loaded."""
    desk = technical_desk(settings)
    return desk if request.param == "starting" else replace(desk, answers=None)


async def test_tickets_are_solved_and_reopened_while_the_models_are_not_loaded(
    caller, open_ticket, database, desk, away
):
    """What is left to do is done by the sweep, once the index is there."""
    customer, agent = await caller(), await caller("agent")
    ticket = await open_ticket(customer)
    await reply(agent, ticket, "Restart it.")

    async def move(to: changes.Status, with_desk: Desk) -> None:
        async with database.session() as session:
            locked = await changes.lock(session, UUID(ticket["id"]), principal=agent.principal)
            await transitions.move(session, with_desk, locked, to, actor=agent.principal)

    await move(changes.Status.solved, away)
    waiting = (await note_of(agent, ticket)).json()
    assert (waiting["solution"], waiting["document_id"]) == ("Restart it.", None)
    assert await noting.sweep(database, away) == 0
    assert await noting.sweep(database, desk) >= 1
    assert (await note_of(agent, ticket)).json()["document_id"] is not None
    await move(changes.Status.open, away)
    await noting.sweep(database, desk)
    async with database.session() as session:
        assert await published(session, subject_of(UUID(ticket["id"]))) is None
    assert await noting.sweep(database, desk) == 0


async def test_no_note_of_an_open_ticket_is_found_however_reviews_and_reopenings_race(
    solved, caller, database
):
    customer, agent, lead, ticket, word = await solved()
    for _ in range(6):
        await asyncio.gather(
            lead.client.post(f"{PATH}/{ticket['id']}/resolution/review", json={"audience": "public"}),
            agent.client.post(f"{PATH}/{ticket['id']}/transitions", json={"to": "open"}),
            agent.client.patch(f"{PATH}/{ticket['id']}/resolution", json={"solution": f"Other {word}."}),
        )
        assert await titles(agent, word) == []
        assert (
            await agent.client.post(f"{PATH}/{ticket['id']}/transitions", json={"to": "solved"})
        ).is_success
        assert len(await titles(agent, word)) == 1
        assert await titles(customer, word) == []


async def test_one_solution_for_many_tickets_of_a_known_issue_is_told_once(
    caller, open_ticket, database, unique
):
    customer, agent = await caller(), await caller("agent")
    async with database.session() as session:
        issue_id = await session.scalar(
            text("insert into known_issue (title, description) values ('x', 'y') returning id")
        )
    tickets = [await open_ticket(customer) for _ in range(4)]
    for each in tickets[:3]:
        await agent.client.patch(f"{PATH}/{each['id']}", json={"issue_id": str(issue_id)})
    said = f"Update {unique} mends it."
    for each, body in zip(tickets, (said, said, "Do it by hand.", said), strict=True):
        await reply(agent, each, body, status="solved")
    assert [(await note_of(agent, each)).status_code for each in tickets] == [200, 404, 200, 200]


async def test_every_change_of_a_note_is_an_event_without_its_texts(solved, caller):
    _, agent, lead, ticket, word = await solved()
    path = f"{PATH}/{ticket['id']}/resolution"
    await agent.client.patch(path, json={"solution": f"Other {word}."})
    await lead.client.post(f"{path}/review", json={"audience": "public"})
    await agent.client.delete(path)
    params = {"subject": f"ticket:{ticket['id']}", "after": str(UUID(int=0)), "limit": 100}
    events = (await agent.client.get("/v1/events", params=params)).json()["items"]
    told = [each for each in events if each["type"].startswith("resolution.")]
    assert [each["type"] for each in told] == [
        "resolution.published",
        "resolution.updated",
        "resolution.reviewed",
        "resolution.withdrawn",
    ]
    assert told[2]["after"] == {"resolution": {"audience": "public", "state": "published", "version": 3}}
    assert word not in str(told)

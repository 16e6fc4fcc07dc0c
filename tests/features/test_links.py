"""Tickets and cases that ask for a request; what customers said in them; drafts when it ships."""

from __future__ import annotations

from uuid import UUID, uuid4

import msgspec
import pytest
from sqlalchemy import text

from app import conversations
from app.events import Subject
from app.features.models import Release, ReleaseRequest
from app.features.service import drafts
from app.identity.principal import SYSTEM
from app.main import features_desk

REQUESTS = "/v1/features/requests"
SAID = "Our accountant wants the monthly report as a spreadsheet."
TEXT = f"Hello,\n\n{SAID} Could you do that? Regards"


@pytest.fixture
async def agent(caller):
    return await caller("agent")


@pytest.fixture
async def wanted(agent, request_of):
    """A request for what ``SAID`` asks for."""
    return await request_of(agent, title="Export reports as a spreadsheet", body="For the accountant.")


async def ticket(who, body=TEXT, **given):
    values = {"subject": "A wish", "description": body} | given
    response = await who.client.post("/v1/technical/tickets", json=values)
    assert response.status_code == 201, response.text
    return {"type": "ticket", "id": response.json()["id"]}


async def case(who, body=TEXT):
    values = {"kind": "invoice_question", "subject": "A wish", "description": body}
    response = await who.client.post("/v1/billing/cases", json=values)
    assert response.status_code == 201, response.text
    return {"type": "billing_case", "id": response.json()["id"]}


async def link(agent, made, thing, status=201, **given):
    response = await agent.client.post(f"{REQUESTS}/{made['id']}/links", json=thing | given)
    assert response.status_code == status, response.text
    return response.json()


async def items(who, made, what):
    response = await who.client.get(f"{REQUESTS}/{made['id']}/{what}")
    assert response.status_code == 200, response.text
    return response.json()["items"]


async def test_a_link_votes_for_who_asked_and_takes_their_words_along(caller, agent, wanted):
    customer = await caller()
    thing = await ticket(customer)
    for _ in range(2):
        linked = await link(agent, wanted, thing)
        assert (linked["voted"], linked["no_vote"]) == (True, None)
        assert [each["sentence"] for each in linked["quotes"]] == [SAID]
    assert [each["id"] for each in await items(agent, wanted, "links")] == [thing["id"]]
    first = (await items(agent, wanted, "votes"))[0]
    assert (first["person_id"], first["source"]) == (str(customer.person_id), thing)
    shown = (await customer.client.get(f"{REQUESTS}/{wanted['id']}")).json()
    assert (shown["voted"], shown["votes"]) == (True, 2)
    references = await agent.client.get(f"/v1/technical/tickets/{thing['id']}/references")
    assert wanted["id"] in references.text, "the ticket says it too"


async def test_cases_of_both_desks_are_linked_over_what_was_merged(caller, agent, wanted, request_of):
    source = await request_of(agent, board_id=wanted["board_id"])
    one, two = await ticket(await caller()), await case(await caller())
    await link(agent, source, one, vote=False)
    await agent.client.post(f"{REQUESTS}/{source['id']}/merge", json={"into": wanted["id"]})
    await link(agent, wanted, two)
    assert {each["id"] for each in await items(agent, wanted, "links")} == {one["id"], two["id"]}
    assert {each["number"][:4] for each in await items(agent, wanted, "links")} == {"TEC-", "BIL-"}
    for thing in (one, two):
        path = f"{REQUESTS}/{wanted['id']}/links/{thing['type']}/{thing['id']}"
        for _ in range(2):
            assert (await agent.client.delete(path)).status_code == 204
    assert await items(agent, wanted, "links") == []


async def test_a_link_without_a_vote_says_why(caller, agent, wanted):
    customer = await caller()
    assert (await link(agent, wanted, await ticket(customer), vote=False))["voted"] is False
    await agent.client.post(f"{REQUESTS}/{wanted['id']}/transitions", json={"to": "shipped"})
    linked = await link(agent, wanted, await ticket(customer))
    assert (linked["voted"], linked["no_vote"]) == (False, "request_closed")


async def test_what_cannot_be_linked(caller, agent, wanted):
    assert (await link(agent, wanted, {"type": "ticket", "id": str(uuid4())}, 422))[
        "code"
    ] == "unknown_reference"
    issue = await agent.client.post(
        "/v1/technical/issues", json={"title": "It is down", "description": "All of it."}
    )
    known = {"type": "known_issue", "id": issue.json()["id"]}
    assert (await link(agent, wanted, known, 422))["code"] == "unknown_reference"
    thing = await ticket(await caller())
    lead = await caller("lead")
    for to in ("solved", "closed"):
        path = f"/v1/technical/tickets/{thing['id']}/transitions"
        assert (await lead.client.post(path, json={"to": to})).status_code == 200
    refused = await link(agent, wanted, thing, 409)
    assert (refused["code"], refused["reason"]) == ("not_linkable", "closed")


async def test_customers_see_no_links_and_only_quotes_of_what_they_may_read(caller, agent, wanted):
    one, other = await caller(), await caller()
    await link(agent, wanted, await ticket(one))
    assert (await one.client.get(f"{REQUESTS}/{wanted['id']}/links")).status_code == 404
    (mine,) = await items(one, wanted, "quotes")
    assert (mine["sentence"], mine["case_id"], mine["message_id"]) == (SAID, None, None)
    assert await items(other, wanted, "quotes") == []
    assert len(await items(agent, wanted, "quotes")) == 1


async def test_a_quote_goes_with_its_words(caller, agent, wanted, database):
    thing = await ticket(await caller())
    await link(agent, wanted, thing)
    (quote,) = await items(agent, wanted, "quotes")
    async with database.session() as session:
        subject = Subject("ticket", UUID(thing["id"]))
        conversation = await conversations.get(session, subject, principal=SYSTEM)
        await conversations.redact(session, conversation, UUID(quote["message_id"]), actor=SYSTEM)
    assert await items(agent, wanted, "quotes") == []


async def test_only_what_a_customer_said_publicly_is_quoted(caller, agent, wanted):
    thing = await case(await caller(), "We need dark mode for the night shift.")
    note = {"body": "They would pay for dark mode at once.", "kind": "note"}
    await agent.client.post(f"/v1/billing/cases/{thing['id']}/messages", json=note)

    async def quote(sentence):
        return await agent.client.post(
            f"{REQUESTS}/{wanted['id']}/quotes", json=thing | {"sentence": sentence}
        )

    made = await quote("dark mode for the night shift")
    assert made.status_code == 201
    for sentence in (note["body"], "dark  mode", "something else"):
        refused = await quote(sentence)
        assert (refused.status_code, refused.json()["code"]) == (422, "quote_not_found")
    path = f"{REQUESTS}/{wanted['id']}/quotes/{made.json()['id']}"
    assert [(await agent.client.delete(path)).status_code for _ in range(2)] == [204, 404]


async def test_each_linked_case_gets_one_draft_however_often_the_job_is_run(
    caller, agent, wanted, request_of, database
):
    second = await request_of(agent, board_id=wanted["board_id"])
    one, two, closed = await ticket(await caller()), await case(await caller()), await ticket(await caller())
    for made, thing in ((wanted, one), (second, one), (second, two), (wanted, closed)):
        await link(agent, made, thing)
    desk, requests = features_desk(database.settings), [UUID(wanted["id"]), UUID(second["id"])]
    async with database.session() as session:
        release = Release(board_id=UUID(wanted["board_id"]), title="Autumn", label="4.2")
        session.add(release)
        await session.flush()
        session.add_all(ReleaseRequest(release_id=release.id, request_id=each) for each in requests)
        assert await drafts.plan_drafts(session, desk, release.id, requests, actor=SYSTEM) == 3
    lead = await caller("lead")
    for to in ("solved", "closed"):
        await lead.client.post(f"/v1/technical/tickets/{closed['id']}/transitions", json={"to": to})
    handle, planned = drafts.drafts_handler(database, desk), drafts.Planned(release_id=release.id)
    for _ in range(2):
        await handle(msgspec.json.encode(planned), 0)
    assert len(await proposals(agent, "technical/tickets", one)) == 1
    (draft,) = await proposals(agent, "billing/cases", two)
    assert (draft["kind"], "Autumn 4.2" in draft["body"]) == ("note", True)
    assert await proposals(agent, "technical/tickets", closed) == []
    async with database.session() as session:
        states = text("select state, reason from feature_reply_draft where release_id = :id order by state")
        assert [tuple(each) for each in await session.execute(states, {"id": release.id})] == [
            ("drafted", None),
            ("drafted", None),
            ("skipped", "closed"),
        ]


async def proposals(agent, desk, thing):
    found = (await agent.client.get(f"/v1/{desk}/{thing['id']}/messages")).json()["items"]
    return [each for each in found if "Proposed reply" in each["body"]]

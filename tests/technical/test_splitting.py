"""Splitting a ticket: which messages may go, what the new ticket gets, what the old one is left with."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from tests.callers import Caller
from tests.technical.test_merging import bodies, clocks, get, merge, numbers, unmerge, waiting
from tests.technical.test_tickets import PATH, write


async def ids(by: Caller, ticket: dict[str, Any]) -> dict[str, str]:
    return {each["body"]: each["id"] for each in (await get(by, ticket, "/messages"))["items"]}


async def split(by: Caller, ticket: dict[str, Any], chosen: list[str], **more: Any) -> Any:
    body = {"message_ids": chosen, "subject": "Something else"} | more
    return await by.client.post(f"{PATH}/{ticket['id']}/split", json=body)


async def test_the_new_ticket_is_the_same_customers_with_the_messages_and_their_files(caller, open_ticket):
    customer, agent, cc = await caller(), await caller("agent"), await caller()
    ticket = await open_ticket(
        agent, requester_id=str(customer.person_id), product="Exporter", tags=["vip"], priority="high"
    )
    added = {"person_id": str(cc.person_id), "role": "cc"}
    assert (await agent.client.post(f"{PATH}/{ticket['id']}/watchers", json=added)).status_code == 201
    upload = await customer.client.post("/v1/attachments", files={"file": ("log.txt", b"Log.", "text/plain")})
    await write(customer, ticket, "And the **import** too.", attachments=[upload.json()["id"]])
    await write(agent, ticket, "Seems another thing.", kind="note")
    known = await ids(agent, ticket)
    chosen = [known["Seems another thing."], known["And the **import** too."]]
    response = await split(agent, ticket, chosen)
    assert response.status_code == 201, response.text
    made = response.json()
    assert made["description"] == "And the **import** too."
    assert (made["subject"], made["source"], made["status"]) == ("Something else", "split", "new")
    for name in ("requester_id", "account_id", "product", "tags", "priority"):
        assert made[name] == ticket[name], name
    assert await bodies(agent, made) == ["And the **import** too.", "Seems another thing."]
    assert await bodies(customer, made) == ["And the **import** too."]
    assert await bodies(cc, made) == ["And the **import** too."]
    assert await bodies(agent, ticket) == ["It stops with error 504."]
    message = (await get(customer, made, "/messages"))["items"][0]
    content = await customer.client.get(f"/v1/attachments/{message['attachments'][0]['id']}/content")
    assert content.content == b"Log."
    for one, other in ((ticket, made), (made, ticket)):
        links = (await get(customer, one, "/links"))["links"]
        assert [(each["kind"], each["other"]["id"]) for each in links] == [("related", other["id"])]


async def test_what_cannot_be_split_off_is_refused_and_nothing_is_made(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    ticket, other = await open_ticket(customer), await open_ticket(customer)
    await write(agent, ticket, "A note.", kind="note")
    known, foreign = await ids(agent, ticket), await ids(agent, other)
    first, note = known["It stops with error 504."], known["A note."]
    for chosen in ([first], [first, note], [foreign["It stops with error 504."]], [str(uuid4())], [note]):
        response = await split(agent, ticket, chosen)
        assert (response.status_code, response.json()["code"]) == (422, "invalid_split"), chosen
        assert response.json()["message_ids"]
    assert (await split(agent, ticket, [])).status_code == 400
    assert (await split(customer, ticket, [note])).status_code == 404
    assert len((await customer.client.get(PATH)).json()["items"]) == 2
    given = await split(agent, ticket, [note], description="What the note is about.")
    assert given.json()["description"] == "What the note is about."
    assert await bodies(customer, given.json()) == []


async def test_each_ticket_waits_since_the_oldest_message_that_it_has(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    ticket = await open_ticket(customer)
    await write(agent, ticket, "Answer.")
    old = (await write(customer, ticket, "Old question.")).json()["message"]
    young = (await write(customer, ticket, "Young question.")).json()["message"]
    made = (await split(agent, ticket, [old["id"]])).json()
    assert made["waiting_since"] == old["created_at"]
    started = (await clocks(agent, made, exact=True))["first_response-1"]
    assert started["state"] == "running"
    assert started["started_at"][:19] == old["created_at"][:19]
    assert (await get(agent, ticket))["waiting_since"] == young["created_at"]
    assert len(waiting(await clocks(agent, ticket))) == 1
    again = (await split(agent, ticket, [young["id"]])).json()
    assert again["waiting_since"] == young["created_at"]
    assert (await get(agent, ticket))["waiting_since"] is None
    assert waiting(await clocks(agent, ticket)) == []


async def test_what_was_answered_is_no_first_response_that_is_due(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    ticket = await open_ticket(customer)
    asked = (await write(customer, ticket, "Another thing.")).json()["message"]
    answered = (await write(agent, ticket, "Its answer.")).json()["message"]
    made = (await split(agent, ticket, [asked["id"], answered["id"]])).json()
    assert made["waiting_since"] is None
    assert await clocks(agent, made) == {"first_response-1": "met", "resolution-1": "running"}


async def test_merging_back_is_the_inverse_of_splitting(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    ticket = await open_ticket(customer)
    for body in ("one", "two", "three"):
        await write(customer, ticket, body)
    before, known = await numbers(agent, ticket), await ids(agent, ticket)
    made = (await split(agent, ticket, [known["one"], known["three"]])).json()
    assert (await merge(agent, made, ticket)).status_code == 200
    assert await numbers(agent, ticket) == before
    assert await bodies(agent, made) == []


async def test_what_was_split_off_a_target_stays_split_off_when_the_merge_is_undone(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    target, source = (
        await open_ticket(customer, description="t"),
        await open_ticket(customer, description="s"),
    )
    await write(customer, source, "more")
    await merge(agent, source, target)
    made = (await split(agent, target, [(await ids(agent, target))["more"]])).json()
    assert (await unmerge(agent, source)).status_code == 200
    assert [await bodies(agent, each) for each in (target, source, made)] == [["t"], ["s"], ["more"]]
    for each in (target, source, made):
        assert len(waiting(await clocks(agent, each))) == 1

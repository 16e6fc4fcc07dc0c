"""Hostile input: nothing is a server's error, and no card number stays in any field."""

from __future__ import annotations

import asyncio

import pytest

from tests.technical.test_tickets import PATH, move, write

CARD = "4111 1111 1111 1111"
ISSUES = "/v1/technical/issues"


@pytest.mark.parametrize("hostile", ["a\0b", "\u202egnp", "\ud7ff\U0010ffff", "{{7*7}}", "=HYPERLINK(1)"])
@pytest.mark.parametrize("field", ["subject", "description", "product", "environment"])
async def test_hostile_text_is_taken_or_refused_and_never_fails(caller, field, hostile):
    customer = await caller()
    body = {"subject": "s", "description": "d"} | {field: hostile}
    response = await customer.client.post(PATH, json=body)
    assert response.status_code in (201, 400), response.text


@pytest.mark.parametrize("field", ["title", "description", "workaround"])
async def test_a_nul_in_a_known_issue_is_refused(caller, field):
    agent = await caller("agent")
    made = await agent.client.post(ISSUES, json={"title": "t", "description": "d"} | {field: "a\0b"})
    assert made.status_code == 400
    issue = (await agent.client.post(ISSUES, json={"title": "t", "description": "d"})).json()
    told = await agent.client.post(f"{ISSUES}/{issue['id']}/updates", json={"body": "a\0b"})
    assert told.status_code == 400


async def test_card_numbers_stay_in_no_field_of_a_ticket_or_an_issue(caller):
    customer, agent = await caller(), await caller("agent")
    texts = ("subject", "description", "product", "component", "product_version", "environment")
    made = await agent.client.post(
        PATH,
        json=dict.fromkeys(texts, f"Card {CARD}") | {"tags": [CARD], "requester_id": str(customer.person_id)},
    )
    assert made.status_code == 201, made.text
    assert CARD not in made.text
    changed = await agent.client.patch(
        f"{PATH}/{made.json()['id']}", json=dict.fromkeys(texts, f"My card {CARD}") | {"tags": [f"x {CARD}"]}
    )
    assert changed.status_code == 200, changed.text
    assert CARD not in changed.text
    issue = {"title": CARD, "description": CARD, "workaround": CARD, "product": CARD, "signatures": [CARD]}
    assert CARD not in (await agent.client.post(ISSUES, json=issue)).text


async def test_notes_and_tags_cannot_be_found_by_a_customer(caller, open_ticket, unique):
    customer, agent = await caller(), await caller("agent")
    ticket = await open_ticket(customer)
    word = f"secretword{unique.replace('-', '')}"
    await write(agent, ticket, f"They owe us: {word}", kind="note")
    await agent.client.patch(f"{PATH}/{ticket['id']}", json={"tags": [word]})
    assert (await customer.client.get(PATH, params={"q": word})).json()["items"] == []
    found = (await agent.client.get(PATH, params={"q": word})).json()["items"]
    assert [each["id"] for each in found] == [ticket["id"]]
    for path in (f"{PATH}/{ticket['id']}/timeline", "/v1/events", f"{PATH}/{ticket['id']}"):
        response = await customer.client.get(path)
        assert response.status_code == 200
        assert word not in response.text


async def test_ids_of_others_are_refused_in_every_field(caller, open_ticket):
    customer, other, agent = await caller(), await caller(), await caller("agent")
    ticket = await open_ticket(customer)
    for field, value, code in (
        ("assignee_id", other.person_id, "unknown_assignee"),
        ("team_id", other.person_id, "unknown_team"),
        ("issue_id", other.person_id, "unknown_issue"),
        ("account_id", other.account_id, "unknown_requester"),
    ):
        refused = await agent.client.patch(f"{PATH}/{ticket['id']}", json={field: str(value)})
        assert (refused.status_code, refused.json()["code"]) == (422, code), refused.text
    upload = await other.client.post("/v1/attachments", files={"file": ("a.txt", b"x", "text/plain")})
    attached = await write(customer, ticket, attachments=[upload.json()["id"]])
    assert (attached.status_code, attached.json()["code"]) == (422, "unknown_attachment")


async def test_thirty_writers_on_one_ticket_leave_it_whole(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    ticket = await open_ticket(customer)

    async def act(number: int) -> int:
        if number % 3 == 0:
            response = await write(customer, ticket, f"Customer {number}")
        elif number % 3 == 1:
            response = await write(agent, ticket, f"Agent {number}")
        else:
            response = await move(agent, ticket, "pending" if number % 2 else "on_hold")
        return int(response.status_code)

    statuses = await asyncio.gather(*(act(number) for number in range(30)))
    assert set(statuses) <= {200, 201, 409}
    found = await agent.client.get(f"{PATH}/{ticket['id']}/messages", params={"limit": 100})
    bodies = [each["body"] for each in found.json()["items"]]
    assert len(bodies) == len(set(bodies)) == 21
    assert [each["number"] for each in found.json()["items"]] == list(range(1, 22))

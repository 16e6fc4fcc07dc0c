"""Many tickets in one request: each with its own result, and no two requests in each other's way."""

from __future__ import annotations

import asyncio
import random
from typing import Any
from uuid import uuid4

from tests.callers import Caller
from tests.technical.test_macros import make_macro
from tests.technical.test_teams import events_of, join, make_team
from tests.technical.test_tickets import move

TICKETS = "/v1/technical/tickets"


async def change(by: Caller, *items: dict[str, Any]) -> Any:
    return await by.client.post(f"{TICKETS}/bulk", json={"items": list(items)})


async def test_each_item_has_the_result_that_its_single_operation_would_have(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    plain, stale, closed, macroed = [await open_ticket(customer) for _ in range(4)]
    lead = await caller("lead")
    for to in ("open", "solved", "closed"):
        assert (await move(lead, closed, to)).status_code == 200
    macro = await make_macro(agent, body="Hello {{ticket.number}}.", actions={"add_tags": ["told"]})
    items = [
        {"ticket_id": macroed["id"], "macro_id": macro["id"], "add_tags": ["more"], "status": "pending"},
        {"ticket_id": plain["id"], "version": 1, "priority": "high", "add_tags": ["B", "a"], "status": "new"},
        {"ticket_id": stale["id"], "version": 7, "priority": "high"},
        {"ticket_id": closed["id"], "priority": "high"},
        {"ticket_id": str(uuid4()), "priority": "high"},
        {"ticket_id": plain["id"], "remove_tags": ["b"], "assignee_id": str(agent.person_id)},
        {"ticket_id": plain["id"], "priority": "low", "status": "closed"},
        {"ticket_id": plain["id"], "macro_id": str(uuid4())},
        {"ticket_id": plain["id"], "add_tags": [str(number) for number in range(30)]},
    ]
    answer = await change(agent, *items)
    assert answer.status_code == 200, answer.text
    results = answer.json()["items"]
    assert [each["index"] for each in results] == list(range(len(items)))
    assert [each["status"] for each in results] == [200, 200, 412, 409, 404, 200, 409, 422, 400]
    assert (answer.json()["succeeded"], answer.json()["failed"]) == (3, 6)
    codes = [each["problem"]["code"] for each in results if each["problem"]]
    assert codes == [
        "version_mismatch",
        "ticket_closed",
        "ticket_not_found",
        "invalid_transition",
        "unknown_macro",
        "validation_error",
    ]
    told = results[0]["result"]
    assert (told["status"], told["tags"]) == ("pending", ["more", "told"])
    seen = (await agent.client.get(f"{TICKETS}/{plain['id']}")).json()
    assert (seen["priority"], seen["tags"], seen["status"]) == ("high", ["a"], "new")
    assert seen["assignee_id"] == str(agent.person_id)
    assert (await agent.client.get(f"{TICKETS}/{stale['id']}")).json()["version"] == stale["version"]


async def test_a_failed_item_leaves_neither_events_nor_messages(database, caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    ticket = await open_ticket(customer)
    before = len(await events_of(database, ticket["id"]))
    macro = await make_macro(agent, actions={"priority": "urgent"})
    failed = await change(agent, {"ticket_id": ticket["id"], "macro_id": macro["id"], "status": "closed"})
    assert failed.json()["failed"] == 1
    assert len(await events_of(database, ticket["id"])) == before


async def test_bulk_changes_are_the_staffs_and_limited(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    ticket = await open_ticket(customer)
    item = {"ticket_id": ticket["id"], "priority": "high"}
    assert (await change(customer, item)).status_code == 403
    assert (await change(agent, *([item] * 101))).status_code == 400
    assert (await change(agent)).status_code == 400
    assert (await change(agent, item | {"unheard_of": 1})).status_code == 400


async def test_a_repeated_request_with_the_same_key_is_not_done_again(caller, open_ticket):
    agent = await caller("agent")
    ticket = await open_ticket(agent)
    macro = await make_macro(agent)
    body = {"items": [{"ticket_id": ticket["id"], "macro_id": macro["id"]}]}
    key = {"Idempotency-Key": str(uuid4())}
    answers = [await agent.client.post(f"{TICKETS}/bulk", json=body, headers=key) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len((await agent.client.get(f"{TICKETS}/{ticket['id']}/messages")).json()["items"]) == 2


async def test_parallel_requests_with_the_same_tickets_in_any_order_all_succeed(caller, open_ticket):
    """20 at once, shuffled, half of them with teams that hand out assignees: locks are taken in one order."""
    lead, agents = await caller("lead"), [await caller("agent") for _ in range(4)]
    teams = [await make_team(lead) for _ in range(2)]
    for team in teams:
        for agent in agents:
            await join(lead, team, agent)
    customer = await caller()
    tickets = [await open_ticket(customer) for _ in range(6)]
    chance = random.Random(20261122)

    async def one(number: int) -> Any:
        shuffled = chance.sample(tickets, k=len(tickets))
        items = [{"ticket_id": each["id"], "add_tags": [f"t{number}"]} for each in shuffled]
        if number % 2:
            items = [each | {"team_id": chance.choice(teams)["id"]} for each in items]
        return await change(agents[number % 4], *items)

    answers = await asyncio.gather(*(one(number) for number in range(20)))
    assert [(each.status_code, each.json().get("failed")) for each in answers] == [(200, 0)] * 20
    for each in tickets:
        seen = (await agents[0].client.get(f"{TICKETS}/{each['id']}")).json()
        assert set(seen["tags"]) == {f"t{number}" for number in range(20)}

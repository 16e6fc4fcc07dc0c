"""Who waits for a reply has a clock that says so, whatever became of the ticket in between."""

from __future__ import annotations

from tests.technical.test_merging import clocks, get, merge, waiting
from tests.technical.test_tickets import move, write


async def test_who_writes_after_a_solution_without_an_answer_waits_by_the_clock(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    ticket = await open_ticket(customer)
    await move(agent, ticket, "solved")
    assert waiting(await clocks(agent, ticket)) == []
    again = (await write(customer, ticket, "It is not.")).json()
    assert again["ticket"]["status"] == "open"
    found = await clocks(agent, ticket, exact=True)
    assert found["next_reply-1"]["state"] == "running"
    assert found["next_reply-1"]["started_at"][:19] == again["message"]["created_at"][:19]


async def test_nobody_waits_for_what_was_solved_before_it_was_merged(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    source, target = await open_ticket(customer), await open_ticket(customer)
    await write(agent, target, "Answered.")
    await move(agent, source, "solved")
    assert (await merge(agent, source, target)).status_code == 200
    assert (await get(agent, target))["waiting_since"] is None
    assert waiting(await clocks(agent, target)) == []

"""Known issues: linked tickets, one update to all of them, resolved together; each ticket once."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text

from app.technical.service.updates import UpdateJob, deliver_next, update_handler
from tests.technical.test_tickets import PATH, move

ISSUES = "/v1/technical/issues"
TRACE = "Traceback (most recent call last):\n  File \"/srv/export.py\", line 8, in rows\nKeyError: 'plan'"


async def make(agent, **fields: Any) -> dict[str, Any]:
    body = {"title": "Export fails", "description": "Since Monday."} | fields
    response = await agent.client.post(ISSUES, json=body)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def link(agent, issue, *tickets) -> dict[str, Any]:
    body = {"ticket_ids": [each["id"] for each in tickets]}
    response = await agent.client.post(f"{ISSUES}/{issue['id']}/tickets", json=body)
    assert response.status_code == 200, response.text
    linked: dict[str, Any] = response.json()
    return linked


async def run(app, database, issue) -> None:
    handle = update_handler(database, app.state.technical)
    await handle(msgspec.json.encode(UpdateJob(UUID(issue["id"]))), 1)


async def said(agent, ticket) -> list[str]:
    found = await agent.client.get(f"{PATH}/{ticket['id']}/messages", params={"limit": 100})
    return [each["body"] for each in found.json()["items"]]


async def test_an_issue_takes_its_signatures_from_its_text_and_counts_its_tickets(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    issue = await make(agent, description=TRACE, product="Exporter")
    assert (issue["number"][:4], issue["status"]) == ("ISS-", "investigating")
    assert "trace:KeyError@export.rows" in issue["signatures"]
    one, two = await open_ticket(customer), await open_ticket(customer)
    linked = await link(agent, issue, one, two)
    assert (linked["succeeded"], linked["failed"]) == (2, 0)
    await move(agent, one, "solved")
    seen = (await agent.client.get(f"{ISSUES}/{issue['id']}")).json()
    assert (seen["tickets"], seen["open_tickets"]) == (2, 1)
    listed = (await agent.client.get(f"{ISSUES}/{issue['id']}/tickets")).json()["items"]
    assert {each["id"] for each in listed} == {one["id"], two["id"]}
    await agent.client.delete(f"{ISSUES}/{issue['id']}/tickets/{two['id']}")
    assert (await agent.client.get(f"{ISSUES}/{issue['id']}")).json()["tickets"] == 1


async def test_customers_know_of_no_issue(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    issue = await make(agent)
    assert (await customer.client.get(f"{ISSUES}/{issue['id']}")).status_code == 404
    assert (await customer.client.get(ISSUES)).status_code == 403
    ticket = await open_ticket(customer)
    await link(agent, issue, ticket)
    assert (await customer.client.get(f"{PATH}/{ticket['id']}")).json()["issue_id"] is None


async def test_an_update_reaches_every_linked_ticket_once_and_answers_it(app, database, caller, open_ticket):
    customer, agent, lead = await caller(), await caller("agent"), await caller("lead")
    issue = await make(agent)
    tickets = [await open_ticket(customer) for _ in range(3)]
    closed, other = await open_ticket(customer), await open_ticket(customer)
    await link(agent, issue, *tickets, closed)
    await move(agent, closed, "solved")
    await move(lead, closed, "closed")
    body = {"body": "We found it.", "status": "identified"}
    made = (await agent.client.post(f"{ISSUES}/{issue['id']}/updates", json=body)).json()
    assert (made["total"], made["delivered"], made["status"]) == (3, 0, "identified")
    await asyncio.gather(*(run(app, database, issue) for _ in range(3)))
    for each in tickets:
        assert (await said(agent, each)).count("We found it.") == 1
        seen = (await agent.client.get(f"{PATH}/{each['id']}")).json()
        assert (seen["status"], seen["waiting_since"]) == ("open", None)
        clocks = (await agent.client.get(f"{PATH}/{each['id']}/clocks")).json()["clocks"]
        assert {clock["kind"]: clock["state"] for clock in clocks}["first_response"] == "met"
    for each in (closed, other):
        assert "We found it." not in await said(agent, each)
    listed = (await agent.client.get(f"{ISSUES}/{issue['id']}/updates")).json()["items"]
    assert [(each["total"], each["delivered"], each["skipped"]) for each in listed] == [(3, 3, 0)]


async def test_resolving_tells_and_solves_and_passes_over_what_has_ended_meanwhile(
    app, database, caller, open_ticket
):
    customer, agent, lead = await caller(), await caller("agent"), await caller("lead")
    issue = await make(agent)
    tickets = [await open_ticket(customer) for _ in range(3)]
    await link(agent, issue, *tickets)
    await move(agent, tickets[1], "solved")
    body = {"body": "It is mended."}
    made = (await agent.client.post(f"{ISSUES}/{issue['id']}/resolve", json=body)).json()
    await move(agent, tickets[2], "solved")
    await move(lead, tickets[2], "closed")
    await run(app, database, issue)
    states = [(await agent.client.get(f"{PATH}/{each['id']}")).json()["status"] for each in tickets]
    assert states == ["solved", "solved", "closed"]
    assert [("It is mended." in await said(agent, each)) for each in tickets] == [True, True, False]
    again = await agent.client.post(f"{ISSUES}/{issue['id']}/resolve", json={})
    assert (again.status_code, again.json()["code"]) == (409, "issue_resolved")
    seen = (await agent.client.get(f"{ISSUES}/{issue['id']}/updates")).json()["items"][0]
    assert (seen["id"], seen["delivered"], seen["skipped"]) == (made["id"], 2, 1)


async def test_a_job_that_dies_between_two_tickets_goes_on_and_updates_keep_their_order(
    app, database, caller, open_ticket
):
    customer, agent = await caller(), await caller("agent")
    issue = await make(agent)
    tickets = [await open_ticket(customer) for _ in range(3)]
    await link(agent, issue, *tickets)
    for body in ("First.", "Second."):
        await agent.client.post(f"{ISSUES}/{issue['id']}/updates", json={"body": body})
    desk, issue_id = app.state.technical, UUID(issue["id"])
    async with database.session() as session:
        assert await deliver_next(session, desk, issue_id)
    async with database.session() as session:  # one that is killed before its commit
        assert await deliver_next(session, desk, issue_id)
        await session.rollback()
    await asyncio.gather(run(app, database, issue), run(app, database, issue))
    for each in tickets:
        assert (await said(agent, each))[1:] == ["First.", "Second."]


async def test_matching_finds_the_issue_of_the_same_crash(app, database, caller, open_ticket, unique):
    from app.technical.models import Ticket
    from app.technical.service import issues

    customer, agent = await caller(), await caller("agent")
    crash = TRACE.replace("rows", f"rows_of_{unique.replace('-', '_')}").replace("plan", f"plan {unique}")
    issue = await make(agent, description=crash)
    ticket = await open_ticket(customer, description=f"It broke again:\n\n> {crash.replace('8', '311')}")
    async with database.session() as session:
        row = await session.get_one(Ticket, UUID(ticket["id"]))
        found = await issues.matching(session, row)
    assert [(str(each.id), reason) for each, reason in found] == [(issue["id"], "same_signature")]


async def test_ratings_are_the_requesters_once_it_is_solved(database, caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    overseer = await caller(account_id=customer.account_id, sees_account=True)
    ticket = await open_ticket(customer)
    path = f"{PATH}/{ticket['id']}/csat"
    early = await customer.client.post(path, json={"score": 5})
    assert (early.status_code, early.json()["code"]) == (409, "not_rateable")
    await move(agent, ticket, "solved")
    assert (await overseer.client.post(path, json={"score": 1})).status_code == 403
    assert (await agent.client.post(path, json={"score": 5})).status_code == 403
    rated = await customer.client.post(path, json={"score": 2, "comment": "Card 4111 1111 1111 1111!"})
    assert rated.status_code == 200, rated.text
    assert "4111 1111" not in rated.text
    again = await customer.client.post(path, json={"score": 4})
    assert (again.json()["score"], again.json()["comment"], again.json()["version"]) == (4, None, 2)
    assert (await agent.client.get(path)).json()["score"] == 4
    assert (await customer.client.post(path, json={"score": 6})).status_code == 400
    async with database.session() as session:
        late = "update ticket set solved_at = now() - interval '31 days' where id = :id"
        await session.execute(text(late), {"id": ticket["id"]})
    assert (await customer.client.post(path, json={"score": 1})).json()["code"] == "not_rateable"

"""Teams through the real app: members, tickets by product, and who gets them."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.technical.service.sweeping import assign_waiting
from tests.callers import Caller

TEAMS = "/v1/technical/teams"
TICKETS = "/v1/technical/tickets"


async def make_team(lead: Caller, **fields: Any) -> dict[str, Any]:
    body = {"name": f"Team {uuid4()}", "assignment": "round_robin"} | fields
    response = await lead.client.post(TEAMS, json=body)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def join(lead: Caller, team: dict[str, Any], who: Caller, **fields: Any) -> Any:
    response = await lead.client.put(f"{TEAMS}/{team['id']}/members/{who.person_id}", json=fields)
    assert response.status_code == 200, response.text
    return response.json()


async def events_of(database, subject_id: str) -> list[dict[str, Any]]:
    async with database.session() as session:
        found = await session.execute(
            text("select type, before, after, audit from event where subject_id = :id order by number"),
            {"id": subject_id},
        )
        return [dict(row._mapping) for row in found]


@pytest.fixture
async def crew(caller):
    """``lead, team, members = await crew(10, None)``: a round-robin team with agents of these capacities."""

    async def make(*capacities: int | None, **fields: Any) -> tuple[Caller, dict[str, Any], list[Caller]]:
        lead = await caller("lead")
        team = await make_team(lead, **fields)
        members = [await caller("agent") for _ in capacities]
        for member, capacity in zip(members, capacities, strict=True):
            await join(lead, team, member, capacity=capacity)
        return lead, team, members

    return make


async def test_leads_keep_teams_and_each_change_is_a_version_and_an_event(database, caller):
    lead, agent = await caller("lead"), await caller("agent")
    team = await make_team(lead, products=["Exporter ", "exporter", "Sync"], assignment="manual")
    assert (team["products"], team["version"]) == (["Exporter", "Sync"], 1)
    assert (await agent.client.post(TEAMS, json={"name": "x"})).status_code == 403
    assert (await agent.client.get(f"{TEAMS}/{team['id']}")).headers["etag"] == '"1"'
    twin = await lead.client.post(TEAMS, json={"name": team["name"]})
    assert (twin.status_code, twin.json()["code"]) == (409, "team_exists")
    path, stale = f"{TEAMS}/{team['id']}", {"If-Match": '"7"'}
    refused = await lead.client.patch(path, json={"description": "x"}, headers=stale)
    assert (refused.status_code, refused.json()["current_version"]) == (412, 1)
    changed = await lead.client.patch(path, json={"description": "Imports"}, headers={"If-Match": '"1"'})
    assert changed.json()["version"] == 2
    same = await lead.client.patch(path, json={"description": "Imports"})
    assert same.json()["version"] == 2
    await join(lead, team, agent, skills=["CSV", " csv", "SSO"], capacity=5)
    shown = (await agent.client.get(f"{path}/members")).json()["members"]
    assert [(each["skills"], each["capacity"], each["unfinished"]) for each in shown] == [
        (["csv", "sso"], 5, 0)
    ]
    gone = await lead.client.delete(f"{path}/members/{agent.person_id}")
    assert gone.status_code == 204
    again = await lead.client.delete(f"{path}/members/{agent.person_id}")
    assert (again.status_code, again.json()["code"]) == (404, "member_not_found")
    assert (await lead.client.delete(path, headers={"If-Match": '"4"'})).status_code == 204
    told = await events_of(database, team["id"])
    assert [each["type"].partition(".")[2] for each in told] == [
        "created",
        "updated",
        "member_added",
        "member_removed",
        "deleted",
    ]
    assert all(each["audit"] for each in told)
    assert told[1]["after"] == {"description": "Imports"}


async def test_members_are_staff_and_set_nothing_but_their_own_availability(caller):
    lead, agent, other = await caller("lead"), await caller("agent"), await caller("agent")
    team = await make_team(lead)
    path = f"{TEAMS}/{team['id']}/members"
    customer = await caller()
    refused = await lead.client.put(f"{path}/{customer.person_id}", json={})
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_assignee")
    assert (await agent.client.put(f"{path}/{agent.person_id}", json={})).status_code == 403
    await join(lead, team, agent, capacity=3)
    away = await agent.client.put(f"{path}/{agent.person_id}", json={"available": False})
    assert (away.json()["available"], away.json()["capacity"]) == (False, 3)
    for who, body in ((agent, {"capacity": 99}), (other, {"available": True})):
        response = await who.client.put(f"{path}/{agent.person_id}", json=body)
        assert response.status_code == 403


async def test_a_team_that_is_needed_is_not_deleted(caller, open_ticket):
    lead, agent = await caller("lead"), await caller("agent")
    team = await make_team(lead)
    await open_ticket(agent, team_id=team["id"])
    macro = {"name": "To them", "actions": {"team_id": team["id"]}}
    view = {"name": "Theirs", "filter": {"team_id": [team["id"]]}}
    assert (await agent.client.post("/v1/technical/macros", json=macro)).status_code == 201
    assert (await agent.client.post("/v1/technical/views", json=view)).status_code == 201
    refused = await lead.client.delete(f"{TEAMS}/{team['id']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "team_in_use")
    assert {name: refused.json()[name] for name in ("tickets", "macros", "views")} == {
        "tickets": 1,
        "macros": 1,
        "views": 1,
    }


async def test_a_new_ticket_goes_to_the_oldest_team_of_its_product_and_to_its_least_loaded_member(
    caller, open_ticket, crew
):
    product = f"Exporter {uuid4()}"
    _, team, (one, two) = await crew(None, None, products=[product])
    await make_team(await caller("lead"), products=[product])
    customer = await caller()
    got = []
    for _ in range(4):
        ticket = await open_ticket(customer, product=product.upper())
        seen = (await one.client.get(f"{TICKETS}/{ticket['id']}")).json()
        assert seen["team_id"] == team["id"]
        got.append(seen["assignee_id"])
    assert Counter(got) == {str(one.person_id): 2, str(two.person_id): 2}
    assert got[:2] == got[2:]


async def test_tickets_made_at_once_are_spread_exactly(database, caller, crew):
    """60 parallel requests on three members: each reads the loads under the team's lock."""
    product = f"Sync {uuid4()}"
    _, team, members = await crew(None, None, None, products=[product])
    customers = [await caller() for _ in range(3)]
    body = {"subject": "x", "description": "y", "product": product}
    made = await asyncio.gather(
        *(customers[number % 3].client.post(TICKETS, json=body) for number in range(60))
    )
    assert {each.status_code for each in made} == {201}
    async with database.session() as session:
        found = await session.execute(
            text("select assignee_id, count(*) from ticket where team_id = :id group by 1"),
            {"id": team["id"]},
        )
        assert dict(found.all()) == {each.person_id: 20 for each in members}


async def test_capacities_share_tickets_in_proportion_and_the_rest_waits_for_whoever_comes_free(
    app, database, caller, crew
):
    product = f"Share {uuid4()}"
    lead, team, members = await crew(1, 2, 3, products=[product])
    agent = await caller("agent")
    items = []
    for _ in range(7):
        made = await agent.client.post(TICKETS, json={"subject": "x", "description": "y", "product": product})
        items.append(made.json())
    loads = Counter(each["assignee_id"] for each in items)
    assert loads == {str(each.person_id): count for each, count in zip(members, (1, 2, 3), strict=True)} | {
        None: 1
    }
    assert items[6]["assignee_id"] is None
    assert await assign_waiting(database) == 0
    full = await agent.client.post(f"{TICKETS}/{items[6]['id']}/assign", json={"strategy": "auto"})
    assert (full.status_code, full.json()["code"]) == (409, "nobody_available")
    await join(lead, team, members[0], capacity=2)
    done = await asyncio.gather(*(assign_waiting(database) for _ in range(3)))
    assert sum(done) == 1
    seen = (await agent.client.get(f"{TICKETS}/{items[6]['id']}")).json()
    assert seen["assignee_id"] == str(members[0].person_id)
    told = [each for each in await events_of(database, items[6]["id"]) if each["type"] == "ticket.updated"]
    assert [each["after"]["assignee_id"] for each in told] == [str(members[0].person_id)]


async def test_a_ticket_waits_for_somebody_with_its_skills(database, caller, open_ticket, crew):
    lead, team, (one, two) = await crew(None, None)
    await join(lead, team, one, skills=["sso"], available=False)
    agent = await caller("agent")
    ticket = await open_ticket(agent, team_id=team["id"], tags=["SSO", "billing"])
    assert ticket["assignee_id"] is None
    other = await open_ticket(agent, team_id=team["id"], tags=["billing"])
    assert other["assignee_id"] == str(two.person_id)
    await join(lead, team, one, available=True)
    assigned = await agent.client.post(f"{TICKETS}/{ticket['id']}/assign", json={})
    assert assigned.json()["assignee_id"] == str(one.person_id)
    again = await agent.client.post(f"{TICKETS}/{ticket['id']}/assign", json={"strategy": "auto"})
    assert (again.json()["assignee_id"], again.status_code) == (str(one.person_id), 200)


async def test_the_assignee_takes_part_in_the_conversation_and_nobody_else_does_so(
    database, caller, open_ticket, crew
):
    _, team, (one, two) = await crew(None, None)
    agent = await caller("agent")
    ticket = await open_ticket(agent, team_id=team["id"])

    async def assignees() -> list[UUID]:
        async with database.session() as session:
            found = await session.scalars(
                text(
                    "select p.person_id from participant p join conversation c on c.id = p.conversation_id"
                    " where c.subject_id = :id and p.role = 'assignee'"
                ),
                {"id": ticket["id"]},
            )
            return list(found)

    assert await assignees() == [UUID(ticket["assignee_id"])]
    other = one if ticket["assignee_id"] == str(two.person_id) else two
    path = f"{TICKETS}/{ticket['id']}"
    await agent.client.patch(path, json={"assignee_id": str(other.person_id)})
    assert await assignees() == [other.person_id]
    await agent.client.patch(path, json={"assignee_id": None})
    assert await assignees() == []


async def test_another_team_brings_another_assignee_and_refuses_outsiders(caller, open_ticket, crew):
    _, first, (one,) = await crew(None)
    lead, second, (two,) = await crew(None)
    _, manual, (three,) = await crew(None, assignment="manual")
    empty = await make_team(lead)
    agent = await caller("agent")
    ticket = await open_ticket(agent, team_id=first["id"])
    path = f"{TICKETS}/{ticket['id']}"
    moved = (await agent.client.patch(path, json={"team_id": second["id"]})).json()
    assert (ticket["assignee_id"], moved["assignee_id"]) == (str(one.person_id), str(two.person_id))
    outsider = await agent.client.patch(path, json={"assignee_id": str(one.person_id)})
    assert (outsider.status_code, outsider.json()["code"]) == (422, "unknown_assignee")
    dropped = (await agent.client.patch(path, json={"team_id": manual["id"]})).json()
    assert dropped["assignee_id"] is None
    given = {"team_id": manual["id"], "assignee_id": str(three.person_id)}
    assert (await agent.client.patch(path, json=given)).json()["assignee_id"] == str(three.person_id)
    anybody = {"team_id": empty["id"], "assignee_id": str(one.person_id)}
    assert (await agent.client.patch(path, json=anybody)).json()["assignee_id"] == str(one.person_id)
    created = await agent.client.post(
        TICKETS,
        json={"subject": "x", "description": "y", "team_id": first["id"], "assignee_id": str(two.person_id)},
    )
    assert created.status_code == 422


async def test_moves_between_teams_and_assignments_at_once_end_without_a_deadlock(caller, open_ticket, crew):
    """Teams are locked before tickets by whoever needs both."""
    _, first, _ = await crew(None, None)
    _, second, _ = await crew(None, None)
    agent = await caller("agent")
    tickets = [await open_ticket(agent, team_id=first["id"]) for _ in range(3)]
    asked = []
    for number in range(24):
        path = f"{TICKETS}/{tickets[number % 3]['id']}"
        if number % 2:
            asked.append(agent.client.post(f"{path}/assign", json={}))
        else:
            team = (first, second)[number // 6 % 2]
            asked.append(agent.client.patch(path, json={"team_id": team["id"]}))
    answers = await asyncio.gather(*asked)
    assert {each.status_code for each in answers} == {200}, [each.text for each in answers]

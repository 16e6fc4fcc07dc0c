"""Saved views through the real app: whose they are, what they refuse, what is in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app.identity import SYSTEM
from app.technical.schemas.views import ViewFilter
from app.technical.service.views import filter_of
from tests.callers import Caller
from tests.technical.test_teams import events_of

VIEWS = "/v1/technical/views"
TICKETS = "/v1/technical/tickets"


async def make_view(by: Caller, **fields: Any) -> dict[str, Any]:
    response = await by.client.post(VIEWS, json={"name": "A view"} | fields)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def ids_in(by: Caller, view: dict[str, Any], **params: Any) -> list[str]:
    response = await by.client.get(f"{VIEWS}/{view['id']}/tickets", params=params)
    assert response.status_code == 200, response.text
    return [each["id"] for each in response.json()["items"]]


async def test_me_in_a_shared_view_is_whoever_looks(caller, open_ticket):
    lead, one, two = await caller("lead"), await caller("agent"), await caller("agent")
    product = f"P {uuid4()}"
    tickets = {
        who: await open_ticket(lead, assignee_id=str(who.person_id), product=product) for who in (one, two)
    }
    saved = {"assignee_id": ["me"], "status": ["new", "open"], "product": [product]}
    view = await make_view(lead, filter=saved, visibility="shared")
    for who, ticket in tickets.items():
        assert await ids_in(who, view) == [ticket["id"]]
        assert (await who.client.get(f"{VIEWS}/{view['id']}/count")).json() == {"count": 1}
    assert (await lead.client.get(f"{VIEWS}/{view['id']}/count")).json() == {"count": 0}


async def test_a_personal_view_does_not_exist_for_others(caller):
    owner, lead, customer = await caller("agent"), await caller("lead"), await caller()
    view = await make_view(owner)
    path = f"{VIEWS}/{view['id']}"
    for who in (lead, customer):
        for answer in (
            await who.client.get(path),
            await who.client.get(f"{path}/tickets"),
            await who.client.get(f"{path}/count"),
            await who.client.patch(path, json={"name": "Theirs"}),
            await who.client.delete(path),
        ):
            assert answer.status_code == 404
    assert (await owner.client.get(path)).json()["owner_id"] == str(owner.person_id)
    assert (await customer.client.get(VIEWS)).status_code == 403


async def test_a_view_pages_through_its_tickets_in_its_order_until_it_is_changed(caller, open_ticket):
    agent = await caller("agent")
    product = f"P {uuid4()}"
    made = [await open_ticket(agent, product=product) for _ in range(3)]
    view = await make_view(agent, filter={"product": [product], "updated_within_hours": 24}, sort="number")
    path = f"{VIEWS}/{view['id']}"
    first = (await agent.client.get(f"{path}/tickets", params={"limit": 2, "total": True})).json()
    assert [each["id"] for each in first["items"]] == [each["id"] for each in made[:2]]
    assert first["total"] == 3
    cursor = {"limit": 2, "cursor": first["next_cursor"]}
    second = (await agent.client.get(f"{path}/tickets", params=cursor)).json()
    assert [each["id"] for each in second["items"]] == [made[2]["id"]]
    assert await ids_in(agent, view, sort="-number") == [each["id"] for each in reversed(made)]
    changed = await agent.client.patch(path, json={"name": "Other"}, headers={"If-Match": '"1"'})
    assert changed.json()["version"] == 2
    assert (
        await agent.client.patch(path, json={"name": "x"}, headers={"If-Match": '"1"'})
    ).status_code == 412
    stale = await agent.client.get(f"{path}/tickets", params=cursor)
    assert stale.status_code == 400


async def test_a_view_of_what_changed_lately_moves_on_with_time(database, caller, open_ticket):
    agent = await caller("agent")
    product = f"P {uuid4()}"
    old, new = [await open_ticket(agent, product=product) for _ in range(2)]
    async with database.session() as session:
        await session.execute(
            text("update ticket set updated_at = now() - interval '3 hours' where id = :id"),
            {"id": old["id"]},
        )
    view = await make_view(agent, filter={"product": [product], "updated_within_hours": 2})
    assert await ids_in(agent, view) == [new["id"]]
    wider = await make_view(agent, filter={"product": [product], "updated_within_hours": 4})
    assert set(await ids_in(agent, wider)) == {old["id"], new["id"]}


async def test_a_view_filters_by_custom_fields(caller, open_ticket, field):
    agent = await caller("agent")
    made = await field("number")
    ticket = await open_ticket(agent, custom={made["key"]: "2.50"})
    view = await make_view(agent, filter={"custom": {made["key"]: 2.5}})
    assert view["filter"] == {"custom": {made["key"]: "2.5"}}
    assert await ids_in(agent, view) == [ticket["id"]]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"filter": {"status": ["unheard-of"]}}, "validation_error"),
        ({"filter": {"unheard_of": True}}, "validation_error"),
        ({"filter": {"tag": ["x"] * 51}}, "validation_error"),
        ({"filter": {"assignee_id": ["you"]}}, "validation_error"),
        ({"filter": {"updated_within_hours": 0}}, "validation_error"),
        ({"filter": {"created_after": "2026-11-22T10:00:00"}}, "validation_error"),
        ({"filter": {"custom": {"none_such": 1}}}, "invalid_field"),
        ({"sort": "description"}, "validation_error"),
        ({"visibility": "team"}, "invalid_definition"),
    ],
)
async def test_a_view_that_could_not_be_looked_at_is_refused_when_it_is_saved(caller, fields, code):
    agent = await caller("agent")
    refused = await agent.client.post(VIEWS, json={"name": "x"} | fields)
    assert (refused.status_code, refused.json()["code"]) == (400, code), refused.text


async def test_changes_of_shared_views_are_audited(database, caller):
    lead = await caller("lead")
    view = await make_view(lead, visibility="shared", filter={"waiting": True})
    assert (await lead.client.delete(f"{VIEWS}/{view['id']}")).status_code == 204
    told = await events_of(database, view["id"])
    assert [(each["type"], each["audit"]) for each in told] == [
        ("ticket_view.created", True),
        ("ticket_view.deleted", True),
    ]


@given(st.integers(1, 24 * 366), st.integers(-10_000, 10_000))
def test_the_narrower_of_two_limits_of_time_holds(hours, minutes):
    now = datetime(2026, 11, 22, tzinfo=UTC)
    absolute = now + timedelta(minutes=minutes)
    found = filter_of(
        ViewFilter(updated_within_hours=hours, updated_after=absolute), principal=SYSTEM, now=now
    )
    assert found.updated_after == max(absolute, now - timedelta(hours=hours))

"""Links between tickets, their watchers, and references to other desks' things."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.events import Subject
from app.technical.constants import Relation
from app.technical.service.openwork import TechnicalWork
from tests.callers import Caller
from tests.technical.test_merging import merge
from tests.technical.test_tickets import PATH, move

INVERSE = {
    "related": "related",
    "parent": "child",
    "child": "parent",
    "duplicate": "duplicated_by",
    "duplicated_by": "duplicate",
    "follow_up": "followed_up_by",
    "followed_up_by": "follow_up",
}


async def link(by: Caller, one: dict[str, Any], kind: str, other: dict[str, Any]) -> Any:
    return await by.client.post(f"{PATH}/{one['id']}/links", json={"kind": kind, "other_id": other["id"]})


async def links(by: Caller, ticket: dict[str, Any]) -> list[tuple[str, str]]:
    response = await by.client.get(f"{PATH}/{ticket['id']}/links")
    assert response.status_code == 200, response.text
    return [(each["kind"], each["other"]["id"]) for each in response.json()["links"]]


def test_every_relation_has_an_inverse():
    assert set(INVERSE) == {each.value for each in Relation}


@pytest.mark.parametrize("kind", list(Relation))
async def test_a_link_is_one_seen_from_both_ends_made_and_removed_at_either(caller, open_ticket, kind):
    customer, agent = await caller(), await caller("agent")
    one, other = await open_ticket(customer), await open_ticket(customer)
    made = await link(agent, one, kind, other)
    assert made.status_code == 201, made.text
    seen = made.json()["other"]
    assert seen == {name: other[name] for name in ("id", "number", "subject", "status")}
    assert (await link(agent, one, kind, other)).status_code == 201
    assert (await link(agent, other, INVERSE[kind], one)).status_code == 201
    for by in (agent, customer):
        assert await links(by, one) == [(kind, other["id"])]
        assert await links(by, other) == [(INVERSE[kind], one["id"])]
    away = f"{PATH}/{other['id']}/links/{one['id']}"
    assert (await agent.client.delete(away, params={"kind": INVERSE[kind]})).status_code == 204
    assert await links(agent, one) == await links(agent, other) == []
    gone = await agent.client.delete(away)
    assert (gone.status_code, gone.json()["code"]) == (404, "link_not_found")


async def test_parents_have_no_cycles(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    a, b, c = [await open_ticket(customer) for _ in range(3)]
    assert (await link(agent, a, "parent", b)).status_code == 201
    assert (await link(agent, b, "parent", c)).status_code == 201
    for one, kind, other in ((c, "parent", a), (a, "child", c), (b, "parent", a), (a, "related", a)):
        refused = await link(agent, one, kind, other)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_link")


async def test_parents_set_at_the_same_time_make_no_cycle(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    for _ in range(3):
        ring = [await open_ticket(customer) for _ in range(4)]
        pairs = zip(ring, ring[1:] + ring[:1], strict=True)
        answers = await asyncio.gather(*(link(agent, one, "parent", other) for one, other in pairs))
        assert sorted(each.status_code for each in answers) == [201, 201, 201, 422]


async def test_a_merge_makes_no_cycle_of_parents(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    a, x, target = [await open_ticket(customer) for _ in range(3)]
    await link(agent, a, "parent", x)
    await link(agent, x, "parent", target)
    assert (await merge(agent, a, target)).status_code == 200
    assert await links(agent, target) == [("child", x["id"])]
    assert (await agent.client.post(f"{PATH}/{a['id']}/unmerge")).status_code == 200
    assert await links(agent, a) == [("parent", x["id"])]


async def test_customers_see_links_to_tickets_that_they_see_and_make_none(caller, open_ticket):
    customer, other, agent = await caller(), await caller(), await caller("agent")
    own, also, foreign = await open_ticket(customer), await open_ticket(customer), await open_ticket(other)
    await link(agent, own, "duplicate", foreign)
    await link(agent, own, "related", also)
    assert await links(customer, own) == [("related", also["id"])]
    assert len(await links(agent, own)) == 2
    assert (await customer.client.get(f"{PATH}/{foreign['id']}/links")).status_code == 404
    assert (await link(customer, own, "related", also)).status_code == 404
    away = f"{PATH}/{own['id']}/links/{also['id']}"
    assert (await customer.client.delete(away)).status_code == 404
    timeline = (await customer.client.get(f"{PATH}/{own['id']}/timeline")).text
    assert also["id"] in timeline
    assert foreign["id"] not in timeline


async def test_unknown_and_too_many_are_refused(caller, open_ticket, monkeypatch):
    monkeypatch.setattr("app.technical.service.linking.LINKS_MAX", 2)
    monkeypatch.setattr("app.technical.service.references.REFERENCES_MAX", 2)
    customer, agent = await caller(), await caller("agent")
    one, *others = [await open_ticket(customer) for _ in range(4)]
    assert (await link(agent, one, "related", {"id": str(uuid4())})).json()["code"] == "unknown_ticket"
    assert (await link(agent, {"id": str(uuid4())}, "related", one)).json()["code"] == "ticket_not_found"
    for each in others[:2]:
        assert (await link(agent, one, "related", each)).status_code == 201
    refused = await link(agent, one, "related", others[2])
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_links")
    assert await links(agent, others[2]) == []
    path = f"{PATH}/{one['id']}/references"
    for expected in (201, 201, 409):
        body = {"subject_type": "feature_request", "subject_id": str(uuid4())}
        assert (await agent.client.post(path, json=body)).status_code == expected
    for kind in ("ticket", "Feature", "", "a\0b", "x" * 65):
        body = {"subject_type": kind, "subject_id": str(uuid4())}
        assert (await agent.client.post(path, json=body)).status_code in (400, 422), kind


async def test_customers_watch_for_themselves_and_see_no_staff(caller, open_ticket):
    customer, agent, guest = await caller(), await caller("agent"), await caller()
    colleague = await caller(account_id=customer.account_id, sees_account=True)
    ticket = await open_ticket(customer)
    path = f"{PATH}/{ticket['id']}/watchers"
    assert (await colleague.client.post(path, json={})).status_code == 201
    own = (await colleague.client.post(path, json={})).json()
    assert (own["role"], own["person_id"]) == ("watcher", str(colleague.person_id))
    for body in ({"person_id": str(guest.person_id)}, {"email": "x@example.com"}):
        assert (await colleague.client.post(path, json=body)).status_code == 403
    assert (await guest.client.post(path, json={})).status_code == 404
    staff = (await agent.client.post(path, json={})).json()
    invited = (await agent.client.post(path, json={"person_id": str(guest.person_id), "role": "cc"})).json()
    assert (await guest.client.get(f"{PATH}/{ticket['id']}")).status_code == 200
    seen = [each["id"] for each in (await customer.client.get(path)).json()["watchers"]]
    assert seen == [own["id"], invited["id"]]
    assert len((await agent.client.get(path)).json()["watchers"]) == 3
    for foreign in (staff, own):
        gone = await guest.client.delete(f"{path}/{foreign['id']}")
        assert (gone.status_code, gone.json()["code"]) == (404, "participant_not_found")
    assert (await guest.client.delete(f"{path}/{invited['id']}")).status_code == 204
    assert (await guest.client.get(f"{PATH}/{ticket['id']}")).status_code == 404
    assert (await agent.client.delete(f"{path}/{own['id']}")).status_code == 204
    assert (await agent.client.post(path, json={"person_id": str(uuid4())})).status_code == 422
    assert (await agent.client.post(path, json={"role": "requester"})).status_code == 400
    both = {"person_id": str(guest.person_id), "email": "x@example.com"}
    assert (await agent.client.post(path, json=both)).status_code == 400


async def test_the_requester_is_no_watcher_to_be_removed(caller, open_ticket, database):
    from sqlalchemy import text

    customer, agent = await caller(), await caller("agent")
    ticket = await open_ticket(customer)
    async with database.session() as session:
        participant = await session.scalar(
            text("select id from participant where person_id = :id"), {"id": customer.person_id}
        )
    for by in (customer, agent):
        gone = await by.client.delete(f"{PATH}/{ticket['id']}/watchers/{participant}")
        assert gone.status_code == 404


async def test_other_desks_learn_which_open_tickets_point_to_their_things(caller, open_ticket, database):
    one, two, agent = await caller(), await caller(), await caller("agent")
    thing, other = uuid4(), uuid4()
    mine, theirs, solved, source = [await open_ticket(each) for each in (one, two, two, two)]
    for ticket in (mine, theirs, solved, source):
        body = {"subject_type": "feature_request", "subject_id": str(thing)}
        for _ in range(2):
            made = await agent.client.post(f"{PATH}/{ticket['id']}/references", json=body)
            assert made.status_code == 201, made.text
    await move(agent, solved, "solved")
    await merge(agent, source, theirs)
    work = TechnicalWork()
    async with database.session() as session:
        subject = Subject("feature_request", thing)
        items = await work.pointing_to(session, subject, principal=agent.principal)
        assert [(each.number, each.is_open) for each in items] == [
            (solved["number"], False),
            (theirs["number"], True),
            (mine["number"], True),
        ]
        visible = await work.pointing_to(session, subject, principal=one.principal)
        assert [each.id for each in visible] == [UUID(mine["id"])]
        counts = await work.counts(session, [thing, other], "feature_request")
        assert set(counts) == {thing}
        assert (counts[thing].open_tickets, counts[thing].accounts, counts[thing].known_issues) == (2, 2, 0)
        assert await work.counts(session, [thing], "billing_case") == {}
        assert await work.counts(session, [], "feature_request") == {}
    path = f"{PATH}/{mine['id']}/references"
    reference = (await agent.client.get(path)).json()["references"][0]
    assert (await agent.client.delete(f"{path}/{reference['id']}")).status_code == 204
    assert (await agent.client.delete(f"{path}/{reference['id']}")).json()["code"] == "reference_not_found"
    assert (await one.client.get(path)).status_code == 404

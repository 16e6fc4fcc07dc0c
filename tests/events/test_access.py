"""Who sees which events, and what of them."""

from __future__ import annotations

from uuid import uuid4

import pytest

from app.events import Subject, forget
from app.identity import Role
from tests.events.conftest import STAFF, named

SEES_ACCOUNT = pytest.mark.parametrize("sees_account", [False, True])


async def types(reader, subject: Subject) -> list[str]:
    return [each["type"] for each in await reader.list(subject=named(subject))]


async def test_a_customer_sees_what_is_theirs_and_marked_as_visible(
    make_reader, make_account, write, subject
):
    account = await make_account()
    customer = await make_reader(Role.customer, account_id=account)
    mine = {"person_id": customer.person_id, "account_id": account}
    await write("ticket.created", subject, customer_visible=True, **mine)
    await write("ticket.triaged", subject, **mine)
    await write("ticket.others", subject, customer_visible=True, person_id=uuid4(), account_id=uuid4())
    await write("ticket.nobodys", subject, customer_visible=True)
    assert await types(customer, subject) == ["ticket.created"]


@SEES_ACCOUNT
async def test_a_customer_sees_the_accounts_only_if_they_may(
    make_reader, make_account, write, subject, sees_account
):
    account = await make_account()
    customer = await make_reader(Role.customer, account_id=account, sees_account=sees_account)
    mine = {"person_id": customer.person_id, "account_id": account, "customer_visible": True}
    await write("ticket.theirs", subject, **mine | {"person_id": uuid4()})
    await write("ticket.accounts", subject, **mine | {"person_id": None})
    await write("ticket.mine", subject, **mine)
    await write("ticket.mine_elsewhere", subject, **mine | {"account_id": uuid4()})
    await write("ticket.hidden", subject, **mine | {"person_id": uuid4(), "customer_visible": False})
    await write("ticket.other_account", subject, **mine | {"person_id": uuid4(), "account_id": uuid4()})
    own = ["ticket.mine", "ticket.mine_elsewhere"]
    assert await types(customer, subject) == (
        ["ticket.theirs", "ticket.accounts", *own] if sees_account else own
    )


async def test_both_ways_of_seeing_are_put_together_in_order_over_pages(
    make_reader, make_account, write, subject
):
    account = await make_account()
    customer = await make_reader(Role.customer, account_id=account, sees_account=True)
    ids = []
    for n in range(9):
        person = customer.person_id if n % 3 else uuid4()
        ids.append(
            str(
                await write(
                    "ticket.changed", subject, person_id=person, account_id=account, customer_visible=True
                )
            )
        )
    seen, query = [], {"limit": 2}
    while True:
        page = (await customer.client.get("/v1/events", params=query)).json()
        seen += [each["id"] for each in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == ids


async def test_a_customer_sees_no_field_for_staff_and_no_event_of_such_alone(make_reader, write, subject):
    customer = await make_reader(Role.customer)
    mine = {"person_id": customer.person_id, "customer_visible": True, "staff_fields": ["severity", "team"]}
    before, after = {"severity": 1, "state": "new"}, {"severity": 2, "state": "open", "team": "a"}
    await write("ticket.mixed", subject, before=before, after=after, **mine)
    await write("ticket.staffs", subject, before={"severity": 1}, after={"team": "a"}, **mine)
    await write("ticket.without_fields", subject, person_id=customer.person_id, customer_visible=True)
    mixed, plain = await customer.list(subject=named(subject))
    assert (mixed["before"], mixed["after"]) == ({"state": "new"}, {"state": "open"})
    assert (plain["type"], plain["before"], plain["after"]) == ("ticket.without_fields", None, None)
    agent = await make_reader(Role.agent)
    seen = await agent.list(subject=named(subject))
    assert (seen[0]["before"], seen[0]["after"], len(seen)) == (before, after, 3)


async def test_an_event_for_staff_alone_does_not_appear_when_it_is_emptied(
    make_reader, database, write, subject
):
    customer = await make_reader(Role.customer)
    mine = {"person_id": customer.person_id, "customer_visible": True}
    kept = await write("ticket.created", subject, after={"title": "t"}, staff_fields=["severity"], **mine)
    await write("ticket.staffs", subject, after={"severity": 2}, staff_fields=["severity"], **mine)
    await write("ticket.closed", subject, after={"state": "closed"}, **mine)
    async with database.session() as session:
        assert await forget(session, subject) == 3
    assert await types(customer, subject) == ["ticket.closed"]
    # who has seen the first one goes on from it all the same
    found = await customer.list(subject=named(subject), after=str(kept))
    assert [each["type"] for each in found] == ["ticket.closed"]


async def test_a_customer_learns_of_an_actor_only_the_side_and_themselves(make_reader, write, subject):
    customer, other = await make_reader(Role.customer), await make_reader(Role.customer)
    mine = {"person_id": customer.person_id, "customer_visible": True}
    await write("ticket.created", subject, actor=customer.principal, **mine)
    await write("ticket.assigned", subject, actor=STAFF, **mine)
    await write("ticket.followed", subject, actor=other.principal, **mine)
    await write("ticket.closed", subject, **mine)
    nobody = {"role": None, "person_id": None, "key_id": None}
    assert [each["actor"] for each in await customer.list(subject=named(subject))] == [
        nobody | {"kind": "customer", "person_id": str(customer.person_id)},
        nobody | {"kind": "staff"},
        nobody | {"kind": "customer"},
        nobody | {"kind": "system"},
    ]
    agent = await make_reader(Role.agent)
    assert (await agent.list(subject=named(subject)))[1]["actor"] == {
        "kind": "api_key",
        "role": "agent",
        "person_id": str(STAFF.person_id),
        "key_id": str(STAFF.key_id),
    }


async def test_a_request_id_is_shown_to_staff_and_to_who_made_the_request(
    make_reader, database, write, subject
):
    from app.logs import request_id

    customer, agent = await make_reader(Role.customer), await make_reader(Role.agent)
    mine = {"person_id": customer.person_id, "customer_visible": True}
    token = request_id.set("request-7")
    try:
        await write("ticket.created", subject, actor=customer.principal, **mine)
        await write("ticket.assigned", subject, actor=STAFF, **mine)
    finally:
        request_id.reset(token)

    async def shown_to(reader) -> list[str | None]:
        return [each["request_id"] for each in await reader.list(subject=named(subject))]

    assert await shown_to(customer) == ["request-7", None]
    assert await shown_to(agent) == ["request-7", "request-7"]


@pytest.mark.parametrize(
    ("kind", "fields", "agent_sees"),
    [
        ("ticket", {}, True),
        ("ticket", {"audit": True, "person_id": uuid4()}, True),
        ("ticket", {"audit": True, "account_id": uuid4()}, True),
        ("calendar", {"audit": True}, False),
        ("calendar", {}, True),
        ("webhook", {}, False),
        ("job", {}, False),
        ("api_key", {"audit": True, "person_id": uuid4()}, False),
    ],
)
async def test_administrative_events_are_for_leads_and_admins(make_reader, write, kind, fields, agent_sees):
    subject = Subject(kind, uuid4())
    event_id = str(await write(f"{kind}.changed", subject, **fields))
    for role, sees in ((Role.agent, agent_sees), (Role.lead, True), (Role.admin, True)):
        reader = await make_reader(role)
        assert (len(await reader.list(subject=named(subject))) == 1) is sees, role
        follows = await reader.client.get("/v1/events", params={"after": event_id})
        assert follows.status_code == (200 if sees else 400), role


async def test_a_place_that_the_caller_may_not_see_does_not_exist_for_them(make_reader, write, subject):
    customer, other = await make_reader(Role.customer), await make_reader(Role.customer)
    theirs = await write("ticket.created", subject, person_id=other.person_id, customer_visible=True)
    hidden = await write("ticket.triaged", subject, person_id=customer.person_id)
    answers = []
    for each in (theirs, hidden, uuid4()):
        response = await customer.client.get("/v1/events", params={"after": str(each)})
        assert response.status_code == 400
        answers.append({**response.json(), "request_id": None})
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/stream", "/v1/audit"])
async def test_nobody_reads_without_a_key(client, path):
    assert (await client.get(path)).status_code == 401

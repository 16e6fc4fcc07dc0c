"""GET /v1/audit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from app.events import Subject, record
from app.identity import SYSTEM, Role
from app.logs import request_id
from tests.events.conftest import STAFF, named

NOTHING = UUID("6f1c7d2e-0000-4000-8000-000000000000")  # the id of no event


@pytest.fixture
async def admin(make_reader):
    return await make_reader(Role.admin)


async def audit(reader, **query) -> list[dict]:
    response = await reader.client.get("/v1/audit", params=query)
    assert response.status_code == 200, response.text
    return response.json()["items"]


@pytest.mark.parametrize("role", [Role.customer, Role.agent, Role.lead])
async def test_it_is_for_admins(make_reader, role):
    reader = await make_reader(role)
    response = await reader.client.get("/v1/audit")
    assert (response.status_code, response.json()["code"]) == (403, "permission_denied")


async def test_it_shows_audited_events_newest_first_with_their_actor(admin, write, subject):
    await write("ticket.created", subject)
    first = await write("policy.changed", subject, actor=STAFF, audit=True, after={"hours": 8})
    second = await write("policy.deleted", subject, audit=True)
    items = await audit(admin, subject=named(subject))
    assert [each["id"] for each in items] == [str(second), str(first)]
    assert items[1]["actor"] == {
        "kind": "api_key",
        "role": "agent",
        "person_id": str(STAFF.person_id),
        "key_id": str(STAFF.key_id),
    }
    assert items[1]["after"] == {"hours": 8}


async def test_its_filters_narrow_it(admin, write, subject):
    token = request_id.set(f"request-{subject.id}")
    try:
        first = str(await write("policy.changed", subject, actor=STAFF, audit=True))
    finally:
        request_id.reset(token)
    second = str(await write("key.made", subject, audit=True))
    here = {"subject": named(subject)}

    async def ids(**query) -> list[str]:
        return [each["id"] for each in await audit(admin, **here, **query)]

    assert await ids(actor=str(STAFF.person_id)) == [first]
    assert await ids(actor=str(STAFF.key_id)) == [first]
    assert await ids(actor=str(uuid4())) == []
    assert await ids(type="policy.*") == [first]
    assert await ids(request_id=f"request-{subject.id}") == [first]
    assert await ids(since=(datetime.now(UTC) + timedelta(minutes=1)).isoformat()) == []
    assert await ids(since=(datetime.now(UTC) - timedelta(minutes=1)).isoformat()) == [second, first]
    assert await ids(until=(datetime.now(UTC) - timedelta(minutes=1)).isoformat()) == []
    other = await audit(admin, subject=named(Subject("ticket", uuid4())))
    assert other == []


async def test_since_is_included_and_until_is_not(admin, write, subject):
    await write("policy.changed", subject, audit=True)
    (item,) = await audit(admin, subject=named(subject))
    moment = item["occurred_at"]
    assert len(await audit(admin, subject=named(subject), since=moment)) == 1
    assert len(await audit(admin, subject=named(subject), until=moment)) == 0


async def test_its_pages_hold_everything_once(admin, write, subject):
    ids = [str(await write("policy.changed", subject, audit=True)) for _ in range(5)]
    seen, query = [], {"subject": named(subject), "limit": 2}
    while True:
        page = (await admin.client.get("/v1/audit", params=query)).json()
        seen += [each["id"] for each in page["items"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == ids[::-1]


async def test_a_change_is_there_at_once_although_older_transactions_go_on(admin, database, write, subject):
    async with database.session() as early:
        await record(early, "policy.early", subject=subject, actor=SYSTEM, audit=True)
        late = [str(await write("policy.late", subject, audit=True)) for _ in range(2)]
        page = await admin.client.get("/v1/audit", params={"subject": named(subject), "limit": 1})
        assert [each["id"] for each in page.json()["items"]] == [late[1]]
        cursor = page.json()["next_cursor"]
        rest = await audit(admin, subject=named(subject), cursor=cursor)
        assert [each["id"] for each in rest] == [late[0]]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("since", "2026-11-22T10:00:00"),
        ("until", "yesterday"),
        ("actor", "me"),
        ("cursor", str(NOTHING)),
        ("cursor", "x"),
        ("request_id", "r" * 65),
        ("since", "0001-01-01T00:00:00+14:00"),
        ("until", "9999-12-31T23:59:59-14:00"),
    ],
)
async def test_a_filter_that_means_nothing_is_refused(admin, field, value):
    response = await admin.client.get("/v1/audit", params={field: value})
    assert response.status_code == 400, response.text

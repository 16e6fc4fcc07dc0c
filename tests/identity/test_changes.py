"""What every change of identity leaves behind: a version, an event, and nothing where nothing changed."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.identity import Role, service
from tests.identity.conftest import bearer

IDENTITY = "/v1/identity"


async def events_of(database: Any, subject: str) -> list[Any]:
    statement = text(
        "select type, before, after, audit, customer_visible, person_id, actor_person_id from event"
        " where subject_id = :id order by transaction, number"
    )
    async with database.session() as session:
        return list((await session.execute(statement, {"id": UUID(subject)})).all())


async def new_person(client: Any, **body: Any) -> dict[str, Any]:
    response = await client.post(
        f"{IDENTITY}/people", json={"name": "Ada", "external_id": f"p-{uuid4()}"} | body
    )
    assert response.status_code == 201, response.text
    person: dict[str, Any] = response.json()
    return person


async def new_account(client: Any) -> dict[str, Any]:
    response = await client.post(f"{IDENTITY}/accounts", json={"external_id": f"a-{uuid4()}", "name": "Acme"})
    account: dict[str, Any] = response.json()
    return account


async def test_a_person_made_and_changed_tells_what_changed_and_by_whom(admin, people, database):
    person = await new_person(admin)
    path = f"{IDENTITY}/people/{person['id']}"
    changed = await admin.patch(path, json={"name": "Ada L.", "sees_account": True, "role": "customer"})
    made, renamed = await events_of(database, person["id"])
    assert (made.type, made.before, made.after["name"], made.after["sees_account"]) == (
        "person.created", None, "Ada", False
    )  # fmt: skip
    assert renamed.type == "person.updated"
    assert (renamed.before, renamed.after) == (
        {"name": "Ada", "sees_account": False},
        {"name": "Ada L.", "sees_account": True},
    )
    assert {each.actor_person_id for each in (made, renamed)} == {people[Role.admin].id}
    assert {each.person_id for each in (made, renamed)} == {UUID(person["id"])}
    assert not any(each.customer_visible or each.audit for each in (made, renamed))
    assert (person["version"], changed.json()["version"]) == (1, 2)


async def test_what_changes_nothing_has_no_event_and_no_new_version(admin, database):
    person = await new_person(admin)
    path = f"{IDENTITY}/people/{person['id']}"
    for body in ({}, {"name": "Ada"}, {"email": None, "active": True}):
        assert (await admin.patch(path, json=body)).json() == person
    account = await new_account(admin)
    assert (
        await admin.patch(f"{IDENTITY}/accounts/{account['id']}", json={"name": "Acme"})
    ).json() == account
    assert len(await events_of(database, person["id"])) == len(await events_of(database, account["id"])) == 1


async def test_whoever_becomes_staff_or_ceases_to_be_is_in_the_audit(admin, database):
    person = await new_person(admin)
    path = f"{IDENTITY}/people/{person['id']}"
    for role in ("agent", "customer"):
        assert (await admin.patch(path, json={"role": role})).status_code == 200
    await admin.patch(path, json={"name": "Ada L."})
    assert [each.audit for each in await events_of(database, person["id"])] == [False, True, True, False]


async def test_a_token_leaves_an_event_at_first_sight_and_where_it_says_something_new(
    anonymous, token, database
):
    subject = f"p-{uuid4()}"
    said = {"sub": subject, "name": "Ada", "account": f"a-{uuid4()}"}
    me = (await anonymous.get(f"{IDENTITY}/me", headers=bearer(token(**said)))).json()
    for _ in range(3):
        await anonymous.get(f"{IDENTITY}/me", headers=bearer(token(**said)))
    await anonymous.get(f"{IDENTITY}/me", headers=bearer(token(**said | {"name": "Ada L."})))
    found = await events_of(database, me["person"]["id"])
    assert [each.type for each in found] == ["person.created", "person.updated"]
    assert found[1].after == {"name": "Ada L."}
    assert [each.type for each in await events_of(database, me["account"]["id"])] == ["account.created"]


async def test_twenty_first_sights_at_once_make_one_person_and_one_event(anonymous, token, database):
    signed = token(sub=f"p-{uuid4()}", name="Ada", account=f"a-{uuid4()}")
    answers = await asyncio.gather(
        *(anonymous.get(f"{IDENTITY}/me", headers=bearer(signed)) for _ in range(20))
    )
    ids = {each.json()["person"]["id"] for each in answers}
    assert len(ids) == 1
    assert [each.type for each in await events_of(database, ids.pop())] == ["person.created"]


async def test_keys_are_in_the_audit_without_their_secret_and_revoked_once(admin, database):
    made = (await admin.post(f"{IDENTITY}/keys", json={"name": "A key", "role": "agent"})).json()
    for _ in range(2):
        assert (await admin.delete(f"{IDENTITY}/keys/{made['id']}")).status_code == 204
    created, revoked = await events_of(database, made["id"])
    assert (created.type, revoked.type) == ("api_key.created", "api_key.revoked")
    assert created.audit
    assert revoked.audit
    assert made["secret"].rpartition("_")[2] not in str(created)
    assert created.after["name"] == "A key"
    assert revoked.before == {"revoked_at": None}


async def test_of_two_editors_with_the_same_etag_one_gets_412_with_the_version_there_is(admin):
    for path in (
        f"{IDENTITY}/people/{(await new_person(admin))['id']}",
        f"{IDENTITY}/accounts/{(await new_account(admin))['id']}",
    ):
        tag = (await admin.get(path)).headers["ETag"]
        assert tag == '"1"'
        answers = await asyncio.gather(
            *(admin.patch(path, json={"name": f"N{i}"}, headers={"If-Match": tag}) for i in range(2))
        )
        late = next(each for each in answers if each.status_code == 412)
        assert sorted(each.status_code for each in answers) == [200, 412]
        assert (late.json()["code"], late.json()["current_version"]) == ("version_mismatch", 2)


async def test_a_customer_who_sees_the_account_says_so_by_key_and_by_token(admin, anonymous, token, database):
    account = await new_account(admin)
    person = await new_person(admin, account_id=account["id"], sees_account=True)
    async with database.session() as session:
        key = (await service.create_key(session, name="k", role=Role.customer, person_id=person["id"]))[1]
        match = await service.authenticate_key(session, key)
    assert match.principal.sees_account
    signed = token(sub=person["external_id"])
    shown = (await anonymous.get(f"{IDENTITY}/me", headers=bearer(signed))).json()["person"]
    assert shown["sees_account"] is True
    assert shown["version"] == 1


class TestBulk:
    async def test_people_are_made_and_changed_by_the_host_apps_ids(self, admin, database):
        account = await new_account(admin)
        known = await new_person(admin)
        items = [
            {"external_id": f"p-{uuid4()}", "name": "New", "account_external_id": account["external_id"]},
            {"external_id": known["external_id"], "email": "ada@example.com"},
            {"external_id": f"p-{uuid4()}", "account_external_id": "no such account"},
        ]
        body = (await admin.post(f"{IDENTITY}/people/bulk", json={"items": items})).json()
        made, changed, refused = body["items"]
        assert [each["index"] for each in body["items"]] == [0, 1, 2]
        assert made["result"]["account_id"] == account["id"]
        assert (changed["result"]["id"], changed["result"]["version"]) == (known["id"], 2)
        assert changed["result"]["name"] == "Ada"
        assert (refused["status"], refused["problem"]["code"]) == (422, "unknown_account")
        assert (body["succeeded"], body["failed"]) == (2, 1)
        again = (await admin.post(f"{IDENTITY}/people/bulk", json={"items": items[:2]})).json()
        assert [each["result"] for each in again["items"]] == [made["result"], changed["result"]]
        assert len(await events_of(database, known["id"])) == 2

    async def test_each_item_asks_for_the_rights_of_the_single_operation(self, admin, clients):
        member = await new_person(admin, role="agent")
        items = [
            {"external_id": f"p-{uuid4()}", "name": "A customer"},
            {"external_id": f"p-{uuid4()}", "role": "admin"},
            {"external_id": member["external_id"], "name": "Taken over"},
        ]
        response = await clients[Role.agent].post(f"{IDENTITY}/people/bulk", json={"items": items})
        assert [each["status"] for each in response.json()["items"]] == [200, 403, 403]
        assert (await admin.get(f"{IDENTITY}/people/{member['id']}")).json() == member
        response = await clients[Role.customer].post(f"{IDENTITY}/people/bulk", json={"items": items})
        assert response.status_code == 403

    async def test_accounts_are_made_and_renamed_by_leads(self, clients):
        items = [{"external_id": f"a-{uuid4()}", "name": "One"}, {"external_id": f"a-{uuid4()}"}]
        path = f"{IDENTITY}/accounts/bulk"
        first = (await clients[Role.lead].post(path, json={"items": items})).json()
        assert [each["result"]["name"] for each in first["items"]] == ["One", items[1]["external_id"]]
        items[0]["name"] = "Two"
        second = (await clients[Role.lead].post(path, json={"items": items})).json()
        assert [each["result"]["version"] for each in second["items"]] == [2, 1]
        assert (await clients[Role.agent].post(path, json={"items": items})).status_code == 403

    async def test_two_with_the_same_people_in_opposite_orders_both_get_through(self, admin):
        names = [f"p-{uuid4()}" for _ in range(20)]

        def send(order: list[str], name: str) -> Any:
            items = [{"external_id": each, "name": name} for each in order]
            return admin.post(f"{IDENTITY}/people/bulk", json={"items": items})

        for round_ in range(3):
            both = await asyncio.gather(send(names, f"One {round_}"), send(names[::-1], f"Two {round_}"))
            assert [each.status_code for each in both] == [200, 200]
            assert [each.json()["succeeded"] for each in both] == [20, 20]


class TestLists:
    @pytest.fixture
    async def three(self, admin, unique) -> dict[str, Any]:
        mark = f"{unique}-{uuid4()}"
        account = await new_account(admin)
        people = [
            await new_person(admin, name=f"{letter} {mark}", account_id=account["id"]) for letter in "bac"
        ]
        await admin.patch(f"{IDENTITY}/people/{people[1]['id']}", json={"active": False})
        return {"account_id": account["id"], "mark": mark}

    async def names(self, admin: Any, path: str = "people", **params: Any) -> list[str]:
        response = await admin.get(f"{IDENTITY}/{path}", params=params)
        assert response.status_code == 200, response.text
        return [each["name"][0] for each in response.json()["items"]]

    async def test_people_are_sorted_filtered_searched_and_counted(self, admin, three):
        ours = {"account_id": three["account_id"]}
        assert await self.names(admin, **ours) == ["c", "a", "b"]
        assert await self.names(admin, **ours, sort="name") == ["a", "b", "c"]
        assert await self.names(admin, **ours, sort="-name", active=True) == ["c", "b"]
        assert await self.names(admin, q=f"B {three['mark'].upper()}") == ["b"]
        assert await self.names(admin, **ours, role=["agent", "lead"]) == []
        body = (await admin.get(f"{IDENTITY}/people", params={**ours, "limit": 1, "total": True})).json()
        assert (body["total"], len(body["items"])) == (3, 1)
        unknown = await admin.get(f"{IDENTITY}/people", params={"sort": "email"})
        assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (400, "sort")

    async def test_accounts_are_found_by_name_and_by_external_id(self, admin):
        account = await new_account(admin)
        found = await admin.get(f"{IDENTITY}/accounts", params={"q": account["external_id"][3:].upper()})
        assert [each["id"] for each in found.json()["items"]] == [account["id"]]

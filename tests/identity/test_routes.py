"""The routes of accounts, people and keys: who may do what, and what comes of bad input."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from app.exceptions import PermissionDeniedError
from app.identity import Principal, PrincipalKind, Role, service
from tests.identity.conftest import bearer

IDENTITY = "/v1/identity"


async def all_pages(client, path: str, **params) -> list[dict]:
    items, cursor = [], None
    while True:
        query = params | ({"cursor": cursor} if cursor else {})
        body = (await client.get(path, params=query)).json()
        items += body["items"]
        cursor = body["next_cursor"]
        if cursor is None:
            return items


async def new_account(client) -> dict:
    response = await client.post(f"{IDENTITY}/accounts", json={"external_id": f"a-{uuid4()}", "name": "Acme"})
    assert response.status_code == 201, response.text
    return response.json()


async def new_person(client, **body) -> dict:
    response = await client.post(
        f"{IDENTITY}/people", json={"name": "Ada", "external_id": f"p-{uuid4()}"} | body
    )
    assert response.status_code == 201, response.text
    return response.json()


async def test_me_shows_a_customer_their_person_account_and_audiences(clients, people):
    body = (await clients[Role.customer].get(f"{IDENTITY}/me")).json()
    customer = people[Role.customer]
    assert body["role"] == "customer"
    assert body["kind"] == "api_key"
    assert body["person"]["id"] == str(customer.id)
    assert body["account"]["id"] == str(customer.account_id)
    assert body["audiences"] == ["public", "customers", f"account:{customer.account_id}"]


async def test_me_of_staff_has_the_staff_audience_and_no_account(clients):
    for role in (Role.agent, Role.lead, Role.admin):
        body = (await clients[role].get(f"{IDENTITY}/me")).json()
        assert body["role"] == role
        assert body["account"] is None
        assert body["audiences"] == ["public", "customers", "staff"]


@pytest.mark.parametrize(
    ("method", "path", "body", "lowest"),
    [
        ("POST", "/accounts", {"external_id": "{new}", "name": "Acme"}, Role.lead),
        ("GET", "/accounts", None, Role.agent),
        ("PATCH", "/accounts/{account}", {"name": "Acme AG"}, Role.lead),
        ("POST", "/people", {"external_id": "{new}", "name": "Ada"}, Role.agent),
        ("POST", "/people", {"external_id": "{new}", "name": "Ada", "role": "agent"}, Role.admin),
        ("GET", "/people", None, Role.agent),
        ("PATCH", "/people/{person}", {"name": "Ada L."}, Role.agent),
        ("PATCH", "/people/{person}", {"active": False}, Role.lead),
        ("PATCH", "/people/{person}", {"role": "agent"}, Role.admin),
        ("PATCH", "/people/{staff}", {"name": "Boss"}, Role.admin),
        ("POST", "/keys", {"name": "key", "role": "agent"}, Role.admin),
        ("GET", "/keys", None, Role.admin),
        ("DELETE", "/keys/{key}", None, Role.admin),
    ],
)
async def test_each_route_asks_for_its_role(clients, admin, *, method, path, body, lowest):
    """Below the role 403 permission_denied and nothing done; from the role on it works.

    At a route that takes an id customers get 404, as for what is not there.
    """
    for role, client in clients.items():
        account = await new_account(admin)
        person = await new_person(admin)
        staff = await new_person(admin, role="agent")
        key = (await admin.post(f"{IDENTITY}/keys", json={"name": "x", "role": "agent"})).json()
        target = path.format(account=account["id"], person=person["id"], staff=staff["id"], key=key["id"])
        sent = {k: f"n-{uuid4()}" if v == "{new}" else v for k, v in body.items()} if body else None
        response = await client.request(method, IDENTITY + target, json=sent)
        if role < lowest:
            hidden = role is Role.customer and "{" in path
            assert response.status_code == (404 if hidden else 403)
            assert response.json()["code"] == ("not_found" if hidden else "permission_denied")
        else:
            assert response.is_success, response.text


async def test_customers_get_themselves_and_their_account_and_404_for_all_else(clients, people, admin):
    customer, client = people[Role.customer], clients[Role.customer]
    assert (await client.get(f"{IDENTITY}/people/{customer.id}")).status_code == 200
    assert (await client.get(f"{IDENTITY}/accounts/{customer.account_id}")).status_code == 200
    colleague = await new_person(admin, account_id=str(customer.account_id))
    account = await new_account(admin)
    for path in (f"people/{colleague['id']}", f"accounts/{account['id']}", f"people/{uuid4()}"):
        response = await client.get(f"{IDENTITY}/{path}")
        assert response.status_code == 404
        assert response.json()["code"] == "not_found"


async def test_duplicate_external_ids_are_conflicts_that_name_the_first(admin):
    account, person = await new_account(admin), await new_person(admin)
    again = {"external_id": account["external_id"], "name": "Other"}
    response = await admin.post(f"{IDENTITY}/accounts", json=again)
    assert (response.status_code, response.json()["code"]) == (409, "account_exists")
    assert response.json()["id"] == account["id"]
    again = {"external_id": person["external_id"], "name": "Other"}
    response = await admin.post(f"{IDENTITY}/people", json=again)
    assert (response.status_code, response.json()["code"]) == (409, "person_exists")
    assert response.json()["id"] == person["id"]


async def test_of_ten_parallel_creates_one_wins_and_nine_conflict(admin):
    body = {"external_id": f"race-{uuid4()}", "name": "Acme"}
    responses = await asyncio.gather(*(admin.post(f"{IDENTITY}/accounts", json=body) for _ in range(10)))
    assert sorted(response.status_code for response in responses) == [201] + [409] * 9


async def test_patch_changes_what_is_given_and_null_clears(admin):
    account = await new_account(admin)
    person = await new_person(admin, email="ada@example.com", account_id=account["id"])
    path = f"{IDENTITY}/people/{person['id']}"
    renamed = (await admin.patch(path, json={"name": "  Ada L. "})).json()
    assert renamed["name"] == "Ada L."
    assert (renamed["email"], renamed["account_id"]) == ("ada@example.com", account["id"])
    assert renamed["updated_at"] > person["updated_at"]
    cleared = (await admin.patch(path, json={"email": None, "account_id": None})).json()
    assert (cleared["email"], cleared["account_id"], cleared["name"]) == (None, None, "Ada L.")
    unchanged = (await admin.patch(path, json={})).json()
    assert unchanged == cleared
    moved = (await admin.patch(f"{IDENTITY}/accounts/{account['id']}", json={"name": "Acme AG"})).json()
    assert moved["name"] == "Acme AG"
    assert moved["updated_at"] > account["updated_at"]


async def test_what_does_not_exist_cannot_be_changed_or_named(admin):
    assert (await admin.patch(f"{IDENTITY}/people/{uuid4()}", json={"name": "x"})).status_code == 404
    assert (await admin.patch(f"{IDENTITY}/accounts/{uuid4()}", json={"name": "x"})).status_code == 404
    assert (await admin.delete(f"{IDENTITY}/keys/{uuid4()}")).status_code == 404
    person = await new_person(admin)
    for response in (
        await admin.post(f"{IDENTITY}/people", json={"name": "x", "account_id": str(uuid4())}),
        await admin.patch(f"{IDENTITY}/people/{person['id']}", json={"account_id": str(uuid4())}),
    ):
        assert (response.status_code, response.json()["code"]) == (422, "unknown_account")
    body = {"name": "x", "role": "agent", "person_id": str(uuid4())}
    response = await admin.post(f"{IDENTITY}/keys", json=body)
    assert (response.status_code, response.json()["code"]) == (422, "unknown_person")


BAD_PEOPLE = [
    b"",
    b"[]",
    b"{",
    b"\xff\xfe",
    b'{"name": 7}',
    b'{"name": null}',
    b'{"name": ""}',
    b'{"name": "   "}',
    b'{"name": "a\\u0000b"}',
    b'{"name": "a\\u001bb"}',
    b'{"name": "a\\u202eb"}',
    b'{"name": "a\\ud800b"}',
    b'{"name": "a\\nb"}',
    b'{"name": "%s"}' % (b"x" * 201),
    b'{"name": "x", "surprise": 1}',
    b'{"name": "x", "email": "no address"}',
    b'{"name": "x", "email": "a@b\\u0000"}',
    b'{"name": "x", "external_id": ""}',
    b'{"name": "x", "external_id": " a"}',
    b'{"name": "x", "external_id": "a\\u0000"}',
    b'{"name": "x", "external_id": "%s"}' % (b"x" * 256),
    b'{"name": "x", "role": "owner"}',
    b'{"name": "x", "account_id": "acme"}',
]


@pytest.mark.parametrize("body", BAD_PEOPLE)
async def test_bodies_that_do_not_fit_are_400(admin, body):
    headers = {"Content-Type": "application/json"}
    response = await admin.post(f"{IDENTITY}/people", content=body, headers=headers)
    assert response.status_code == 400, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] in {"validation_error", "bad_request"}, "what is not JSON is a bad request"


async def test_names_and_ids_of_any_script_and_the_longest_length_are_kept(admin):
    name, external_id = "\U0001f9d1\u200d\U0001f680 \u0416" * 40, "\U0001f600" * 255
    external_id = f"{uuid4()}"[:8] + external_id[:247]
    body = {"name": name, "external_id": external_id, "email": "\u00fc@example.com"}
    made = (await admin.post(f"{IDENTITY}/people", json=body)).json()
    assert (made["name"], made["external_id"], made["email"]) == (name, external_id, "\u00fc@example.com")


async def test_lists_page_through_everything_once_newest_first(admin):
    account = await new_account(admin)
    made = [(await new_person(admin, account_id=account["id"]))["id"] for _ in range(5)]
    listed = await all_pages(admin, f"{IDENTITY}/people", account_id=account["id"], limit=2)
    assert [each["id"] for each in listed] == made[::-1]
    assert account["id"] in {each["id"] for each in await all_pages(admin, f"{IDENTITY}/accounts", limit=100)}


async def test_people_are_narrowed_by_role_and_text(admin):
    account, mark = await new_account(admin), uuid4().hex
    inside = {"account_id": account["id"]}
    by_name = await new_person(admin, name=f"Zoë 100%_{mark}", **inside)
    by_mail = await new_person(admin, email=f"{mark}@example.com", **inside)
    staff = await new_person(admin, name=f"Staff {mark}", role="agent", **inside)

    async def found(**params) -> set[str]:
        return {each["id"] for each in await all_pages(admin, f"{IDENTITY}/people", **params)}

    assert await found(q=mark.upper()) == {by_name["id"], by_mail["id"], staff["id"]}
    assert await found(q=f"100%_{mark}") == {by_name["id"]}
    assert await found(q=f"100__{mark}") == set(), "% and _ in a search are plain characters"
    assert await found(q=mark, role="agent") == {staff["id"]}
    for bad in (
        {"q": "a\0b"},
        {"q": " "},
        {"role": "owner"},
        {"account_id": "x"},
        {"limit": 0},
        {"cursor": "x"},
    ):
        response = await admin.get(f"{IDENTITY}/people", params=bad)
        assert (response.status_code, response.json()["code"]) == (400, "validation_error"), bad


async def test_a_key_is_shown_once_and_works(admin, anonymous, people):
    body = {"name": "Portal", "role": "customer", "person_id": str(people[Role.customer].id)}
    response = await admin.post(f"{IDENTITY}/keys", json=body)
    made = response.json()
    assert response.status_code == 201
    assert response.headers["cache-control"] == "no-store"
    assert made["secret"].startswith(f"tdk_{made['prefix']}_")
    assert made["created_by"] == str(people[Role.admin].id)
    me = (await anonymous.get(f"{IDENTITY}/me", headers=bearer(made["secret"]))).json()
    assert (me["key_id"], me["role"]) == (made["id"], "customer")
    keys = await admin.get(f"{IDENTITY}/keys", params={"limit": 100})
    listed = {each["id"]: each for each in keys.json()["items"]}[made["id"]]
    assert set(listed) == set(made) - {"secret"}
    assert made["secret"][-43:] not in keys.text


async def test_the_database_holds_no_secret(database):
    async with database.session() as session:
        key, text = await service.create_key(session, name="x", role=Role.agent)
        row = (await session.execute(key.__table__.select().where(key.__table__.c.id == key.id))).one()
    assert text[-43:] not in repr(row)
    assert text[-43:].encode() not in bytes(row.secret_hash)


async def test_revoking_is_idempotent_and_keeps_the_first_time(admin):
    made = (await admin.post(f"{IDENTITY}/keys", json={"name": "x", "role": "agent"})).json()

    async def revoked_at() -> str | None:
        keys = await all_pages(admin, f"{IDENTITY}/keys", limit=100)
        return {each["id"]: each["revoked_at"] for each in keys}[made["id"]]

    assert await revoked_at() is None
    assert (await admin.delete(f"{IDENTITY}/keys/{made['id']}")).status_code == 204
    first = await revoked_at()
    assert first is not None
    assert (await admin.delete(f"{IDENTITY}/keys/{made['id']}")).status_code == 204
    assert await revoked_at() == first


@pytest.mark.parametrize(
    ("role", "owner", "expires_at"),
    [
        ("customer", None, None),
        ("agent", Role.customer, None),
        ("admin", Role.lead, None),
        ("agent", None, datetime.now(UTC) - timedelta(seconds=1)),
        ("agent", None, datetime.max.replace(tzinfo=UTC)),
    ],
)
async def test_useless_and_unsafe_keys_are_refused(admin, people, role, owner, expires_at):
    """A customer's key of nobody, a role above the person's, an expiry gone by or beyond all calendars."""
    body = {"name": "x", "role": role, "person_id": str(people[owner].id) if owner else None}
    body["expires_at"] = expires_at.isoformat() if expires_at else None
    response = await admin.post(f"{IDENTITY}/keys", json=body)
    assert (response.status_code, response.json()["code"]) == (422, "invalid_key_request")


@pytest.mark.parametrize("expires_at", ["2030-01-01T00:00:00", "tomorrow", "9999-12-31T23:59:59-12:00"])
async def test_odd_expiries_are_refused_cleanly(admin, expires_at):
    response = await admin.post(
        f"{IDENTITY}/keys", json={"name": "x", "role": "agent", "expires_at": expires_at}
    )
    assert response.status_code in {400, 422}


async def test_nobody_makes_a_key_above_their_own_role(database, people):
    """Holds in the service, whoever the route lets in."""
    lead = Principal(kind=PrincipalKind.api_key, role=Role.lead, person_id=None, account_id=None, name="lead")
    async with database.session() as session:
        await service.create_key(session, name="x", role=Role.lead, created_by=lead)
        with pytest.raises(PermissionDeniedError):
            await service.create_key(session, name="x", role=Role.admin, created_by=lead)


async def test_each_operation_has_its_own_name_and_a_text(app):
    """Names are unique in the whole API: a generated client has one function each."""
    handlers = {
        (handler.operation_id, route.path): handler
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
        if handler.operation_id
    }
    names = [name for name, _ in handlers]
    ours = {name for name, path in handlers if path.startswith(IDENTITY)}
    assert len(names) == len(set(names))
    assert len(ours) == 17
    assert {"get_me", "list_accounts", "create_api_key", "revoke_api_key"} < ours
    assert all(handlers[each].fn.__doc__ for each in handlers if each[1].startswith(IDENTITY))

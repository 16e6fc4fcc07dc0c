"""The door: credentials of every shape, keys that stop, and what their use leaves behind."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select, update

from app.config import Settings
from app.exceptions import DatabaseUnavailableError
from app.identity import Role, keys, service
from app.identity.models import ApiKey, Person
from tests.identity.conftest import bearer, build_app, client_of

ME = "/v1/identity/me"


async def new_key(database, **options) -> tuple[ApiKey, str]:
    async with database.session() as session:
        return await service.create_key(session, **{"name": "key", "role": Role.agent} | options)


async def new_person(database, role: Role = Role.customer) -> Person:
    async with database.session() as session:
        return await service.upsert_person(session, f"p-{uuid4()}", role=role)


async def stored_key(database, key_id) -> ApiKey:
    async with database.session() as session:
        return (await session.scalars(select(ApiKey).where(ApiKey.id == key_id))).one()


def assert_401(response, code: str) -> None:
    assert (response.status_code, response.json()["code"]) == (401, code), response.text
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.headers["content-type"] == "application/problem+json"


async def test_without_a_credential_401(anonymous):
    assert_401(await anonymous.get(ME), "not_authenticated")


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b"Bearer",
        b"Bearer ",
        b"Basic dXNlcjpwYXNz",
        b"Bearer \xff\xfe",
        "Bearer schlüssel".encode(),
        b"Bearer " + b"x" * 100_000,
        b"tdk_aaaaaaaa_" + b"b" * 43,
    ],
)
async def test_headers_that_hold_no_credential_are_401_not_authenticated(anonymous, value):
    assert_401(await anonymous.get(ME, headers={b"Authorization": value}), "not_authenticated")


@pytest.mark.parametrize(
    "credential",
    [
        "tdk_",
        "tdk_aaaaaaaa_" + "b" * 43,
        "tdk_aaaaaaaa_" + "b" * 42,
        "tdk_aaaaaaa'_" + "b" * 43,
        "tdk_aaaaaaaa_" + "b" * 43 + " ",
        "tdk_aaaaaaaa_" + "b" * 43 + "\tx",
        "secret",
    ],
)
async def test_what_is_no_key_of_ours_is_401_invalid_key(anonymous, credential):
    assert_401(await anonymous.get(ME, headers=bearer(credential)), "invalid_key")


async def test_the_right_prefix_with_another_secret_is_invalid(anonymous, database):
    _, text = await new_key(database)
    other = text[:-1] + ("a" if text[-1] != "a" else "b")
    assert_401(await anonymous.get(ME, headers=bearer(other)), "invalid_key")


async def test_the_scheme_may_be_spelled_in_any_case(anonymous, database):
    """RFC 9110, section 11.1."""
    _, text = await new_key(database)
    for scheme in ("bearer", "BEARER"):
        assert (await anonymous.get(ME, headers={"Authorization": f"{scheme} {text}"})).status_code == 200


async def test_two_authorization_headers_are_refused(anonymous, database):
    """Which of them counts would be for the proxy to choose."""
    _, text = await new_key(database)
    header = ("Authorization", f"Bearer {text}")
    assert_401(await anonymous.get(ME, headers=[header, header]), "not_authenticated")


async def test_public_routes_ask_for_nothing_and_ignore_what_is_sent(anonymous):
    assert (await anonymous.get("/open")).json() == {"open": True}
    assert (await anonymous.get("/open", headers=bearer("tdk_wrong"))).json() == {"open": True}


async def test_a_public_route_that_wants_the_principal_is_401_not_500(anonymous):
    assert_401(await anonymous.get("/open-but-asks"), "not_authenticated")


async def test_options_tells_the_methods_without_a_key_and_head_is_no_way_in(anonymous):
    options = await anonymous.options(ME)
    assert options.status_code == 204
    assert "GET" in options.headers["allow"]
    assert (await anonymous.head(ME)).status_code in {401, 405}


async def test_unknown_paths_are_404_with_and_without_a_key(anonymous, admin):
    for client in (anonymous, admin):
        response = await client.get("/v1/identity/nothing")
        assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_every_identity_route_is_closed_without_a_key(anonymous, app):
    checked = 0
    for route in app.routes:
        if not route.path.startswith("/v1/identity"):
            continue
        target = re.sub(r"\{\w+:uuid\}", str(uuid4()), route.path)
        for method in route.methods - {"OPTIONS"}:
            assert_401(await anonymous.request(method, target), "not_authenticated")
            checked += 1
    assert checked == 17


async def test_a_revoked_key_stops_at_its_next_request(anonymous, database):
    key, text = await new_key(database)
    assert (await anonymous.get(ME, headers=bearer(text))).status_code == 200
    async with database.session() as session:
        await service.revoke_key(session, key.id)
    assert_401(await anonymous.get(ME, headers=bearer(text)), "key_revoked")


async def test_a_key_revoked_while_in_use_never_works_afterwards(anonymous, database):
    """Requests without end while it is revoked: none that begins after the commit gets through."""
    key, text = await new_key(database)
    begun_after, revoked = [], asyncio.Event()
    working = asyncio.Event()

    async def use() -> None:
        while len(begun_after) < 20:
            late = revoked.is_set()
            response = await anonymous.get(ME, headers=bearer(text))
            assert late or response.status_code in {200, 401}
            working.set()
            if late:
                begun_after.append(response.status_code)

    async def revoke() -> None:
        await working.wait()
        async with database.session() as session:
            await service.revoke_key(session, key.id)
        revoked.set()

    await asyncio.gather(use(), use(), use(), revoke())
    assert set(begun_after) == {401}


async def test_an_expired_key_is_refused_and_one_about_to_expire_is_not(anonymous, database):
    key, text = await new_key(database, expires_at=datetime.now(UTC) + timedelta(hours=1))
    assert (await anonymous.get(ME, headers=bearer(text))).status_code == 200
    async with database.session() as session:
        expired = datetime.now(UTC) - timedelta(milliseconds=1)
        await session.execute(update(ApiKey).where(ApiKey.id == key.id).values(expires_at=expired))
    assert_401(await anonymous.get(ME, headers=bearer(text)), "key_expired")


async def test_deactivating_a_person_stops_their_keys_and_activating_restores_them(
    anonymous, admin, database
):
    person = await new_person(database)
    _, text = await new_key(database, role=Role.customer, person_id=person.id)
    for active, status in ((False, 401), (True, 200)):
        await admin.patch(f"/v1/identity/people/{person.id}", json={"active": active})
        response = await anonymous.get(ME, headers=bearer(text))
        assert response.status_code == status
        if not active:
            assert_401(response, "person_deactivated")


async def test_who_is_demoted_takes_their_keys_along(anonymous, admin, database):
    person = await new_person(database, Role.lead)
    _, text = await new_key(database, role=Role.lead, person_id=person.id)
    assert (await anonymous.get("/for-leads", headers=bearer(text))).status_code == 200
    await admin.patch(f"/v1/identity/people/{person.id}", json={"role": "customer"})
    assert (await anonymous.get("/for-leads", headers=bearer(text))).status_code == 403
    assert (await anonymous.get(ME, headers=bearer(text))).json()["role"] == "customer"


async def test_a_key_without_a_person_acts_by_its_own_name(anonymous, database):
    key, text = await new_key(database, name="Nightly import")
    me = (await anonymous.get(ME, headers=bearer(text))).json()
    assert (me["name"], me["person"], me["key_id"]) == ("Nightly import", None, str(key.id))


async def test_last_use_is_written_at_most_once_a_minute(anonymous, database):
    key, text = await new_key(database)
    assert (await stored_key(database, key.id)).last_used_at is None
    await anonymous.get(ME, headers=bearer(text))
    first = (await stored_key(database, key.id)).last_used_at
    assert first is not None
    await asyncio.gather(*(anonymous.get(ME, headers=bearer(text)) for _ in range(5)))
    assert (await stored_key(database, key.id)).last_used_at == first
    async with database.session() as session:
        long_ago = first - timedelta(seconds=61)
        await session.execute(update(ApiKey).where(ApiKey.id == key.id).values(last_used_at=long_ago))
    await asyncio.gather(*(anonymous.get(ME, headers=bearer(text)) for _ in range(5)))
    assert (await stored_key(database, key.id)).last_used_at > first


async def test_a_locked_key_row_neither_delays_nor_fails_its_use(anonymous, database):
    """Somebody holds the row for long; the note of its use is left out rather than waited for."""
    key, text = await new_key(database)
    async with asyncio.timeout(5), database.session() as session:
        await session.execute(select(ApiKey).where(ApiKey.id == key.id).with_for_update())
        assert (await anonymous.get(ME, headers=bearer(text))).status_code == 200
    assert (await stored_key(database, key.id)).last_used_at is None


class FailingLater:
    """A database that is away after its first ``good`` sessions."""

    def __init__(self, database, good: int) -> None:
        self.database, self.good = database, good

    @asynccontextmanager
    async def session(self):
        if self.good == 0:
            raise DatabaseUnavailableError("away")
        self.good -= 1
        async with self.database.session() as session:
            yield session


async def test_a_failure_to_note_the_use_does_not_fail_the_request(database, caplog):
    _, text = await new_key(database)
    failing = FailingLater(database, good=2)  # one for the middleware, one for the handler
    async with client_of(build_app(failing, Settings()), text) as client:
        assert (await client.get(ME)).status_code == 200
    assert failing.good == 0
    assert "last use of a key not written" in caplog.text
    assert text not in caplog.text


async def test_the_database_away_is_503_not_401(database):
    _, text = await new_key(database)
    async with client_of(build_app(FailingLater(database, good=0), Settings()), text) as client:
        response = await client.get(ME)
    assert (response.status_code, response.json()["code"]) == (503, "database_unavailable")


async def test_a_use_noted_twice_at_once_is_written_once(database):
    key, _ = await new_key(database)
    written = []
    for _ in range(2):
        async with database.session() as session:
            await service.record_key_use(session, key.id)
        written.append((await stored_key(database, key.id)).last_used_at)
    assert written[0] is not None
    assert written[0] == written[1]


async def test_a_request_with_a_key_costs_one_statement_and_one_that_counts_it(
    anonymous, database, statements
):
    _, text = await new_key(database)
    await anonymous.get("/for-leads", headers=bearer(text))
    statements.clear()
    assert (await anonymous.get("/for-leads", headers=bearer(text))).status_code == 403
    assert ["rate_limit" in each for each in statements] == [False, True]


def test_keys_have_the_published_form_and_never_repeat():
    made = {keys.generate_key() for _ in range(200)}
    assert len(made) == 200
    assert all(keys.KEY.fullmatch(key) and keys.key_prefix(key) == key[4:12] for key in made)
    assert all(len(key) == 4 + 8 + 1 + 43 for key in made)


async def test_a_prefix_that_is_taken_is_drawn_again(database, monkeypatch):
    first, text = await new_key(database)
    drawn = iter([text[:-1] + "x", keys.generate_key()])
    monkeypatch.setattr("app.identity.service.keys.generate_key", lambda: next(drawn))
    second, _ = await new_key(database)
    assert second.prefix != first.prefix

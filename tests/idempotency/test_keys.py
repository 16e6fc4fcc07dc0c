"""A repeated POST is answered like the first and does nothing; anything else about its key is told apart."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import text

from app import idempotency
from app.identity import Role
from app.identity import service as identity
from tests.idempotency.conftest import KEY, keyed

REPLAYED = "idempotency-replayed"
HUSH = b"hush-hush-hush"


def code(response):
    return response.status_code, response.json().get("code")


async def test_a_repeated_request_is_answered_like_the_first_and_does_nothing(agent, effects, mark):
    headers = keyed()
    first, again = [await agent.post("/test/orders", json={"mark": mark}, headers=headers) for _ in range(2)]
    assert (first.status_code, REPLAYED in first.headers) == (201, False)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers[REPLAYED] == "true"
    for name in ("location", "etag", "content-type"):
        assert again.headers[name] == first.headers[name]
    assert "x-once" not in again.headers
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert await effects(mark) == 1


async def test_a_real_route_has_it_without_saying_so(as_role, unique):
    name, headers = f"Idempotent {unique} {uuid4()}", keyed()
    async with as_role("agent") as client:
        first, again = [
            await client.post("/v1/identity/people", json={"name": name}, headers=headers) for _ in range(2)
        ]
        found = (await client.get("/v1/identity/people", params={"q": name})).json()["items"]
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert [each["id"] for each in found] == [first.json()["id"]]


async def test_without_a_key_every_request_takes_effect(agent, effects, mark):
    for _ in range(2):
        assert REPLAYED not in (await agent.post("/test/orders", json={"mark": mark})).headers
    assert await effects(mark) == 2


async def test_an_answer_without_a_body_is_replayed_without_one(agent, effects, mark):
    headers = keyed()
    for _ in range(2):
        response = await agent.post("/test/nothing", json={"mark": mark}, headers=headers)
        assert (response.status_code, response.content) == (204, b"")
    assert response.headers[REPLAYED] == "true"
    assert await effects(mark) == 1


@pytest.mark.parametrize(
    "other",
    [{"content": "{} "}, {"kind": "application/vnd.order+json"}, {"shop": str(uuid4())}],
    ids=["body", "type", "path"],
)
async def test_the_same_key_with_another_request_is_refused(agent, effects, mark, other):
    headers, sent = keyed(), {"content": "{}", "kind": "application/json", "shop": str(uuid4())}

    async def send(content: str, kind: str, shop: str):
        body = content.replace("{}", f'{{"mark": "{mark}"}}')
        return await agent.post(
            f"/test/shops/{shop}/orders", content=body, headers=headers | {"Content-Type": kind}
        )

    assert (await send(**sent)).status_code == 201
    response = await send(**sent | other)
    assert code(response) == (422, "idempotency_key_reused")
    assert await effects(mark) == 1


async def test_parameters_of_the_content_type_and_a_trailing_slash_say_nothing(agent, effects, mark):
    headers, body = keyed(), f'{{"mark": "{mark}"}}'
    for path, kind in [
        ("/test/orders", "application/json"),
        ("/test/orders/", "application/json; charset=utf-8"),
    ]:
        response = await agent.post(path, content=body, headers=headers | {"Content-Type": kind})
    assert response.headers[REPLAYED] == "true"
    assert await effects(mark) == 1


async def test_a_form_is_the_same_whatever_its_boundary_and_another_with_another_file(agent, effects, mark):
    headers = keyed()

    async def send(content: bytes):
        form = {"data": {"mark": mark}, "files": {"file": ("a.txt", content)}}
        return await agent.post("/test/uploads", headers=headers, **form)  # httpx draws a boundary each time

    first, again, other = await send(b"abc"), await send(b"abc"), await send(b"abd")
    assert first.request.headers["content-type"] != again.request.headers["content-type"]
    assert (first.status_code, first.json()["size"], again.content) == (201, 3, first.content)
    assert again.headers[REPLAYED] == "true"
    assert code(other) == (422, "idempotency_key_reused")
    assert await effects(mark) == 1


async def test_the_same_key_on_another_route_or_by_another_caller_is_another_key(open_shop, effects, mark):
    headers, body = keyed(), {"mark": mark}
    async with open_shop("agent") as agent, open_shop("lead") as lead:
        for client, path in [(agent, "/test/orders"), (agent, "/test/slow"), (lead, "/test/orders")]:
            response = await client.post(path, json=body, headers=headers)
            assert (response.status_code, REPLAYED in response.headers) == (201, False)
    assert await effects(mark) == 3


@pytest.mark.parametrize("key", ["a", "!", "~" * 255, '"quoted"', "with spaces in it", "0"])
async def test_any_printable_ascii_is_a_key(agent, effects, mark, key):
    for _ in range(2):
        response = await agent.post("/test/orders", json={"mark": mark}, headers={KEY: key})
        assert response.status_code == 201
    assert response.headers[REPLAYED] == "true"
    assert await effects(mark) == 1


@pytest.mark.parametrize(
    "headers",
    [
        [(KEY, "")],
        [(KEY, "a" * 256)],
        [(KEY, "ä")],
        [(KEY, "a\x7f")],
        [(KEY, "a\tb")],
        [(KEY, "a"), (KEY, "a")],
    ],
    ids=["empty", "long", "not-ascii", "delete", "tab", "twice"],
)
async def test_a_malformed_key_is_refused_by_its_name(agent, effects, mark, headers):
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    response = await agent.post("/test/orders", json={"mark": mark}, headers=raw)
    assert code(response) == (400, "validation_error")
    assert [each["field"] for each in response.json()["errors"]] == [KEY]
    assert await effects(mark) == 0


async def test_where_a_key_is_required_a_request_without_is_refused(agent, effects, mark):
    response = await agent.post("/test/payments", json={"mark": mark})
    assert code(response) == (400, "idempotency_key_required")
    assert await effects(mark) == 0
    assert (await agent.post("/test/payments", json={"mark": mark}, headers=keyed())).status_code == 201


async def test_a_failed_request_has_not_used_its_key(agent, effects, mark):
    headers = keyed()
    for _ in range(2):
        response = await agent.post("/test/orders", json={"mark": mark, "fail": True}, headers=headers)
        assert code(response) == (422, "unprocessable")
    assert await effects(mark) == 0
    mended = await agent.post("/test/orders", json={"mark": mark}, headers=headers)
    assert (mended.status_code, REPLAYED in mended.headers) == (201, False)
    assert await effects(mark) == 1


async def test_a_secret_is_not_stored_and_a_repeated_request_names_what_was_made(
    agent, database, effects, mark
):
    headers = keyed()
    first = await agent.post("/test/secrets", json={"mark": mark}, headers=headers)
    assert HUSH in first.content
    again = await agent.post("/test/secrets", json={"mark": mark}, headers=headers)
    assert code(again) == (409, "idempotency_replay_has_secret")
    assert again.json()["id"] == first.json()["id"]
    assert HUSH not in again.content
    assert await effects(mark) == 1
    async with database.session() as session:
        kept = (await session.execute(text("select r::text from idempotency_record r"))).scalars().all()
    assert kept
    assert not [row for row in kept if "hush" in row or HUSH.hex() in row]


async def test_a_stream_is_not_replayed(agent, effects, mark):
    headers = keyed()
    for _ in range(2):
        response = await agent.post("/test/streams", json={"mark": mark}, headers=headers)
        assert (response.status_code, REPLAYED in response.headers) == (201, False)
    assert await effects(mark) == 2


async def test_other_methods_and_open_routes_take_no_notice_of_a_key(agent, client, effects, mark):
    for _ in range(2):
        response = await agent.patch("/test/orders", json={"mark": mark}, headers=keyed("patch"))
        assert (response.status_code, REPLAYED in response.headers) == (200, False)
    assert await effects(mark) == 2
    assert (await client.get("/health/live", headers=keyed("é".encode("latin-1")))).status_code == 200


async def test_a_request_in_flight_is_said_to_be_and_answered_afterwards(agent, gate, effects, mark):
    gate.opened.clear()
    headers = keyed()
    first = asyncio.create_task(agent.post("/test/slow", json={"mark": mark}, headers=headers))
    await gate.reached.wait()
    async with asyncio.timeout(10):
        meanwhile = await agent.post("/test/slow", json={"mark": mark}, headers=headers)
    assert code(meanwhile) == (409, "idempotency_key_in_flight")
    assert int(meanwhile.headers["retry-after"]) >= 1
    gate.opened.set()
    done = await first
    again = await agent.post("/test/slow", json={"mark": mark}, headers=headers)
    assert (again.status_code, again.content) == (201, done.content)
    assert await effects(mark) == 1


class TestWhoAsks:
    """A replay is for whoever could ask anew."""

    @pytest.fixture
    async def person(self, database, mark):
        async with database.session() as session:
            return await identity.upsert_person(session, mark, name="Ada", role=Role.lead)

    async def key_of(self, database, person, role):
        async with database.session() as session:
            _, secret = await identity.create_key(session, name="a key", role=role, person_id=person.id)
        return secret

    async def test_another_credential_of_the_same_person_gets_the_replay(
        self, open_shop, database, person, effects, mark
    ):
        headers = keyed()
        for _ in range(2):
            async with open_shop(credential=await self.key_of(database, person, Role.lead)) as client:
                response = await client.post("/test/orders", json={"mark": mark}, headers=headers)
        assert response.headers[REPLAYED] == "true"
        assert await effects(mark) == 1

    @pytest.mark.parametrize(
        ("path", "refused"),
        [
            ("/test/orders", (403, "permission_denied")),
            ("/test/shops/019a0000-0000-7000-8000-000000000001/orders", (404, "not_found")),
        ],
    )
    async def test_who_has_lost_the_role_is_refused(self, open_shop, database, person, path, refused):
        """By the route's guard, or where it has none by the role that the first request was made with."""
        headers, credential = keyed(), await self.key_of(database, person, Role.lead)
        async with open_shop(credential=credential) as client:
            assert (await client.post(path, json={"mark": "a"}, headers=headers)).status_code == 201
            async with database.session() as session:
                await identity.upsert_person(session, person.external_id, role=Role.customer)
            response = await client.post(path, json={"mark": "a"}, headers=headers)
        assert code(response) == refused

    async def test_who_has_moved_to_another_account_is_refused(
        self, open_shop, database, person, effects, mark
    ):
        headers = keyed()
        async with open_shop(credential=await self.key_of(database, person, Role.agent)) as client:
            assert (
                await client.post("/test/orders", json={"mark": mark}, headers=headers)
            ).status_code == 201
            async with database.session() as session:
                account = await identity.upsert_account(session, mark, "Elsewhere")
                await identity.upsert_person(session, mark, account_id=account.id)
            response = await client.post("/test/orders", json={"mark": mark}, headers=headers)
        assert code(response) == (403, "permission_denied")


class TestKeeping:
    async def age(self, database, key, hours):
        async with database.session() as session:
            await session.execute(
                text(
                    "update idempotency_record set created_at = now() - make_interval(hours => :hours)"
                    " where key = :key"
                ),
                {"hours": hours, "key": key},
            )

    @pytest.mark.parametrize(("hours", "replayed"), [(23, True), (25, False)])
    async def test_a_key_is_kept_for_a_day_and_then_purged(self, agent, database, mark, hours, replayed):
        headers = keyed()
        await agent.post("/test/orders", json={"mark": mark}, headers=headers)
        await self.age(database, headers[KEY], hours)
        assert (await idempotency.purge(database) >= 1) is not replayed
        response = await agent.post("/test/orders", json={"mark": mark}, headers=headers)
        assert (response.status_code, REPLAYED in response.headers) == (201, replayed)

    async def test_an_erased_persons_answers_are_emptied_and_their_keys_stay_used(
        self, as_role, database, mark
    ):
        headers = keyed()
        async with as_role("admin") as client:
            made = await client.post("/v1/identity/people", json={"name": mark}, headers=headers)
            async with database.session() as session:
                assert await idempotency.forget(session, made.json()["id"]) == 1
                assert await idempotency.forget(session, made.json()["id"]) == 0
            again = await client.post("/v1/identity/people", json={"name": mark}, headers=headers)
        assert code(again) == (409, "idempotency_replay_erased")
        async with database.session() as session:
            kept = await session.scalar(
                text("select r::text from idempotency_record r where key = :key"), {"key": headers[KEY]}
            )
        assert mark not in kept
        assert mark.encode().hex() not in kept

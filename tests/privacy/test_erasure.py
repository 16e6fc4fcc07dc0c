"""A person's data handed out, and gone from every table."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt
import pytest
from litestar import Litestar
from sqlalchemy import text

from app.config import Settings
from app.database import Database, create_engine
from app.identity import Role, service
from app.identity.exceptions import PersonDeactivatedError
from app.main import PERSONAL_DATA, create_app
from app.rag.models import Chat

SECRET = "a secret of the host app, long enough for HS256"
PEOPLE = "/v1/identity/people"
TEXT_COLUMNS = """
select table_name::text, column_name::text from information_schema.columns join information_schema.tables
    using (table_schema, table_name)
where table_schema = 'public' and table_type = 'BASE TABLE'
    and data_type in ('text', 'character varying', 'json', 'jsonb', 'bytea', 'ARRAY', 'tsvector',
                      'USER-DEFINED')
"""


@pytest.fixture(scope="module")
async def app(settings: Settings, database: Database, rag: Any) -> Litestar:
    own = replace(settings, jwt_secret=SECRET, jwt_roles=("customer", "agent"))
    return create_app(own, database=database, rag=rag)


@pytest.fixture
async def admin(app: Litestar, keys: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app, keys["admin"]) as client:
        yield client


def client_of(app: Litestar, credential: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app),  # type: ignore[arg-type]  # litestar's own ASGI types
        base_url="http://tridesk.test",
        headers={"Authorization": f"Bearer {credential}"},
    )


def token_of(mark: str) -> str:
    claims = {"sub": f"sub-{mark}", "name": f"Ada {mark}", "email": f"{mark}@example.com"}
    return jwt.encode(claims | {"exp": int(time.time()) + 300}, SECRET, algorithm="HS256")


async def places_of(database: Database, mark: str) -> dict[str, int]:
    """Where in the database the mark stands: column to rows, looked for in whatever can hold text."""
    owner = create_engine(database.dsn("owner"))
    found: dict[str, int] = {}
    async with owner.connect() as connection:
        for table, column in (await connection.execute(text(TEXT_COLUMNS))).all():
            readable = f"encode({column}, 'escape')" if await is_bytes(connection, table, column) else column
            statement = text(f'select count(*) from "{table}" where {readable}::text ilike :mark')
            if rows := await connection.scalar(statement, {"mark": f"%{mark}%"}):
                found[f"{table}.{column}"] = rows
    await owner.dispose()
    return found


async def is_bytes(connection: Any, table: str, column: str) -> bool:
    statement = text(
        "select data_type = 'bytea' from information_schema.columns"
        " where table_schema = 'public' and table_name = :table and column_name = :column"
    )
    return bool(await connection.scalar(statement, {"table": table, "column": column}))


async def live(app: Litestar, admin: httpx.AsyncClient, mark: str) -> str:
    """A customer who has left something in every corner that they can reach; their id."""
    async with client_of(app, token_of(mark)) as client:
        person_id = (await client.get("/v1/identity/me")).json()["person"]["id"]
        headers = {"Idempotency-Key": f"key {uuid4()}"}
        titled = {"title": f"Chat of {mark}"}
        chat = (await client.post("/v1/rag/chats", json=titled, headers=headers)).json()
        body = {"question": f"I am {mark}: what do you know of me?"}
        for path in (f"/v1/rag/chats/{chat['id']}/messages", "/v1/rag/answers"):
            answered = await client.post(path, json=body, headers=headers)
            assert answered.status_code == 200, answered.text
            rated = {"rating": "down", "comment": f"{mark} is not amused"}
            rating = await client.post(f"/v1/rag/answers/{answered.json()['id']}/feedback", json=rated)
            assert rating.status_code == 200
    renamed = await admin.patch(f"{PEOPLE}/{person_id}", json={"name": f"Ada Augusta {mark}"})
    assert renamed.status_code == 200
    key = {"name": f"The phone of {mark}", "role": "customer", "person_id": person_id}
    assert (await admin.post("/v1/identity/keys", json=key)).status_code == 201
    return str(person_id)


async def erase(admin: httpx.AsyncClient, person_id: str) -> dict[str, Any]:
    response = await admin.post(f"{PEOPLE}/{person_id}/erase", json={"confirm": person_id})
    assert response.status_code == 200, response.text
    receipt: dict[str, Any] = response.json()
    return receipt


async def test_after_an_erasure_no_table_holds_a_word_of_the_person(app, admin, database):
    mark = f"zyx{uuid4().hex[:12]}"
    person_id = await live(app, admin, mark)
    before = await places_of(database, mark)
    assert {"person.name", "person.email", "person.external_id", "api_key.name", "event.after"} < set(before)
    assert {"answer.question", "chat.title", "feedback.comment", "idempotency_record.body"} < set(before)
    receipt = await erase(admin, person_id)
    assert await places_of(database, mark) == {}
    counts = receipt["counts"]
    assert counts["rag"] == {"answers": 2, "chats": 1, "documents_unlinked": 0, "feedback": 2}
    assert counts["identity"] == {"api_keys": 1, "people": 1}
    assert counts["events"]["events"] >= 3
    assert counts["idempotency"]["answers"] >= 1


async def test_the_row_that_others_refer_to_stays_and_names_nobody(app, admin):
    mark = f"zyx{uuid4().hex[:12]}"
    person_id = await live(app, admin, mark)
    await erase(admin, person_id)
    person = (await admin.get(f"{PEOPLE}/{person_id}")).json()
    assert (person["name"], person["external_id"], person["email"]) == ("erased person", None, None)
    assert person["active"] is False
    assert person["erased_at"] is not None
    changed = await admin.patch(f"{PEOPLE}/{person_id}", json={"name": "Ada again"})
    assert (changed.status_code, changed.json()["code"]) == (409, "person_erased")


async def test_the_receipt_can_be_read_again_and_a_second_erasure_changes_nothing(app, admin):
    person_id = await live(app, admin, f"zyx{uuid4().hex[:12]}")
    assert (await admin.get(f"{PEOPLE}/{person_id}/erase")).status_code == 404
    receipt = await erase(admin, person_id)
    assert await erase(admin, person_id) == receipt
    assert (await admin.get(f"{PEOPLE}/{person_id}/erase")).json() == receipt
    events = (await admin.get("/v1/events", params={"subject": f"person:{person_id}"})).json()["items"]
    assert [each["type"] for each in events].count("person.erased") == 1


async def test_tokens_and_bulk_do_not_bring_an_erased_person_back(app, admin, database):
    mark = f"zyx{uuid4().hex[:12]}"
    await erase(admin, await live(app, admin, mark))
    async with client_of(app, token_of(mark)) as client:
        response = await client.get("/v1/identity/me")
    assert (response.status_code, response.json()["code"]) == (401, "person_deactivated")
    put = await admin.post(f"{PEOPLE}/bulk", json={"items": [{"external_id": f"sub-{mark}"}]})
    assert put.json()["items"][0]["problem"]["code"] == "person_erased"
    made = await admin.post(PEOPLE, json={"external_id": f"sub-{mark}", "name": "Ada"})
    assert made.json()["code"] == "person_erased"
    assert await places_of(database, mark) == {}


async def test_documents_of_a_member_of_the_staff_stay_without_them(admin, app, database, unique):
    async with database.session() as session:
        person = await service.upsert_person(session, f"writer-{uuid4()}", role=Role.agent)
        _, key = await service.create_key(session, name="writer", role=Role.agent, person_id=person.id)
    async with client_of(app, key) as client:
        shelf = (await client.post("/v1/rag/collections", json={"name": unique})).json()
        body = {"collection_id": shelf["id"], "content": "# Refunds", "title": "Refunds"}
        document = (await client.post("/v1/rag/documents", json=body)).json()
    receipt = await erase(admin, str(person.id))
    assert receipt["counts"]["rag"]["documents_unlinked"] == 1
    assert (await admin.get(f"/v1/rag/documents/{document['id']}")).status_code == 200


async def test_an_erasure_asks_for_the_id_once_more(admin, keys):
    person_id = (await admin.post(PEOPLE, json={"name": "Ada"})).json()["id"]
    response = await admin.post(f"{PEOPLE}/{person_id}/erase", json={"confirm": str(uuid4())})
    assert (response.status_code, response.json()["code"]) == (422, "confirmation_mismatch")
    assert (await admin.get(f"{PEOPLE}/{person_id}")).json()["erased_at"] is None
    unknown = str(uuid4())
    response = await admin.post(f"{PEOPLE}/{unknown}/erase", json={"confirm": unknown})
    assert (response.status_code, response.json()["code"]) == (404, "person_not_found")


async def test_a_write_that_began_before_the_erasure_is_erased_and_one_that_comes_later_is_refused(
    app, admin, database
):
    person_id = UUID(await live(app, admin, f"zyx{uuid4().hex[:12]}"))
    late = f"late{uuid4().hex}"
    async with database.session() as session:
        await service.hold_person(session, person_id)
        session.add(Chat(person_id=person_id, key_id=None, title=late))
        await session.flush()
        erasing = asyncio.create_task(erase(admin, str(person_id)))
        done, _ = await asyncio.wait({erasing}, timeout=0.3)
        assert not done, "the erasure must wait for the write"
    await erasing
    assert await places_of(database, late) == {}
    with pytest.raises(PersonDeactivatedError):
        async with database.session() as session:
            await service.hold_person(session, person_id)


async def test_answers_stored_while_a_person_is_erased_leave_nothing(app, admin, database):
    """Questions under way on ten connections: whatever the order, none is left afterwards."""
    mark = f"zyx{uuid4().hex[:12]}"
    person_id = await live(app, admin, mark)
    async with client_of(app, token_of(mark)) as client:
        body = {"question": f"Once more: who is {mark}?"}
        asking = [asyncio.create_task(client.post("/v1/rag/answers", json=body)) for _ in range(10)]
        await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        await erase(admin, person_id)
        statuses = {(await each).status_code for each in asking}
    assert statuses <= {200, 401}
    assert await places_of(database, mark) == {}


async def test_an_export_has_what_every_room_holds_and_is_the_persons_and_the_admins(app, admin, keys):
    mark = f"zyx{uuid4().hex[:12]}"
    person_id = await live(app, admin, mark)
    async with client_of(app, token_of(mark)) as client:
        own = await client.get(f"{PEOPLE}/{person_id}/export")
        other = await client.get(f"{PEOPLE}/{uuid4()}/export")
    assert own.status_code == 200
    assert own.headers["Cache-Control"] == "no-store"
    body = own.json()
    assert body["person"]["email"] == f"{mark}@example.com"
    assert [each["title"] for each in body["rooms"]["rag"]["chats"]] == [f"Chat of {mark}"]
    assert {each["question"] for each in body["rooms"]["rag"]["answers"]} == {
        f"I am {mark}: what do you know of me?"
    }
    assert [each["name"] for each in body["rooms"]["identity"]["api_keys"]] == [f"The phone of {mark}"]
    assert "secret_hash" not in own.text
    assert set(body["rooms"]) >= {"identity", "rag", "conversations", "mail"}
    assert (other.status_code, other.json()["code"]) == (404, "person_not_found")
    assert (await admin.get(f"{PEOPLE}/{person_id}/export")).json()["rooms"] == body["rooms"]
    for role, status in (("agent", 403), ("lead", 403), ("customer", 404)):
        async with client_of(app, keys[role]) as client:
            assert (await client.get(f"{PEOPLE}/{person_id}/export")).status_code == status


async def test_a_room_that_fails_undoes_the_whole_erasure(settings, database, rag, keys):
    class Failing:
        name = "failing"

        async def hold(self, session: Any, person_id: UUID) -> None:
            return None

        async def export(self, session: Any, person_id: UUID) -> dict[str, Any]:
            return {}

        async def erase(self, session: Any, person_id: UUID) -> dict[str, int]:
            raise RuntimeError("the room is on fire")

    broken = create_app(settings, database=database, rag=rag, personal_data=(*PERSONAL_DATA, Failing()))
    async with database.session() as session:
        person = await service.upsert_person(session, f"p-{uuid4()}", name="Ada")
        session.add(Chat(person_id=person.id, key_id=None, title="kept"))
    async with client_of(broken, keys["admin"]) as client:
        response = await client.post(f"{PEOPLE}/{person.id}/erase", json={"confirm": str(person.id)})
        assert response.status_code == 500
        shown = (await client.get(f"{PEOPLE}/{person.id}")).json()
    assert (shown["name"], shown["erased_at"]) == ("Ada", None)
    async with database.session() as session:
        kept = text("select count(*) from chat where person_id = :id")
        assert await session.scalar(kept, {"id": person.id}) == 1

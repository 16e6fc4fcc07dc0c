"""A stranger's checks: to a customer of another account nothing exists that has an id.

The routes are those of the published document, the ids those of things that exist. A route that takes an id
of a kind that ``make`` does not know fails here: make one of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app import events
from app.database import Database
from app.events import Subject
from app.identity import SYSTEM, Role, service
from app.jobs import enqueue
from app.rag.ingest import IngestJob
from tests.contract.conftest import Operation

JSON = "application/json"
DELIVERY = """
insert into webhook_delivery (endpoint_id, event_id, transaction, number, type, subject_type, subject_id)
select CAST(:endpoint AS uuid), id, transaction, number, type, subject_type, subject_id
from event where id = CAST(:event AS uuid) returning id
"""

CREDIT_NOTE = """
with bill as (
    insert into invoice (provider, external_id, account_id, currency, exponent, status)
    values ('sandbox', :name, CAST(:account AS uuid), 'EUR', 2, 'open') returning id, account_id
)
insert into credit_note
    (provider, external_id, account_id, invoice_id, currency, exponent, subtotal, tax, total, reduces)
select 'tridesk', :name, account_id, id, 'EUR', 2, 100, 0, 100, 100 from bill returning id
"""
PAYMENT = """
insert into payment (provider, external_id, account_id, status, amount, captured, currency, exponent)
values ('manual', :of, :account, 'succeeded', 1000, 1000, 'EUR', 2) returning id
"""


@dataclass(frozen=True)
class World:
    """Who makes things, whose they are, and who is shut out."""

    admin: httpx.AsyncClient
    owner: httpx.AsyncClient
    stranger: httpx.AsyncClient
    account_id: UUID
    person_id: UUID
    session: AsyncSession

    async def make(self, client: httpx.AsyncClient, path: str, **body: Any) -> Any:
        response = await client.post(path, json=body)
        assert response.is_success, response.text
        return response.json()["id"]


async def make(world: World) -> dict[str, Any]:
    """One of each kind, by the name of the path's parameter; the customer's own where customers have such."""
    name = f"stranger {uuid4()}"
    made: dict[str, Any] = {"account_id": world.account_id, "person_id": world.person_id}
    admin, owner = world.admin, world.owner
    key = {"name": name, "role": "customer", "person_id": str(world.person_id)}
    made["key_id"] = await world.make(admin, "/v1/identity/keys", **key)
    made["collection_id"] = await world.make(admin, "/v1/rag/collections", name=name)
    document = {"collection_id": made["collection_id"], "content": "Refunds take 14 days."}
    document["audience"] = f"account:{world.account_id}"
    made["document_id"] = await world.make(admin, "/v1/rag/documents", **document)
    made["chat_id"] = await world.make(owner, "/v1/rag/chats")
    made["answer_id"] = await world.make(owner, "/v1/rag/answers", question="How long do refunds take?")
    upload = await owner.post("/v1/attachments", files={"file": ("note.txt", b"My note.", "text/plain")})
    assert upload.is_success, upload.text
    made["attachment_id"] = upload.json()["id"]
    ticket = {"subject": name, "description": "It stops with error 504."}
    made["ticket_id"] = await world.make(owner, "/v1/technical/tickets", **ticket)
    messages = await owner.get(f"/v1/technical/tickets/{made['ticket_id']}/messages")
    made["message_id"] = messages.json()["items"][0]["id"]
    route = f"/v1/technical/tickets/{made['ticket_id']}"
    made["participant_id"] = await world.make(owner, f"{route}/watchers")
    thing = {"subject_type": "feature_request", "subject_id": str(uuid4())}
    made["reference_id"] = await world.make(admin, f"{route}/references", **thing)
    made["other_id"] = await world.make(owner, "/v1/technical/tickets", **ticket)
    linked = await admin.post(f"{route}/links", json={"kind": "related", "other_id": made["other_id"]})
    assert linked.is_success, linked.text
    issue = {"title": name, "description": "It stops with error 504."}
    made["issue_id"] = await world.make(admin, "/v1/technical/issues", **issue)
    made["team_id"] = await world.make(admin, "/v1/technical/teams", name=name)
    custom = {"key": f"f_{uuid4().hex}", "label": name, "type": "text"}
    made["field_id"] = await world.make(admin, "/v1/technical/fields", **custom)
    made["macro_id"] = await world.make(admin, "/v1/technical/macros", name=name, body="Hello.")
    made["view_id"] = await world.make(admin, "/v1/technical/views", name=name)
    case = {"kind": "invoice_question", "subject": name, "description": "What is this for?"}
    made["case_id"] = await world.make(owner, "/v1/billing/cases", **case)
    made |= {"import_id": await make_import(admin)} | await make_credits(world, name)
    address = f"{uuid4()}@example.com"
    made["suppression_id"] = await world.make(admin, "/v1/mail/suppressions", address=address)
    hours = [{"weekday": "monday", "opens": "09:00", "closes": "17:00"}]
    made["calendar_id"] = await world.make(admin, "/v1/sla/calendars", name=name, zone="UTC", hours=hours)
    targets = [{"kind": "first_response", "seconds": 3600}]
    policy = {"name": name, "calendar_id": made["calendar_id"], "targets": targets}
    made["policy_id"] = await world.make(admin, "/v1/sla/policies", **policy)
    hook = {"url": "https://hooks.example.com/tridesk", "events": ["nothing.happens"]}
    made["webhook_id"] = await world.make(admin, "/v1/webhooks", **hook)
    event = await events.record(
        world.session, "nothing.happens", subject=Subject("test", uuid4()), actor=SYSTEM
    )
    delivery = {"endpoint": made["webhook_id"], "event": event}
    made["delivery_id"] = await world.session.scalar(text(DELIVERY), delivery)
    await enqueue(world.session, f"stranger.{uuid4()}", IngestJob(document_id=uuid4(), version=1))
    made["job_id"] = await world.session.scalar(text("select max(id) from pgqueuer"))
    return made | await make_mirror(world) | await make_billing(world) | await make_features(world)


async def make_features(world: World) -> dict[str, Any]:
    """Of the features desk, on a board that is the customer's account's alone."""
    own = {"visibility": "accounts", "account_ids": [str(world.account_id)]}
    board = {"slug": f"stranger-{uuid4()}", "name": "A board"} | own
    made = {"board_id": await world.make(world.admin, "/v1/features/boards", **board)}
    asked = {"board_id": made["board_id"], "title": f"Something {uuid4()}", "on_duplicate": "create"}
    made["request_id"] = await world.make(world.owner, "/v1/features/requests", **asked)
    route = f"/v1/features/requests/{made['request_id']}"
    made["comment_id"] = await world.make(world.owner, f"{route}/comments", body="Soon, please.")
    said = "We would pay for this at once, all of us."
    wish = {"subject": "A wish", "description": said}
    made["subject_id"] = await world.make(world.owner, "/v1/technical/tickets", **wish)
    quoted = {"type": "ticket", "id": made["subject_id"], "sentence": said}
    made["quote_id"] = await world.make(world.admin, f"{route}/quotes", **quoted)
    draft = {"board_id": made["board_id"], "title": "A release"}
    made["release_id"] = await world.make(world.admin, "/v1/features/releases", **draft)
    wants = await world.owner.put(f"{route}/subscription", json={"comments": True})
    assert wants.is_success, wants.text
    await world.make(world.admin, f"{route}/comments", body="We will see.")
    told = await world.owner.get("/v1/features/notices")
    made["notice_id"] = told.json()["items"][0]["id"]
    cluster = text("insert into feature_cluster default values returning id")
    engine = world.session.bind
    assert isinstance(engine, AsyncEngine)
    async with engine.begin() as connection:
        made["cluster_id"] = (await connection.execute(cluster)).scalar_one()
    return made | {"subject_type": "ticket"}


async def make_mirror(world: World) -> dict[str, Any]:
    """One of each of the payment provider's things, as the customer's account has them."""
    name = f"stranger-{uuid4()}"
    own = {"account_id": str(world.account_id), "currency": "EUR", "external_id": name}
    taken = {"external_id": name, "currency": "EUR", "payment": name, "amount": 100}
    plan = {"plan": "basic", "status": "active", "unit_amount": 1000, "interval": "month"}
    things = {
        "subscription": own | plan,
        "invoice": own | {"status": "open", "total": 0},
        "payment": own | {"status": "succeeded", "amount": 1000},
        "refund": taken | {"status": "succeeded"},
        "dispute": taken | {"status": "needs_response"},
    }
    made: dict[str, Any] = {}
    for kind, item in things.items():
        route, key = f"/v1/billing/{kind}s/import", {"Idempotency-Key": f"{kind}-{name}"}
        sent = await world.admin.post(route, json={"items": [item]}, headers=key)
        assert sent.is_success, sent.text
        made[f"{kind}_id"] = sent.json()["items"][0]["result"]["id"]
    return made


async def make_billing(world: World) -> dict[str, Any]:
    """Of the billing desk, on a payment of the customer's account."""
    engine = world.session.bind
    assert isinstance(engine, AsyncEngine)
    async with engine.begin() as connection:
        paid = await connection.execute(text(PAYMENT), {"of": f"pi_{uuid4()}", "account": world.account_id})
        payment = {"payment_id": str(paid.scalar_one()), "amount": 100, "currency": "EUR", "reason": "other"}
    asked = await world.owner.post(
        "/v1/billing/refund-requests", json=payment, headers={"Idempotency-Key": str(uuid4())}
    )
    assert asked.is_success, asked.text
    return {"refund_request_id": asked.json()["id"], "policy_version": 1}


async def make_credits(world: World, name: str) -> dict[str, Any]:
    credit = {"kind": "service", "amount": 100, "currency": "EUR", "reason": name}
    route = f"/v1/billing/accounts/{world.account_id}/credits"
    granted = await world.admin.post(route, json=credit, headers={"Idempotency-Key": name})
    assert granted.is_success, granted.text
    billed = {"name": name, "account": world.account_id}
    note_id = await world.session.scalar(text(CREDIT_NOTE), billed)
    return {"credit_id": granted.json()["id"], "credit_note_id": note_id}


async def make_import(admin: httpx.AsyncClient) -> str:
    rows = {"file": ("tickets.csv", b"id,subject\n1,Export fails\n", "text/csv")}
    sent = await admin.post("/v1/technical/tickets/import", data={"origin": "stranger"}, files=rows)
    assert sent.is_success, sent.text
    made: str = sent.json()["id"]
    return made


@pytest.fixture
async def world(app: Litestar, database: Database, keys: dict[str, str]) -> Any:
    async def customer(session: AsyncSession) -> tuple[UUID, UUID, str]:
        account = await service.upsert_account(session, f"stranger-{uuid4()}", "An account")
        person = await service.upsert_person(
            session, f"stranger-{uuid4()}", account_id=account.id, sees_account=True
        )
        _, key = await service.create_key(session, name="x", role=Role.customer, person_id=person.id)
        return account.id, person.id, key

    def client(key: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app),  # type: ignore[arg-type]  # litestar's own ASGI types
            base_url="http://tridesk.test",
            headers={"Authorization": f"Bearer {key}"},
        )

    async with database.session() as session:
        account_id, person_id, own = await customer(session)
        _, _, other = await customer(session)
    async with (
        client(keys["admin"]) as admin,
        client(own) as owner,
        client(other) as stranger,
        database.session() as session,
    ):
        yield World(admin, owner, stranger, account_id, person_id, session)


def parameters(operation: Operation) -> list[str]:
    return [each["name"] for each in operation.node.get("parameters", []) if each.get("in") == "path"]


async def ask(client: httpx.AsyncClient, operation: Operation, ids: dict[str, Any]) -> httpx.Response:
    """The operation with these ids, and with the body that the document gives as its example."""
    content = operation.node.get("requestBody", {}).get("content", {})
    body = content[JSON]["example"] if JSON in content else None
    key = {"Idempotency-Key": str(uuid4())} if operation.method == "post" else {}
    path = operation.path.format(**ids)
    return await client.request(operation.method.upper(), path, json=body, headers=key)


async def test_a_customer_of_another_account_gets_404_for_every_id(operations, world):
    """Neither 403 nor anything else tells whether the thing exists: one that does not is answered alike."""
    taking = [each for each in operations if parameters(each) and not each.is_public]
    made = await make(world)
    await world.session.commit()
    unknown = {name: uuid4() for name in made} | {"job_id": 2**53 - 1, "policy_version": 2**31 - 1}
    wrong = {}
    for each in taking:
        missing = set(parameters(each)) - set(made)
        assert not missing, f"{each.id} takes {missing}: make one of it"
        real, none = await ask(world.stranger, each, made), await ask(world.stranger, each, unknown)
        told = [(one.status_code, one.json().get("code")) for one in (real, none)]
        if told[0] != told[1] or told[0][0] != 404:
            wrong[each.id] = told
    assert wrong == {}
    assert len(taking) > 35


async def test_what_the_stranger_tried_did_nothing(operations, world):
    """Everything is still there, as it was: for those who may see it."""
    made = await make(world)
    await world.session.commit()
    readable = [
        each
        for each in operations
        if each.method == "get" and parameters(each) and not each.is_public and each.id != "get_erasure"
    ]
    before = {each.id: await ask(world.admin, each, made) for each in readable}
    for each in operations:
        if parameters(each) and not each.is_public:
            await ask(world.stranger, each, made)
    after = {each.id: await ask(world.admin, each, made) for each in readable}
    found = {name: response.status_code for name, response in before.items()}
    assert {name for name, status in found.items() if status == 200} >= set(found) - {
        "get_document_text",  # not taken in yet
        "get_attachment",  # nobody's but its uploader's until it is sent
        "get_attachment_content",
        "list_sla_holidays",  # asks for more than an id
        "get_ticket_resolution",  # not solved
        "get_ticket_rating",  # nor rated
    }, found
    changed = {name for name, response in after.items() if response.status_code != found[name]}
    assert changed == set()
    same = {
        "get_account",
        "get_person",
        "get_chat",
        "get_answer",
        "get_document",
        "get_collection",
        "get_webhook",
    }
    assert all(before[name].json() == after[name].json() for name in same)


async def test_the_owner_is_let_in_where_the_stranger_is_not(operations, world):
    """So that the 404s above are about who asks, not about ids or bodies that do not work."""
    made = await make(world)
    await world.session.commit()
    let_in = {
        each.id
        for each in operations
        if parameters(each) and not each.is_public and (await ask(world.owner, each, made)).is_success
    }
    assert let_in >= {
        "get_account",
        "get_account_balance",
        "get_account_facts",
        "get_credit_grant",
        "get_credit_note",
        "list_credit_grants",
        "get_refund_request",
        "get_person",
        "export_person",
        "get_chat",
        "list_chat_messages",
        "ask_in_chat",
        "get_answer",
        "rate_answer",
        "get_attachment",
    }

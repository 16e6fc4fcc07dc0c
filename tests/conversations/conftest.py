"""The real app with the test desk in it, and people of every kind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import text

from app import conversations
from app.config import Settings
from app.conversations.models import Conversation
from app.database import Database
from app.identity import Principal, PrincipalKind, Role
from app.identity import service as identity
from app.main import create_app
from tests.conversations.desk import CaseController, subject_of


@dataclass(frozen=True)
class People:
    """Principals, and an API key of each."""

    customer: Principal
    colleague: Principal  # of the same account, sees it
    neighbour: Principal  # of the same account, does not
    stranger: Principal
    agent: Principal
    lead: Principal
    keys: dict[UUID, str] = field(repr=False)


@pytest.fixture(scope="session")
async def people(database: Database) -> People:
    keys: dict[UUID, str] = {}
    made: dict[str, Principal] = {}
    async with database.session() as session:
        ours = await identity.upsert_account(session, f"a-{uuid4()}", "Ours")
        theirs = await identity.upsert_account(session, f"a-{uuid4()}", "Theirs")
        for name, role, account in (
            ("customer", Role.customer, ours),
            ("colleague", Role.customer, ours),
            ("neighbour", Role.customer, ours),
            ("stranger", Role.customer, theirs),
            ("agent", Role.agent, None),
            ("lead", Role.lead, None),
        ):
            person = await identity.upsert_person(
                session,
                f"p-{uuid4()}",
                name=f"The {name}",
                email=f"{name}-{uuid4().hex[:8]}@example.com",
                account_id=account.id if account else None,
                role=role,
            )
            person.sees_account = name == "colleague"
            _, keys[person.id] = await identity.create_key(session, name=name, role=role, person_id=person.id)
            made[name] = Principal(
                kind=PrincipalKind.api_key,
                role=role,
                person_id=person.id,
                account_id=person.account_id,
                name=person.name,
                sees_account=name == "colleague",
            )
    return People(**made, keys=keys)


@pytest.fixture(scope="session")
async def app(settings: Settings, database: Database, rag: Any) -> Litestar:
    app = create_app(settings, database=database, rag=rag)
    app.register(CaseController)
    return app


@pytest.fixture
async def of(app: Litestar, people: People) -> AsyncIterator[Callable[[Principal], httpx.AsyncClient]]:
    """``of(people.agent)`` is a client with that person's key."""
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # litestar's own ASGI types
    async with AsyncExitStack() as stack:
        clients: dict[UUID, httpx.AsyncClient] = {}
        for person_id, key in people.keys.items():
            headers = {"Authorization": f"Bearer {key}"}
            client = httpx.AsyncClient(transport=transport, base_url="http://tridesk.test", headers=headers)
            clients[person_id] = await stack.enter_async_context(client)
        yield lambda principal: clients[principal.person_id]


@pytest.fixture
def opened(database: Database, people: People) -> Callable[..., Awaitable[Conversation]]:
    """``await opened()`` is a committed conversation of the customer's."""

    async def make(requester: Principal | None = people.customer) -> Conversation:
        async with database.session() as session:
            return await conversations.open_conversation(
                session,
                subject_of(uuid4()),
                actor=people.agent,
                account_id=requester.account_id if requester else None,
                requester_id=requester.person_id if requester else None,
            )

    return make


@pytest.fixture
def post(database: Database) -> Callable[..., Awaitable[conversations.Posted]]:
    """``await post(conversation, author, "text")`` posts in a transaction of its own."""

    async def make(conversation: Conversation, author: Principal, body: str = "hello", **options: Any) -> Any:
        async with database.session() as session:
            return await conversations.post(session, conversation, author=author, body=body, **options)

    return make


@pytest.fixture
def upload(database: Database) -> Callable[..., Awaitable[UUID]]:
    """``await upload(principal, b"content", "name.txt")`` is the id of a stored upload."""

    async def make(
        uploader: Principal, content: bytes = b"a text", name: str = "a.txt", **options: Any
    ) -> UUID:
        async with database.session() as session:
            stored = await conversations.attachments.store(
                session, uploader=uploader, content=content, name=name, maximum=10**6, **options
            )
            return stored.id

    return make


@pytest.fixture
def sent(
    opened: Any, post: Any, upload: Any, people: People
) -> Callable[..., Awaitable[tuple[Any, Any, UUID]]]:
    """``await sent("text")`` is a conversation, the customer's post in it, and the id of the post's file."""

    async def make(body: str = "", **file: Any) -> tuple[Conversation, conversations.Posted, UUID]:
        conversation = await opened()
        attachment = await upload(people.customer, **file)
        return (
            conversation,
            await post(conversation, people.customer, body, attachments=[attachment]),
            attachment,
        )

    return make


@pytest.fixture
def events_of(database: Database) -> Callable[[UUID], Awaitable[list[dict[str, Any]]]]:
    """The events about a subject, in their order."""

    async def read(subject_id: UUID) -> list[dict[str, Any]]:
        statement = text("select * from event where subject_id = :id order by transaction, number")
        async with database.session() as session:
            return [dict(row) for row in (await session.execute(statement, {"id": subject_id})).mappings()]

    return read

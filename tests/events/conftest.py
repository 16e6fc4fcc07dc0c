"""Events of a test's own, and readers with keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from litestar import Litestar

from app.database import Database
from app.events import Subject, record
from app.identity import SYSTEM, Principal, PrincipalKind, Role
from app.identity import service as identity

Write = Callable[..., Awaitable[UUID]]


@dataclass(frozen=True)
class Reader:
    """Somebody with an API key."""

    principal: Principal
    key: str
    client: httpx.AsyncClient

    @property
    def person_id(self) -> UUID:
        assert self.principal.person_id is not None
        return self.principal.person_id

    async def list(self, **query: Any) -> list[dict[str, Any]]:
        """All pages of /v1/events."""
        items: list[dict[str, Any]] = []
        while True:
            response = await self.client.get("/v1/events", params={"limit": 100, **query})
            assert response.status_code == 200, response.text
            items += response.json()["items"]
            if (cursor := response.json()["next_cursor"]) is None:
                return items
            query = {**{name: each for name, each in query.items() if name != "after"}, "cursor": cursor}


@pytest.fixture
async def make_reader(app: Litestar, database: Database) -> AsyncIterator[Callable[..., Awaitable[Reader]]]:
    """``await make_reader(Role.customer, account_id=…, sees_account=True)``."""
    clients: list[httpx.AsyncClient] = []

    async def make(role: Role, *, account_id: UUID | None = None, sees_account: bool = False) -> Reader:
        async with database.session() as session:
            person = await identity.upsert_person(
                session, f"reader-{uuid4()}", name="A reader", account_id=account_id, role=role
            )
            if sees_account:
                person.sees_account = True
                await session.flush()
            key, text = await identity.create_key(session, name="reader", role=role, person_id=person.id)
            principal = (await identity.authenticate_key(session, text)).principal
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app),  # type: ignore[arg-type]  # litestar's own ASGI types
            base_url="http://tridesk.test",
            headers={"Authorization": f"Bearer {text}"},
        )
        clients.append(client)
        assert key.id == principal.key_id
        return Reader(principal, text, client)

    yield make
    for each in clients:
        await each.aclose()


@pytest.fixture
async def make_account(database: Database) -> Callable[[], Awaitable[UUID]]:
    """The id of a new account."""

    async def make() -> UUID:
        async with database.session() as session:
            return (await identity.upsert_account(session, f"account-{uuid4()}", "An account")).id

    return make


@pytest.fixture
def write(database: Database) -> Write:
    """``await write("ticket.created", subject)`` in a transaction of its own; the event's id."""

    async def write_one(
        kind: str, subject: Subject | None = None, *, actor: Principal = SYSTEM, **fields: Any
    ) -> UUID:
        async with database.session() as session:
            return await record(
                session, kind, subject=subject or Subject("ticket", uuid4()), actor=actor, **fields
            )

    return write_one


@pytest.fixture
def subject() -> Subject:
    """A subject that no other test has."""
    return Subject("ticket", uuid4())


async def until(condition: Callable[[], object]) -> None:
    """Wait for what nobody tells of."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)


def named(subject: Subject) -> str:
    """As the filter is written."""
    return f"{subject.type}:{subject.id}"


STAFF = Principal(
    kind=PrincipalKind.api_key,
    role=Role.agent,
    person_id=uuid4(),
    account_id=None,
    name="An agent",
    key_id=uuid4(),
)

"""Callers of the desks' tests: people with keys of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from uuid import UUID, uuid4

import httpx
import pytest
from litestar import Litestar

from app.database import Database
from app.identity import Principal, PrincipalKind, Role
from app.identity import service as identity

MakeCaller = Callable[..., Awaitable["Caller"]]


@dataclass(frozen=True)
class Caller:
    """Somebody with a key of their own, over HTTP and as the services know them."""

    client: httpx.AsyncClient
    principal: Principal
    person_id: UUID
    account_id: UUID | None


@pytest.fixture
async def caller(app: Litestar, database: Database) -> AsyncIterator[MakeCaller]:
    """``await caller("agent")`` is a new agent; ``await caller("customer", account_id=…)`` a colleague."""
    async with AsyncExitStack() as stack:

        async def make(
            role: str = "customer", *, account_id: UUID | None = None, sees_account: bool = False
        ) -> Caller:
            name = f"{role}-{uuid4()}"
            async with database.session() as session:
                if role == "customer" and account_id is None:
                    account_id = (await identity.upsert_account(session, name, name)).id
                person = await identity.upsert_person(
                    session,
                    name,
                    name=f"A {role}",
                    email=f"{name}@example.com",
                    account_id=account_id,
                    role=Role(role),
                    sees_account=sees_account,
                )
                row, key = await identity.create_key(session, name=name, role=Role(role), person_id=person.id)
                principal = Principal(
                    kind=PrincipalKind.api_key,
                    role=Role(role),
                    person_id=person.id,
                    account_id=account_id,
                    name=person.name,
                    key_id=row.id,
                    sees_account=sees_account,
                )
            client = httpx.AsyncClient(
                transport=httpx.ASGITransport(app=app),  # type: ignore[arg-type]  # litestar's own ASGI types
                base_url="http://tridesk.test",
                headers={"Authorization": f"Bearer {key}"},
            )
            await stack.enter_async_context(client)
            return Caller(client, principal, principal.person_id or UUID(int=0), account_id)

        yield make

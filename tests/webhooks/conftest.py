"""Endpoints of a test's own, events that only they want, and dispatchers that a test starts and stops."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.database import Database
from app.events import Subject
from app.identity import SYSTEM
from app.webhooks import WebhookDispatcher
from app.webhooks.models import WebhookDelivery, WebhookEndpoint
from app.webhooks.service import endpoints

QUICK = tuple([timedelta(milliseconds=50)] * 9)
_numbers = itertools.count()


@dataclass
class Desk:
    """A kind of thing that only this test knows; its events and its endpoints."""

    database: Database
    kind: str = field(default_factory=lambda: f"thing{next(_numbers)}_{secrets.token_hex(4)}")

    async def endpoint(
        self, url: str, filters: Sequence[str] | None = None, **fields: Any
    ) -> WebhookEndpoint:
        async with self.database.session() as session:
            return await endpoints.create(
                session,
                url=url,
                events=filters or [f"{self.kind}.*"],
                description=self.kind,
                enabled=fields.get("enabled", True),
                principal=SYSTEM,
                allow_private=True,
            )

    async def happen(self, *numbers: int, subject: UUID | None = None, kind: str = "made") -> UUID:
        """Record one event a number, in one transaction, about one subject."""
        subject = subject or uuid4()
        async with self.database.session() as session:
            for number in numbers:
                await self.record(session, number, subject=subject, kind=kind)
        return subject

    async def record(self, session: AsyncSession, number: int, *, subject: UUID, kind: str = "made") -> None:
        """Record an event in the caller's transaction."""
        subject_of, after = Subject(self.kind, subject), {"n": number}
        await events.record(session, f"{self.kind}.{kind}", subject=subject_of, actor=SYSTEM, after=after)

    async def read(self, endpoint_id: UUID) -> WebhookEndpoint:
        async with self.database.session() as session:
            return await endpoints.get(session, endpoint_id)

    async def switch(self, endpoint_id: UUID, *, on: bool) -> WebhookEndpoint:
        async with self.database.session() as session:
            return await endpoints.change(
                session, endpoint_id, principal=SYSTEM, allow_private=True, enabled=on
            )

    async def log(self, endpoint_id: UUID) -> list[WebhookDelivery]:
        """Its deliveries, in the order of the events."""
        async with self.database.session() as session:
            found = await session.scalars(
                select(WebhookDelivery)
                .where(WebhookDelivery.endpoint_id == endpoint_id)
                .order_by(WebhookDelivery.transaction, WebhookDelivery.number)
            )
            return list(found)

    async def waiting(self, endpoint_id: UUID) -> int:
        """How many rows its queue has."""
        async with self.database.session() as session:
            statement = text("select count(*) from webhook_queue where endpoint_id = :id")
            return int(await session.scalar(statement, {"id": endpoint_id}) or 0)

    async def types(self, subject_id: UUID) -> list[str]:
        """Types of the events about a subject, in order."""
        async with self.database.session() as session:
            statement = text('select type from event where subject_id = :id order by "transaction", number')
            return list(await session.scalars(statement, {"id": subject_id}))

    def dispatcher(self, **options: Any) -> WebhookDispatcher:
        return WebhookDispatcher(self.database, **{"allow_private": True, "retries": QUICK} | options)

    @asynccontextmanager
    async def dispatching(self, workers: int = 1, **options: Any) -> AsyncIterator[None]:
        """Some dispatchers, until the block ends; one that raises fails the test."""
        stopping = asyncio.Event()
        running = [asyncio.create_task(self.dispatcher(**options).run(stopping)) for _ in range(workers)]
        try:
            yield
        finally:
            stopping.set()
            await asyncio.gather(*running)


@pytest.fixture
async def desk(database: Database) -> AsyncIterator[Desk]:
    """A desk whose endpoints are gone afterwards, and others' before: dispatchers would send to them, too."""
    desk = Desk(database)
    async with database.session() as session:
        await session.execute(delete(WebhookEndpoint))
    yield desk
    async with database.session() as session:
        await session.execute(delete(WebhookEndpoint).where(WebhookEndpoint.description == desk.kind))

"""Putting jobs into the queue, in the transaction of the change that needs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.queries import Queries
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


async def enqueue(session: AsyncSession, entrypoint: str, payload: Any) -> None:
    """Queue a job that exists exactly when the session's transaction commits; ``payload`` becomes JSON."""
    await enqueue_all(session, entrypoint, [payload])


async def enqueue_all(session: AsyncSession, entrypoint: str, payloads: Sequence[Any]) -> None:
    """Queue several jobs in one statement, likewise.

    SQLAlchemy's asyncpg adapter sends BEGIN at its own first statement, so a job enqueued on the raw
    connection before that would commit at once and survive a rollback: hence the statement that goes ahead.
    """
    if not payloads:
        return
    await session.execute(text("select 1"))
    connection = await (await session.connection()).get_raw_connection()
    driver = connection.driver_connection
    if driver is None:
        raise RuntimeError("the session has no driver connection")
    count = len(payloads)
    encoded: list[bytes | None] = [msgspec.json.encode(payload) for payload in payloads]
    await Queries(AsyncpgDriver(driver)).enqueue([entrypoint] * count, encoded, [0] * count)

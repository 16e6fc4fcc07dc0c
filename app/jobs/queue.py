"""Putting a job into the queue, in the transaction of the change that needs it."""

from __future__ import annotations

from typing import Any

import msgspec
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.queries import Queries
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


async def enqueue(session: AsyncSession, entrypoint: str, payload: Any) -> None:
    """Queue a job that exists exactly when the session's transaction commits.

    ``payload`` is sent as JSON. SQLAlchemy's asyncpg adapter sends BEGIN at its own first statement, so
    a job enqueued on the raw connection before that would commit at once and survive a rollback: hence
    the statement that goes ahead.
    """
    await session.execute(text("select 1"))
    connection = await (await session.connection()).get_raw_connection()
    driver = connection.driver_connection
    if driver is None:
        raise RuntimeError("the session has no driver connection")
    await Queries(AsyncpgDriver(driver)).enqueue([entrypoint], [msgspec.json.encode(payload)], [0])

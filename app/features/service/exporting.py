"""Requests as CSV that our own import reads: each once, some hundred at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database
from app.features.models import VOTERS, Request
from app.features.service.requests import REQUESTS as LISTED
from app.features.utils.numbers import REQUESTS
from app.identity.models import Person
from app.spreadsheets import BOM, lines

BATCH = 500
COLUMNS = (
    *("id", "number", "title", "body", "status", "tags", "votes"),
    *("author_email", "voter_emails", "external_id", "planned_for", "created_at", "updated_at", "shipped_at"),
)
FIRST = "number"  # the order: nothing that a request's changes move


async def as_csv(
    database: Database, wanted: Select[Request], *, spreadsheet: bool
) -> AsyncGenerator[bytes, None]:
    """The requests of a statement, oldest first; first the titles, with the first batch.

    A connection is held while a batch is read, never while a client reads.
    """
    head, cursor = (BOM if spreadsheet else b"") + lines([COLUMNS]), None
    while True:
        async with database.session() as session:
            found = await LISTED.fetch(session, wanted, limit=BATCH, sort=FIRST, cursor=cursor, filters={})
            rows = await _rows(session, found.rows)
        yield head + lines(rows, spreadsheet=spreadsheet)
        head, cursor = b"", found.next_cursor
        if cursor is None:
            return


async def _rows(session: AsyncSession, requests: Sequence[Request]) -> list[list[Any]]:
    voters = await _voters(session, [each.id for each in requests])
    authors = select(Person.id, Person.email).where(Person.id.in_({each.author_id for each in requests}))
    emails = {each.id: each.email for each in await session.execute(authors)}
    return [
        [
            *(each.id, REQUESTS.shown(each.number), each.title, each.body, each.status),
            *(", ".join(each.tags), each.votes),
            *(emails.get(each.author_id) if each.author_id else None, " ".join(voters.get(each.id, ()))),
            *(each.external_id, each.planned_for, each.created_at.isoformat(), each.updated_at.isoformat()),
            each.shipped_at.isoformat() if each.shipped_at else None,
        ]
        for each in requests
    ]


async def _voters(session: AsyncSession, request_ids: Sequence[UUID]) -> dict[UUID, list[str]]:
    """Addresses of who votes for each."""
    statement = (
        select(VOTERS.c.root_id, func.array_agg(Person.email))
        .join(Person, Person.id == VOTERS.c.person_id)
        .where(VOTERS.c.root_id.in_(request_ids), Person.email.is_not(None))
        .group_by(VOTERS.c.root_id)
    )
    return {root_id: sorted(emails) for root_id, emails in await session.execute(statement)}

"""What is told of imports and of their errors; ending and forgetting them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, and_, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database
from app.identity.principal import Principal
from app.listing import Listed, Listing, any_of
from app.spreadsheets import cell, lines
from app.technical.constants import ImportStatus
from app.technical.exceptions import ImportNotFoundError, ImportOverError
from app.technical.models import TicketImport, TicketImportChunk, TicketImportError
from app.technical.schemas.imports import ImportErrorView, TicketImportView
from app.technical.service.importing.running import end

IMPORTS = Listing(TicketImport, sorts={"created_at": TicketImport.created_at}, default="-created_at")
ERRORS = Listing(TicketImportError, sorts={"line": TicketImportError.line}, default="line")
FIELDS = [each.name for each in msgspec.structs.fields(TicketImportView)]
KEPT = timedelta(days=30)  # errors with their raw rows, after the end of their import
PURGE_HOURS = 1.0
COLUMNS = ("line", "external_id", "field", "message", "raw")
PAGE = 500


async def get(session: AsyncSession, import_id: UUID) -> TicketImport:
    """The import; ``ImportNotFoundError``."""
    found = await session.get(TicketImport, import_id, populate_existing=True)
    if found is None:
        raise ImportNotFoundError("There is no such import.")
    return found


async def page(
    session: AsyncSession,
    *,
    status: Sequence[ImportStatus] | None,
    sort: str | None,
    total: bool,
    limit: int,
    cursor: str | None,
) -> Listed[TicketImport]:
    """One page of imports."""
    statement = select(TicketImport).where(any_of(TicketImport.status, status))
    filters = {"status": status}
    return await IMPORTS.fetch(
        session, statement, sort=sort, total=total, limit=limit, cursor=cursor, filters=filters
    )


async def errors(
    session: AsyncSession, import_id: UUID, *, limit: int, cursor: str | None, total: bool
) -> Listed[TicketImportError]:
    """One page of what is wrong with an import's rows, in the order of their lines."""
    row = await get(session, import_id)
    statement = select(TicketImportError).where(TicketImportError.import_id == row.id)
    filters = {"import_id": row.id}
    return await ERRORS.fetch(session, statement, limit=limit, cursor=cursor, total=total, filters=filters)


async def cancel(session: AsyncSession, import_id: UUID, *, actor: Principal) -> TicketImport:
    """End an import after the batch under way: what was taken in stays. ``ImportOverError``."""
    row = await session.get(TicketImport, import_id, with_for_update={"key_share": True})
    if row is None:
        raise ImportNotFoundError("There is no such import.")
    if row.status not in (ImportStatus.queued, ImportStatus.running):
        raise ImportOverError("The import is over.", status=row.status)
    await end(session, row, ImportStatus.canceled, actor=actor)
    await session.refresh(row)
    return row


def show(row: TicketImport) -> TicketImportView:
    """As the API shows it."""
    return msgspec.convert({name: getattr(row, name) for name in FIELDS}, TicketImportView)


def show_error(row: TicketImportError) -> ImportErrorView:
    """As the API shows it."""
    return ImportErrorView(
        id=row.id,
        line=row.line,
        external_id=row.external_id,
        field=row.field,
        message=row.message,
        raw=row.raw,
    )


async def as_csv(database: Database, import_id: UUID) -> AsyncIterator[bytes]:
    """The errors as CSV, some at a time; a cell that a spreadsheet would run begins with an apostrophe."""
    yield lines([COLUMNS])
    after: tuple[int, UUID] | None = None
    while True:
        async with database.session() as session:
            rows = (await session.scalars(_next(import_id, after))).all()
        if rows:
            yield lines([[cell(getattr(row, name)) for name in COLUMNS] for row in rows])
            after = (rows[-1].line, rows[-1].id)
        if len(rows) < PAGE:
            return


async def purge(database: Database) -> int:
    """Forget errors and files of imports that ended 30 days ago; how many rows went."""
    old = select(TicketImport.id).where(TicketImport.finished_at < func.now() - KEPT)
    async with database.session() as session:
        gone = await session.scalars(
            delete(TicketImportError)
            .where(TicketImportError.import_id.in_(old))
            .returning(TicketImportError.id)
        )
        await session.execute(delete(TicketImportChunk).where(TicketImportChunk.import_id.in_(old)))
        return len(gone.all())


def _next(import_id: UUID, after: tuple[int, UUID] | None) -> Any:
    statement = select(TicketImportError).where(TicketImportError.import_id == import_id)
    if after is not None:
        line, identity = after
        further: ColumnElement[bool] = or_(
            TicketImportError.line > line,
            and_(TicketImportError.line == line, TicketImportError.id > identity),
        )
        statement = statement.where(further)
    return statement.order_by(TicketImportError.line, TicketImportError.id).limit(PAGE)

"""The job of an import: some rows a transaction, with the place that was reached.

A process that is killed loses the transaction under way and nothing else: whoever goes on begins at the place
that was committed. After ``SLICE_SECONDS`` a job ends and queues the next one, so that a worker can stop.
"""

from __future__ import annotations

import logging
import time
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database, is_database_away
from app.identity.principal import SYSTEM
from app.jobs import LAST_ATTEMPT, enqueue
from app.technical.constants import IMPORT_JOB, ImportStatus
from app.technical.desk import Desk
from app.technical.importing.incoming import FieldProblem, RowRefusedError
from app.technical.importing.mapping import Reading
from app.technical.importing.records import Layout, read_records
from app.technical.models import TicketImport
from app.technical.service.importing.reading import Batch, read_ahead
from app.technical.service.importing.taking import Taking
from app.technical.service.importing.uploads import ImportJob, forget_file, read_from, record

logger = logging.getLogger(__name__)

SLICE_SECONDS = 15.0
ORIGIN_LOCK = 0x7472_6964  # first half of the advisory locks that keep imports of one origin apart
LOCK_ORIGIN = text("select pg_advisory_xact_lock(:key, hashtext(:origin))")
ATTEMPTS = 3  # of a batch that others are in the way of
PASSING = frozenset({"40P01", "40001", "55P03"})


class Importer:
    """The handler of ``IMPORT_JOB``."""

    def __init__(self, database: Database, desk: Desk) -> None:
        self._database = database
        self._desk = desk

    async def handle(self, payload: bytes, attempts: int) -> None:
        """Work on an import for a while. What the last attempt fails of is written on the import."""
        import_id = msgspec.json.decode(payload, type=ImportJob).import_id
        try:
            await self.run(import_id)
        except Exception as error:
            if attempts >= LAST_ATTEMPT and not is_database_away(error):
                await self._give_up(import_id, type(error).__name__)
            raise

    async def run(self, import_id: UUID, *, seconds: float = SLICE_SECONDS) -> None:
        """Take rows in until the file ends, or queue the rest after ``seconds``."""
        row = await self._begin(import_id)
        if row is None or row.layout is None:
            return
        until = time.monotonic() + seconds
        layout = msgspec.convert(row.layout, Layout)
        reading = Reading(columns=row.mapping, values=row.value_mapping, zone=ZoneInfo(row.zone))
        pieces = read_from(self._database, import_id, row.offset_bytes)
        records = read_records(pieces, layout, offset=row.offset_bytes, line=row.line)
        async with aclosing(read_ahead(records, row.offset_bytes, reading)) as batches:
            async for batch in batches:
                if not await self._take(import_id, batch, reading):
                    return
                if time.monotonic() > until:
                    await self._queue_rest(import_id)
                    return
        await self._finish(import_id)

    async def _begin(self, import_id: UUID) -> TicketImport | None:
        """The import, running, its rows counted; None when it is over."""
        async with self._database.session() as session:
            row = await _lock(session, import_id)
            if row is None or row.status not in (ImportStatus.queued, ImportStatus.running):
                return None
            if row.status == ImportStatus.queued:
                row.status, row.started_at = ImportStatus.running, datetime.now(UTC)
                row.version += 1
                await record(
                    session, "ticket_import.started", row, actor=SYSTEM, after={"status": row.status}
                )
            counted = row.rows_total is not None
        if not counted and row.layout is not None:
            total = await self._count(row)
            async with self._database.session() as session:
                again = await _lock(session, import_id)
                if again is not None:
                    again.rows_total = total
        return row

    async def _count(self, row: TicketImport) -> int:
        layout = msgspec.convert(row.layout, Layout)
        pieces = read_from(self._database, row.id, layout.start)
        return sum([1 async for _ in read_records(pieces, layout, offset=layout.start, line=layout.line)])

    async def _take(self, import_id: UUID, batch: Batch, reading: Reading) -> bool:
        """Take a batch in, or when that fails its halves, down to the row that it is about."""
        for attempt in range(ATTEMPTS):
            try:
                return await self._take_whole(import_id, batch, reading)
            except Exception as error:
                if is_database_away(error):
                    raise
                if attempt + 1 < ATTEMPTS and _is_passing(error):
                    continue
                if len(batch.records) == 1:
                    logger.exception("a row of an import cannot be stored")
                    refused = RowRefusedError(FieldProblem("row", f"Cannot be stored ({_reason(error)})"))
                    unusable = Batch(batch.start, batch.records, [refused])
                    return await self._take_whole(import_id, unusable, reading)
                break
        first, rest = batch.halves()
        return await self._take(import_id, first, reading) and await self._take(import_id, rest, reading)

    async def _take_whole(self, import_id: UUID, batch: Batch, reading: Reading) -> bool:
        """One transaction; whether the import goes on, and this is who does it."""
        async with self._database.session() as session:
            row = await _lock(session, import_id)
            if row is None or row.status != ImportStatus.running or row.offset_bytes != batch.start:
                return False
            if not row.dry_run:
                await session.execute(LOCK_ORIGIN, {"key": ORIGIN_LOCK, "origin": row.origin})
            await Taking(session, self._desk, row, reading).take(batch)
        return True

    async def _queue_rest(self, import_id: UUID) -> None:
        async with self._database.session() as session:
            await enqueue(session, IMPORT_JOB, ImportJob(import_id))

    async def _finish(self, import_id: UUID) -> None:
        async with self._database.session() as session:
            row = await _lock(session, import_id)
            if row is not None and row.status == ImportStatus.running:
                await end(session, row, ImportStatus.done)

    async def _give_up(self, import_id: UUID, reason: str) -> None:
        async with self._database.session() as session:
            row = await _lock(session, import_id)
            if row is not None and row.status in (ImportStatus.queued, ImportStatus.running):
                row.problem = f"Stopped at line {row.line}: {reason}"
                await end(session, row, ImportStatus.failed)


async def end(session: AsyncSession, row: TicketImport, status: ImportStatus, *, actor: Any = SYSTEM) -> None:
    """Close a locked import: its file goes, its counts and errors stay."""
    row.status, row.finished_at, row.version = status, datetime.now(UTC), row.version + 1
    await forget_file(session, row.id)
    counts = {name: getattr(row, name) for name in ("created", "updated", "unchanged", "failed")}
    past = {ImportStatus.done: "finished"}.get(status, status)
    await record(session, f"ticket_import.{past}", row, actor=actor, after={"status": status} | counts)
    await session.flush()


async def _lock(session: AsyncSession, import_id: UUID) -> TicketImport | None:
    return await session.get(
        TicketImport, import_id, with_for_update={"key_share": True}, populate_existing=True
    )


def _is_passing(error: Exception) -> bool:
    """Whether others were in the way: a deadlock, a lock that was not to be had."""
    code = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
    return isinstance(error, DBAPIError) and code in PASSING


def _reason(error: Exception) -> str:
    """What it is called; its words quote values."""
    origin = getattr(error, "orig", None) or error
    return type(getattr(origin, "__cause__", None) or origin).__name__

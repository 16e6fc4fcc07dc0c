"""Rows as the job takes them: read and rendered in a thread, a batch ahead of what is being stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from app.conversations.rendering import render
from app.technical.importing.incoming import FieldProblem, IncomingTicket, RowRefusedError
from app.technical.importing.mapping import Reading, to_ticket
from app.technical.importing.records import Record

BATCH = 250  # rows of a transaction
BATCH_BYTES = 2 * 2**20

Row = IncomingTicket | RowRefusedError


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that follow each other, from ``start`` on, with what they were read as."""

    start: int
    records: Sequence[Record]
    rows: Sequence[Row]

    def halves(self) -> tuple[Batch, Batch]:
        """The first half and the rest; of two rows at least."""
        middle = len(self.records) // 2
        first = Batch(self.start, self.records[:middle], self.rows[:middle])
        return first, Batch(self.records[middle - 1].end, self.records[middle:], self.rows[middle:])


async def read_ahead(
    records: AsyncIterator[Record], start: int, reading: Reading
) -> AsyncGenerator[Batch, None]:
    """Batches, each of which is read in a thread while the one before is stored."""
    coming = asyncio.create_task(_next(records, start, reading))
    try:
        while (batch := await coming) is not None:
            coming = asyncio.create_task(_next(records, batch.records[-1].end, reading))
            yield batch
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


async def _next(records: AsyncIterator[Record], start: int, reading: Reading) -> Batch | None:
    """Some rows from ``start`` on; None at the end."""
    batch: list[Record] = []
    size = 0
    async for each in records:
        batch.append(each)
        size += len(each.raw)
        if len(batch) >= BATCH or size >= BATCH_BYTES:
            break
    return Batch(start, batch, await asyncio.to_thread(_read, batch, reading)) if batch else None


def _read(batch: Sequence[Record], reading: Reading) -> list[Row]:
    now = datetime.now(UTC)
    return [_read_one(each, reading, now) for each in batch]


def _read_one(record_: Record, reading: Reading, now: datetime) -> Row:
    if record_.problem is not None:
        return RowRefusedError(FieldProblem("row", record_.problem))
    try:
        ticket = to_ticket(record_.fields, reading, line=record_.line, now=now)
        for each in ticket.messages:
            each.rendered = render(each.body, each.format)
        return ticket
    except RowRefusedError as refused:
        return refused

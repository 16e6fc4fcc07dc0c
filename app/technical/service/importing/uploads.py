"""An upload, stored as UTF-8 in pieces, and read again from anywhere in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import IO, Any
from uuid import UUID

import msgspec
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.database import Database
from app.encodings import Encoding, Sniffer, as_utf8
from app.events import Subject
from app.identity.principal import Principal
from app.jobs import enqueue
from app.technical.constants import IMPORT_JOB, UnknownPeople
from app.technical.exceptions import InvalidImportError
from app.technical.importing.names import is_target
from app.technical.importing.records import Format, Layout, LayoutError, lay_out
from app.technical.models import TicketImport, TicketImportChunk

CHUNK = 512 * 1024  # bytes
MAPPED_MAX = 200  # columns of a mapping
MAPPED_LENGTH = 200  # characters of a name in it
GUESSED = "Read as Latin-1 (Windows-1252), since it is not UTF-8: look at names with accents"


class ImportJob(msgspec.Struct, frozen=True):
    """What the queue carries."""

    import_id: UUID


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """What somebody sent. ``format`` None: to be found out. ``mapping``: their column → our field."""

    file: IO[bytes]
    filename: str | None
    origin: str
    format: Format | None
    mapping: Mapping[str, str | None]
    value_mapping: Mapping[str, Mapping[str, str]]
    unknown_people: UnknownPeople
    zone: str
    dry_run: bool


async def create(session: AsyncSession, upload: Upload, *, actor: Principal) -> TicketImport:
    """Store a file and queue its import. ``InvalidImportError`` for what is no list of tickets at all."""
    _check_mapping(upload)
    row = TicketImport(
        origin=upload.origin,
        filename=upload.filename,
        mapping=dict(upload.mapping),
        value_mapping={name: _lower(values) for name, values in upload.value_mapping.items()},
        unknown_people=upload.unknown_people,
        zone=upload.zone,
        dry_run=upload.dry_run,
        created_by_id=actor.person_id,
    )
    session.add(row)
    await session.flush()
    encoding = await asyncio.to_thread(_sniff, upload.file)
    row.encoding, row.size_bytes = encoding, await _store(session, row.id, upload.file, encoding)
    layout = await _laid_out(session, row.id, upload.format)
    row.format, row.layout = layout.format, msgspec.to_builtins(layout)
    row.offset_bytes, row.line = layout.start, layout.line
    if encoding is Encoding.latin1:
        row.warnings = [{"field": "file", "message": GUESSED, "rows": 0, "line": 1}]
    await session.flush()
    await session.refresh(row)
    told = {name: getattr(row, name) for name in ("origin", "format", "dry_run", "status", "unknown_people")}
    await record(session, "ticket_import.created", row, actor=actor, after=told)
    await enqueue(session, IMPORT_JOB, ImportJob(row.id))
    return row


async def record(
    session: AsyncSession,
    type: str,  # noqa: A002 - the event's type, as the API calls it
    row: TicketImport,
    *,
    actor: Principal,
    after: Mapping[str, Any],
) -> None:
    """An event about an import; in the list that admins keep."""
    subject = Subject("ticket_import", row.id)
    await events.record(session, type, subject=subject, actor=actor, after=after, audit=True)


async def read_from(database: Database, import_id: UUID, offset: int) -> AsyncIterator[bytes]:
    """The stored text from ``offset`` on, a transaction a piece."""
    ordinal, skipped = divmod(offset, CHUNK)
    while True:
        async with database.session() as session:
            content = await session.scalar(_chunk(import_id, ordinal))
        if content is None:
            return
        yield content[skipped:]
        ordinal, skipped = ordinal + 1, 0


async def forget_file(session: AsyncSession, import_id: UUID) -> None:
    """The text of an import that is over."""
    await session.execute(delete(TicketImportChunk).where(TicketImportChunk.import_id == import_id))


def _check_mapping(upload: Upload) -> None:
    if len(upload.mapping) > MAPPED_MAX or len(upload.value_mapping) > MAPPED_MAX:
        raise InvalidImportError(f"A mapping names at most {MAPPED_MAX} columns.")
    for column, target in upload.mapping.items():
        if len(column) > MAPPED_LENGTH or (target is not None and not is_target(target)):
            raise InvalidImportError(
                "The mapping names a field that there is not.",
                errors=[{"field": f"mapping.{column[:MAPPED_LENGTH]}", "message": "Not one of our fields"}],
            )
    for name in upload.value_mapping:
        if name not in {"status", "priority", "severity"}:
            raise InvalidImportError(
                "Values are mapped of status, priority and severity.",
                errors=[{"field": f"values.{name[:MAPPED_LENGTH]}", "message": "Not one of these fields"}],
            )


def _lower(values: Mapping[str, str]) -> dict[str, str]:
    return {theirs.strip().lower(): ours for theirs, ours in list(values.items())[:MAPPED_MAX]}


def _sniff(file: IO[bytes]) -> Encoding:
    sniffer = Sniffer()
    while piece := file.read(CHUNK):
        sniffer.feed(piece)
    return sniffer.result()


async def _store(session: AsyncSession, import_id: UUID, file: IO[bytes], encoding: Encoding) -> int:
    """How many bytes the text has as UTF-8."""
    file.seek(0)
    pieces = as_utf8(iter(lambda: file.read(CHUNK), b""), encoding, size=CHUNK)
    ordinal = size = 0
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        row = {"import_id": import_id, "ordinal": ordinal, "content": piece}
        await session.execute(insert(TicketImportChunk).values(row))
        ordinal, size = ordinal + 1, size + len(piece)
    return size


async def _laid_out(session: AsyncSession, import_id: UUID, wanted: Format | None) -> Layout:
    async def pieces() -> AsyncIterator[bytes]:
        ordinal = 0
        while (content := await session.scalar(_chunk(import_id, ordinal))) is not None:
            yield content
            ordinal += 1

    try:
        return await lay_out(pieces(), wanted)
    except LayoutError as problem:
        raise InvalidImportError(str(problem), errors=[{"field": "file", "message": str(problem)}]) from None


def _chunk(import_id: UUID, ordinal: int) -> Any:
    return select(TicketImportChunk.content).where(
        TicketImportChunk.import_id == import_id, TicketImportChunk.ordinal == ordinal
    )

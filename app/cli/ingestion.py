"""Taking in many files: register them, follow them to their end, count."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.files import SourceFile, Unreadable, as_text, collect_files
from app.database import Database, is_database_away
from app.exceptions import TooLargeError, TrideskError
from app.rag.constants import DocumentStatus
from app.rag.models import Document, DocumentVersion
from app.rag.service import collections, documents
from app.rag.visibility import audience_name

T = TypeVar("T")

POLL = 0.3  # seconds between two looks at the queue
PATIENCE = 60.0  # seconds that the database may be away in the middle of a run
STEP = 20  # files registered between two looks
WINDOW = 200  # files that wait for the worker at once; more would only make the queue longer
SLICE = 1000  # ids a statement
UNREADABLE = "file_unreadable"
DELETED = "document_deleted"


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was not taken in, and why."""

    file: str
    code: str
    detail: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did: files, and chunks of the files that were new or had changed."""

    files: int
    unchanged: int
    ingested: int
    embedded: int
    kept: int
    removed: int
    seconds: float
    failed: list[Failure]

    def summary(self) -> str:
        """One line for people."""
        rate = self.embedded / self.seconds if self.seconds else 0
        return (
            f"{self.files} files: {self.ingested} ingested, {self.unchanged} unchanged, "
            f"{len(self.failed)} failed; "
            f"chunks: {self.embedded} embedded, {self.kept} kept, {self.removed} removed; "
            f"{self.seconds:.1f} s, {rate:.0f} chunks/s"
        )


@dataclass(frozen=True, slots=True)
class Event:
    """Progress: files at their end so far, files a second, failures since the last event."""

    finished: int
    rate: float
    failures: list[Failure]


@dataclass(kw_only=True)
class Ingestion:
    """One run over some files."""

    files: Sequence[SourceFile]
    unreadable: Sequence[Unreadable] = ()
    collection: str | None
    audience: str | None  # None: as it is now, and public for a file that was not there before
    product: str | None = None
    product_version: str | None = None
    _shelves: dict[str, UUID] = field(default_factory=dict)
    _pending: dict[UUID, str] = field(default_factory=dict)
    _ingested: list[UUID] = field(default_factory=list)
    _failures: list[Failure] = field(default_factory=list)
    _reported: int = 0
    _unchanged: int = 0
    _counts: tuple[int, int, int] = (0, 0, 0)
    _started: float = 0.0
    _seconds: float = 0.0

    @classmethod
    def of(cls, paths: Sequence[Path], **described: str | None) -> Ingestion:
        """A run over what is at and below ``paths``."""
        files, unreadable = collect_files(paths)
        return cls(files=files, unreadable=unreadable, **described)  # type: ignore[arg-type]  # only the described

    async def run(self, database: Database, *, upload_max_bytes: int) -> AsyncIterator[Event]:
        """Register every file, then wait for the worker; an event whenever something may have been finished.

        A database that goes away for less than ``PATIENCE`` seconds is waited for.
        """
        self._started = time.monotonic()
        for folder in self.unreadable:
            self._fail(folder.name, UNREADABLE, folder.reason)
        for start in range(0, len(self.files), STEP):
            await self._register(database, self.files[start : start + STEP], upload_max_bytes)
            yield await self._look(database)
            while len(self._pending) >= WINDOW:
                await asyncio.sleep(POLL)
                yield await self._look(database)
        while self._pending:
            await asyncio.sleep(POLL)
            yield await self._look(database)
        self._counts = await self._patiently(database, self._count)
        self._seconds = time.monotonic() - self._started
        yield self._event()

    def outcome(self) -> Outcome:
        """The counts, once the run has ended."""
        embedded, kept, removed = self._counts
        return Outcome(
            files=len(self.files),
            unchanged=self._unchanged,
            ingested=len(self._ingested),
            embedded=embedded,
            kept=kept,
            removed=removed,
            seconds=round(self._seconds, 2),
            failed=self._failures,
        )

    async def _register(self, database: Database, files: Sequence[SourceFile], upload_max_bytes: int) -> None:
        known = {} if self.collection else await self._patiently(database, lambda s: _places(s, files))
        for file in files:
            try:
                content = await asyncio.to_thread(_read, file.path, upload_max_bytes)
                shelf = known.get(file.name) or await self._shelf(database, self.collection or file.folder)
                await self._take_in(database, file, content, shelf)
            except OSError as error:
                if is_database_away(error):
                    raise
                self._fail(file.name, UNREADABLE, error.strerror or str(error))
            except TrideskError as error:
                if is_database_away(error):
                    raise
                self._fail(file.name, error.code, error.detail)

    async def _take_in(self, database: Database, file: SourceFile, content: bytes, shelf: UUID) -> None:
        audience = self.audience
        if audience is None:
            audience = await self._patiently(database, lambda session: _audience(session, shelf, file))
        upload = documents.Upload(
            collection_id=shelf,
            content=content,
            filename=as_text(file.path.name),
            source=file.name,
            audience=audience,
            product=self.product,
            product_version=self.product_version,
        )
        document = await self._patiently(database, lambda session: documents.take_in(session, upload))
        if document.status == DocumentStatus.READY:
            self._unchanged += 1
        else:
            self._pending[document.id] = file.name

    async def _shelf(self, database: Database, name: str) -> UUID:
        if name not in self._shelves:
            found = await self._patiently(database, lambda s: collections.get_or_create(s, name=name))
            self._shelves[name] = found.id
        return self._shelves[name]

    async def _look(self, database: Database) -> Event:
        """Which of the pending documents have come to their end, or are gone."""
        waiting = list(self._pending)
        looking = select(Document.id, Document.status, Document.error_code, Document.error_detail).where(
            Document.id.in_(waiting)
        )
        found = {row.id: row for row in await self._patiently(database, lambda s: s.execute(looking))}
        for document_id in waiting:
            row = found.get(document_id)
            if row is not None and row.status in {DocumentStatus.QUEUED, DocumentStatus.RUNNING}:
                continue
            name = self._pending.pop(document_id)
            if row is None:
                self._fail(name, DELETED, "deleted while it was taken in")
            elif row.status == DocumentStatus.READY:
                self._ingested.append(document_id)
            else:
                self._fail(name, row.error_code or "internal_error", row.error_detail or "")
        return self._event()

    async def _count(self, session: AsyncSession) -> tuple[int, int, int]:
        """(embedded, kept, removed) chunks of the versions that this run brought."""
        totals = [0, 0, 0]
        for start in range(0, len(self._ingested), SLICE):
            rows = await session.execute(
                select(
                    DocumentVersion.chunks_embedded,
                    DocumentVersion.chunks_kept,
                    DocumentVersion.chunks_removed,
                )
                .join(Document, Document.id == DocumentVersion.document_id)
                .where(
                    Document.id.in_(self._ingested[start : start + SLICE]),
                    DocumentVersion.number == Document.served_version,
                )
            )
            for row in rows:
                totals = [total + (count or 0) for total, count in zip(totals, row, strict=True)]
        embedded, kept, removed = totals
        return embedded, kept, removed

    async def _patiently(self, database: Database, statement: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """In a session of its own; again while the database is away. Everything here may happen twice."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                async with database.session() as session:
                    return await statement(session)
            except Exception as error:
                if not is_database_away(error) or time.monotonic() > deadline:
                    raise
                await database.revive()
                await asyncio.sleep(POLL)

    def _fail(self, file: str, code: str, detail: str) -> None:
        self._failures.append(Failure(file=file, code=code, detail=detail))

    def _event(self) -> Event:
        finished = self._unchanged + len(self._ingested) + len(self._failures)
        rate = finished / max(time.monotonic() - self._started, 1e-9)
        fresh = self._failures[self._reported :]
        self._reported = len(self._failures)
        return Event(finished, rate, fresh)


async def _places(session: AsyncSession, files: Sequence[SourceFile]) -> dict[str, UUID]:
    """Collections of the files that are known: a file stays where it is, from whichever folder one starts."""
    names = [file.name for file in files]
    rows = await session.execute(
        select(Document.source, Document.collection_id)
        .where(Document.source.in_(names))
        .order_by(Document.created_at.desc())
    )
    return {row.source: row.collection_id for row in rows}


def _read(path: Path, upload_max_bytes: int) -> bytes:
    with path.open("rb") as file:
        content = file.read(upload_max_bytes + 1)
    if len(content) > upload_max_bytes:
        raise TooLargeError(f"larger than UPLOAD_MAX_BYTES={upload_max_bytes}")
    return content


async def _audience(session: AsyncSession, shelf: UUID, file: SourceFile) -> str:
    """Who may read a file already: nobody is let in by taking it in again."""
    stored = await session.scalar(
        select(Document.audience).where(Document.collection_id == shelf, Document.source == file.name)
    )
    return audience_name(stored) if stored else "public"

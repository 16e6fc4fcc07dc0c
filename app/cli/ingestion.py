"""Taking in many files: register them, follow them to their end, count."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import msgspec
from sqlalchemy import select

from app.database import Database
from app.exceptions import TrideskError
from app.rag.constants import DocumentStatus
from app.rag.models import Document, DocumentVersion
from app.rag.service import collections, documents

POLL = 0.3  # seconds between two looks at the queue
WINDOW = 200  # files registered ahead of the worker: bounds nothing but the wait before the first result
UNREADABLE = "file_unreadable"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file with the name it is known by: its path below the folder that was given."""

    path: Path
    name: str
    folder: str


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
            f"{self.files} files: {self.ingested} ingested, {self.unchanged} unchanged, {len(self.failed)} failed; "
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
    collection: str | None
    audience: str
    product: str | None = None
    product_version: str | None = None
    _pending: dict[UUID, str] = field(default_factory=dict)
    _touched: dict[UUID, int] = field(default_factory=dict)
    _failures: list[Failure] = field(default_factory=list)
    _unchanged: int = 0
    _counts: tuple[int, int, int] = (0, 0, 0)
    _started: float = 0.0
    _seconds: float = 0.0

    async def run(self, database: Database) -> AsyncIterator[Event]:
        """Register every file, then wait for the worker; an event whenever something was finished."""
        self._started = time.monotonic()
        reported = 0
        shelves: dict[str, UUID] = {}
        for number, file in enumerate(self.files, start=1):
            await self._register(database, file, shelves)
            if number % 20 == 0 or number == len(self.files):
                await self._look(database)
                yield self._event(reported)
                reported = len(self._failures)
            while len(self._pending) >= WINDOW:
                await asyncio.sleep(POLL)
                await self._look(database)
                yield self._event(reported)
                reported = len(self._failures)
        while self._pending:
            await asyncio.sleep(POLL)
            await self._look(database)
            yield self._event(reported)
            reported = len(self._failures)
        await self._count(database)
        self._seconds = time.monotonic() - self._started

    def outcome(self) -> Outcome:
        """The counts, once the run has ended."""
        embedded, kept, removed = self._counts
        return Outcome(
            files=len(self.files),
            unchanged=self._unchanged,
            ingested=len(self._touched),
            embedded=embedded,
            kept=kept,
            removed=removed,
            seconds=round(self._seconds, 2),
            failed=self._failures,
        )

    async def _register(self, database: Database, file: SourceFile, shelves: dict[str, UUID]) -> None:
        try:
            content = await asyncio.to_thread(file.path.read_bytes)
        except OSError as error:
            self._fail(file.name, UNREADABLE, error.strerror or str(error))
            return
        shelf = self.collection or file.folder
        async with database.session() as session:
            if shelf not in shelves:
                shelves[shelf] = (await collections.get_or_create(session, name=shelf)).id
        try:
            async with database.session() as session:
                document = await documents.take_in(
                    session,
                    documents.Upload(
                        collection_id=shelves[shelf],
                        content=content,
                        filename=file.path.name,
                        source=file.name,
                        audience=self.audience,
                        product=self.product,
                        product_version=self.product_version,
                    ),
                )
        except TrideskError as error:
            self._fail(file.name, error.code, error.detail)
            return
        if document.status == DocumentStatus.READY:
            self._unchanged += 1
        else:
            self._pending[document.id] = file.name

    async def _look(self, database: Database) -> None:
        async with database.session() as session:
            rows = await session.execute(
                select(
                    Document.id, Document.status, Document.latest_version, Document.error_code, Document.error_detail
                ).where(
                    Document.id.in_(list(self._pending)),
                    Document.status.in_([DocumentStatus.READY, DocumentStatus.FAILED]),
                )
            )
            for row in rows:
                name = self._pending.pop(row.id)
                if row.status == DocumentStatus.READY:
                    self._touched[row.id] = row.latest_version
                else:
                    self._fail(name, row.error_code or "internal_error", row.error_detail or "")

    async def _count(self, database: Database) -> None:
        embedded = kept = removed = 0
        touched = list(self._touched)
        async with database.session() as session:
            for start in range(0, len(touched), 1000):
                rows = await session.execute(
                    select(
                        DocumentVersion.chunks_embedded, DocumentVersion.chunks_kept, DocumentVersion.chunks_removed
                    )
                    .join(Document, Document.id == DocumentVersion.document_id)
                    .where(
                        DocumentVersion.document_id.in_(touched[start : start + 1000]),
                        DocumentVersion.number == Document.served_version,
                    )
                )
                for row in rows:
                    embedded += row.chunks_embedded or 0
                    kept += row.chunks_kept or 0
                    removed += row.chunks_removed or 0
        self._counts = (embedded, kept, removed)

    def _fail(self, file: str, code: str, detail: str) -> None:
        self._failures.append(Failure(file=file, code=code, detail=detail))

    def _event(self, reported: int) -> Event:
        finished = self._unchanged + len(self._touched) + len(self._failures)
        rate = finished / max(time.monotonic() - self._started, 1e-9)
        return Event(finished, rate, self._failures[reported:])


def collect_files(paths: Iterable[Path]) -> list[SourceFile]:
    """The files at and below ``paths``, in a stable order, without hidden ones; each once."""
    found: dict[Path, SourceFile] = {}
    for given in paths:
        root = given.resolve()
        if root.is_file():
            found.setdefault(root, SourceFile(root, root.name, root.parent.name or "files"))
            continue
        for path in sorted(root.rglob("*")):
            below = path.relative_to(root)
            if path.is_file() and not any(part.startswith(".") for part in below.parts):
                folder = below.parts[0] if len(below.parts) > 1 else root.name
                found.setdefault(path, SourceFile(path, below.as_posix(), folder))
    return list(found.values())

"""From an uploaded file to searchable chunks: parse and chunk in a child process, embed, store in one commit.

Everything up to the last transaction can be repeated without a trace, so a job killed at any point runs again
and stores once. A version that is no longer the newest is left alone.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, and_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.database import Database, is_database_away
from app.events import Subject
from app.exceptions import TrideskError, UnavailableError
from app.identity import SYSTEM
from app.jobs import LAST_ATTEMPT
from app.parsing.isolation import IsolatedPool
from app.rag.chunking import Chunk as Passage
from app.rag.constants import DocumentStatus
from app.rag.embeddings import Embedder
from app.rag.models import Chunk, ChunkEmbedding, Document, DocumentVersion, NoteOfCase
from app.rag.preparation import ChunkingPlan, Prepared, prepare
from app.rag.queries import query
from app.rag.retrieval import vector_literal
from app.rag.storing import ChunkWriter, IngestReport

logger = logging.getLogger(__name__)

EMBED_SLICE = 64  # chunks embedded between two progress reports
PROGRESS_INTERVAL = 0.5  # seconds
FOLD_AFTER = 50_000  # appended statistics rows
FOLD_LOCK = 0x7472_6964_0001


class IngestJob(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of an ingest job."""

    document_id: UUID
    version: int


@dataclass(frozen=True, slots=True)
class _Source:
    """What preparing a version needs, read in one short transaction."""

    content: bytes
    filename: str | None
    media_type: str
    title: str | None
    product: str | None
    product_version: str | None
    is_note: bool


class Ingestor:
    """Carries documents into the index, with one embedding model."""

    def __init__(
        self,
        *,
        database: Database,
        embedder: Embedder,
        model_id: int,
        plan: ChunkingPlan,
        pool: IsolatedPool,
        parse_timeout: float,
    ) -> None:
        self._database = database
        self._embedder = embedder
        self._model_id = model_id
        self._plan = plan
        self._pool = pool
        self._parse_timeout = parse_timeout

    async def handle(self, payload: bytes, attempts: int) -> None:
        """The job: ingest, and leave the outcome on the document. Raises to be tried again later."""
        job = msgspec.json.decode(payload, type=IngestJob)
        try:
            await self.ingest(job.document_id, job.version)
        except Exception as error:
            if is_database_away(error):
                raise
            passing = isinstance(error, UnavailableError) or not isinstance(error, TrideskError)
            final = not passing or attempts >= LAST_ATTEMPT
            await self._mark_failed(
                job, error, status=DocumentStatus.FAILED if final else DocumentStatus.QUEUED
            )
            if not final:
                raise
            if not isinstance(error, TrideskError):
                logger.exception("ingest failed", extra={"document_id": job.document_id})

    async def ingest(self, document_id: UUID, version: int) -> IngestReport | None:
        """Index one version; None when there is nothing (left) to do."""
        source = await self._begin(document_id, version)
        if source is None:
            return None
        prepared = await self._pool.run(
            prepare,
            source.content,
            source.filename,
            source.media_type,
            source.title,
            source.product,
            source.product_version,
            self._plan.whole if source.is_note else self._plan,
            timeout=self._parse_timeout,
        )
        vectors = await self._embed(document_id, version, prepared.passages)
        report = await self._store(document_id, version, prepared, vectors)
        await self._fold_statistics()
        return report

    async def _begin(self, document_id: UUID, version: int) -> _Source | None:
        # One conditional statement: a newer version that comes meanwhile must not be marked by this one.
        begun = (
            update(Document)
            .where(_is_at_work(document_id, version))
            .values(status=DocumentStatus.RUNNING, progress=0, error_code=None, error_detail=None)
            .returning(
                Document.filename,
                Document.media_type,
                Document.declared_title,
                Document.product,
                Document.product_version,
            )
        )
        content = select(DocumentVersion.content).where(
            DocumentVersion.document_id == document_id, DocumentVersion.number == version
        )
        note = select(NoteOfCase.document_id).where(NoteOfCase.document_id == document_id)
        async with self._database.session() as session:
            document = (await session.execute(begun)).one_or_none()
            if document is None:
                return None
            return _Source(
                content=await session.scalar(content) or b"",
                filename=document.filename,
                media_type=document.media_type,
                title=document.declared_title,
                product=document.product,
                product_version=document.product_version,
                is_note=bool(await session.scalar(select(note.exists()))),
            )

    async def _embed(self, document_id: UUID, version: int, passages: list[Passage]) -> dict[str, str]:
        """Vectors, in pgvector's text form, of the passages whose hash has none yet; by hash."""
        async with self._database.session() as session:
            present = Counter(
                await session.scalars(
                    select(Chunk.hash)
                    .join(ChunkEmbedding, ChunkEmbedding.chunk_id == Chunk.id)
                    .where(Chunk.document_id == document_id, ChunkEmbedding.model_id == self._model_id)
                )
            )
        # A passage that now stands more often than before needs its vector again, hence counts.
        needed = Counter(each.hash for each in passages)
        wanted = {
            each.hash: each.embedding_text for each in passages if needed[each.hash] > present[each.hash]
        }
        hashes = list(wanted)
        vectors: dict[str, str] = {}
        reported = time.monotonic()
        for start in range(0, len(hashes), EMBED_SLICE):
            part = hashes[start : start + EMBED_SLICE]
            embedded = await self._embedder.embed([wanted[each] for each in part])
            vectors |= {each: vector_literal(vector) for each, vector in zip(part, embedded, strict=True)}
            if time.monotonic() - reported > PROGRESS_INTERVAL:
                reported = time.monotonic()
                await self._report_progress(document_id, version, len(vectors) / len(hashes))
        return vectors

    async def _report_progress(self, document_id: UUID, version: int, progress: float) -> None:
        async with self._database.session() as session:
            await session.execute(
                update(Document).where(_is_at_work(document_id, version)).values(progress=round(progress, 3))
            )

    async def _store(
        self, document_id: UUID, version: int, prepared: Prepared, vectors: dict[str, str]
    ) -> IngestReport | None:
        """One transaction: chunks replaced, vectors added, the version served."""
        async with self._database.session() as session:
            document = await session.get(Document, document_id, with_for_update=True)
            if (
                document is None
                or document.latest_version != version
                or document.status == DocumentStatus.READY
            ):
                return None
            writer = ChunkWriter(session=session, document=document, version=version, model_id=self._model_id)
            report = await writer.replace(prepared.passages, vectors)
            document.title = (
                document.declared_title
                or prepared.title
                or document.filename
                or document.source
                or "Untitled"
            )
            document.media_type = prepared.media_type
            document.language = prepared.language
            document.status = DocumentStatus.READY
            document.progress = 1
            document.served_version = version
            await session.execute(
                update(DocumentVersion)
                .where(DocumentVersion.document_id == document_id, DocumentVersion.number == version)
                .values(
                    text=prepared.text,
                    pages=prepared.pages,
                    chunks_embedded=report.embedded,
                    chunks_kept=report.kept,
                    chunks_removed=report.removed,
                )
            )
            await events.record(
                session,
                "document.ready",
                subject=Subject("document", document_id),
                actor=SYSTEM,
                after={"served_version": version, "chunks": len(prepared.passages)},
            )
            return report

    async def _mark_failed(self, job: IngestJob, error: Exception, *, status: DocumentStatus) -> None:
        ours = isinstance(error, TrideskError)
        code = error.code if isinstance(error, TrideskError) else "internal_error"
        async with self._database.session() as session:
            marked = await session.scalar(
                update(Document)
                .where(_is_at_work(job.document_id, job.version))
                .values(
                    status=status,
                    error_code=code,
                    error_detail=str(error) if ours else "Something went wrong on our side.",
                )
                .returning(Document.id)
            )
            if marked is not None and status is DocumentStatus.FAILED:
                await events.record(
                    session,
                    "document.failed",
                    subject=Subject("document", job.document_id),
                    actor=SYSTEM,
                    after={"latest_version": job.version, "error_code": code},
                )

    async def _fold_statistics(self) -> None:
        """Fold the appended BM25 differences once there are many; whoever comes second leaves it."""
        async with self._database.session() as session:
            appended = await session.scalar(text("select coalesce(max(id) - min(id), 0) from lexeme_delta"))
            if (appended or 0) > FOLD_AFTER:
                await fold_statistics(session)


def _is_at_work(document_id: UUID, version: int) -> ColumnElement[bool]:
    """The document still waits for this version: no newer one has come, and no other run has stored it."""
    return and_(
        Document.id == document_id,
        Document.latest_version == version,
        Document.status.in_([DocumentStatus.QUEUED, DocumentStatus.RUNNING]),
    )


async def forget_words(session: AsyncSession) -> None:
    """Leave no word in the statistics that no chunk contains any more: it may have been somebody's name.

    For an erasure, after what it removes. Waits for a fold under way.
    """
    await session.execute(text("select pg_advisory_xact_lock(:key)"), {"key": FOLD_LOCK})
    await session.execute(query("fold_statistics"))
    await session.execute(text("delete from lexeme_statistic where df = 0"))


async def fold_statistics(session: AsyncSession) -> None:
    """Fold the appended BM25 differences into the statistics; sums stay what they are."""
    if await session.scalar(text("select pg_try_advisory_xact_lock(:key)"), {"key": FOLD_LOCK}):
        await session.execute(query("fold_statistics"))

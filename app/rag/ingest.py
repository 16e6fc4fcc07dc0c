"""From an uploaded file to searchable chunks: parse and chunk in a child process, embed, store in one commit.

Everything up to the last transaction can be repeated without a trace, so a job killed at any point runs again
and stores once. A version that is no longer the newest is left alone.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import Database, is_database_away
from app.exceptions import TrideskError, UnavailableError
from app.parsing.isolation import IsolatedPool
from app.rag.chunking import Chunk as Passage
from app.rag.constants import DocumentStatus
from app.rag.embeddings import Embedder
from app.rag.lexical import expand
from app.rag.models import Chunk, ChunkEmbedding, Document, DocumentVersion
from app.rag.preparation import ChunkingPlan, Prepared, prepare
from app.rag.queries import query
from app.rag.retrieval import vector_literal

logger = logging.getLogger(__name__)

LAST_ATTEMPT = 5
EMBED_SLICE = 64  # chunks embedded between two progress reports
STORE_SLICE = 500  # rows a statement; bounds the memory of a 900-page document
PROGRESS_INTERVAL = 0.5  # seconds
FOLD_AFTER = 50_000  # appended statistics rows
FOLD_LOCK = 0x7472_6964_0001


class IngestJob(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of an ingest job."""

    document_id: UUID
    version: int


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What storing a version changed, in chunks."""

    embedded: int
    kept: int
    removed: int


@dataclass(frozen=True, slots=True)
class _Source:
    """What preparing a version needs, read in one short transaction."""

    content: bytes
    filename: str | None
    media_type: str
    title: str | None
    product: str | None
    product_version: str | None


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
            await self._mark_failed(job, error, status=DocumentStatus.FAILED if final else DocumentStatus.QUEUED)
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
            self._plan,
            timeout=self._parse_timeout,
        )
        vectors = await self._embed(document_id, version, prepared.passages)
        report = await self._store(document_id, version, prepared, vectors)
        await self._fold_statistics()
        return report

    async def _begin(self, document_id: UUID, version: int) -> _Source | None:
        async with self._database.session() as session:
            document = await session.get(Document, document_id)
            if document is None or document.latest_version != version or document.status == DocumentStatus.READY:
                return None
            document.status = DocumentStatus.RUNNING
            document.progress = 0
            document.error_code = document.error_detail = None
            content = await session.scalar(
                select(DocumentVersion.content).where(
                    DocumentVersion.document_id == document_id, DocumentVersion.number == version
                )
            )
            return _Source(
                content=content or b"",
                filename=document.filename,
                media_type=document.media_type,
                title=document.declared_title,
                product=document.product,
                product_version=document.product_version,
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
        wanted = {each.hash: each.embedding_text for each in passages if needed[each.hash] > present[each.hash]}
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
                update(Document)
                .where(Document.id == document_id, Document.latest_version == version)
                .values(progress=round(progress, 3))
            )

    async def _store(
        self, document_id: UUID, version: int, prepared: Prepared, vectors: dict[str, str]
    ) -> IngestReport | None:
        """One transaction: chunks replaced, vectors added, the version served."""
        async with self._database.session() as session:
            document = await session.get(Document, document_id, with_for_update=True)
            if document is None or document.latest_version != version or document.status == DocumentStatus.READY:
                return None
            writer = _ChunkWriter(session=session, document=document, version=version, model_id=self._model_id)
            report = await writer.replace(prepared.passages, vectors)
            document.title = document.declared_title or prepared.title or document.filename or "Untitled"
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
            return report

    async def _mark_failed(self, job: IngestJob, error: Exception, *, status: DocumentStatus) -> None:
        ours = isinstance(error, TrideskError)
        async with self._database.session() as session:
            await session.execute(
                update(Document)
                .where(Document.id == job.document_id, Document.latest_version == job.version)
                .values(
                    status=status,
                    error_code=error.code if isinstance(error, TrideskError) else "internal_error",
                    error_detail=str(error) if ours else "Something went wrong on our side.",
                )
            )

    async def _fold_statistics(self) -> None:
        """Fold the appended BM25 differences once there are many; whoever comes second leaves it."""
        async with self._database.session() as session:
            appended = await session.scalar(text("select coalesce(max(id) - min(id), 0) from lexeme_delta"))
            if (appended or 0) > FOLD_AFTER:
                await fold_statistics(session)


async def fold_statistics(session: AsyncSession) -> None:
    """Fold the appended BM25 differences into the statistics; sums stay what they are."""
    if await session.scalar(text("select pg_try_advisory_xact_lock(:key)"), {"key": FOLD_LOCK}):
        await session.execute(query("fold_statistics"))


class _ChunkWriter:
    """Replaces the chunks of one document inside the caller's transaction."""

    def __init__(self, *, session: AsyncSession, document: Document, version: int, model_id: int) -> None:
        self._session = session
        self._document = document
        self._model_id = model_id
        self._scope: dict[str, Any] = {
            "version": version,
            "audience": document.audience,
            "valid_from": document.valid_from,
            "valid_until": document.valid_until,
        }

    async def replace(self, passages: list[Passage], vectors: dict[str, str]) -> IngestReport:
        """Kept chunks keep id, words and vector; gone ones are deleted, new ones inserted."""
        present: defaultdict[str, deque[UUID]] = defaultdict(deque)
        rows = await self._session.execute(
            select(Chunk.id, Chunk.hash).where(Chunk.document_id == self._document.id).order_by(Chunk.ordinal)
        )
        for chunk_id, chunk_hash in rows:
            present[chunk_hash].append(chunk_id)
        kept: list[tuple[UUID, Passage]] = []
        added: list[Passage] = []
        for passage in passages:
            if present[passage.hash]:
                kept.append((present[passage.hash].popleft(), passage))
            else:
                added.append(passage)
        gone = [chunk_id for ids in present.values() for chunk_id in ids]
        await self._session.execute(delete(Chunk).where(Chunk.id.in_(gone)))
        await self._move(kept)
        await self._insert(added, vectors)
        await self._embed_kept(kept, vectors)
        return IngestReport(embedded=len(vectors), kept=len(kept), removed=len(gone))

    async def _move(self, kept: list[tuple[UUID, Passage]]) -> None:
        for start in range(0, len(kept), STORE_SLICE):
            rows = [{"id": chunk_id, **_place(each)} for chunk_id, each in kept[start : start + STORE_SLICE]]
            await self._session.execute(query("move_chunks"), self._scope | {"rows": _json(rows)})
        if kept:
            scope = {key: value for key, value in self._scope.items() if key != "version"}
            await self._session.execute(query("move_embeddings"), scope | {"document_id": self._document.id})

    async def _insert(self, added: list[Passage], vectors: dict[str, str]) -> None:
        shared = self._scope | {"document_id": self._document.id, "collection_id": self._document.collection_id}
        for start in range(0, len(added), STORE_SLICE):
            part = {each.ordinal: each for each in added[start : start + STORE_SLICE]}
            rows = [_place(each) | _words(each) for each in part.values()]
            inserted = (await self._session.execute(query("store_chunks"), shared | {"rows": _json(rows)})).all()
            await self._store_vectors({row.id: vectors[part[row.ordinal].hash] for row in inserted})

    async def _embed_kept(self, kept: list[tuple[UUID, Passage]], vectors: dict[str, str]) -> None:
        """Kept chunks that had no vector under this model: after a change of model."""
        await self._store_vectors(
            {chunk_id: vectors[each.hash] for chunk_id, each in kept if each.hash in vectors}
        )

    async def _store_vectors(self, vectors: dict[UUID, str]) -> None:
        ids = list(vectors)
        for start in range(0, len(ids), STORE_SLICE):
            part = ids[start : start + STORE_SLICE]
            await self._session.execute(
                query("store_embeddings"),
                {"model_id": self._model_id, "ids": part, "embeddings": [vectors[each] for each in part]},
            )


def _place(passage: Passage) -> dict[str, Any]:
    return {
        "ordinal": passage.ordinal,
        "heading_path": list(passage.heading_path),
        "span_start": passage.start,
        "span_end": passage.end,
    }


def _words(passage: Passage) -> dict[str, Any]:
    return {
        "header": passage.header,
        "text": passage.text,
        "lexical_header": expand(passage.header),
        "lexical_text": expand(passage.text),
        "hash": passage.hash,
        "tokens": passage.tokens,
    }


def _json(rows: list[dict[str, Any]]) -> str:
    return msgspec.json.encode(rows).decode()

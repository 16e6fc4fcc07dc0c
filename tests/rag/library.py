"""A collection of its own for a test, with what tests want to know of its documents."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select, text

from app.database import Database
from app.rag.constants import INGEST_JOB
from app.rag.ingest import IngestJob, Ingestor, IngestReport
from app.rag.models import Chunk, ChunkEmbedding, Document, DocumentVersion
from app.rag.retrieval import Hit, Scope
from app.rag.runtime import Rag, chunking_plan
from app.rag.service import collections, documents
from tests.openai_server import bag_of_words


@dataclass
class CountingEmbedder:
    """Bags of words in the place of a model; says what it was asked for, and waits or fails when told to."""

    model: str = "local/all-MiniLM-L6-v2-int8"
    dimensions: int = 384
    window: int = 256
    texts: list[str] = field(default_factory=list)
    before: Callable[[], Awaitable[None]] | None = None

    async def embed(self, texts: Sequence[str]) -> Any:
        if self.before is not None:
            await self.before()
        self.texts.extend(texts)
        return [bag_of_words(each, self.dimensions) for each in texts]

    async def embed_query(self, query: str) -> Any:
        return bag_of_words(query, self.dimensions)

    async def aclose(self) -> None:
        return None


@dataclass
class Library:
    """One collection and an ingestor that counts."""

    database: Database
    ingestor: Ingestor
    embedder: CountingEmbedder
    rag: Rag
    collection_id: UUID

    async def put(self, content: str | bytes, **fields: Any) -> Document:
        """Take an upload in; Markdown for everybody unless said otherwise."""
        raw = content.encode() if isinstance(content, str) else content
        fields = {"media_type": "text/markdown", "audience": "public", **fields}
        upload = documents.Upload(collection_id=self.collection_id, content=raw, **fields)
        async with self.database.session() as session:
            return await documents.take_in(session, upload)

    async def ingest(self, document: Document) -> IngestReport | None:
        """What the job of the document's newest version does."""
        return await self.ingestor.ingest(document.id, document.latest_version)

    async def add(self, content: str | bytes, **fields: Any) -> Document:
        """Put and ingest; the document as it then is."""
        document = await self.put(content, **fields)
        await self.ingest(document)
        return await self.read(document.id)

    async def read(self, document_id: UUID) -> Document:
        async with self.database.session() as session:
            return (await session.scalars(select(Document).where(Document.id == document_id))).one()

    async def version(self, document_id: UUID, number: int) -> DocumentVersion:
        async with self.database.session() as session:
            return (
                await session.scalars(
                    select(DocumentVersion).where(
                        DocumentVersion.document_id == document_id, DocumentVersion.number == number
                    )
                )
            ).one()

    async def chunks(self, document_id: UUID) -> list[Chunk]:
        async with self.database.session() as session:
            rows = await session.scalars(
                select(Chunk).where(Chunk.document_id == document_id).order_by(Chunk.ordinal)
            )
            return list(rows)

    async def vectors(self, document_id: UUID) -> dict[tuple[UUID, int], ChunkEmbedding]:
        """By chunk and model."""
        async with self.database.session() as session:
            rows = await session.scalars(
                select(ChunkEmbedding)
                .join(Chunk, Chunk.id == ChunkEmbedding.chunk_id)
                .where(Chunk.document_id == document_id)
            )
            return {(each.chunk_id, each.model_id): each for each in rows}

    async def search(self, query: str, *audiences: str, **options: Any) -> list[Hit]:
        """Search this collection with the readers' tokens (public when none is given)."""
        scope = Scope(
            audiences=audiences or ("public",),
            collections=(self.collection_id,),
            documents=options.pop("documents", None),
            as_of=options.pop("as_of", None),
        )
        options.setdefault("embedding", await self.embedder.embed_query(query))
        async with self.database.session() as session:
            return await self.rag.retriever.search(session, query=query, scope=scope, **options)

    async def jobs(self, document_id: UUID) -> list[str]:
        """States of the document's jobs."""
        async with self.database.session() as session:
            statement = text(
                "select status::text, payload from pgqueuer where entrypoint = :name order by id"
            )
            rows = (await session.execute(statement, {"name": INGEST_JOB})).all()
        jobs = ((row.status, msgspec.json.decode(row.payload, type=IngestJob)) for row in rows)
        return [status for status, job in jobs if job.document_id == document_id]


async def make_library(database: Database, rag: Rag, name: str) -> Library:
    """A library with a new collection."""
    async with database.session() as session:
        collection = await collections.create(session, name=name)
    embedder = CountingEmbedder(model=rag.embedder.model, dimensions=rag.embedder.dimensions)
    ingestor = Ingestor(
        database=database,
        embedder=embedder,
        model_id=rag.ingestor._model_id,
        plan=chunking_plan(rag.embedder),
        pool=rag.ingestor._pool,
        parse_timeout=30,
    )
    return Library(database, ingestor, embedder, rag, collection.id)


async def recount(
    database: Database,
) -> tuple[dict[str, int], dict[str, int], tuple[int, int], tuple[int, int]]:
    """(stored df, counted df, stored (chunks, length), counted): of one snapshot."""
    async with database.session() as session:
        await session.execute(text("set transaction isolation level repeatable read"))
        stored = await session.execute(
            text(
                "select lexeme, sum(df)::bigint as df from (select lexeme, df from lexeme_statistic"
                " union all select lexeme, df from lexeme_delta) s group by lexeme having sum(df) <> 0"
            )
        )
        stored_df = {row.lexeme: row.df for row in stored}
        counted = await session.execute(
            text("select u.lexeme, count(*) as df from chunk c, unnest(c.tsv) u group by u.lexeme")
        )
        counted_df = {row.lexeme: row.df for row in counted}
        sums = (
            "select coalesce(sum({}), 0)::bigint as chunks, coalesce(sum(length), 0)::bigint as length"
            " from {}"
        )
        one = (await session.execute(text(sums.format("chunks", "corpus_delta")))).one()
        two = (await session.execute(text(sums.format("1", "chunk")))).one()
    return stored_df, counted_df, (one.chunks, one.length), (two.chunks, two.length)


async def assert_statistics_exact(database: Database) -> None:
    """The BM25 statistics are what counting from scratch gives."""
    stored, counted, corpus, counted_corpus = await recount(database)
    assert stored == counted
    assert corpus == counted_corpus


async def empty(database: Database) -> None:
    """No collections, documents or jobs."""
    async with database.session() as session:
        for table in ("feedback", "answer", "chat", "document", "collection", "pgqueuer"):
            await session.execute(text(f"delete from {table}"))


async def until(condition: Callable[[], Awaitable[Any]], *, seconds: float = 20, every: float = 0.05) -> Any:
    """The first true value of ``condition``; for what other processes bring about."""
    async with asyncio.timeout(seconds):
        while not (value := await condition()):  # noqa: ASYNC110 - other processes set no event
            await asyncio.sleep(every)
        return value

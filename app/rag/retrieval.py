"""Search: one SQL statement over words and vectors, with the reader's rights inside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import load_sql
from app.lexical import expand
from app.rag.constants import HNSW_EF_SEARCH
from app.rag.queries import SQL

CANDIDATES = 50  # finalists of each arm
POSTINGS_BUDGET = 1_500  # candidates that the word arm reads; see the README for the measured trade
MAX_TERMS = 16  # words that may find candidates; all words score
EXACT_UNTIL = 12_000  # chunks; below it, scanning every vector is as fast as the index and exact
LONGEST_QUERY = 2_000  # characters of a question that are searched; the rest is a document, not a question

SESSION_SETTINGS = text(
    "select set_config('hnsw.ef_search', :ef_search, true),"
    " set_config('hnsw.iterative_scan', 'relaxed_order', true),"
    " set_config('plan_cache_mode', 'force_custom_plan', true), set_config('jit', 'off', true)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a search may see: the reader's audience tokens, collections, documents, and the date asked for.

    ``excluded``: a document that is left out, since the question was made of it.
    """

    audiences: tuple[str, ...]
    collections: tuple[UUID, ...] | None = None
    documents: tuple[UUID, ...] | None = None
    excluded: UUID | None = None
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A chunk that a search found, with every raw score.

    ``share``: the part of the question's possible BM25 that the chunk reaches, 0 to 1. ``coverage``: the
    part of the question's idf whose words it holds. ``cosine``: similarity, -1 to 1. ``score``: cosine
    + w · share, where w = 2 · (best share / best cosine of the question)².
    """

    chunk_id: UUID
    document_id: UUID
    version: int
    collection_id: UUID
    ordinal: int
    title: str
    source: str | None
    updated_at: datetime
    heading_path: tuple[str, ...]
    header: str
    text: str
    start: int
    end: int
    hash: str
    tokens: int
    score: float
    bm25: float
    share: float
    coverage: float
    cosine: float
    rank_bm25: int | None
    rank_dense: int | None


class Retriever:
    """Searches with one embedding model; ``model_id`` and ``dimensions`` become literals of the statement."""

    def __init__(self, *, model_id: int, dimensions: int, corpus_chunks: float = 0.0) -> None:
        self._statements = {
            arm: _compose(arm, model_id=model_id, dimensions=dimensions) for arm in ("exact", "hnsw", "none")
        }
        self._corpus_chunks = corpus_chunks  # as of the last search: decides between scanning and the index

    async def search(
        self,
        session: AsyncSession,
        *,
        query: str,
        embedding: NDArray[np.float32] | None,
        scope: Scope,
        limit: int = 10,
        candidates: int = CANDIDATES,
    ) -> list[Hit]:
        """The best chunks for a question, best first.

        ``embedding`` is the question's vector, or None to search by words alone.
        """
        small = self._corpus_chunks <= EXACT_UNTIL or scope.documents is not None
        arm = "none" if embedding is None else "exact" if small else "hnsw"
        candidates = max(candidates, limit)
        await session.execute(
            SESSION_SETTINGS, {"ef_search": str(max(HNSW_EF_SEARCH, min(candidates, 1000)))}
        )
        rows = (
            await session.execute(
                self._statements[arm],
                {
                    "lexical": expand(query[:LONGEST_QUERY]),
                    "embedding": None if embedding is None else vector_literal(embedding),
                    "audiences": list(scope.audiences),
                    "collections": None if scope.collections is None else list(scope.collections),
                    "documents": None if scope.documents is None else list(scope.documents),
                    "excluded": scope.excluded,
                    "as_of": scope.as_of or datetime.now(UTC),
                    "candidates": candidates,
                    "budget": POSTINGS_BUDGET,
                    "max_terms": MAX_TERMS,
                    "limit": limit,
                },
            )
        ).all()
        if rows:
            self._corpus_chunks = rows[0].corpus_chunks
        return [_hit(row) for row in rows]


def vector_literal(vector: NDArray[np.float32]) -> str:
    """pgvector's text form; five digits are more than halfvec keeps."""
    return "[" + ",".join(f"{value:.5g}" for value in vector.tolist()) + "]"


def _compose(arm: str, *, model_id: int, dimensions: int) -> TextClause:
    visible = load_sql(SQL / "visible.sql").strip()
    literals = {"model_id": int(model_id), "dimensions": int(dimensions)}
    nearest = load_sql(SQL / f"nearest_{arm}.sql").format(
        visible=visible.format(alias="e", chunk="e.chunk_id"), **literals
    )
    cosine = load_sql(SQL / "cosine.sql").format(**literals).partition("\n")[2] if arm != "none" else "null"
    return text(
        load_sql(SQL / "search.sql").format(
            visible_chunk=visible.format(alias="c", chunk="c.id"),
            nearest=nearest.strip(),
            cosine_of_finalist=cosine.strip(),
        )
    )


def _hit(row: Any) -> Hit:
    return Hit(
        chunk_id=row.id,
        document_id=row.document_id,
        version=row.version,
        collection_id=row.collection_id,
        ordinal=row.ordinal,
        title=row.title,
        source=row.source,
        updated_at=row.updated_at,
        heading_path=tuple(row.heading_path),
        header=row.header,
        text=row.text,
        start=row.span_start,
        end=row.span_end,
        hash=row.hash,
        tokens=row.tokens,
        score=row.score,
        bm25=row.bm25,
        share=row.share,
        coverage=row.coverage,
        cosine=row.cosine,
        rank_bm25=row.rank_bm25,
        rank_dense=row.rank_dense,
    )

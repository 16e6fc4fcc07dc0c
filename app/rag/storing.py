"""A document's chunks replaced in one transaction: kept ones stay as they are, words and vectors included."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.lexical import expand
from app.rag.chunking import Chunk as Passage
from app.rag.models import Chunk, Document
from app.rag.queries import query

STORE_SLICE = 500  # rows a statement; bounds the memory of a 900-page document


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What storing a version changed, in chunks."""

    embedded: int
    kept: int
    removed: int


class ChunkWriter:
    """Replaces the chunks of one document inside the caller's transaction."""

    def __init__(
        self, *, session: AsyncSession, document: Document, version: int, model_id: int | None = None
    ) -> None:
        self._session = session
        self._document = document
        self._model_id = model_id
        self._scope: dict[str, Any] = {
            "version": version,
            "audience": document.audience,
            "valid_from": document.valid_from,
            "valid_until": document.valid_until,
        }

    async def replace(self, passages: list[Passage], vectors: dict[str, str] | None) -> IngestReport:
        """Kept chunks keep id, words and vector; gone ones are deleted, new ones inserted.

        ``vectors``: by hash; None while they are still to come: new chunks are found by their words alone.
        """
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
        if vectors is not None:
            await self._embed_kept(kept, vectors)
        return IngestReport(embedded=len(vectors or ()), kept=len(kept), removed=len(gone))

    async def _move(self, kept: list[tuple[UUID, Passage]]) -> None:
        for start in range(0, len(kept), STORE_SLICE):
            rows = [{"id": chunk_id, **_place(each)} for chunk_id, each in kept[start : start + STORE_SLICE]]
            await self._session.execute(query("move_chunks"), self._scope | {"rows": _json(rows)})
        if kept:
            scope = {key: value for key, value in self._scope.items() if key != "version"}
            await self._session.execute(query("move_embeddings"), scope | {"document_id": self._document.id})

    async def _insert(self, added: list[Passage], vectors: dict[str, str] | None) -> None:
        shared = self._scope | {
            "document_id": self._document.id,
            "collection_id": self._document.collection_id,
        }
        for start in range(0, len(added), STORE_SLICE):
            part = {each.ordinal: each for each in added[start : start + STORE_SLICE]}
            rows = [_place(each) | _words(each) for each in part.values()]
            inserted = (
                await self._session.execute(query("store_chunks"), shared | {"rows": _json(rows)})
            ).all()
            if vectors is not None:
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

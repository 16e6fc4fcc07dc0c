"""Who may read a document's passages and when they hold, written where searches look.

What a search reads of a passage and its vector is the access of the served version, which is no wider than
the document's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.rag.models import Chunk, ChunkEmbedding, Document, DocumentVersion
from app.rag.visibility import narrower

FIELDS = frozenset({"audience", "valid_from", "valid_until"})


async def change(session: AsyncSession, document: Document, fields: Mapping[str, Any]) -> None:
    """A new audience and validity (``FIELDS``) of the newest version's unchanged content."""
    for name, value in fields.items():
        setattr(document, name, value)
    newest = update(DocumentVersion).where(
        DocumentVersion.document_id == document.id, DocumentVersion.number == document.latest_version
    )
    await session.execute(newest.values(audience=document.audience))
    if document.served_version == document.latest_version:
        await _write(session, document, **fields)
    else:
        await draw_in(session, document, document.audience)


async def draw_in(session: AsyncSession, document: Document, audience: list[str]) -> None:
    """Narrow the served version to ``audience``, which newer content has; never widen it."""
    if document.served_version is None:
        return
    served = await session.get_one(DocumentVersion, (document.id, document.served_version))
    served.audience = narrower(served.audience, audience)
    await _write(session, document, audience=served.audience)


async def _write(session: AsyncSession, document: Document, **values: Any) -> None:
    passages = select(Chunk.id).where(Chunk.document_id == document.id)
    await session.execute(update(Chunk).where(Chunk.document_id == document.id).values(**values))
    vectors = update(ChunkEmbedding).where(ChunkEmbedding.chunk_id.in_(passages))
    await session.execute(vectors.values(**values))

"""What staff change of a document that is there already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity import Principal
from app.preconditions import ANYTHING, Expected
from app.rag.exceptions import SourceExistsError
from app.rag.models import Chunk, ChunkEmbedding, Document, DocumentVersion
from app.rag.recording import fields_of, record_change
from app.rag.service import access, collections, documents
from app.rag.service.uploads import check_audience, check_validity
from app.rag.visibility import audience_tokens

IN_PASSAGES = ("title", "product", "product_version")  # part of what is searched and embedded


async def change(
    session: AsyncSession,
    document_id: UUID,
    wanted: Mapping[str, Any],
    *,
    principal: Principal,
    expected: Expected = ANYTHING,
) -> Document:
    """Change the given fields, those of ``DocumentUpdate``.

    Audience, validity and collection hold at once, for searches too. A new title or product makes a new
    version of the same content, since the passages carry them: the one before is served until it is in.

    Errors: ``DocumentNotFoundError``, ``VersionMismatchError``, ``CollectionNotFoundError``,
    ``SourceExistsError``, ``InvalidValidityError``, ``UnknownAccountError``.
    """
    document = await documents.get(session, document_id, principal=principal, lock=True)
    expected.check(document.version)
    before = fields_of(document)
    new = await _checked(session, document, wanted)
    if "collection_id" in new:
        await _move(session, document, new.pop("collection_id"))
    visible = {name: new.get(name, getattr(document, name)) for name in access.FIELDS}
    if any(name in new for name in IN_PASSAGES):
        await _take_in_anew(session, document, new | visible)
    elif new:
        await access.change(session, document, visible)
    await session.flush()
    await session.refresh(document)
    await record_change(session, document, actor=principal, before=before)
    return document


async def _checked(session: AsyncSession, document: Document, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that differ, as they are stored."""
    new = dict(wanted)
    if "audience" in new:
        await check_audience(session, new["audience"])
        new["audience"] = audience_tokens(new["audience"])
    if "collection_id" in new:
        await collections.get(session, new["collection_id"])
    new = {name: value for name, value in new.items() if getattr(document, name) != value}
    check_validity(new.get("valid_from", document.valid_from), new.get("valid_until", document.valid_until))
    return new


async def _move(session: AsyncSession, document: Document, collection_id: UUID) -> None:
    if document.source is not None:
        await documents.lock_source(session, collection_id, document.source)
        taken = select(Document.id).where(
            Document.collection_id == collection_id, Document.source == document.source
        )
        if (other := await session.scalar(taken)) is not None:
            raise SourceExistsError("A document of the same source is there already.", id=other)
    document.collection_id = collection_id
    passages = select(Chunk.id).where(Chunk.document_id == document.id)
    await session.execute(
        update(Chunk).where(Chunk.document_id == document.id).values(collection_id=collection_id)
    )
    vectors = update(ChunkEmbedding).where(ChunkEmbedding.chunk_id.in_(passages))
    await session.execute(vectors.values(collection_id=collection_id))


async def _take_in_anew(session: AsyncSession, document: Document, new: Mapping[str, Any]) -> None:
    content = await session.scalar(
        select(DocumentVersion.content).where(
            DocumentVersion.document_id == document.id, DocumentVersion.number == document.latest_version
        )
    )
    described = dict(new) | {"declared_title": new.get("title", document.declared_title)}
    await documents.replace(session, document, described, document.content_hash)
    await documents.add_version(session, document, content or b"")

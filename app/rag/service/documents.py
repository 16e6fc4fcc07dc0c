"""Documents: taking them in, new versions of the same source, reading and deleting."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity import SYSTEM, Principal
from app.jobs import enqueue, enqueue_all
from app.listing import Listing, any_of, matching
from app.preconditions import ANYTHING, Expected
from app.rag.constants import INGEST_JOB, DocumentStatus
from app.rag.exceptions import DocumentNotFoundError
from app.rag.ingest import IngestJob
from app.rag.models import Document, DocumentVersion
from app.rag.recording import fields_of, record_change, record_document
from app.rag.registry import find_model, lacking_vectors
from app.rag.service import access
from app.rag.service.uploads import Upload, check, describe, inspect
from app.rag.visibility import readable, seen

__all__ = [
    "DOCUMENTS",
    "Upload",
    "add_version",
    "get",
    "listed",
    "lock_source",
    "narrow",
    "read_text",
    "remove",
    "replace",
    "requeue_all",
    "take_in",
]

DOCUMENTS = Listing(
    Document,
    sorts={"created_at": Document.created_at, "updated_at": Document.updated_at, "title": Document.title},
    default="-created_at",
)

PARSED_LATER = frozenset({"title", "media_type"})  # the parser may have changed these


async def take_in(session: AsyncSession, upload: Upload, *, actor: Principal = SYSTEM) -> Document:
    """Store an upload and queue its ingestion, in one transaction.

    The same ``source`` in the same collection is the same document. Unchanged bytes and description change
    nothing, unless the last try failed; of unchanged bytes a new audience or validity holds at once; anything
    else is a new version. Until that is served, the text before it keeps its validity, and its audience is
    the narrower of the two: nobody reads by a new version's audience what was not written for them.

    Raises ``ParsingError`` for a kind of file that is not read at all, before anything is stored.
    """
    media_type, content_hash, content = await asyncio.to_thread(inspect, upload)
    await check(session, upload)
    described = describe(upload, media_type)
    document = await _existing(session, upload)
    if document is None:
        document = Document(**described, content_hash=content_hash, created_by=actor.person_id)
        session.add(document)
        await session.flush()
        await add_version(session, document, content)
        await session.refresh(document)
        await record_document(session, "document.created", document, actor=actor, after=fields_of(document))
        return document
    before = fields_of(document)
    if document.content_hash != content_hash or not _same(document, described, but=access.FIELDS):
        await replace(session, document, described, content_hash)
        await add_version(session, document, content)
    elif document.status == DocumentStatus.FAILED:
        await access.change(session, document, {name: described[name] for name in access.FIELDS})
        _begin_again(document)
        await _queue(session, document)
    elif _same(document, described):
        return document
    else:
        await access.change(session, document, {name: described[name] for name in access.FIELDS})
    await session.flush()
    await session.refresh(document)
    await record_change(session, document, actor=actor, before=before)
    return document


async def get(
    session: AsyncSession, document_id: UUID, *, principal: Principal, lock: bool = False
) -> Document:
    """One document that the reader may see."""
    statement = select(Document).where(Document.id == document_id, seen(principal))
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    document = await session.scalar(statement)
    if document is None:
        raise DocumentNotFoundError("No such document.")
    return document


def listed(
    principal: Principal,
    *,
    collections: Sequence[UUID] | None = None,
    statuses: Sequence[DocumentStatus] | None = None,
    text: str | None = None,
) -> Select[Document]:
    """Documents that a list shows; customers see only what is served, and search no sources."""
    searched = (Document.title, Document.source) if principal.is_staff else (Document.title,)
    return select(Document).where(
        seen(principal),
        any_of(Document.collection_id, collections),
        any_of(Document.status, statuses),
        matching(text, *searched),
    )


async def read_text(
    session: AsyncSession, document_id: UUID, *, version: int | None, principal: Principal
) -> tuple[Document, int, str]:
    """(document, version, stored text) of a version, by default the served one."""
    document = await get(session, document_id, principal=principal)
    number = version if version is not None else document.served_version or document.latest_version
    stored = None
    if 1 <= number <= document.latest_version:
        # What an earlier version said to staff is not public because the newest one is.
        stored = await session.scalar(
            select(DocumentVersion.text).where(
                DocumentVersion.document_id == document_id,
                DocumentVersion.number == number,
                readable(principal, DocumentVersion),
            )
        )
    if stored is None:
        raise DocumentNotFoundError(f"Version {number} of this document has no text.")
    return document, number, stored


async def remove(
    session: AsyncSession, document_id: UUID, *, principal: Principal, expected: Expected = ANYTHING
) -> None:
    """Delete a document with its versions, chunks and vectors."""
    document = await get(session, document_id, principal=principal, lock=True)
    expected.check(document.version)
    await record_document(session, "document.deleted", document, actor=principal, before=fields_of(document))
    await session.execute(delete(Document).where(Document.id == document.id))


async def narrow(
    session: AsyncSession, *, principal: Principal, ids: Sequence[UUID] | None, **wanted: str | None
) -> tuple[UUID, ...] | None:
    """Ids of the readable documents that filters leave; None when there is no filter."""
    if ids is None and not any(wanted.values()):
        return None
    statement = select(Document.id).where(seen(principal))
    if ids is not None:
        statement = statement.where(Document.id.in_(ids))
    for column, value in wanted.items():
        if value is not None:
            statement = statement.where(getattr(Document, column) == value)
    return tuple(await session.scalars(statement))


async def requeue_all(session: AsyncSession, *, model: str | None = None) -> int:
    """Queue documents again; returns how many.

    ``model``: only those with chunks that lack a vector under the embedding model of that name.
    """
    statement = select(Document).order_by(Document.id).with_for_update()
    if model is not None:
        known = await find_model(session, model)
        if known is None:
            return 0
        statement = statement.where(Document.id.in_(lacking_vectors(known.id)))
    documents = (await session.scalars(statement)).all()
    for document in documents:
        _begin_again(document)
    await session.flush()
    jobs = [IngestJob(document_id=each.id, version=each.latest_version) for each in documents]
    await enqueue_all(session, INGEST_JOB, jobs)
    return len(documents)


async def add_version(session: AsyncSession, document: Document, content: bytes) -> None:
    """Store the newest version's bytes and queue it."""
    session.add(
        DocumentVersion(
            document_id=document.id,
            number=document.latest_version,
            content=content,
            content_hash=document.content_hash,
            audience=document.audience,
        )
    )
    await _queue(session, document)


async def replace(
    session: AsyncSession, document: Document, described: dict[str, Any], content_hash: str
) -> None:
    """Count a new version, and draw the served one's audience in."""
    await access.draw_in(session, document, described["audience"])
    title = document.title
    for name, value in described.items():
        setattr(document, name, value)
    document.title = described["declared_title"] or title
    document.content_hash = content_hash
    document.latest_version += 1
    _begin_again(document)
    await session.flush()


def _begin_again(document: Document) -> None:
    document.status, document.progress = DocumentStatus.QUEUED, 0
    document.error_code = document.error_detail = None


async def _queue(session: AsyncSession, document: Document) -> None:
    await enqueue(session, INGEST_JOB, IngestJob(document_id=document.id, version=document.latest_version))


async def lock_source(session: AsyncSession, collection_id: UUID, source: str) -> None:
    """Two first uploads of one source at once: the lock makes the second see the first."""
    await session.execute(
        text("select pg_advisory_xact_lock(hashtextextended(:key, 0))"), {"key": f"{collection_id}/{source}"}
    )


async def _existing(session: AsyncSession, upload: Upload) -> Document | None:
    if not upload.source:
        return None
    await lock_source(session, upload.collection_id, upload.source)
    found: Document | None = await session.scalar(
        select(Document)
        .where(Document.collection_id == upload.collection_id, Document.source == upload.source)
        .with_for_update()
    )
    return found


def _same(document: Document, described: dict[str, Any], *, but: frozenset[str] = frozenset()) -> bool:
    return all(
        getattr(document, name) == value
        for name, value in described.items()
        if name not in PARSED_LATER and name not in but
    )

"""Documents: taking them in, new versions of the same source, reading and deleting."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity import Principal
from app.identity.models import Account
from app.jobs import enqueue
from app.pagination import after
from app.parsing import sniff
from app.rag.constants import INGEST_JOB, DocumentStatus
from app.rag.exceptions import DocumentNotFoundError, InvalidValidityError, UnknownAccountError
from app.rag.ingest import IngestJob
from app.rag.models import Document, DocumentVersion
from app.rag.service import collections
from app.rag.visibility import audience_tokens, readable


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """A file or text with what its uploader says of it."""

    collection_id: UUID
    content: bytes
    filename: str | None = None
    media_type: str | None = None
    title: str | None = None
    audience: str = "staff"
    source: str | None = None
    product: str | None = None
    product_version: str | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None


async def take_in(session: AsyncSession, upload: Upload, *, created_by: UUID | None = None) -> Document:
    """Store an upload and queue its ingestion, in one transaction.

    The same ``source`` in the same collection is the same document: unchanged bytes and description change nothing
    (unless the last try failed), anything else is a new version. Raises ``ParsingError`` for a kind of file that is
    not read at all, before anything is stored.
    """
    media_type = sniff(upload.content, filename=upload.filename, media_type=upload.media_type)
    if upload.valid_from and upload.valid_until and upload.valid_from >= upload.valid_until:
        raise InvalidValidityError("valid_from must be before valid_until.")
    await collections.get(session, upload.collection_id)
    await _check_account(session, upload.audience)
    described = _description(upload, media_type)
    document = await _existing(session, upload)
    content_hash = hashlib.sha256(upload.content).hexdigest()
    if document is None:
        document = Document(**described, content_hash=content_hash, created_by=created_by)
        session.add(document)
        await session.flush()
    elif document.content_hash == content_hash and _same(document, described):
        if document.status != DocumentStatus.FAILED:
            return document
        document.status, document.error_code, document.error_detail = DocumentStatus.QUEUED, None, None
        await _queue(session, document)
        return document
    else:
        title = document.title
        for name, value in described.items():
            setattr(document, name, value)
        document.title = upload.title or title
        document.content_hash = content_hash
        document.latest_version += 1
        document.status, document.progress = DocumentStatus.QUEUED, 0
        document.error_code = document.error_detail = None
        await session.flush()
    session.add(
        DocumentVersion(
            document_id=document.id,
            number=document.latest_version,
            content=upload.content,
            content_hash=content_hash,
        )
    )
    await _queue(session, document)
    await session.refresh(document)
    return document


async def get(session: AsyncSession, document_id: UUID, *, principal: Principal) -> Document:
    """One document that the reader may see."""
    document = await session.scalar(
        select(Document).where(Document.id == document_id, readable(principal))
    )
    if document is None or not (principal.is_staff or document.served_version):
        raise DocumentNotFoundError("No such document.")
    return document


async def list_page(
    session: AsyncSession,
    *,
    principal: Principal,
    collection_id: UUID | None,
    status: DocumentStatus | None,
    cursor: str | None,
    limit: int,
) -> Sequence[Document]:
    """Newest first, one row more than ``limit``; customers see only what is served."""
    statement = select(Document).where(readable(principal))
    if not principal.is_staff:
        statement = statement.where(Document.served_version.is_not(None))
    if collection_id is not None:
        statement = statement.where(Document.collection_id == collection_id)
    if status is not None:
        statement = statement.where(Document.status == status)
    return (
        await session.scalars(after(statement, key=Document.created_at, id=Document.id, cursor=cursor, limit=limit))
    ).all()


async def read_text(
    session: AsyncSession, document_id: UUID, *, version: int | None, principal: Principal
) -> tuple[Document, int, str]:
    """(document, version, stored text) of a version, by default the served one."""
    document = await get(session, document_id, principal=principal)
    number = version or document.served_version or document.latest_version
    stored = await session.scalar(
        select(DocumentVersion.text).where(
            DocumentVersion.document_id == document_id, DocumentVersion.number == number
        )
    )
    if stored is None:
        raise DocumentNotFoundError(f"Version {number} of this document has no text.")
    return document, number, stored


async def remove(session: AsyncSession, document_id: UUID, *, principal: Principal) -> None:
    """Delete a document with its versions, chunks and vectors."""
    document = await get(session, document_id, principal=principal)
    await session.execute(delete(Document).where(Document.id == document.id))


async def narrow(
    session: AsyncSession, *, principal: Principal, ids: Sequence[UUID] | None, **wanted: str | None
) -> tuple[UUID, ...] | None:
    """Ids of the readable documents that filters leave; None when there is no filter."""
    if ids is None and not any(wanted.values()):
        return None
    statement = select(Document.id).where(readable(principal))
    if ids is not None:
        statement = statement.where(Document.id.in_(ids))
    for column, value in wanted.items():
        if value is not None:
            statement = statement.where(getattr(Document, column) == value)
    return tuple(await session.scalars(statement))


async def requeue_all(session: AsyncSession) -> int:
    """Queue every document again, for a new embedding model; returns how many."""
    documents = (await session.scalars(select(Document).with_for_update())).all()
    for document in documents:
        document.status = DocumentStatus.QUEUED
        await _queue(session, document)
    return len(documents)


async def _queue(session: AsyncSession, document: Document) -> None:
    await enqueue(session, INGEST_JOB, IngestJob(document_id=document.id, version=document.latest_version))


async def _existing(session: AsyncSession, upload: Upload) -> Document | None:
    if upload.source is None:
        return None
    # Two first uploads of one source at once: the lock makes the second see the first.
    await session.execute(
        text("select pg_advisory_xact_lock(hashtextextended(:key, 0))"),
        {"key": f"{upload.collection_id}/{upload.source}"},
    )
    found: Document | None = await session.scalar(
        select(Document)
        .where(Document.collection_id == upload.collection_id, Document.source == upload.source)
        .with_for_update()
    )
    return found


async def _check_account(session: AsyncSession, audience: str) -> None:
    if audience.startswith("account:"):
        account_id = UUID(audience.removeprefix("account:"))
        if not await session.scalar(select(func.count()).where(Account.id == account_id)):
            raise UnknownAccountError("The audience names an account that does not exist.")


def _description(upload: Upload, media_type: str) -> dict[str, Any]:
    return {
        "collection_id": upload.collection_id,
        "title": upload.title or upload.filename or upload.source or "Untitled",
        "declared_title": upload.title,
        "source": upload.source,
        "filename": upload.filename,
        "media_type": media_type,
        "audience": audience_tokens(upload.audience),
        "product": upload.product,
        "product_version": upload.product_version,
        "valid_from": upload.valid_from,
        "valid_until": upload.valid_until,
    }


def _same(document: Document, described: dict[str, Any]) -> bool:
    parsed_later = {"title", "media_type"}  # the parser may have set these
    return all(getattr(document, name) == value for name, value in described.items() if name not in parsed_later)



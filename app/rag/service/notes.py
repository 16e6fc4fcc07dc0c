"""Resolution notes: solved cases among the documents, each one passage.

A note is a document like any other: lists, searches, answers, citations and access need no rule of their own.
Its words are stored in the transaction that publishes it, its vector by the job that follows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.events import Subject
from app.identity import Principal
from app.knowledge import PublishedNote, ResolutionNote, Thread
from app.parsing import MediaType
from app.rag.exceptions import NoteNotFoundError, NoteWithoutSolutionError
from app.rag.models import Collection, Document, DocumentVersion, NoteOfCase
from app.rag.noting import NoteText, fit, part_of, text_of, title_of
from app.rag.preparation import ChunkingPlan, Prepared
from app.rag.recording import fields_of, record_document
from app.rag.service import answers, collections, documents, editing
from app.rag.service.uploads import Upload
from app.rag.storing import ChunkWriter
from app.rag.visibility import STAFF, audience_name

COLLECTION = "Resolution notes"
DESCRIPTION = "Solved cases: problem and accepted solution."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """A note with what its document says of it."""

    document_id: UUID
    problem: str
    solution: str
    component: str | None
    given_hash: str
    collection_id: UUID
    title: str
    audience: list[str]
    product: str | None
    product_version: str | None
    version: int


async def publish(
    session: AsyncSession, note: ResolutionNote, *, plan: ChunkingPlan, actor: Principal
) -> UUID:
    """See ``knowledge.Answers.publish``.

    What was handed over before and is handed over again changes nothing, edits and review stay. Anything
    else is a text that nobody has reviewed: it is for staff.
    """
    given = await asyncio.to_thread(text_of, note)
    home = await _collection(session)
    await _lock(session, note.thread)
    known = await _find(session, note.thread)
    if known is not None and known.given_hash == given.hash:
        return known.document_id
    return await _write(
        session,
        note.thread,
        given,
        audience=STAFF,
        home=known.collection_id if known is not None else home,
        given_hash=given.hash,
        plan=plan,
        actor=actor,
    )


async def review(
    session: AsyncSession,
    thread: Thread,
    *,
    audience: str,
    edits: Mapping[str, str | None],
    plan: ChunkingPlan,
    actor: Principal,
) -> UUID:
    """See ``knowledge.Answers.review``; ``edits``: of title, problem and solution, None where it stays."""
    await _lock(session, thread)
    known = await _find(session, thread, lock=True)
    if known is None:
        raise NoteNotFoundError("This case has no resolution note.")
    before = NoteText(
        title=known.title,
        problem=known.problem,
        solution=known.solution,
        product=known.product,
        component=known.component,
        product_version=known.product_version,
    )
    cleaned = {name: (title_of if name == "title" else part_of)(said) for name, said in edits.items() if said}
    after = replace(before, **cleaned)
    if after == before:
        await editing.change(session, known.document_id, {"audience": audience}, principal=actor)
        return known.document_id
    return await _write(
        session,
        thread,
        after,
        audience=audience,
        home=known.collection_id,
        given_hash=known.given_hash,
        plan=plan,
        actor=actor,
    )


async def withdraw(session: AsyncSession, thread: Thread, *, actor: Principal) -> bool:
    """See ``knowledge.Answers.withdraw``.

    No word of it stays: events keep that it was there, answers that they rested on it.
    """
    await _lock(session, thread)
    known = await _find(session, thread)
    if known is None:
        return False
    document = await session.get_one(
        Document, known.document_id, with_for_update=True, populate_existing=True
    )
    await record_document(session, "document.deleted", document, actor=actor, before=fields_of(document))
    await answers.forget_document(session, document)
    await session.execute(delete(Document).where(Document.id == document.id))
    await events.forget(session, Subject("document", document.id))
    return True


async def published(session: AsyncSession, thread: Thread) -> PublishedNote | None:
    """See ``knowledge.Answers.published``."""
    known = await _find(session, thread)
    if known is None:
        return None
    return PublishedNote(
        document_id=known.document_id,
        version=known.version,
        title=known.title,
        audience=audience_name(known.audience),
        problem=known.problem,
        solution=known.solution,
    )


async def cases_of(session: AsyncSession, document_ids: Iterable[UUID]) -> dict[UUID, tuple[str, UUID]]:
    """(type, id) of the case that a document is the note of, by document; others are left out."""
    found = await session.execute(
        select(NoteOfCase.document_id, NoteOfCase.subject_type, NoteOfCase.subject_id).where(
            NoteOfCase.document_id.in_(set(document_ids))
        )
    )
    return {row.document_id: (row.subject_type, row.subject_id) for row in found}


async def _write(
    session: AsyncSession,
    thread: Thread,
    wanted: NoteText,
    *,
    audience: str,
    home: UUID,
    given_hash: str,
    plan: ChunkingPlan,
    actor: Principal,
) -> UUID:
    """Store the note as a document's newest version, served at once."""
    if not wanted.solution:
        raise NoteWithoutSolutionError("A resolution note needs a solution.")
    written, prepared = await asyncio.to_thread(fit, wanted, plan)
    upload = Upload(
        collection_id=home,
        content=written.body.encode(),
        media_type=MediaType.PLAIN,
        title=written.title,
        audience=audience,
        source=f"{thread.type}/{thread.id}",
        product=written.product,
        product_version=written.product_version,
    )
    document = await documents.take_in(session, upload, actor=actor)
    if not actor.is_staff:
        document.created_by = None  # a customer who solves a case by themselves uploads nothing
    if document.served_version != document.latest_version:
        await _serve_words(session, document, prepared)
    await _keep(session, thread, written, document_id=document.id, given_hash=given_hash)
    return document.id


async def _serve_words(session: AsyncSession, document: Document, prepared: Prepared) -> None:
    """What the document's job would store last, without the vectors that it stores."""
    version = document.latest_version
    writer = ChunkWriter(session=session, document=document, version=version)
    await writer.replace(prepared.passages, vectors=None)
    document.served_version = version
    await session.execute(
        update(DocumentVersion)
        .where(DocumentVersion.document_id == document.id, DocumentVersion.number == version)
        .values(text=prepared.text)
    )
    await session.flush()


async def _keep(
    session: AsyncSession, thread: Thread, written: NoteText, *, document_id: UUID, given_hash: str
) -> None:
    values = {
        "document_id": document_id,
        "problem": written.problem,
        "solution": written.solution,
        "component": written.component,
        "given_hash": given_hash,
    }
    statement = insert(NoteOfCase).values(subject_type=thread.type, subject_id=thread.id, **values)
    key = [NoteOfCase.subject_type, NoteOfCase.subject_id]
    await session.execute(statement.on_conflict_do_update(index_elements=key, set_=values))


async def _collection(session: AsyncSession) -> UUID:
    """Taken before any note is locked: who makes the first one holds back nobody who holds a note."""
    found = await session.scalar(select(Collection.id).where(Collection.name == COLLECTION))
    if found is not None:
        return found
    return (await collections.get_or_create(session, name=COLLECTION, description=DESCRIPTION)).id


async def _lock(session: AsyncSession, thread: Thread) -> None:
    """One change of a case's note at a time, also of one that is not there yet."""
    await session.execute(
        text("select pg_advisory_xact_lock(hashtextextended(:key, 0))"),
        {"key": f"resolution_note/{thread.type}/{thread.id}"},
    )


async def _find(session: AsyncSession, thread: Thread, *, lock: bool = False) -> _Known | None:
    statement = (
        select(
            NoteOfCase.document_id,
            NoteOfCase.problem,
            NoteOfCase.solution,
            NoteOfCase.component,
            NoteOfCase.given_hash,
            Document.collection_id,
            Document.title,
            Document.audience,
            Document.product,
            Document.product_version,
            Document.version,
        )
        .join(Document, Document.id == NoteOfCase.document_id)
        .where(NoteOfCase.subject_type == thread.type, NoteOfCase.subject_id == thread.id)
    )
    if lock:
        statement = statement.with_for_update(of=Document)
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else _Known(**row._asdict())

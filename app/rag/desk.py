"""The room as desks see it: ``knowledge.Answers`` on the running parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.exceptions import UnavailableError
from app.identity import Principal, PrincipalKind, Role
from app.knowledge import (
    Asked,
    Draft,
    Exchange,
    Outcome,
    Passage,
    PublishedNote,
    ResolutionNote,
    Retrieved,
    Thread,
)
from app.parsing.cleaning import clean
from app.rag.answering import HITS
from app.rag.condensing import condense, headline
from app.rag.evidence import Composition, Material, Turn, section
from app.rag.models import Document
from app.rag.preparation import ChunkingPlan
from app.rag.retrieval import Hit, Scope
from app.rag.runtime import Rag, chunking_plan
from app.rag.service import answers, notes
from app.rag.visibility import STAFF, readable
from app.redaction import redact

HINTS_READ = 20  # passages that are looked through for what the customer may not read
Cases = dict[UUID, tuple[str, UUID]]


@dataclass(frozen=True, slots=True)
class _Found:
    """Evidence, and of which cases it tells."""

    material: Material
    cases: Cases


class DeskAnswers:
    """``knowledge.Answers``; ``rag`` gives the room's parts, None while the process starts."""

    def __init__(self, rag: Callable[[], Rag | None]) -> None:
        self._rag = rag

    async def publish(self, session: AsyncSession, note: ResolutionNote, *, actor: Principal) -> UUID:
        """See ``knowledge.Answers``."""
        return await notes.publish(session, note, plan=self._plan(), actor=actor)

    async def review(
        self,
        session: AsyncSession,
        thread: Thread,
        *,
        audience: str,
        actor: Principal,
        title: str | None = None,
        problem: str | None = None,
        solution: str | None = None,
    ) -> UUID:
        """See ``knowledge.Answers``."""
        edits = {"title": title, "problem": problem, "solution": solution}
        return await notes.review(
            session, thread, audience=audience, edits=edits, plan=self._plan(), actor=actor
        )

    async def withdraw(self, session: AsyncSession, thread: Thread, *, actor: Principal) -> bool:
        """See ``knowledge.Answers``; needs no model, so it works while the process starts."""
        return await notes.withdraw(session, thread, actor=actor)

    async def published(self, session: AsyncSession, thread: Thread) -> PublishedNote | None:
        """See ``knowledge.Answers``."""
        return await notes.published(session, thread)

    async def understand(self, text: str, *, history: Sequence[Exchange] = ()) -> Asked:
        """See ``knowledge.Answers``."""
        answerer = self._running().answerer
        question = _ready(text)
        standalone = await answerer.understand(question, _turns(history))
        embedding = await answerer.embed(standalone) if standalone.strip() else None
        return Asked(text=question, standalone=standalone, embedding=embedding, history=tuple(history))

    async def passages(
        self,
        session: AsyncSession,
        asked: Asked,
        *,
        principal: Principal,
        exclude: Thread | None = None,
        collections: Sequence[UUID] | None = None,
        limit: int = 10,
        as_of: datetime | None = None,
    ) -> list[Passage]:
        """See ``knowledge.Answers``."""
        scope = await _scope(
            session, principal.audiences, exclude=exclude, collections=collections, as_of=as_of
        )
        hits = await self._search(session, asked, scope, limit=limit)
        return _passages(hits, await _cases(session, hits, principal))

    async def retrieve(
        self,
        session: AsyncSession,
        asked: Asked,
        *,
        principal: Principal,
        for_customer: bool = True,
        account_id: UUID | None = None,
        exclude: Thread | None = None,
        collections: Sequence[UUID] | None = None,
        limit: int = 5,
    ) -> Retrieved:
        """See ``knowledge.Answers``; who is no staff gets no hints and reads by their own account."""
        reader = _customer_of(account_id) if for_customer and principal.is_staff else principal
        scope = await _scope(session, reader.audiences, exclude=exclude, collections=collections)
        hits = await self._search(session, asked, scope, limit=HITS)
        material = Material(
            question=asked.text,
            standalone=asked.standalone,
            history=_turns(asked.history),
            hits=tuple(hits),
            headline=headline(asked.text, f"{hits[0].header} {hits[0].text}") if hits else None,
        )
        found: Sequence[Hit] = ()
        if reader is not principal:
            staff = await _scope(session, (STAFF,), exclude=exclude, collections=collections)
            found = await self._search(session, asked, staff, limit=max(HINTS_READ, limit))
        hidden = await _hidden_from(session, reader, found)
        cases = await _cases(session, [*material.hits, *found], principal)
        hints = [hit for hit in found if hit.document_id in hidden][:limit]
        return Retrieved(material=_Found(material, cases), hints=tuple(_passages(hints, cases)))

    async def write(self, retrieved: Retrieved) -> Draft:
        """See ``knowledge.Answers``."""
        found: _Found = retrieved.material
        numbering = answers.Numbering()
        async for part in self._running().answerer.compose(found.material):
            if isinstance(part, Composition):
                return _draft(part, numbering, found.cases, hints=retrieved.hints)
            numbering.add(part)
        raise RuntimeError("a draft ended without its composition")

    async def _search(self, session: AsyncSession, asked: Asked, scope: Scope, *, limit: int) -> list[Hit]:
        retriever = self._running().retriever
        if not asked.standalone.strip():
            return []
        return await retriever.search(
            session, query=asked.standalone, embedding=asked.embedding, scope=scope, limit=limit
        )

    def _running(self) -> Rag:
        rag = self._rag()
        if rag is None:
            raise UnavailableError("The server is still starting.", retry_after=2)
        return rag

    def _plan(self) -> ChunkingPlan:
        return chunking_plan(self._running().embedder)


def _customer_of(account_id: UUID | None) -> Principal:
    """Somebody who may read what every customer of the account may."""
    return Principal(
        kind=PrincipalKind.system, role=Role.customer, person_id=None, account_id=account_id, name="customer"
    )


def _ready(text: str) -> str:
    """Without card numbers and characters that nobody sees, and short enough for a question."""
    return condense(redact(clean(text)))


def _turns(history: Sequence[Exchange]) -> tuple[Turn, ...]:
    asked = [(_ready(each.question), _ready(each.answer)) for each in history]
    return tuple(Turn(question=question, standalone=question, answer=answer) for question, answer in asked)


async def _scope(
    session: AsyncSession,
    audiences: tuple[str, ...],
    *,
    exclude: Thread | None,
    collections: Sequence[UUID] | None,
    as_of: datetime | None = None,
) -> Scope:
    note = None if exclude is None else await notes.published(session, exclude)
    return Scope(
        audiences=audiences,
        collections=None if collections is None else tuple(collections),
        excluded=None if note is None else note.document_id,
        as_of=as_of,
    )


async def _hidden_from(session: AsyncSession, reader: Principal, hits: Sequence[Hit]) -> set[UUID]:
    """Documents among the hits that the reader may not read."""
    ids = {hit.document_id for hit in hits}
    if not ids:
        return set()
    shown = await session.scalars(select(Document.id).where(Document.id.in_(ids), readable(reader)))
    return ids - set(shown)


async def _cases(session: AsyncSession, hits: Sequence[Hit], principal: Principal) -> Cases:
    """Which cases the notes among the hits tell, for staff alone."""
    if not principal.is_staff or not hits:
        return {}
    return await notes.cases_of(session, (hit.document_id for hit in hits))


def _passages(hits: Iterable[Hit], cases: Cases) -> list[Passage]:
    return [_passage(hit, *cases.get(hit.document_id, (None, None))) for hit in hits]


def _passage(hit: Hit, subject_type: str | None, subject_id: UUID | None) -> Passage:
    return Passage(
        document_id=hit.document_id,
        version=hit.version,
        chunk_id=hit.chunk_id,
        title=hit.title,
        heading_path=section(hit),
        text=hit.text,
        start=hit.start,
        end=hit.end,
        score=round(hit.score, 4),
        subject_type=subject_type,
        subject_id=subject_id,
    )


def _draft(
    composition: Composition, numbering: answers.Numbering, cases: Cases, *, hints: Sequence[Passage]
) -> Draft:
    abstained = composition.outcome is Outcome.ABSTAINED
    citations: list[Any] = [] if abstained else list(numbering.citations)
    return Draft(
        text="" if abstained else numbering.text,
        citations=citations,
        outcome=composition.outcome,
        reason=composition.reason,
        confidence=round(composition.confidence, 4),
        model=composition.model,
        extractive=composition.extractive,
        sources=_passages([each.hit for each in composition.evidence], cases),
        hints=list(hints),
    )

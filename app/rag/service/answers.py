"""Stored answers: what they were made of, who may read them again, and what readers think of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.identity import Principal
from app.identity.service import hold_person
from app.jobs import enqueue
from app.knowledge import ChunkCitation, Citation, Outcome, RecordCitation, RecordStatement
from app.rag.abstention import NOTHING_FOUND, WEAK_EVIDENCE
from app.rag.answering import NO_RECORDS, READER_LEFT
from app.rag.constants import UNANSWERED_JOB, Rating
from app.rag.evidence import MARKER, Composition, Evidence, Material, Statement, section
from app.rag.exceptions import AnswerNotFoundError
from app.rag.models import Answer, Document, DocumentVersion, Feedback
from app.rag.recording import record_answer, record_feedback
from app.rag.schemas import AnswerSource, AnswerView
from app.rag.visibility import answerable_to, rater_of, readable
from app.redaction import redact

NOT_FOUND_TEXT = "The documents do not answer this question."
CLOSEST_TEXT = "The closest passages are: {places}."
NO_RECORDS_TEXT = "There is nothing on record here that answers this question."
WITHHELD_TEXT = "This answer rests on documents that are no longer available to you."
UNFINISHED_TEXT = "The reader left before this was answered."
OWNER = "account_id"  # in a stored record citation: whose it is
SOURCES_GONE = "sources_unavailable"
CLOSEST = 3
UNANSWERED = (NOTHING_FOUND, WEAK_EVIDENCE)  # of which somebody may write a document
# Where Markdown or HTML would begin an image, a link or a tag.
MARKUP = re.compile(r"(!(?=\[)|\](?=[(\[])|<(?=[A-Za-z/!?]))")


class Numbering:
    """Numbers each distinct span in order of first use, and writes the answer's text."""

    def __init__(self) -> None:
        self.citations: list[Citation] = []
        self.owners: dict[UUID, UUID] = {}  # of cited records: whose account's each is
        self.text = ""
        self._numbers: dict[tuple[Any, ...], int] = {}

    def add(self, statement: Statement | RecordStatement) -> tuple[str, int, Citation | None]:
        """The next piece of text, its citation's number, and the citation when it is new."""
        key = _span(statement)
        fresh = key not in self._numbers
        if fresh:
            self.citations.append(_citation(statement))
            self._numbers[key] = len(self.citations)
            if isinstance(statement, RecordStatement):
                self.owners[statement.citation.id] = statement.account_id
        number = self._numbers[key]
        is_item = isinstance(statement, Statement) and statement.item
        lead = "\n- " if is_item else "\n" if self.text.rpartition("\n")[2].startswith("- ") else " "
        piece = f"{lead if self.text else lead.lstrip()}{unmarked(statement.text)} [{number}]"
        self.text += piece
        return piece, number, self.citations[-1] if fresh else None


def unmarked(text: str) -> str:
    """Text in which nothing acts: no citation's marker, no image, link or tag that a renderer would follow.

    A footnote's ``[7]`` becomes ``[ 7 ]``, ``![a](b)`` becomes ``! [a] (b)``, ``<img`` becomes ``< img``. The
    citation's quote keeps the source's exact words.
    """
    text = MARKER.sub(lambda match: match.group().replace("[", "[ ").replace("]", " ]"), text)
    return MARKUP.sub(r"\1 ", text)


def text_of(composition: Composition, numbering: Numbering) -> str:
    """What the reader reads."""
    return numbering.text if composition.statements else abstention_text(composition)


def abstention_text(composition: Composition) -> str:
    """What to say instead of an answer: that there is none, and what came closest."""
    if composition.reason == READER_LEFT:
        return UNFINISHED_TEXT
    if composition.reason == NO_RECORDS:
        return NO_RECORDS_TEXT
    places = list(dict.fromkeys(_place(each) for each in composition.evidence))
    if not places:
        return NOT_FOUND_TEXT
    return f"{NOT_FOUND_TEXT} {CLOSEST_TEXT.format(places='; '.join(places[:CLOSEST]))}"


async def store(
    session: AsyncSession,
    *,
    material: Material,
    composition: Composition,
    numbering: Numbering,
    principal: Principal,
    asked: Mapping[str, Any] | None = None,
    chat_id: UUID | None = None,
) -> AnswerView:
    """Keep an answer with everything it was made of; ``PersonDeactivatedError`` for who was erased since.

    ``asked``: of what, as a replay reads it; nothing: of everything that the reader may read, now.
    """
    await hold_person(session, principal.person_id)
    answer = Answer(
        chat_id=chat_id,
        person_id=principal.person_id,
        key_id=principal.key_id,
        question=material.question,
        standalone_question=material.standalone,
        outcome=composition.outcome,
        reason=composition.reason,
        text=text_of(composition, numbering),
        asked=dict(asked or {}),
        citations=[_kept(each, numbering.owners) for each in numbering.citations],
        evidence=[_record(each) for each in composition.evidence],
        confidence=round(composition.confidence, 4),
        model=composition.model,
        extractive=composition.extractive,
        prompt_hash=composition.prompt_hash,
    )
    session.add(answer)
    await session.flush()
    await session.refresh(answer, ["created_at"])
    await record_answer(session, answer, actor=principal)
    if composition.reason in UNANSWERED:
        await enqueue(session, UNANSWERED_JOB, {"answer_id": answer.id})
    return show(answer)


async def get(session: AsyncSession, answer_id: UUID, *, principal: Principal) -> AnswerView:
    """One answer of the reader's own (staff: any), withheld when its sources are no longer theirs to read."""
    answer = await row(session, answer_id, principal=principal)
    (view,) = await show_to(session, [answer], principal=principal)
    return view


async def row(session: AsyncSession, answer_id: UUID, *, principal: Principal) -> Answer:
    """An answer as it is kept; ``AnswerNotFoundError``."""
    answer = await session.scalar(
        select(Answer).where(Answer.id == answer_id, answerable_to(Answer, principal))
    )
    if answer is None:
        raise AnswerNotFoundError("No such answer.")
    return answer


async def show_to(
    session: AsyncSession, answers: Iterable[Answer], *, principal: Principal
) -> list[AnswerView]:
    """Answers as this reader may see them now: a document withdrawn since takes its answers along."""
    answers = list(answers)
    cited = {version for answer in answers for version in _cited(answer)}
    key = tuple_(DocumentVersion.document_id, DocumentVersion.number)
    rows = await session.execute(
        select(DocumentVersion.document_id, DocumentVersion.number)
        .join(Document, Document.id == DocumentVersion.document_id)
        .where(key.in_(cited), readable(principal, DocumentVersion), readable(principal))
    )
    visible = {(row.document_id, row.number) for row in rows}
    return [
        show(answer, withheld=not (_cited(answer) <= visible and _sees_records(answer, principal)))
        for answer in answers
    ]


async def rate(
    session: AsyncSession, answer_id: UUID, *, principal: Principal, rating: Rating, comment: str | None
) -> Feedback:
    """The reader's verdict; a second one replaces the first."""
    await get(session, answer_id, principal=principal)
    await hold_person(session, principal.person_id)
    rater, comment = rater_of(principal), None if comment is None else redact(comment)
    mine = select(Feedback).where(Feedback.answer_id == answer_id, Feedback.rater == rater)
    given = await session.scalar(mine.with_for_update())
    before = None if given is None else (given.rating, given.comment)
    if given is not None and before == (rating, comment):
        return given
    statement = insert(Feedback).values(answer_id=answer_id, rater=rater, rating=rating, comment=comment)
    statement = statement.on_conflict_do_update(
        constraint="uq_feedback_answer_id_rater",
        set_={
            "rating": statement.excluded.rating,
            "comment": statement.excluded.comment,
            "updated_at": func.now(),
        },
    )
    stored = (
        await session.scalars(statement.returning(Feedback), execution_options={"populate_existing": True})
    ).one()
    await record_feedback(session, stored, actor=principal, before=before[0] if before else None)
    if rating is Rating.DOWN:
        await enqueue(session, UNANSWERED_JOB, {"answer_id": answer_id})
    return stored


async def forget_document(session: AsyncSession, document: Document) -> int:
    """Empty the answers that quote a document or name it, which is about to go for good; returns how many.

    Whoever asked reads that the sources are gone, as they would without this; what stays says which passages
    it were, and none of their words.
    """
    names_it = [{"document_id": str(document.id)}]
    statement = (
        update(Answer)
        .where(Answer.evidence.contains(names_it))  # what is cited was offered as evidence
        .values(text=WITHHELD_TEXT, reason=SOURCES_GONE, citations=[])
    )
    found = await session.execute(statement.execution_options(synchronize_session=False))
    return int(found.rowcount)  # type: ignore[attr-defined]  # a cursor's result


def show(answer: Answer, *, withheld: bool = False) -> AnswerView:
    """An answer's row as the API shows it."""
    return AnswerView(
        id=answer.id,
        chat_id=answer.chat_id,
        question=answer.question,
        outcome=Outcome(answer.outcome),
        reason=SOURCES_GONE if withheld else answer.reason,
        text=WITHHELD_TEXT if withheld else answer.text,
        citations=[] if withheld else msgspec.convert(answer.citations, list[Citation]),
        confidence=answer.confidence,
        model=answer.model,
        extractive=answer.extractive,
        stale_since=answer.stale_since,
        created_at=answer.created_at,
    )


def sources(material: Material) -> list[AnswerSource]:
    """The passages found, as the first event of a stream shows them."""
    return [
        AnswerSource(
            index=index,
            document_id=hit.document_id,
            version=hit.version,
            chunk_id=hit.chunk_id,
            title=hit.title,
            heading_path=section(hit),
            start=hit.start,
            end=hit.end,
            text=hit.text,
        )
        for index, hit in enumerate(material.hits, start=1)
    ]


def _cited(answer: Answer) -> set[tuple[UUID, int]]:
    """(document, version) that an answer shows something of: cited, or named as closest by an abstention."""
    rows: list[Any] = answer.citations if answer.outcome != Outcome.ABSTAINED else answer.evidence
    return {(UUID(row["document_id"]), row["version"]) for row in rows if "document_id" in row}


def _place(evidence: Evidence) -> str:
    """Title and nearest heading, on one line."""
    return unmarked(" ".join(" > ".join((evidence.hit.title, *section(evidence.hit)[-1:])).split()))


def _sees_records(answer: Answer, principal: Principal) -> bool:
    """Whether the reader may see, now, what the cited records' accounts have."""
    owners = {row[OWNER] for row in answer.citations if OWNER in row}
    mine = str(principal.account_id) if principal.sees_account else None
    return principal.is_staff or owners <= {mine}


def _kept(citation: Citation, owners: dict[UUID, UUID]) -> dict[str, Any]:
    """A citation as it is stored: of a record with the account, which its readers do not see."""
    row: dict[str, Any] = msgspec.to_builtins(citation)
    if isinstance(citation, RecordCitation):
        row[OWNER] = str(owners[citation.id])
    return row


def _span(statement: Statement | RecordStatement) -> tuple[Any, ...]:
    if isinstance(statement, RecordStatement):
        return (statement.citation.type, statement.citation.id, statement.citation.label)
    return (statement.hit.chunk_id, statement.start, statement.end)


def _citation(statement: Statement | RecordStatement) -> Citation:
    if isinstance(statement, RecordStatement):
        return statement.citation
    hit = statement.hit
    return ChunkCitation(
        document_id=hit.document_id,
        version=hit.version,
        chunk_id=hit.chunk_id,
        start=hit.start + statement.start,
        end=hit.start + statement.end,
        quote=statement.quote,
        title=hit.title,
        heading_path=section(hit),
    )


def _record(evidence: Evidence) -> dict[str, Any]:
    hit = evidence.hit
    return {
        "index": evidence.index,
        "document_id": str(hit.document_id),
        "version": hit.version,
        "chunk_id": str(hit.chunk_id),
        "hash": hit.hash,
        "score": round(hit.score, 4),
        "rank_bm25": hit.rank_bm25,
        "rank_dense": hit.rank_dense,
    }

"""An answer asked for again: what would be different now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from app.database import Database
from app.identity import Principal
from app.knowledge import Citation, Records
from app.rag.evidence import Composition
from app.rag.models import Answer
from app.rag.runtime import Rag
from app.rag.schemas import AnswerDifference, AnswerNow, AnswerReplay, AnswerView, ReplayedPassage
from app.rag.service import answers
from app.rag.streaming import Asking


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Of what a kept answer was asked."""

    collections: tuple[UUID, ...] | None = None
    as_of: datetime | None = None
    account_id: UUID | None = None


async def replay(
    database: Database,
    rag: Rag,
    answer_id: UUID,
    *,
    principal: Principal,
    records: Sequence[Records],
) -> AnswerReplay:
    """Ask a kept answer's question again and compare; ``AnswerNotFoundError``. Nothing is kept.

    No connection is held while a model writes.
    """
    async with database.session() as session:
        row = await answers.row(session, answer_id, principal=principal)
        (then,) = await answers.show_to(session, [row], principal=principal)
    asked = msgspec.convert(row.asked, Asked)
    asking = Asking(
        database=database,
        rag=rag,
        principal=principal,
        question=row.standalone_question,
        collections=asked.collections,
        as_of=asked.as_of,
        account_id=asked.account_id if principal.is_staff else None,
        records=records,
    )
    composition, now = await _compose(rag, asking)
    before = {each["hash"]: each for each in row.evidence}
    after = {each.hit.hash: each.hit for each in composition.evidence}
    is_shown = then.reason != answers.SOURCES_GONE
    gone = [_kept(each) for key, each in before.items() if key not in after and is_shown]
    new = [
        ReplayedPassage(document_id=hit.document_id, version=hit.version, chunk_id=hit.chunk_id)
        for key, hit in after.items()
        if key not in before
    ]
    differs = _differences(row, then, now)
    if before.keys() != after.keys():
        differs.append(AnswerDifference.EVIDENCE)
    return AnswerReplay(answer=then, now=now, differs=differs, evidence_gone=gone, evidence_new=new)


async def _compose(rag: Rag, asking: Asking) -> tuple[Composition, AnswerNow]:
    material, numbering = await asking.retrieve(), answers.Numbering()
    async for part in rag.answerer.compose(material):
        if not isinstance(part, Composition):
            numbering.add(part)
            continue
        return part, AnswerNow(
            outcome=part.outcome,
            reason=part.reason,
            text=answers.text_of(part, numbering),
            citations=numbering.citations,
            confidence=round(part.confidence, 4),
            model=part.model,
            extractive=part.extractive,
        )
    raise RuntimeError("an answer ended without its composition")


def _differences(row: Answer, then: AnswerView, now: AnswerNow) -> list[AnswerDifference]:
    same = {
        AnswerDifference.OUTCOME: (then.outcome, then.reason) == (now.outcome, now.reason),
        AnswerDifference.TEXT: then.text == now.text,
        AnswerDifference.CITATIONS: [*map(_said, then.citations)] == [*map(_said, now.citations)],
        AnswerDifference.MODEL: row.model == now.model,
    }
    return [name for name, is_same in same.items() if not is_same]


def _said(citation: Citation) -> Any:
    """The words of a citation: a passage that only moved says the same."""
    return getattr(citation, "quote", None) or msgspec.to_builtins(citation)


def _kept(evidence: Mapping[str, Any]) -> ReplayedPassage:
    return msgspec.convert(
        {name: evidence[name] for name in ("document_id", "version", "chunk_id")}, ReplayedPassage
    )

"""Desk to rag: what a desk's own rows answer, beside what documents do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.knowledge.citations import RecordCitation
from app.knowledge.threads import Principal


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordStatement:
    """A sentence made of one record, whose numbers, dates and names are that record's fields.

    ``account_id``: whose it is; who may not see what is that account's may not read the sentence again.
    """

    text: str
    citation: RecordCitation
    account_id: UUID


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What a desk's rows say to a question about somebody's own matters.

    Without statements: it asks for rows that are not there, or not the reader's: that is no question for
    documents, which would answer somebody else's. ``rules``: what documents may be asked beside, the question
    without what names the record; those that were valid at ``as_of``.
    """

    statements: tuple[RecordStatement, ...]
    rules: str | None = None
    as_of: datetime | None = None


class Records(Protocol):
    """A desk that answers questions from its rows. ``app.main`` gives rag all there are."""

    name: str  # of the desk: ``billing``

    async def tell(
        self,
        session: AsyncSession,
        question: str,
        *,
        principal: Principal,
        account_id: UUID | None = None,
    ) -> Told | None:
        """What the rows say; None for a question that is not about anybody's own matters.

        ``account_id``: whose matters a member of the staff asks about; a customer's are their own.
        """
        ...

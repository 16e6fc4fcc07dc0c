"""Posting: what rows say and the ledger does not say yet; what the ledger says and no longer holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.billing.constants import Book
from app.billing.models import (
    CreditGrant,
    CreditNote,
    Dispute,
    Invoice,
    LedgerEntry,
    LedgerTransaction,
    Payment,
    Refund,
)
from app.billing.utils.postings import Posted, Posting, ended_at, wanted

SUBJECTS: dict[type[Posted], str] = {
    Invoice: "invoice",
    Payment: "payment",
    Refund: "refund",
    Dispute: "dispute",
    CreditNote: "credit_note",
    CreditGrant: "credit_grant",
}
Legs = Sequence[tuple[str, int]]
Standing = tuple[str, Legs, UUID | None, str]  # kind, legs, account, currency


async def bring_up(session: AsyncSession, row: Posted) -> None:
    """Bring the ledger in line with a locked row, which is flushed here.

    What holds and has not been posted is posted; what was posted and no longer holds is reversed by a new
    transaction, never changed. Nothing is posted while nobody knows whose account it is. Posting twice is
    impossible: the key of a transaction is unique, and the second one of two would fail.
    """
    await session.flush()
    subject_type = SUBJECTS[type(row)]
    postings = [] if row.account_id is None else wanted(row)
    posted = await _posted(session, subject_type, row.id)
    holding = {transaction.id: standing for transaction, standing in posted if standing is not None}
    counts = Counter(transaction.kind for transaction, _ in posted)
    for each in postings:
        standing: Standing = (each.kind, _sorted(each.legs), row.account_id, row.currency)
        match = next((key for key, held in holding.items() if held == standing), None)
        if match is not None:
            del holding[match]
            continue
        counts[each.kind] += 1
        await _post(session, row, subject_type, each, number=counts[each.kind])
    for transaction, _ in posted:
        if transaction.id in holding:
            await _reverse(session, transaction, at=ended_at(row))


async def _reverse(session: AsyncSession, transaction: LedgerTransaction, *, at: datetime | None) -> None:
    """Take a transaction back by its opposite; ``IntegrityError`` when that was done already.

    ``at``: when it ceased to hold, if that is known; never before it held.
    """
    values = {
        "key": f"{transaction.key}:reversal",
        "kind": f"{transaction.kind}_reversal",
        "subject_type": transaction.subject_type,
        "subject_id": transaction.subject_id,
        "account_id": transaction.account_id,
        "reverses_id": transaction.id,
        "effective_at": max(at or datetime.now(UTC), transaction.effective_at),
    }
    made = insert(LedgerTransaction).values(values).returning(LedgerTransaction.id)
    reversal_id = await session.scalar(made)
    entry = LedgerEntry
    opposite = select(
        literal(reversal_id, entry.transaction_id.type),
        entry.book,
        entry.account_id,
        entry.payment_id,
        -entry.amount,
        entry.currency,
        entry.exponent,
    ).where(entry.transaction_id == transaction.id)
    columns = ["transaction_id", "book", "account_id", "payment_id", "amount", "currency", "exponent"]
    await session.execute(insert(entry).from_select(columns, opposite))


async def _post(
    session: AsyncSession, row: Posted, subject_type: str, posting: Posting, *, number: int
) -> None:
    values = {
        "key": f"{subject_type}:{row.id}:{posting.kind}:{number}",
        "kind": posting.kind,
        "subject_type": subject_type,
        "subject_id": row.id,
        "account_id": row.account_id,
        "effective_at": posting.effective_at,
    }
    made = insert(LedgerTransaction).values(values).returning(LedgerTransaction.id)
    transaction_id = await session.scalar(made)
    entries = [
        {
            "transaction_id": transaction_id,
            "book": str(book),
            "account_id": row.account_id,
            "payment_id": posting.payment_id,
            "amount": amount,
            "currency": row.currency,
            "exponent": row.exponent,
        }
        for book, amount in posting.legs
    ]
    await session.execute(insert(LedgerEntry).values(entries))


async def _posted(
    session: AsyncSession, subject_type: str, subject_id: UUID
) -> list[tuple[LedgerTransaction, Standing | None]]:
    """The transactions about a thing but their reversals, oldest first; without a standing when reversed."""
    reversal = aliased(LedgerTransaction)
    statement = (
        select(LedgerTransaction, reversal.id)
        .outerjoin(reversal, reversal.reverses_id == LedgerTransaction.id)
        .where(
            LedgerTransaction.subject_type == subject_type,
            LedgerTransaction.subject_id == subject_id,
            LedgerTransaction.reverses_id.is_(None),
        )
        .order_by(LedgerTransaction.recorded_at, LedgerTransaction.id)
    )
    if not (found := (await session.execute(statement)).all()):
        return []
    entries = await session.scalars(
        select(LedgerEntry).where(LedgerEntry.transaction_id.in_([each.id for each, _ in found]))
    )
    legs: dict[UUID, list[LedgerEntry]] = {}
    for entry in entries:
        legs.setdefault(entry.transaction_id, []).append(entry)
    return [
        (transaction, None if reversed_by is not None else _standing(transaction, legs[transaction.id]))
        for transaction, reversed_by in found
    ]


def _standing(transaction: LedgerTransaction, entries: Sequence[LedgerEntry]) -> Standing:
    legs = _sorted([(Book(each.book), each.amount) for each in entries])
    return transaction.kind, legs, transaction.account_id, entries[0].currency


def _sorted(legs: Sequence[tuple[Book, int]]) -> Legs:
    return sorted((str(book), amount) for book, amount in legs)

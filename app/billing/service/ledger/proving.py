"""The proof: what must hold of the ledger by its entries alone, and whether the desk's rows agree with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import Book
from app.billing.models import LedgerEntry, LedgerTransaction, Payment
from app.billing.schemas.ledger import LedgerBook, LedgerReport, LedgerViolation
from app.database import load_sql

SQL = Path(__file__).parent / "sql"
VERIFY = text(load_sql(SQL / "verify.sql"))
COMPARE = text(load_sql(SQL / "compare.sql"))
BOOKS = text(load_sql(SQL / "books.sql"))


async def verify(session: AsyncSession) -> LedgerReport:
    """Prove the ledger by its entries alone, then compare it with the desk's rows.

    Zero sum of each transaction and currency, no orphan, exact and single reversals, nothing posted twice, no
    payment of which more was refunded or lost than captured. Where the provider itself let a payment be
    overdrawn its row says by how much: no violation, but told. Several statements: to verify while others
    post, the session's transaction is to be a repeatable read.
    """
    transactions = await session.scalar(select(func.count()).select_from(LedgerTransaction))
    payments = await session.scalar(select(func.count(LedgerEntry.payment_id.distinct())))
    books = [LedgerBook(**row) for row in (await session.execute(BOOKS)).mappings()]
    found = (await session.execute(VERIFY, {"books": [str(each) for each in Book]})).all()
    allowed = await _overdrawn(session, [each.thing for each in found if each.excess is not None])
    violations = [each for each in found if not _is_allowed(each, allowed)]
    differences = (await session.execute(COMPARE)).all()
    return LedgerReport(
        transactions=transactions or 0,
        entries=sum(each.entries for each in books),
        payments=payments or 0,
        books=books,
        violations=_shown(violations),
        differences=_shown(differences),
        overdrawn=_shown([each for each in found if _is_allowed(each, allowed)]),
    )


async def _overdrawn(session: AsyncSession, payments: Sequence[str]) -> dict[str, int]:
    """Of these payments how far the provider let them be overdrawn, in minor units."""
    statement = select(Payment.id, Payment.overdrawn).where(Payment.id.in_([UUID(each) for each in payments]))
    return {str(payment_id): overdrawn for payment_id, overdrawn in await session.execute(statement)}


def _is_allowed(found: Row[Any], allowed: dict[str, int]) -> bool:
    return found.excess is not None and found.excess <= allowed.get(found.thing, 0)


def _shown(found: Sequence[Row[Any]]) -> list[LedgerViolation]:
    return [LedgerViolation(violation=each.violation, thing=each.thing, detail=each.detail) for each in found]

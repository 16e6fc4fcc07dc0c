"""What the ledger says: entries, balances at any time, and what was really paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import Book
from app.billing.models import LedgerEntry, LedgerTransaction
from app.billing.schemas.ledger import AccountBalance
from app.database import load_sql
from app.knowledge import Amount
from app.listing import among

SQL = Path(__file__).parent / "sql"
BALANCES = text(load_sql(SQL / "balances.sql"))


async def balances(
    session: AsyncSession, account_id: UUID, *, as_of: datetime | None = None
) -> list[AccountBalance]:
    """An account's books a currency, minor units, by what had taken effect at ``as_of``."""
    found = await session.execute(BALANCES, {"account_id": account_id, "as_of": as_of})
    return [AccountBalance(**row) for row in found.mappings()]


async def net_paid(
    session: AsyncSession, accounts: Sequence[UUID], *, as_of: datetime | None = None
) -> Mapping[UUID, Sequence[Amount]]:
    """What the accounts really paid, taxes included: captured, less what was paid back or taken by disputes.

    A currency each; accounts that never paid are left out.
    """
    entry = LedgerEntry
    statement = (
        select(entry.account_id, entry.currency, entry.exponent, func.sum(entry.amount))
        .join(LedgerTransaction, LedgerTransaction.id == entry.transaction_id)
        .where(entry.book == Book.cash, among(entry.account_id, accounts))
        .group_by(entry.account_id, entry.currency, entry.exponent)
        .order_by(entry.currency)
    )
    if as_of is not None:
        statement = statement.where(LedgerTransaction.effective_at <= as_of)
    found: dict[UUID, list[Amount]] = {}
    for account_id, currency, exponent, amount in await session.execute(statement):
        assert account_id is not None  # it is one of those asked for
        found.setdefault(account_id, []).append(
            Amount(amount=int(amount), currency=currency, exponent=exponent)
        )
    return found

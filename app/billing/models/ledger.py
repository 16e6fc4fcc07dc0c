"""The ledger: append-only, double entry. Opaque ids only, and no reference into other tables."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.billing.models.base import InCurrency, minor_units
from app.models import Base, Identified


class LedgerTransaction(Identified, Base):
    """One fact, posted once: ``key`` says which. Corrected only by one other that reverses it."""

    __tablename__ = "ledger_transaction"
    __table_args__ = (
        UniqueConstraint("key"),
        UniqueConstraint("reverses_id"),
        Index(None, "subject_type", "subject_id"),
        Index(None, "account_id", "effective_at", "id"),
        Index(None, "effective_at", "id"),
    )

    key: Mapped[str]
    kind: Mapped[str]
    subject_type: Mapped[str]
    subject_id: Mapped[UUID]
    account_id: Mapped[UUID | None]
    reverses_id: Mapped[UUID | None] = mapped_column(ForeignKey("ledger_transaction.id"))
    effective_at: Mapped[datetime]
    recorded_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class LedgerEntry(InCurrency, Base):
    """``amount``: minor units, a debit is positive. Entries of a transaction sum to zero a currency."""

    __tablename__ = "ledger_entry"
    __table_args__ = (
        CheckConstraint("amount <> 0", name="amount"),
        CheckConstraint("exponent between 0 and 4", name="exponent"),
        Index(None, "transaction_id"),
        Index(None, "account_id", "book"),
        Index(None, "payment_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    transaction_id: Mapped[UUID] = mapped_column(ForeignKey("ledger_transaction.id"))
    book: Mapped[str]
    account_id: Mapped[UUID | None]
    payment_id: Mapped[UUID | None]
    amount: Mapped[int] = minor_units()

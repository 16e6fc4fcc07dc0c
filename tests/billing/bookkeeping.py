"""What tests of the ledger share: a schema of its own, all kinds of rows, somebody who moves them about."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.models import CreditGrant, CreditNote, Dispute, Invoice, Payment, Refund
from app.billing.service import ledger, payments
from app.config import Settings
from app.database import Database
from app.identity import service as identity
from app.migrations import migrate
from app.rag.evaluation.runner import own_schema

DAY = datetime(2026, 3, 1, tzinfo=UTC)
EUR = {"currency": "EUR", "exponent": 2}
FRESH = {"populate_existing": True}
DISPUTED = ["needs_response", "under_review", "warning_needs_response", "won", "lost", "prevented"]


class FaultError(Exception):
    """A fault that a test injected."""


@asynccontextmanager
async def own_ledger(settings: Settings, database: Database) -> AsyncIterator[Database]:
    """A migrated schema with nothing in it, so that a verification of everything sees what a test did."""

    async def prepare(_: Settings, scratch: Database) -> None:
        await asyncio.to_thread(migrate, scratch)

    async with own_schema(settings, database, prepare) as scratch:
        yield scratch


async def an_account(session: AsyncSession) -> UUID:
    name = f"ledger-{uuid4()}"
    return (await identity.upsert_account(session, name, name)).id


def mirrored(account_id: UUID | None, **values: Any) -> dict[str, Any]:
    return {"provider": "manual", "external_id": str(uuid4()), "account_id": account_id, **EUR, **values}


def an_invoice(account_id: UUID | None, **values: Any) -> Invoice:
    given = {"status": "open", "subtotal": 10_000, "tax": 1_900, "total": 11_900, "issued_at": DAY}
    zero = {"paid": 0, "credit_applied": 0, "reduced": 0}
    return Invoice(**mirrored(account_id, **given | zero | values))


def a_payment(account_id: UUID | None, **values: Any) -> Payment:
    given = {"status": "succeeded", "amount": 10_000, "captured": 10_000, "paid_at": DAY}
    zero = {"refunded": 0, "lost": 0, "overdrawn": 0, "version": 1}
    return Payment(**mirrored(account_id, **given | zero | values))


def a_refund(payment: Payment, **values: Any) -> Refund:
    given = {"status": "pending", "amount": 4_000, "payment_id": payment.id}
    return Refund(**mirrored(payment.account_id, **given | values))


def a_dispute(payment: Payment, **values: Any) -> Dispute:
    given = {"status": "needs_response", "amount": 3_000, "payment_id": payment.id, "opened_at": DAY}
    return Dispute(**mirrored(payment.account_id, **given | values))


def a_note(invoice: Invoice, **values: Any) -> CreditNote:
    given = {"status": "issued", "subtotal": 1_000, "tax": 190, "total": 1_190, "issued_at": DAY}
    parts = {"reduces": 500, "refund_amount": 300, "credit_amount": 200, "out_of_band_amount": 190}
    return CreditNote(**mirrored(invoice.account_id, invoice_id=invoice.id, **given | parts | values))


def a_grant(account_id: UUID, **values: Any) -> CreditGrant:
    given = {"kind": "goodwill", "amount": 2_500, "reason": "Two hours of standstill."}
    return CreditGrant(**{"account_id": account_id, **EUR, **given, **values})


async def book(session: AsyncSession, *rows: Any) -> None:
    """Store rows, one after the other, and bring the ledger up for each."""
    for row in rows:
        session.add(row)
        await session.flush()
        await session.refresh(row)
        await ledger.bring_up(session, row)


class Bookkeeper:
    """Makes rows and moves them in any order, likely or not, with faults: all by a seed."""

    def __init__(self, database: Database, seed: int, accounts: Sequence[UUID], ids: dict[str, list[UUID]]):
        self.database = database
        self.random = Random(seed)
        self.accounts = accounts
        self.ids = ids  # shared by those who work at once
        self.done = self.failed = 0

    async def work(self, steps: int) -> None:
        for _ in range(steps):
            try:
                async with self.database.session() as session:
                    made = await self._step(session)
                    await self._fault(session)
            except (FaultError, DBAPIError):
                self.failed += 1
                continue
            self.done += 1
            for kind, row_id in made:
                self.ids.setdefault(kind, []).append(row_id)

    async def _fault(self, session: AsyncSession) -> None:
        """Now and then: a mistake of the program, or a connection that is killed."""
        chance = self.random.random()
        if chance < 0.06:
            raise FaultError
        if chance < 0.08:
            await session.execute(text("select pg_terminate_backend(pg_backend_pid())"))

    async def _step(self, session: AsyncSession) -> list[tuple[str, UUID]]:
        act = self.random.choice([self._new, self._new, self._move, self._move, self._move, self._give])
        return await act(session)

    async def _new(self, session: AsyncSession) -> list[tuple[str, UUID]]:
        account_id = self.random.choice([*self.accounts, None])
        kind = self.random.choice(["payment", "invoice", "refund", "dispute", "note", "grant"])
        amount = self.random.choice([1, 7, 333, 4_000, 12_000])
        row: Any
        if kind == "payment":
            row = a_payment(account_id)
        elif kind == "invoice":
            row = an_invoice(account_id, credit_applied=self.random.choice([0, 500]))
        elif kind == "grant":
            row = a_grant(self.random.choice(self.accounts), amount=amount)
        elif kind == "note":
            if (invoice := await self._locked(session, Invoice, "invoice")) is None:
                return []
            row = a_note(invoice)
        else:
            if (payment := await self._locked(session, Payment, "payment")) is None:
                return []
            make = a_refund if kind == "refund" else a_dispute
            row = make(payment, amount=amount)
        await book(session, row)
        await self._fault(session)
        await self._follow(session, row)
        return [(kind, row.id)]

    async def _move(self, session: AsyncSession) -> list[tuple[str, UUID]]:
        """Some other state, whatever the rules say; also twice, with the second change taken back."""
        kind = self.random.choice(["payment", "invoice", "refund", "dispute", "note", "grant"])
        models = {
            "payment": Payment,
            "invoice": Invoice,
            "refund": Refund,
            "dispute": Dispute,
            "note": CreditNote,
            "grant": CreditGrant,
        }
        if (row := await self._locked(session, models[kind], kind)) is None:
            return []
        self._change(row)
        await ledger.bring_up(session, row)
        await self._fault(session)
        if self.random.random() < 0.3:
            async with session.begin_nested() as inner:
                self._change(row)
                await ledger.bring_up(session, row)
                await inner.rollback()
            await session.refresh(row)
        await self._follow(session, row)
        await ledger.bring_up(session, row)
        return []

    async def _give(self, session: AsyncSession) -> list[tuple[str, UUID]]:
        """A payment turns out to be another account's, and its refunds and disputes with it."""
        if (payment := await self._locked(session, Payment, "payment")) is None:
            return []
        payment.account_id = self.random.choice([*self.accounts, None])
        await ledger.bring_up(session, payment)
        await self._fault(session)
        for model in (Refund, Dispute):
            found = select(model).where(model.payment_id == payment.id).order_by(model.id).with_for_update()
            for row in (await session.scalars(found, execution_options=FRESH)).all():
                row.account_id = payment.account_id
                await ledger.bring_up(session, row)
        return []

    def _change(self, row: Any) -> None:
        choice, later = self.random.choice, DAY + timedelta(days=self.random.randrange(60))
        if isinstance(row, Payment):
            row.status = choice(["succeeded", "succeeded", "pending", "failed"])
            row.captured = choice([10_000, 10_000, 2_000]) if row.status == "succeeded" else 0
        elif isinstance(row, Invoice):
            row.status = choice(["draft", "open", "paid", "uncollectible", "void"])
            row.credit_applied, row.reduced = choice([0, 500, 900]), choice([0, 100])
        elif isinstance(row, Refund):
            row.status = choice(["pending", "succeeded", "failed", "canceled"])
            row.succeeded_at, row.failed_at = choice([(later, None), (None, later), (None, None)])
        elif isinstance(row, Dispute):
            row.status, row.closed_at = choice(DISPUTED), choice([None, later])
        elif isinstance(row, CreditNote):
            row.status, row.voided_at = choice([("issued", None), ("void", later), ("void", None)])
        else:
            row.voided_at = choice([None, later])

    async def _follow(self, session: AsyncSession, row: Any) -> None:
        await session.flush()
        payment_id = row.id if isinstance(row, Payment) else getattr(row, "payment_id", None)
        if payment_id is not None:
            payment = await session.get_one(Payment, payment_id)
            await payments.recount(session, payment, heard=True)

    async def _locked(self, session: AsyncSession, model: Any, kind: str) -> Any:
        """One of those that there are, its payment locked before it."""
        if not (known := self.ids.get(kind)):
            return None
        row_id = self.random.choice(known)
        if model in (Refund, Dispute):
            payment_id = await session.scalar(select(model.payment_id).where(model.id == row_id))
            await payments.lock(session, payment_id)
        statement = select(model).where(model.id == row_id).with_for_update(key_share=True)
        return await session.scalar(statement, execution_options=FRESH)


async def at_random(database: Database, *, seed: int, steps: int, workers: int) -> list[Bookkeeper]:
    """Several at once on the same rows."""
    async with database.session() as session:
        accounts = [await an_account(session) for _ in range(2)]
    ids: dict[str, list[UUID]] = {}
    keepers = [Bookkeeper(database, seed * 100 + each, accounts, ids) for each in range(workers)]
    await asyncio.gather(*(each.work(steps) for each in keepers))
    return keepers

"""`ledger verify` finds whatever is wrong, and nothing when nothing is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.schemas.ledger import LedgerReport
from app.billing.service import ledger, payments
from app.database import Database, create_engine
from tests.billing.bookkeeping import (
    DAY,
    a_dispute,
    a_grant,
    a_note,
    a_payment,
    a_refund,
    an_account,
    an_invoice,
    book,
    own_ledger,
)
from tests.tridesk import tridesk

OF_PAYMENT = "(select id from ledger_transaction where subject_id = :payment and key not like '%again')"
REVERSAL = "(select id from ledger_transaction where kind = 'reserve_reversal' and key not like '%again')"
RESERVE = "(select id from ledger_transaction where subject_id = :refund and kind = 'reserve')"
COPIED = """
insert into ledger_transaction (key, kind, subject_type, subject_id, account_id, reverses_id, effective_at)
    select key || '-again', kind, subject_type, subject_id, account_id, reverses_id, effective_at
    from ledger_transaction where id = {which};
insert into ledger_entry (transaction_id, book, account_id, payment_id, amount, currency, exponent)
    select (select id from ledger_transaction where key like '%-again'),
        book, account_id, payment_id, amount, currency, exponent
    from ledger_entry where transaction_id = {which}
"""
UNLINKED = "alter table ledger_entry drop constraint fk_ledger_entry_transaction_id_ledger_transaction"
LOOSE = "alter table ledger_transaction drop constraint fk_ledger_transaction_reverses_id_ledger_transaction"
UNCOUNTED = "alter table ledger_transaction drop constraint uq_ledger_transaction_reverses_id"

ENTRIES, TRANSACTIONS = "update ledger_entry set", "update ledger_transaction set"
DAMAGE = {
    "unbalanced": f"{ENTRIES} amount = amount + 1 where transaction_id = {OF_PAYMENT} and amount > 0",
    "trial_balance": f"delete from ledger_entry where transaction_id = {OF_PAYMENT} and amount > 0",
    "empty": f"delete from ledger_entry where transaction_id = {OF_PAYMENT}",
    "orphan": f"{UNLINKED}; delete from ledger_transaction where subject_id = :payment",
    "stray_entry": f"{ENTRIES} account_id = uuidv7() where transaction_id = {OF_PAYMENT}",
    "unknown_book": f"{ENTRIES} book = 'pocket' where transaction_id = {OF_PAYMENT}",
    "mixed_exponents": f"{ENTRIES} exponent = 3 where transaction_id = {OF_PAYMENT}",
    "inexact_reversal": f"{ENTRIES} amount = amount * 2 where transaction_id = {REVERSAL}",
    "misplaced_reversal": f"{TRANSACTIONS} effective_at = '2020-01-01Z' where id = {REVERSAL}",
    "reversed_reversal": f"{TRANSACTIONS} reverses_id = {REVERSAL} where subject_id = :payment",
    "dangling_reversal": f"{LOOSE}; {TRANSACTIONS} reverses_id = uuidv7() where id = {REVERSAL}",
    "reversed_twice": f"{UNCOUNTED}; {COPIED.format(which=REVERSAL)}",
    "posted_twice": COPIED.format(which=OF_PAYMENT),
    "refund_limit": f"{ENTRIES} amount = amount * 5 where transaction_id = {RESERVE}",
    "negative_book": f"{ENTRIES} amount = -amount where transaction_id = {RESERVE}",
}
DISAGREEMENTS = {
    "booked": [
        "update payment set captured = captured + 1 where id = :payment",
        "update refund set status = 'succeeded' where id = :refund",
        "update dispute set status = 'won'",
        "update invoice set status = 'uncollectible'",
        "update credit_note set status = 'void'",
        "update credit_grant set amount = amount + 1",
        "update invoice set account_id = null",
    ],
    "refunded": ["update payment set refunded = refunded - 1 where id = :payment"],
    "lost": ["update payment set lost = lost - 1 where id = :payment"],
    "overdrawn": ["update payment set overdrawn = 7 where id = :payment"],
}


@dataclass(frozen=True)
class World:
    """One of each thing, booked."""

    database: Database
    payment: UUID
    refund: UUID

    @asynccontextmanager
    async def damaged(self, script: str) -> AsyncIterator[LedgerReport]:
        """What a verification says after the owner did this with all triggers off; taken back afterwards."""
        owner = create_engine(self.database.dsn("owner"), schema=self.database.schema)
        async with owner.connect() as connection, AsyncSession(bind=connection) as session:
            for table in ("ledger_entry", "ledger_transaction"):
                await session.execute(text(f"alter table {table} disable trigger user"))
            for statement in script.split(";"):
                names = [each for each in ("payment", "refund") if f":{each}" in statement]
                await session.execute(text(statement), {each: getattr(self, each) for each in names})
            yield await ledger.verify(session)
            await session.rollback()
        await owner.dispose()


@pytest.fixture(scope="module")
async def world(settings, database) -> AsyncIterator[World]:
    async with own_ledger(settings, database) as scratch:
        async with scratch.session() as session:
            account_id = await an_account(session)
            payment, invoice = a_payment(account_id), an_invoice(account_id)
            await book(session, payment, invoice)
            failed = a_refund(payment, amount=1_000)
            refund, dispute = a_refund(payment), a_dispute(payment, status="lost", closed_at=DAY)
            await book(session, failed, refund, dispute, a_note(invoice), a_grant(account_id))
            failed.status, failed.failed_at = "failed", failed.created_at + timedelta(days=1)
            await ledger.bring_up(session, failed)
            await payments.recount(session, payment, heard=False)
        yield World(scratch, payment.id, refund.id)


async def test_what_is_well_is_proved(world):
    async with world.database.session() as session:
        report = await ledger.verify(session)
    assert report.holds
    assert (report.violations, report.differences, report.overdrawn) == ([], [], [])
    assert (report.transactions, report.entries, report.payments) == (9, 23, 1)
    balances = {each.book: each.amount for each in report.books}
    assert (balances["refunds"], balances["disputes_lost"], balances["goodwill"]) == (3_700, 3_000, 2_500)


@pytest.mark.parametrize("violation", DAMAGE)
async def test_each_kind_of_damage_is_found(world, violation):
    async with world.damaged(DAMAGE[violation]) as report:
        assert violation in {each.violation for each in report.violations}
        assert not report.holds


@pytest.mark.parametrize(
    ("difference", "script"), [(name, each) for name, them in DISAGREEMENTS.items() for each in them]
)
async def test_rows_that_tell_another_story_are_found(world, difference, script):
    async with world.damaged(script) as report:
        assert report.violations == []
        assert difference in {each.violation for each in report.differences}
        assert not report.holds


async def test_what_the_provider_let_be_overdrawn_is_told_and_no_violation(world):
    async with world.database.session() as session:
        payment = a_payment(await an_account(session), captured=100)
        refund = a_refund(payment, amount=150)
        await book(session, payment)
        refund.payment_id = payment.id
        await book(session, refund)
        await payments.recount(session, payment, heard=True)
        report = await ledger.verify(session)
        assert report.holds
        assert [(each.violation, each.thing) for each in report.overdrawn] == [
            ("refund_limit", str(payment.id))
        ]
        await session.rollback()


async def test_the_command_says_proved_or_what_is_not_and_exits_with_1(world):
    url = f"{world.database.dsn('app')}&search_path={quote(f'{world.database.schema},public')}"
    done = await asyncio.to_thread(tridesk, "ledger", "verify", DATABASE_URL=url)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["9 transactions, 23 entries, 1 payments", "proved"]
    async with world.database.session() as session:
        await session.execute(text("update payment set overdrawn = 7"))
    try:
        plain, as_json = await asyncio.gather(
            asyncio.to_thread(tridesk, "ledger", "verify", DATABASE_URL=url),
            asyncio.to_thread(tridesk, "ledger", "verify", "--json", DATABASE_URL=url),
        )
    finally:
        async with world.database.session() as session:
            await session.execute(text("update payment set overdrawn = 0"))
    assert (plain.returncode, as_json.returncode) == (1, 1)
    assert f"difference: overdrawn {world.payment}: 7 allowed, -3000 needed" in plain.stdout.splitlines()
    report = json.loads(as_json.stdout)
    assert report["proved"] is False
    assert [each["violation"] for each in report["differences"]] == ["overdrawn"]

"""The ledger takes additions only, in balance only, from anybody; and follows its rows exactly once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from app.billing.models import LedgerEntry, LedgerTransaction
from app.billing.service import ledger
from app.billing.service.ledger import posting
from app.database import create_engine
from tests.billing.bookkeeping import (
    DAY,
    a_dispute,
    a_grant,
    a_note,
    a_payment,
    a_refund,
    an_account,
    an_invoice,
    at_random,
    book,
    own_ledger,
)

TRANSACTION = """
insert into ledger_transaction (key, kind, subject_type, subject_id, effective_at)
values (:key, 'payment', 'payment', uuidv7(), now()) returning id
"""
ENTRY = """
insert into ledger_entry (transaction_id, book, amount, currency, exponent)
values (:id, :book, :amount, :currency, 2)
"""
CHANGES = [
    "update ledger_entry set amount = amount + 1",
    "update ledger_transaction set effective_at = now()",
    "delete from ledger_entry",
    "delete from ledger_transaction",
    "truncate ledger_entry",
    "truncate ledger_transaction cascade",
]


async def books(session, row) -> dict[str, int]:
    """What the ledger says of one row, book by book."""
    statement = (
        select(LedgerEntry.book, LedgerEntry.amount)
        .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
        .where(LedgerTransaction.subject_id == row.id)
    )
    found: dict[str, int] = {}
    for name, amount in await session.execute(statement):
        found[name] = found.get(name, 0) + amount
    return {name: amount for name, amount in found.items() if amount}


async def count(session, row) -> int:
    statement = select(LedgerTransaction.id).where(LedgerTransaction.subject_id == row.id)
    return len((await session.scalars(statement)).all())


@pytest.fixture
async def paid(database) -> Any:
    async with database.session() as session:
        payment = a_payment(await an_account(session))
        await book(session, payment)
    return payment


class TestNobodyChangesIt:
    @pytest.mark.parametrize("change", CHANGES)
    async def test_the_application_has_no_right_to(self, database, paid, change):
        with pytest.raises(DBAPIError, match="permission denied for table"):
            async with database.session() as session:
                await session.execute(text(change))

    @pytest.mark.parametrize("change", CHANGES)
    async def test_not_even_the_owner_gets_past_the_triggers(self, database, paid, change):
        owner = create_engine(database.dsn("owner"))
        with pytest.raises(DBAPIError, match="the ledger is only ever added to"):
            async with owner.begin() as connection:
                await connection.execute(text(change))
        await owner.dispose()

    async def test_the_triggers_are_awake_where_replication_lets_others_sleep(self, database):
        found = text(
            "select tgname from pg_trigger where tgname ~ '^ledger_.*(only|truncate)' and tgenabled = 'A'"
        )
        async with database.session() as session:
            assert len(set(await session.scalars(found))) == 4


class TestOnlyInBalance:
    async def post(self, session, *legs, unique, early=False):
        transaction_id = await session.scalar(text(TRANSACTION), {"key": f"{unique}:{uuid4()}"})
        for name, amount, currency in legs:
            values = {"id": transaction_id, "book": name, "amount": amount, "currency": currency}
            await session.execute(text(ENTRY), values)
        return transaction_id

    @pytest.mark.parametrize(
        "legs",
        [
            [("cash", 100, "EUR")],
            [("cash", 100, "EUR"), ("receivable", -99, "EUR")],
            [("cash", 100, "EUR"), ("receivable", -100, "USD")],
            [],
        ],
    )
    async def test_what_does_not_sum_to_zero_a_currency_is_not_committed(self, database, unique, legs):
        with pytest.raises(IntegrityError):
            async with database.session() as session:
                await self.post(session, *legs, unique=unique)

    async def test_balance_is_looked_at_when_all_entries_are_there(self, database, unique):
        async with database.session() as session:
            made = await self.post(session, ("cash", 5, "EUR"), ("receivable", -5, "EUR"), unique=unique)
        async with database.session() as session:
            assert await session.get(LedgerTransaction, made) is not None

    async def test_constraints_that_were_checked_early_are_checked_again(self, database, unique):
        async def post() -> None:
            async with database.session() as session:
                made = await self.post(session, ("cash", 5, "EUR"), ("receivable", -5, "EUR"), unique=unique)
                await session.execute(text("set constraints all immediate"))
                await session.execute(text("set constraints all deferred"))
                values = {"id": made, "book": "cash", "amount": 7, "currency": "EUR"}
                await session.execute(text(ENTRY), values)

        with pytest.raises(IntegrityError):
            await post()

    async def test_nothing_is_slipped_under_a_transaction_of_before(self, database, unique):
        async with database.session() as session:
            made = await self.post(session, ("cash", 5, "EUR"), ("receivable", -5, "EUR"), unique=unique)
        values = {"id": made, "book": "cash", "amount": 7, "currency": "EUR"}
        with pytest.raises(IntegrityError, match="posted with their transaction"):
            async with database.session() as session:
                await session.execute(text(ENTRY), values)

    async def test_when_it_was_written_is_not_the_writers_to_say(self, database, unique):
        insert = text(
            TRANSACTION.replace("effective_at)", "effective_at, recorded_at)").replace(
                "now())", "now(), '2020-01-01Z')"
            )
        )
        async with database.session() as session:
            made = await session.scalar(insert, {"key": unique})
            statement = text(
                "select recorded_at = transaction_timestamp() from ledger_transaction where id = :id"
            )
            assert await session.scalar(statement, {"id": made})
            await session.rollback()

    async def test_a_reversal_that_is_not_the_opposite_is_not_committed(self, database, paid, unique):
        reverse = TRANSACTION.replace("effective_at)", "effective_at, reverses_id)").replace(
            "now())", "now(), CAST(:reverses AS uuid))"
        )

        async def post() -> None:
            async with database.session() as session:
                of_payment = select(LedgerTransaction).where(LedgerTransaction.subject_id == paid.id)
                posted = (await session.scalars(of_payment)).one()
                made = await session.scalar(text(reverse), {"key": unique, "reverses": posted.id})
                for name, amount in (("cash", -9_999), ("receivable", 9_999)):
                    values = {"id": made, "book": name, "amount": amount, "currency": "EUR"}
                    await session.execute(text(ENTRY), values)

        with pytest.raises(IntegrityError, match="exact opposite"):
            await post()


class TestItFollowsItsRows:
    async def test_an_invoice_is_owed_then_written_off_then_void(self, database):
        async with database.session() as session:
            row = an_invoice(await an_account(session), credit_applied=900)
            await book(session, row)
            assert await books(session, row) == {
                "receivable": 11_000,
                "revenue": -10_000,
                "tax": -1_900,
                "customer_credit": 900,
            }
            row.status, row.paid = "uncollectible", 4_000
            await ledger.bring_up(session, row)
            assert (await books(session, row))["bad_debt"] == 7_000
            assert (await books(session, row))["receivable"] == 4_000
            row.status = "void"
            await ledger.bring_up(session, row)
            assert await books(session, row) == {}

    async def test_a_refund_is_reserved_settled_and_comes_back_when_it_fails_late(self, database, paid):
        async with database.session() as session:
            row = a_refund(paid)
            await book(session, row)
            assert await books(session, row) == {"refunds": 4_000, "refunds_payable": -4_000}
            row.status, row.succeeded_at = "succeeded", DAY
            await ledger.bring_up(session, row)
            assert await books(session, row) == {"refunds": 4_000, "cash": -4_000}
            before = await count(session, row)
            row.status, row.failed_at = "failed", DAY + timedelta(days=3)
            await ledger.bring_up(session, row)
            assert await books(session, row) == {}
            assert await count(session, row) == before + 2  # by new entries: nothing was taken away

    async def test_a_dispute_may_go_to_and_fro(self, database, paid):
        expected = {
            "needs_response": {"disputes_held": 3_000, "cash": -3_000},
            "won": {},
            "lost": {"disputes_lost": 3_000, "cash": -3_000},
            "warning_closed": {},
        }
        async with database.session() as session:
            row = a_dispute(paid)
            await book(session, row)
            for status in (
                "needs_response",
                "won",
                "needs_response",
                "lost",
                "won",
                "lost",
                "warning_closed",
            ):
                row.status = status
                await ledger.bring_up(session, row)
                assert await books(session, row) == expected[status], status

    async def test_a_note_and_a_grant_are_booked_and_reversed(self, database):
        async with database.session() as session:
            account_id = await an_account(session)
            invoice = an_invoice(account_id)
            await book(session, invoice)
            note, grant = a_note(invoice), a_grant(account_id)
            await book(session, note, grant)
            assert await books(session, note) == {
                "revenue": 1_000,
                "tax": 190,
                "receivable": -500,
                "refunds": -300,
                "customer_credit": -200,
                "out_of_band": -190,
            }
            assert await books(session, grant) == {"goodwill": 2_500, "customer_credit": -2_500}
            note.status, note.voided_at, grant.voided_at = "void", DAY, DAY
            await ledger.bring_up(session, note)
            await ledger.bring_up(session, grant)
            assert await books(session, note) == await books(session, grant) == {}

    async def test_saying_the_same_again_posts_nothing(self, database, paid):
        async with database.session() as session:
            await session.merge(paid)
            for _ in range(3):
                await ledger.bring_up(session, await session.merge(paid))
            assert await count(session, paid) == 1

    async def test_nothing_is_posted_until_it_is_known_whose_it_is(self, database):
        async with database.session() as session:
            row = a_payment(None)
            await book(session, row)
            assert await count(session, row) == 0
            row.account_id = first = await an_account(session)
            await ledger.bring_up(session, row)
            row.account_id = second = await an_account(session)
            await ledger.bring_up(session, row)
            assert [each.net_paid for each in await ledger.balances(session, first)] == [0]
            assert [each.net_paid for each in await ledger.balances(session, second)] == [10_000]

    async def test_two_who_post_the_same_without_the_lock_cannot_both(self, database, monkeypatch):
        async with database.session() as session:
            row = a_payment(await an_account(session))
            session.add(row)
        gate, looked = asyncio.Barrier(2), posting._posted

        async def both_looked(*given: Any) -> Any:
            found = await looked(*given)
            await gate.wait()
            return found

        monkeypatch.setattr(posting, "_posted", both_looked)

        async def post() -> bool:
            try:
                async with database.session() as session:
                    mine = await session.get_one(type(row), row.id)
                    await ledger.bring_up(session, mine)
            except IntegrityError:
                return False
            return True

        assert sorted(await asyncio.gather(post(), post())) == [False, True]
        async with database.session() as session:
            assert await count(session, row) == 1


class TestBalances:
    async def test_at_each_moment_they_are_what_had_happened_by_then(self, database):
        day = timedelta(days=1)
        async with database.session() as session:
            account_id = await an_account(session)
            invoice, payment = an_invoice(account_id), a_payment(account_id, paid_at=DAY + day)
            await book(session, invoice, payment)
            refund = a_refund(payment, status="succeeded", succeeded_at=DAY + 2 * day)
            dispute = a_dispute(payment, opened_at=DAY + 3 * day)
            await book(session, refund, dispute)
            dispute.status, dispute.closed_at = "won", DAY + 4 * day
            await ledger.bring_up(session, dispute)
            seen = []
            for days in range(-1, 5):
                found = await ledger.balances(session, account_id, as_of=DAY + days * day)
                seen.append([(each.owed, each.net_paid, each.refunded, each.disputed) for each in found])
        assert seen == [
            [],
            [(11_900, 0, 0, 0)],
            [(1_900, 10_000, 0, 0)],
            [(1_900, 6_000, 4_000, 0)],
            [(1_900, 3_000, 4_000, 3_000)],
            [(1_900, 6_000, 4_000, 0)],
        ]

    async def test_revenue_is_what_stayed_a_currency_and_leaves_out_who_never_paid(self, database):
        async with database.session() as session:
            account_id, never = await an_account(session), await an_account(session)
            euros = a_payment(account_id)
            yen = a_payment(account_id, captured=500, currency="JPY", exponent=0)
            await book(session, euros, yen)
            await book(session, a_refund(euros, status="succeeded", succeeded_at=DAY + timedelta(days=9)))
            found = await ledger.net_paid(session, [account_id, never])
            then = await ledger.net_paid(session, [account_id], as_of=DAY)
        assert {key: [(each.currency, each.amount) for each in value] for key, value in found.items()} == {
            account_id: [("EUR", 6_000), ("JPY", 500)]
        }
        assert [each.amount for each in then[account_id]] == [10_000, 500]


@pytest.fixture(scope="module")
async def alone(settings, database):
    async with own_ledger(settings, database) as scratch:
        yield scratch


@pytest.mark.parametrize("seed", [1, 2])
async def test_after_anything_at_random_with_faults_the_ledger_proves_itself(alone, seed):
    keepers = await at_random(alone, seed=seed, steps=30, workers=4)
    await proved(alone, keepers)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(100, 104))
async def test_after_very_much_at_random_the_ledger_proves_itself(alone, seed):
    keepers = await at_random(alone, seed=seed, steps=400, workers=8)
    await proved(alone, keepers)


async def proved(database, keepers):
    async with database.session() as session:
        report = await ledger.verify(session)
    assert report.violations == report.differences == []
    assert sum(each.done for each in keepers) > sum(each.failed for each in keepers) > 0
    assert report.transactions > 20
    assert sum(each.amount for each in report.books) == 0

"""The ledger, and what it and the desk know of an account's money."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import Book
from app.billing.controllers.filters import AccountFilter, CurrencyFilter
from app.billing.exceptions import BillingAccountNotFoundError
from app.billing.schemas.facts import BillingAccountFacts
from app.billing.schemas.ledger import AccountBalances, LedgerEntryView, LedgerSubject
from app.billing.service import facts, ledger
from app.billing.service.ledger import listing
from app.billing.utils.moments import in_utc
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.listing import Sort, Total, several
from app.openapi import documented
from app.pagination import Cursor, Limit, Page

AsOf = Annotated[
    datetime | None,
    QueryParameter(
        name="as_of", description="What had taken effect by then, with a zone; now when left out."
    ),
]
PaymentFilter = Annotated[list[UUID] | None, several("payment_id", "Under this payment.")]
TransactionFilter = Annotated[list[UUID] | None, several("transaction_id", "Of this transaction.")]
BookFilter = Annotated[list[Book] | None, several("book", "In this book.")]
SubjectTypeFilter = Annotated[
    LedgerSubject | None, QueryParameter(name="subject_type", description="About things of this kind.")
]
SubjectFilter = Annotated[UUID | None, QueryParameter(name="subject_id", description="About this thing.")]
EffectiveAfter = Annotated[
    datetime | None, QueryParameter(name="effective_after", description="Took effect then or later.")
]
EffectiveBefore = Annotated[
    datetime | None, QueryParameter(name="effective_before", description="Took effect before.")
]


class LedgerController(Controller):
    """Entries of the ledger."""

    path = "/ledger"
    tags = ["billing"]  # noqa: RUF012 - the framework reads the plain list
    guards = [require(Role.lead)]  # noqa: RUF012 - the framework reads the plain list

    @get(operation_id="list_ledger_entries", opt=documented(listing=listing.LEDGER))
    async def list_ledger_entries(
        self,
        *,
        session: NamedDependency[AsyncSession],
        account_id: AccountFilter = None,
        payment_id: PaymentFilter = None,
        transaction_id: TransactionFilter = None,
        book: BookFilter = None,
        currency: CurrencyFilter = None,
        subject_type: SubjectTypeFilter = None,
        subject_id: SubjectFilter = None,
        effective_after: EffectiveAfter = None,
        effective_before: EffectiveBefore = None,
        as_of: AsOf = None,
        sort: Sort = None,
        cursor: Cursor = None,
        limit: Limit = 20,
        total: Total = False,
    ) -> Page[LedgerEntryView]:
        """List entries with their transactions, the last written first. Leads and admins.

        Entries are never changed: a correction is a transaction that `reverses_id` another. The sums of what
        a filter finds are balances.
        """
        wanted = listing.Wanted(
            account_id=account_id,
            payment_id=payment_id,
            transaction_id=transaction_id,
            book=book,
            currency=currency,
            subject_type=subject_type,
            subject_id=subject_id,
            effective_after=effective_after,
            effective_before=effective_before,
            as_of=as_of,
        )
        return await listing.page(session, wanted, sort=sort, cursor=cursor, limit=limit, total=total)


class BillingAccountController(Controller):
    """What accounts pay and owe."""

    path = "/accounts/{account_id:uuid}"
    tags = ["billing"]  # noqa: RUF012 - the framework reads the plain list

    @get(
        "/balance",
        operation_id="get_account_balance",
        opt=documented(raises=[BillingAccountNotFoundError]),
    )
    async def get_account_balance(
        self,
        account_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        as_of: AsOf = None,
    ) -> AccountBalances:
        """What the ledger says of an account, a currency each; customers who see their account: its own."""
        await facts.check_account(session, account_id, principal=principal)
        moment = in_utc(as_of, field="as_of")
        found = await ledger.balances(session, account_id, as_of=moment)
        return AccountBalances(account_id=account_id, as_of=moment, balances=found)

    @get(
        "/facts",
        operation_id="get_account_facts",
        opt=documented(raises=[BillingAccountNotFoundError]),
    )
    async def get_account_facts(
        self,
        account_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        as_of: AsOf = None,
    ) -> BillingAccountFacts:
        """Balances, open invoices, last payments, refunds, subscriptions, open disputes of an account.

        The staff also see what goodwill the policy leaves it this quarter; customers who see their account
        see its own without that.
        """
        moment = in_utc(as_of, field="as_of")
        return await facts.facts_of(session, account_id, principal=principal, as_of=moment)

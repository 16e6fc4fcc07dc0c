"""Credits of accounts: granted within caps, voided, suggested."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import CreditKind
from app.billing.desk import Desk
from app.billing.exceptions import (
    BillingAccountNotFoundError,
    CaseNotFoundError,
    CreditCapError,
    CreditGrantNotFoundError,
    NotVoidableError,
    UnknownCurrencyError,
    UnknownReferenceError,
)
from app.billing.schemas.credits import CreditGrantCreate, CreditGrantView, SuggestedCredit
from app.billing.schemas.money import CurrencyCode
from app.billing.service import issues
from app.billing.service.credits import granting, listing, suggesting
from app.billing.utils.money import DEFAULT_LOCALE
from app.exceptions import PermissionDeniedError
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.listing import CreatedAfter, CreatedBefore, Sort, Total, several
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.preconditions import Expected

LANGUAGES_MAX = 200

KindFilter = Annotated[list[CreditKind] | None, several("kind", "Of this kind.")]
CurrencyFilter = Annotated[list[CurrencyCode] | None, several("currency", "In this currency.")]
CaseFilter = Annotated[list[UUID] | None, several("case_id", "That belong to this case.")]
IssueFilter = Annotated[list[UUID] | None, several("issue_id", "Staff only: behind which this issue is.")]
VoidedFilter = Annotated[bool | None, QueryParameter(name="voided", description="Taken back, or not.")]
SuggestedIn = Annotated[
    CurrencyCode | None,
    QueryParameter(name="currency", description="When left out, the one that the account pays in."),
]
Languages = Annotated[
    str | None,
    HeaderParameter(
        name="Accept-Language",
        max_length=LANGUAGES_MAX,
        description="How amounts are written for people: `de-DE`. The first one that is named counts.",
    ),
]


class CreditGrantController(Controller):
    """Credits of an account."""

    path = "/accounts/{account_id:uuid}/credits"
    tags = ["billing"]  # noqa: RUF012 - the framework reads the plain list

    @post(
        operation_id="create_credit_grant",
        guards=[require(Role.agent)],
        opt=documented(
            raises=[
                BillingAccountNotFoundError,
                CreditCapError,
                UnknownReferenceError,
                UnknownCurrencyError,
                PermissionDeniedError,
            ],
            idempotency_required=True,
        ),
    )
    async def create_credit_grant(
        self,
        *,
        account_id: FromPath[UUID],
        data: JSONBody[CreditGrantCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        billing: NamedDependency[Desk],
    ) -> CreditGrantView:
        """Give an account credit for its next invoices.

        Goodwill is capped by the policy in force: a grant by the caller's role, an account by UTC quarter.
        """
        await issues.check(session, billing, data.issue_id, principal=principal)
        row = await granting.grant(session, actor=principal, account_id=account_id, **structs.asdict(data))
        return listing.show(row, principal=principal)

    @get(
        operation_id="list_credit_grants",
        opt=documented(raises=[BillingAccountNotFoundError, PermissionDeniedError], listing=listing.GRANTS),
    )
    async def list_credit_grants(
        self,
        *,
        account_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        kind: KindFilter = None,
        currency: CurrencyFilter = None,
        case_id: CaseFilter = None,
        issue_id: IssueFilter = None,
        voided: VoidedFilter = None,
        created_after: CreatedAfter = None,
        created_before: CreatedBefore = None,
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[CreditGrantView]:
        """List an account's credits, newest first. Customers list their own account's, if they may."""
        await granting.check_account(session, account_id, principal=principal)
        asked = listing.GrantFilter(
            kind=kind,
            currency=currency,
            case_id=case_id,
            issue_id=issue_id,
            voided=voided,
            created_after=created_after,
            created_before=created_before,
        )
        found = await listing.GRANTS.fetch(
            session,
            listing.wanted(account_id, asked, principal=principal),
            limit=limit,
            sort=sort,
            cursor=cursor,
            total=total,
            filters=structs.asdict(asked) | {"account_id": account_id},
        )
        return found.page(lambda row: listing.show(row, principal=principal))

    @get(
        "/{credit_id:uuid}",
        operation_id="get_credit_grant",
        opt=documented(raises=[CreditGrantNotFoundError]),
    )
    async def get_credit_grant(
        self,
        *,
        account_id: FromPath[UUID],
        credit_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> CreditGrantView:
        """Get a credit of an account."""
        row = await granting.get(session, account_id, credit_id, principal=principal)
        return listing.show(row, principal=principal)

    @post(
        "/{credit_id:uuid}/void",
        operation_id="void_credit_grant",
        status_code=200,
        guards=[require(Role.agent)],
        opt=documented(
            raises=[CreditGrantNotFoundError, NotVoidableError, PermissionDeniedError],
            idempotency_required=True,
        ),
    )
    async def void_credit_grant(
        self,
        *,
        account_id: FromPath[UUID],
        credit_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> CreditGrantView:
        """Take a credit back; who granted it, or a lead. It does not count in its quarter any more."""
        row = await granting.void(session, account_id, credit_id, actor=principal, expected=expected)
        return listing.show(row, principal=principal)


class SuggestedCreditController(Controller):
    """What goodwill to offer in a case."""

    path = "/cases/{case_id:uuid}/suggested-credit"
    tags = ["billing"]  # noqa: RUF012 - the framework reads the plain list

    @get(
        operation_id="suggest_credit",
        guards=[require(Role.agent)],
        opt=documented(raises=[CaseNotFoundError, UnknownCurrencyError]),
    )
    async def suggest_credit(
        self,
        *,
        case_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        billing: NamedDependency[Desk],
        currency: SuggestedIn = None,
        languages: Languages = None,
    ) -> SuggestedCredit:
        """What similar solved cases were granted, at most what the policy leaves; or why there is nothing."""
        locale = (languages or DEFAULT_LOCALE).split(",")[0].split(";")[0].strip()
        return await suggesting.suggest(
            session, billing, case_id, principal=principal, currency=currency, locale=locale
        )

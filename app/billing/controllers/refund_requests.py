"""Refund requests: asked for by customers and staff, changed, shown."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.controllers import refund_filters as filters
from app.billing.desk import Desk
from app.billing.exceptions import (
    CurrencyMismatchError,
    NotRefundableError,
    PaymentDisputedError,
    RefundRequestNotFoundError,
    RequestTransitionError,
    UnknownReferenceError,
)
from app.billing.schemas.refund_requests import (
    RefundRequestCreate,
    RefundRequestUpdate,
    RefundRequestView,
)
from app.billing.service import issues
from app.billing.service.refunds import changes, requests, showing
from app.exceptions import PermissionDeniedError
from app.identity.principal import Principal
from app.listing import CreatedAfter, CreatedBefore, Sort, Total
from app.openapi import documented
from app.pagination import Cursor, Limit, Page
from app.preconditions import Expected


class RefundRequestController(Controller):
    """Refund requests."""

    path = "/refund-requests"
    tags = ["billing"]  # noqa: RUF012 - the framework reads the plain list

    @post(
        operation_id="create_refund_request",
        opt=documented(
            raises=[
                UnknownReferenceError,
                CurrencyMismatchError,
                NotRefundableError,
                PaymentDisputedError,
                PermissionDeniedError,
            ],
            idempotency_required=True,
        ),
    )
    async def create_refund_request(
        self,
        data: JSONBody[RefundRequestCreate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        billing: NamedDependency[Desk],
    ) -> RefundRequestView:
        """Ask for money of a payment to go back. Customers ask for their account's, if they may see it."""
        await issues.check(session, billing, data.issue_id, principal=principal)
        request = await requests.create(session, actor=principal, **structs.asdict(data))
        return await showing.show(session, request, principal=principal)

    @get(
        operation_id="list_refund_requests",
        opt=documented(raises=[PermissionDeniedError], listing=requests.REQUESTS),
    )
    async def list_refund_requests(
        self,
        *,
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        status: filters.StatusFilter = None,
        account_id: filters.AccountFilter = None,
        payment_id: filters.PaymentFilter = None,
        invoice_id: filters.InvoiceFilter = None,
        case_id: filters.CaseFilter = None,
        credit_note_id: filters.NoteFilter = None,
        issue_id: filters.IssueFilter = None,
        currency: filters.CurrencyFilter = None,
        reason: filters.ReasonFilter = None,
        number: filters.NumberFilter = None,
        created_after: CreatedAfter = None,
        created_before: CreatedBefore = None,
        sort: Sort = None,
        total: Total = False,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Page[RefundRequestView]:
        """List refund requests, newest first. Customers list their account's, if they may."""
        asked = requests.RequestFilter(
            status=status,
            account_id=account_id,
            payment_id=payment_id,
            invoice_id=invoice_id,
            case_id=case_id,
            credit_note_id=credit_note_id,
            issue_id=issue_id,
            currency=currency,
            reason=reason,
            number=number,
            created_after=created_after,
            created_before=created_before,
        )
        found = await requests.REQUESTS.fetch(
            session,
            requests.wanted(principal, asked),
            limit=limit,
            sort=sort,
            cursor=cursor,
            total=total,
            filters=structs.asdict(asked),
        )
        shown = await showing.show_all(session, found.rows, principal=principal)
        return Page(items=shown, next_cursor=found.next_cursor, total=found.total)

    @get(
        "/{refund_request_id:uuid}",
        operation_id="get_refund_request",
        opt=documented(raises=[RefundRequestNotFoundError]),
    )
    async def get_refund_request(
        self,
        refund_request_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
    ) -> RefundRequestView:
        """Get a refund request, with its refund if one was made."""
        request = await changes.get(session, refund_request_id, principal=principal)
        return await showing.show(session, request, principal=principal)

    @patch(
        "/{refund_request_id:uuid}",
        operation_id="update_refund_request",
        opt=documented(raises=[RefundRequestNotFoundError, RequestTransitionError, PermissionDeniedError]),
    )
    async def update_refund_request(
        self,
        *,
        refund_request_id: FromPath[UUID],
        data: JSONBody[RefundRequestUpdate],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> RefundRequestView:
        """Change the note of a refund request, until somebody decides it."""
        request = await requests.update(
            session, refund_request_id, actor=principal, note=data.note, expected=expected
        )
        return await showing.show(session, request, principal=principal)

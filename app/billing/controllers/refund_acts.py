"""What becomes of refund requests: decided and executed by staff, taken back by who asked."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from app import idempotency
from app.billing.constants import RequestStatus
from app.billing.desk import Desk
from app.billing.exceptions import (
    ApprovalExpiredError,
    ApprovalLimitError,
    NotRefundableError,
    PaymentDisputedError,
    ProviderUnavailableError,
    RefundRequestNotFoundError,
    RequestTransitionError,
    SelfApprovalError,
)
from app.billing.schemas.refund_requests import RefundDecision, RefundRequestView
from app.billing.service.refunds import approvals, changes, execution, requests, showing
from app.database import Database
from app.exceptions import PermissionDeniedError
from app.idempotency import KeyedRequest
from app.identity.constants import Role
from app.identity.guards import require
from app.identity.principal import Principal
from app.openapi import documented
from app.preconditions import Expected, etag


class RefundActController(Controller):
    """What is done with a refund request."""

    path = "/refund-requests"
    tags = ["billing"]  # noqa: RUF012 - the framework reads the plain list

    @post(
        "/{refund_request_id:uuid}/approve",
        operation_id="approve_refund_request",
        status_code=200,
        guards=[require(Role.agent)],
        opt=documented(
            raises=[
                RefundRequestNotFoundError,
                SelfApprovalError,
                ApprovalLimitError,
                RequestTransitionError,
                NotRefundableError,
                PaymentDisputedError,
            ],
            idempotency_required=True,
        ),
    )
    async def approve_refund_request(
        self,
        *,
        refund_request_id: FromPath[UUID],
        data: JSONBody[RefundDecision],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> RefundRequestView:
        """Approve a refund that somebody else asked for, within the limits of the caller's role.

        What was approved for the same payment or invoice within 7 days counts together, and so does what the
        caller approved that UTC day.
        """
        request = await approvals.approve(
            session, refund_request_id, actor=principal, note=data.note, expected=expected
        )
        return await showing.show(session, request, principal=principal)

    @post(
        "/{refund_request_id:uuid}/reject",
        operation_id="reject_refund_request",
        status_code=200,
        guards=[require(Role.agent)],
        opt=documented(
            raises=[RefundRequestNotFoundError, RequestTransitionError], idempotency_required=True
        ),
    )
    async def reject_refund_request(
        self,
        *,
        refund_request_id: FromPath[UUID],
        data: JSONBody[RefundDecision],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> RefundRequestView:
        """Decide that a refund does not happen."""
        request = await approvals.reject(
            session, refund_request_id, actor=principal, note=data.note, expected=expected
        )
        return await showing.show(session, request, principal=principal)

    @post(
        "/{refund_request_id:uuid}/cancel",
        operation_id="cancel_refund_request",
        status_code=200,
        opt=documented(
            raises=[RefundRequestNotFoundError, RequestTransitionError, PermissionDeniedError],
            idempotency_required=True,
        ),
    )
    async def cancel_refund_request(
        self,
        *,
        refund_request_id: FromPath[UUID],
        session: NamedDependency[AsyncSession],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
    ) -> RefundRequestView:
        """Take a refund request back, as long as it was not executed; who asked for it or the staff."""
        request = await requests.cancel(session, refund_request_id, actor=principal, expected=expected)
        return await showing.show(session, request, principal=principal)

    @post(
        "/{refund_request_id:uuid}/execute",
        operation_id="execute_refund_request",
        status_code=200,
        guards=[require(Role.agent)],
        opt=documented(
            raises=[
                RefundRequestNotFoundError,
                RequestTransitionError,
                ApprovalExpiredError,
                NotRefundableError,
                PaymentDisputedError,
                ProviderUnavailableError,
            ],
            idempotency_required=True,
        ),
    )
    async def execute_refund_request(
        self,
        *,
        refund_request_id: FromPath[UUID],
        database: NamedDependency[Database],
        billing: NamedDependency[Desk],
        principal: NamedDependency[Principal],
        expected: NamedDependency[Expected],
        keyed: NamedDependency[KeyedRequest | None],
    ) -> RefundRequestView:
        """Make an approved refund at the payment provider.

        The money is reserved first. `executing`: the provider has it in work, or did not answer and will be
        asked again until it does; `refunded` or `failed` come later then, as events do.
        """
        async with database.session() as session:
            await idempotency.begin(session, keyed)
            request = await execution.reserve(
                session, refund_request_id, provider=billing.provider, actor=principal, expected=expected
            )
            shown = await showing.show(session, request, principal=principal)
            if request.status == RequestStatus.executing:
                await _store(session, keyed, shown)
        execution.check_reserved(request)
        if billing.provider is None or request.refund_id is None:
            raise ProviderUnavailableError("No payment provider is connected.")
        called, answer = await execution.attempt(database, billing.provider, request.refund_id)
        async with database.session() as session:
            if called:
                await execution.settle(session, request.refund_id, answer, actor=principal)
            request = await changes.get(session, refund_request_id, principal=principal)
            shown = await showing.show(session, request, principal=principal)
            await _store(session, keyed, shown)
        return shown


async def _store(session: AsyncSession, keyed: KeyedRequest | None, shown: RefundRequestView) -> None:
    await idempotency.store(
        session, keyed, status=200, content=shown, headers={"etag": etag(shown.version)}, made_id=shown.id
    )

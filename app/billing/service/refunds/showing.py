"""Refund requests and policies as a caller may see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import RefundReason, RefundStatus, RequestStatus
from app.billing.models import Refund, RefundPolicy, RefundRequest
from app.billing.schemas.refund_policies import ApprovalLimit, GoodwillLimit, RefundPolicyView
from app.billing.schemas.refund_requests import RefundRequestView, RequestedRefund
from app.billing.service.refunds import policies
from app.billing.service.refunds.changes import identity_of
from app.billing.service.refunds.requests import number_of
from app.identity.constants import Role
from app.identity.principal import Principal


async def show(session: AsyncSession, request: RefundRequest, *, principal: Principal) -> RefundRequestView:
    """One request."""
    return (await show_all(session, [request], principal=principal))[0]


async def show_all(
    session: AsyncSession, requests: Sequence[RefundRequest], *, principal: Principal
) -> list[RefundRequestView]:
    """Requests with their refunds and the limits that hold for them: two queries for all."""
    made = [each.refund_id for each in requests if each.refund_id is not None]
    found = await session.scalars(
        select(Refund).where(Refund.id.in_(made)), execution_options={"populate_existing": True}
    )
    refunds = {each.id: each for each in found} if made else {}
    limits = await _limits(session, requests) if principal.is_staff else {}
    return [
        _view(each, refunds.get(each.refund_id) if each.refund_id else None, limits, principal)
        for each in requests
    ]


def show_policy(policy: RefundPolicy, in_force: int) -> RefundPolicyView:
    """``in_force``: the newest version."""
    return RefundPolicyView(
        version=policy.version,
        in_force=policy.version == in_force,
        name=policy.name,
        limits=msgspec.convert(policy.limits, list[ApprovalLimit]),
        goodwill=msgspec.convert(policy.goodwill, list[GoodwillLimit]),
        approval_hours=policy.approval_hours,
        created_by_id=policy.created_by_id,
        created_at=policy.created_at,
    )


async def _limits(
    session: AsyncSession, requests: Sequence[RefundRequest]
) -> Mapping[UUID, list[ApprovalLimit]]:
    """By request: of each role that may approve in its currency."""
    current = await policies.current(session)
    named = {each.policy_version for each in requests} - {None, current.version}
    known = {current.version: current}
    if named:
        found = await session.scalars(select(RefundPolicy).where(RefundPolicy.version.in_(named)))
        known |= {each.version: each for each in found}
    return {
        each.id: _of_currency(known[each.policy_version or current.version], each.currency)
        for each in requests
    }


def _of_currency(policy: RefundPolicy, currency: str) -> list[ApprovalLimit]:
    each_role: list[dict[str, Any] | None] = [policies.limit_of(policy, role, currency) for role in Role]
    return [msgspec.convert(limit, ApprovalLimit) for limit in each_role if limit is not None]


def _view(
    request: RefundRequest,
    refund: Refund | None,
    limits: Mapping[UUID, list[ApprovalLimit]],
    principal: Principal,
) -> RefundRequestView:
    staff = principal.is_staff
    own = staff or request.requested_by == identity_of(principal)
    return RefundRequestView(
        id=request.id,
        number=number_of(request.number),
        status=RequestStatus(request.status),
        payment_id=request.payment_id,
        account_id=request.account_id,
        case_id=request.case_id,
        credit_note_id=request.credit_note_id,
        issue_id=request.issue_id if staff else None,
        amount=request.amount,
        currency=request.currency,
        exponent=request.exponent,
        reason=RefundReason(request.reason),
        note=request.note if own else None,
        requested_by_id=request.requested_by_id if own else None,
        policy_version=request.policy_version if staff else None,
        limits=limits.get(request.id, []),
        decided_by_id=request.decided_by_id if staff else None,
        decided_role=Role(request.decided_role) if staff and request.decided_role else None,
        decided_at=request.decided_at,
        decision_note=request.decision_note if staff else None,
        expires_at=request.expires_at,
        executed_at=request.executed_at,
        failure_reason=request.failure_reason if staff else None,
        refund=None if refund is None else _refund(refund, staff=staff),
        version=request.version,
        created_at=request.created_at,
        updated_at=request.updated_at,
    )


def _refund(refund: Refund, *, staff: bool) -> RequestedRefund:
    return RequestedRefund(
        id=refund.id,
        status=RefundStatus(refund.status),
        attempts=refund.attempts,
        called_at=refund.called_at,
        succeeded_at=refund.succeeded_at,
        failed_at=refund.failed_at,
        external_id=refund.external_id if staff else None,
        failure_reason=refund.failure_reason if staff else None,
    )

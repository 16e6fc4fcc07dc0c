"""Reading, locking and changing one refund request: each change is one version and one event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.billing.constants import REQUEST_TRANSITIONS, CaseStatus, RequestStatus
from app.billing.exceptions import RefundRequestNotFoundError, RequestTransitionError
from app.billing.models import RefundRequest
from app.billing.service import cases
from app.billing.service.access import money_of
from app.events import Subject
from app.identity.principal import SYSTEM, Principal

FRESH = {"populate_existing": True}
REQUEST_TYPE = "refund_request"
TEXTS = frozenset({"note", "decision_note"})  # never in events
STAFF_FIELDS = ("decided_by_id", "policy_version", "failure_reason", "issue_id")
TOLD = (
    *("number", "status", "payment_id", "case_id", "credit_note_id", "issue_id"),
    *("amount", "currency", "exponent", "reason"),
)
# What a case waits for while one of its requests stands there; the first that holds.
WAITS: tuple[tuple[RequestStatus, CaseStatus], ...] = (
    (RequestStatus.executing, CaseStatus.awaiting_provider),
    (RequestStatus.requested, CaseStatus.awaiting_approval),
    (RequestStatus.approved, CaseStatus.open),
)


async def get(session: AsyncSession, request_id: UUID, *, principal: Principal = SYSTEM) -> RefundRequest:
    """The request; ``RefundRequestNotFoundError`` also when the caller may not see it."""
    statement = select(RefundRequest).where(
        RefundRequest.id == request_id, money_of(principal, RefundRequest.account_id)
    )
    found = await session.scalar(statement, execution_options=FRESH)
    if found is None:
        raise RefundRequestNotFoundError("There is no such refund request.")
    return found


async def lock(session: AsyncSession, request_id: UUID, *, principal: Principal = SYSTEM) -> RefundRequest:
    """The request as it is now, kept from changing until the transaction ends; errors as ``get``.

    After its payment, for who needs both.
    """
    await get(session, request_id, principal=principal)
    statement = select(RefundRequest).where(RefundRequest.id == request_id).with_for_update(key_share=True)
    return (await session.scalars(statement, execution_options=FRESH)).one()


def check_transition(request: RefundRequest, to: RequestStatus) -> None:
    """``RequestTransitionError`` unless the table lets the request go there."""
    allowed = REQUEST_TRANSITIONS.get(RequestStatus(request.status), frozenset())
    if to not in allowed:
        raise RequestTransitionError(
            f"A refund request that is {request.status} does not become {to}.",
            current=request.status,
            allowed=[each for each in RequestStatus if each in allowed],
        )


async def change(
    session: AsyncSession,
    request: RefundRequest,
    values: Mapping[str, Any],
    *,
    actor: Principal,
    told: Mapping[str, Any] | None = None,
) -> RefundRequest:
    """Change a locked request; its case follows its status. ``told``: further members of the event."""
    changed = {name: value for name, value in values.items() if getattr(request, name) != value}
    if not changed:
        return request
    before = {name: getattr(request, name) for name in changed if name not in TEXTS}
    statement = (
        update(RefundRequest)
        .where(RefundRequest.id == request.id)
        .values(version=RefundRequest.version + 1, updated_at=func.now(), **changed)
        .returning(RefundRequest)
    )
    request = (await session.scalars(statement, execution_options=FRESH)).one()
    after = {name: getattr(request, name) for name in before} | dict(told or {})
    type = f"refund_request.{request.status}" if "status" in changed else "refund_request.updated"  # noqa: A001 - as the API calls it
    await record(session, type, request, actor=actor, before=before, after=after)
    if "status" in changed:
        await follow(session, request, actor=actor)
    return request


async def follow(session: AsyncSession, request: RefundRequest, *, actor: Principal) -> None:
    """Move the request's case to what it waits for now, all of its requests together.

    Resolved, when the last of them was refunded; open, when somebody has to see to it. The case is locked
    before the requests are read: of two that end at once the later one sees the other's end.
    """
    if request.case_id is None:
        return
    await cases.lock(session, request.case_id)
    standing = set(
        await session.scalars(
            select(RefundRequest.status).where(RefundRequest.case_id == request.case_id).distinct()
        )
    )
    to = CaseStatus.resolved if request.status == RequestStatus.refunded else CaseStatus.open
    to = next((waits for status, waits in WAITS if status in standing), to)
    await cases.follow_refund(session, request.case_id, to, actor=actor)


async def record(
    session: AsyncSession,
    type: str,  # noqa: A002 - the event's type, as the API calls it
    request: RefundRequest,
    *,
    actor: Principal,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """An event about a request; customers who may see what their account pays see it."""
    await events.record(
        session,
        type,
        subject=Subject(REQUEST_TYPE, request.id),
        actor=actor,
        before=before,
        after=dict(after or {}) | {"version": request.version},
        account_id=request.account_id,
        customer_visible=True,
        staff_fields=STAFF_FIELDS,
    )


def identity_of(principal: Principal) -> str:
    """Whose act something is: a person, with whichever credential; or a key that acts for nobody."""
    if principal.person_id is not None:
        return str(principal.person_id)
    return f"key:{principal.key_id}" if principal.key_id is not None else principal.name

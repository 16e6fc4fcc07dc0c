"""From one status to another: the table, who may, and what follows for clocks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app import sla
from app.billing.constants import PAUSED, TRANSITIONS, CaseStatus, Mover
from app.billing.exceptions import InvalidCaseTransitionError
from app.billing.models import Case
from app.billing.service.cases.changes import change, lock, subject_of
from app.identity.constants import Role
from app.identity.principal import Principal
from app.redaction import redact
from app.sla import UNANSWERED, ClockKind


def capacities(case: Case, actor: Principal) -> frozenset[Mover]:
    """As what the caller may move this case by asking for it."""
    if actor.is_staff:
        return frozenset({Mover.staff, Mover.lead} if actor.at_least(Role.lead) else {Mover.staff})
    if actor.person_id is not None and actor.person_id == case.requester_id:
        return frozenset({Mover.requester})
    return frozenset()


def allowed(status: CaseStatus, movers: frozenset[Mover]) -> list[CaseStatus]:
    """Where somebody with these capacities may move such a case, in the order of the states."""
    return [to for to in CaseStatus if TRANSITIONS.get((status, to), frozenset()) & movers]


async def move(
    session: AsyncSession,
    case: Case,
    to: CaseStatus,
    *,
    actor: Principal,
    as_: Mover | None = None,
    reason: str | None = None,
    at: datetime | None = None,
) -> Case:
    """Move a locked case. ``as_``: in which capacity, when it is not what the caller is to the case.

    A pause keeps what remains of the clocks, the first resolution ends the resolution's, a reopening is
    counted. ``InvalidCaseTransitionError`` names where the caller may go.
    """
    status, at = CaseStatus(case.status), at or datetime.now(UTC)
    movers = capacities(case, actor) if as_ is None else frozenset({as_})
    if not TRANSITIONS.get((status, to), frozenset()) & movers:
        raise InvalidCaseTransitionError(
            f"A case that is {status} cannot be moved to {to} by you.",
            current=status,
            allowed=allowed(status, movers),
        )
    told = {"reason": redact(reason)} if reason else None
    values = _times(case, status, to, actor, at)
    moved = await change(session, case, values, actor=actor, type="billing_case.moved", told=told)
    await _move_clocks(session, moved, status, to, actor=actor, at=at)
    return moved


async def follow_refund(
    session: AsyncSession, case_id: UUID | None, to: CaseStatus, *, actor: Principal
) -> None:
    """Let a case follow what became of its refund, where the table lets a refund move it; else it stays."""
    if case_id is None:
        return
    case = await lock(session, case_id)
    if Mover.refund in TRANSITIONS.get((CaseStatus(case.status), to), frozenset()):
        await move(session, case, to, actor=actor, as_=Mover.refund)


def _times(case: Case, status: CaseStatus, to: CaseStatus, actor: Principal, at: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {"status": to, "status_changed_at": at}
    if to is CaseStatus.resolved:
        values |= {"resolved_at": at, "first_resolved_at": case.first_resolved_at or at}
        values["resolved_by_id"] = actor.person_id
    elif to is CaseStatus.closed:
        values["closed_at"] = at
    elif status is CaseStatus.resolved:
        values |= {"resolved_at": None, "resolved_by_id": None, "reopens": case.reopens + 1}
    return values


async def _move_clocks(
    session: AsyncSession, case: Case, status: CaseStatus, to: CaseStatus, *, actor: Principal, at: datetime
) -> None:
    subject = subject_of(case.id)
    if to in PAUSED and status not in PAUSED:
        await sla.pause(session, subject, at=at, actor=actor)
    elif to is CaseStatus.resolved:
        await sla.satisfy(session, subject, {ClockKind.resolution}, at=at, actor=actor)
        await sla.cancel(session, subject, at=at, kinds=UNANSWERED, actor=actor)
    elif to not in PAUSED and status in PAUSED:
        await sla.resume(session, subject, at=at, actor=actor)
    elif status is CaseStatus.resolved and to is CaseStatus.open:
        await sla.resume(session, subject, at=at, actor=actor)  # it may have been resolved while paused
        await sla.reopen(session, subject, at=at, actor=actor)

"""From one status to another: the table, who may, and what follows for clocks and the index."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app import sla
from app.identity.constants import Role
from app.identity.principal import Principal
from app.redaction import redact
from app.sla import UNANSWERED, ClockKind
from app.technical.constants import PAUSED, TRANSITIONS, Mover, RequiredOn, Status
from app.technical.desk import Desk
from app.technical.exceptions import InvalidTransitionError
from app.technical.models import Ticket
from app.technical.service import customs, indexing
from app.technical.service.changes import change, subject_of


def capacities(ticket: Ticket, actor: Principal) -> frozenset[Mover]:
    """As what the caller may move this ticket by asking for it."""
    if actor.is_staff:
        return frozenset({Mover.staff, Mover.lead} if actor.at_least(Role.lead) else {Mover.staff})
    if actor.person_id is not None and actor.person_id == ticket.requester_id:
        return frozenset({Mover.requester})
    return frozenset()


def allowed(status: Status, movers: frozenset[Mover]) -> list[Status]:
    """Where somebody with these capacities may move such a ticket, in the order of the states."""
    return [to for to in Status if TRANSITIONS.get((status, to), frozenset()) & movers]


async def move(
    session: AsyncSession,
    desk: Desk,
    ticket: Ticket,
    to: Status,
    *,
    actor: Principal,
    as_: Mover | None = None,
    reason: str | None = None,
    at: datetime | None = None,
) -> Ticket:
    """Move a locked ticket. ``as_``: in which capacity, when it is not what the caller is to the ticket.

    A pause keeps what remains of the clocks, the first solve ends the resolution's, a reopening is counted
    and takes the resolution note back. ``InvalidTransitionError`` names where the caller may go,
    ``MissingFieldsError`` the custom fields that the staff must fill in before a solve.
    """
    status, at = Status(ticket.status), at or datetime.now(UTC)
    movers = capacities(ticket, actor) if as_ is None else frozenset({as_})
    if not TRANSITIONS.get((status, to), frozenset()) & movers:
        goes_on: dict[str, Any] = {"target_id": ticket.merged_into_id} if status is Status.merged else {}
        raise InvalidTransitionError(
            f"A ticket that is {status} cannot be moved to {to} by you.",
            current=status,
            allowed=allowed(status, movers),
            **goes_on,
        )
    if to is Status.solved:
        await customs.require(session, ticket.custom, on=RequiredOn.solve, actor=actor)
    told = {"reason": redact(reason)} if reason else None
    moved = await change(
        session, ticket, _times(ticket, status, to, actor, at), actor=actor, type="ticket.moved", told=told
    )
    await _move_clocks(session, moved, status, to, actor=actor, at=at)
    if to is Status.solved:
        await indexing.solved(session, desk, moved, actor=actor)
    elif status is Status.solved and to is not Status.closed:
        await indexing.reopened(session, desk, moved, actor=actor)
    return moved


def _times(ticket: Ticket, status: Status, to: Status, actor: Principal, at: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {"status": to, "status_changed_at": at}
    if to is Status.solved:
        values |= {"solved_at": at, "first_solved_at": ticket.first_solved_at or at}
        values["solved_by_id"] = actor.person_id
    elif to is Status.closed:
        values["closed_at"] = at
    elif status is Status.solved and to is Status.open:
        values |= {"solved_at": None, "solved_by_id": None, "reopens": ticket.reopens + 1}
    return values


async def _move_clocks(
    session: AsyncSession, ticket: Ticket, status: Status, to: Status, *, actor: Principal, at: datetime
) -> None:
    subject = subject_of(ticket.id)
    if to in PAUSED and status not in PAUSED:
        await sla.pause(session, subject, at=at, actor=actor)
    elif to is Status.open and status in PAUSED:
        await sla.resume(session, subject, at=at, actor=actor)
    elif to is Status.solved:
        await sla.satisfy(session, subject, {ClockKind.resolution}, at=at, actor=actor)
        await sla.cancel(session, subject, at=at, kinds=UNANSWERED, actor=actor)
    elif status is Status.solved and to is Status.open:
        await sla.resume(session, subject, at=at, actor=actor)  # it may have been solved while on hold
        await sla.reopen(session, subject, at=at, actor=actor)

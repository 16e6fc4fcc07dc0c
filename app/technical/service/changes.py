"""Reading, locking and changing one ticket: each change is one version and one event.

The state of a ticket is ``STATE``; folding the ``after`` of its events in order gives exactly that state.
Texts stay out of events, so that erasing them in one place is enough: of the description they have the hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app import events
from app.events import Subject
from app.identity.principal import Principal
from app.technical.constants import SUBJECT_TYPE, Status
from app.technical.exceptions import TicketClosedError, TicketMergedError, TicketNotFoundError
from app.technical.models import Ticket
from app.technical.service.access import STAFF_FIELDS, tickets_of

FRESH = {"populate_existing": True}
# FOR NO KEY UPDATE: nobody changes a ticket's id, so what refers to a locked ticket (a link that another
# ticket's merge moves) need not wait for it, which out of the order of ids would be a deadlock.
EXCLUSIVE = {"key_share": True}

STATE = (
    "number",
    "subject",
    "description",
    "status",
    "priority",
    "severity",
    "product",
    "component",
    "product_version",
    "environment",
    "tags",
    "custom",
    "signatures",
    "source",
    "requester_id",
    "account_id",
    "assignee_id",
    "team_id",
    "issue_id",
    "merged_into_id",
    "solved_by_id",
    "reopens",
    "status_changed_at",
    "first_solved_at",
    "solved_at",
    "closed_at",
    "origin",
    "external_id",
    "version",
)


def subject_of(ticket_id: UUID) -> Subject:
    """What rooms and events know a ticket as."""
    return Subject(SUBJECT_TYPE, ticket_id)


async def get(session: AsyncSession, ticket_id: UUID, *, principal: Principal) -> Ticket:
    """The ticket; ``TicketNotFoundError`` also when the caller may not see it."""
    statement = select(Ticket).where(Ticket.id == ticket_id, tickets_of(principal))
    found = await session.scalar(statement, execution_options=FRESH)
    if found is None:
        raise TicketNotFoundError("There is no such ticket.")
    return found


async def lock(session: AsyncSession, ticket_id: UUID, *, principal: Principal) -> Ticket:
    """The ticket as it is now, kept from changing until the transaction ends; errors as ``get``."""
    statement = select(Ticket).where(Ticket.id == ticket_id, tickets_of(principal))
    locking = statement.with_for_update(of=Ticket, **EXCLUSIVE)
    found = await session.scalar(locking, execution_options=FRESH)
    if found is None:
        raise TicketNotFoundError("There is no such ticket.")
    return found


async def lock_open(session: AsyncSession, ticket_id: UUID, *, principal: Principal) -> Ticket:
    """``lock``, of a ticket that still changes: ``TicketMergedError``, ``TicketClosedError``."""
    ticket = await lock(session, ticket_id, principal=principal)
    check_open(ticket)
    return ticket


async def lock_all(
    session: AsyncSession, ticket_ids: Sequence[UUID], *, principal: Principal
) -> dict[UUID, Ticket]:
    """Those of the tickets that the caller sees, locked in the order of their ids, by id."""
    statement = select(Ticket).where(Ticket.id.in_(ticket_ids), tickets_of(principal)).order_by(Ticket.id)
    locking = statement.with_for_update(of=Ticket, **EXCLUSIVE)
    found = await session.scalars(locking, execution_options=FRESH)
    return {each.id: each for each in found}


def check_open(ticket: Ticket) -> None:
    """``TicketMergedError`` with the target, ``TicketClosedError``."""
    if ticket.status == Status.merged:
        raise TicketMergedError("This ticket was merged into another one.", target_id=ticket.merged_into_id)
    if ticket.status == Status.closed:
        raise TicketClosedError("This ticket is closed; a public reply opens a follow-up.")


async def change(
    session: AsyncSession,
    ticket: Ticket,
    values: Mapping[str, Any],
    *,
    actor: Principal,
    type: str = "ticket.updated",  # noqa: A002 - the event's type, as the API calls it
    told: Mapping[str, Any] | None = None,
) -> Ticket:
    """Change a locked ticket; what is the same already is left out, and nothing left changes nothing.

    ``told``: further members of the event that are no state of the ticket, such as a reason.
    """
    changed = {name: value for name, value in values.items() if getattr(ticket, name) != value}
    if not changed:
        return ticket
    before = {name: getattr(ticket, name) for name in changed}
    statement = (
        update(Ticket)
        .where(Ticket.id == ticket.id)
        .values(version=Ticket.version + 1, updated_at=func.now(), **changed)
        .returning(Ticket)
    )
    ticket = (await session.scalars(statement, execution_options=FRESH)).one()
    after = {name: getattr(ticket, name) for name in changed} | {"version": ticket.version}
    await record(session, type, ticket, actor=actor, before=before, after=after | dict(told or {}))
    return ticket


async def record_created(session: AsyncSession, ticket: Ticket, *, actor: Principal, **told: Any) -> None:
    """The first event of a ticket: its whole state."""
    after = {name: getattr(ticket, name) for name in STATE} | told
    await record(session, "ticket.created", ticket, actor=actor, after=after)


async def record(
    session: AsyncSession,
    type: str,  # noqa: A002 - the event's type, as the API calls it
    ticket: Ticket,
    *,
    actor: Principal,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """An event about a ticket. Customers see it when it tells something that they may know."""
    named = (set(before or ()) | set(after or ())) - {"version"}
    hidden = named & STAFF_FIELDS
    await events.record(
        session,
        type,
        subject=subject_of(ticket.id),
        actor=actor,
        before=_hashed(before),
        after=_hashed(after),
        account_id=ticket.account_id,
        person_id=ticket.requester_id,
        customer_visible=bool(named - hidden),
        staff_fields=hidden,
    )


def text_hash(description: str) -> str:
    """What events tell of a description: SHA-256, hexadecimal."""
    return hashlib.sha256(description.encode()).hexdigest()


def _hashed(fields: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if fields is None:
        return None
    return {name: text_hash(value) if name == "description" else value for name, value in fields.items()}

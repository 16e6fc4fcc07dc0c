"""References: a ticket points to something of another desk, known by its type and id only.

Whether that thing exists is its own desk's to know, which asks ``openwork`` what points to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app import events
from app.identity.principal import Principal
from app.technical.constants import REFERENCES_MAX, SUBJECT_TYPE
from app.technical.exceptions import InvalidLinkError, ReferenceNotFoundError, TooManyLinksError
from app.technical.models import Reference, Ticket
from app.technical.service.changes import get, lock_open, subject_of


async def refer(
    session: AsyncSession, ticket_id: UUID, *, subject_type: str, subject_id: UUID, actor: Principal
) -> Reference:
    """Let a ticket point to another desk's thing; once more changes nothing.

    Errors: ``TicketNotFoundError``, ``TicketMergedError``, ``TicketClosedError``, ``InvalidLinkError`` (a
    ticket is linked, not referred to), ``TooManyLinksError``.
    """
    ticket = await lock_open(session, ticket_id, principal=actor)
    if subject_type == SUBJECT_TYPE:
        raise InvalidLinkError("Tickets are linked with each other; see their links.")
    values = {"ticket_id": ticket.id, "subject_type": subject_type, "subject_id": subject_id}
    statement = insert(Reference).values(values | {"created_by": actor.person_id}).on_conflict_do_nothing()
    made = (await session.scalars(statement.returning(Reference))).one_or_none()
    if made is None:
        return (await session.scalars(select(Reference).filter_by(**values))).one()
    if len(await _of(session, ticket.id)) > REFERENCES_MAX:
        raise TooManyLinksError(f"A ticket has {REFERENCES_MAX} references at most.", maximum=REFERENCES_MAX)
    await _record(session, "ticket.referred", ticket, made, actor=actor)
    return made


async def withdraw(session: AsyncSession, ticket_id: UUID, reference_id: UUID, *, actor: Principal) -> None:
    """Take a reference away. Errors: as ``refer``, and ``ReferenceNotFoundError``."""
    ticket = await lock_open(session, ticket_id, principal=actor)
    statement = delete(Reference).where(Reference.id == reference_id, Reference.ticket_id == ticket.id)
    gone = (await session.scalars(statement.returning(Reference))).one_or_none()
    if gone is None:
        raise ReferenceNotFoundError("The ticket has no such reference.")
    await _record(session, "ticket.unreferred", ticket, gone, actor=actor)


async def list_references(
    session: AsyncSession, ticket_id: UUID, *, principal: Principal
) -> Sequence[Reference]:
    """What a ticket points to, in the order it was said; ``TicketNotFoundError``."""
    ticket = await get(session, ticket_id, principal=principal)
    return await _of(session, ticket.id)


async def hand_over(session: AsyncSession, source_id: UUID, target_id: UUID) -> list[UUID]:
    """Move references that the target has not; returns their ids. The others stay where they are."""
    same = aliased(Reference)
    there = select(same.id).where(
        same.ticket_id == target_id,
        same.subject_type == Reference.subject_type,
        same.subject_id == Reference.subject_id,
    )
    statement = (
        update(Reference)
        .where(Reference.ticket_id == source_id, ~there.exists())
        .values(ticket_id=target_id)
        .returning(Reference.id)
        .execution_options(synchronize_session=False)
    )
    return sorted(await session.scalars(statement))


async def hand_back(
    session: AsyncSession, ids: Sequence[UUID], source_id: UUID, *, holders: Sequence[UUID]
) -> None:
    """Move references back that still stand with one of the holders."""
    statement = update(Reference).where(Reference.id.in_(ids), Reference.ticket_id.in_(holders))
    await session.execute(statement.values(ticket_id=source_id).execution_options(synchronize_session=False))


async def _of(session: AsyncSession, ticket_id: UUID) -> Sequence[Reference]:
    statement = select(Reference).where(Reference.ticket_id == ticket_id)
    return (await session.scalars(statement.order_by(Reference.created_at, Reference.id))).all()


async def _record(
    session: AsyncSession,
    type: str,  # noqa: A002 - the event's type, as the API calls it
    ticket: Ticket,
    reference: Reference,
    *,
    actor: Principal,
) -> None:
    """For the staff: what other desks work on is no customer's to see here."""
    told = {"subject_type": reference.subject_type, "subject_id": reference.subject_id}
    is_gone = type == "ticket.unreferred"
    await events.record(
        session,
        type,
        subject=subject_of(ticket.id),
        actor=actor,
        before=told if is_gone else None,
        after=None if is_gone else told,
        account_id=ticket.account_id,
        person_id=ticket.requester_id,
    )

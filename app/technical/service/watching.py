"""Watchers of a ticket: people and addresses in its conversation besides those it is between."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app import conversations
from app.conversations.constants import ParticipantRole
from app.conversations.exceptions import ParticipantNotFoundError
from app.conversations.models import Conversation
from app.conversations.schemas import ParticipantView
from app.exceptions import PermissionDeniedError
from app.identity.constants import Role
from app.identity.models import Person
from app.identity.principal import Principal
from app.technical.constants import Status
from app.technical.exceptions import TicketMergedError
from app.technical.models import Ticket
from app.technical.service.changes import get, lock, lock_open, subject_of

WATCHING = frozenset({ParticipantRole.watcher, ParticipantRole.cc})


async def list_watchers(
    session: AsyncSession, ticket_id: UUID, *, principal: Principal
) -> list[ParticipantView]:
    """Who watches a ticket, in the order they began. Customers do not see which of the staff do."""
    ticket = await get(session, ticket_id, principal=principal)
    return await _shown(session, await _conversation(session, ticket, principal), principal)


async def watch(
    session: AsyncSession,
    ticket_id: UUID,
    *,
    actor: Principal,
    role: ParticipantRole = ParticipantRole.watcher,
    person_id: UUID | None = None,
    email: str | None = None,
) -> ParticipantView:
    """Let somebody watch a ticket: without a person and an address the caller; once more changes nothing.

    Customers add themselves; the staff add anybody, who then sees everything public on the ticket. Errors:
    ``TicketNotFoundError``, ``TicketMergedError``, ``TicketClosedError``, ``PermissionDeniedError``, and
    those of ``conversations.participants.add``.
    """
    ticket = await lock_open(session, ticket_id, principal=actor)
    if person_id is None and email is None:
        person_id = actor.person_id
    if not actor.is_staff and (email is not None or person_id != actor.person_id or person_id is None):
        raise PermissionDeniedError("Only staff let others watch a ticket.")
    conversation = await _conversation(session, ticket, actor)
    made = await conversations.participants.add(
        session, conversation, actor=actor, role=role, person_id=person_id, email=email
    )
    shown = await conversations.participants.show_all(session, conversation)
    return next(each for each in shown if each.id == made.id)


async def unwatch(session: AsyncSession, ticket_id: UUID, participant_id: UUID, *, actor: Principal) -> None:
    """Take a watcher away; a customer themself only. On a closed ticket too.

    Errors: ``TicketNotFoundError``, ``TicketMergedError``, ``ParticipantNotFoundError``.
    """
    ticket = await lock(session, ticket_id, principal=actor)
    if ticket.status == Status.merged:
        raise TicketMergedError("This ticket was merged into another one.", target_id=ticket.merged_into_id)
    conversation = await _conversation(session, ticket, actor)
    for each in await conversations.participants.list_all(session, conversation):
        is_own = each.person_id is not None and each.person_id == actor.person_id
        if each.id == participant_id and each.role in WATCHING and (actor.is_staff or is_own):
            await conversations.participants.remove(session, conversation, each.id, actor=actor)
            return
    raise ParticipantNotFoundError("The ticket has no such watcher.")


async def _conversation(session: AsyncSession, ticket: Ticket, principal: Principal) -> Conversation:
    return await conversations.get(session, subject_of(ticket.id), principal=principal)


async def _shown(
    session: AsyncSession, conversation: Conversation, principal: Principal
) -> list[ParticipantView]:
    everybody = await conversations.participants.show_all(session, conversation)
    found = [each for each in everybody if each.role in WATCHING]
    if principal.is_staff:
        return found
    people = select(Person.id).where(
        Person.id.in_([each.person_id for each in found]), Person.role != Role.customer
    )
    staff = set(await session.scalars(people))
    return [each for each in found if each.person_id not in staff]
